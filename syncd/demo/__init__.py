"""`syncd demo`: the main job, start to end, with nothing to set up."""

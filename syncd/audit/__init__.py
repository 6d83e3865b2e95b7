"""Is everything as it was told? The ledger held against itself, and against what others have of it."""

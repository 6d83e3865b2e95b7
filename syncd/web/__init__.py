"""What operators and orchestrators read."""

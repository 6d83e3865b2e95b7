"""The ledger: what came in, what is due, what was tried and what was issued."""

"""Emulators of the invoicing services; they share no code with the adapters."""

"""Turns every paid shop order into exactly one correct Portuguese invoice."""

__version__ = "0.1.0"

"""Invoicing services: drafts in, issued documents out."""

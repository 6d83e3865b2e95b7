"""Pure: an order and what is known of it in, the documents that should exist out."""

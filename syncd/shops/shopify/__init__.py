"""Shopify: signed webhooks in, GraphQL for what webhooks did not tell."""

"""Ways in: webhooks and pollers, through one door."""

"""From the state of an order to issued documents."""

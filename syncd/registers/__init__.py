"""Public registers that planning needs: whether a VAT number is valid (VIES), what a currency is worth (ECB)."""

"""Bill.pt."""

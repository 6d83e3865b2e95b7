"""What a person must hear of: seen in the ledger, raised once, told until somebody has heard."""

"""Any system that can post JSON: the order document is ours, the signature is the Standard Webhooks scheme."""

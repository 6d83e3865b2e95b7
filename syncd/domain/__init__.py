"""The trade's words: values without behaviour that reaches outside."""

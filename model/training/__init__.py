"""A run: planned, trained, saved and resumed."""

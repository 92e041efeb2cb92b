"""Which image files there are, with their labels and given splits."""

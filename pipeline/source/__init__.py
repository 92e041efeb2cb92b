"""Image files, with their labels and given splits."""

"""Measurements for a machine with a GPU, one command each: see README.md."""

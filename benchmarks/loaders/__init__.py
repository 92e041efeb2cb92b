"""Loaders of the field, measured beside ours."""

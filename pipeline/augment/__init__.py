"""Batches to what the network sees, on the device."""

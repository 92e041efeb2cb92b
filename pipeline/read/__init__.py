"""Shards to uint8 batches, on the host."""

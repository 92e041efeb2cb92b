"""Measurements that are run by hand, and not installed."""

"""Measuring the pipeline against limits and other loaders; shipped with the command."""

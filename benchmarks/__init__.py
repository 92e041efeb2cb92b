"""Measuring the pipeline against its limits and its peers; shipped with the command."""

"""The network, its training, and everything about a run."""

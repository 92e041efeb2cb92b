"""The networks, as rows of layers."""

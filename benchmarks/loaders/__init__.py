"""The loaders of others, measured beside ours."""

"""Files behind URLs: any address that fsspec opens, reached with patience."""

"""Photos to shards, in worker processes."""

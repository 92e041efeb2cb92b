"""Words in, words out: the `alexnet` command."""

"""`alexnet doctor`: the machine, its GPUs and its packages."""

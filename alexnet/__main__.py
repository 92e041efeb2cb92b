"""`python -m alexnet`: the command, of this Python's own installation."""

from alexnet.cli.main import run

run()

"""The damage of a record set, and its repair."""

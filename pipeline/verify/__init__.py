"""What is wrong with a record set, and its repair."""

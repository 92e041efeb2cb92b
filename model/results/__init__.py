"""What is made of a trained run."""

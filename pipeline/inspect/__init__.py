"""Record sets for people to look at."""

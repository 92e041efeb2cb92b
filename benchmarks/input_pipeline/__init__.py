"""`bench input-pipeline`: the ladder, its limits and the verdict."""

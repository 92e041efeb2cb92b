"""Results of trained runs: evaluation, prediction, explanation, export, plots."""

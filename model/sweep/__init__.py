"""Many runs that differ in a few settings, searched by Optuna."""

"""Work on the workers of an Apache Beam runner."""

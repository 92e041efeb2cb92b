"""Pages that show runs and benches: HTML files that need nothing but a browser."""

"""`records estimate`: what each storage of a source would take and give."""

"""Tables: their checks, their times, and windows and batches over them."""

"""From a specification and rows to a fitted model."""

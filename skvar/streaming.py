"""Forecasts after one observation at a time."""

from ._models.stream import Stream

__all__ = ["Stream"]

"""Files of estimators that run no code when they are opened."""

from ._files.estimators import load, save

__all__ = ["load", "save"]

"""Numbers as JSON holds them."""

import numpy as np


def plain(values) -> list | float | None:
    """Numbers as nested lists, with None where one is not finite."""
    values = np.asarray(values, dtype=float)
    return np.where(np.isfinite(values), values.astype(object), None).tolist()


def evenly(n: int, most: int) -> np.ndarray:
    """Numbers below ``n``, all or so many, evenly spaced, with the last one."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int))

"""Numbers as JSON holds them."""

from collections.abc import Hashable
from typing import Any

import numpy as np

# Differences below it, as shares of the values, are rounding errors.
ROUNDING = 1e-12


def plain(values: object) -> Any:
    """Numbers as nested lists, with None where one is not finite."""
    values = np.asarray(values, dtype=float)
    return np.where(np.isfinite(values), values.astype(object), None).tolist()


def text(name: Hashable) -> str:
    """The name of a column as a reader sees it."""
    return str(name) if str(name).strip() else "(no name)"


def is_constant(values: np.ndarray) -> np.ndarray:
    """Whether known values, of each column, differ by rounding errors at most."""
    low, high = np.fmin.reduce(values), np.fmax.reduce(values)
    return ~(high - low > ROUNDING * np.maximum(abs(low), abs(high)))


def evenly(n: int, most: int) -> np.ndarray:
    """Numbers below ``n``, all or so many, evenly spaced, with the last one."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int))

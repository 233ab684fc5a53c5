"""One new observation at a time."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from .._data.tables import as_floats, check_sizes


class Step(Protocol):
    """How a fitted estimator takes the next row; it holds no history.

    ``names`` are those of the series, or None where they have none.
    """

    @property
    def n_series(self) -> int:
        """Numbers in a row."""

    @property
    def names(self) -> Sequence | None:
        """Names of the series."""

    @property
    def takes_missing(self) -> bool:
        """Whether a row may hold NaN."""

    def __call__(self, state: Any, row: np.ndarray) -> tuple:
        """State after a row in original units, and what to return."""


class Stream:
    """Forecasts after each new row, from a state of constant size.

    Made by the ``stream`` method of a fitted estimator. It keeps what was fitted then,
    whatever is fitted later, and no history: time and memory of a push do not depend on
    how many rows came before.

    Parameters
    ----------
    step : Step
        How the estimator takes a row.
    state : object, optional
        What it carries after the rows before the first one; None without any.
    """

    def __init__(self, step: Step, state: Any = None):
        self._step, self._state = step, state

    def push(self, row: ArrayLike) -> np.ndarray:
        """Take the next observation and forecast what follows it.

        Parameters
        ----------
        row : array-like of shape (n_series,)
            In original units.

        Returns
        -------
        ndarray or float
            What the estimator's ``stream`` says, after all rows so far.

        Raises
        ------
        ValueError
            If the row has another length or other names than the series, is not
            numeric, holds inf or values beyond 1e150, or NaN that the estimator does
            not take; the row is then not taken.
        """
        self._check_names(row)
        array = np.asarray(row)
        row = as_floats(pd.Series(array.ravel()))
        if row is None:
            raise ValueError(f"row is not numeric: it is of dtype {array.dtype}.")
        row = row.reshape(array.shape)
        n_series = self._step.n_series
        if row.shape != (n_series,):
            raise ValueError(
                f"row has shape {row.shape}; pass one observation of the {n_series} "
                f"series, of shape ({n_series},)."
            )
        if np.isinf(row).any():
            raise ValueError("row holds inf; replace these values.")
        names = self._step.names
        columns = range(n_series) if names is None else names
        check_sizes(row[np.newaxis], "row", columns)
        if np.isnan(row).any() and not self._step.takes_missing:
            raise ValueError("row holds NaN; fill these values first.")
        self._state, predicted = self._step(self._state, row)
        return predicted

    def _check_names(self, row: ArrayLike) -> None:
        names = self._step.names
        unnamed = names is None or isinstance(names, pd.RangeIndex)
        if (
            not unnamed
            and isinstance(row, pd.Series)
            and list(row.index) != list(names)
        ):
            raise ValueError(
                f"row names {list(row.index)}, but the series are {list(names)}; put "
                "them in this order."
            )

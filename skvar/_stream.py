"""One new observation at a time."""

import copy

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike


class Stream:
    """Forecasts after each new row, from the last rows alone.

    Made by the ``stream`` method of a fitted estimator, whose network it uses. Time and
    memory of a push do not depend on how many rows were pushed.

    Parameters
    ----------
    model : estimator
        Fitted. The stream keeps what the model is now, whatever is fitted later.
    past : ndarray of shape (n_rows, n_series)
        Rows that came before, in original units; there may be none.
    """

    def __init__(self, model, past: np.ndarray):
        self._model = copy.copy(model)
        self._lags, self._n_series = model.network_.lags, past.shape[1]
        self._window = None
        for row in past[-self._lags :]:
            self._append(row)

    def push(self, row: ArrayLike) -> np.ndarray:
        """Take the next observation and forecast what follows it.

        Parameters
        ----------
        row : array-like of shape (n_series,)
            In original units.

        Returns
        -------
        ndarray or float
            What ``predict`` of the estimator returns after all rows so far.

        Raises
        ------
        ValueError
            If the row has another length or other names than the series, is not
            numeric or holds NaN or inf; it is then not taken.
        """
        self._check_names(row)
        row = np.asarray(row)
        if row.dtype.kind not in "biuf":
            raise ValueError(f"row is not numeric: it is of dtype {row.dtype}.")
        if row.shape != (self._n_series,):
            raise ValueError(
                f"row has shape {row.shape}; pass one observation of the "
                f"{self._n_series} series, of shape ({self._n_series},)."
            )
        if not np.isfinite(row).all():
            raise ValueError("row holds NaN or inf; fill these values first.")
        self._append(row)
        return self._model._after(self._window)

    def _check_names(self, row) -> None:
        names = getattr(self._model, "feature_names_in_", None)
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

    def _append(self, row: np.ndarray) -> None:
        # Before the first row the history is taken as constant.
        before = self._window
        if before is None:
            before = np.tile(row, (self._lags, 1))
        # A new array: copies of a stream go their own ways.
        self._window = np.concatenate([before[1:], [row]])

"""One new observation at a time."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike


class Stream:
    """Forecasts after each new row, from the last rows alone.

    Made by the ``stream`` method of a fitted estimator, whose network it uses. Time and
    memory of a push do not depend on how many rows were pushed.

    Parameters
    ----------
    forecast : callable
        From a window (lags, n_series) in original units to what `push` returns.
    past : ndarray of shape (n_rows, n_series)
        Rows that came before, in original units; there may be none.
    lags, n_series : int
        Sizes of a window.
    """

    def __init__(
        self,
        forecast: Callable[[np.ndarray], np.ndarray],
        past: np.ndarray,
        lags: int,
        n_series: int,
    ):
        self._forecast, self._n_series = forecast, n_series
        self._window = np.empty((lags, n_series))
        self._n_seen = 0
        for row in past[-lags:]:
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
            If the row has another length or holds NaN or inf; it is then not taken.
        """
        row = np.asarray(row, dtype=float)
        if row.shape != (self._n_series,):
            raise ValueError(
                f"row has shape {row.shape}; pass one observation of the "
                f"{self._n_series} series, of shape ({self._n_series},)."
            )
        if not np.isfinite(row).all():
            raise ValueError("row holds NaN or inf; fill these values first.")
        self._append(row)
        return self._forecast(self._window)

    def _append(self, row: np.ndarray) -> None:
        if not self._n_seen:
            # Before the first row the history is taken as constant.
            self._window[:] = row
        self._window[:-1] = self._window[1:]
        self._window[-1] = row
        self._n_seen += 1

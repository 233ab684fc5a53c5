"""One new observation at a time."""

import copy

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike


class Stream:
    """Forecasts after each new row, from a state of constant size.

    Made by the ``stream`` method of a fitted estimator, whose network it uses. Time and
    memory of a push do not depend on how many rows were pushed.

    Parameters
    ----------
    model : estimator
        Fitted. The stream keeps what the model is now, whatever is fitted later.
    past : ndarray of shape (n_rows, n_series), optional
        Standardised rows that came before.
    """

    def __init__(self, model, past: np.ndarray | None = None):
        # The copy lives on the CPU, so what it carries must be its own.
        self._model = copy.copy(model)
        self._state = None if past is None else self._model._state_after(past)

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
            numeric or holds inf, or NaN that the estimator does not take; the row is
            then not taken.
        """
        self._check_names(row)
        row = np.asarray(row)
        if row.dtype.kind not in "biuf":
            raise ValueError(f"row is not numeric: it is of dtype {row.dtype}.")
        n_series = self._model.n_features_in_
        if row.shape != (n_series,):
            raise ValueError(
                f"row has shape {row.shape}; pass one observation of the {n_series} "
                f"series, of shape ({n_series},)."
            )
        if np.isinf(row).any():
            raise ValueError("row holds inf; replace these values.")
        if np.isnan(row).any() and not self._model._takes_missing:
            raise ValueError("row holds NaN; fill these values first.")
        self._state, predicted = self._model._push(self._state, row)
        return predicted

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

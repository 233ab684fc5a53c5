"""scikit-learn's regressor protocol around a model, with time steps as rows."""

import numbers
from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_consistent_length, check_scalar, column_or_1d
from sklearn.utils.validation import check_is_fitted, validate_data

from ._data.tables import standardise
from ._data.windows import Windows, windows_ending_at
from ._model import BATCH, Rows, WindowModel
from ._stream import Stream


class WindowRegressor(WindowModel, MultiOutputMixin, RegressorMixin, BaseEstimator):
    """From arrays whose rows are time steps to the rows of a model, and back."""

    # Regressors look one step ahead.
    horizon_ = 1

    def fit(self, X, y=None, *, segments=None):
        """Fit to consecutive time steps.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows are consecutive, equally spaced times.
        y : array-like of shape (n_rows,) or (n_rows, n_targets), optional
            What to predict from rows t - lags + 1 to t of ``X``, in its own units; the
            next row of ``X`` by default.
        segments : array-like of shape (n_rows,), optional
            Labels of independent series that are stacked in one table; the rows of one
            label are consecutive times, and no window reaches from one label into
            another. The last rows of each are held out for early stopping.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If ``X`` or ``y`` is invalid or a parameter is out of range. The regressor
            then stays as it was before the call.
        """
        return self._fit(X, y, segments, go_on=False)

    def partial_fit(self, X, y=None, *, segments=None):
        """Append rows that follow in time and train on from the present weights.

        All rows seen so far are kept and trained on, and closed forms are solved anew;
        the scaling stays that of the first call.

        Parameters
        ----------
        X, y, segments : array-like
            As in ``fit``, with targets if there were targets before. Rows of a known
            segment follow on its last row.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            As in ``fit``.
        """
        return self._fit(X, y, segments, go_on=hasattr(self, "network_"))

    def predict(self, X, *, segments=None):
        """Predict the target of every row from the rows up to it.

        Before its first row a series is taken as constant.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Consecutive time steps.
        segments : array-like of shape (n_rows,), optional
            As in ``fit``.

        Returns
        -------
        ndarray of shape (n_rows,) or (n_rows, n_targets)
            In the units of ``y``, or without ``y`` those of ``X``: row t is then the
            forecast of row t + 1.

        Raises
        ------
        ValueError
            If ``X`` is invalid.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        parts = list(_parts(X, segments).values())
        order = np.concatenate(parts)
        lengths = [len(part) for part in parts]
        first = np.repeat(np.cumsum(lengths) - lengths, lengths)
        values = self._standardised(X[order])
        n_targets = len(self._target_scaler.mean_)
        out = np.empty((len(X), n_targets), np.result_type(X, self._dtype))
        for begin in range(0, len(X), BATCH):
            ends = np.arange(begin, min(begin + BATCH, len(X)))
            past = windows_ending_at(values, ends, self.network_.lags, first[ends])
            out[order[ends]] = self._forecast(torch.from_numpy(past), 1)[:, 0]
        return out.ravel() if self._flat_target else out

    def forecast(self, X, steps):
        """Forecast the rows that follow a table, feeding forecasts back.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            History.
        steps : int
            How many rows, at least one.

        Returns
        -------
        ndarray of shape (steps, n_features)

        Raises
        ------
        ValueError
            If the regressor was fitted with ``y``, and cannot feed its forecasts back,
            or ``steps`` is less than one.
        """
        check_is_fitted(self)
        check_scalar(steps, "steps", numbers.Integral, min_val=1)
        if self.y_scaler_ is not None:
            raise ValueError(
                "forecast feeds forecasts of X back, but this regressor was fitted "
                "with y; fit it with y=None."
            )
        X = validate_data(self, X, dtype=np.float64, reset=False)
        values = self._standardised(X)
        past = windows_ending_at(values, np.array([len(X) - 1]), self.network_.lags)
        return self._forecast(torch.from_numpy(past), steps)[0]

    def score(self, X, y=None, *, segments=None):
        """Coefficient of determination of the predictions.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Consecutive time steps.
        y : array-like of shape (n_rows,) or (n_rows, n_targets), optional
            Targets; the next rows of ``X`` by default.
        segments : array-like of shape (n_rows,), optional
            As in ``fit``.

        Returns
        -------
        float
            R squared, averaged over targets.

        Raises
        ------
        ValueError
            If ``y`` is missing though the regressor was fitted with it.
        """
        predicted = self.predict(X, segments=segments)
        if y is not None:
            return r2_score(y, predicted)
        if self.y_scaler_ is not None:
            raise ValueError("This regressor was fitted with y; pass y to score it.")
        values = validate_data(self, X, dtype=np.float64, reset=False)
        rows = list(_parts(values, segments).values())
        truth = np.concatenate([values[part[1:]] for part in rows])
        return r2_score(truth, np.concatenate([predicted[part[:-1]] for part in rows]))

    def stream(self):
        """Predict one new row at a time.

        Returns
        -------
        Stream
            Its ``push(row)`` returns what the last row of ``predict`` would be on all
            rows pushed so far, in constant time and memory.
        """
        check_is_fitted(self)
        return Stream(self)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        return tags

    @property
    def _target_scaler(self) -> StandardScaler:
        return self.y_scaler_ or self.scaler_

    def _fit(self, X, y, segments, go_on: bool):
        with self._all_or_nothing():
            self._check_parameters()
            self._fit_checked(X, y, segments, go_on)
        return self

    def _fit_checked(self, X, y, segments, go_on: bool) -> None:
        known = go_on or (self.warm_start and hasattr(self, "network_"))
        weights = self.network_.state_dict() if known else None
        checks = {"dtype": [np.float64, np.float32], "reset": not known}
        if y is None:
            least = 1 if go_on else 2
            X = validate_data(self, X, **checks, ensure_min_samples=least)
        else:
            X, y = validate_data(
                self, X, y, **checks, multi_output=True, y_numeric=True
            )
        if known:
            self._check_same_target(y)
        else:
            self.scaler_ = StandardScaler().fit(np.asarray(X, float))
            self.y_scaler_, self._flat_target = None, y is not None and y.ndim == 1
            if y is not None:
                self.y_scaler_ = StandardScaler().fit(_columns(y))
        history = dict(self._history) if go_on else {}
        for label, table in self._tables(X, y, segments):
            if label in history:
                table = np.concatenate([history[label], table])
            history[label] = table
        self._history = history
        self._dtype = X.dtype if y is None else np.result_type(X, _columns(y, None))
        self._learn(self._rows(self.lags), weights)

    def _check_same_target(self, y) -> None:
        before = 0 if self.y_scaler_ is None else len(self.y_scaler_.mean_)
        now = 0 if y is None else _columns(y).shape[1]
        if before != now or (now and self._flat_target != (y.ndim == 1)):
            raise ValueError(
                f"Training goes on from a fit with {before} target(s) in y, not {now}, "
                "or with y of other dimensions; pass the same, or fit anew with "
                "warm_start=False."
            )

    def _tables(self, X, y, segments) -> Iterator[tuple[object, np.ndarray]]:
        """Each segment's standardised rows, of series and of targets beside them."""
        for label, rows in _parts(X, segments).items():
            table = self._standardised(X[rows])
            if y is not None:
                targets = standardise(_columns(y)[rows], self.y_scaler_)
                table = np.column_stack([table, targets])
            yield label, table

    def _check_fitted(self) -> None:
        check_is_fitted(self)

    def _rows(self, lags: int) -> Rows:
        """The history as the model wants it: targets one row below their windows.

        Segments shorter than one window and its target begin with their first row
        repeated.
        """
        with_targets = self.y_scaler_ is not None
        n_inputs = self.n_features_in_ if with_targets else None
        tables = []
        for table in self._history.values():
            if with_targets:
                series = np.concatenate([table[:, :n_inputs], table[-1:, :n_inputs]])
                targets = np.concatenate([table[:1, n_inputs:], table[:, n_inputs:]])
                table = np.column_stack([series, targets])
            elif len(table) == 1:
                continue  # one row has no next row to learn from
            missing = max(0, lags + 1 - len(table))
            tables.append(np.concatenate([table[:1].repeat(missing, axis=0), table]))
        if not tables:
            raise ValueError(
                "No segment has two rows: without y there is no next row to learn "
                "from. Pass longer segments, or y."
            )
        return Rows(tables, n_inputs)

    def _windows(self, table, name: str) -> Windows:
        check_is_fitted(self)
        table = validate_data(self, table, dtype=np.float64, reset=False)
        lags = self.network_.lags
        if len(table) < lags:
            raise ValueError(
                f"{name} has {len(table)} row(s), but the regressor sees windows of "
                f"{lags}; pass at least {lags} rows."
            )
        return Windows([self._standardised(table)], lags, 0)

    def _after(self, window: np.ndarray) -> np.ndarray:
        target = self._forecast(torch.from_numpy(window).unsqueeze(0), 1)[0, 0]
        return target[0] if self._flat_target else target


def _parts(X: np.ndarray, segments) -> dict[object, np.ndarray]:
    """Row numbers of each segment, in the order of the table."""
    if segments is None:
        return {None: np.arange(len(X))}
    segments = column_or_1d(segments, dtype=object)
    check_consistent_length(X, segments)
    if pd.isna(segments).any():
        raise ValueError("segments holds missing labels; give every row one.")
    numbers, labels = pd.factorize(segments)
    order = np.argsort(numbers, kind="stable")
    ends = np.cumsum(np.bincount(numbers))[:-1]
    return dict(zip(labels.tolist(), np.split(order, ends), strict=True))


def _columns(y, dtype=float) -> np.ndarray:
    return np.asarray(y, dtype=dtype).reshape(len(y), -1)

"""scikit-learn's regressor protocol around a model, with time steps as rows."""

from collections.abc import Iterator

import numpy as np
import torch
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from ._model import BATCH, Rows, WindowModel, standardise
from ._stream import Stream
from ._windows import split_by_time, windows_ending_at


class WindowRegressor(WindowModel, MultiOutputMixin, RegressorMixin, BaseEstimator):
    """From arrays whose rows are time steps to the rows of a model, and back."""

    # Regressors look one step ahead.
    horizon_ = 1

    def fit(self, X, y=None, segments=None):
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
            another.

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

    def partial_fit(self, X, y=None, segments=None):
        """Append rows that follow in time and train on from the present weights.

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

    def predict(self, X, segments=None):
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
        out = np.empty((len(X), len(self._target_scaler.mean_)), X.dtype)
        for rows in _parts(X, segments).values():
            values = self._standardised(X[rows])
            for begin in range(0, len(rows), BATCH):
                ends = np.arange(begin, min(begin + BATCH, len(rows)))
                past = windows_ending_at(values, ends, self.network_.lags)
                out[rows[ends]] = self._forecast(torch.from_numpy(past), 1)[:, 0]
        return out.ravel() if self._flat_target else out

    def forecast(self, X, steps):
        """Forecast the rows that follow a table, feeding forecasts back.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            History.
        steps : int
            How many rows.

        Returns
        -------
        ndarray of shape (steps, n_features)

        Raises
        ------
        ValueError
            If the regressor was fitted with ``y``: it cannot then feed its forecasts
            back.
        """
        check_is_fitted(self)
        if self._target_scaler is not self.scaler_:
            raise ValueError(
                "forecast feeds forecasts of X back, but this regressor was fitted "
                "with y; fit it with y=None."
            )
        X = validate_data(self, X, dtype=np.float64, reset=False)
        values = self._standardised(X)
        past = windows_ending_at(values, np.array([len(X) - 1]), self.network_.lags)
        return self._forecast(torch.from_numpy(past), steps)[0]

    def score(self, X, y=None, segments=None):
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
        """
        predicted = self.predict(X, segments=segments)
        if y is not None:
            return r2_score(y, predicted)
        rows = list(_parts(X, segments).values())
        values = validate_data(self, X, dtype=np.float64, reset=False)
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

        def last_prediction(window: np.ndarray) -> np.ndarray:
            past = torch.from_numpy(self._standardised(window)).unsqueeze(0)
            target = self._forecast(past, 1)[0, 0]
            return target[0] if self._flat_target else target

        nothing = np.empty((0, self.n_features_in_))
        return Stream(last_prediction, nothing, self.network_.lags, self.n_features_in_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        return tags

    @property
    def _target_scaler(self) -> StandardScaler:
        return self._y_scaler or self.scaler_

    def _fit(self, X, y, segments, go_on: bool):
        with self._all_or_nothing():
            self._check_parameters()
            self._fit_checked(X, y, segments, go_on)
        return self

    def _fit_checked(self, X, y, segments, go_on: bool) -> None:
        dtype = [np.float64, np.float32]
        if y is None:
            X = validate_data(
                self, X, dtype=dtype, reset=not go_on, ensure_min_samples=2
            )
        else:
            X, y = validate_data(
                self,
                X,
                y,
                dtype=dtype,
                multi_output=True,
                y_numeric=True,
                reset=not go_on,
            )
        known = go_on or (self.warm_start and hasattr(self, "network_"))
        weights = self.network_.state_dict() if known else None
        if not known:
            self.scaler_ = StandardScaler().fit(np.asarray(X, float))
            self._y_scaler, self._flat_target = None, y is not None and y.ndim == 1
            if y is not None:
                self._y_scaler = StandardScaler().fit(_columns(y))
        elif (y is None) != (self._y_scaler is None):
            raise ValueError(
                "Training goes on from a regressor that was fitted "
                f"{'without' if y is not None else 'with'} y; pass the same."
            )
        history = dict(self._history) if go_on else {}
        for label, table in self._tables(X, y, segments):
            if label in history:
                table = np.concatenate([history[label], table])
            history[label] = table
        self._history = history
        self._learn(self._rows(), weights)

    def _tables(self, X, y, segments) -> Iterator[tuple[object, np.ndarray]]:
        """Each segment's standardised rows, of series and of targets beside them."""
        for label, rows in _parts(X, segments).items():
            table = self._standardised(X[rows])
            if y is not None:
                targets = standardise(_columns(y)[rows], self._y_scaler)
                table = np.column_stack([table, targets])
            yield label, table

    def _check_fitted(self) -> None:
        check_is_fitted(self)

    def _rows(self) -> Rows:
        """The history as the model wants it: targets one row below their windows.

        Series with fewer rows than a window begin with their first row repeated.
        """
        with_targets = self._y_scaler is not None
        n_inputs = self.n_features_in_ if with_targets else None
        tables = []
        for table in self._history.values():
            if with_targets:
                series = np.concatenate([table[:, :n_inputs], table[-1:, :n_inputs]])
                targets = np.concatenate([table[:1, n_inputs:], table[:, n_inputs:]])
                table = np.column_stack([series, targets])
            missing = max(0, self.lags + 1 - len(table))
            tables.append(np.concatenate([table[:1].repeat(missing, axis=0), table]))
        return Rows(tables, n_inputs)

    def _split(self, rows: Rows, horizon: int) -> tuple[Rows, Rows | None]:
        """Training and validation rows; short segments serve training alone."""
        if not (self.early_stopping and self.n_layers):
            return rows, None
        training, validation = [], []
        for values in rows.segments:
            try:
                first, last = split_by_time(
                    values, self.lags, horizon, self.validation_fraction
                )
            except ValueError:
                training.append(values)
                continue
            training.append(first)
            validation.append(last)
        if not validation:
            return rows, None
        return Rows(training, rows.n_inputs), Rows(validation, rows.n_inputs)


def _parts(X, segments) -> dict[object, np.ndarray]:
    """Row numbers of each segment, in the order of the table."""
    n_rows = len(X) if hasattr(X, "__len__") else X.shape[0]
    if segments is None:
        return {None: np.arange(n_rows)}
    segments = np.asarray(segments)
    check_consistent_length(segments, np.empty(n_rows))
    labels, first = np.unique(segments, return_index=True)
    ordered = labels[np.argsort(first)]
    return {label: np.flatnonzero(segments == label) for label in ordered.tolist()}


def _columns(y: np.ndarray) -> np.ndarray:
    return np.asarray(y, dtype=float).reshape(len(y), -1)

"""The regressor: rows are time steps, in scikit-learn's protocol."""

import numbers
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import Tags, check_consistent_length, check_scalar, column_or_1d
from sklearn.utils.validation import check_is_fitted, validate_data

from .._data.tables import check_sizes
from .._data.windows import Windows, windows_ending_at
from .._models.estimation import estimate
from .._models.regression import FittedRegression, Units, columns_of
from .._models.specification import Specification
from .._models.stream import Stream
from .._protocols.fitted import NetworkEstimator, fitted_attribute
from .._protocols.sharing import copy_of, replacement
from .._training.randomness import draw_seed
from .._var.extraction import collect_matrices

if TYPE_CHECKING:
    from typing_extensions import Self


class Regressor(NetworkEstimator, MultiOutputMixin, RegressorMixin, BaseEstimator):
    """From arrays whose rows are time steps to a fitted model, and back.

    A family of regressors says what is estimated. All that it knows is in ``_fitted``.
    """

    _specification: type[Specification]
    _fitted: FittedRegression

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        segments: ArrayLike | None = None,
    ) -> "Self":
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
        with replacement(self) as working:
            working._learn(X, y, segments, go_on=False)
        return self

    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        segments: ArrayLike | None = None,
    ) -> "Self":
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
        with replacement(self) as working:
            working._learn(X, y, segments, go_on=hasattr(working, "_fitted"))
        return self

    def predict(self, X: ArrayLike, *, segments: ArrayLike | None = None) -> np.ndarray:
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
        fitted, X = self._checked(X, [np.float64, np.float32])
        predicted = fitted.predictions(X, _parts(X, segments))
        return predicted.ravel() if fitted.is_flat else predicted

    def forecast(self, X: ArrayLike, steps: int) -> np.ndarray:
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
        view = copy_of(self)
        check_scalar(steps, "steps", numbers.Integral, min_val=1)
        if view._known().y_scaler is not None:
            raise ValueError(
                "forecast feeds forecasts of X back, but this regressor was fitted "
                "with y; fit it with y=None."
            )
        fitted, X = view._checked(X)
        values = fitted.standardised(X)
        rows = fitted.model.window_rows
        past = windows_ending_at(values, np.array([len(X) - 1]), rows)
        return fitted.after(past, steps)[0]

    def score(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        segments: ArrayLike | None = None,
    ) -> float:
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
        view = copy_of(self)
        fitted, predicted = view._known(), view.predict(X, segments=segments)
        if y is not None:
            return r2_score(y, predicted)
        if fitted.y_scaler is not None:
            raise ValueError("This regressor was fitted with y; pass y to score it.")
        _, values = view._checked(X)
        rows = list(_parts(values, segments).values())
        truth = np.concatenate([values[part[1:]] for part in rows])
        return r2_score(truth, np.concatenate([predicted[part[:-1]] for part in rows]))

    def stream(self) -> Stream:
        """Predict one new row at a time.

        Returns
        -------
        Stream
            Its ``push(row)`` returns what the last row of ``predict`` would be on all
            rows pushed so far, in constant time and memory.
        """
        return self._known().stream(getattr(self, "feature_names_in_", None))

    @overload
    def var_matrices(
        self, Y: ArrayLike, *, step: int = 1, return_intercept: Literal[False] = False
    ) -> np.ndarray: ...

    @overload
    def var_matrices(
        self, Y: ArrayLike, *, step: int = 1, return_intercept: Literal[True]
    ) -> tuple[np.ndarray, np.ndarray]: ...

    def var_matrices(
        self, Y: ArrayLike, *, step: int = 1, return_intercept: bool = False
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """VAR matrices of every window of a table, each taken for a whole history.

        Parameters
        ----------
        Y : Series, DataFrame or array
            n_rows >= lags rows of the series, in original units.
        step : int, default=1
            Steps ahead of the forecast that the matrices make of the window.
        return_intercept : bool, default=False
            Whether to return the intercepts as well.

        Returns
        -------
        matrices : ndarray of shape (n_rows - lags + 1, lags, n_targets, n_series)
            In original units; ``matrices[i, l - 1]`` is the matrix at lag l, rows
            respond, columns cause, for the window of rows i to i + lags - 1.
        intercepts : ndarray of shape (n_rows - lags + 1, n_targets)
            If asked for. The forecast is the intercept plus the matrices applied to
            the window.

        Raises
        ------
        ValueError
            If ``Y`` is too short or not a table that the estimator accepts, or
            ``step`` is less than one, or more than one after a fit with ``y``.
        """
        fitted, table = self._checked(Y)
        rows = fitted.model.window_rows
        if len(table) < rows:
            raise ValueError(
                f"Y has {len(table)} row(s), but the regressor sees windows of "
                f"{rows}; pass at least {rows} rows."
            )
        check_scalar(step, "step", numbers.Integral, min_val=1)
        if step > 1 and fitted.y_scaler is not None:
            raise ValueError(
                f"step={step} needs forecasts of X to feed back, but this regressor "
                "was fitted with y; leave step at 1 or fit it with y=None."
            )
        windows = Windows([fitted.standardised(table)], rows, 0)
        batches = fitted.matrices(windows, step=step)
        matrices, intercepts = collect_matrices(batches, len(windows))
        return (matrices, intercepts) if return_intercept else matrices

    @property
    def coef_(self) -> np.ndarray:
        """VAR matrices (lags, n_targets, n_series) in original units, lag 1 first.

        Rows respond and columns cause, as in statsmodels' ``coefs``; lag 1 is the
        newest row of a window. The average over the windows of the rows seen so far.
        """
        return self._known().average_matrices[0]

    @property
    def intercept_(self) -> np.ndarray:
        """VAR intercept (n_targets,) in original units, averaged like ``coef_``."""
        return self._known().average_matrices[1]

    alpha_ = fitted_attribute("model.closed_form.alpha", "Penalty of the closed form.")
    scaler_ = fitted_attribute("scaler", "Units of ``X``.")
    y_scaler_ = fitted_attribute("y_scaler", "Units of ``y``, if there was any.")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_fitted")

    def _without_history(self) -> "Regressor":
        """The same for files, but for the rows that predictions do not need."""
        short = copy_of(self)
        if hasattr(short, "_fitted"):
            short._fitted = short._fitted.without_history()
        return short

    def _check_fitted(self) -> None:
        check_is_fitted(self)

    def _known(self) -> "FittedRegression":
        check_is_fitted(self)
        return self._fitted

    def _checked(
        self, X: ArrayLike, dtype: Any = np.float64
    ) -> tuple["FittedRegression", np.ndarray]:
        """What was fitted, and a table that fits to it."""
        # A copy, so that another thread's fit does not come between the two.
        view = copy_of(self)
        X = validate_data(view, X, dtype=dtype, reset=False)
        check_sizes(X, "X", _columns(view, X))
        return view._known(), X

    def _learn(
        self, X: ArrayLike, y: ArrayLike | None, segments: ArrayLike | None, go_on: bool
    ) -> None:
        specification = self._specification.from_parameters(self.get_params(deep=False))
        goes_on = go_on or (self.warm_start and hasattr(self, "_fitted"))
        before = self._fitted if goes_on else None
        checks = {"dtype": [np.float64, np.float32], "reset": before is None}
        if y is None:
            least = 1 if go_on else 2
            X = validate_data(self, X, **checks, ensure_min_samples=least)
        else:
            X, y = validate_data(
                self, X, y, **checks, multi_output=True, y_numeric=True
            )
        check_sizes(X, "X", _columns(self, X))
        if y is not None:
            targets = columns_of(y)
            check_sizes(targets, "y", range(targets.shape[1]))
        parts = _parts(X, segments)
        if before is None:
            known = specification.rows_trained_on(
                {label: len(rows) for label, rows in parts.items()}
            )
            known = [rows[: known[label]] for label, rows in parts.items()]
            units = Units.of(X, y, np.concatenate(known))
        else:
            before.units.check_target(y)
            if go_on and before.averages is not None:
                raise ValueError(
                    "partial_fit needs the rows of the fit, but the regressor was "
                    "saved with history=False, without them. Save it with them, or "
                    "fit anew."
                )
            units = before.units.after(X, y)
        history = units.appended(before.history if go_on else {}, X, y, parts)
        rows = units.rows(history, int(specification.lags))
        weights = None if before is None else before.model.network.state_dict()
        specification = replace(specification, seed=draw_seed(self.random_state))
        model = estimate(specification, rows, weights)
        dtype = X.dtype if y is None else np.result_type(X, columns_of(y, None))
        self._fitted = FittedRegression(model, units, history, dtype)


def _columns(regressor: Regressor, X: np.ndarray) -> Sequence:
    """Names of the columns of a checked table, else their numbers."""
    return getattr(regressor, "feature_names_in_", range(X.shape[1]))


def _parts(X: np.ndarray, segments: ArrayLike | None) -> dict[object, np.ndarray]:
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

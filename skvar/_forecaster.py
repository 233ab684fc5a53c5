"""sktime's protocol, and scikit-learn's, around a network that reads windows."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from sklearn.preprocessing import StandardScaler
from sklearn.utils import InputTags, Tags, TargetTags
from sktime.forecasting.base import BaseForecaster, ForecastingHorizon

from ._estimator import SktimeEstimator
from ._model import Rows, WindowModel
from ._stream import Stream
from ._tables import (
    as_frame,
    check_continues,
    continue_index,
    is_table,
    regular_step,
)
from ._windows import Windows, validation_rows

# What warm_start carries from one fit to the next.
_LEARNED_STATE = ("network_", "scaler_", "feature_names_in_")


class WindowForecaster(SktimeEstimator, WindowModel, BaseForecaster):
    """From tables to the rows of a model, and from its forecasts to tables."""

    _tags = {
        "authors": "skvar developers",
        "maintainers": "skvar developers",
        "python_dependencies": ["torch", "skorch"],
        "capability:multivariate": True,
        "capability:exogenous": False,
        "capability:insample": True,
        "capability:pred_int": False,
        "capability:missing_values": False,
        "capability:update": True,
        "capability:random_state": True,
        "property:randomness": "derandomized",
        "y_inner_mtype": "pd.DataFrame",
        "X_inner_mtype": "pd.DataFrame",
        "requires-fh-in-fit": False,
    }
    # The forecaster keeps its own history, in standardised units.
    _config = {"remember_data": False}
    _y = _X = None

    # fit and update

    def fit(self, y, X=None, fh=None):
        """Fit to a table of series.

        Parameters
        ----------
        y : Series, DataFrame, or array of shape (n_rows,) or (n_rows, n_series)
            Rows are consecutive, equally spaced times. sktime's panels are fitted one
            instance at a time.
        X : None
            Ignored.
        fh : int, list, array, Index or ForecastingHorizon, optional
            If ``horizon`` is None, its last step ahead is the trained horizon.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If ``y`` is too short, irregular, or holds NaN or inf, or a parameter is
            out of range. The forecaster then stays as it was before the call.
        """
        with self._all_or_nothing():
            return super().fit(y, X=X, fh=fh)

    def update(self, y, X=None, update_params=True):
        """Append new rows to the history and, by default, learn from them.

        Parameters
        ----------
        y : table like that of fit
            Rows that follow on the history without a gap; rows with known times
            replace the old ones. An array continues the time index.
        X : None
            Ignored.
        update_params : bool
            Whether to train on from the present weights on the longer history (closed
            forms are solved anew) or only to forecast from the new last row.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If rows are missing between history and ``y``, or ``y`` is invalid. The
            forecaster then stays as it was before the call.

        Notes
        -----
        As everywhere in sktime, the cutoff moves to the last row of ``y``, also where
        the history goes on after it: forecasts then see the rows up to there.
        """
        with self._all_or_nothing():
            return super().update(y, X=X, update_params=update_params)

    @property
    def _kept_by_reset(self):
        kept = super()._kept_by_reset
        return kept + _LEARNED_STATE if self.warm_start else kept

    def _check_X_y(self, X=None, y=None, **kwargs):
        # sktime lets inf, duplicate columns and gaps through.
        if is_table(y):
            frame = as_frame(y, "y", getattr(self, "feature_names_in_", None))
            if self.is_fitted and not isinstance(y, np.ndarray):
                check_continues(frame.index, self._index, self._step, "y")
            else:
                regular_step(frame.index, "y")
        X_inner, y_inner = super()._check_X_y(X=X, y=y, **kwargs)
        # sktime restarts arrays at time 0.
        if isinstance(y, np.ndarray) and y.ndim < 3 and self.is_fitted:
            y_inner.index = continue_index(self._index, self._step, len(y_inner))
        return X_inner, y_inner

    def _set_cutoff_from_y(self, y):
        super()._set_cutoff_from_y(y)
        if self.is_fitted:
            self._step_the_cutoff()

    def _step_the_cutoff(self) -> None:
        # sktime cannot know the step of a few timestamps without a freq.
        if isinstance(self._cutoff, pd.DatetimeIndex):
            self._cutoff = pd.DatetimeIndex(self._cutoff, freq=self._step)

    def _fit(self, y, X, fh):
        self._check_parameters()
        self._index, self._step = y.index, regular_step(y.index, "y")
        self._step_the_cutoff()
        self.horizon_ = self._horizon_from(fh)
        warm = self.warm_start and hasattr(self, "network_")
        weights = self.network_.state_dict() if warm else None
        if not warm:
            self.feature_names_in_ = y.columns
            self.scaler_ = StandardScaler().fit(y.to_numpy(dtype=float))
        self.n_features_in_ = len(self.feature_names_in_)
        self._history = self._standardised(y.to_numpy())
        self._learn(self._rows(self._window_rows), weights)
        return self

    def _update(self, y, X=None, update_params=True):
        first_new = continue_index(self._index, self._step, 1)[0]
        if y.index[0] > first_new:
            raise ValueError(
                f"y begins at {y.index[0]}, but the history ends at "
                f"{self._index[-1]}: the rows from {first_new} on are missing. Pass "
                "them as well, or fit anew."
            )
        kept = ~self._index.isin(y.index)
        index = self._index[kept].append(y.index)
        order = index.argsort()
        check_continues(index[order], self._index, self._step, "the history with y")
        history = [self._history[kept], self._standardised(y.to_numpy())]
        self._index, self._history = index[order], np.concatenate(history)[order]
        self._computed = {}
        if update_params:
            self._check_parameters()
            n_known = self._index.get_indexer(self.cutoff)[0] + 1
            known = Rows([self._history[:n_known]])
            self._learn(known, self.network_.state_dict())
        return self

    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._check_counts("horizon", optional=True)

    def _horizon_from(self, fh: ForecastingHorizon | None) -> int:
        if self.horizon is not None:
            return self.horizon
        if fh is None:
            return 1
        return max(1, int(fh.to_relative(self.cutoff).to_numpy().max()))

    # forecasts

    def predict(self, fh=None, X=None):
        """Forecast at a horizon, or after the last row of a table of history.

        Parameters
        ----------
        fh : int, list, array, Index or ForecastingHorizon; or table
            A horizon relative to the cutoff or in absolute times: in-sample times get
            one-step-ahead forecasts, times beyond the trained horizon come from
            feeding forecasts back. A Series, a DataFrame or an array of two dimensions
            is a history of at least ``lags`` rows instead.
        X : None
            Ignored.

        Returns
        -------
        Series, DataFrame or array
            In original units. For a history, the ``horizon`` rows that follow it, in
            the same container.

        Raises
        ------
        ValueError
            If the history is too short or has other columns than the table in fit.
        """
        if isinstance(fh, (pd.Series, pd.DataFrame)) or getattr(fh, "ndim", 0) == 2:
            return self._predict_after(fh)
        with self._all_or_nothing():
            return super().predict(fh=fh, X=X)

    @property
    def n_parameters_(self) -> int:
        """Estimated numbers that the forecasts depend on."""
        trained = sum(parameter.numel() for parameter in self.network_.parameters())
        return getattr(self.network_, "n_parameters", trained)

    def rolling_forecast(self, Y):
        """Forecast after every window of a table, without refitting.

        Parameters
        ----------
        Y : Series, DataFrame or array
            n_rows >= lags rows in original units.

        Returns
        -------
        ndarray of shape (n_rows - lags + 1, horizon, n_series)
            In original units; entry i follows rows i to i + lags - 1, and for a
            forecaster that carries a state all rows before them as well.
        """
        return np.concatenate(list(self._rolling(Y)))

    def stream(self):
        """Forecast after one new observation at a time.

        Returns
        -------
        Stream
            Continues the history up to the cutoff: ``push(row)`` returns the
            ``horizon`` rows that follow, of shape (horizon, n_series) in original
            units, in constant time and memory. Forecaster and stream do not change each
            other.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        self._check_fitted()
        n_known = self._index.get_indexer(self.cutoff)[0] + 1
        return Stream(self, self._history[:n_known])

    def _rolling(self, Y, ends=None, steps=None) -> Iterator[np.ndarray]:
        """Forecasts after some rows of a table, by default after every full window."""
        windows = self._windows(Y, "Y")
        if ends is None:
            ends = np.arange(windows.lags - 1, len(windows.values))
        return self._forecasts(windows.values.numpy(), ends, steps or self.horizon_)

    def _predict(self, fh, X=None):
        steps = fh.to_relative(self.cutoff).to_numpy().astype(int)
        position = self._index.get_indexer(self.cutoff)[0] + steps
        if position.min() < 0:
            raise ValueError(
                f"fh reaches {-position.min()} row(s) before the first row of the "
                "history; forecasts begin at that row."
            )
        values = np.empty((len(steps), self.n_features_in_))
        ahead, now = steps > 0, position - steps
        if not ahead.all():
            before = position[~ahead] - 1
            parts = list(self._forecasts(self._history, before, 1))
            values[~ahead] = np.concatenate(parts)[:, 0]
        if ahead.any():
            [path] = self._forecasts(self._history, now[:1], steps.max())
            values[ahead] = path[0, steps[ahead] - 1]
        index = fh.to_absolute_index(self.cutoff)
        return pd.DataFrame(values, index, self.feature_names_in_)

    def _predict_after(self, history):
        past = self._windows(history, "the history passed to predict").values.numpy()
        [[values]] = self._forecasts(past, np.array([len(past) - 1]), self.horizon_)
        if isinstance(history, np.ndarray):
            return values
        index = continue_index(history.index, self._step, self.horizon_)
        if isinstance(history, pd.Series):
            return pd.Series(values[:, 0], index, name=history.name)
        return pd.DataFrame(values, index, history.columns)

    def _windows(self, table, name: str) -> Windows:
        """Windows without a future over a table in original units."""
        self._check_fitted()
        frame = as_frame(table, name, self.feature_names_in_)
        if not isinstance(table, np.ndarray):
            check_continues(frame.index, self._index, self._step, name)
        lags = self.network_.lags
        if len(frame) < lags:
            raise ValueError(
                f"{name} has {len(frame)} row(s), but the forecaster sees windows of "
                f"{lags}; pass at least {lags} rows."
            )
        return Windows([self._standardised(frame.to_numpy())], lags, 0)

    def _rows(self, lags: int) -> Rows:
        return Rows([self._history])

    def _split(self, rows: Rows, horizon: int) -> tuple[Rows, Rows | None]:
        # A forecaster says so rather than do without what it was asked for.
        n_rows, least = len(rows.segments[0]), self._window_rows + horizon
        remedy = "Pass more rows or lower lags or horizon"
        seen = f"lags={self.lags}"
        if self._window_rows > self.lags:
            seen += f", memory={self._window_rows - self.lags}"
        held_out = ""
        if self.early_stopping and self.n_layers:
            n_valid = validation_rows(n_rows, horizon, self.validation_fraction)
            held_out = f" and a validation block of {n_valid} rows"
            remedy += ", or set early_stopping=False to do without the block"
            least += n_valid
        if n_rows < least:
            raise ValueError(
                f"{n_rows} rows are too few for {seen}, horizon={horizon}{held_out}: "
                f"at least {least} are needed. {remedy}."
            )
        return super()._split(rows, horizon)

    def _after(self, window: np.ndarray) -> np.ndarray:
        return self._forecast(torch.from_numpy(window).unsqueeze(0), self.horizon_)[0]

    def _check_fitted(self) -> None:
        self.check_is_fitted()
        if self._is_vectorized:
            raise ValueError(
                f"This {type(self).__name__} was fitted on a panel and holds one "
                "forecaster for each instance in forecasters_; call that of one "
                "instance."
            )

    # scikit-learn

    def __sklearn_tags__(self) -> Tags:
        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            input_tags=InputTags(),
        )

"""sktime's forecaster protocol where ours differs: each override says why.

Seen in sktime 1.2, whose private hooks these are, and scikit-learn 1.9.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from sklearn.utils import InputTags, Tags, TargetTags
from sktime.forecasting.base import BaseForecaster, ForecastingHorizon

from .._data.tables import (
    as_frame,
    common_step,
    continue_index,
    floats_of,
    is_table,
    join_panel,
    regular_step,
    split_panel,
    steps_to,
    times_around,
    times_from,
)
from .._protocols.sharing import reading, writing
from .._protocols.sktime import SktimeEstimator
from .history import name_of
from .state import ForecasterState

# Of times: steps ahead, or times themselves.
Horizon: TypeAlias = int | Sequence[int] | np.ndarray | pd.Index | ForecastingHorizon


class SktimeForecaster(SktimeEstimator, BaseForecaster):
    """A forecaster that keeps all it knows in ``_fitted``, a `ForecasterState`."""

    _tags = {
        "authors": "skvar developers",
        "maintainers": "skvar developers",
        "python_dependencies": ["torch", "skorch"],
        "capability:multivariate": True,
        "capability:exogenous": True,
        "capability:non_contiguous_X": False,
        "capability:insample": True,
        "capability:pred_int": True,
        "capability:pred_int:insample": True,
        "capability:pretrain": True,
        "pretrain:fitted_params": ["pretrained_"],
        "capability:missing_values": True,
        "capability:update": True,
        "capability:random_state": True,
        "property:randomness": "derandomized",
        "y_inner_mtype": ["pd.DataFrame", "pd-multiindex", "pd_multiindex_hier"],
        "X_inner_mtype": ["pd.DataFrame", "pd-multiindex", "pd_multiindex_hier"],
        "requires-fh-in-fit": False,
    }
    # The history keeps the rows; sktime is to keep none.
    _config = {"remember_data": False}
    _y = _X = None
    _fitted: ForecasterState | None = None
    _y_metadata: dict

    # sktime passes horizons and cutoffs through attributes of the forecaster, which
    # threads would share.
    fit_predict = writing(BaseForecaster.fit_predict)
    update_predict = writing(BaseForecaster.update_predict)
    update_predict_single = writing(BaseForecaster.update_predict_single)
    predict_quantiles = reading(BaseForecaster.predict_quantiles)
    predict_interval = reading(BaseForecaster.predict_interval)
    predict_var = reading(BaseForecaster.predict_var)
    predict_proba = reading(BaseForecaster.predict_proba)

    def _after_reading(self, view) -> None:
        # sktime remembers the last horizon, unless another fit has come between.
        if self._fitted is view._fitted:
            self._fh = view._fh

    def _check_fitted(self) -> None:
        self.check_is_fitted()

    def _check_fh(self, fh, **kwargs):
        # sktime knows no horizon but those of fit and of earlier calls.
        known = fh is not None or self._fh is not None
        if not known and self.is_fitted and self.horizon is not None:
            fh = np.arange(1, self.horizon_ + 1)
        return super()._check_fh(fh, **kwargs)

    def _check_X_y(self, X=None, y=None, **kwargs):
        # sktime lets inf, duplicate columns and gaps through.
        if is_table(y):
            frame = self._check_table(y, "y")
            if not self.is_fitted:
                regular_step(frame.index, "y")
            # Floats, of whatever numbers: sktime would pass bool on as objects. Copies,
            # as sktime makes of arrays: who passed a table may change it later.
            if isinstance(y, pd.DataFrame):
                y = frame.set_axis(y.columns, axis=1).copy()
            elif isinstance(y, pd.Series):
                y = frame.iloc[:, 0].rename(y.name).copy()
        elif _is_panel_frame(y):
            y = pd.DataFrame(floats_of(y, "y"), y.index, y.columns, copy=True)
        if _is_panel_frame(X):
            X = pd.DataFrame(floats_of(X, "X"), X.index, X.columns, copy=True)
        elif isinstance(X, pd.DataFrame) and is_table(X):
            X = as_frame(X, "X", missing=True).copy()
        if is_table(X) and y is not None and not is_table(y):
            raise ValueError(
                "y is a panel, but X a single table; pass the covariates of every "
                "instance."
            )
        X_inner, y_inner = super()._check_X_y(X=X, y=y, **kwargs)
        is_single = self.is_fitted and not self._fitted.history.is_panel
        if y is not None and not is_table(y):
            y_inner = self._check_panel(y, y_inner)
        elif isinstance(y, np.ndarray) and is_single:
            y_inner = self._continued(y_inner)
        if isinstance(X, np.ndarray) and self.is_fitted:
            X_inner = self._continued(X_inner)
        return X_inner, y_inner

    def _check_table(self, table, name: str) -> pd.DataFrame:
        """A table of the targets, if these are known, on the known grid of times."""
        # Also before a fit that warm_start makes go on.
        if self._fitted is None:
            return as_frame(table, name, missing=True)
        history = self._fitted.history
        targets = history.schema.targets
        if not self.is_fitted:
            return as_frame(table, name, targets, missing=True)
        return history.check_table(table, name, targets)

    def _check_panel(self, y, panel: pd.DataFrame) -> pd.DataFrame:
        """A panel whose instances have passed as tables."""
        if isinstance(y, np.ndarray) and self.is_fitted:
            panel = self._continued(panel)
        tables = split_panel(panel)
        for key, table in tables.items():
            tables[key] = self._check_table(table, name_of(key))
        if not self.is_fitted:
            common_step({name_of(key): table.index for key, table in tables.items()})
        return join_panel(tables, panel.index.names)

    def _continued(self, panel: pd.DataFrame) -> pd.DataFrame:
        """A table or panel, made of an array, with times that follow the history.

        sktime restarts arrays at time 0.
        """
        tables, history = split_panel(panel), self._fitted.history
        for key, table in tables.items():
            known = history.series.get(key)
            index = self.cutoff if known is None else known.index
            times = continue_index(index, history.schema.step, len(table))
            tables[key] = table.set_axis(times)
        return join_panel(tables, panel.index.names)

    def _set_cutoff_from_y(self, y):
        # sktime would look for the step, which it does not find of every kind.
        last = [table.index[-1:] for table in split_panel(y).values() if len(table)]
        if last:
            self._cutoff = max(last, key=lambda time: time[0])
        if self.is_fitted:
            self._step_the_cutoff(self._fitted.history.schema.step)

    def _step_the_cutoff(self, step) -> None:
        # sktime cannot know the step of a few timestamps without a freq.
        if isinstance(self._cutoff, pd.DatetimeIndex):
            # Equal steps have several labels, which an index would not take on.
            now, name = self._cutoff[0], self._cutoff.name
            self._cutoff = times_from(now, step, 1).rename(name)

    def _steps_of(self, fh: ForecastingHorizon, step=None) -> np.ndarray:
        """Steps from the cutoff, of the history or those given; at most 0 in-sample.

        sktime counts in periods, which some steps have none of and which do not know
        when clocks change.
        """
        step = self._fitted.history.schema.step if step is None else step
        times = fh.to_pandas()
        if fh.is_relative and not isinstance(times, pd.TimedeltaIndex):
            return times.to_numpy().astype(int)
        return steps_to(times, self.cutoff, step, "fh")

    def _steps_and_times_of(
        self, fh: ForecastingHorizon
    ) -> tuple[np.ndarray, pd.Index]:
        """Steps from the cutoff, and the times on the grid of the history."""
        steps, step = self._steps_of(fh), self._fitted.history.schema.step
        return steps, times_around(self.cutoff, step, steps)

    def _residuals_of(self, y, X):
        # sktime would count the steps to the times of y.
        self._fh = None
        return BaseForecaster.predict_residuals(self, y=y, X=X)

    def _as_after_fit(self, table: pd.DataFrame, fh: ForecastingHorizon | None) -> None:
        """What sktime's fit does around ``_fit``, for the last rows of a long table."""
        _, table = self._check_X_y(y=table)
        self._update_y_X(table, None)
        self._check_fh(fh)
        self._is_vectorized = False
        self._state = "fitted"

    def _as_forecaster_of_a_table(self) -> None:
        """Forget that ``y`` was a panel, whose container sktime would return."""
        self._y_metadata = self._y_metadata | {
            "mtype": "pd.DataFrame",
            "scitype": "Series",
        }
        self._y_mtype_last_seen = "pd.DataFrame"

    def __sklearn_tags__(self) -> Tags:
        # Forecasters of sktime have none.
        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            input_tags=InputTags(),
        )


def _is_panel_frame(data: Any) -> bool:
    return isinstance(data, pd.DataFrame) and isinstance(data.index, pd.MultiIndex)

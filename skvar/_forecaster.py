"""sktime's protocol, and scikit-learn's, around a network that reads windows."""

import copy
import hashlib
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from sklearn.preprocessing import StandardScaler
from sklearn.utils import InputTags, Tags, TargetTags
from sktime.forecasting.base import BaseForecaster, ForecastingHorizon
from torch import nn

from ._estimator import SktimeEstimator
from ._fill import fill, fill_weights
from ._inference import squared_errors
from ._model import Rows, WindowModel
from ._stream import Stream
from ._tables import (
    as_frame,
    check_continues,
    check_observed,
    continue_index,
    is_table,
    join_panel,
    position,
    regular_step,
    split_panel,
)
from ._training import TrainingRecord
from ._uncertainty import Uncertainty
from ._windows import Windows, validation_rows

# What warm_start carries from one fit to the next.
_LEARNED_STATE = ("network_", "scaler_", "feature_names_in_")


class WindowForecaster(Uncertainty, SktimeEstimator, WindowModel, BaseForecaster):
    """From tables to the rows of a model, and from its forecasts to tables."""

    _tags = {
        "authors": "skvar developers",
        "maintainers": "skvar developers",
        "python_dependencies": ["torch", "skorch"],
        "capability:multivariate": True,
        "capability:exogenous": False,
        "capability:insample": True,
        "capability:pred_int": True,
        "capability:pred_int:insample": True,
        "capability:pretrain": True,
        "pretrain:fitted_params": ["pretrained_network_", "pretrained_horizon_"],
        "capability:missing_values": True,
        "capability:update": True,
        "capability:random_state": True,
        "property:randomness": "derandomized",
        "y_inner_mtype": ["pd.DataFrame", "pd-multiindex", "pd_multiindex_hier"],
        "X_inner_mtype": ["pd.DataFrame", "pd-multiindex", "pd_multiindex_hier"],
        "requires-fh-in-fit": False,
    }
    _takes_missing = True
    # The forecaster keeps its own history.
    _config = {"remember_data": False}
    _y = _X = None
    # Of an instance of a panel, the forecaster of all and the instance.
    _whole = _key = None

    # fit and update

    def fit(self, y, X=None, fh=None):
        """Fit to a table of series, or to a panel of such tables.

        Parameters
        ----------
        y : Series, DataFrame, or array of shape (n_rows,) or (n_rows, n_series)
            Rows are consecutive, equally spaced times. A panel or hierarchy (DataFrame
            with a MultiIndex, list of DataFrames, or array of shape (n_instances,
            n_series, n_rows)) trains one network on all its instances, each in units
            of its own; their order does not matter.
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

        Notes
        -----
        After ``pretrain``, training begins with what was learned there. It is kept as
        it is, and training left out, where ``y`` is too short to train on, or where
        training on all rows but the last ones does not forecast these better.
        """
        with self._all_or_nothing():
            return super().fit(y, X=X, fh=fh)

    def pretrain(self, y, X=None, fh=None):
        """Learn from a panel what fits to other series then begin with.

        Parameters
        ----------
        y : panel or hierarchy
            As in ``fit``.
        X : None
            Ignored.
        fh : int, list, array, Index or ForecastingHorizon, optional
            If ``horizon`` is None, its last step ahead is the trained horizon, that of
            later fits too.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If ``y`` is a single table.
        ValueError
            As in ``fit``.
        """
        with self._all_or_nothing():
            return super().pretrain(y, X=X, fh=fh)

    def update(self, y, X=None, update_params=True):
        """Append new rows to the history and, by default, learn from them.

        Parameters
        ----------
        y : table or panel like that of fit
            Rows that follow on the history without a gap; rows with known times
            replace the old ones. An array continues the time index. A panel may lack
            instances of the history, and bring new ones.
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
            self._check_table(y, "y")
        X_inner, y_inner = super()._check_X_y(X=X, y=y, **kwargs)
        if y is not None and not is_table(y):
            y_inner = self._check_panel(y, y_inner)
        elif isinstance(y, np.ndarray) and self.is_fitted:
            # sktime restarts arrays at time 0.
            y_inner.index = continue_index(self._index, self._step, len(y_inner))
        return X_inner, y_inner

    def _check_panel(self, y, panel: pd.DataFrame) -> pd.DataFrame:
        """A panel whose instances have passed as tables."""
        tables = split_panel(panel)
        for key, table in tables.items():
            old = self._tables.get(key) if self.is_fitted else None
            if isinstance(y, np.ndarray) and old is not None:
                table.index = continue_index(old.index, self._step, len(table))
            tables[key] = self._check_table(table, f"instance {key!r} of y")
        return join_panel(tables, panel.index.names[:-1])

    def _check_table(self, table, name: str) -> pd.DataFrame:
        """A table as a frame of the known series, on the known grid of times."""
        names = getattr(self, "feature_names_in_", None)
        frame = as_frame(table, name, names, missing=True)
        if self.is_fitted and not isinstance(table, np.ndarray):
            like = next(iter(self._tables.values())).index
            check_continues(frame.index, like, self._step, name)
        else:
            regular_step(frame.index, name)
        return frame

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
        self._tables, self._levels = split_panel(y), y.index.names[:-1]
        self._computed, self._later, self._n_learned = {}, {}, {}
        self._fill = None
        self._step = _common_step(self._tables)
        self._step_the_cutoff()
        self.horizon_ = self._horizon_from(fh)
        warm = self.warm_start and hasattr(self, "network_")
        if not warm:
            self.feature_names_in_ = y.columns
        if not warm or None not in self._tables:
            scalers = {key: _scaler(t, key) for key, t in self._tables.items()}
            self.scaler_ = scalers.get(None, scalers)
        self.n_features_in_ = len(self.feature_names_in_)
        if warm:
            self._learn_from(self.network_)
        elif hasattr(self, "pretrained_network_"):
            self._fine_tune(self.pretrained_network_)
        else:
            self._learn_from(None)
        return self

    def _pretrain(self, y, X=None, fh=None):
        # A clone has what was pretrained before, and goes on from there.
        panel = self.clone().fit(y, X=X, fh=fh)
        self.pretrained_network_ = panel.network_
        self.pretrained_horizon_ = panel.horizon_
        return self

    def _update(self, y, X=None, update_params=True):
        for key, rows in split_panel(y).items():
            if key in self._tables:
                self._tables[key] = self._appended(self._tables[key], rows)
            else:
                self._tables[key], self.scaler_[key] = rows, _scaler(rows, key)
        self._computed = {}
        if update_params:
            self._check_parameters()
            self._learn_from(self.network_)
        return self

    def _appended(self, table: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
        first_new = continue_index(table.index, self._step, 1)[0]
        if rows.index[0] > first_new:
            raise ValueError(
                f"y begins at {rows.index[0]}, but the history ends at "
                f"{table.index[-1]}: the rows from {first_new} on are missing. Pass "
                "them as well, or fit anew."
            )
        replaced = table.index.isin(rows.index)
        if replaced.any():
            self._later = {}
        longer = pd.concat([table[~replaced], rows]).sort_index()
        check_continues(longer.index, table.index, self._step, "the history with y")
        return longer

    def _learn_from(self, network: nn.Module | None) -> None:
        """Train on the rows up to the cutoff, from a network or from none."""
        weights = None if network is None else network.state_dict()
        self._learn(self._known_rows(), weights)
        self._later, self._n_learned = {}, self._n_rows()

    def _fine_tune(self, pretrained: nn.Module) -> None:
        """Train on from a network if that forecasts the last rows better."""
        rows, weights = self._known_rows(), pretrained.state_dict()
        network = self._network_with(rows, weights)
        training, held_out = rows.split(
            self._window_rows, self.horizon_, self.validation_fraction
        )
        longest = max(len(values) for values in training.segments)
        if held_out is not None and self._suffices(longest):
            self._learn(training, weights)
            windows = held_out.windows(network.lags, self.horizon_)
            trained, given = (
                squared_errors(some, windows).mean()
                for some in (self.network_, network)
            )
            if trained < given:
                return self._learn_from(pretrained)
        self.alpha_ = None
        self._keep(network, TrainingRecord())
        self._computed, self._later, self._n_learned = {}, {}, self._n_rows()

    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._check_counts("horizon", optional=True)

    def _horizon_from(self, fh: ForecastingHorizon | None) -> int:
        if self.horizon is not None:
            return self.horizon
        if hasattr(self, "pretrained_horizon_"):
            return self.pretrained_horizon_
        if fh is None:
            return 1
        return max(1, int(fh.to_relative(self.cutoff).to_numpy().max()))

    # forecasts

    def predict(self, fh=None, X=None):
        """Forecast at a horizon, or after the last row of a table of history.

        Parameters
        ----------
        fh : int, list, array, Index or ForecastingHorizon; or table or panel
            A horizon relative to the cutoff or in absolute times: in-sample times get
            one-step-ahead forecasts, times beyond the trained horizon come from
            feeding forecasts back. A Series, a DataFrame or an array of two dimensions
            is a history of at least ``lags`` rows instead. After a fit to a panel it
            may be a series that was not there, or a panel of such; it is taken in
            units of its own mean and standard deviations.
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

    def instance(self, key) -> "WindowForecaster":
        """The forecaster of one instance, after a fit to a panel.

        It shares the network, has the history and units of its instance, and can all
        that a forecaster fitted to a single table can.

        Parameters
        ----------
        key : label or tuple of labels
            Of the instance in the panel, all levels but that of the times.

        Returns
        -------
        forecaster of the same class

        Raises
        ------
        KeyError
            If there is no such instance.
        """
        self.check_is_fitted()
        if key not in self._tables or key is None:
            raise KeyError(
                f"{key!r} is no instance; there are {list(self._tables)[:10]}"
                f"{', ...' if len(self._tables) > 10 else ''}."
            )
        return self._member(key)

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
        return Stream(self, self._values()[: self._n_known])

    def _rolling(self, Y, ends=None, steps=None) -> Iterator[np.ndarray]:
        """Forecasts after some rows of a table, by default after every full window."""
        windows = self._windows(Y, "Y")
        if ends is None:
            ends = np.arange(windows.lags - 1, len(windows.values))
        return self._forecasts(windows.values.numpy(), ends, steps or self.horizon_)

    def _predict(self, fh, X=None):
        return self._each(lambda member: member._predict_table(fh))

    def _each(self, function: Callable) -> pd.DataFrame:
        """Tables that a function makes of the forecaster of each instance, as one."""
        tables = {key: function(member) for key, member in self._members().items()}
        return join_panel(tables, self._levels)

    def _predict_table(self, fh: ForecastingHorizon) -> pd.DataFrame:
        rows, last = self._rows_of(fh), self._n_known - 1
        if rows.min() < 0:
            raise ValueError(
                f"fh reaches {-rows.min()} row(s) before the first row of the "
                "history; forecasts begin at that row."
            )
        values = np.empty((len(rows), self.n_features_in_))
        ahead = rows > last
        if not ahead.all():
            parts = list(self._forecasts(self._values(), rows[~ahead] - 1, 1))
            values[~ahead] = np.concatenate(parts)[:, 0]
        if ahead.any():
            steps = rows[ahead] - last
            [path] = self._forecasts(self._values(), np.array([last]), steps.max())
            values[ahead] = path[0, steps - 1]
        index = fh.to_absolute_index(self.cutoff)
        return pd.DataFrame(values, index, self.feature_names_in_)

    def _rows_of(self, fh: ForecastingHorizon) -> np.ndarray:
        """Numbers of the rows that a horizon asks for, also beyond the last one."""
        now = position(self._index, self._step, self.cutoff[0])
        return now + fh.to_relative(self.cutoff).to_numpy().astype(int)

    def _predict_after(self, history):
        name = "the history passed to predict"
        if isinstance(getattr(history, "index", None), pd.MultiIndex):
            tables = {
                key: self._next_rows(table, f"instance {key!r} of {name}")
                for key, table in split_panel(history).items()
            }
            return join_panel(tables, history.index.names[:-1])
        rows = self._next_rows(history, name)
        if isinstance(history, np.ndarray):
            return rows.to_numpy()
        if isinstance(history, pd.Series):
            return rows.iloc[:, 0].rename(history.name)
        return rows.set_axis(history.columns, axis=1)

    def _next_rows(self, table, name: str) -> pd.DataFrame:
        """The rows that follow a table, which may be new to a panel."""
        self.check_is_fitted()
        member = self
        if None not in self._tables:
            frame = self._check_table(table, name)
            check_observed(frame, name)
            member = self._as_member(frame, _scaler(frame, None))
        past = member._windows(table, name).values.numpy()
        last = np.array([len(past) - 1])
        [[values]] = member._forecasts(past, last, self.horizon_)
        index = getattr(table, "index", pd.RangeIndex(len(past)))
        index = continue_index(index, self._step, self.horizon_)
        return pd.DataFrame(values, index, self.feature_names_in_)

    def _windows(self, table, name: str) -> Windows:
        """Windows without a future over a table in original units."""
        self._check_fitted()
        frame, lags = self._check_table(table, name), self.network_.lags
        if len(frame) < lags:
            raise ValueError(
                f"{name} has {len(frame)} row(s), but the forecaster sees windows of "
                f"{lags}; pass at least {lags} rows."
            )
        values = self._standardised(frame.to_numpy())
        observed = ~np.isnan(values)
        return Windows(
            [self._filled(values)],
            lags,
            0,
            observed=None if observed.all() else [observed],
        )

    # history

    def _members(self) -> dict[Hashable, "WindowForecaster"]:
        """The forecaster of each instance of a panel; of a single table, itself."""
        if None in self._tables:
            return {None: self}
        return {key: self._member(key) for key in self._tables}

    def _member(self, key: Hashable) -> "WindowForecaster":
        member = self._as_member(self._tables[key], self.scaler_[key])
        member._key = key
        member._n_learned = {None: self._n_learned.get(key, 0)}
        return member

    def _as_member(self, table: pd.DataFrame, scaler: StandardScaler):
        """A forecaster of one table that shares the network of a panel."""
        member = copy.copy(self)
        member._whole, member._computed = self, {}
        member._tables, member.scaler_ = {None: table}, scaler
        member._y_metadata = self._y_metadata | {
            "mtype": "pd.DataFrame",
            "scitype": "Series",
        }
        member._y_mtype_last_seen = "pd.DataFrame"
        return member

    @property
    def _index(self) -> pd.Index:
        """The times of the only table."""
        return self._tables[None].index

    @property
    def _n_known(self) -> int:
        """Rows of the only table up to the cutoff."""
        now = position(self._index, self._step, self.cutoff[0])
        return min(now + 1, len(self._index))

    def _n_rows(self) -> dict[Hashable, int]:
        """Rows up to the cutoff."""
        return {key: member._n_known for key, member in self._members().items()}

    def _values(self) -> np.ndarray:
        """The only table as the network sees it."""
        if "values" not in self._computed:
            values = self._standardised(self._tables[None].to_numpy())
            self._computed["values"] = self._filled(values)
        return self._computed["values"]

    def _filled(self, values):
        whole = self._whole or self
        if not np.isnan(values).any():
            return values
        if whole._fill is None:
            members = whole._members().values()
            rows = [m._standardised(m._tables[None].to_numpy()) for m in members]
            whole._fill = fill_weights([rows[i] for i in _by_content(rows)], self.lags)
        return fill(values, whole._fill)

    def _known_rows(self) -> Rows:
        """Rows up to the cutoff."""
        members = self._members().values()
        segments = [member._values()[: member._n_known] for member in members]
        observed = [
            member._tables[None].notna().to_numpy()[: member._n_known]
            for member in members
        ]
        order = _by_content(segments)
        complete = all(mask.all() for mask in observed)
        return Rows(
            [segments[i] for i in order],
            observed=None if complete else [observed[i] for i in order],
        )

    def _rows(self, lags: int) -> Rows:
        return Rows([self._values()])

    def _suffices(self, n_rows: int, horizon: int | None = None) -> bool:
        """Whether so many rows hold a window to train on, and those held out."""
        horizon = horizon or self.horizon_
        return n_rows >= self._window_rows + horizon + self._n_held_out(n_rows, horizon)

    def _n_held_out(self, n_rows: int, horizon: int) -> int:
        if not (self.early_stopping and self.n_layers):
            return 0
        return validation_rows(n_rows, horizon, self.validation_fraction)

    def _split(self, rows: Rows, horizon: int) -> tuple[Rows, Rows | None]:
        # A forecaster says so rather than do without what it was asked for.
        n_rows = max(len(values) for values in rows.segments)
        if not self._suffices(n_rows, horizon):
            remedy = "Pass more rows or lower lags or horizon"
            seen = f"lags={self.lags}"
            if self._window_rows > self.lags:
                seen += f", memory={self._window_rows - self.lags}"
            held_out, n_valid = "", self._n_held_out(n_rows, horizon)
            if n_valid:
                held_out = f" and a validation block of {n_valid} rows"
                remedy += ", or set early_stopping=False to do without the block"
            raise ValueError(
                f"{n_rows} rows are too few for {seen}, horizon={horizon}{held_out}: "
                f"at least {self._window_rows + horizon + n_valid} are needed. "
                f"{remedy}."
            )
        return super()._split(rows, horizon)

    def _after(self, window: np.ndarray) -> np.ndarray:
        return self._forecast(torch.from_numpy(window).unsqueeze(0), self.horizon_)[0]

    def _check_fitted(self) -> None:
        self.check_is_fitted()
        if None not in self._tables:
            raise ValueError(
                f"This {type(self).__name__} was fitted to a panel; instance(key) is "
                "its forecaster of one instance: call the method of that."
            )

    # scikit-learn

    def __sklearn_tags__(self) -> Tags:
        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            input_tags=InputTags(),
        )


def _scaler(table: pd.DataFrame, key: Hashable | None) -> StandardScaler:
    check_observed(table, "y" if key is None else f"instance {key!r} of y")
    return StandardScaler().fit(table.to_numpy(dtype=float))


def _common_step(tables: Mapping[Hashable, pd.DataFrame]) -> pd.DateOffset | int:
    """The step of every table."""
    steps = {regular_step(table.index, "y") for table in tables.values()}
    if len(steps) > 1:
        raise ValueError(
            f"The instances of y have different steps, {sorted(map(str, steps))}; "
            "bring them to one with asfreq(...) or resample(...)."
        )
    return steps.pop()


def _by_content(segments: Sequence[np.ndarray]) -> list[int]:
    """An order of segments that does not depend on the one they came in."""
    if len(segments) == 1:
        return [0]
    digests = [hashlib.sha256(values).digest() for values in segments]
    return sorted(range(len(segments)), key=digests.__getitem__)

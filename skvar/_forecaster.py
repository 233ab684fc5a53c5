"""sktime's protocol, and scikit-learn's, around a network that reads windows."""

import copy
from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from sklearn.utils import InputTags, Tags, TargetTags
from sktime.forecasting.base import BaseForecaster, ForecastingHorizon
from torch import Tensor, nn

from ._data.tables import (
    as_frame,
    common_step,
    continue_index,
    is_table,
    join_panel,
    regular_step,
    split_panel,
)
from ._data.windows import validation_rows
from ._estimator import SktimeEstimator
from ._history import History, name_of, units_of
from ._model import Rows, WindowModel
from ._stream import Stream
from ._training.inference import squared_errors
from ._training.loop import TrainingRecord
from ._uncertainty import Uncertainty

# What warm_start carries from one fit to the next.
_LEARNED_STATE = ("network_", "scaler_", "feature_names_in_", "_targets")


class WindowForecaster(
    Uncertainty, History, SktimeEstimator, WindowModel, BaseForecaster
):
    """From tables to the rows of a model, and from its forecasts to tables."""

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
        "pretrain:fitted_params": [
            "pretrained_network_",
            "pretrained_horizon_",
            "pretrained_covariates_",
        ],
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

    # fit and update

    def fit(self, y, X=None, fh=None):
        """Fit to a table of series, or to a panel of such tables.

        Parameters
        ----------
        y : Series, DataFrame, or array of shape (n_rows,) or (n_rows, n_series)
            Rows are consecutive, equally spaced times; NaN where a value is missing.
            A panel or hierarchy (DataFrame with a MultiIndex, list of DataFrames, or
            array of shape (n_instances, n_series, n_rows)) trains one network on all
            its instances, each in units of its own; their order does not matter.
        X : table or panel, optional
            Covariates, with the rows of ``y`` at least. Those that ``past_covariates``
            names become series of the network; the effect of the others, linear with
            lags, is estimated in closed form, and they must be known over the horizon.
            A missing value is taken to be the last one.
        fh : int, list, array, Index or ForecastingHorizon, optional
            If ``horizon`` is None, its last step ahead is the trained horizon.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If ``y`` is too short, irregular, holds inf or has a series without any
            value, covariates do not fit to it, or a parameter is out of range. The
            forecaster then stays as it was before the call.

        Notes
        -----
        After ``pretrain``, training begins with what was learned there. It is kept as
        it is, and training left out, where ``y`` is too short to train on, or where
        training on all rows but the last ones does not surely forecast these better: by
        a standard error.
        """
        with self._all_or_nothing():
            return super().fit(y, X=X, fh=fh)

    def pretrain(self, y, X=None, fh=None):
        """Learn from a panel what fits to other series then begin with.

        The forecaster itself is not fitted by this. Clones keep what was learned, and
        a further ``pretrain`` goes on from there.

        Parameters
        ----------
        y : panel or hierarchy
            As in ``fit``.
        X : panel or hierarchy, optional
            As in ``fit``. The effect that is found here is that of later fits, too.
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
        X : table or panel like y, optional
            Covariates of these rows, if any were fitted.
        update_params : bool
            Whether to train on from the present weights on the longer history (closed
            forms are solved anew) or only to forecast from the new last row.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If rows are missing between history and ``y``, ``y`` begins before the
            history or is a panel where the history is a table (or the other way
            round), or ``y`` is invalid. The forecaster then stays as it was before the
            call.

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
            frame = self._check_table(y, "y", getattr(self, "_targets", None))
            if not self.is_fitted:
                regular_step(frame.index, "y")
        if isinstance(X, pd.DataFrame) and is_table(X):
            X = as_frame(X, "X", missing=True)
        if is_table(X) and y is not None and not is_table(y):
            raise ValueError(
                "y is a panel, but X a single table; pass the covariates of every "
                "instance."
            )
        X_inner, y_inner = super()._check_X_y(X=X, y=y, **kwargs)
        if y is not None and not is_table(y):
            y_inner = self._check_panel(y, y_inner)
        elif isinstance(y, np.ndarray) and self.is_fitted and None in self._tables:
            y_inner = self._continued(y_inner)
        if isinstance(X, np.ndarray) and self.is_fitted:
            X_inner = self._continued(X_inner)
        return X_inner, y_inner

    def _check_panel(self, y, panel: pd.DataFrame) -> pd.DataFrame:
        """A panel whose instances have passed as tables."""
        if isinstance(y, np.ndarray) and self.is_fitted:
            panel = self._continued(panel)
        tables, names = split_panel(panel), getattr(self, "_targets", None)
        for key, table in tables.items():
            tables[key] = self._check_table(table, name_of(key), names)
        if not self.is_fitted:
            common_step({name_of(key): table.index for key, table in tables.items()})
        return join_panel(tables, panel.index.names)

    def _continued(self, panel: pd.DataFrame) -> pd.DataFrame:
        """A table or panel, made of an array, with times that follow the history.

        sktime restarts arrays at time 0.
        """
        tables = split_panel(panel)
        for key, table in tables.items():
            index = self._tables[key].index if key in self._tables else self.cutoff
            tables[key] = table.set_axis(continue_index(index, self._step, len(table)))
        return join_panel(tables, panel.index.names)

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
        self._remember_parameters()
        warm = self.warm_start and hasattr(self, "network_")
        self._take(y, X)
        self._step_the_cutoff()
        self.horizon_ = self._horizon_from(fh)
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
        if panel._known is not None:
            self.pretrained_covariates_ = panel._known
        return self

    def _update(self, y, X=None, update_params=True):
        self._extend_by(y, X)
        if update_params:
            self._check_parameters()
            self._n_learned, self._fill = self._n_rows(), None
            self._remember_parameters()
            self._learn_effect()
            self._learn_from(self.network_)
        return self

    def _learn_from(self, network: nn.Module | None) -> None:
        """Train on the rows up to the cutoff, from a network or from none."""
        weights = None if network is None else network.state_dict()
        self._learn(self._known_rows(), weights)
        self._begin_calibration()

    def _fine_tune(self, pretrained: nn.Module) -> None:
        """Train on from a network if that surely forecasts the last rows better."""
        rows, weights = self._known_rows(), pretrained.state_dict()
        network = self._network_with(rows, weights)
        training, held_out = rows.split(
            self._window_rows, self.horizon_, self.validation_fraction
        )
        longest = max(len(values) for values in training.segments)
        if held_out is not None and self._suffices(longest, self.horizon_):
            self._learn(training, weights)
            windows = held_out.windows(network.lags, self.horizon_)
            trained = squared_errors(self.network_, windows)
            if _surely(squared_errors(network, windows) - trained, self.horizon_):
                return self._learn_from(pretrained)
        self.alpha_ = None
        self._keep(network, TrainingRecord())
        self._computed = {}
        self._begin_calibration()

    def _remember_parameters(self) -> None:
        # Before training draws from a RandomState.
        self._learned_with = copy.deepcopy(self.get_params(deep=False))

    def _begin_calibration(self) -> None:
        self._calibration, self._later, self._n_learned = {}, {}, self._n_rows()

    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._check_counts("horizon", optional=True)
        for name in ("past_covariates", "calendar"):
            value = getattr(self, name)
            if value is not None and not pd.api.types.is_list_like(value):
                raise TypeError(f"{name}={value!r} must be a list of names.")

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
        X : table or panel, optional
            Known covariates, if any were fitted: every row after the last one of the
            history, up to the last one forecast. For a history passed here also those
            of its rows, and those before them whose lags act on these; past covariates
            of its rows are columns of X or of the history.

        Returns
        -------
        Series, DataFrame or array
            In original units. For a history, the ``horizon`` rows that follow it, in
            the same container.

        Raises
        ------
        ValueError
            If the history is too short or has other columns than the table in fit, or
            known covariates are missing.
        """
        if isinstance(fh, (pd.Series, pd.DataFrame)) or getattr(fh, "ndim", 0) == 2:
            return self._predict_after(fh, X)
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
        if None in self._tables:
            raise KeyError(
                f"There is no instance {key!r}: the forecaster was fitted to a single "
                "table, not to a panel."
            )
        if key not in self._tables:
            raise KeyError(
                f"{key!r} is no instance; there are {list(self._tables)[:10]}"
                f"{', ...' if len(self._tables) > 10 else ''}."
            )
        # Later changes of the panel's forecaster are its own.
        return self._twin()._member(key)

    @property
    def n_parameters_(self) -> int:
        """Estimated numbers that the forecasts depend on."""
        trained = sum(parameter.numel() for parameter in self.network_.parameters())
        of_network = getattr(self.network_, "n_parameters", trained)
        effects = () if self._known is None else self._known.weights
        return of_network + int(np.count_nonzero(effects))

    def rolling_forecast(self, Y, X=None):
        """Forecast after every window of a table, without refitting.

        Parameters
        ----------
        Y : Series, DataFrame or array
            n_rows >= lags rows in original units.
        X : DataFrame, optional
            Known covariates, if any were fitted, of these rows and as far beyond as
            they are known. Past covariates of these rows are columns of X or of Y.

        Returns
        -------
        ndarray of shape (n_rows - lags + 1, horizon, n_targets)
            In original units; entry i follows rows i to i + lags - 1, and for a
            forecaster that carries a state all rows before them as well. NaN where
            covariates are not known.
        """
        return np.concatenate(list(self._rolling(Y, X=X)))

    def stream(self):
        """Forecast after one new observation at a time.

        Returns
        -------
        Stream
            Continues the history up to the cutoff: ``push(row)`` returns the
            ``horizon`` rows that follow, of shape (horizon, n_targets) in original
            units, in constant time and memory. Rows hold past covariates as well, and
            NaN where a value is missing. Forecaster and stream do not change each
            other.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            With known covariates.
        """
        self._check_fitted()
        if self._known is not None:
            raise ValueError(
                "A stream has no known covariates, with which this forecaster was "
                "fitted; use update(y, X, update_params=False) and predict(fh, X)."
            )
        return Stream(self, self._values()[: self._n_known])

    def _rolling(self, Y, ends=None, steps=None, X=None) -> Iterator[np.ndarray]:
        """Forecasts after some rows of a table, by default after every full window."""
        windows, steps = self._windows_beside(Y, "Y", X), steps or self.horizon_
        if ends is None:
            ends = np.arange(windows.lags - 1, len(windows.values))
        effects = self._effects_after(_times_of(Y), X, steps)
        for forecasts in self._forecasts(windows.values.numpy(), ends, steps):
            some, ends = np.split(ends, [len(forecasts)])
            if effects is not None:
                forecasts = forecasts + effects[some + 1]
            yield forecasts[..., self._shown]

    def _effects_after(self, index, X, steps: int) -> np.ndarray | None:
        """Effect of covariates (n_rows + 1, steps, n_series) from each row on.

        NaN from the first row on that X lacks.
        """
        if self._known is None:
            return None
        times = index.append(continue_index(index, self._step, steps))
        known = times
        if len(self._known.names):
            known = times[times.isin(pd.DataFrame(X).index).cumprod() == 1]
        effects = np.full((len(times), self.n_features_in_), np.nan)
        effects[: len(known)], _ = self._effects_at(known, X)
        ahead = np.lib.stride_tricks.sliding_window_view(effects, steps, axis=0)
        return ahead.swapaxes(1, 2)

    @property
    def _shown(self) -> slice:
        """The series that are forecast for the user: not past covariates."""
        return slice(len(self._targets))

    def _predict(self, fh, X=None):
        return self._each(lambda member, X: member._predict_table(fh, X), X)

    def _predict_table(self, fh: ForecastingHorizon, X) -> pd.DataFrame:
        """Forecasts of the only table."""
        rows, last = self._rows_of(fh), self._n_known - 1
        if rows.min() < 0:
            raise ValueError(
                f"fh reaches {-rows.min()} row(s) before the first row of the "
                "history; forecasts begin at that row."
            )
        values = self._effects(max(rows.max(), last) + 1, X)[rows]
        ahead = rows > last
        if not ahead.all():
            parts = list(self._forecasts(self._values(), rows[~ahead] - 1, 1))
            values[~ahead] += np.concatenate(parts)[:, 0]
        if ahead.any():
            steps = rows[ahead] - last
            [path] = self._forecasts(self._values(), np.array([last]), steps.max())
            values[ahead] += path[0, steps - 1]
        index = fh.to_absolute_index(self.cutoff)
        return pd.DataFrame(values[:, self._shown], index, self._targets)

    def _predict_after(self, history, X):
        name = "the history passed to predict"
        if isinstance(getattr(history, "index", None), pd.MultiIndex):
            parts = split_panel(X)
            tables = {
                key: self._next_rows(table, name_of(key, name), parts.get(key))
                for key, table in split_panel(history).items()
            }
            return join_panel(tables, history.index.names)
        rows = self._next_rows(history, name, X)
        if isinstance(history, np.ndarray):
            return rows.to_numpy()
        if isinstance(history, pd.Series):
            return rows.iloc[:, 0].rename(history.name)
        return rows.set_axis(history.columns[self._shown], axis=1)

    def _next_rows(self, table, name: str, X) -> pd.DataFrame:
        """The rows that follow a table, which may be new to a panel."""
        self.check_is_fitted()
        member = self
        if None not in self._tables:
            table = self._with_past(table, name, X)
            frame = self._check_table(table, name)
            member = self._as_member(frame, units_of(frame, name))
        past = member._windows_beside(table, name, X).values.numpy()
        last = np.array([len(past) - 1])
        [[values]] = member._forecasts(past, last, self.horizon_)
        times = _times_of(table)
        index = continue_index(times, self._step, self.horizon_)
        if self._known is not None:
            member._covariates_at(X, index)
            [*_, effects] = member._effects_after(times, X, self.horizon_)
            values = values + effects
        return pd.DataFrame(values[:, self._shown], index, self._targets)

    def _suffices(self, n_rows: int, horizon: int) -> bool:
        """Whether so many rows hold a window to train on, and those held out."""
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
        past = torch.from_numpy(window).unsqueeze(0)
        return self._forecast(past, self.horizon_)[0, :, self._shown]

    # scikit-learn

    def __sklearn_tags__(self) -> Tags:
        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            input_tags=InputTags(),
        )


def _times_of(table) -> pd.Index:
    """The time index of a table; rows of arrays are numbered."""
    return getattr(table, "index", pd.RangeIndex(len(table)))


def _surely(gain: Tensor, horizon: int) -> bool:
    """Whether a mean is above its standard error, windows of a horizon being one."""
    n_sure = len(gain) / horizon
    return len(gain) > 1 and bool(gain.mean() * n_sure**0.5 > gain.std())

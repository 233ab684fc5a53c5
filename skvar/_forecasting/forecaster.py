"""The forecaster: tables in, forecasts, intervals and matrices out."""

import numbers
import warnings
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import pandas as pd
from sklearn.utils import check_scalar
from sktime.datatypes import convert_to
from sktime.forecasting.base import BaseForecaster, ForecastingHorizon

from .._data.tables import as_frame, continue_index, join_panel, split_panel
from .._models.fitted import FittedModel
from .._models.specification import Specification, check_count
from .._models.stream import Stream
from .._protocols.fitted import NetworkEstimator, fitted_attribute
from .._protocols.sharing import copy_of, reading, replacement
from .._training.randomness import draw_seed
from .._typing import Panel, PathLike, Seed, Table
from .._var.results import VARCoefficients
from ..report import write_report
from . import levels, matrices
from .advice import advice
from .fitted_series import FittedSeries
from .from_blocks import state_from_blocks
from .history import History, Schema, name_of
from .intervals import Intervals, StreamErrors, rolling_intervals
from .learning import check_determined
from .reporting import caution_of, subject
from .shortening import without_history
from .sktime_forecaster import Horizon, SktimeForecaster
from .state import ForecasterState
from .summary import summary

if TYPE_CHECKING:
    from typing_extensions import Self


class Forecaster(NetworkEstimator, SktimeForecaster):
    """From tables to a `ForecasterState`, and from what that says to tables.

    A family of forecasters says what is estimated.
    """

    _specification: type[Specification]

    # fit and update

    def fit(
        self, y: Panel, X: Panel | None = None, fh: Horizon | None = None
    ) -> "Self":
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
        After ``pretrain``, training begins with what was learned there. The pretrained
        network is used unchanged if ``y`` is too short, or if fine-tuning does not
        improve the held-out error by at least one standard error.
        """
        with replacement(self) as working:
            BaseForecaster.fit(working, y, X=X, fh=fh)
        return self

    def fit_blocks(
        self,
        blocks: Any,
        fh: Horizon | None = None,
        *,
        n_rows: int | None = None,
        engine: Literal["joblib", "dask", "ray"] | None = None,
        max_windows: int = 20_000,
    ) -> "Self":
        """Fit to one table that is read block by block, on one machine or several.

        Closed forms are those of ``fit`` on the whole table, to rounding: they need
        sums over the rows alone, and these add up over blocks. Windows that reach from
        one block into the next count, so that blocks may be of any size. A network is
        trained on a sample of the windows. The forecaster keeps the last rows.

        Parameters
        ----------
        blocks : path, array, table, list or iterator
            Consecutive rows of one table without missing values: the path of a .npy
            file or of a Parquet file or folder; a numpy memmap or array, a zarr array,
            a Dask array or DataFrame, a pyarrow dataset, a DataFrame; a list of tables
            or of functions that each return one; an iterator of tables, which is read
            but once, or a function that returns a new one. Tables with a time index
            must follow each other; others are numbered.
        fh : int, list, array or relative ForecastingHorizon, optional
            If ``horizon`` is None, its last step ahead is the horizon.
        n_rows : int, optional
            Rows of all blocks, needed of an iterator.
        engine : {"joblib", "dask", "ray"}, optional
            What reads and sums the blocks: the workers of ``joblib.parallel_config``,
            of the present client of Dask, or of Ray. By default Dask for what is of
            Dask, else this process, one block after the other.
        max_windows : int, default=20_000
            Windows of an epoch, about: a table with more is sampled, once, in stretches
            that ``random_state`` places. ``n_layers=0`` needs no sample.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If ``lags`` is no number, or there are covariates, ``warm_start`` or a
            recurrent network; if a value is missing or not finite, blocks have other
            columns or do not follow each other, or are too few rows. The forecaster
            then stays as it was before the call.
        TypeError
            If ``blocks`` is nothing that can be read block by block.
        ImportError
            If the library of the blocks or of the engine is not installed.

        Notes
        -----
        Intervals are known up to the horizon; of a network, this trains a second one.
        Where windows are sampled, ``coef_`` and ``sigma_u_`` of a network are averages
        over these. ``predict`` in sample, ``update`` with ``update_params=True`` and
        analyses without a table need the rows of the fit, and say so.

        Examples
        --------
        >>> import numpy as np
        >>> from skvar import LinearAttentionVAR
        >>> walk = np.random.default_rng(0).normal(size=(1000, 2)).cumsum(axis=0)
        >>> forecaster = LinearAttentionVAR(lags=2, n_layers=0)
        >>> parts = np.array_split(walk, 7)
        >>> forecaster.fit_blocks(parts, fh=[1, 2]).predict().shape
        (2, 2)
        """
        with replacement(self) as working:
            working._fit_blocks(blocks, fh, n_rows, engine, max_windows)
        return self

    def pretrain(
        self, y: Panel, X: Panel | None = None, fh: Horizon | None = None
    ) -> "Self":
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
        with replacement(self) as working:
            BaseForecaster.pretrain(working, y, X=X, fh=fh)
        return self

    def update(
        self, y: Panel, X: Panel | None = None, update_params: bool = True
    ) -> "Self":
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
        with replacement(self) as working:
            BaseForecaster.update(working, y, X=X, update_params=update_params)
        return self

    def reset(self) -> "Self":
        """Return to the state after construction, but for what warm_start carries.

        Returns
        -------
        self
        """
        fitted = self.__dict__.pop("_fitted", None)
        super().reset()
        if self.warm_start and fitted is not None:
            self._fitted = fitted
        return self

    def _fit(
        self, y: pd.DataFrame, X: pd.DataFrame | None, fh: ForecastingHorizon | None
    ) -> "Self":
        specification = self._checked()
        before, pretrained = self._fitted, getattr(self, "pretrained_", None)
        schema = Schema.of(y, X, self.past_covariates, self.calendar)
        if before is not None:
            schema = schema.with_names_of(before.history.schema)
        if pretrained is not None:
            schema.check_places(pretrained.names)
        if pretrained is not None and pretrained.effect is not None:
            schema = replace(schema, features=pretrained.effect.features)
        history = History.start(schema, y, X)
        self._step_the_cutoff(schema.step)
        specification = replace(
            specification,
            horizon=self._horizon_from(fh, pretrained, schema.step),
            seed=draw_seed(self.random_state),
        )
        fitted = ForecasterState.learned(
            specification,
            history,
            self.cutoff[0],
            start=None if before is None else before.model,
            pretrained=pretrained,
            units=None if before is None else before.history.units,
        )
        if fitted.model.ordered is not None:
            lags = int(fitted.model.specification.lags)
            check_determined(fitted.model.ordered, fitted.single.series, lags)
        self._fitted = fitted
        for message in advice(self._fitted, self.lags, self.sp):
            # At the call of fit.
            warnings.warn(message, stacklevel=4)
        return self

    def _fit_blocks(
        self,
        blocks: Any,
        fh: Horizon | None,
        n_rows: int | None,
        engine: str | None,
        max_windows: int,
    ) -> None:
        specification = self._checked()
        check_count(max_windows, "max_windows")
        if (self.warm_start and self._fitted is not None) or hasattr(
            self, "pretrained_"
        ):
            raise ValueError(
                "fit_blocks begins anew, but the forecaster was pretrained, or has "
                "warm_start=True; set warm_start=False, or pass a new one."
            )
        if self.past_covariates or self.calendar:
            raise ValueError(
                "fit_blocks knows no covariates; set past_covariates=None and "
                "calendar=None, or pass the table to fit."
            )
        steps = None if fh is None else ForecastingHorizon(fh)
        if steps is not None and not steps.is_relative:
            raise ValueError(
                "fh has absolute times, but the last one of the blocks is not known "
                "yet; pass numbers of steps."
            )
        horizon = self.horizon
        if horizon is None:
            horizon = 1 if steps is None else max(1, int(steps.to_pandas().max()))
        seed = draw_seed(self.random_state)
        specification = replace(specification, horizon=horizon, seed=seed)
        state = state_from_blocks(specification, blocks, n_rows, engine, max_windows)
        self.reset()
        self._as_after_fit(state.single.series.table, steps)
        self._step_the_cutoff(state.history.schema.step)
        self._fitted = state

    def _pretrain(
        self,
        y: pd.DataFrame,
        X: pd.DataFrame | None = None,
        fh: ForecastingHorizon | None = None,
    ) -> "Self":
        # A clone has what was pretrained before, and goes on from there.
        self.pretrained_ = self.clone().fit(y, X=X, fh=fh)._fitted.model
        return self

    def _update(
        self, y: pd.DataFrame, X: pd.DataFrame | None = None, update_params: bool = True
    ) -> "Self":
        longer = self._fitted.append(y, X, self.cutoff[0])
        if update_params:
            seed = draw_seed(self.random_state)
            specification = replace(self._checked(), horizon=self.horizon_, seed=seed)
            pretrained = getattr(self, "pretrained_", None)
            longer = longer.learn_again(specification, pretrained)
        self._fitted = longer
        return self

    def _without_history(self) -> "Forecaster":
        """The same for files, but for the rows that its next forecasts do not need."""
        short = copy_of(self)
        if short._fitted is not None:
            short._fitted = without_history(short._fitted)
        return short

    def _checked(self) -> Specification:
        """The present parameters, checked."""
        check_count(self.horizon, "horizon", optional=True)
        for name in ("past_covariates", "calendar"):
            value = getattr(self, name)
            if value is not None and not pd.api.types.is_list_like(value):
                raise TypeError(f"{name}={value!r} must be a list of names.")
        return self._specification.from_parameters(self.get_params(deep=False))

    def _horizon_from(
        self,
        fh: ForecastingHorizon | None,
        pretrained: FittedModel | None,
        step: pd.DateOffset | int | None,
    ) -> int:
        if self.horizon is not None:
            return self.horizon
        if pretrained is not None:
            return pretrained.horizon
        return 1 if fh is None else max(1, int(self._steps_of(fh, step).max()))

    # forecasts

    def predict(
        self, fh: Horizon | Table | None = None, X: Panel | None = None
    ) -> Table:
        """Forecast at a horizon, or after the last row of a table of history.

        Parameters
        ----------
        fh : int, list, array, Index or ForecastingHorizon; or table or panel
            By default that of ``fit`` or of the last call, else all steps up to the
            parameter ``horizon``. A horizon is relative to the cutoff or in absolute
            times: in-sample times get one-step-ahead forecasts, times beyond the
            trained horizon come from feeding forecasts back. A Series, a DataFrame or
            an array of two dimensions is a history of at least ``lags_`` rows instead.
            After a fit to a panel it may be a series that was not there, or a panel of
            such; it is taken in units of its own mean and standard deviations.
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
        return reading(BaseForecaster.predict)(self, fh=fh, X=X)

    def _predict(
        self, fh: ForecastingHorizon, X: pd.DataFrame | None = None
    ) -> pd.DataFrame:
        steps, index = self._steps_and_times_of(fh)

        def forecasts(
            key: Hashable, member: FittedSeries, X: pd.DataFrame | None
        ) -> pd.DataFrame:
            values = member.forecast_rows(member.now + steps, X)
            return pd.DataFrame(values, index, member.schema.targets)

        return self._each(forecasts, X)

    def _each(
        self, function: Callable[..., pd.DataFrame], X: pd.DataFrame | None = None
    ) -> pd.DataFrame:
        """Tables that a function makes of each instance and its covariates, as one."""
        state, parts = self._fitted, split_panel(X)
        return state.history.joined(
            {
                key: function(key, member, parts.get(key))
                for key, member in state.members.items()
            }
        )

    def _predict_after(self, table: Table, X: Panel | None) -> Table:
        state = state_of(self)
        if not isinstance(getattr(table, "index", None), pd.MultiIndex):
            name = "the history passed to predict"
            return _in_container(_next_rows(state, table, name, X), table)
        parts, name = split_panel(X), "the history passed to predict"
        panel = pd.DataFrame(table)
        tables = {
            key: _next_rows(state, one, name_of(key, name), parts.get(key))
            for key, one in split_panel(panel).items()
        }
        return join_panel(tables, panel.index.names)

    def instance(self, key: Hashable) -> "Self":
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
        state = state_of(self)
        if not state.history.is_panel:
            raise KeyError(
                f"There is no instance {key!r}: the forecaster was fitted to a single "
                "table, not to a panel."
            )
        if key not in state.history.series:
            instances = list(state.history.series)
            raise KeyError(
                f"{key!r} is no instance; there are {instances[:10]}"
                f"{', ...' if len(instances) > 10 else ''}."
            )
        member = copy_of(self)
        # Later changes of the panel's forecaster are its own.
        vars(member).pop("_lock", None)
        member._fitted = state.only(key)
        member._as_forecaster_of_a_table()
        return member

    def rolling_forecast(self, Y: Table, X: pd.DataFrame | None = None) -> np.ndarray:
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
        return np.concatenate(list(self.rolling_batches(Y, X)))

    def rolling_batches(
        self,
        Y: Table,
        X: pd.DataFrame | None = None,
        *,
        ends: np.ndarray | None = None,
        steps: int | None = None,
    ) -> Iterator[np.ndarray]:
        """Forecast after rows of a table in batches, where all would be too many.

        Parameters
        ----------
        Y : Series, DataFrame or array
            As for ``rolling_forecast``.
        X : DataFrame, optional
            As for ``rolling_forecast``.
        ends : ndarray of int, optional
            Numbers of the last known rows, which rise; by default of all that end a
            full window.
        steps : int, optional
            Rows forecast; ``horizon_`` by default.

        Yields
        ------
        ndarray of shape (n, steps, n_targets)
            In original units, in the order of ``ends``.
        """
        state = single_state(self)
        frame = state.frame(Y, "Y", X)
        times = _times_of(Y, state)
        yield from state.single.rolling(frame, times, X, ends, steps)

    def summary(self) -> str:
        """What was fitted and how, in a few lines.

        Returns
        -------
        str
            Rows and series, lags and seasons, the closed form and its penalties, the
            covariates that were selected or ordered, the weight of the network and how
            it trained.
        """
        return summary(state_of(self), type(self).__name__)

    def report(
        self,
        path: PathLike,
        y: Table | None = None,
        X: pd.DataFrame | None = None,
        *,
        steps: int | None = None,
        coverage: float | Sequence[float] = (0.5, 0.8, 0.95),
        held_out: float = 0.2,
        n_origins: int = 20,
        random_state: Seed = None,
    ) -> None:
        """Write a report to look at: data, forecasts, tests, matrices, settings.

        The page is one file, which loads nothing from elsewhere.

        Parameters
        ----------
        path : str or Path
            Ends in ".html" for a page, or in ".json" for its content. The file is
            whole or not there at all.
        y : Series, DataFrame or array, optional
            Rows that follow the history, as for ``update``, which the forecaster then
            has not learned from; with times, they may begin before the history. They
            end where it ends, or later. By default the report is on the history alone.
        X : DataFrame, optional
            Covariates, if any were fitted: of the rows of ``y``, and those that are
            known ahead also of the rows to forecast.
        steps : int, optional
            Rows to forecast; ``horizon_`` by default.
        coverage : float or sequence of float, default=(0.5, 0.8, 0.95)
            Of the intervals.
        held_out : float, default=0.2
            Share of the rows that are held out to test the forecasts, the last ones,
            but never fewer than ``steps + 3``. A second forecaster with the same
            parameters is fitted to the rows before them. Where at least ``steps + 3``
            rows of ``y`` came after the fit, these are the test instead, and no second
            forecaster is fitted. 0 leaves out the test by a second forecaster.
        n_origins : int, default=20
            Rows after which the test forecasts, at most.
        random_state : int, RandomState or None, default=None
            Seed of the bands of responses, and of that second forecaster.

        Raises
        ------
        ValueError
            If ``path`` has another ending, ``y`` does not follow the history, or an
            argument is out of its range.
        ImportError
            If the extra ``report`` is not installed.

        Warns
        -----
        UserWarning
            If rows of ``y`` differ from those that the forecaster learned from. The
            report is then on those of ``y``.

        Notes
        -----
        What the forecaster or the rows do not allow is left out, and the report says
        why. With ``verbose`` it shows how far it is.

        Examples
        --------
        >>> import json
        >>> import tempfile
        >>> from pathlib import Path
        >>> from sktime.datasets import load_longley
        >>> from skvar import LinearAttentionVAR
        >>> _, series = load_longley()
        >>> forecaster = LinearAttentionVAR(lags=1, n_layers=0).fit(series[["GNP"]])
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     path = Path(directory, "report.json")
        ...     forecaster.report(path, held_out=0.5, random_state=0)
        ...     content = json.loads(path.read_text())
        >>> content["data"]["n_rows"]
        16
        """
        view, earlier, caution = copy_of(self), None, ""
        if y is not None:
            caution = caution_of(single_state(view), y)
            if caution:
                warnings.warn(caution, stacklevel=2)
            earlier = view._follow(y, X)
        asked = subject(
            view,
            single_state(view),
            earlier,
            X,
            steps=steps,
            coverage=coverage,
            held_out=held_out,
            n_origins=n_origins,
            random_state=random_state,
            caution=caution,
        )
        write_report(asked, path)

    def _follow(self, y: Table, X: pd.DataFrame | None) -> pd.DataFrame | None:
        """Take in rows of a table but those before the history, which are returned."""
        history = single_state(self).history
        if isinstance(y, np.ndarray):
            self.update(y, X, update_params=False)
            return None
        frame = history.check_table(y, "y", history.schema.targets)
        member = single_state(self).single
        now = member.series.index[member.n_known - 1]
        if frame.index[-1] < now:
            raise ValueError(
                f"y ends at {frame.index[-1]}, before the history, which ends at "
                f"{now}; pass rows up to {now} or beyond, or no y."
            )
        is_earlier = frame.index < member.series.index[0]
        rows = frame[~is_earlier]
        X = None if X is None else X[X.index.isin(rows.index)]
        self.update(rows, X, update_params=False)
        return frame[is_earlier]

    def stream(self, *, coverage: float | None = None) -> Stream:
        """Forecast after one new observation at a time.

        Parameters
        ----------
        coverage : float, optional
            Share of the truth that intervals are to hold; without it, there are none.

        Returns
        -------
        Stream
            Continues the history up to the cutoff: ``push(row)`` returns the
            ``horizon`` rows that follow, of shape (horizon, n_targets) in original
            units, in constant time and memory; with ``coverage`` also the lower and
            upper ends, of shape (horizon, n_targets, 2), which adapt to the errors so
            far as those of ``rolling_interval`` do. Rows hold past covariates as well,
            and NaN where a value is missing. Forecaster and stream do not change each
            other.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            With known covariates or terms; if ``coverage`` is not between 0 and 1, or
            the rows learned from are too few for intervals.
        """
        state = single_state(self)
        member, errors = state.single, None
        if member.model.effect is not None or member.model.terms is not None:
            raise ValueError(
                "A stream has no known covariates or other terms, with which this "
                "forecaster was fitted; use update(y, X, update_params=False) and "
                "predict(fh, X)."
            )
        if coverage is not None:
            _check_coverage(coverage)
            errors = StreamErrors.start(state, coverage)
        return member.stream(errors)

    # intervals

    def sample_paths(
        self,
        fh: Horizon | None = None,
        X: Table | None = None,
        *,
        n_paths: int = 100,
        random_state: Seed = None,
    ) -> np.ndarray:
        """Draw futures that have the dependence of the forecast errors.

        Each path is the forecast plus the errors of all steps and series after one
        origin, drawn with replacement from those that calibrate the intervals: errors
        of different series and steps belong together.

        Parameters
        ----------
        fh : int, list, array, Index or ForecastingHorizon, optional
            Steps after the cutoff, as in ``predict``.
        X : table, optional
            Known covariates, if any were fitted, as for ``predict``.
        n_paths : int, default=100
            Number of paths.
        random_state : int, RandomState or None, default=None
            Seed of the draws.

        Returns
        -------
        ndarray of shape (n_paths, len(fh), n_series)
            In original units. For a panel, call it on ``instance(key)``.

        Raises
        ------
        ValueError
            If ``fh`` has times that are not after the cutoff, or the history is too
            short to calibrate.
        """
        view = copy_of(self)
        single_state(view)
        fh = view._check_fh(fh)
        X, _ = view._check_X_y(X=X)
        self._after_reading(view)
        state, steps = view._fitted, view._steps_of(fh)
        rows = state.single.now + steps
        forecasts = state.single.forecast_rows(rows, X)
        if (rows < state.single.n_known).any():
            raise ValueError("fh has times up to the cutoff; paths begin after it.")
        intervals = Intervals(state, steps[-1])
        return forecasts + intervals.paths(None, rows, n_paths, random_state)

    def rolling_interval(
        self, Y: Table, X: pd.DataFrame | None = None, *, coverage: float = 0.9
    ) -> np.ndarray:
        """Intervals after every window of a table, which adapt to errors on the way.

        What ``update(..., update_params=False)`` and ``predict_interval`` give after
        each row of a table that follows the rows learned from.

        Parameters
        ----------
        Y : Series, DataFrame or array
            n_rows >= lags rows in original units, as for ``rolling_forecast``. The
            times of an array are not known: its intervals are as wide at all times of
            a season.
        X : DataFrame, optional
            Known covariates, as for ``rolling_forecast``.
        coverage : float, default=0.9
            Share of the truth that the intervals are to hold.

        Returns
        -------
        ndarray of shape (n_rows - lags + 1, horizon, n_targets, 2)
            Lower and upper ends in original units, for the forecasts of
            ``rolling_forecast(Y, X)``.

        Raises
        ------
        ValueError
            If ``coverage`` is not between 0 and 1, or the rows learned from are too
            few to calibrate.
        TypeError
            If ``coverage`` is not one number.
        """
        _check_coverage(coverage)
        view = copy_of(self)
        forecasts, state = view.rolling_forecast(Y, X), view._fitted
        rows = as_frame(Y, "Y", missing=True).to_numpy()
        rows = rows[:, state.history.schema.shown]
        first_time = None if isinstance(Y, np.ndarray) else Y.index[0]
        return rolling_intervals(state, forecasts, rows, first_time, coverage)

    def score(
        self, y: Table, X: Table | None = None, fh: Horizon | None = None
    ) -> float:
        """Loss of forecasts, symmetric mean absolute percentage error: sktime's score.

        Parameters
        ----------
        y : table
            The truth at the times of ``fh``.
        X : table, optional
            Known covariates, if any were fitted, as for ``predict``.
        fh : int, list, array, Index or ForecastingHorizon
            Horizon, as for ``predict``.

        Returns
        -------
        float
            Lower is better.

        Raises
        ------
        ValueError
            Without a horizon, as when scikit-learn's searches call it.
        """
        if fh is None:
            raise ValueError(
                "score is sktime's, a loss at a horizon: pass fh. Searches of "
                "scikit-learn want a score, higher for the better: pass them "
                "scoring=skvar.rolling_score."
            )
        return super().score(y, X=X, fh=fh)

    def predict_residuals(
        self, y: Panel | None = None, X: Panel | None = None
    ) -> Table:
        """Truth minus forecast.

        Parameters
        ----------
        y : table or panel, optional
            The truth, at times that the history holds or that follow it; the history
            by default, where forecasts are one step ahead.
        X : table or panel, optional
            Known covariates, if any were fitted, as for ``predict``.

        Returns
        -------
        Series, DataFrame or array
            In original units, at the times of ``y``.
        """
        if isinstance(getattr(y, "index", None), pd.MultiIndex):
            view, parts, panel = copy_of(self), split_panel(X), pd.DataFrame(y)
            residuals = {
                key: view.instance(key).predict_residuals(table, parts.get(key))
                for key, table in split_panel(panel).items()
            }
            return join_panel(residuals, panel.index.names)
        view = copy_of(self)
        if y is not None:
            return view._residuals_of(y, X)
        view.check_is_fitted()
        return convert_to(
            view._each(lambda key, member, X: member.residuals()),
            view._y_metadata["mtype"],
            store=view._converter_store_y,
            store_behaviour="freeze",
        )

    def _predict_quantiles(
        self, fh: ForecastingHorizon, X: pd.DataFrame | None, alpha: list[float]
    ) -> pd.DataFrame:
        columns = self._get_columns("predict_quantiles", alpha=alpha)
        steps, index = self._steps_and_times_of(fh)
        intervals = Intervals(self._fitted, steps[-1])

        def quantiles(
            key: Hashable, member: FittedSeries, X: pd.DataFrame | None
        ) -> pd.DataFrame:
            rows = member.now + steps
            offsets = intervals.quantiles(key, rows, alpha)
            values = member.forecast_rows(rows, X) + offsets
            # Columns are the levels of the first series, then those of the second.
            values = values.transpose(1, 2, 0).reshape(len(rows), -1)
            return pd.DataFrame(values, index, columns)

        return self._each(quantiles, X)

    def _predict_var(
        self, fh: ForecastingHorizon, X: pd.DataFrame | None = None, cov: bool = False
    ) -> pd.DataFrame:
        if cov:
            raise NotImplementedError(
                "There are no covariances of steps (cov=True); sample_paths draws "
                "futures that have them."
            )
        steps, index = self._steps_and_times_of(fh)
        intervals = Intervals(self._fitted, steps[-1])

        def variances(
            key: Hashable, member: FittedSeries, X: pd.DataFrame | None
        ) -> pd.DataFrame:
            found = intervals.variances(key, member.now + steps)
            return pd.DataFrame(found, index, member.schema.targets)

        return self._each(variances)

    # matrices

    @property
    def sp_(self) -> int | list[int]:
        """Rows of the season in the closed form; a list of several, 1 for none."""
        form = state_of(self).model.form
        seasons = () if form is None else form.seasons
        return [*seasons] if len(seasons) > 1 else (*seasons, 1)[0]

    @property
    def coef_(self) -> np.ndarray:
        """VAR matrices (lags, n_targets, n_series) in original units, lag 1 first.

        Rows respond and columns cause, as in statsmodels' ``coefs``; lag 1 is the
        newest row of a window. The average over the windows of the rows seen so far.
        """
        return single_state(self).single.average_matrices[0]

    @property
    def intercept_(self) -> np.ndarray:
        """VAR intercept (n_targets,) in original units, averaged like ``coef_``."""
        return single_state(self).single.average_matrices[1]

    @property
    def sigma_u_(self) -> np.ndarray:
        """Covariance (n_series, n_series) of the one-step errors, in original units.

        The sum of products over the windows of the history, divided by their number
        less the coefficients of a static VAR in the model (statsmodels' ``sigma_u``).
        """
        return single_state(self).single.sigma_u

    @property
    def exog_coef_(self) -> np.ndarray:
        """Effect (n_lags, n_targets, n_covariates) of known covariates, lag 0 first.

        In original units; the columns are those of ``covariates_``.
        """
        return levels.exogenous(single_state(self))[0]

    @property
    def covariates_(self) -> pd.DataFrame:
        """What acts: of each column, the rows that act on each series, as text.

        "0, 2" stands for the same row and the second one before; the text is empty
        where the column is left out. Columns of X come first, then deterministic terms
        and features of the calendar.
        """
        return levels.acting(single_state(self))

    @overload
    def var_matrices(
        self, Y: Table, *, step: int = 1, return_intercept: Literal[False] = False
    ) -> np.ndarray: ...

    @overload
    def var_matrices(
        self, Y: Table, *, step: int = 1, return_intercept: Literal[True]
    ) -> tuple[np.ndarray, np.ndarray]: ...

    def var_matrices(
        self, Y: Table, *, step: int = 1, return_intercept: bool = False
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
            ``step`` is less than one, or more than one after a fit with ``y`` or with
            terms inside the VAR.
        """
        return matrices.var_matrices(single_state(self), Y, step, return_intercept)

    @overload
    def var_coefficients(
        self, Y: Table | None = None, *, at: list | np.ndarray | pd.Index | slice
    ) -> pd.Series: ...

    @overload
    def var_coefficients(
        self, Y: Table | None = None, *, at: Hashable = None
    ) -> VARCoefficients: ...

    def var_coefficients(
        self,
        Y: Table | None = None,
        *,
        at: Hashable | list | np.ndarray | pd.Index | slice = None,
    ) -> VARCoefficients | pd.Series:
        """The matrices with what belongs to them, for analysis.

        Where they change from window to window, an impulse response or a forecast of
        the result is that of a VAR which keeps the matrices of one time, or their
        average.

        Parameters
        ----------
        Y : Series, DataFrame or array, optional
            Table of at least one window of rows in original units; the history by
            default.
        at : label, list of labels or slice of the time index of ``Y``, optional
            Take the matrices after this row, or after each of several; by default the
            average over all windows that have a next row, or the only window where none
            has. ``slice(None)`` takes all rows that end a window.

        Returns
        -------
        VARCoefficients, or Series of them by time
            A Series if several times are asked for. Each has the one-step errors on the
            history or on ``Y`` as residuals and ``sigma_u_`` or their covariance
            (``sigma_u_`` as well where ``Y`` has too few rows for one). Its bootstraps
            simulate as many rows as the history has and fit a forecaster of the same
            parameters to each table. With covariates or other terms, these are its
            ``terms``, in a VAR of the series themselves; its intercept is then that
            beside them.
            At one time of matrices that are tracked (``tracking_rows``), ``sigma_u``
            weighs recent errors more where that makes the errors likelier, and there is
            a posterior given the rows of the window: ``draws()``, ``irf(bands=0.9)``.

        Raises
        ------
        ValueError
            If ``Y`` is too short, or there is no one window that ends at ``at``.
        """
        return matrices.var_coefficients(single_state(self), Y, at)

    def compare_with_ols(self, Y: Table | None = None) -> pd.DataFrame:
        """Compare with the VAR of the same order fitted by least squares.

        Parameters
        ----------
        Y : Series, DataFrame or array, optional
            Table with rows after its first window, in original units, for the errors;
            the history by default.

        Returns
        -------
        DataFrame
            One row for this forecaster and one for the VAR with intercept fitted by
            ordinary least squares on the history. Columns: "mse" and "mae" of one-step
            forecasts of ``Y``, with the standard deviations of the series as units,
            "matrix_distance" (Frobenius norm of the difference between the average
            matrices and those of least squares over the norm of the latter, on
            standardised series), "largest_eigenvalue" of the companion matrix in
            modulus, and "stable".

        Raises
        ------
        ValueError
            If ``Y`` is too short, or least squares on the history has no unique
            solution.
        """
        return matrices.compare_with_ols(single_state(self), type(self).__name__, Y)

    # fitted attributes

    scaler_ = fitted_attribute("history.scaler", "Units of the series, by instance.")
    horizon_ = fitted_attribute("model.horizon", "Steps returned for a table.")
    lags_ = fitted_attribute("model.specification.lags", "Rows that a forecast sees.")
    alpha_ = fitted_attribute("model.closed_form.alpha", "Penalty of the closed form.")
    feature_names_in_ = fitted_attribute(
        "history.schema.names", "Names of the series, then of past covariates."
    )
    n_features_in_ = fitted_attribute(
        "history.schema.n_series", "Number of series with past covariates."
    )
    network_weight_ = fitted_attribute(
        "model.network_weight",
        "Weight of the network in the forecast; 0 is the closed form alone.",
    )
    evidence_ = fitted_attribute(
        "model.closed_form.evidence",
        "What the rows say about a VAR in closed form, or None.",
    )
    log_evidence_ = fitted_attribute(
        "model.closed_form.log_evidence", "Log marginal likelihood of that VAR."
    )
    n_parameters_ = fitted_attribute(
        "model.n_parameters", "Estimated numbers that the forecasts depend on."
    )


def state_of(forecaster: Forecaster) -> ForecasterState:
    """All that a fitted forecaster knows."""
    state = forecaster._fitted
    if state is None or not forecaster.is_fitted:
        forecaster.check_is_fitted()
    return state


def single_state(forecaster: Forecaster) -> ForecasterState:
    """The same of a forecaster that was fitted to a single table."""
    state = state_of(forecaster)
    if state.history.is_panel:
        raise ValueError(
            f"This {type(forecaster).__name__} was fitted to a panel; instance(key) is "
            "its forecaster of one instance: call the method of that."
        )
    return state


def _next_rows(
    state: ForecasterState, table: Table, name: str, X: pd.DataFrame | None
) -> pd.DataFrame:
    """The rows that follow a table, which may be new to a panel."""
    if state.history.is_panel:
        table = state.history.join_past(table, name, X)
        member = state.on_new(state.history.check_table(table, name), name)
    else:
        member = state.single
    times, schema = _times_of(table, state), state.history.schema
    values = member.forecast_table(state.frame(table, name, X), X, times)
    index = continue_index(times, schema.step, state.model.horizon)
    return pd.DataFrame(values, index, schema.targets)


def _in_container(rows: pd.DataFrame, like: Table) -> Table:
    """Rows in the container of the table that they follow."""
    if isinstance(like, np.ndarray):
        return rows.to_numpy()
    if isinstance(like, pd.Series):
        return rows.iloc[:, 0].rename(like.name)
    return rows.set_axis(like.columns[: rows.shape[1]], axis=1)


def _check_coverage(coverage: float) -> None:
    check_scalar(coverage, "coverage", numbers.Real)
    if not 0 < coverage < 1:
        raise ValueError(f"coverage={coverage} must be between 0 and 1.")


def _times_of(table: Table, state: ForecasterState) -> pd.Index:
    """The time index of a table; rows of arrays are numbered."""
    ordered = state.model.ordered
    timed = ordered is not None and ordered.deterministic.is_timed
    if timed and isinstance(table, np.ndarray):
        raise ValueError(
            "The rows of an array have no times, which a trend and seasonal dummies "
            "need; pass a DataFrame whose index goes on from that of the fit."
        )
    return getattr(table, "index", pd.RangeIndex(len(table)))

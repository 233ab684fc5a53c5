"""A fitted model on the history of one series: forecasts, errors and matrices."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from sklearn.preprocessing import StandardScaler

from .._data.lazy import Recomputable, lazy
from .._data.tables import continue_index
from .._data.units import in_original_units, standardise
from .._data.windows import Windows
from .._models.fitted import FittedModel
from .._models.stream import Stream
from .._var.estimation import covariance
from .._var.extraction import read_only, to_original_units
from .history import Schema, SeriesHistory, name_of
from .residuals import Filler, ResidualSeries


@dataclass(frozen=True, eq=False)
class FittedSeries(Recomputable):
    """A fitted model on the history of one series, as of a time.

    Parameters
    ----------
    model : FittedModel
    series : SeriesHistory
    filler : Filler
    now : int
        The row of the present time, which may lie beyond the ends of the history.
    n_train : int
        Rows that the model was estimated on.
    """

    model: FittedModel
    series: SeriesHistory
    filler: Filler
    now: int
    n_train: int

    @property
    def schema(self) -> Schema:
        """Columns and times."""
        return self.series.schema

    @property
    def n_known(self) -> int:
        """Rows up to now."""
        return min(max(self.now + 1, 0), len(self.series.index))

    @property
    def scale(self) -> np.ndarray:
        """Units of errors: standard deviations of the targets, 1 of constant ones."""
        return self.series.scaler.scale_[self.schema.shown]

    @property
    def varies(self) -> np.ndarray:
        """Which targets are no constants, as far as the model knows."""
        return self.series.varies[self.schema.shown]

    @lazy
    def residual(self) -> ResidualSeries:
        """The series as the network sees it."""
        return ResidualSeries(self.series, self.model.effect, self.filler)

    # forecasts

    def in_units(self, values: np.ndarray) -> np.ndarray:
        """Standardised values in original units."""
        return in_original_units(values, self.series.scaler)

    def batches_of_forecasts(
        self,
        values: np.ndarray,
        ends: np.ndarray,
        steps: int,
        state=None,
        inflow: np.ndarray | None = None,
    ) -> Iterator[np.ndarray]:
        """Forecasts (n, steps, n_series) in original units after rows of ``values``.

        With the state after the rows before these, if there are any, and what terms
        bring to these and later rows, if there are such.
        """
        given = () if inflow is None else (inflow,)
        inference = self.model.inference
        for forecasts in inference.forecasts(values, ends, steps, state, *given):
            yield self.in_units(forecasts)

    @lazy
    def inflow(self) -> np.ndarray | None:
        """What terms bring to the rows of the history, standardised."""
        return self.inflow_until(len(self.series.index), None)

    def inflow_until(self, n_rows: int, X: pd.DataFrame | None) -> np.ndarray | None:
        """The same of its first rows and, with X, beyond its end."""
        series, terms = self.series, self.model.terms
        if terms is None:
            return None
        index, covariates = series.index, series.covariates
        if n_rows > len(index):
            later = continue_index(index, self.schema.step, n_rows - len(index))
            table = self._terms_at(later, X)
            covariates = None if table is None else pd.concat([covariates, table])
            index = index.append(later)
        return terms.inflow(covariates, index)[:n_rows]

    def _terms_at(self, times: pd.Index, X: pd.DataFrame | None):
        """Covariates of terms at some times, which X must have; None without any."""
        if not len(self.model.ordered.covariates):
            return None
        table = self.schema.covariates_at(X, times, key=self.series.key)
        gaps = table.columns[table.isna().any()]
        if len(gaps):
            raise ValueError(
                f"X has missing values in {[*gaps]} between {times[0]} and "
                f"{times[-1]}, which covariate_lags orders as they are; fill them."
            )
        return table

    def _inflow_of(
        self, times: pd.Index, X: pd.DataFrame | None, steps: int
    ) -> np.ndarray | None:
        """What terms bring to the rows of another table and those after it.

        NaN where X does not have their covariates.
        """
        terms = self.model.terms
        if terms is None:
            return None
        times = times.append(continue_index(times, self.schema.step, steps))
        known = times
        if X is not None and len(terms.ordered.covariates):
            known = times[times.isin(pd.DataFrame(X).index)]
        table = self._terms_at(known, X)
        return terms.inflow(None if table is None else table.reindex(times), times)

    @property
    def state_before(self) -> tuple | None:
        """What a recurrent network carries after rows that are left out."""
        before = self.series.before
        return None if before is None else before.state

    def forecasts_after(
        self, origins: np.ndarray, steps: int, inflow: np.ndarray | None = None
    ) -> np.ndarray:
        """Forecasts (n_origins, steps, n_series) of the residual series.

        With what terms bring to its rows and, if that is given, to later ones.
        """
        values, state = self.residual.values, self.state_before
        inflow = self.inflow if inflow is None else inflow
        parts = self.batches_of_forecasts(values, origins, steps, state, inflow)
        return np.concatenate(list(parts))

    def forecast_rows(self, rows: np.ndarray, X: pd.DataFrame | None) -> np.ndarray:
        """Forecasts (len(rows), n_targets) of rows by number, one step where known."""
        last, before = self.n_known - 1, self.series.before
        if before is not None and rows.min() < before.n_spare:
            self.series.check_whole("A forecast in-sample")
        if rows.min() < 0:
            raise ValueError(
                f"fh reaches {-rows.min()} row(s) before the first row of "
                f"{name_of(self.series.key, 'the history')}; forecasts begin at that "
                "row."
            )
        n_rows = max(rows.max(), last) + 1
        values, inflow = self.residual.effects(n_rows, X)[rows], None
        if self.model.terms is not None:
            inflow = self.inflow_until(n_rows, X)
        ahead = rows > last
        if not ahead.all():
            values[~ahead] += self.forecasts_after(rows[~ahead] - 1, 1, inflow)[:, 0]
        if ahead.any():
            steps = rows[ahead] - last
            [path] = self.forecasts_after(np.array([last]), steps.max(), inflow)
            values[ahead] += path[steps - 1]
        return values[:, self.schema.shown]

    def forecast_table(self, frame: pd.DataFrame, X: pd.DataFrame | None, times):
        """The rows (horizon, n_targets) that follow a table with some times."""
        model, schema = self.model, self.schema
        windows = self.residual.windows_of(frame, X, model.window_rows)
        values = windows.values.numpy()
        last = np.array([len(values) - 1])
        inflow = self._inflow_of(times, X, model.horizon)
        if inflow is not None:
            n_before = model.terms.ordered.n_lags
            acting = times[max(len(times) - n_before, 0) :].append(
                continue_index(times, schema.step, model.horizon)
            )
            self._terms_at(acting, X)
        [[path]] = self.batches_of_forecasts(values, last, model.horizon, inflow=inflow)
        if model.effect is not None:
            index = continue_index(times, schema.step, model.horizon)
            schema.covariates_at(X, index, key=self.series.key)
            path = path + self.residual.effects_ahead(times, X, model.horizon)[-1]
        return path[:, schema.shown]

    def rolling(
        self,
        frame: pd.DataFrame,
        times: pd.Index,
        X: pd.DataFrame | None,
        ends: np.ndarray | None = None,
        steps: int | None = None,
    ) -> Iterator[np.ndarray]:
        """Forecasts (n, steps, n_targets) after rows of a table, in batches.

        By default after all that end a window.
        """
        steps = steps or self.model.horizon
        windows = self.residual.windows_of(frame, X, self.model.window_rows)
        if ends is None:
            ends = np.arange(windows.lags - 1, len(windows.values))
        effects = self.residual.effects_ahead(times, X, steps)
        values = windows.values.numpy()
        inflow = self._inflow_of(times, X, steps)
        for forecasts in self.batches_of_forecasts(values, ends, steps, inflow=inflow):
            some, ends = np.split(ends, [len(forecasts)])
            if effects is not None:
                forecasts = forecasts + effects[some + 1]
            yield forecasts[..., self.schema.shown]

    def residuals(self) -> pd.DataFrame:
        """Truth minus one-step forecast of every row up to now."""
        self.series.check_whole("predict_residuals without y")
        truth = self.series.table[: self.n_known]
        forecasts = self.forecasts_after(np.arange(-1, len(truth) - 1), 1)[:, 0]
        residuals = truth - forecasts - self.residual.effects(len(truth))
        return residuals[self.schema.targets]

    def stream(self, errors=None) -> Stream:
        """Forecasts after one new row at a time, beginning after the rows up to now.

        And their intervals, with the `StreamErrors` of now.
        """
        model = replace(self.model.on_cpu(), fill_weights=self.filler.weights)
        step = SeriesStep(
            model, self.series.scaler, self.schema.names, self.schema.shown
        )
        values = self.residual.values[: self.n_known]
        return Stream(step, (model.inference.start(values, self.state_before), errors))

    # errors

    def errors(self, windows: Windows) -> np.ndarray:
        """Rows after windows minus one-step forecasts, in original units.

        NaN where a row was not observed, or its terms are not known. With terms, of
        windows over the history.
        """
        values = windows.values.numpy()
        ends = np.arange(windows.lags - 1, len(values))
        if not len(ends):
            return np.empty((0, values.shape[1]))
        parts = self.batches_of_forecasts(values, ends, 1, inflow=self.inflow)
        forecasts = np.concatenate(list(parts))[:-1, 0]
        errors = self.in_units(values[windows.lags :]) - forecasts
        if windows.observed is not None:
            errors[~windows.observed[windows.lags :].numpy()] = np.nan
        return errors

    def windows(self) -> Windows:
        """Windows without a future over the history."""
        self.series.check_whole("An analysis of matrices without Y")
        return self.residual.windows(self.model.window_rows)

    @lazy
    def history_errors(self) -> np.ndarray:
        """One-step errors on the history."""
        return self.errors(self.windows())

    @property
    def shocks(self) -> np.ndarray:
        """Standardised one-step errors on the rows learned from, as of new rows.

        NaN where a value is missing.

        Errors of the fit are too small by what the coefficients take, and those of
        forecasts larger by as much.
        """
        n_before = self.model.window_rows
        errors = self.history_errors[: max(self.n_train - n_before, 1)]
        errors = errors / self.series.scaler.scale_
        evidence = self.model.closed_form.evidence
        n_rows = evidence.n_rows
        n_used = min(evidence.n_coefficients, n_rows / 2)
        return errors * np.sqrt((n_rows + n_used) / (n_rows - n_used))

    @property
    def n_coefficients(self) -> float:
        """Coefficients of a closed form in the model that shrank the history's errors.

        In each equation, each counted by the part of it that rows determine.
        """
        evidence = self.model.closed_form.evidence
        if evidence is None:
            return 0.0
        share = min(len(self.history_errors) / evidence.n_rows, 1.0)
        return share * evidence.n_coefficients

    @lazy
    def sigma_u(self) -> np.ndarray:
        """Covariance of the one-step errors on the history, read-only."""
        before = self.series.before
        if before is not None and before.sigma_u is not None:
            return before.sigma_u
        errors = self.history_errors
        if self.model.terms is not None:
            errors = errors[np.isfinite(errors).all(axis=1)]
        found = covariance(errors, self.n_coefficients)
        found.flags.writeable = False
        return found

    # matrices

    def matrices(
        self, windows: Windows, used=None, step: int = 1
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Matrices and intercepts of windows in original units, batch by batch."""
        scaler = self.series.scaler
        for parts in self.model.matrices(windows, used, step):
            yield to_original_units(*parts, scaler, scaler)

    def average_over(self, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
        """Average matrices and intercepts of windows, in original units, read-only."""
        scaler = self.series.scaler
        averages = self.model.average_matrices(windows)
        return read_only(to_original_units(*averages, scaler, scaler))

    @lazy
    def average_matrices(self) -> tuple[np.ndarray, np.ndarray]:
        """Averages over the windows of the history that have a next row."""
        before = self.series.before
        if before is not None and before.averages is not None:
            return read_only(before.averages)
        self.series.check_whole("The average of matrices of an instance")
        windows = Windows([self.residual.values], self.model.window_rows, 1)
        return self.average_over(windows)


@dataclass(frozen=True, eq=False)
class SeriesStep:
    """How a stream takes the next row of a series, which may have gaps.

    Parameters
    ----------
    model : FittedModel
    scaler : StandardScaler
        Of the series.
    names : Index
        Of the series.
    shown : slice
        Columns to return.
    """

    model: FittedModel
    scaler: StandardScaler
    names: pd.Index
    shown: slice

    takes_missing = True

    @property
    def n_series(self) -> int:
        """Numbers in a row."""
        return len(self.names)

    def __call__(self, state, row: np.ndarray) -> tuple:
        """State after a row in original units, and what follows it.

        The forecast (horizon, n_targets), and the interval where errors are followed.
        """
        state, errors = state
        scaled = standardise(row[np.newaxis], self.scaler)
        state, path = self.model.step(state, scaled)
        forecast = in_original_units(path, self.scaler)[:, self.shown]
        if errors is None:
            return (state, None), forecast
        errors = errors.after(row[self.shown], forecast)
        return (state, errors), (forecast, errors.interval)

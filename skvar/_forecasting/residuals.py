"""Series as a network sees them: less what covariates explain, scaled, without gaps."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from .._closed_form.covariates import CovariateEffect
from .._closed_form.fill import fill, fill_weights
from .._data.lazy import Recomputable, lazy
from .._data.tables import continue_index, precede_index
from .._data.units import standardise
from .._data.windows import Windows
from .history import History, SeriesHistory


@dataclass(frozen=True, eq=False)
class Filler(Recomputable):
    """Fills missing values by forecasts.

    Their weights are known, or learned from the rows that a model was trained on when
    the first value is missing.

    Parameters
    ----------
    known_weights : ndarray, optional
        As of `fill_weights`.
    history : History, optional
        Of which the first ``n_train`` rows of each table were trained on.
    n_train : mapping of label to int, optional
    effect : CovariateEffect, optional
        What is taken out of these before.
    lags : int, optional
        Most rows that a forecast may look back.
    """

    known_weights: np.ndarray | None = None
    history: History | None = None
    n_train: Mapping[Hashable, int] | None = None
    effect: CovariateEffect | None = None
    lags: int | None = None

    @lazy
    def weights(self) -> np.ndarray:
        """As of `fill_weights`."""
        if self.known_weights is not None:
            return self.known_weights
        rows = [
            ResidualSeries(self.history.series[key], self.effect, self).scaled[
                : self.n_train[key]
            ]
            for key in self.history.in_order(self.n_train)
        ]
        return fill_weights(rows, self.lags)

    def on(self, longer: History) -> "Filler":
        """The same where the history has gone on."""
        weights = vars(self).get("weights", self.known_weights)
        return replace(self, history=longer, known_weights=weights)

    def fill(self, values: np.ndarray) -> np.ndarray:
        """Standardised rows without gaps."""
        return fill(values, self.weights) if np.isnan(values).any() else values


@dataclass(frozen=True, eq=False)
class ResidualSeries(Recomputable):
    """A series less the effect of known covariates."""

    series: SeriesHistory
    effect: CovariateEffect | None
    filler: Filler

    @lazy
    def rows(self) -> np.ndarray:
        """Rows (n_rows, n_series) in original units, NaN where a value is missing."""
        table = np.ascontiguousarray(self.series.table)
        if self.effect is None:
            return table
        return self.effect.subtracted_from(table, self.effects(len(table)))

    @property
    def scaled(self) -> np.ndarray:
        """Rows in units of the scaler, as a new array."""
        return standardise(self._rows_in_any_order, self.series.scaler)

    @property
    def observed(self) -> np.ndarray:
        """Which values are not missing."""
        return np.ascontiguousarray(~np.isnan(self._rows_in_any_order))

    @property
    def _rows_in_any_order(self) -> np.ndarray:
        # Frames hold columns in a piece: rows in order are a copy.
        return self.series.table.to_numpy() if self.effect is None else self.rows

    @lazy
    def values(self) -> np.ndarray:
        """Rows as the network sees them: scaled and filled."""
        return self.filler.fill(self.scaled)

    @property
    def values_with_effect(self) -> np.ndarray:
        """The series, scaled, filled by forecasts with known covariates."""
        if self.effect is None:
            return self.values
        return self.values + self.effect.on(self.series.inputs)

    def effects(self, n_rows: int, X: pd.DataFrame | None = None) -> np.ndarray:
        """Effect of known covariates on its first rows and, with X, beyond its end.

        Of shape (n_rows, n_series), in original units.
        """
        series = self.series
        if self.effect is None:
            return np.zeros((n_rows, series.table.shape[1]))
        inputs, schema = series.inputs, series.schema
        if n_rows > len(inputs):
            n_later = n_rows - len(inputs)
            times = continue_index(series.index, schema.step, n_later)
            later = schema.covariates_at(X, times, key=series.key)
            inputs = pd.concat([inputs, schema.features.table(later, times)])
        return self.effect.on(inputs.iloc[:n_rows]) * series.scaler.scale_

    def effects_at(
        self, times: pd.Index, X: pd.DataFrame | None
    ) -> tuple[np.ndarray, int]:
        """Effects at some times, and of how many earlier ones X has rows."""
        schema, effect = self.series.schema, self.effect
        before = times[:0]
        if X is not None and len(schema.known):
            before = precede_index(times, schema.step, len(effect.unknown))
            has_row = before.isin(pd.DataFrame(X).index)
            before = before[has_row[::-1].cumprod()[::-1] == 1]
        longer = before.append(times)
        part = schema.covariates_at(X, longer, key=self.series.key)
        effects = effect.on(schema.features.table(part, longer))[len(before) :]
        return effects * self.series.scaler.scale_, len(before)

    def effects_ahead(
        self, index: pd.Index, X: pd.DataFrame | None, steps: int
    ) -> np.ndarray | None:
        """Effects (n_rows + 1, steps, n_series) from each row of a table on.

        NaN from the first row on that X lacks.
        """
        if self.effect is None:
            return None
        schema = self.series.schema
        times = index.append(continue_index(index, schema.step, steps))
        known = times
        if len(schema.known):
            known = times[times.isin(pd.DataFrame(X).index).cumprod() == 1]
        effects = np.full((len(times), self.series.table.shape[1]), np.nan)
        effects[: len(known)], _ = self.effects_at(known, X)
        ahead = np.lib.stride_tricks.sliding_window_view(effects, steps, axis=0)
        return ahead.swapaxes(1, 2)

    def windows(self, window_rows: int) -> Windows:
        """Windows without a future over its rows."""
        return self._windows(self.rows, self.values, window_rows)

    def windows_of(
        self, frame: pd.DataFrame, X: pd.DataFrame | None, window_rows: int
    ) -> Windows:
        """Windows without a future over another table in original units."""
        rows = frame.to_numpy()
        if self.effect is not None:
            rows = self.effect.subtracted_from(rows, *self.effects_at(frame.index, X))
        values = self.filler.fill(standardise(rows, self.series.scaler))
        return self._windows(rows, values, window_rows)

    @staticmethod
    def _windows(rows: np.ndarray, values: np.ndarray, window_rows: int) -> Windows:
        observed = ~np.isnan(rows)
        masks = None if observed.all() else [observed]
        return Windows([values], window_rows, 0, observed=masks)

"""How covariates, trends and dummies act on the series of a fitted forecaster."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from .._closed_form.terms import Deterministic, Ordered
from .._data.tables import precede_index
from .._typing import Table
from .._var.terms import coefficients_of_effect
from .fitted_series import FittedSeries
from .state import ForecasterState


@dataclass(frozen=True, eq=False)
class Levels:
    """How covariates and other terms act on the series themselves, in their units.

    Parameters
    ----------
    columns : Ordered
        Covariates of an effect or inside the VAR, and deterministic terms.
    weights : ndarray of shape (n_series, n_terms), optional
        Of ordered terms inside the VAR.
    effect : ndarray of shape (n_lags, n_series, n_columns), optional
        Of columns that act before the VAR, and their means, at which this is zero.
    means : ndarray of shape (n_columns,), optional
    """

    columns: Ordered
    weights: np.ndarray | None
    effect: np.ndarray | None = None
    means: np.ndarray | None = None

    @classmethod
    def of(cls, member: FittedSeries) -> "Levels | None":
        """Those of a fitted series, if there are any."""
        effect, ordered = member.model.effect, member.model.ordered
        scale = member.series.scaler.scale_[:, np.newaxis]
        weights = None if ordered is None else member.model.terms.weights * scale
        if effect is None:
            return None if ordered is None else cls(ordered, weights)
        features, series = effect.features, member.series
        deterministic = Deterministic("c", 1, (), series.index[:1], features.step)
        if ordered is not None:
            deterministic = ordered.deterministic
        n_own = deterministic(series.index[:1]).shape[1]
        deterministic = replace(deterministic, calendar=tuple(features.calendar))
        at = len(features.names)
        acting = effect.weights * scale / effect.scaler.scale_
        own = np.zeros((*acting.shape[:2], n_own))
        acting = np.concatenate([acting[..., :at], own, acting[..., at:]], axis=2)
        means = np.insert(effect.scaler.mean_, at, np.zeros(n_own))
        columns = Ordered(deterministic, features.names, len(acting) - 1)
        return cls(columns, weights, acting, means)

    @property
    def coefficients(self) -> np.ndarray:
        """Effects (n_lags, n_series, n_columns) before the VAR and inside it."""
        if self.effect is None:
            return self.columns.by_lag(self.weights)
        found = self.effect.copy()
        if self.weights is not None:
            at = len(self.columns.covariates)
            found[0, :, at : at + self.weights.shape[1]] = self.weights
        return found

    def inside(
        self, matrices: np.ndarray, intercept: np.ndarray, weights: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Intercept, and coefficients of all columns inside the VAR of the series.

        With matrices, intercepts and weights of draws along leading axes.
        """
        if self.effect is None:
            return intercept, self.columns.by_lag(weights)
        found = coefficients_of_effect(matrices, self.effect)
        intercept = intercept - found.sum(axis=-3) @ self.means
        if weights is not None:
            at = len(self.columns.covariates)
            found[..., 0, :, at : at + weights.shape[-1]] += weights
        return intercept, found

    def rows(
        self, member: FittedSeries, history: pd.DataFrame, Y: Table | None
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Series themselves and columns that act on them, of a history less effects.

        Missing values are those that a network sees.
        """
        effect, series = member.model.effect, member.series
        if effect is None:
            table = self.columns.table(series.covariates, series.index)
            order = member.model.window_rows
            return history[max(self.columns.n_lags - order, 0) :], table
        covariates = series.covariates if Y is None else None
        if Y is None:
            effects, seen = member.residual.effects(len(history)), series.table
        else:
            effects, _ = member.residual.effects_at(history.index, None)
            seen = pd.DataFrame(Y)
        seen = seen.to_numpy(dtype=float)
        values = np.where(np.isnan(seen), history + effects, seen)
        means = dict(zip(effect.features.names, effect.scaler.mean_, strict=False))
        if covariates is not None:
            covariates = covariates.ffill().fillna(means)
        n_before, step = len(effect.weights) - 1, effect.features.step
        index = precede_index(history.index, step, n_before).append(history.index)
        if covariates is not None:
            # As effects take them to be before the first row.
            covariates = covariates.reindex(index).bfill()
        table = self.columns.table(covariates, index)
        return pd.DataFrame(values, history.index, history.columns), table


def exogenous(state: ForecasterState) -> tuple[np.ndarray, list]:
    """Effects (n_lags, n_targets, n_columns) of covariates and terms, and names."""
    member = state.single
    levels, shown = Levels.of(member), member.schema.shown
    if levels is None:
        return np.zeros((1, len(member.schema.targets), 0)), []
    first = member.series.index[:1]
    names = [*levels.columns.covariates, *levels.columns.deterministic(first)]
    return levels.coefficients[:, shown], names


def acting(state: ForecasterState) -> pd.DataFrame:
    """Rows that act on each series, as text, by column."""
    coefficients, names = exogenous(state)
    lags = np.arange(len(coefficients))
    text = [
        [", ".join(map(str, lags[one != 0])) for one in of_column.T]
        for of_column in np.moveaxis(coefficients, 2, 0)
    ]
    targets = state.history.schema.targets
    return pd.DataFrame(text, names, targets, dtype=object)

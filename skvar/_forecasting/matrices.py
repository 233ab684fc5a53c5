"""Matrices of the vector autoregression in a fitted forecaster, and their analysis."""

import copy
import numbers
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_scalar

from .._closed_form.terms import Deterministic, Ordered
from .._data.tables import as_frame, precede_index
from .._data.units import deviations, units_of
from .._data.windows import Windows
from .._models.fitted import FittedModel
from .._models.rows import Rows
from .._models.specification import Specification
from .._networks.linear_attention_var import LinearAttentionVAR
from .._networks.samovar import SAMoVAR
from .._networks.static_path import StaticPath
from .._training.inference import like
from .._training.randomness import draw_seed
from .._typing import Table
from .._var.estimation import (
    covariance,
    least_squares,
    moving_covariance,
    one_step_errors,
)
from .._var.extraction import collect_matrices, to_original_units
from .._var.process import Estimate
from .._var.results import VARCoefficients
from .._var.terms import Terms, coefficients_of_effect
from .._var.tokens import path_sizes, token_var
from .fitted_series import FittedSeries
from .history import History, Schema, SeriesHistory
from .learning import rows_of
from .state import ForecasterState

_PATH_COLUMNS = ["time", "series", "depth", "path", "strength", "contribution"]

# Windows that go through a network at once.
_BATCH = 256


def var_matrices(
    state: ForecasterState, Y: Table, step: int, return_intercept: bool
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """As of the method of forecasters."""
    windows = state.windows(Y)
    check_scalar(step, "step", numbers.Integral, min_val=1)
    if step > 1 and state.model.terms is not None:
        raise ValueError(
            f"step={step}: later steps depend on terms as well, which trend, seasonal "
            "or covariate_lags order. Pass step=1."
        )
    batches = state.single.matrices(windows, step=step)
    matrices, intercepts = collect_matrices(batches, len(windows))
    return (matrices, intercepts) if return_intercept else matrices


def var_coefficients(
    state: ForecasterState, Y: Table | None, at: Any
) -> VARCoefficients | pd.Series:
    """As of the method of forecasters."""
    member, windows = state.single, state.windows(Y, for_errors=True)
    history = _rows_of_windows(member, windows, Y)
    errors = member.history_errors if Y is None else member.errors(windows)
    before = member.series.before
    has_rows = before is None or before.sums is not None
    has_posterior = has_rows and member.model.var_alone is not None
    foreign = Y is not None
    enough = len(errors) > errors.shape[1]
    after = history.index[member.model.window_rows :]
    residuals = pd.DataFrame(errors, after).dropna()
    sigma_u = covariance(errors, 0) if foreign and enough else member.sigma_u
    levels, times, table = Levels.of(member), history.index, None
    if levels is not None:
        history, table = levels.rows(member, history, Y)
    shared = partial(
        VARCoefficients,
        history=history,
        residuals=residuals if len(residuals) else None,
        df_model=0 if foreign else member.n_coefficients,
        n_rows=len(member.series.index) + member.series.n_forgotten,
        scale=member.series.scaler.scale_,
        refit=Refit(
            member.model.specification, member.series if levels is not None else None
        ),
    )
    estimated = {
        "sigma_u": sigma_u,
        "alpha": _penalty(member.model),
        "posterior": Posterior(state) if has_posterior else None,
    }

    def made(
        matrices: np.ndarray, intercept: np.ndarray, label: str, row: int | None = None
    ) -> VARCoefficients:
        own, terms = estimated, None
        if row is not None and member.model.tracking is not None:
            seen = windows.values[row + 1 - windows.lags : row + 1]
            before = errors[: row + 1 - windows.lags]
            own = _tracked(member, matrices, intercept, seen, before, sigma_u)
        if levels is not None:
            intercept, acting = levels.inside(matrices, intercept, levels.weights)
            terms = Terms(acting, table, levels.columns.deterministic)
        return shared(matrices, intercept, label=label, terms=terms, **own)

    if at is None and len(windows) > 1:
        return _average(member, windows, times, made)
    several = isinstance(at, (slice, list, np.ndarray, pd.Index))
    rows = _rows_at(times, at, windows.lags, several=several)
    found = _at_rows(member, windows, times, rows, made)
    return found if several else found.iloc[0]


def _rows_of_windows(
    member: FittedSeries, windows: Windows, Y: Table | None
) -> pd.DataFrame:
    """Rows of the history, or of another table, as the network sees them."""
    index = member.series.index if Y is None else getattr(Y, "index", None)
    values = member.in_units(windows.values.numpy())
    rows = pd.DataFrame(values, index, member.schema.names)
    if isinstance(rows.index, pd.DatetimeIndex):
        rows.index = pd.DatetimeIndex(rows.index, freq=member.schema.step)
    return rows


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


def _penalty(model: FittedModel) -> float:
    """Per row, at lag 1, of a closed form."""
    if model.form is None:
        return model.closed_form.alpha or 0.0
    evidence = model.closed_form.evidence
    return evidence.penalties["lag"] / evidence.n_rows


def _average(
    member: FittedSeries, windows: Windows, index: pd.Index, made: Callable
) -> VARCoefficients:
    """The average over the windows that have a next row."""
    followed = Windows([windows.values.numpy()], windows.lags, 1)
    n_used = len(member.model.in_average(len(followed)))
    span = f"{n_used} windows, {index[windows.lags - 1]} to {index[-2]}"
    is_static = not member.model.network_weight
    label = "static matrices" if is_static else f"average over {span}"
    return made(*member.average_over(followed), label)


def _at_rows(
    member: FittedSeries,
    windows: Windows,
    index: pd.Index,
    rows: list[int],
    made: Callable,
) -> pd.Series:
    """Of the windows that end at these rows."""
    chosen = torch.tensor(rows) - windows.lags + 1
    found = zip(
        *collect_matrices(member.matrices(windows, chosen), len(rows)), strict=True
    )
    return pd.Series(
        [
            made(*estimate, f"window ending {index[row]}", row)
            for row, estimate in zip(rows, found, strict=True)
        ],
        index[rows],
    )


def _tracked(
    member: FittedSeries,
    matrices: np.ndarray,
    intercept: np.ndarray,
    rows: torch.Tensor,
    errors: np.ndarray,
    sigma_u: np.ndarray,
) -> dict:
    """What is known of tracked matrices: covariance of errors, penalty, posterior."""
    model, scaler = member.model, member.series.scaler
    sigma_u = moving_covariance(errors, sigma_u)
    estimate = matrices, intercept, sigma_u
    return {
        "sigma_u": sigma_u,
        "alpha": _tracking_penalty(model.tracking),
        "posterior": TrackedPosterior(model, rows, scaler, estimate),
    }


@torch.no_grad()
def _tracking_penalty(network: LinearAttentionVAR) -> float:
    """Per row of those that count, as of the weights."""
    return ((1 - network.tracker.decay) * network.tracker.penalties[0]).item()


def compare_with_ols(
    state: ForecasterState, name: str, Y: Table | None
) -> pd.DataFrame:
    """As of the method of forecasters."""
    member, windows = state.single, state.windows(Y, for_errors=True)
    member.series.check_whole("A comparison with least squares")
    n_before, lags = windows.lags, member.model.specification.lags
    if len(windows) < 2:
        raise ValueError(f"Y has no row after its first {n_before}; pass more rows.")
    ols = least_squares(member.in_units(member.residual.values), 0, order=lags)
    errors = member.errors(windows)
    rows = member.in_units(windows.values[n_before - lags :].numpy())
    of_ols = one_step_errors(rows, *ols[:2])
    of_ols[np.isnan(errors)] = np.nan
    models = {
        name: (member.average_matrices[0], errors),
        f"OLS VAR({lags})": (ols[0], of_ols),
    }
    scale = member.series.scaler.scale_
    relative = scale / scale[:, np.newaxis]
    return pd.DataFrame.from_dict(
        {
            name: _comparison(matrices * relative, ols[0] * relative, errors / scale)
            for name, (matrices, errors) in models.items()
        },
        orient="index",
    )


@dataclass(frozen=True)
class Posterior:
    """Draws of the matrices that forecast alone, in original units.

    Given the rows that they were estimated on, those of all instances of a panel. With
    covariates and other terms, these and their coefficients are drawn as well, given
    their effect where that is taken out before.
    """

    state: ForecasterState

    def __call__(self, n_draws: int, rng: np.random.Generator):
        state, member = self.state, self.state.single
        known, model = state.calibration, state.model
        if member.series.before is None:
            rows = rows_of(
                known.history, known.n_train, model.effect, state.filler, model.ordered
            )
        else:
            rows = Rows([member.series.before.sums])
        matrices, intercepts, covariances, *weights = model.draws(
            rows.segments, rows.observed, rows.design, n_draws, rng
        )
        scaler = member.series.scaler
        matrices, intercepts = to_original_units(matrices, intercepts, scaler, scaler)
        missing = model.specification.lags - matrices.shape[1]
        matrices = np.pad(matrices, [(0, 0), (0, missing), (0, 0), (0, 0)])
        covariances = covariances * np.outer(deviations(scaler), deviations(scaler))
        levels = Levels.of(member)
        if levels is None:
            return matrices, intercepts, covariances
        weights = weights[0] * scaler.scale_[:, np.newaxis] if weights else None
        intercepts, coefficients = levels.inside(matrices, intercepts, weights)
        return matrices, intercepts, covariances, coefficients


@dataclass(frozen=True)
class TrackedPosterior:
    """Draws of tracked matrices after a window, in original units.

    The static VAR and the covariance of the errors are taken as known: at any one time
    they are far better known than what few recent rows say about a drift.

    Parameters
    ----------
    model : FittedModel
        Whose matrices are tracked.
    rows : Tensor of shape (window_rows, n_series)
        The window, standardised.
    scaler : StandardScaler
        Of the series.
    estimate : Estimate
        Matrices, intercept and covariance that are the mean of the draws.
    """

    model: FittedModel
    rows: torch.Tensor
    scaler: StandardScaler
    estimate: Estimate

    @torch.no_grad()
    def __call__(self, n_draws: int, rng: np.random.Generator):
        network = copy.deepcopy(self.model.tracking).cpu().double()
        n_directions, *shape = network.tracker.directions.shape
        along = rng.standard_normal((n_draws, n_directions))
        free = rng.standard_normal((n_draws, *shape))
        normal = (torch.from_numpy(x) for x in (along, free))
        window = self.rows.cpu().double().unsqueeze(0)
        moves = network.within_order(network.drift_deviations(window, *normal))
        matrices, intercept, sigma_u = self.estimate
        zero = np.zeros_like(intercept)
        moves, means = to_original_units(moves.numpy(), zero, self.scaler, self.scaler)
        return (
            matrices + moves,
            intercept + means - self.scaler.mean_,
            np.broadcast_to(sigma_u, (n_draws, *sigma_u.shape)),
        )


@dataclass(frozen=True)
class Refit:
    """Estimate of the same specification on another table, for bootstraps.

    Simulated are all series, past covariates as well.

    Parameters
    ----------
    specification : Specification
    series : SeriesHistory, optional
        The rows that the table stands for, the last of them, where covariates or other
        terms act on these.
    """

    specification: Specification
    series: SeriesHistory | None = None

    def __call__(self, table: np.ndarray, seed: int):
        specification = replace(
            self.specification,
            seed=draw_seed(seed),
            verbose=0,
            on_interrupt="raise",
            checkpoint=None,
        )
        history = self._history(table)
        [series] = history.series.values()
        state = ForecasterState.learned(specification, history, series.index[-1])
        member = state.single
        matrices, intercept = member.average_matrices
        levels = Levels.of(member)
        if levels is None:
            return matrices, intercept, member.sigma_u
        intercept, coefficients = levels.inside(matrices, intercept, levels.weights)
        return matrices, intercept, member.sigma_u, coefficients

    def _history(self, table: np.ndarray) -> History:
        if self.series is None:
            frame = as_frame(table, "table")
            schema = Schema.of(frame, None, None, None)
            return History.start(schema, frame, None)
        start = self.series.table.to_numpy()[: len(self.series.index) - len(table)]
        values = np.concatenate([start, table])
        frame = pd.DataFrame(values, self.series.index, self.series.schema.names)
        series = replace(self.series, table=frame, scaler=units_of(values))
        return History(self.series.schema, {None: series}, [None])


def token_var_matrices(
    state: ForecasterState, Y: Table, segment: int, return_tokens: bool
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """As of the method of `SAMoVARForecaster`."""
    network, windows = _token_network(state), state.windows(Y)
    n_segments = network.tokens.n_segments
    check_scalar(
        segment,
        "segment",
        numbers.Integral,
        min_val=-n_segments,
        max_val=n_segments - 1,
    )
    parts = [
        token_var(network, past.to(like(network)), segment)
        for past, *_ in windows.batches(_BATCH)
    ]
    matrices, tokens = (
        torch.cat(part).cpu().numpy() for part in zip(*parts, strict=True)
    )
    return (matrices, tokens) if return_tokens else matrices


def influence_paths(state: ForecasterState, Y: Table, n_strongest: int) -> pd.DataFrame:
    """As of the method of `SAMoVARForecaster`."""
    check_scalar(n_strongest, "n_strongest", numbers.Integral, min_val=1)
    network, windows = _token_network(state), state.windows(Y)
    times = pd.DataFrame(Y).index[network.lags - 1 :]
    labels = np.array(_token_labels(network.tokens.n_segments), dtype=object)
    rows = []
    for time, (past, *_) in zip(times, windows.batches(1), strict=True):
        paths, *sizes = path_sizes(network, past.to(like(network)))
        for name, strength, contribution in zip(
            state.history.schema.names, *sizes, strict=True
        ):
            for i in np.argsort(-strength, kind="stable")[:n_strongest]:
                path = tuple(labels[list(paths[i])])
                size = strength[i], contribution[i]
                rows.append((time, name, len(path), path, *size))
    return pd.DataFrame(rows, columns=_PATH_COLUMNS)


def _token_network(state: ForecasterState) -> SAMoVAR:
    network = state.model.network
    if isinstance(network, StaticPath):
        network = network.network
    if network is None:
        raise ValueError(
            "n_layers=0 leaves no tokens, only the static path; fit with n_layers "
            "of at least 1, or use var_matrices."
        )
    return network


def _comparison(
    matrices: np.ndarray, reference: np.ndarray, errors: np.ndarray
) -> dict:
    """One row of `compare_with_ols`, all on standardised series."""
    n_series = errors.shape[1]
    var = VARCoefficients(matrices, np.zeros(n_series), np.eye(n_series))
    return {
        "mse": np.nanmean(np.square(errors)),
        "mae": np.nanmean(np.abs(errors)),
        "matrix_distance": np.linalg.norm(matrices - reference)
        / np.linalg.norm(reference),
        "largest_eigenvalue": 1 / np.abs(var.roots[-1]),
        "stable": var.is_stable(),
    }


def _rows_at(index: pd.Index, at: Any, n_before: int, *, several: bool) -> list[int]:
    """Numbers of the rows with labels, the last one for None; each ends a window.

    A slice takes those of its rows that do.
    """
    if at is None:
        return [len(index) - 1]
    if not several:
        return [_row_at(index, at, n_before)]
    if not isinstance(at, slice):
        rows = [_row_at(index, label, n_before) for label in at]
    else:
        try:
            within = index.slice_indexer(at.start, at.stop, at.step)
        except (KeyError, TypeError, ValueError):
            within = slice(0)
        rows = [row for row in range(len(index))[within] if row >= n_before - 1]
    if not rows:
        raise ValueError(
            f"at={at} holds no row with {n_before - 1} rows before it: pass times from "
            f"{index[n_before - 1]} to {index[-1]}."
        )
    return rows


def _row_at(index: pd.Index, at: Any, n_before: int) -> int:
    """Number of the row with a label, which must end a window."""
    try:
        row = index.get_loc(at)
    except (KeyError, TypeError, ValueError, pd.errors.InvalidIndexError):
        row = None
    if isinstance(row, slice) and row.stop - row.start == 1:
        row = row.start
    if not isinstance(row, int) or row < n_before - 1:
        raise ValueError(
            f"at={at!r} does not name one row with {n_before - 1} rows before it: pass "
            f"one time of the index, from {index[n_before - 1]} to {index[-1]}."
        )
    return row


def _token_labels(n_segments: int) -> list[str]:
    """Names of the tokens, oldest first; the last segment is number 0."""
    back = range(n_segments - 1, -1, -1)
    return [f"{kind}-{i}" for i in back for kind in ("context", "main")]

"""Matrices of the vector autoregression in a fitted forecaster, and their analysis."""

import numbers
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.utils import check_scalar

from .._data.windows import Windows
from .._models.fitted import FittedModel
from .._networks.linear_attention_var import LinearAttentionVAR
from .._networks.samovar import SAMoVAR
from .._networks.static_path import StaticPath
from .._training.inference import like
from .._typing import Table
from .._var.estimation import (
    covariance,
    least_squares,
    moving_covariance,
    one_step_errors,
)
from .._var.extraction import collect_matrices
from .._var.results import VARCoefficients
from .._var.terms import Terms
from .._var.tokens import path_sizes, token_var
from .draws import Posterior, Refit, TrackedPosterior
from .fitted_series import FittedSeries
from .levels import Levels
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

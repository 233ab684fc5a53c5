"""Vector autoregressions by ridge regression, and what their rows say about them.

Penalised squares are a prior: coefficients are normal around zero with the variance of
the errors over the penalty, so that the posterior is conjugate (Kadiyala and Karlsson
1997, "Numerical methods for estimation and inference in Bayesian VAR-models"). The
penalty ``alpha`` counts per window and grows with the square of the lag, as in the
prior of Litterman (1986), "Forecasting with Bayesian vector autoregressions".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import scipy.linalg
import scipy.stats

from .._data.units import nonzero
from .evidence import Evidence
from .ridge import (
    Segments,
    segment_moments,
    segment_windows,
    solve_ridge,
    without_solution,
)
from .sums import SummedTable, Sums, are_summed
from .terms import Design

# Each leaves about as large a share of the error that fills make as there are missing
# values.
_PASSES = 10
_ALPHAS = np.logspace(-6, 3, 91)
_ROUNDING = 1e-6


def ridge_var(
    segments: Segments,
    order: int,
    alpha: float,
    n_inputs: int | None = None,
    observed: Segments | None = None,
) -> tuple[np.ndarray, np.ndarray, Evidence]:
    """Vector autoregression with an unpenalised intercept.

    Parameters
    ----------
    segments : sequence of ndarray of shape (n_rows, n_columns)
        Tables without gaps.
    order : int
        Number of lags p.
    alpha : float
        Penalty at lag 1; towards 0 the solution is that of ordinary least squares.
    n_inputs : int, optional
        The first columns cause, the others respond; by default all do both.
    observed : sequence of bool ndarray of shape (n_rows, n_columns), optional
        Where segments are not filled; filled values cause, but do not respond.

    Returns
    -------
    matrices : ndarray of shape (p, n_targets, n_inputs)
        ``matrices[l - 1]`` is the matrix at lag l; rows respond, columns cause.
    intercept : ndarray of shape (n_targets,)
    evidence : Evidence
    """
    problem = _Problem(segments, order, n_inputs)
    estimate = problem.solve(alpha)
    for _ in range(0 if observed is None else _PASSES - 1):
        excess = sum(map(partial(_excess, estimate), segments, observed))
        estimate = problem.solve(alpha, excess)
    return *estimate, problem.evidence(alpha)


def ridge_var_with_terms(
    segments: Segments, order: int, alpha: float, design: Design
) -> tuple[np.ndarray, np.ndarray, np.ndarray, Evidence]:
    """The same with terms beside the lags, which are not penalised either.

    Solved on rows, not on moments: a trend explains most of what it explains.

    Returns
    -------
    matrices : ndarray of shape (p, n_series, n_series)
    intercept : ndarray of shape (n_series,)
    weights : ndarray of shape (n_series, n_terms)
        Of the terms. Where they do not determine them, the smallest ones.
    evidence : Evidence
    """
    problem = _Problem(segments, order, None, design)
    matrices, offsets = problem.solve_rows(alpha)
    return matrices, *_split(matrices, offsets, design.zero), problem.evidence(alpha)


def choose_var_alpha(
    segments: Segments,
    order: int,
    n_inputs: int | None = None,
    design: Design | None = None,
) -> float:
    """Penalty of `ridge_var` with the largest marginal likelihood.

    The strongest one where rows tell nothing.
    """
    evidence = _Problem(segments, order, n_inputs, design).log_evidence(_ALPHAS)
    return float(_ALPHAS[evidence > evidence.max() - _ROUNDING][-1])


def ridge_var_draws(
    segments: Segments,
    order: int,
    alpha: float,
    n_draws: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw from the posterior of `ridge_var`, under a flat prior of error covariances.

    Returns
    -------
    matrices : ndarray of shape (n_draws, p, n_series, n_series)
    intercepts : ndarray of shape (n_draws, n_series)
    covariances : ndarray of shape (n_draws, n_series, n_series)

    Raises
    ------
    ValueError
        If there are not more windows than series, or no unique solution.
    """
    matrices, offsets, covariances = _Problem(segments, order, None).draws(
        alpha, n_draws, rng
    )
    return matrices, offsets[..., 0], covariances


def ridge_var_with_terms_draws(
    segments: Segments,
    order: int,
    alpha: float,
    design: Design,
    n_draws: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Draw from the posterior of `ridge_var_with_terms`, as by `ridge_var_draws`.

    Returns
    -------
    matrices, intercepts, covariances : ndarray
    weights : ndarray of shape (n_draws, n_series, n_terms)
    """
    problem = _Problem(segments, order, None, design)
    matrices, offsets, covariances = problem.draws(alpha, n_draws, rng)
    intercepts, weights = _split(matrices, offsets, design.zero)
    return matrices, intercepts, covariances, weights


def ridge_var_bytes(
    segments: Segments,
    order: int,
    n_inputs: int | None = None,
    design: Design | None = None,
) -> float:
    """Memory that `ridge_var`, with terms or without, takes at least.

    Copies of the matrices, and of what they are solved from: the windows, where there
    are terms or windows are few, else their products.
    """
    n_columns = segments[0].shape[1]
    n_inputs = n_inputs or n_columns
    n_lagged = order * n_inputs
    n_windows, width = _n_windows(segments, order), n_lagged + n_columns
    matrices = 3 * n_lagged * (n_columns - n_inputs or n_columns)
    if design is not None:
        solved = 2 * n_windows * width + (n_windows + n_lagged) * n_lagged
    elif _is_spanned(segments, order, n_lagged):
        solved = 3 * n_windows * width
    else:
        solved = 3 * width**2
    return float(8 * (matrices + solved))


def _n_windows(segments: Segments, order: int) -> int:
    return sum(max(len(values) - order, 0) for values in segments)


def _is_spanned(segments: Segments, order: int, n_lagged: int) -> bool:
    """Whether windows are at hand, and fewer than lagged values."""
    return not are_summed(segments) and 0 < _n_windows(segments, order) < n_lagged


def _split(
    matrices: np.ndarray, offsets: np.ndarray, zero: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Intercept (..., n_series) and weights of terms from offsets, both in one."""
    if zero is None:
        return offsets[..., 0], offsets[..., 1:]
    # What a regression through zero is in units that have it elsewhere.
    return zero - matrices.sum(axis=-3) @ zero, offsets


def error_products(
    table: SummedTable, matrices: np.ndarray, intercept: np.ndarray
) -> np.ndarray:
    """Sums (n_series, n_series) of products of one-step errors, from sums of rows."""
    second, first, count = segment_moments([table], len(matrices) + 1)
    n_series = len(intercept)
    past = -matrices[::-1].transpose(1, 0, 2).reshape(n_series, -1)
    weights = np.hstack([past, np.eye(n_series)])
    through = np.outer(weights @ first, intercept)
    squares = weights @ second @ weights.T + count * np.outer(intercept, intercept)
    return squares - through - through.T


def path_error(
    tables: Sequence[SummedTable],
    matrices: np.ndarray,
    intercept: np.ndarray,
    n_steps: int,
) -> float:
    """Mean squared error of forecasts that are fed back, from sums of rows."""
    order, n_series = len(matrices), len(intercept)
    width = order + n_steps
    tables = [table for table in tables if len(table) >= width]
    n_windows = sum(len(table) - width + 1 for table in tables)
    products = [_WindowProducts(table.total, width) for table in tables]
    first = sum(one.first for one in products) / n_windows
    past = sum(one.between(range(order), range(order)) for one in products) / n_windows
    slopes = [*np.eye(order * n_series).reshape(order, n_series, -1)]
    offsets = [np.zeros(n_series)] * order
    errors = []
    for row in range(order, width):
        slope = sum(a @ b for a, b in zip(matrices, slopes[::-1], strict=True))
        offset = intercept + sum(
            a @ b for a, b in zip(matrices, offsets[::-1], strict=True)
        )
        cross = sum(one.between(range(order), [row]) for one in products) / n_windows
        squares = sum(one.squares(row) for one in products) / n_windows
        mean = slope @ first[:order].ravel()
        explained = np.einsum("ij,ij->i", slope @ past - 2 * cross.T, slope)
        about = offset * (offset + 2 * (mean - first[row]))
        errors.append(squares + explained + about)
        slopes, offsets = [*slopes[1:], slope], [*offsets[1:], offset]
    return float(np.mean(errors))


class _WindowProducts:
    """Sums over windows of the products of some of their rows."""

    def __init__(self, sums: Sums, width: int):
        self.start, self.end = sums.edges(width)
        self.products = sums.pair_products(width)
        self.first = sums.window_sums(width)

    def between(self, early: Sequence[int], late: Sequence[int]) -> np.ndarray:
        """Of each early row with each late one, as one matrix."""
        return np.block([[self._block(i, j) for j in late] for i in early])

    def squares(self, row: int) -> np.ndarray:
        """Of a row with itself, series by series."""
        steps = np.square(self.end[:row]) - np.square(self.start[:row])
        return np.diag(self.products[0]) + steps.sum(axis=0)

    def _block(self, i: int, j: int) -> np.ndarray:
        if i > j:
            return self._block(j, i).T
        end = self.end[:i].T @ self.end[j - i : j]
        return self.products[j - i] + end - self.start[:i].T @ self.start[j - i : j]


def _excess(
    estimate: tuple[np.ndarray, np.ndarray], values: np.ndarray, observed: np.ndarray
) -> np.ndarray:
    """Products (1 + order * n_series, n_series) of windows and errors of fills.

    Without them, fills are forecasts of the estimate and have no say in the next one.
    """
    matrices, intercept = estimate
    order, n_series = len(matrices), values.shape[1]
    if len(values) <= order:
        return np.zeros((1 + order * n_series, n_series))
    past = [values[i : len(values) - order + i] for i in range(order)]
    forecasts = intercept + sum(
        rows @ matrix.T for rows, matrix in zip(past, matrices[::-1], strict=True)
    )
    errors = np.where(observed[order:], 0.0, values[order:] - forecasts)
    return np.vstack([errors.sum(axis=0), *(rows.T @ errors for rows in past)])


@dataclass(frozen=True)
class _Span:
    """Directions in which windows differ, where lagged values outnumber the windows.

    Windows say nothing about coefficients in other directions, so that a penalised
    solution has none there, and a posterior the prior.

    Parameters
    ----------
    directions : ndarray of shape (n_lagged, n_directions)
        Orthogonal, for lagged values over the roots of their penalties.
    weight : ndarray of shape (n_lagged,)
        One over these roots.
    """

    directions: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, lagged: np.ndarray, penalty: np.ndarray) -> tuple["_Span", np.ndarray]:
        """The span of centred windows (n, n_lagged), and these windows in it."""
        weight = 1 / np.sqrt(penalty)
        directions, inputs = np.linalg.qr((lagged * weight).T)
        return cls(directions, weight), inputs.T

    def products(self, lagged: np.ndarray) -> np.ndarray:
        """Sums of products with lagged values (n_lagged, ...) along the directions."""
        return self.directions.T @ (self.weight[:, np.newaxis] * lagged)

    def coefficients(self, along: np.ndarray) -> np.ndarray:
        """Coefficients (..., n_lagged) of lagged values."""
        return along @ self.directions.T * self.weight

    def unseen(self, noise: np.ndarray) -> np.ndarray:
        """Coefficients of white noise (..., n_lagged) in all other directions."""
        return (noise - noise @ self.directions @ self.directions.T) * self.weight


class _Problem:
    """Moments of windows: the solution for any penalty, and how good it is.

    Less what the terms explain that are not penalised: ``levels`` (n_free, n_columns)
    are their coefficients, and ``root`` is one of the inverse of their products. Inputs
    are the lagged values, or the directions of a `_Span`.
    """

    def __init__(
        self,
        segments: Segments,
        order: int,
        n_inputs: int | None,
        design: Design | None = None,
    ):
        n_columns = segments[0].shape[1]
        n_inputs = n_inputs or n_columns
        rows = n_columns * np.arange(order)[:, np.newaxis]
        inputs = (rows + np.arange(n_inputs)).ravel()
        self.order, self.n_lagged, self.n_inputs = order, len(inputs), len(inputs)
        self.penalty = np.repeat(np.arange(order, 0, -1.0) ** 2, n_inputs)
        self.span: _Span | None = None
        if design is not None:
            self._take_out(*design.windows(segments, order))
            return
        last = n_inputs if n_inputs < n_columns else 0
        outputs = n_columns * order + np.arange(last, n_columns)
        used = np.concatenate([inputs, outputs])
        if _is_spanned(segments, order, len(inputs)):
            windows = segment_windows(segments, order + 1)[:, used]
            count, mean = len(windows), windows.mean(axis=0)
            self._restrict(windows - mean)
        else:
            second, first, count = segment_moments(segments, order + 1)
            mean = first[used] / count
            second = second[np.ix_(used, used)] / count
            self.covariance = second - np.outer(mean, mean)
        self.levels, self.root = mean[np.newaxis], np.array([[1 / np.sqrt(count)]])
        self.count, self.n_free = count, 1

    def _restrict(self, windows: np.ndarray) -> None:
        """Moments of centred windows (n, n_columns) in directions that they span."""
        lagged, outputs = np.split(windows, [self.n_lagged], axis=1)
        self.span, inputs = _Span.of(lagged, self.penalty)
        self.n_inputs = inputs.shape[1]
        self.penalty = np.ones(self.n_inputs)
        moved = np.hstack([inputs, outputs])
        self.covariance = moved.T @ moved / len(moved)

    def _take_out(self, rows: np.ndarray, terms: np.ndarray) -> None:
        """Moments of the rows (n, n_columns) less what terms (n, n_free) explain."""
        size = nonzero(np.linalg.norm(terms, axis=0))
        u, values, vt = np.linalg.svd(terms / size, full_matrices=False)
        known = values > len(terms) * np.finfo(float).eps * values.max(initial=0.0)
        u, self.root = u[:, known], vt[known].T / values[known] / size[:, np.newaxis]
        self.levels = self.root @ (u.T @ rows)
        self.rows = rows - u @ (u.T @ rows)
        self.count, self.n_free = len(rows), int(known.sum())
        self.covariance = self.rows.T @ self.rows / self.count

    def solve_rows(self, alpha: float) -> tuple[np.ndarray, np.ndarray]:
        """Matrices, lag 1 first, and offsets (n_series, n_free), from the rows.

        Raises
        ------
        ValueError
            If there is no unique solution.
        """
        n, prior = self.n_inputs, np.sqrt(self.count * alpha * self.penalty)
        outputs = self.rows[:, n:]
        coef, _, rank, _ = np.linalg.lstsq(
            np.vstack([self.rows[:, :n], np.diag(prior)]),
            np.vstack([outputs, np.zeros((n, outputs.shape[1]))]),
        )
        if rank < n:
            raise ValueError(without_solution(alpha))
        return self._parts(coef.T)

    def _of_lagged(self, coef: np.ndarray) -> np.ndarray:
        """Coefficients (..., n_lagged) of lagged values from those of the inputs."""
        return coef if self.span is None else self.span.coefficients(coef)

    def _regression(self, alpha: float) -> tuple[np.ndarray, np.ndarray]:
        """Moments of inputs, and of these with outputs, which have a solution.

        Raises
        ------
        ValueError
            Where fewer windows than coefficients have none.
        """
        if self.span is not None and not alpha:
            raise ValueError(without_solution(alpha))
        n = self.n_inputs
        return self.covariance[:n, :n], self.covariance[:n, n:]

    def _parts(self, coef: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Matrices and offsets of coefficients (..., n_targets, n_lagged) of lags."""
        blocks = coef.reshape(*coef.shape[:-1], self.order, -1)[..., ::-1, :]
        of_inputs, of_outputs = np.split(self.levels.T, [self.n_lagged])
        return np.moveaxis(blocks, -2, -3).copy(), of_outputs - coef @ of_inputs

    def solve(
        self, alpha: float, excess: np.ndarray | float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Matrices, lag 1 first, and intercept.

        ``excess`` is taken off the sums (1 + n_lagged, n_targets) of the products of
        windows, 1 first, with targets.
        """
        n_lagged, [means] = self.n_lagged, self.levels
        gram, cross = self._regression(alpha)
        shape = 1 + n_lagged, len(means) - n_lagged
        excess = np.broadcast_to(excess / self.count, shape)
        of_fills = excess[1:] - np.outer(means[:n_lagged], excess[0])
        if self.span is not None:
            of_fills = self.span.products(of_fills)
        coef = solve_ridge(gram, cross - of_fills, alpha, self.penalty)
        matrices, offsets = self._parts(self._of_lagged(coef))
        return matrices, offsets[:, 0] - excess[0]

    def evidence(self, alpha: float) -> Evidence:
        """What the rows say about a penalty."""
        n, penalties = self.n_inputs, alpha * self.penalty
        if not alpha:
            return Evidence({"lag": 0.0}, np.nan, self.count, float(self.n_free + n))
        factor = np.linalg.cholesky(self.covariance[:n, :n] + np.diag(penalties))
        inputs = np.column_stack([np.diag(np.sqrt(penalties)), self.covariance[:n, n:]])
        solved = scipy.linalg.solve_triangular(factor, inputs, lower=True)
        squares = np.square(solved).sum(axis=0)
        prior = np.log(penalties).sum() - 2 * np.log(np.diag(factor)).sum()
        found = self._marginal(prior, squares[n:])
        kept = self.n_free + n - float(squares[:n].sum())
        return Evidence({"lag": float(alpha)}, float(found), self.count, kept)

    def log_evidence(self, alphas: np.ndarray) -> np.ndarray:
        """Logarithm of the marginal likelihood of each penalty, (n_alphas,).

        Up to a constant, and the sum of those of the equations: with errors that are
        correlated it is not of fewer rows than series.
        """
        n, weight = self.n_inputs, 1 / np.sqrt(self.penalty)
        values, vectors = scipy.linalg.eigh(
            weight * self.covariance[:n, :n] * weight[:, np.newaxis]
        )
        cross = vectors.T @ (weight[:, np.newaxis] * self.covariance[:n, n:])
        kept = 1 / (values.clip(0) + alphas[:, np.newaxis])
        prior = (np.log(alphas)[:, np.newaxis] + np.log(kept)).sum(axis=1)
        return self._marginal(prior, kept @ np.square(cross))

    def _marginal(self, prior: np.ndarray, explained: np.ndarray) -> np.ndarray:
        """From the log share of the prior that is left, and explained variances."""
        variance = np.diag(self.covariance)[self.n_inputs :]
        # Not less than rounding: its logarithm would mean nothing.
        least = np.finfo(float).eps * variance.clip(1e-100)
        errors = np.log(np.maximum(variance - explained, least)).sum(axis=-1)
        return len(variance) / 2 * prior - (self.count - self.n_free) / 2 * errors

    def draws(self, alpha: float, n_draws: int, rng: np.random.Generator):
        """As of `ridge_var_draws`, with offsets (n_draws, n_series, n_free)."""
        n, count = self.n_inputs, self.count
        n_series = self.levels.shape[1] - self.n_lagged
        if count <= n_series:
            raise ValueError(
                f"{count} windows of {self.order} lags are too few for the posterior "
                f"of a VAR of {n_series} series; pass more rows."
            )
        gram, cross = self._regression(alpha)
        mean = solve_ridge(gram, cross, alpha, self.penalty)
        # Not less than rounding: constants and sums of others have a covariance, too.
        least = 1e-10 * np.diag(self.covariance)[n:].clip(1e-100)
        squares = count * (self.covariance[n:, n:] - mean @ cross + np.diag(least))
        covariances = scipy.stats.invwishart(count - self.n_free, squares).rvs(
            n_draws, random_state=rng
        )
        covariances = covariances.reshape(n_draws, n_series, n_series)
        # Columns of one draw are correlated as the errors of the equations are.
        roots = np.linalg.cholesky(covariances)
        whitened = rng.standard_normal((n_draws, n_series, n)) / np.sqrt(count)
        spread = scipy.linalg.solve_triangular(
            np.linalg.cholesky(gram + alpha * np.diag(self.penalty)),
            whitened.reshape(-1, n).T,
            trans="T",
            lower=True,
        )
        coef = self._of_lagged(mean + roots @ spread.T.reshape(n_draws, n_series, n))
        if self.span is not None:
            prior = rng.standard_normal((n_draws, n_series, self.n_lagged))
            coef += roots @ self.span.unseen(prior / np.sqrt(count * alpha))
        noise = rng.standard_normal((n_draws, n_series, self.n_free)) @ self.root.T
        matrices, offsets = self._parts(coef)
        return matrices, offsets + roots @ noise, covariances

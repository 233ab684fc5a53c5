"""Vector autoregressions in error-correction form, with penalties by evidence.

The change of a series is regressed on functions of the rows before it that are linear:
its level, its lagged changes, the mean change at the same place of earlier seasons, and
gaps between the level and its recent means; of other series, the level and lagged
changes. A strong penalty on levels makes this a VAR in differences with drift, a weak
one a VAR in levels (Litterman 1986; Doan, Litterman and Sims 1984); either way the
result is one VAR in levels.

Penalties and the form itself have the largest marginal likelihood, as in Giannone,
Lenza and Primiceri (2015), "Prior selection for vector autoregressions". Rows with
large errors count less, as under errors of Student's distribution.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.optimize

Segments = Sequence[np.ndarray]

# Where the search for penalties begins: in mean squared changes, those of levels (which
# grow with the rows) per row. It stops at what changes little.
_STARTS = {
    "level": 1.0,
    "lag": 10.0,
    "gap": 10.0,
    "season": 10.0,
    "cross level": 10.0,
    "cross lag": 30.0,
}
_PER_ROW = "level", "cross level"
# Standard deviation of logarithms of penalties around their starts.
_SPREAD = 4.0
_MOST_EVALUATIONS = 120
# Equations whose evidence chooses the penalties of all.
_MOST_EQUATIONS = 8
# Degrees of freedom of the errors, and passes that weigh rows by them.
_FREEDOM, _PASSES = 4.0, 3
_CHUNK = 8_192
# What is tried where there are enough rows: lagged changes, rows of recent means,
# seasons averaged. Beyond so many series, each is explained by itself alone.
_OWN_LAGS, _CROSS_LAGS, _GAPS, _N_SEASONS = 6, 2, (4, 12), (3, 9)
_MOST_CROSS = 50


@dataclass(frozen=True)
class Form:
    """Which functions of the last rows explain the next change.

    Parameters
    ----------
    own_lags : int
        Lagged changes of the series itself.
    cross_lags : int, optional
        Lagged changes of every other series, beside its level; None leaves other
        series out.
    gaps : tuple of int
        Rows of the means whose distances from the last level count.
    seasons : tuple of int
        Rows of a season, of each one that there is.
    n_seasons : tuple of int
        How many earlier seasons are averaged, of each one.
    adjusted : bool
        Whether levels count less the seasonal pattern, that of the longest season.
    """

    own_lags: int
    cross_lags: int | None = None
    gaps: tuple[int, ...] = ()
    seasons: tuple[int, ...] = ()
    n_seasons: tuple[int, ...] = ()
    adjusted: bool = False

    @property
    def rows(self) -> int:
        """Rows of history that enter a forecast."""
        reach = max([self.own_lags, *(width - 1 for width in self.gaps)])
        spans = [s * n for s, n in zip(self.seasons, self.n_seasons, strict=True)]
        return 1 + max([reach + sum(spans[-1:]), *spans])

    @property
    def first(self) -> int:
        """The first row that is regressed: one season and all lags are before it."""
        return max([self.own_lags, *self.seasons]) + 1

    @cached_property
    def kinds(self) -> list[tuple[str, float]]:
        """Kind of each function of a series itself, and its relative penalty."""
        kinds = [("level", 1.0)]
        kinds += [("lag", lag**2) for lag in range(1, self.own_lags + 1)]
        kinds += [("gap", 1.0) for _ in self.gaps]
        return kinds + [("season", 1.0) for _ in self.seasons]

    @cached_property
    def cross_kinds(self) -> list[tuple[str, float]]:
        """The same of the functions of other series, the first of these."""
        if self.cross_lags is None:
            return []
        return [(f"cross {kind}", size) for kind, size in self.kinds][
            : 1 + self.cross_lags
        ]

    def functions(self, values: np.ndarray) -> np.ndarray:
        """Functions of the rows before each row from ``first`` on, and after the last.

        Seasons and means that begin before the first row are those of fewer rows.

        Parameters
        ----------
        values : ndarray of shape (n_rows, n_series)

        Returns
        -------
        ndarray of shape (n_rows - first + 1, n_series, n_functions)
        """
        n_rows = len(values)
        at = np.arange(self.first, n_rows + 1)
        changes = np.diff(values, axis=0, prepend=values[:1])
        means = [
            _seasonal_means(changes, season, n)
            for season, n in zip(self.seasons, self.n_seasons, strict=True)
        ]
        regular = changes - means[-1][:-1] if means else changes
        lagged = [regular[at - lag] for lag in range(1, self.own_lags + 1)]
        gaps = [_gap(regular, width)[at - 1] for width in self.gaps]
        seasonal = [mean[at] for mean in means]
        return np.stack([self._levels(values)[at - 1], *lagged, *gaps, *seasonal], -1)

    def _levels(self, values: np.ndarray) -> np.ndarray:
        """Levels, perhaps less the mean pattern of earlier seasons."""
        if not self.adjusted:
            return values
        season, most = self.seasons[-1], self.n_seasons[-1]
        at = np.arange(len(values))
        sums = np.vstack([np.zeros_like(values[:1]), values.cumsum(axis=0)])
        whole = np.minimum(most, at // season) * season
        overall = (sums[at] - sums[at - whole]) / np.maximum(whole, 1)[:, np.newaxis]
        pattern = _seasonal_means(values, season, most, first=0)[:-1] - overall
        return np.where(whole[:, np.newaxis] > 0, values - pattern, values)

    def n_coefficients(self, n_series: int) -> int:
        """Coefficients of an equation, with the intercept."""
        return 1 + len(self.kinds) + len(self.cross_kinds) * (n_series - 1)

    @cached_property
    def weights(self) -> np.ndarray:
        """The functions as weights (n_functions, rows) of rows, the oldest first."""
        # Each row of the window is 1 in a series of its own.
        return self.functions(np.eye(self.rows))[-1].T


def _seasonal_means(
    values: np.ndarray, season: int, most: int, first: int = 1
) -> np.ndarray:
    """Mean of the values one season, two seasons ... before each row, and the next.

    Rows before ``first`` do not count, and where no others are, the mean is zero.
    """
    totals = np.zeros((len(values) + 1, values.shape[1]))
    counts = np.zeros((len(values) + 1, 1))
    for rows in range(season, min(most * season, len(values) - first) + 1, season):
        totals[rows + first :] += values[first : len(values) + 1 - rows]
        counts[rows + first :] += 1
    return totals / np.maximum(counts, 1)


def _gap(changes: np.ndarray, width: int) -> np.ndarray:
    """Distance of the level of each row from the mean of the last ``width`` levels."""
    gap = np.zeros_like(changes)
    for lag in range(min(width - 1, len(changes))):
        weight = 1 - (lag + 1) / width
        gap[lag:] += weight * changes[: len(changes) - lag]
    return gap


@dataclass(frozen=True)
class Evidence:
    """What the rows say about a form.

    Parameters
    ----------
    penalties : dict of float
        By kind of function, in squared units of the changes of each series.
    log_evidence : float
        Logarithm of the marginal likelihood, up to what is common to all forms.
    n_rows : int
        Rows regressed.
    """

    penalties: dict[str, float]
    log_evidence: float
    n_rows: int


def choose_form(
    segments: Segments,
    seasons: Sequence[int] = (),
    observed: Segments | None = None,
    most_rows: int | None = None,
) -> Form:
    """The form with the largest evidence on the rows that all of them can regress.

    Seasons and levels are chosen for each series by itself, then whether series explain
    each other.

    Parameters
    ----------
    segments : sequence of ndarray of shape (n_rows, n_series)
        Tables without gaps.
    seasons : sequence of int
        Rows of the seasons that there may be, ascending; those of which there are less
        than two are left out.
    observed : sequence of bool ndarray, optional
        As of `error_correction_var`.
    most_rows : int, optional
        Most rows of history that a forecast may depend on.
    """
    n_rows, n_series = max(map(len, segments)), segments[0].shape[1]
    form = _best(segments, _forms(n_rows, seasons, most_rows), observed)
    if not 1 < n_series <= _MOST_CROSS or n_rows <= form.first:
        return form
    crossed = replace(form, cross_lags=min(_CROSS_LAGS, form.own_lags))
    return _best(segments, [form, crossed], observed)


def _best(segments: Segments, forms: Sequence[Form], observed: Segments | None) -> Form:
    if len(forms) == 1:
        return forms[0]
    first = max(form.first for form in forms)
    problems = [_Problem(segments, form, observed, first) for form in forms]
    evidence = [problem.solution().log_evidence for problem in problems]
    return forms[int(np.argmax(evidence))]


def _forms(n_rows: int, seasons: Sequence[int], most_rows: int | None) -> list[Form]:
    """Forms of series by themselves that so many rows can tell apart."""
    most = min(n_rows - 1, most_rows or n_rows)
    own_lags = max(1, min(_OWN_LAGS, (n_rows - 2) // 4, most - 1))
    gaps = tuple(width for width in _GAPS if width <= min(n_rows // 4, most))
    forms = [Form(own_lags, None, gaps)]
    left = most - forms[0].rows
    for n in _N_SEASONS:
        counts = {
            season: min(n, left // season)
            for season in seasons
            if season > 1 and left >= season and n_rows >= 2 * season + own_lags + 2
        }
        if counts:
            of_seasons = replace(
                forms[0], seasons=tuple(counts), n_seasons=tuple(counts.values())
            )
            forms += [of_seasons, replace(of_seasons, adjusted=True)]
    return list(dict.fromkeys(forms))


def error_correction_var(
    segments: Segments, form: Form, observed: Segments | None = None
) -> tuple[np.ndarray, np.ndarray, Evidence]:
    """Estimate a form on tables without gaps.

    Parameters
    ----------
    segments : sequence of ndarray of shape (n_rows, n_series)
    form : Form
    observed : sequence of bool ndarray of shape (n_rows, n_series), optional
        Where segments are not filled; filled values cause, but do not respond.

    Returns
    -------
    matrices : ndarray of shape (form.rows, n_series, n_series)
        ``matrices[l - 1]`` is the matrix at lag l; rows respond, columns cause.
    intercept : ndarray of shape (n_series,)
    evidence : Evidence
    """
    problem = _Problem(segments, form, observed, form.first)
    solution = problem.solution()
    return *problem.in_levels(solution), problem.evidence(solution)


@dataclass(frozen=True)
class _Solution:
    """Coefficients (n_series, n_inputs) and intercepts of changes in units of these."""

    coef: np.ndarray
    intercept: np.ndarray
    variance: np.ndarray
    log_penalties: np.ndarray
    log_evidence: float


class _Problem:
    """Regressions of the changes of each series on the functions of a form."""

    def __init__(
        self, segments: Segments, form: Form, observed: Segments | None, first: int
    ):
        self.form, self.first = form, first
        masks = observed or [np.ones(values.shape, bool) for values in segments]
        long_enough = [len(values) > first for values in segments]
        self.segments = [x for x, use in zip(segments, long_enough, strict=True) if use]
        self.masks = [x for x, use in zip(masks, long_enough, strict=True) if use]
        self.n_series = segments[0].shape[1]
        self.mean, self.scale = self._units()
        own, cross = form.kinds, form.cross_kinds * (self.n_series - 1)
        kinds, relative = zip(*own, *cross, strict=True)
        self.names = list(dict.fromkeys(kinds))
        self.kind = np.array([self.names.index(kind) for kind in kinds])
        self.relative = np.array(relative, dtype=float)
        # Without knowing better, the change is that of earlier seasons; of several,
        # that of the longest.
        self.expected = np.zeros(len(kinds))
        if form.seasons:
            self.expected[len(own) - 1] = 1.0

    def _units(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean of the levels and root mean square of the changes of each series."""
        rows, seen = np.concatenate(self.segments), np.concatenate(self.masks)
        changes = np.concatenate([np.diff(values, axis=0) for values in self.segments])
        both = np.concatenate([mask[1:] & mask[:-1] for mask in self.masks])
        squares = (np.square(changes) * both).sum(axis=0)
        scale = np.sqrt(squares / np.maximum(both.sum(axis=0), 1))
        mean = (rows * seen).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
        size = np.abs(rows).max(axis=0)
        return mean, np.where(scale > 1e-12 * size, scale, 1.0)

    def solution(self) -> _Solution:
        """Choose penalties and solve, weighing rows anew by their errors."""
        solution = self._solve(self._moments(None), None)
        for _ in range(_PASSES):
            solution = self._solve(self._moments(solution), solution)
        return solution

    def evidence(self, solution: _Solution) -> Evidence:
        """What the rows say."""
        penalties = np.exp(solution.log_penalties).tolist()
        return Evidence(
            dict(zip(self.names, penalties, strict=True)),
            solution.log_evidence,
            sum(len(values) - self.first for values in self.segments),
        )

    def _chunks(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Functions (n, n_series, n_functions), changes and where these are seen."""
        for values, mask in zip(self.segments, self.masks, strict=True):
            values = (values - self.mean) / self.scale
            for start in range(self.first, len(values), _CHUNK):
                stop = min(start + _CHUNK, len(values))
                # Rows that a whole window needs, or all that there are.
                begin = max(0, start - self.form.rows)
                functions = self.form.functions(values[begin:stop])[:-1]
                changes = np.diff(values[start - 1 : stop], axis=0)
                seen = mask[start:stop] & mask[start - 1 : stop - 1]
                yield functions[-len(changes) :], changes, seen

    def _inputs(self, functions: np.ndarray, series: int) -> np.ndarray:
        """Functions of a series itself, then of each other one, (n, n_inputs)."""
        others = np.delete(functions, series, axis=1)[..., : len(self.form.cross_kinds)]
        return np.hstack([functions[:, series], others.reshape(len(functions), -1)])

    def _moments(self, solution: _Solution | None) -> np.ndarray:
        """Weighted products (n_series, n_inputs + 2, ...) of 1, inputs and changes.

        Rows count by their errors in a solution, all equally without one; the weights
        of a series have mean one.
        """
        size = len(self.kind) + 2
        moments = np.zeros((self.n_series, size, size))
        counts = np.zeros(self.n_series)
        for functions, changes, seen in self._chunks():
            for i in range(self.n_series):
                inputs = self._inputs(functions, i)
                target = changes[:, i] - inputs @ self.expected
                weight = seen[:, i].astype(float)
                counts[i] += weight.sum()
                if solution is not None:
                    errors = target - solution.intercept[i] - inputs @ solution.coef[i]
                    relative = np.square(errors) / solution.variance[i]
                    weight *= (_FREEDOM + 1) / (_FREEDOM + relative)
                columns = np.column_stack([np.ones(len(inputs)), inputs, target])
                moments[i] += (columns * weight[:, np.newaxis]).T @ columns
        totals = moments[:, 0, 0]
        return (
            moments * (counts / np.maximum(totals, 1e-300))[:, np.newaxis, np.newaxis]
        )

    def _solve(self, moments: np.ndarray, before: _Solution | None) -> _Solution:
        counts = np.maximum(moments[:, 0, 0], 1.0)
        means = moments[:, 0, 1:] / counts[:, np.newaxis]
        products = moments[:, 1:, 1:] - np.einsum(
            "c,ci,cj->cij", moments[:, 0, 0], means, means
        )
        starts = np.log([_STARTS[name] for name in self.names])
        starts += np.where(np.isin(self.names, _PER_ROW), np.log(counts.max()), 0.0)
        n_used = min(self.n_series, _MOST_EQUATIONS)
        used = np.linspace(0, self.n_series - 1, n_used).round().astype(int)

        def loss(log_penalties):
            try:
                evidence = self._regress(log_penalties, products[used], counts[used])[2]
            except np.linalg.LinAlgError:
                # Penalties of next to nothing, where rows repeat each other exactly.
                return np.inf
            far = np.square((log_penalties - starts) / _SPREAD).sum()
            return far / 2 - evidence.sum()

        found = scipy.optimize.minimize(
            loss,
            starts if before is None else before.log_penalties,
            method="Nelder-Mead",
            options={"maxfev": _MOST_EVALUATIONS, "xatol": 0.1, "fatol": 0.05},
        ).x
        coef, squares, evidence = self._regress(found, products, counts)
        intercept = means[:, -1] - np.einsum("ci,ci->c", coef, means[:, :-1])
        # A series that its past tells exactly still has errors of rounding.
        variance = np.maximum(squares / counts, 1e-20)
        return _Solution(coef, intercept, variance, found, float(evidence.sum()))

    def _regress(
        self, log_penalties: np.ndarray, products: np.ndarray, counts: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Coefficients, sums of squared errors and log evidence of equations.

        The prior of a coefficient is normal around what is expected, with the variance
        of the errors over the penalty; that of this variance is nearly flat.
        """
        penalties = np.exp(log_penalties)[self.kind] * self.relative
        gram, cross = products[:, :-1, :-1], products[:, :-1, -1]
        total = products[:, -1, -1]
        gram = gram + np.diag(penalties)
        factor = np.linalg.cholesky(gram)
        coef = np.linalg.solve(gram, cross[..., np.newaxis])[..., 0]
        squares = total - np.einsum("ci,ci->c", coef, cross)
        # Not less than rounding: its logarithm would mean nothing.
        squares = np.maximum(squares, 1e-10 * total + 1e-12)
        logs = np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
        evidence = np.log(penalties).sum() / 2 - logs - counts / 2 * np.log(squares)
        return coef, squares, evidence

    def in_levels(self, solution: _Solution) -> tuple[np.ndarray, np.ndarray]:
        """Matrices (rows, n_series, n_series), lag 1 first, and intercept."""
        n, n_own = self.n_series, len(self.form.kinds)
        coef = solution.coef + self.expected
        by_series = np.zeros((n, n, n_own))
        by_series[np.arange(n), np.arange(n)] = coef[:, :n_own]
        n_cross = len(self.form.cross_kinds)
        for i in range(n if n_cross else 0):
            others = np.delete(np.arange(n), i)
            by_series[i, others, :n_cross] = coef[i, n_own:].reshape(n - 1, n_cross)
        # (rows, n, n), oldest first, in units of changes; turned to lags.
        matrices = np.einsum("ijf,fr->rij", by_series, self.form.weights)[::-1].copy()
        matrices[0] += np.eye(n)
        matrices *= self.scale[:, np.newaxis] / self.scale
        intercept = self.scale * solution.intercept + self.mean
        return matrices, intercept - matrices.sum(axis=0) @ self.mean

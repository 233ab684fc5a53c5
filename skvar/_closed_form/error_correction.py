"""Vector autoregressions in error-correction form, with penalties by evidence.

The change of a series is regressed on functions of the rows before it that are linear:
its level, its lagged changes, the mean change at the same place of earlier seasons, and
gaps between the level and its recent means; of other series, the level and lagged
changes. A strong penalty on levels makes this a VAR in differences with drift, a weak
one a VAR in levels (Litterman 1986; Doan, Litterman and Sims 1984); either way the
result is one VAR in levels.

Penalties and the form itself have the largest marginal likelihood, as in Giannone,
Lenza and Primiceri (2015), "Prior selection for vector autoregressions". Rows with
large errors count less, as under errors of Student's distribution. The forecast is a
mean with that of exponential smoothing, unless this is surely worse: a mean of two
forecasts errs less than either on most tables.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.optimize
import scipy.stats

from .._data.units import nonzero
from .evidence import Evidence
from .form import Form
from .smoothing import Smoothing, exponential_smoothing

Segments = Sequence[np.ndarray]

# Penalties that are expected: in mean squared changes, those of levels (which grow with
# the rows) per row.
_EXPECTED = {
    "level": 100.0,
    "lag": 10.0,
    "gap": 10.0,
    "season": 10.0,
    "cross level": 10.0,
    "cross lag": 30.0,
}
_PER_ROW = "level", "cross level"
# The search begins with weaker ones of levels: strong ones hide what weak ones do.
_BEGIN = 0.01
# Standard deviation of logarithms of penalties.
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
# Rows of smoothing: so many, and so many seasons, but a share of the rows at most.
_SMOOTHED_ROWS, _SMOOTHED_SEASONS, _SMOOTHED_SHARE = 24, 4, 0.5
# Smoothing has no mean to go back to, and is left out where the logarithm of the
# evidence for one is this large (Kass and Raftery 1995 call 5 "very strong"), or where
# it makes errors larger by so many standard errors. Else it has its part in the mean.
_STRONG, _SURELY, SMOOTHED_PART = 10.0, 3.0, 0.4
_ROUNDING = 1e-10
# The least that a row that is left out is taken not to tell of itself.
_LEAST_LEFT = 0.05
# Logarithm of a penalty that leaves nothing.
_NOTHING = 30.0


def choose_form(
    segments: Segments,
    seasons: Sequence[int] = (),
    observed: Segments | None = None,
    most_rows: int | None = None,
) -> Form:
    """The form with the largest evidence on the rows that all of them can regress.

    Seasons and levels are chosen for each series by itself, then whether series explain
    each other. The mean with exponential smoothing is taken unless levels surely have a
    mean to go back to, or the errors of rows left out are surely smaller without.

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
    form = _best(segments, _forms(n_rows, seasons, most_rows), observed).form
    if n_rows <= form.first:
        return form
    forms = [form]
    if 1 < n_series <= _MOST_CROSS:
        forms.append(replace(form, cross_lags=min(_CROSS_LAGS, form.own_lags)))
    problem = _best(segments, forms, observed)
    form = problem.form
    if problem.is_better_alone():
        return form
    season = max(form.seasons, default=0)
    wanted = _SMOOTHED_ROWS + _SMOOTHED_SEASONS * season
    fitting = min(int(_SMOOTHED_SHARE * n_rows), most_rows or n_rows)
    return replace(form, smoothed_rows=max(2, form.rows, min(wanted, fitting)))


def _best(
    segments: Segments, forms: Sequence[Form], observed: Segments | None
) -> "_Problem":
    """The problem of the form with the largest evidence."""
    first = max(form.first for form in forms)
    problems = [_Problem(segments, form, observed, first) for form in forms]
    if len(problems) == 1:
        return problems[0]
    return max(problems, key=lambda problem: problem.solution.log_evidence)


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
    estimate = problem.in_levels(problem.solution)
    if form.smoothed_rows:
        estimate = _with_smoothing(*estimate, problem.smoothing().weights(form.rows))
    return *estimate, problem.evidence()


def error_correction_draws(
    segments: Segments,
    form: Form,
    observed: Segments | None,
    n_draws: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw from the posterior of `error_correction_var`, given its penalties.

    Coefficients of an equation are normal given the variance of its errors, and those
    of two equations as correlated as their errors; smoothing has the parameters of one
    element of its grid in each draw.

    Returns
    -------
    matrices : ndarray of shape (n_draws, form.rows, n_series, n_series)
    intercepts : ndarray of shape (n_draws, n_series)
    covariances : ndarray of shape (n_draws, n_series, n_series)

    Raises
    ------
    ValueError
        If there are not more rows than series.
    """
    problem = _Problem(segments, form, observed, form.first)
    solutions, covariances = problem.draws(n_draws, rng)
    estimates = map(problem.in_levels, solutions)
    if form.smoothed_rows:
        weights = problem.smoothing().draws(form.rows, n_draws, rng)
        estimates = (
            _with_smoothing(*estimate, some)
            for estimate, some in zip(estimates, weights, strict=True)
        )
    matrices, intercepts = map(np.array, zip(*estimates, strict=True))
    return matrices, intercepts, covariances


def error_correction_bytes(segments: Segments, form: Form) -> float:
    """Memory that `error_correction_var` takes at least.

    Copies of the matrices, and functions of some rows.
    """
    n_series, n_rows = segments[0].shape[1], max(map(len, segments))
    functions = min(n_rows, _CHUNK) * n_series * len(form.kinds)
    return float(8 * (3 * form.rows * n_series**2 + functions))


def _with_smoothing(
    matrices: np.ndarray, intercept: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The mean with autoregressions of each series by itself, (rows, n_series)."""
    smoothed = weights[:, np.newaxis] * np.eye(len(intercept))
    matrices = matrices + SMOOTHED_PART * (smoothed - matrices)
    return matrices, (1 - SMOOTHED_PART) * intercept


@dataclass(frozen=True)
class _Solution:
    """Coefficients (n_series, n_inputs) and intercepts of changes in units of these.

    ``pull`` is the part of the log evidence that levels add; ``moments`` are those of
    the rows, weighed as the solution weighs them.
    """

    coef: np.ndarray
    intercept: np.ndarray
    variance: np.ndarray
    log_penalties: np.ndarray
    log_evidence: float
    pull: float
    moments: np.ndarray

    def contrast(self, series: int) -> np.ndarray:
        """What makes standardised errors of ones, inputs and targets."""
        contrast = [-self.intercept[series], *-self.coef[series], 1.0]
        return np.array(contrast) / np.sqrt(self.variance[series])


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

    @cached_property
    def solution(self) -> _Solution:
        """Choose penalties and solve, weighing rows anew by their errors."""
        solution = self._solve(self._moments(None), None)
        for _ in range(_PASSES):
            solution = self._solve(self._moments(solution), solution)
        return solution

    def evidence(self) -> Evidence:
        """What the rows say."""
        penalties = np.exp(self.solution.log_penalties).tolist()
        added = np.diag(self._penalties())
        lost = np.trace(np.linalg.solve(self._gram(), added), axis1=1, axis2=2).mean()
        return Evidence(
            dict(zip(self.names, penalties, strict=True)),
            float(self.solution.log_evidence),
            sum(len(values) - self.first for values in self.segments),
            1 + len(self.kind) - float(lost),
        )

    def draws(
        self, n_draws: int, rng: np.random.Generator
    ) -> tuple[Iterator[_Solution], np.ndarray]:
        """Coefficients, and error covariances (n_draws, n_series, n_series) in levels.

        Errors of rows that count less are in the covariances in full.
        """
        solution, n = self.solution, self.n_series
        counts, means = _counts_and_means(solution.moments)
        inputs, n_inputs = means[:, :-1], len(self.kind)
        seen = np.concatenate(self._seen())
        errors = np.concatenate([*self._errors()]) * seen
        if len(errors) <= n:
            raise ValueError(
                f"{len(errors)} rows are too few for the posterior of a VAR of {n} "
                "series; pass more rows."
            )
        # Less what the coefficients took from them.
        free = np.maximum(counts - self.evidence().n_coefficients, counts / 2)
        errors = errors * np.sqrt(len(errors) / free)
        # Not less than rounding: constants and sums of others have a covariance, too.
        products = errors.T @ errors + _ROUNDING * np.eye(n)
        covariances = scipy.stats.invwishart(len(errors) - 1, products).rvs(
            n_draws, random_state=rng
        )
        roots = np.linalg.cholesky(covariances.reshape(n_draws, n, n))
        # Rows that count less tell the coefficients more than their errors say.
        weighted = np.sqrt(solution.variance * len(errors) / np.diag(products))
        factors = np.linalg.cholesky(self._gram())
        spread = np.linalg.inv(factors).swapaxes(1, 2)
        spread = spread * weighted[:, np.newaxis, np.newaxis]
        noise = roots @ rng.standard_normal((n_draws, n, n_inputs))
        coef = solution.coef + np.einsum("ckj,dcj->dck", spread, noise, optimize=True)
        noise = (roots @ rng.standard_normal((n_draws, n, 1)))[..., 0]
        intercepts = means[:, -1] - np.einsum("dci,ci->dc", coef, inputs)
        intercepts += noise * weighted / np.sqrt(counts)
        drawn = (
            replace(solution, coef=some, intercept=intercept)
            for some, intercept in zip(coef, intercepts, strict=True)
        )
        return drawn, roots @ roots.swapaxes(1, 2) * np.outer(self.scale, self.scale)

    def _penalties(self) -> np.ndarray:
        return np.exp(self.solution.log_penalties)[self.kind] * self.relative

    def _gram(self) -> np.ndarray:
        """Precisions (n_series, n_inputs, n_inputs) of the coefficients, in errors."""
        products = _centred(self.solution.moments)[:, :-1, :-1]
        return products + np.diag(self._penalties())

    def smoothing(self) -> Smoothing:
        """Exponential smoothing of each series by itself."""
        scaled = [(values - self.mean) / self.scale for values in self.segments]
        return exponential_smoothing(scaled, max(self.form.seasons, default=1))

    def is_better_alone(self) -> bool:
        """Whether levels have a mean to go back to, or errors are surely smaller."""
        if self.solution.pull > _STRONG:
            return True
        smoothing, seen = self.smoothing(), np.concatenate(self._seen())
        of_smoothing = np.concatenate(
            [
                smoothing.errors((values - self.mean) / self.scale)[self.first :]
                for values in self.segments
            ]
        )
        alone = np.concatenate([*self._left_out()])
        both = alone + SMOOTHED_PART * (of_smoothing - alone)
        size = np.square(alone * seen).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
        loss = (np.square(both) - np.square(alone)) * seen
        loss = (loss / nonzero(size)).mean(axis=1)
        return len(loss) > 1 and loss.mean() * len(loss) ** 0.5 > _SURELY * loss.std()

    def _seen(self) -> list[np.ndarray]:
        """Where the changes that are regressed are observed."""
        return [(x[1:] & x[:-1])[self.first - 1 :] for x in self.masks]

    def _left_out(self) -> Iterator[np.ndarray]:
        """Errors (n, n_series) of coefficients without the row, chunk by chunk."""
        added = np.diag([0.0, *self._penalties()])
        gram = self.solution.moments[:, :-1, :-1] + added
        # Series that are never observed have no intercept to tell.
        gram[:, 0, 0] = np.maximum(gram[:, 0, 0], 1.0)
        parts = zip(self._chunks(), self._errors(), strict=True)
        for (functions, *_), errors in parts:
            for i in range(self.n_series):
                inputs = self._inputs(functions, i)
                columns = np.column_stack([np.ones(len(inputs)), inputs])
                leverage = columns * np.linalg.solve(gram[i], columns.T).T
                errors[:, i] /= np.maximum(1 - leverage.sum(axis=1), _LEAST_LEFT)
            yield errors

    def _errors(self) -> Iterator[np.ndarray]:
        """Errors (n, n_series) of the solution, chunk by chunk."""
        solution = self.solution
        for functions, changes, _ in self._chunks():
            errors = np.empty_like(changes)
            for i in range(self.n_series):
                inputs = self._inputs(functions, i)
                coef = solution.coef[i] + self.expected
                errors[:, i] = changes[:, i] - solution.intercept[i] - inputs @ coef
            yield errors

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
        cross = functions[..., : len(self.form.cross_kinds)]
        others = np.delete(cross, series, axis=1).reshape(len(functions), -1)
        return np.hstack([functions[:, series], others])

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
                columns = np.column_stack([np.ones(len(inputs)), inputs, target])
                if solution is not None:
                    relative = np.square(columns @ solution.contrast(i))
                    weight *= (_FREEDOM + 1) / (_FREEDOM + relative)
                moments[i] += (columns * weight[:, np.newaxis]).T @ columns
        totals = moments[:, 0, 0]
        return (
            moments * (counts / np.maximum(totals, 1e-300))[:, np.newaxis, np.newaxis]
        )

    def _solve(self, moments: np.ndarray, before: _Solution | None) -> _Solution:
        counts, means = _counts_and_means(moments)
        products = _centred(moments)
        expected = np.log([_EXPECTED[name] for name in self.names])
        of_levels = np.isin(self.names, _PER_ROW)
        expected += np.where(of_levels, np.log(counts.max()), 0.0)
        begin = expected + np.where(of_levels, np.log(_BEGIN), 0.0)
        n_used = min(self.n_series, _MOST_EQUATIONS)
        used = np.linspace(0, self.n_series - 1, n_used).round().astype(int)

        def loss(log_penalties):
            try:
                evidence = self._regress(log_penalties, products[used], counts[used])[2]
            except np.linalg.LinAlgError:
                # Penalties of next to nothing, where rows repeat each other exactly.
                return np.inf
            far = np.square((log_penalties - expected) / _SPREAD).sum()
            return far / 2 - evidence.sum()

        found = scipy.optimize.minimize(
            loss,
            begin if before is None else before.log_penalties,
            method="Nelder-Mead",
            options={"maxfev": _MOST_EVALUATIONS, "xatol": 0.1, "fatol": 0.05},
        ).x
        coef, squares, evidence = self._regress(found, products, counts)
        intercept = means[:, -1] - np.einsum("ci,ci->c", coef, means[:, :-1])
        # A series that its past tells exactly still has errors of rounding.
        variance = np.maximum(squares / counts, 1e-20)
        without = np.where(of_levels, _NOTHING, found)
        pull = evidence.sum() - self._regress(without, products, counts)[2].sum()
        return _Solution(
            coef, intercept, variance, found, evidence.sum(), pull, moments
        )

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


def _counts_and_means(moments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of weighted products (n_series, n + 1, n + 1) of 1 and variables."""
    counts = np.maximum(moments[:, 0, 0], 1.0)
    return counts, moments[:, 0, 1:] / counts[:, np.newaxis]


def _centred(moments: np.ndarray) -> np.ndarray:
    """Products of the variables less their means."""
    counts, means = _counts_and_means(moments)
    return moments[:, 1:, 1:] - np.einsum("c,ci,cj->cij", counts, means, means)

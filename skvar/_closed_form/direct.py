"""Direct regressions of the next rows on the last ones, without building the windows.

Windows are taken less their last row, and coefficients are penalised by their age: the
stronger the penalty, the closer the forecast is to the last value. Each series has a
matrix of its own, drawn to one that all share (a hierarchical prior: Lindley and Smith
1972, "Bayes estimates for the linear model"). Regressions that look back a different
number of rows are averaged; one pass over the rows serves all of them.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import numpy as np
import scipy.fft
import scipy.stats

from .ridge import Segments, pooled, solve_ridge
from .sums import SummedTable, are_summed

_N_BLOCKS = 5
# In mean squares of what windows hold.
_ALPHAS = 10.0 ** np.arange(-4, 2.5, 0.5)
_PULLS = 10.0 ** np.arange(-3, 2.0)

# Parts of the lags that regressions look back, and how much worse than the best one
# those may be that a mean takes in.
_PARTS, _CLOSE = (2, 4, 8), 0.05
_ONE_SIDED = scipy.stats.norm.sf(1)

# Steps of the horizon and series by which a pull is chosen, about twice as many where
# there are more; and numbers in moments held at once.
_N_STEPS, _MOST_JUDGED, _MOST_NUMBERS = 16, 64, 5_000_000


@dataclass(frozen=True)
class DirectRidge:
    """A direct regression: how far it looks back and how it is penalised.

    Penalties count per window, on squared coefficients times their age over its mean.

    Parameters
    ----------
    lags : int
        Rows that it looks back.
    alpha : float
        Penalty of the matrix that all series share; infinite for the last value.
    pull : float
        Of the distance of each series' own matrix from it; infinite where there is
        none of its own.
    """

    lags: int
    alpha: float
    pull: float = math.inf

    @property
    def repeats_last(self) -> bool:
        """Whether its forecast is the last value."""
        return math.isinf(self.alpha) and math.isinf(self.pull)


def ridge_direct(
    segments: Segments, lags: int, horizon: int, ridges: Sequence[DirectRidge]
) -> np.ndarray:
    """Mean of regressions of the next ``horizon`` rows on the last ones.

    Parameters
    ----------
    segments : sequence of ndarray of shape (n_rows, n_series), or of SummedTable
        Tables without gaps.
    lags : int
        Rows of the windows that all of them learn from.
    horizon : int
    ridges : sequence of DirectRidge
        None of more than ``lags`` rows.

    Returns
    -------
    ndarray of shape (n_series, horizon, lags), or (1, horizon, lags) if all share one
        Maps a window, oldest row first, to the forecast; rows sum to one.
    """
    steps = np.arange(horizon)
    together = _pooled(segments, lags, steps)
    shared = [together.recent(one.lags).coefficients(one.alpha) for one in ridges]
    if all(math.isinf(one.pull) for one in ridges):
        return _weights(_mean(shared, lags))[np.newaxis]
    own = [
        _mean(
            [
                moments.recent(one.lags).own_coefficients(one.pull, coefficients)
                for one, coefficients in zip(ridges, shared, strict=True)
            ],
            lags,
        )
        for moments in _each(segments, lags, steps)
    ]
    return _weights(np.concatenate(own))


def choose_direct_ridges(
    segments: Segments,
    lags: int,
    horizon: int,
    alphas: Sequence[float] | None = None,
    *,
    with_own: bool = True,
) -> tuple[list[DirectRidge], float]:
    """Regressions for `ridge_direct` with the least errors on blocks left out.

    Those that look back ``lags`` rows, one half, a fourth and an eighth of them, but at
    least a horizon, each with its best penalties, less those that err clearly more than
    the best: their mean errs less than one of them, as which is best differs between
    rows (Bates and Granger 1969, "The combination of forecasts"). Returned with a bound
    of its error; with the error zero and the strongest penalty, whose forecast is about
    the last value, where there are no such blocks. Given ``alphas`` are those of
    ``lags`` rows alone. The pulls are chosen by some steps of the horizon, and by some
    of many series.
    """
    steps, blocks = np.arange(horizon), [*leave_blocks_out(segments, lags, horizon)]
    looks_back = [lags]
    if alphas is None:
        size = _pooled(segments, lags, steps[:1]).size()
        alphas = [*(_ALPHAS * size), math.inf]
        looks_back = [lags, *(n for n in (lags // p for p in _PARTS) if n >= horizon)]
    if not blocks:
        return [DirectRidge(lags, float(max(filter(math.isfinite, alphas))))], 0.0
    fitted = [_pooled(training, lags, steps) for training, _ in blocks]
    errors = np.array(
        [
            _errors(moments, _pooled(held_out, lags, steps), looks_back, alphas)
            for moments, (_, held_out) in zip(fitted, blocks, strict=True)
        ]
    )
    best = [_best(errors[:, i]) for i in range(len(looks_back))]
    ridges = [
        DirectRidge(n, float(alphas[i])) for n, i in zip(looks_back, best, strict=True)
    ]
    errors = errors.mean(axis=0)[range(len(best)), best]
    if with_own and segments[0].shape[1] > 1:
        some = np.unique(np.linspace(0, horizon - 1, _N_STEPS).round().astype(int))
        fitted = [moments.at(some) for moments in fitted]
        ridges, gains = _with_pulls(blocks, fitted, lags, some, ridges)
        errors = errors * gains
    kept = errors - errors.min() <= _CLOSE * abs(errors.min())
    # The squared error of a mean is at most the mean of the squared errors.
    return [ridges[i] for i in np.flatnonzero(kept)], float(errors[kept].mean())


def _best(errors: np.ndarray) -> int:
    """Which of some errors (n_blocks, n) is the least on average, or else the last one.

    The last one, of the simplest forecast, is given up for a gain of a standard error
    alone (Breiman et al. 1984, "Classification and regression trees").
    """
    best, n_blocks = int(errors.mean(axis=0).argmin()), len(errors)
    gains = errors[:, -1] - errors[:, best]
    bound = scipy.stats.t.isf(_ONE_SIDED, n_blocks - 1) / math.sqrt(n_blocks)
    return best if gains.mean() > bound * gains.std(ddof=1) else errors.shape[1] - 1


def _errors(
    fitted: "_Moments",
    judged: "_Moments",
    looks_back: Sequence[int],
    alphas: Sequence[float],
) -> np.ndarray:
    """Errors (n_looks_back, n_alphas) of shared matrices on a block left out."""
    pairs = [(fitted.recent(n), judged.recent(n)) for n in looks_back]
    return np.array(
        [
            [some.errors(those.coefficients(alpha)).mean() for alpha in alphas]
            for those, some in pairs
        ]
    )


def _with_pulls(
    blocks: Sequence,
    pooled: Sequence["_Moments"],
    lags: int,
    steps: np.ndarray,
    ridges: Sequence[DirectRidge],
) -> tuple[list[DirectRidge], np.ndarray]:
    """With pulls of the least errors on blocks left out; these over those without.

    ``pooled`` are the moments of each block's training rows, at the same steps.
    """
    size = np.mean([moments.size() for moments in pooled])
    pulls = [*(_PULLS * size), math.inf]
    errors = np.zeros((len(blocks), len(ridges), len(pulls)))
    for i, (block, together) in enumerate(zip(blocks, pooled, strict=True)):
        shared = [together.recent(one.lags).coefficients(one.alpha) for one in ridges]
        every = max(1, block[0][0].shape[1] // _MOST_JUDGED)
        parts = (_each(part, lags, steps, every) for part in block)
        for fitted, judged in zip(*parts, strict=True):
            errors[i] += [
                _errors_of_pulls(
                    fitted.recent(one.lags), judged.recent(one.lags), pulls, mean
                )
                for one, mean in zip(ridges, shared, strict=True)
            ]
    # Own matrices are taken if they err less; beside the last value, if they surely do.
    best = [
        _best(errors[:, i]) if math.isinf(one.alpha) else errors[:, i].sum(0).argmin()
        for i, one in enumerate(ridges)
    ]
    errors = errors.sum(axis=0)
    without = errors[:, -1]
    gains = np.ones(len(ridges))
    np.divide(errors[range(len(best)), best], without, out=gains, where=without > 0)
    found = [
        replace(one, pull=float(pulls[i])) for one, i in zip(ridges, best, strict=True)
    ]
    return found, gains


def _errors_of_pulls(
    fitted: "_Moments", judged: "_Moments", pulls: Sequence[float], shared: np.ndarray
) -> list[float]:
    return [
        judged.errors(fitted.own_coefficients(pull, shared)).sum() for pull in pulls
    ]


def direct_errors(segments: Segments, weights: Sequence[np.ndarray]) -> list[float]:
    """Mean squared errors of maps (horizon, lags) whose rows sum to one."""
    horizon, lags = weights[0].shape
    moments = _pooled(segments, lags, np.arange(horizon))
    return [float(moments.errors(weight[:, :-1].T).mean()) for weight in weights]


def leave_blocks_out(
    segments: Segments, lags: int, horizon: int, order: int | None = None
) -> Iterator[tuple[list[np.ndarray], list[np.ndarray]]]:
    """Rows to estimate on, and rows whose windows forecast a block that was left out.

    Five blocks, or fewer if they would be shorter than two horizons; none where there
    would be one. Training windows, of ``order`` rows if given, may look back into a
    block, but do not forecast it.
    """
    order = order or lags
    ends = np.cumsum([max(0, len(values) - lags) for values in segments])
    n_blocks = min(_N_BLOCKS, ends[-1] // (2 * horizon))
    edges = np.linspace(0, ends[-1], n_blocks + 1).round().astype(int)
    for begin, end in pairwise(edges) if n_blocks > 1 else ():
        training, held_out = [], []
        for values, last in zip(segments, ends, strict=True):
            n_futures = max(0, len(values) - lags)
            start, stop = np.clip([begin, end], last - n_futures, last)
            start, stop = (lags + edge - last + n_futures for edge in (start, stop))
            if start == stop:
                training.append(values)
                continue
            training += [values[:start], values[stop - order :]]
            held_out.append(values[start - lags : stop])
        width = order + horizon if order == lags else order + 1
        if _n_windows(training, width) and _n_windows(held_out, lags + horizon):
            yield training, held_out


def _n_windows(segments: Segments, width: int) -> int:
    return sum(max(0, len(values) - width + 1) for values in segments)


@dataclass(frozen=True)
class _Moments:
    """Mean products over windows less their last row, of one series or of several.

    Parameters
    ----------
    past : ndarray of shape (..., lags - 1, lags - 1)
        Of the rows before the last one.
    cross : ndarray of shape (..., lags - 1, n_steps)
        Of these and of rows after the last one.
    squares : ndarray of shape (..., n_steps)
        Of rows after the last one.
    rounding : float
        What may be rounding errors of a square.
    """

    past: np.ndarray
    cross: np.ndarray
    squares: np.ndarray
    rounding: float

    def recent(self, lags: int) -> "_Moments":
        """Those of the last rows of the same windows."""
        first = self.past.shape[-1] + 1 - lags
        return replace(
            self, past=self.past[..., first:, first:], cross=self.cross[..., first:, :]
        )

    def at(self, steps: np.ndarray) -> "_Moments":
        """Those of some steps alone."""
        return replace(
            self, cross=self.cross[..., steps], squares=self.squares[..., steps]
        )

    def size(self) -> float:
        """Mean square of what windows hold, the scale of penalties; 1 if that is 0."""
        n_lags = self.past.shape[-1] + 1
        size = np.trace(self.past) / n_lags
        return size if size > self.rounding else 1.0

    @property
    def ages(self) -> np.ndarray:
        """Of the rows of a window but the last, over their mean."""
        ages = np.arange(self.past.shape[-1], 0, -1.0)
        return ages / ages.mean() if len(ages) else ages

    def coefficients(self, alpha: float) -> np.ndarray:
        """Those (lags - 1, n_steps) of a regression with a penalty."""
        if not self.past.size or math.isinf(alpha):
            return np.zeros_like(self.cross)
        return solve_ridge(self.past, self.cross, alpha, self.ages).T

    def own_coefficients(self, pull: float, shared: np.ndarray) -> np.ndarray:
        """Those of each series (n_series, lags - 1, n_steps), drawn to shared ones."""
        if math.isinf(pull):
            return np.broadcast_to(shared, (len(self.past), *shared.shape))
        if not self.past.size:
            return self.cross
        towards = pull * self.ages[:, np.newaxis] * shared
        found = [
            solve_ridge(past, cross + towards, pull, self.ages).T
            for past, cross in zip(self.past, self.cross, strict=True)
        ]
        return np.array(found)

    def errors(self, coefficients: np.ndarray) -> np.ndarray:
        """Mean squared errors (..., n_steps) of forecasts by some coefficients."""
        fitted = self.past @ coefficients - 2 * self.cross
        return self.squares + (coefficients * fitted).sum(axis=-2)


def _mean(coefficients: Sequence[np.ndarray], lags: int) -> np.ndarray:
    """Mean (..., lags - 1, n_steps) of those of the last rows of a window."""
    mean = np.zeros((*coefficients[0].shape[:-2], lags - 1, coefficients[0].shape[-1]))
    for some in coefficients:
        mean[..., lags - 1 - some.shape[-2] :, :] += some / len(coefficients)
    return mean


def _weights(coefficients: np.ndarray) -> np.ndarray:
    """Maps (..., n_steps, lags) of whole windows, whose rows sum to one."""
    own = np.ascontiguousarray(np.moveaxis(coefficients, -2, -1))
    return np.concatenate([own, 1 - own.sum(axis=-1, keepdims=True)], axis=-1)


def _pooled(segments: Segments, lags: int, steps: np.ndarray) -> _Moments:
    """Moments over the windows of all series."""
    if are_summed(segments):
        moments = _moments_of_sums(segments, slice(None), lags, steps, pooled=True)
    else:
        moments = _moments_of([x[..., np.newaxis] for x in segments], lags, steps)
    parts = moments.past[0], moments.cross[0], moments.squares[0]
    return _Moments(*parts, moments.rounding)


def _each(
    segments: Segments, lags: int, steps: np.ndarray, every: int = 1
) -> Iterator[_Moments]:
    """Moments of each series, or every so manieth, as many at once as memory allows."""
    n_at_once = max(1, _MOST_NUMBERS // (lags * (lags + len(steps))))
    for first in range(0, segments[0].shape[1], n_at_once * every):
        some = slice(first, first + n_at_once * every, every)
        if are_summed(segments):
            yield _moments_of_sums(segments, some, lags, steps, pooled=False)
            continue
        yield _moments_of([x[:, np.newaxis, some] for x in segments], lags, steps)


def _moments_of(tables: Sequence[np.ndarray], lags: int, steps: np.ndarray) -> _Moments:
    """Of tables (n_rows, n_groups, n_series), whose groups are pooled."""
    width = lags + int(steps[-1]) + 1
    sums = pooled(tables, width, partial(window_products, lags=lags, steps=steps))
    n_windows = sum(max(0, len(table) - width + 1) * table.shape[1] for table in tables)
    return _less_the_last_row(*(total / n_windows for total in sums))


def _moments_of_sums(
    tables: Sequence[SummedTable],
    some: slice,
    lags: int,
    steps: np.ndarray,
    *,
    pooled: bool,
) -> _Moments:
    """Of some series of tables known by sums, pooled or each by itself."""
    width, found, n_windows = lags + int(steps[-1]) + 1, [], 0
    for table in tables:
        if len(table) < width:
            continue
        products = table.total.own_products(width)[:, some]
        edges = [rows[:, np.newaxis, some] for rows in table.total.edges(width)]
        if pooled:
            n_windows += (len(table) - width + 1) * (products.shape[1] - 1)
            products = products.sum(axis=1, keepdims=True)
            edges = [rows.swapaxes(1, 2) for rows in edges]
        n_windows += len(table) - width + 1
        start, end = edges
        found.append(_products_of_windows(products, start, end, lags, steps))
    return _less_the_last_row(*(sum(x) / n_windows for x in zip(*found, strict=True)))


def _less_the_last_row(
    past: np.ndarray, cross: np.ndarray, squares: np.ndarray
) -> _Moments:
    """Moments of windows less their last row, from those of windows."""
    rounding = 1e-12 * max(np.abs(past).max(), np.abs(squares).max())
    # (x_i - x_l)(y - x_l) with x_l the last row of the past.
    by_last, square = past[:, -1:], past[:, -1:, -1:]
    after = cross[:, -1:]
    return _Moments(
        (past - by_last - by_last.mT + square)[:, :-1, :-1],
        (cross - by_last.mT - after + square)[:, :-1],
        squares - 2 * after[:, 0] + square[:, 0],
        rounding,
    )


def window_products(
    values: np.ndarray, lags: int, steps: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sums of products over the windows of each series.

    Neighbouring windows share all but one row, so that the products of rows i + 1 and
    j + 1 of a window are those of i and j, plus one at the end less one at the start.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_groups, n_series)
        The windows of all groups are pooled.
    lags : int
        Rows of a window.
    steps : ndarray of int of shape (n_steps,)
        Numbers of rows after a window, 0 being the next one; ascending.

    Returns
    -------
    past : ndarray of shape (n_series, lags, lags)
        Of two rows of a window.
    cross : ndarray of shape (n_series, lags, n_steps)
        Of a row of a window and one after it.
    squares : ndarray of shape (n_series, n_steps)
        Of the rows after it.
    """
    width = lags + int(steps[-1]) + 1
    values = np.ascontiguousarray(values, dtype=float)
    n_windows = len(values) - width + 1
    products = _products_of_first(values, width)
    edges = values[: width - 1], values[n_windows:]
    return _products_of_windows(products, *edges, lags, steps)


def _products_of_first(values: np.ndarray, width: int) -> np.ndarray:
    """Sums (width, n_series) of the first rows of windows times those so many later.

    Over rows and groups; as correlations by Fourier transforms.
    """
    n_rows, n_groups, n_series = values.shape
    size = scipy.fft.next_fast_len(n_rows, real=True)
    n_at_once = max(1, _MOST_NUMBERS // (40 * size))
    found, flat = np.zeros((n_series, width)), values.reshape(n_rows, -1)
    for begin in range(0, n_groups * n_series, n_at_once):
        columns = np.ascontiguousarray(flat[:, begin : begin + n_at_once].T)
        spectrum = scipy.fft.rfft(columns[:, : n_rows - width + 1], size)
        np.conj(spectrum, out=spectrum)
        spectrum *= scipy.fft.rfft(columns, size)
        series = np.arange(begin, begin + len(columns)) % n_series
        np.add.at(found, series, scipy.fft.irfft(spectrum, size)[:, :width])
    return found.T


def _products_of_windows(
    of_first: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    lags: int,
    steps: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As of `window_products`, from those of the first rows of windows with later ones.

    And from the first and the last rows of the table, one less than a window has.
    """
    width, n_series = of_first.shape
    past = np.empty((n_series, lags, lags))
    cross = np.empty((n_series, lags, len(steps)))
    wanted = lags + steps
    for lag in range(width):
        n = width if lag == 0 else min(lags, width - lag)
        products = np.empty((n, n_series))
        products[0] = of_first[lag]
        products[1:] = _products(end, lag, n - 1) - _products(start, lag, n - 1)
        products = products.cumsum(axis=0).T
        if lag == 0:
            squares = products[:, wanted]
        rows = np.arange(min(n, lags - lag))
        past[:, rows, rows + lag] = past[:, rows + lag, rows] = products[:, rows]
        column = np.arange(len(steps))[(wanted >= lag) & (wanted - lag < min(n, lags))]
        cross[:, wanted[column] - lag, column] = products[:, wanted[column] - lag]
    return past, cross, squares


def _products(rows: np.ndarray, lag: int, n: int) -> np.ndarray:
    """Sums over groups of the first rows times those so many later."""
    return np.einsum("tgc,tgc->tc", rows[:n], rows[lag : lag + n])

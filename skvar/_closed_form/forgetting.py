"""Matrices that follow the errors of a static VAR, by discounted regression.

The errors ``e`` of a static VAR are regressed on the lagged rows ``x`` before them,
with weights ``decay ** age``: the forgetting filter, a Kalman filter whose state loses
the share ``1 - decay`` of its information at every row (West and Harrison 1997,
"Bayesian forecasting and dynamic models", section 6.3). To the matrices is added

    W = D + sum_r z_r M_r,

where all entries of D are free, drawn to zero by a penalty, and the few directions M_r
are those in which the matrices moved most on earlier rows. Penalties are priors: with
errors in units of their standard deviations D has the variance ``1 / penalty`` and z
``1 / 0.3``, and the regression is the mean of the posterior.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import scipy.linalg

# Errors (n_rows, n_targets) of a static VAR, and lagged rows (n_rows, n_inputs) before.
Errors = tuple[np.ndarray, np.ndarray]

# Of the prior that leaves nothing but zero, and of one that hardly counts.
NEVER, DIRECTION_PENALTY = 1e6, 0.3

_TIME_SCALES = 4.0, 7.0, 12.0, 20.0, 30.0, 45.0, 65.0, 90.0, 130.0, 200.0, 400.0
_PENALTIES = 1.0, 3.0, 10.0, 30.0, NEVER
_DIRECTIONS = 0, 1, 2, 4

# Rows of each half on which candidates forecast, and numbers in their moments, at most.
_MOST_ROWS, _MOST_NUMBERS, _LEAST_ROWS = 500, 2e7, 20
# Windows whose moments are summed at once.
_CHUNK = 32
# Standard errors by which a candidate must gain on the static VAR, as in training.
_REQUIRED_GAIN = 3.0
# Of the regression that tells in which directions matrices move, and how errors vary.
_PILOT_TIME_SCALE, _PILOT_PENALTY = 50.0, 5.0


@dataclass(frozen=True)
class Tracking:
    """How matrices are tracked.

    Parameters
    ----------
    decay : float
        Of the weights of rows, by age.
    penalty : float
        Of all entries of the matrices.
    n_directions : int
        How many directions there are.
    """

    decay: float
    penalty: float
    n_directions: int


@dataclass(frozen=True)
class Movement:
    """What earlier rows say about the errors, and about how matrices move.

    Parameters
    ----------
    factor : ndarray of shape (n_targets, n_targets)
        Triangular; errors have the covariance ``factor @ factor.T``.
    centre : ndarray of shape (n_targets, n_inputs)
        Mean of what is added to the matrices, of errors in units of ``factor``; drifts
        are tracked around it.
    directions : ndarray of shape (n_directions, n_targets, n_inputs)
        Of errors in units of ``factor``, where they move most first.
    uncertainty : ndarray of shape (n_inputs, n_inputs)
        Covariance of what is not known of an equation of the static VAR and of the
        directions, on average over the rows that both were estimated on.
    """

    factor: np.ndarray
    centre: np.ndarray
    directions: np.ndarray
    uncertainty: np.ndarray


# Where the search for the likeliest begins.
_STARTS = (
    Tracking(1 - 1 / 65.0, 10.0, 0),
    Tracking(1 - 1 / 45.0, NEVER, 2),
)


def discount(decay: float, n_rows: int) -> np.ndarray:
    """Weights (n_rows,) of the rows before one that is forecast, oldest first."""
    return decay ** np.arange(n_rows, 0.0, -1.0)


def discounted_moments(
    errors: np.ndarray, lagged: np.ndarray, firsts: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted sums of products over stretches of rows.

    Parameters
    ----------
    errors : ndarray of shape (n_rows, n_targets)
    lagged : ndarray of shape (n_rows, n_inputs)
    firsts : ndarray of shape (m,)
        Row where each stretch begins.
    weights : ndarray of shape (n,)
        Of the rows of a stretch.

    Returns
    -------
    gram : ndarray of shape (m, n_inputs, n_inputs)
    cross : ndarray of shape (m, n_targets, n_inputs)
    """
    n_inputs, joined = lagged.shape[1], np.hstack([lagged, errors])
    found = np.empty((len(firsts), joined.shape[1], n_inputs))
    for begin in range(0, len(firsts), _CHUNK):
        rows = firsts[begin : begin + _CHUNK, np.newaxis] + np.arange(len(weights))
        weighted = (joined[rows] * weights[:, np.newaxis]).swapaxes(1, 2)
        found[begin : begin + _CHUNK] = weighted @ lagged[rows]
    return found[:, :n_inputs], found[:, n_inputs:]


def tracked_drift(
    gram: np.ndarray, cross: np.ndarray, tracking: Tracking, directions: np.ndarray
) -> np.ndarray:
    """What is added to the matrices (m, n_targets, n_inputs), given moments.

    D is first taken out: given z it is ``(cross - C gram) (gram + penalty I)^-1`` with
    ``C = sum_r z_r M_r``, and what it leaves has the moments below.
    """
    n_inputs = gram.shape[-1]
    ridge = gram + tracking.penalty * np.eye(n_inputs)
    both = np.concatenate([gram, cross.swapaxes(1, 2)], axis=2)
    solved = np.linalg.solve(ridge, both)
    kept, free = solved[..., :n_inputs], solved[..., n_inputs:].swapaxes(1, 2)
    used = directions[: tracking.n_directions]
    if not len(used):
        return free
    moved = used.reshape(-1, n_inputs) @ (tracking.penalty * kept)
    moved = moved.reshape(len(gram), len(used), -1)
    flat = used.reshape(len(used), -1)
    sizes = moved @ flat.T + DIRECTION_PENALTY * np.eye(len(used))
    hits = tracking.penalty * free.reshape(len(gram), -1) @ flat.T
    along = np.linalg.solve(sizes, hits[..., np.newaxis])[..., 0]
    along = np.tensordot(along, used, axes=1)
    return free + along - along @ kept.swapaxes(1, 2)


def movement(segments: Sequence[Errors], n_rows: int, n_directions: int) -> Movement:
    """Covariance of errors, and principal directions of a smoothed path of matrices.

    At every row matrices are regressed on the ``n_rows`` rows before and after it. A
    direction is as long as it moves forecasts.
    """
    decay = 1 - 1 / _PILOT_TIME_SCALE
    pilot = Tracking(decay, _PILOT_PENALTY, 0)
    before = discount(decay, n_rows)
    around = np.concatenate([before, before[::-1]])
    errors, _ = _forecast_errors(segments, before, pilot, None)
    scale = np.finfo(float).eps + 1e-6 * np.square(errors).mean(axis=0).max()
    covariance = errors.T @ errors / len(errors) + scale * np.eye(errors.shape[1])
    factor = np.linalg.cholesky(covariance)
    path = []
    for part in _whitened(segments, factor):
        firsts = _firsts(part, len(around), len(segments))
        moments = discounted_moments(part[0], part[1], firsts, around)
        path.append(tracked_drift(*moments, pilot, np.empty(0)))
    path, lagged = np.concatenate(path), np.concatenate([x for _, x in segments])
    shape, n_inputs = path.shape[1:], lagged.shape[1]
    spread = lagged.T @ lagged / len(lagged)
    spread = spread + 1e-6 * np.trace(spread) * np.eye(n_inputs)
    root = np.linalg.cholesky(spread)
    centre = path.mean(axis=0)
    moves = ((path - centre) @ root).reshape(len(path), -1)
    n_directions = min(n_directions, *moves.shape)
    principal = scipy.linalg.svd(moves, full_matrices=False)[2][:n_directions]
    principal = principal.reshape(n_directions, *shape)
    # A regression on the rows, and on each direction's sizes times the rows.
    uncertainty = (1 + n_directions) / len(lagged) * np.linalg.inv(spread)
    return Movement(factor, centre, principal @ np.linalg.inv(root), uncertainty)


def choose_tracking(
    folds: Sequence[tuple[Sequence[Errors], Sequence[Errors]]],
    n_rows: int,
    n_directions: int,
) -> Tracking | None:
    """The tracking under which one-step errors are likeliest, or None.

    Parameters
    ----------
    folds : sequence of pairs
        Errors of a static VAR on the rows that it was estimated on, and on others on
        which candidates forecast.
    n_rows : int
        Rows before each from which matrices are tracked.
    n_directions : int
        At most.

    Returns
    -------
    Tracking or None
        None where no candidate gains three standard errors on the static VAR. Of
        penalties, the weakest that loses no standard error on the likeliest.
    """
    if not all(_enough(part, n_rows) for fold in folds for part in fold):
        return None
    moves = [movement(fitted, n_rows, n_directions) for fitted, _ in folds]
    held_out = [
        list(_whitened(others, moved.factor))
        for (_, others), moved in zip(folds, moves, strict=True)
    ]

    @cache
    def errors(tracking: Tracking) -> tuple[list, list]:
        weights = discount(tracking.decay, n_rows)
        found = [
            _forecast_errors(part, weights, tracking, moved)
            for part, moved in zip(held_out, moves, strict=True)
        ]
        return [one for one, _ in found], [static for _, static in found]

    def log_likelihood(tracking: Tracking) -> float:
        return sum(-len(e) / 2 * _log_variances(e).sum() for e in errors(tracking)[0])

    best = max(
        (_climb(log_likelihood, start, n_rows, n_directions) for start in _STARTS),
        key=log_likelihood,
    )
    if best.penalty == NEVER and not best.n_directions:
        return None

    def squares(tracking: Tracking) -> np.ndarray:
        return np.concatenate([(e**2).sum(axis=1) for e in errors(tracking)[0]])

    gain = np.concatenate([(e**2).sum(axis=1) for e in errors(best)[1]]) - squares(best)
    if gain.mean() <= _REQUIRED_GAIN * _standard_error(gain):
        return None
    # What walks will be further from the static VAR than it was on these rows.
    for penalty in [x for x in _PENALTIES if x < best.penalty < NEVER]:
        weaker = replace(best, penalty=penalty)
        loss = squares(weaker) - squares(best)
        if loss.mean() <= _standard_error(loss):
            return weaker
    return best


def _standard_error(values: np.ndarray) -> float:
    return values.std(ddof=1) / np.sqrt(len(values))


def _climb(
    log_likelihood: Callable, start: Tracking, n_rows: int, n_directions: int
) -> Tracking:
    """From a start to where no change of one parameter is better."""
    scales = [scale for scale in _TIME_SCALES if scale <= max(n_rows, _TIME_SCALES[0])]
    choices = {
        "decay": [1 - 1 / scale for scale in scales],
        "penalty": _PENALTIES,
        "n_directions": [n for n in _DIRECTIONS if n <= n_directions],
    }
    found = replace(start, n_directions=min(start.n_directions, n_directions))
    before = None
    while found != before:
        before = found
        for name, values in choices.items():
            candidates = [found, *(replace(found, **{name: x}) for x in values)]
            found = max(candidates, key=log_likelihood)
    return found


def _forecast_errors(
    segments: Sequence[Errors],
    weights: np.ndarray,
    tracking: Tracking,
    moved: Movement | None,
) -> tuple[np.ndarray, np.ndarray]:
    """One-step errors of tracked and of static matrices, on rows evenly spaced."""
    directions = np.empty(0) if moved is None else moved.directions
    tracked, static = [], []
    for of_static, lagged in segments:
        errors = of_static if moved is None else of_static - lagged @ moved.centre.T
        firsts = _firsts((errors, lagged), len(weights) + 1, len(segments))
        moments = discounted_moments(errors, lagged, firsts, weights)
        rows = firsts + len(weights)
        drift = tracked_drift(*moments, tracking, directions)
        static.append(of_static[rows])
        tracked.append(errors[rows] - np.einsum("moi,mi->mo", drift, lagged[rows]))
    return np.concatenate(tracked), np.concatenate(static)


def _firsts(segment: Errors, n_rows: int, n_segments: int = 1) -> np.ndarray:
    """Where stretches of so many rows begin, evenly spaced."""
    n_stretches = max(0, len(segment[0]) - n_rows + 1)
    most = np.clip(_MOST_NUMBERS / segment[1].shape[1] ** 2, 50, _MOST_ROWS)
    n_used = min(n_stretches, int(np.ceil(most / n_segments)))
    return np.linspace(0, n_stretches - 1, n_used).round().astype(int)


def _enough(segments: Sequence[Errors], n_rows: int) -> bool:
    """Whether rows suffice to see how matrices move."""
    n_stretches = sum(max(0, len(errors) - 2 * n_rows + 1) for errors, _ in segments)
    return n_stretches >= _LEAST_ROWS


def _whitened(segments: Sequence[Errors], factor: np.ndarray) -> Iterator[Errors]:
    """Segments with errors in units of a factor of their covariance."""
    for errors, lagged in segments:
        yield scipy.linalg.solve_triangular(factor, errors.T, lower=True).T, lagged


def _log_variances(errors: np.ndarray) -> np.ndarray:
    return np.log(np.square(errors).mean(axis=0) + np.finfo(float).tiny)

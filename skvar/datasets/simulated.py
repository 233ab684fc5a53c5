"""Simulated vector autoregressions that come with their true matrices."""

import math
import numbers
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state, check_scalar

from .._typing import Seed

_BURN_IN = 200
_TRIES = 100
# A path that leaves so many times the size of shocks and intercepts is drawn again.
_EXPLODED = 1e3


@dataclass(frozen=True, eq=False)
class SimulatedVAR:
    """A simulated table and the truth behind it.

    Row t is ``intercept + sum_l matrices[t, l - 1] @ series[t - l]`` plus a shock.

    Parameters
    ----------
    series : DataFrame of shape (n_rows, n_series)
        Columns "y0", "y1", and so on.
    matrices : ndarray of shape (n_rows, order, n_series, n_series)
        Of every row, lag 1 first; rows respond, columns cause. Read-only where all
        rows share them.
    intercept : ndarray of shape (n_series,)
        Of every series.
    sigma_u : ndarray of shape (n_series, n_series)
        Covariance of the shocks.
    impact : ndarray of shape (n_series, n_series)
        Effect of the structural shocks, which are independent and of variance one, in
        the row in which they occur: lower triangular, ``impact @ impact.T = sigma_u``.
    mean : DataFrame of shape (n_rows, n_series)
        Every row without its shock: the forecast of who knows the matrices.
    regimes : ndarray of shape (n_rows,) or None
        The regime of every row, where the matrices switch.
    """

    series: pd.DataFrame
    matrices: np.ndarray
    intercept: np.ndarray
    sigma_u: np.ndarray
    impact: np.ndarray
    mean: pd.DataFrame
    regimes: np.ndarray | None = None


def make_var(
    n_rows: int = 1000,
    n_series: int = 3,
    order: int = 1,
    *,
    spectral_radius: float = 0.8,
    density: float = 1.0,
    intercept: float | Sequence[float] = 0.0,
    noise: float = 1.0,
    shock_correlation: float = 0.0,
    random_state: Seed = None,
) -> SimulatedVAR:
    """Simulate a static VAR: dense, a sparse network, or with correlated shocks.

    Parameters
    ----------
    n_rows, n_series, order : int
        Size of the table and number of lags.
    spectral_radius : float, default=0.8
        Largest modulus of an eigenvalue of the companion matrix, in (0, 1).
    density : float, default=1.0
        Probability that one series drives another, in [0, 1]; below one the matrices
        are those of a sparse network, with the same zeros at every lag. Every series
        drives itself.
    intercept : float or sequence of float, default=0.0
        Of every series.
    noise : float, default=1.0
        Standard deviation of the shocks of each series.
    shock_correlation : float, default=0.0
        Correlation between the shocks of any two series, in [0, 1).
    random_state : int, RandomState or None, default=None
        Seed of matrices and shocks.

    Returns
    -------
    SimulatedVAR

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    >>> from skvar.datasets import make_var
    >>> simulated = make_var(500, n_series=4, order=2, random_state=0)
    >>> simulated.series.shape, simulated.matrices.shape
    ((500, 4), (500, 2, 4, 4))
    """
    sizes = _Sizes(n_rows, n_series, order, spectral_radius)
    check_scalar(density, "density", numbers.Real, min_val=0, max_val=1)
    rng = check_random_state(random_state)

    def draw() -> tuple[np.ndarray, _Choice]:
        linked = (rng.uniform(size=(n_series, n_series)) < density) | np.eye(
            n_series, dtype=bool
        )
        return sizes.stable(sizes.gaussian(rng) * linked)[np.newaxis], _always_first

    return _simulate(sizes, draw, intercept, noise, shock_correlation, rng)


def make_switching_var(
    n_rows: int = 1000,
    n_series: int = 3,
    order: int = 1,
    *,
    n_regimes: int = 2,
    switch: str = "markov",
    persistence: float = 0.99,
    spectral_radius: float = 0.8,
    intercept: float | Sequence[float] = 0.0,
    noise: float = 1.0,
    shock_correlation: float = 0.0,
    random_state: Seed = None,
) -> SimulatedVAR:
    """Simulate a VAR that switches between regimes, each with its own matrices.

    Parameters
    ----------
    n_rows, n_series, order : int
        Size of the table and number of lags.
    n_regimes : int, default=2
        Number of regimes.
    switch : {"markov", "threshold", "season"}, default="markov"
        What chooses the regime of a row: a hidden Markov chain; the value of the first
        series in the row before, cut into ``n_regimes`` ranges at the quantiles of the
        shocks (for two, its sign); or the calendar, one regime after the other (a
        periodic VAR).
    persistence : float, default=0.99
        Probability that the Markov chain stays in its regime.
    spectral_radius : float, default=0.8
        Of every regime, in (0, 1).
    intercept : float or sequence of float, default=0.0
        Of every series.
    noise : float, default=1.0
        Standard deviation of the shocks of each series.
    shock_correlation : float, default=0.0
        Correlation between the shocks of any two series, in [0, 1).
    random_state : int, RandomState or None, default=None
        Seed of matrices and shocks.

    Returns
    -------
    SimulatedVAR
        With ``regimes``.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    >>> from skvar.datasets import make_switching_var
    >>> quarterly = make_switching_var(8, n_regimes=4, switch="season", random_state=0)
    >>> quarterly.regimes
    array([0, 1, 2, 3, 0, 1, 2, 3])
    """
    sizes = _Sizes(n_rows, n_series, order, spectral_radius)
    check_scalar(n_regimes, "n_regimes", numbers.Integral, min_val=1)
    check_scalar(persistence, "persistence", numbers.Real, min_val=0, max_val=1)
    if switch not in ("markov", "threshold", "season"):
        raise ValueError(
            f"switch must be 'markov', 'threshold' or 'season', not {switch!r}."
        )
    rng = check_random_state(random_state)

    def draw() -> tuple[np.ndarray, _Choice]:
        matrices = [sizes.stable(sizes.gaussian(rng)) for _ in range(n_regimes)]
        return np.stack(matrices), _SWITCHES[switch](sizes, n_regimes, persistence, rng)

    return _simulate(sizes, draw, intercept, noise, shock_correlation, rng, True)


def make_drifting_var(
    n_rows: int = 1000,
    n_series: int = 3,
    order: int = 1,
    *,
    kind: str = "swing",
    period: float = 2000,
    step: float = 0.01,
    spectral_radius: float = 0.8,
    intercept: float | Sequence[float] = 0.0,
    noise: float = 1.0,
    shock_correlation: float = 0.0,
    random_state: Seed = None,
) -> SimulatedVAR:
    """Simulate a VAR whose matrices drift: by a swing, or every entry by itself.

    Parameters
    ----------
    n_rows, n_series, order : int
        Size of the table and number of lags.
    kind : {"swing", "random_walk"}, default="swing"
        How matrices move: smoothly between two ends and back, all entries together, or
        as random walks, every entry by itself.
    period : float, default=2000
        Rows of a full swing, which has the form of a cosine.
    step : float, default=0.01
        Standard deviation of the steps of a random walk, from row to row.
    spectral_radius : float, default=0.8
        The largest on the way, in (0, 1). Matrices of a random walk begin there, and
        are scaled back to it where a step leads beyond.
    intercept : float or sequence of float, default=0.0
        Of every series.
    noise : float, default=1.0
        Standard deviation of the shocks of each series.
    shock_correlation : float, default=0.0
        Correlation between the shocks of any two series, in [0, 1).
    random_state : int, RandomState or None, default=None
        Seed of matrices and shocks.

    Returns
    -------
    SimulatedVAR

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    >>> from skvar.datasets import make_drifting_var
    >>> simulated = make_drifting_var(1001, period=1000, random_state=0)
    >>> bool(np.allclose(simulated.matrices[0], simulated.matrices[1000]))
    True
    """
    sizes = _Sizes(n_rows, n_series, order, spectral_radius)
    check_scalar(period, "period", numbers.Real, min_val=1)
    _check_open("step", step, 0, math.inf)
    if kind not in ("swing", "random_walk"):
        raise ValueError(f"kind must be 'swing' or 'random_walk', not {kind!r}.")
    rng = check_random_state(random_state)

    def walk() -> np.ndarray:
        path = np.empty((_BURN_IN + n_rows, order, n_series, n_series))
        path[0] = sizes.stable(sizes.gaussian(rng))
        for t in range(1, len(path)):
            moved = path[t - 1] + step * sizes.gaussian(rng)
            path[t] = moved * sizes.powers(min(sizes.shrinkage(moved), 1.0))
        return path

    def swing() -> np.ndarray:
        angle = 2 * np.pi * np.arange(-_BURN_IN, n_rows) / period
        weight = (0.5 + 0.5 * np.cos(angle))[:, np.newaxis, np.newaxis, np.newaxis]
        one, other = sizes.gaussian(rng), sizes.gaussian(rng)
        way = [w * one + (1 - w) * other for w in np.linspace(0, 1, 129)]
        shrink = min(sizes.shrinkage(matrices) for matrices in way)
        path = weight * one + (1 - weight) * other
        return path * sizes.powers(shrink)

    def draw() -> tuple[np.ndarray, _Choice]:
        return walk() if kind == "random_walk" else swing(), lambda t, before: t

    return _simulate(sizes, draw, intercept, noise, shock_correlation, rng)


def make_var_tasks(
    n_tasks: int = 100,
    n_rows: int = 100,
    n_series: int = 2,
    orders: Sequence[int] = (1, 2),
    *,
    spectral_radius: float = 0.8,
    noise: float = 0.05,
    random_state: Seed = None,
) -> list[SimulatedVAR]:
    """Simulate many short tables, each of a static VAR of its own.

    With the defaults, the training tables of the synthetic experiment of Lu & Yang
    (2025); ``orders=(3, 4)`` makes its validation tables, of orders never trained on.

    Parameters
    ----------
    n_tasks : int, default=100
        Number of tables.
    n_rows, n_series : int
        Size of a table.
    orders : sequence of int, default=(1, 2)
        Each table draws its number of lags from these.
    spectral_radius : float, default=0.8
        Of every table, in (0, 1).
    noise : float, default=0.05
        Standard deviation of the shocks of each series.
    random_state : int, RandomState or None, default=None
        Seed of orders, matrices and shocks.

    Returns
    -------
    list of SimulatedVAR

    Raises
    ------
    ValueError
        If an argument is out of its range.

    References
    ----------
    Lu, J. and Yang, S. (2025). Linear Transformers as VAR Models. ICML.
    arXiv:2502.07244.

    Examples
    --------
    >>> from skvar.datasets import make_var_tasks
    >>> training = make_var_tasks(5, random_state=0)
    >>> validation = make_var_tasks(5, orders=(3, 4), random_state=1)
    >>> [task.matrices.shape[1] for task in validation]
    [4, 4, 3, 3, 4]
    """
    check_scalar(n_tasks, "n_tasks", numbers.Integral, min_val=1)
    if not len(orders):
        raise ValueError("orders is empty; name the numbers of lags to draw from.")
    rng = check_random_state(random_state)
    return [
        make_var(
            n_rows,
            n_series,
            int(order),
            spectral_radius=spectral_radius,
            noise=noise,
            random_state=rng,
        )
        for order in rng.choice(list(orders), size=n_tasks)
    ]


@dataclass(frozen=True)
class _Sizes:
    """Sizes that every generator takes, checked, and matrices of these sizes."""

    n_rows: int
    n_series: int
    order: int
    spectral_radius: float

    def __post_init__(self) -> None:
        for name in ("n_rows", "n_series", "order"):
            check_scalar(getattr(self, name), name, numbers.Integral, min_val=1)
        _check_open("spectral_radius", self.spectral_radius, 0, 1)

    def gaussian(self, rng: np.random.RandomState) -> np.ndarray:
        """Matrices (order, n_series, n_series) of any size."""
        return rng.normal(size=(self.order, self.n_series, self.n_series))

    def stable(self, matrices: np.ndarray) -> np.ndarray:
        """Matrices scaled to the spectral radius."""
        return matrices * self.powers(self.shrinkage(matrices))

    def shrinkage(self, matrices: np.ndarray) -> float:
        """Factor of the companion matrix's eigenvalues that `powers` turns into."""
        size = self.n_series * (self.order - 1)
        companion = np.vstack(
            [np.concatenate(matrices, axis=1), np.eye(size, size + self.n_series)]
        )
        return self.spectral_radius / np.abs(np.linalg.eigvals(companion)).max()

    def powers(self, factor: float) -> np.ndarray:
        """Factors of the matrices that scale every eigenvalue of the companion."""
        return factor ** np.arange(1, self.order + 1)[:, np.newaxis, np.newaxis]


# Which matrices of those that were drawn belong to row t, after the rows before it.
_Choice = Callable[[int, np.ndarray], int]


def _always_first(t: int, before: np.ndarray) -> int:
    return 0


def _markov(
    sizes: _Sizes, n_regimes: int, persistence: float, rng: np.random.RandomState
) -> _Choice:
    n_steps = _BURN_IN + sizes.n_rows
    moves = rng.uniform(size=n_steps) >= persistence
    # To any other regime with the same probability.
    jumps = rng.randint(1, max(2, n_regimes), size=n_steps)
    regimes = (rng.randint(n_regimes) + np.cumsum(moves * jumps)) % n_regimes
    return lambda t, before: regimes[t]


def _threshold(
    sizes: _Sizes, n_regimes: int, persistence: float, rng: np.random.RandomState
) -> _Choice:
    quantile = NormalDist().inv_cdf
    borders = [quantile(part / n_regimes) for part in range(1, n_regimes)]
    return lambda t, before: np.searchsorted(borders, before[0, 0])


def _season(
    sizes: _Sizes, n_regimes: int, persistence: float, rng: np.random.RandomState
) -> _Choice:
    return lambda t, before: (t - _BURN_IN) % n_regimes


_SWITCHES = {"markov": _markov, "threshold": _threshold, "season": _season}


def _simulate(
    sizes: _Sizes,
    draw: Callable[[], tuple[np.ndarray, _Choice]],
    intercept: float | Sequence[float],
    noise: float,
    shock_correlation: float,
    rng: np.random.RandomState,
    regimes: bool = False,
) -> SimulatedVAR:
    """Draw matrices and run them, again where the path explodes.

    Stable regimes may make an unstable whole.
    """
    n_series, order = sizes.n_series, sizes.order
    intercept = np.array(intercept, dtype=float)
    if intercept.shape not in ((), (n_series,)):
        raise ValueError(
            f"intercept has shape {intercept.shape}; pass a number or one for each of "
            f"the {n_series} series."
        )
    intercept = np.broadcast_to(intercept, n_series).copy()
    _check_open("noise", noise, 0, math.inf)
    check_scalar(shock_correlation, "shock_correlation", numbers.Real)
    if not 0 <= shock_correlation < 1:
        raise ValueError(
            f"shock_correlation={shock_correlation} is not in the range [0, 1)."
        )
    correlation = np.full((n_series, n_series), float(shock_correlation))
    np.fill_diagonal(correlation, 1.0)
    impact = noise * np.linalg.cholesky(correlation)
    n_steps = _BURN_IN + sizes.n_rows
    for _ in range(_TRIES):
        matrices, choose = draw()
        shocks = rng.normal(size=(n_steps, n_series)) @ impact.T
        values = np.zeros((order + n_steps, n_series))
        chosen = np.empty(n_steps, dtype=int)
        for t in range(n_steps):
            before = values[t : t + order][::-1]
            chosen[t] = choose(t, before / noise)
            mean = intercept + np.einsum("lij,lj->i", matrices[chosen[t]], before)
            values[t + order] = mean + shocks[t]
        if np.abs(values).max() < _EXPLODED * (noise + np.abs(intercept).max()):
            break
    else:
        raise ValueError(
            f"In {_TRIES} draws of matrices every path exploded; lower spectral_radius."
        )
    chosen = chosen[_BURN_IN:]
    names = [f"y{i}" for i in range(n_series)]
    series = values[order + _BURN_IN :]
    return SimulatedVAR(
        series=pd.DataFrame(series, columns=names),
        matrices=(
            np.broadcast_to(matrices, (sizes.n_rows, *matrices.shape[1:]))
            if len(matrices) == 1
            else matrices[chosen]
        ),
        intercept=intercept,
        sigma_u=impact @ impact.T,
        impact=impact,
        mean=pd.DataFrame(series - shocks[_BURN_IN:], columns=names),
        regimes=chosen if regimes else None,
    )


def _check_open(name: str, value: float, low: float, high: float) -> None:
    check_scalar(value, name, numbers.Real)
    if not low < value < high:
        raise ValueError(f"{name}={value} is not in the range ({low}, {high}).")

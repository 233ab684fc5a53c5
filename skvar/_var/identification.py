"""Structural shocks behind the one-step errors of a vector autoregression.

The errors are ``u = B e`` with uncorrelated shocks e of variance one. The covariance of
the errors alone leaves B open; each identification here adds what it takes. Matrices
may be those of many draws, along leading axes.
"""

import numbers
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils import check_scalar

from .._data.units import nonzero
from .._typing import Names
from .caution import warn_user
from .process import Estimate, cholesky, long_run_effects, moving_average
from .short_run import ShortRunModel, on_matrices, places_of, rows_named

# Rotations tried for one estimate, and accepted ones of many that are kept.
_ROTATIONS, _MOST_KEPT = 10_000, 5_000
# Rotated responses that are looked at together.
_MOST_NUMBERS = 10_000_000
_CORRELATED = 1e-6
# A proxy that explains less is weak (Staiger and Stock 1997, "Instrumental variables
# regression with weak instruments").
_WEAK = 10.0


@dataclass(frozen=True, eq=False)
class Sample:
    """What an identification may need besides the matrices: names and one-step errors.

    Parameters
    ----------
    names : list
        Of the series.
    find_errors : callable, optional
        Computes the errors, which few identifications need.
    """

    names: list
    find_errors: Callable[[], pd.DataFrame] | None = None

    @cached_property
    def errors(self) -> pd.DataFrame | None:
        """One-step errors, if there are any."""
        return None if self.find_errors is None else self.find_errors()


class Identified(NamedTuple):
    """Estimates, effects of shocks (..., n_series, n_shocks) at once, and a report."""

    estimate: Estimate
    impact: np.ndarray
    report: dict[str, float] = {}


@runtime_checkable
class Identification(Protocol):
    """What takes shocks from an estimate; `identify` does so for draws as well."""

    def shocks(self, names: list) -> list:
        """Names of the shocks."""

    def point(
        self, estimate: Estimate, sample: Sample, rng: np.random.Generator
    ) -> Identified:
        """Effects of shocks for one estimate, and what to report of them."""

    def draws(
        self, estimate: Estimate, sample: Sample, rng: np.random.Generator
    ) -> Identified:
        """Effects for draws of estimates, with what is drawn besides these."""


@dataclass(frozen=True)
class Errors:
    """No identification: one unit in the error of one series."""

    def shocks(self, names: list) -> list:
        """Of the series."""
        return names

    def point(
        self, estimate: Estimate, sample: Sample, rng: np.random.Generator
    ) -> Identified:
        """The unit matrix."""
        return Identified(
            estimate, np.broadcast_to(np.eye(len(sample.names)), estimate[2].shape)
        )

    draws = point


@dataclass(frozen=True)
class Cholesky:
    """Recursive shocks: each moves its own series and those after it at once.

    Parameters
    ----------
    order : sequence of str, optional
        All series, the one that no other shock moves at once first; as they stand in
        the model by default.

    References
    ----------
    Sims, C. (1980). Macroeconomics and reality. Econometrica 48, 1-48.
    """

    order: Names | None = None

    def shocks(self, names: list) -> list:
        """Of the series."""
        return names

    def point(
        self, estimate: Estimate, sample: Sample, rng: np.random.Generator
    ) -> Identified:
        """The triangular factor of the covariance."""
        return Identified(
            estimate, _ordered_factor(estimate[2], self.order, sample.names)
        )

    draws = point


@dataclass(frozen=True)
class Generalized:
    """The error of one series by a standard deviation, and those of others with it.

    The others take the values that are expected given that one. It needs no order, but
    these shocks are correlated: they do not add up.

    References
    ----------
    Pesaran, H. and Shin, Y. (1998). Generalized impulse response analysis in linear
    multivariate models. Economics Letters 58, 17-29.
    """

    def shocks(self, names: list) -> list:
        """Of the series."""
        return names

    def point(
        self, estimate: Estimate, sample: Sample, rng: np.random.Generator
    ) -> Identified:
        """The covariance over the standard deviation of the error that is shocked."""
        return Identified(estimate, generalized(estimate[2]))

    draws = point


@dataclass(frozen=True)
class LongRun:
    """Shocks whose long-run effects are triangular.

    The last shocks have no lasting effect on the first series: take changes for series
    on which there are lasting effects.

    Parameters
    ----------
    order : sequence of str, optional
        All series, the one that only its own shock moves for good first; as they stand
        in the model by default.

    References
    ----------
    Blanchard, O. and Quah, D. (1989). The dynamic effects of aggregate demand and
    supply disturbances. American Economic Review 79, 655-673.
    """

    order: Names | None = None

    def shocks(self, names: list) -> list:
        """Of the series."""
        return names

    def point(
        self, estimate: Estimate, sample: Sample, rng: np.random.Generator
    ) -> Identified:
        """NaN where the VAR is not stable."""
        total = long_run_effects(estimate)
        stable = on_matrices(np.isfinite(total).all(axis=(-2, -1)))
        if not stable.any():
            raise ValueError(
                "impact='long_run' needs long-run effects, but the VAR is not stable: "
                "fit to changes of the series."
            )
        # Rounding may hide below that theirs is singular.
        cholesky(estimate[2])
        total = np.where(stable, total, np.eye(total.shape[-1]))
        lasting = total @ estimate[2] @ total.swapaxes(-1, -2)
        factor = _ordered_factor(lasting, self.order, sample.names)
        impact = np.linalg.solve(total, factor)
        return Identified(estimate, np.where(stable, impact, np.nan))

    draws = point


@dataclass(frozen=True, eq=False)
class KnownEffects:
    """Effects at once that are known.

    Parameters
    ----------
    matrix : array-like of shape (n_series, n_series)
        Rows respond; columns are shocks, with the names of a DataFrame's columns.
    unit_variance : bool, default=False
        Whether columns are scaled to shocks of variance one, which must then be
        uncorrelated in the model.
    """

    matrix: np.ndarray | pd.DataFrame
    unit_variance: bool = False

    def shocks(self, names: list) -> list:
        """Of the columns, or of the series."""
        return (
            list(self.matrix.columns)
            if isinstance(self.matrix, pd.DataFrame)
            else names
        )

    def point(
        self, estimate: Estimate, sample: Sample, rng: np.random.Generator
    ) -> Identified:
        """The matrix itself."""
        matrix = self.matrix
        n_series = len(sample.names)
        if isinstance(matrix, pd.DataFrame):
            _check_names_of_shocks(matrix, "impact")
            matrix = rows_named(matrix, sample.names, "impact")
        try:
            matrix = np.array(matrix, dtype=float)
        except (TypeError, ValueError) as error:
            raise ValueError(_no_identification(self.matrix)) from error
        if matrix.shape != (n_series, n_series) or not np.isfinite(matrix).all():
            raise ValueError(
                f"impact has shape {matrix.shape}; pass a finite array of shape "
                f"{(n_series, n_series)}."
            )
        if _is_singular(matrix):
            raise ValueError(
                "impact is singular: some shocks are combinations of others."
            )
        if not self.unit_variance:
            return Identified(estimate, np.broadcast_to(matrix, estimate[2].shape))
        variances = self._variances(matrix, estimate[2])
        return Identified(estimate, matrix * np.sqrt(variances)[..., np.newaxis, :])

    draws = point

    def _variances(self, matrix: np.ndarray, sigma_u: np.ndarray) -> np.ndarray:
        """Of the shocks (..., n_series); one covariance must make them uncorrelated."""
        inverse = np.linalg.inv(matrix)
        covariance = inverse @ sigma_u @ inverse.T
        variances = np.diagonal(covariance, axis1=-2, axis2=-1)
        size = np.sqrt(variances)
        together = np.abs(covariance - np.eye(len(matrix)) * covariance)
        if sigma_u.ndim == 2 and (together > _CORRELATED * np.outer(size, size)).any():
            raise ValueError(
                "impact: its shocks are correlated under sigma_u, so that variances "
                "cannot be shared out among them. Take impact='cholesky' or "
                "impact='generalized'."
            )
        return variances


@dataclass(frozen=True, eq=False)
class ShortRun:
    """Restrictions on what series and shocks do at once: ``A u = B e``.

    By maximum likelihood of normal errors with the covariance of the model. Each shock
    moves its own series upwards where it moves it at all.

    Parameters
    ----------
    A, B : array-like of shape (n_series, n_series), optional
        NaN, or "E" as in statsmodels, where an entry is free, and numbers where it is
        known; the unit matrix by default.

    Raises
    ------
    ValueError
        When used, if there are more free entries than the covariance has, or the
        restrictions leave several solutions next to each other.

    References
    ----------
    Amisano, G. and Giannini, C. (1997). Topics in Structural VAR Econometrics.
    Springer.

    Examples
    --------
    >>> import numpy as np
    >>> from skvar import VARCoefficients
    >>> from skvar.identification import ShortRun
    >>> var = VARCoefficients(
    ...     [[[0.5, 0.2], [0.0, 0.4]]], [0, 0], [[4, 2], [2, 2]], names=["a", "b"]
    ... )
    >>> short_run = ShortRun(A=[[1, 0], [np.nan, 1]], B=[[np.nan, 0], [0, np.nan]])
    >>> var.irf(0, impact=short_run)["value"].round(6).tolist()
    [2.0, 0.0, 1.0, 1.0]
    """

    A: ArrayLike | None = None
    B: ArrayLike | None = None

    def shocks(self, names: list) -> list:
        """Of the series."""
        return names

    def point(
        self, estimate: Estimate, sample: Sample, rng: np.random.Generator
    ) -> Identified:
        """From starts that a generator of its own draws, the most likely one."""
        model = ShortRunModel.of(self.A, self.B, sample.names)
        return Identified(estimate, model.impact(model.solve(estimate[2])))

    def draws(
        self, estimate: Estimate, sample: Sample, rng: np.random.Generator
    ) -> Identified:
        """Each from the solution of their mean."""
        model = ShortRunModel.of(self.A, self.B, sample.names)
        start = model.solve(estimate[2].mean(axis=0))
        free = model.improve(np.tile(start, (len(estimate[2]), 1)), estimate[2])
        return Identified(estimate, model.impact(free))


@dataclass(frozen=True, eq=False)
class SignRestrictions:
    """Shocks known by the directions in which they move series.

    All rotations of orthogonal shocks are equally likely beforehand, and those whose
    responses have the signs are kept. Bands hold the accepted rotations of all draws of
    the matrices. The line between them is one rotation, that whose responses are
    nearest to the median of the accepted ones for the estimate itself [2]_, so that
    its shares and decompositions add up. Tables report in ``attrs["accepted"]`` the
    share of rotations with these signs.

    Parameters
    ----------
    signs : DataFrame of shape (n_restricted, n_shocks)
        Rows are series and columns shocks, by name: 1 where the response is positive,
        -1 where it is negative, NaN where it is free, as are series that it lacks.
    periods : int, default=0
        The signs hold at horizons 0 to ``periods``.
    n_rotations : int, default=100
        Rotations tried for each draw of the matrices.

    References
    ----------
    .. [1] Rubio-Ramirez, J., Waggoner, D. and Zha, T. (2010). Structural vector
       autoregressions: theory of identification and algorithms for inference. Review
       of Economic Studies 77, 665-696.
    .. [2] Fry, R. and Pagan, A. (2011). Sign restrictions in structural vector
       autoregressions: a critical review. Journal of Economic Literature 49, 938-960.
    """

    signs: pd.DataFrame
    periods: int = 0
    n_rotations: int = 100

    def shocks(self, names: list) -> list:
        """Of the columns of the table."""
        return list(self.signs.columns)

    def point(
        self, estimate: Estimate, sample: Sample, rng: np.random.Generator
    ) -> Identified:
        """The accepted rotation that is nearest to the median of all."""
        alone = tuple(part[np.newaxis] for part in estimate)
        accepted, _, share = self._accepted(alone, sample.names, rng, _ROTATIONS)
        effects = moving_average(estimate[0], self.periods)
        responses = np.einsum("pij,rjk->rpik", effects, accepted)
        distance = responses - np.median(responses, axis=0)
        distance /= nonzero(responses.std(axis=0))
        nearest = np.square(distance).sum(axis=(1, 2, 3)).argmin()
        return Identified(estimate, accepted[nearest], {"accepted": share})

    def draws(
        self, estimate: Estimate, sample: Sample, rng: np.random.Generator
    ) -> Identified:
        """All accepted rotations, or some of them drawn at random."""
        accepted, which, share = self._accepted(
            estimate, sample.names, rng, self.n_rotations
        )
        if len(which) > _MOST_KEPT:
            kept = np.sort(rng.choice(len(which), _MOST_KEPT, replace=False))
            accepted, which = accepted[kept], which[kept]
        estimates = tuple(part[which] for part in estimate)
        return Identified(estimates, accepted, {"accepted": share})

    def _accepted(
        self,
        estimate: Estimate,
        names: list,
        rng: np.random.Generator,
        n_rotations: int,
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Impacts (n, n_series, n_shocks), their draws, and the share that they are."""
        signs = _checked_signs(self.signs, names)
        check_scalar(self.periods, "periods", numbers.Integral, min_val=0)
        check_scalar(self.n_rotations, "n_rotations", numbers.Integral, min_val=1)
        factor = cholesky(estimate[2])
        effects = moving_average(estimate[0], self.periods) @ factor[:, np.newaxis]
        n_numbers = self.periods * signs.size + factor.size // len(factor)
        step = max(1, _MOST_NUMBERS // (n_rotations * n_numbers))
        found = []
        for begin in range(0, len(factor), step):
            some = slice(begin, begin + step)
            shape = len(factor[some]), n_rotations, *signs.shape
            rotation = _rotations(rng, shape)
            flip = _fitting_signs(effects[some], rotation, signs)
            draw, number = np.nonzero(flip.all(axis=-1))
            chosen = rotation[draw, number] * flip[draw, number][:, np.newaxis]
            found.append((factor[some][draw] @ chosen, begin + draw))
        impacts, which = (np.concatenate(part) for part in zip(*found, strict=True))
        if not len(which):
            raise ValueError(
                f"signs: none of {len(factor) * n_rotations} rotations has them. "
                "Restrict fewer responses, or take fewer periods or more n_rotations."
            )
        return impacts, which, len(which) / (len(factor) * n_rotations)


@dataclass(frozen=True, eq=False)
class Proxy:
    """One shock, known by a series outside the model that moves with it alone.

    A regression of the proxy on the one-step errors finds it: their fitted combination
    is the shock, of variance one and of the proxy's sign. Bands draw the coefficients
    of that regression besides the matrices [2]_. Tables report its F statistic in
    ``attrs["first_stage_f"]``.

    Parameters
    ----------
    proxy : Series
        By time; times that it lacks, or where it is NaN, are left out.
    name : str, default="proxy"
        Of the shock.

    Raises
    ------
    TypeError
        When used, if it is no Series.
    ValueError
        When used, if fewer times have errors and proxy than there are coefficients, or
        it does not vary.

    Warns
    -----
    UserWarning
        If the F statistic is below 10, so that bands need not cover.

    References
    ----------
    .. [1] Mertens, K. and Ravn, M. (2013). The dynamic effects of personal and
       corporate income tax changes in the United States. American Economic Review
       103, 1212-1247.
    .. [2] Caldara, D. and Herbst, E. (2019). Monetary policy, real activity, and credit
       spreads: evidence from Bayesian proxy SVARs. American Economic Journal:
       Macroeconomics 11, 157-192.
    """

    proxy: pd.Series
    name: str = "proxy"

    def shocks(self, names: list) -> list:
        """Its name."""
        return [self.name]

    def point(
        self, estimate: Estimate, sample: Sample, rng: np.random.Generator
    ) -> Identified:
        """By least squares."""
        regression = self._regression(sample)
        if regression.f_statistic < _WEAK:
            warn_user(
                f"The proxy is weak: its F statistic is {regression.f_statistic:.1f}, "
                f"below {_WEAK:g}. Bands need not cover the true response."
            )
        impact = _scaled_to_one(estimate[2], regression.coefficients / regression.scale)
        return Identified(estimate, impact, {"first_stage_f": regression.f_statistic})

    def draws(
        self, estimate: Estimate, sample: Sample, rng: np.random.Generator
    ) -> Identified:
        """With coefficients from their posterior."""
        regression = self._regression(sample)
        drawn = regression.draws(len(estimate[2]), rng) / regression.scale
        return Identified(estimate, _scaled_to_one(estimate[2], drawn))

    def _regression(self, sample: Sample) -> "_ProxyRegression":
        if sample.errors is None:
            raise ValueError(
                "A proxy needs the one-step errors: pass history=... to "
                "VARCoefficients."
            )
        proxy = self._checked()
        both = proxy.dropna().index.intersection(sample.errors.index)
        n_series = sample.errors.shape[1]
        if len(both) < n_series + 2:
            raise ValueError(
                f"proxy shares {len(both)} times with the one-step errors, too few for "
                f"{n_series} series; its index must hold times of the history, such as "
                f"{sample.errors.index[0]}."
            )
        errors = sample.errors.loc[both].to_numpy(float)
        proxy = proxy.loc[both].to_numpy()
        if np.ptp(proxy) == 0:
            raise ValueError(
                f"proxy is {proxy[0]:g} at all {len(both)} times that it shares with "
                "the one-step errors; pass one that varies."
            )
        scale = nonzero(errors.std(axis=0))
        return _ProxyRegression(
            (errors - errors.mean(axis=0)) / scale, proxy - proxy.mean(), scale
        )

    def _checked(self) -> pd.Series:
        """The proxy as numbers at different times."""
        if not isinstance(self.proxy, pd.Series):
            raise TypeError(
                f"proxy is a {type(self.proxy).__name__}; pass a Series with times."
            )
        try:
            proxy = self.proxy.astype(float)
        except (TypeError, ValueError) as error:
            raise ValueError(
                "proxy holds what is no number; pass NaN where it is not known."
            ) from error
        if np.isinf(proxy).any():
            raise ValueError("proxy holds inf; pass NaN where it is not known.")
        if proxy.index.has_duplicates:
            twice = proxy.index[proxy.index.duplicated()][0]
            raise ValueError(
                f"proxy has several values at {twice}; pass one for each time."
            )
        return proxy


# What users may say that shocks are, beside None.
Impact: TypeAlias = (
    Literal["cholesky", "generalized", "long_run"]
    | np.ndarray
    | pd.DataFrame
    | Sequence[Sequence[float]]
    | Identification
)
_BY_NAME = {"cholesky": Cholesky, "generalized": Generalized, "long_run": LongRun}
_ORDERED = "cholesky", "long_run"


def identification(impact: Impact | None, order: Names | None) -> Identification:
    """The identification that a user means.

    Raises
    ------
    ValueError
        If there is none of that name, or an order where none is used.
    """
    if order is not None and not (isinstance(impact, str) and impact in _ORDERED):
        raise ValueError(
            "order goes with impact='cholesky' or impact='long_run', not with "
            f"{impact!r}."
        )
    if impact is None:
        return Errors()
    if isinstance(impact, type):
        raise TypeError(
            f"impact is the class {impact.__name__}; pass one of it, "
            f"{impact.__name__}(...)."
        )
    if isinstance(impact, str):
        if impact not in _BY_NAME:
            raise ValueError(_no_identification(impact))
        kind = _BY_NAME[impact]
        return kind(order) if impact in _ORDERED else kind()
    if isinstance(impact, Identification):
        return impact
    return KnownEffects(impact)


def _no_identification(impact: object) -> str:
    return (
        f"impact must be None, one of {list(_BY_NAME)}, an array or of "
        f"skvar.identification, not {impact!r}."
    )


def uncorrelated(found: Identification) -> Identification:
    """The identification for shares in variances, where it has them."""
    if isinstance(found, Errors):
        raise ValueError(
            "impact=None: the errors of the series are correlated, so that variances "
            "cannot be shared out among them. Take impact='cholesky' or "
            "impact='generalized'."
        )
    if isinstance(found, KnownEffects):
        return replace(found, unit_variance=True)
    return found


def additive(found: Identification) -> Identification:
    """The identification for sums of effects, where it has them."""
    if isinstance(found, Generalized):
        raise ValueError(
            "impact='generalized': these shocks are correlated and do not add up to "
            "the history. Take impact='cholesky', or None for errors of the series."
        )
    return found


def generalized(sigma_u: np.ndarray) -> np.ndarray:
    """Expected errors given one of a standard deviation (..., n_series, n_series)."""
    deviations = np.sqrt(np.diagonal(sigma_u, axis1=-2, axis2=-1))
    # Nothing moves with a series that has no errors.
    return sigma_u / nonzero(deviations)[..., np.newaxis, :]


def _ordered_factor(
    covariance: np.ndarray, order: Names | None, names: list
) -> np.ndarray:
    """Factor that is lower triangular once its series are in an order."""
    if order is None:
        return cholesky(covariance)
    order = [order] if isinstance(order, str) else order
    places = None
    if isinstance(order, Iterable):
        places = places_of(list(order), names)
    if places is None or len(set(places)) < len(names):
        raise ValueError(f"order is {order}; pass all of {names}, each once.")
    factor = np.empty_like(covariance)
    rows, columns = np.ix_(places, places)
    factor[..., rows, columns] = cholesky(covariance[..., rows, columns])
    return factor


def _checked_signs(signs: pd.DataFrame, names: list) -> np.ndarray:
    """Signs (n_series, n_shocks), 0 where free."""
    if not isinstance(signs, pd.DataFrame):
        raise ValueError(
            "signs must be a DataFrame with series as rows and shocks as columns."
        )
    unknown = [name for name in signs.index if name not in names]
    if unknown or signs.index.has_duplicates:
        raise ValueError(f"signs has rows {list(signs.index)}; pass some of {names}.")
    _check_names_of_shocks(signs, "signs")
    if not 0 < signs.shape[1] <= len(names):
        raise ValueError(
            f"signs has {signs.shape[1]} shocks; pass 1 to {len(names)} columns."
        )
    try:
        values = signs.reindex(names).to_numpy(float)
    except (TypeError, ValueError):
        values = np.zeros(1)
    if not np.isin(values[~np.isnan(values)], [-1.0, 1.0]).all():
        raise ValueError(
            "signs holds other numbers than 1 and -1: leave NaN where a response is "
            "free. Responses of zero go into ShortRun."
        )
    if np.isnan(values).all(axis=0).any():
        raise ValueError("signs: every shock needs a sign, or nothing tells it.")
    return np.nan_to_num(values)


def _check_names_of_shocks(table: pd.DataFrame, argument: str) -> None:
    if table.columns.has_duplicates:
        raise ValueError(
            f"{argument} has columns {list(table.columns)}; name each shock "
            "differently."
        )


def _is_singular(matrix: np.ndarray) -> bool:
    """Whether shocks are combinations of others, whatever the units of the series."""
    for axis in (1, 0):
        matrix = matrix / nonzero(np.linalg.norm(matrix, axis=axis, keepdims=True))
    return np.linalg.matrix_rank(matrix) < len(matrix)


def _rotations(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Orthonormal columns (..., n_series, n_shocks), uniform on all of them."""
    q, r = np.linalg.qr(rng.normal(size=shape))
    # Without the signs of the diagonal they are not uniform (Stewart 1980).
    return q * np.sign(np.diagonal(r, axis1=-2, axis2=-1))[..., np.newaxis, :]


def _fitting_signs(
    effects: np.ndarray, rotation: np.ndarray, signs: np.ndarray
) -> np.ndarray:
    """The direction (n_draws, n_rotations, n_shocks) of a shock that has its signs.

    1 or -1, or 0 where neither has: both are equally likely.
    """
    upwards = downwards = np.ones((*rotation.shape[:2], signs.shape[1]), dtype=bool)
    for responses in np.moveaxis(effects, 1, 0):
        agreement = (responses[:, np.newaxis] @ rotation) * signs
        upwards = upwards & ((agreement > 0) | (signs == 0)).all(axis=-2)
        downwards = downwards & ((agreement < 0) | (signs == 0)).all(axis=-2)
    return upwards.astype(int) - downwards


def _scaled_to_one(sigma_u: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Effects (..., n_series, 1) of the shock that is this combination of errors.

    ``E[u e] = Sigma b / sqrt(b' Sigma b)`` with ``e = b' u / sqrt(b' Sigma b)``.
    """
    moved = np.einsum("...ij,...j->...i", sigma_u, coefficients)
    variance = np.einsum("...i,...i->...", moved, coefficients)
    return (moved / np.sqrt(variance)[..., np.newaxis])[..., np.newaxis]


@dataclass(frozen=True, eq=False)
class _ProxyRegression:
    """Of a centred proxy (n_times,) on standardised errors (n_times, n_series).

    ``scale`` (n_series,) is the unit of these.
    """

    errors: np.ndarray
    proxy: np.ndarray
    scale: np.ndarray

    @cached_property
    def coefficients(self) -> np.ndarray:
        return np.linalg.lstsq(self.errors, self.proxy, rcond=None)[0]

    @property
    def n_free(self) -> int:
        return len(self.proxy) - self.errors.shape[1] - 1

    @property
    def variance(self) -> float:
        """Of what the errors do not explain."""
        left = self.proxy - self.errors @ self.coefficients
        return left @ left / self.n_free

    @property
    def f_statistic(self) -> float:
        explained = self.errors @ self.coefficients
        return float(explained @ explained / self.errors.shape[1] / self.variance)

    def draws(self, n_draws: int, rng: np.random.Generator) -> np.ndarray:
        """Coefficients (n_draws, n_series) from their posterior under a flat prior."""
        factor = np.linalg.inv(cholesky(self.errors.T @ self.errors))
        variance = self.variance * self.n_free / rng.chisquare(self.n_free, n_draws)
        noise = rng.normal(size=(n_draws, len(factor))) @ factor
        return self.coefficients + np.sqrt(variance)[:, np.newaxis] * noise

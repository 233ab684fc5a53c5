"""Draws of the estimate of a vector autoregression, and bands of what follows from it.

Estimates are drawn from a posterior, or estimated anew on simulated series. Bands of a
statistic are percentiles of what it is for these.
"""

import numbers
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from sklearn.utils import check_random_state, check_scalar

from .._typing import Seed
from . import bootstrap, checks
from .caution import warn_user
from .identification import Identification, SignRestrictions
from .observed import Observed
from .process import Estimate

# Draws by default, and of the standard deviations in a summary.
_N_DRAWS, _N_OF_SUMMARY = {"posterior": 2000, "bootstrap": 200}, 500
# Numbers in the matrices that are drawn at once.
_MOST_NUMBERS = 20_000_000

# Beyond these, moved bands cover too little of simulated VARs, by irf_bands.py in
# benchmarks: standard errors of a bias, and a penalty per row.
_LARGE_BIAS, _NOTABLE_PENALTY = 0.5, 0.005


@dataclass(frozen=True)
class Options:
    """How to draw, as of `VARCoefficients.irf`, once "auto" is resolved."""

    method: str = "auto"
    n_draws: int | None = None
    block_length: int = 1
    random_state: Seed = None
    n_jobs: int | None = None
    verbose: int = 0

    @classmethod
    def read(
        cls, whose: str, given: dict, *, auto: str, others: Sequence[str] = ()
    ) -> "Options":
        """Checked options, also where nothing is drawn in the end.

        Parameters
        ----------
        whose : str
            What they are options of, for errors.
        given : dict
        auto : str
            The method that "auto" stands for.
        others : sequence of str
            Methods besides posterior and bootstrap.

        Raises
        ------
        TypeError
            If there is no such option, or a value has the wrong type.
        ValueError
            If a value is out of its range, or only a bootstrap would heed it.
        """
        known = sorted(field.name for field in fields(cls))
        if unknown := sorted(given.keys() - set(known)):
            raise TypeError(f"{whose} know no option {unknown}, but {known}.")
        asked = cls(**given)
        asked._check_values(["auto", *_N_DRAWS, *others])
        if asked.method == "auto":
            asked = replace(asked, method=auto)
        asked._check_effects()
        return asked

    def _check_values(self, methods: list[str]) -> None:
        if self.method not in methods:
            raise ValueError(f"method must be one of {methods}, not {self.method!r}.")
        if self.n_draws is not None:
            check_scalar(self.n_draws, "n_draws", numbers.Integral, min_val=2)
        check_scalar(self.block_length, "block_length", numbers.Integral, min_val=1)
        check_random_state(self.random_state)
        if self.n_jobs is not None:
            check_scalar(self.n_jobs, "n_jobs", numbers.Integral)
        if self.n_jobs == 0:
            raise ValueError(
                "n_jobs=0 allows no job; pass None, a number of jobs, or -1 for one on "
                "each processor."
            )

    def _check_effects(self) -> None:
        """Refuse what only a bootstrap heeds where there is none.

        But not ``n_jobs``, which changes no result.
        """
        length = self.block_length
        if self.method != "bootstrap" and length != Options.block_length:
            raise ValueError(
                f"block_length={length} goes with method='bootstrap', but the method "
                f"here is {self.method!r}. Pass method='bootstrap', or leave "
                "block_length out."
            )


@dataclass(frozen=True, eq=False)
class Drawing:
    """Where draws of an estimate come from, as of `VARCoefficients`.

    Parameters
    ----------
    observed : Observed
        The estimate, and the rows and errors that a bootstrap takes.
    refit : callable
    posterior : callable, optional
    alpha : float
    """

    observed: Observed
    refit: Callable[[np.ndarray, int], Estimate]
    posterior: Callable[[int, np.random.Generator], Estimate] | None
    alpha: float

    def bands(
        self,
        name: str,
        value: np.ndarray,
        statistic: Callable[[Estimate], np.ndarray],
        coverage: float | None,
        options: dict,
    ) -> tuple[dict[str, np.ndarray], dict]:
        """A value by a name, with its bands "lower" and "upper", and a report.

        Parameters
        ----------
        name : str
        value : ndarray
        statistic : callable
            What the value is of the estimate, for draws of estimates.
        coverage : float, optional
            Of the bands; there are none by default.
        options : dict
            Those of `Options` that are given.
        """
        asked = self._asked(coverage, options)
        ends, report = self._ends(value, statistic, coverage, asked)
        return {name: value, **ends}, report

    def bands_of_shocks(
        self,
        name: str,
        statistic: Callable[[Estimate, np.ndarray], np.ndarray],
        shocks: Identification,
        coverage: float | None,
        options: dict,
    ) -> tuple[dict[str, np.ndarray], dict]:
        """As `bands`, of a statistic of an estimate and of the impact of shocks."""
        asked = self._asked(coverage, options)
        # Independent of the draws of matrices, which begin with the same seed.
        [rng] = generator(asked.random_state).spawn(1)
        sample = self.observed.sample
        point = shocks.point(self.observed.estimate, sample, rng)
        value = statistic(point.estimate, point.impact)

        def of_draws(estimate: Estimate) -> np.ndarray:
            found = shocks.draws(estimate[:3], sample, rng)
            return statistic(found.estimate, found.impact)

        # Bands of a set are not centred on its one member.
        centre = not isinstance(shocks, SignRestrictions)
        ends, report = self._ends(value, of_draws, coverage, asked, centre=centre)
        return {name: value, **ends}, {**point.report, **report}

    def replicates(
        self,
        value: np.ndarray,
        statistic: Callable[[Estimate], np.ndarray],
        asked: Options,
        *,
        centre: bool = True,
    ) -> np.ndarray:
        """Draws (n_draws, ...) of a statistic.

        Those of a bootstrap are moved by their bias if they are to ``centre`` on its
        value.
        """
        n_draws = asked.n_draws or _N_DRAWS[asked.method]
        if asked.method == "posterior":
            draws = self._of_posterior(statistic, n_draws, asked.random_state)
            return _finite(draws, value)
        draws = _finite(statistic(self._bootstrapped(n_draws, asked)), value)
        if not centre:
            return draws
        remedy = "fit with alpha=0"
        if self.posterior is not None:
            remedy = f"take method='posterior', or {remedy}"
        return _without_bias(value, draws, self.alpha, remedy)

    def of_posterior(self, n_draws: int, rng: np.random.Generator) -> Estimate:
        """Draws of the estimate, each with an axis in front.

        Raises
        ------
        ValueError
            If there is no posterior.
        """
        if self.posterior is None:
            raise ValueError(
                "These matrices have no posterior: they are not those of a VAR in "
                "closed form alone. Take method='bootstrap', or fit with n_layers=0 "
                "(and static_path='var', where a forecaster has one)."
            )
        return self.posterior(n_draws, rng)

    def deviations(self, n_lags: int) -> np.ndarray:
        """Standard deviations of the first matrices in the posterior."""
        draws = self._of_posterior(
            lambda estimate: estimate[0][:, :n_lags], _N_OF_SUMMARY, 0
        )
        return draws.std(axis=0)

    def _asked(self, coverage: float | None, options: dict) -> Options:
        """Checked options of bands."""
        if coverage is not None:
            checks.check_share("bands", coverage)
        penalised = self.posterior is not None and self.alpha > 0
        auto = "posterior" if penalised else "bootstrap"
        return Options.read("Bands", options, auto=auto)

    def _ends(
        self,
        value: np.ndarray,
        statistic: Callable[[Estimate], np.ndarray],
        coverage: float | None,
        asked: Options,
        *,
        centre: bool = True,
    ) -> tuple[dict[str, np.ndarray], dict]:
        """The bands of a value, and the coverage, where there is one."""
        if coverage is None:
            return {}, {}
        draws = self.replicates(value, statistic, asked, centre=centre)
        edges = 0.5 - coverage / 2, 0.5 + coverage / 2
        lower, upper = np.quantile(draws, edges, axis=0)
        return {"lower": lower, "upper": upper}, {"coverage": coverage}

    def _of_posterior(
        self, statistic: Callable[[Estimate], np.ndarray], n_draws: int, seed: Seed
    ) -> np.ndarray:
        """A statistic (n_draws, ...) of draws, a part of them at a time."""
        rng = generator(seed)
        step = max(1, _MOST_NUMBERS // self.observed.estimate[0].size)
        sizes = [min(step, n_draws - begin) for begin in range(0, n_draws, step)]
        return np.concatenate([statistic(self.of_posterior(n, rng)) for n in sizes])

    def _bootstrapped(self, n_draws: int, asked: Options) -> Estimate:
        """Estimates of ``refit`` on series that are simulated from the estimate."""
        observed = self.observed
        return bootstrap.bootstrap(
            observed.estimate,
            self.refit,
            observed.rows().to_numpy(),
            observed.unshrunk_errors,
            n_rows=observed.n_simulated,
            n_draws=n_draws,
            block_length=asked.block_length,
            random_state=asked.random_state,
            n_jobs=asked.n_jobs,
            verbose=asked.verbose,
            inflow=observed.inflow,
        )


def generator(random_state: Seed) -> np.random.Generator:
    """Numpy's generator from what scikit-learn takes for a seed."""
    return np.random.default_rng(check_random_state(random_state).randint(2**31))


def _finite(draws: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Draws of a statistic that are finite where its value is; there must be some."""
    found = draws[np.isfinite(draws[:, np.isfinite(value)]).all(axis=1)]
    if not len(found):
        raise ValueError(
            "No draw of the matrices allows bands: none is stable, as long-run effects "
            "need, or has responses of the signs. Look at irf() over finite horizons, "
            "fit to changes of the series, or restrict fewer signs."
        )
    return found


def _without_bias(
    value: np.ndarray, replicates: np.ndarray, alpha: float, remedy: str
) -> np.ndarray:
    """Replicates moved by twice their mean error, of which percentiles are bands.

    Once for their bias and once for that of the value itself. The user is warned where
    bands need not cover: ``alpha`` is the penalty of the estimate, and ``remedy`` what
    helps against it.
    """
    bias, error = replicates.mean(axis=0) - value, replicates.std(axis=0)
    # What does not vary beyond rounding is not estimated.
    estimated = error > 1e-8 * np.maximum(error.max(), np.abs(value))
    share = np.abs(bias[estimated] / error[estimated]).mean() if estimated.any() else 0
    _warn_of_bias(share, len(replicates), alpha, remedy)
    return replicates - 2 * bias


def _warn_of_bias(share: float, n_draws: int, alpha: float, remedy: str) -> None:
    """Warn where bands need not cover; replicates tell biases up to their own noise.

    ``share`` is the size of biases in standard errors.
    """
    if alpha > _NOTABLE_PENALTY:
        reason = f"the penalty alpha={alpha:.2g} biases the matrices; {remedy}"
    elif share > _LARGE_BIAS + 1 / np.sqrt(n_draws):
        reason = (
            "estimates on simulated series are off by "
            f"{share:.1f} of their standard errors on average, as with a unit root or "
            "few rows. Take shorter horizons, more rows or differences"
        )
    else:
        return
    warn_user(f"Bands need not cover the true response: {reason}.")

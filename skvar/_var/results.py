"""Analysis of the matrices of a vector autoregression, whoever estimated them."""

import numbers
import reprlib
from collections.abc import Callable, Hashable, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state, check_scalar

from .. import plots
from .._typing import Names, Seed
from . import (
    checks,
    conversion,
    diagnostics,
    estimation,
    process,
    scenarios,
    selection,
)
from . import terms as with_terms
from .connectedness import Connectedness, pairwise_shares
from .drawing import Drawing, Options, generator
from .identification import (
    Impact,
    additive,
    identification,
    uncorrelated,
)
from .observed import Observed
from .process import Estimate
from .tables import Tables
from .terms import Terms

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class VARCoefficients:
    """Matrices of a vector autoregression and what follows from them.

    ``y_t = intercept + sum_l matrices[l - 1] y_{t-l} + u_t`` in original units. The
    algebra is that of statsmodels; nothing assumes that the matrices come from ordinary
    least squares. Tables that are returned say in ``attrs["label"]`` which matrices
    they belong to.

    Parameters
    ----------
    matrices : array-like of shape (order, n_series, n_series)
        Lag 1 first; rows respond, columns cause.
    intercept : array-like of shape (n_series,)
        Of every series.
    sigma_u : array-like of shape (n_series, n_series)
        Covariance of the one-step errors.
    names : sequence of str, optional
        Of the series; those of ``history`` or "y0", "y1" and so on by default.
    label : str, default=""
        Which matrices these are, such as the time or the average that they stand for.
    history : DataFrame of shape (n_rows, n_series), optional
        The observed series, for forecasts, decompositions and bootstraps.
    residuals : DataFrame or array of shape (n_errors, n_series), optional
        One-step errors of the model on the history, of its last rows where they are an
        array; those of the matrices by default.
    df_model : float, optional
        Coefficients that were estimated for each series on the rows of the residuals,
        which made these too small; 0 where they were estimated on others or are known.
        ``order * n_series + 1`` by default, as in a regression with intercept.
    n_rows : int, optional
        Rows that the matrices were estimated on, which a bootstrap simulates; those of
        the history by default.
    scale : array-like of shape (n_series,), optional
        Typical size of a move of every series, for `relative_matrices`; the standard
        deviations of the history by default, else those of the errors.
    refit : callable, optional
        ``refit(table, seed)`` estimates matrices, intercept and error covariance from
        an array (n_rows, n_series), for bootstraps; ordinary least squares by default.
    alpha : float, default=0.0
        Penalty per row on standardised series with which the matrices were estimated;
        bands of a bootstrap warn of one that they cannot make up for.
    posterior : callable, optional
        ``posterior(n_draws, rng)`` draws matrices, intercepts and error covariances,
        each with one more axis in front, by a numpy Generator.
    terms : skvar.analysis.Terms, optional
        Trends, dummies and covariates beside the intercept. With them, ``refit`` and
        ``posterior`` return their coefficients, too, after the covariances.

    Raises
    ------
    ValueError
        If shapes or names do not fit, numbers are not finite, or ``sigma_u`` is not
        symmetric.

    Examples
    --------
    >>> from skvar import VARCoefficients
    >>> var = VARCoefficients(
    ...     [[[0.5, 0.2], [0.0, 0.4]]], [0, 0], [[1, 0.3], [0.3, 1]], names=["a", "b"]
    ... )
    >>> var.is_stable()
    True
    >>> var.long_run_effects().round(2)
    shock       a     b
    response
    a       2.0  0.67
    b       0.0  1.67
    """

    def __init__(
        self,
        matrices: ArrayLike,
        intercept: ArrayLike,
        sigma_u: ArrayLike,
        *,
        names: Names | None = None,
        label: str = "",
        history: pd.DataFrame | None = None,
        residuals: pd.DataFrame | np.ndarray | None = None,
        df_model: float | None = None,
        n_rows: int | None = None,
        scale: ArrayLike | None = None,
        refit: Callable[[np.ndarray, int], Estimate] | None = None,
        alpha: float = 0.0,
        posterior: Callable[[int, np.random.Generator], Estimate] | None = None,
        terms: Terms | None = None,
    ):
        self.matrices = checks.checked_matrices(matrices)
        self.order, n_series = self.matrices.shape[:2]
        self.intercept = checks.of_shape(intercept, "intercept", n_series)
        self.sigma_u = checks.checked_covariance(sigma_u, n_series)
        self.names, self.history = checks.named(names, history, n_series)
        self.label = label
        self._residuals = checks.residual_table(residuals, self.names, self.history)
        self.terms = with_terms.checked_terms(terms, n_series)
        n_free = self.order * n_series + 1
        n_free += 0 if terms is None else np.count_nonzero(terms.acting)
        self.df_model = n_free if df_model is None else df_model
        self.n_rows = n_rows
        self.scale = checks.typical_moves(scale, self.history, self.sigma_u)
        self._is_least_squares = refit is None
        self.refit = refit or self._least_squares
        self.alpha = alpha
        self.posterior = posterior

    @classmethod
    def from_statsmodels(cls, results: Any, *, label: str = "") -> "VARCoefficients":
        """Take over a model that statsmodels has fitted.

        Parameters
        ----------
        results : VARResults, SVARResults or VECMResults
            What ``fit`` of ``VAR``, ``SVAR`` or ``VECM`` returns. A VECM becomes the
            VAR in levels that it is. Of an SVAR the matrices and the covariance are
            taken; its structural matrices ``A`` and ``B`` are not.
        label : str, default=""
            Which matrices these are; the kind of model by default.

        Returns
        -------
        VARCoefficients
            With the table as its history. Bootstraps fit the same model again.

        Raises
        ------
        TypeError
            If ``results`` are of another model.
        ValueError
            If the model has no lags, or terms beside matrices and a constant: trends,
            seasons or exogenous variables.

        Examples
        --------
        >>> from skvar import VARCoefficients
        >>> from skvar.datasets import make_var
        >>> from statsmodels.tsa.api import VAR
        >>> table = make_var(200, 2, random_state=0).series
        >>> VARCoefficients.from_statsmodels(VAR(table).fit(2))
        VARCoefficients(order=2, names=['y0', 'y1'], label='VAR of statsmodels')
        """
        arguments = conversion.arguments_of(results)
        kind = type(getattr(results, "_results", results)).__name__
        label = label or f"{kind.removesuffix('Results')} of statsmodels"
        return cls(**arguments, label=label)

    def _without_history(self) -> "VARCoefficients":
        """The matrices for files, without rows and what needs them."""
        return VARCoefficients(
            self.matrices,
            self.intercept,
            self.sigma_u,
            names=self.names,
            label=self.label,
            df_model=self.df_model,
            n_rows=self.n_rows,
            scale=self.scale,
            alpha=self.alpha,
            terms=None if self.terms is None else self.terms.without_rows(),
        )

    def __repr__(self) -> str:
        names = reprlib.repr(self.names)
        what = f"order={self.order}, names={names}, label={self.label!r}"
        return f"VARCoefficients({what})"

    # the process

    @cached_property
    def roots(self) -> np.ndarray:
        """Roots of the characteristic polynomial, largest modulus first.

        As in statsmodels, all lie outside the unit circle where the VAR is stable.
        """
        return process.roots(self.matrices)

    def is_stable(self) -> bool:
        """Whether shocks die out: all roots lie outside the unit circle.

        By more than 1e-6, the precision of a network: nearer ones are unit roots.

        Returns
        -------
        bool
        """
        return bool(process.are_stable(self.roots))

    def long_run_effects(
        self,
        *,
        impact: Impact | None = None,
        order: Names | None = None,
        bands: float | None = None,
        **options: Any,
    ) -> pd.DataFrame:
        """Sum of all responses to a shock.

        Parameters
        ----------
        impact : str, array, DataFrame or identification, optional
            What the shocks are, as in `irf`.
        order : sequence of str, optional
            As in `irf`.
        bands : float, optional
            Coverage of bands, such as 0.9, in a long table; those of the draws that are
            stable.
        **options
            Of bands, as in `irf`: ``method``, ``n_draws`` and so on.

        Returns
        -------
        DataFrame of shape (n_series, n_shocks)
            Rows respond, columns are shocks; with bands, columns "response", "shock",
            "value", "lower" and "upper".

        Raises
        ------
        ValueError
            If the VAR is not stable: the sum is then infinite; or as in `irf`.
        """
        if not self.is_stable():
            raise ValueError(
                "Long-run effects are infinite: the VAR is not stable. Look at irf() "
                "over finite horizons, or fit to changes of the series."
            )

        def statistic(estimate: Estimate, impact: np.ndarray) -> np.ndarray:
            return process.long_run_effects(estimate) @ impact

        shocks = identification(impact, order)
        columns, attrs = self._drawing.bands_of_shocks(
            "value", statistic, shocks, bands, options
        )
        names = shocks.shocks(self.names)
        if bands is None:
            return self._tables.square(columns["value"], names, "shock")
        return self._tables.by_shock(columns, names, attrs=attrs)

    def relative_matrices(self) -> np.ndarray:
        """Matrices in typical moves of the series, free of units.

        Each entry times the cause's ``scale`` over the response's: 1 where a typical
        move of the cause moves the response as much as it typically moves.

        Returns
        -------
        ndarray of shape (order, n_series, n_series)
        """
        return process.relative_matrices(self.matrices, self.scale)

    def irf(
        self,
        periods: int = 10,
        *,
        impact: Impact | None = None,
        order: Names | None = None,
        cumulative: bool = False,
        bands: float | None = None,
        method: str = "auto",
        n_draws: int | None = None,
        block_length: int = 1,
        random_state: Seed = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> pd.DataFrame:
        """Impulse responses, with bands where they are asked for.

        Parameters
        ----------
        periods : int, default=10
            Horizons 0 to ``periods``.
        impact : str, array, DataFrame or identification, optional
            What the shocks are. By default, one unit in the error of one series.
            "cholesky": recursive shocks, in ``order``. "generalized": a standard
            deviation in the error of one series, and in the others what is expected
            with it. "long_run": shocks with triangular long-run effects, in ``order``.
            An array (n_series, n_series) holds known effects at once, of one shock in
            each column. Of `skvar.identification`, ``ShortRun(A, B)`` restricts effects
            at once, ``SignRestrictions(signs)`` tells shocks by directions, and
            ``Proxy(series)`` by a series outside the model.
        order : sequence of str, optional
            All series, for "cholesky" and "long_run"; as they stand by default.
        cumulative : bool, default=False
            Whether to sum the responses up to each horizon.
        bands : float, optional
            Coverage of bands, such as 0.9.
        method : {"auto", "posterior", "bootstrap"}, default="auto"
            What draws the matrices whose percentiles are bands. "posterior" is that of
            a closed form given its rows: the penalty is a prior [1]_. "bootstrap"
            simulates series from these matrices with residuals drawn anew, and
            ``refit`` estimates each; the bands are moved by twice the mean error of
            these estimates, once for the bias of the replicates and once for that of
            the estimate itself. "auto" takes the posterior where there is one and a
            penalty.
        n_draws : int, optional
            Draws, 2000 of a posterior and 200 simulated series by default.
        block_length : int, default=1
            Residuals drawn together by a bootstrap, a quarter of them at most; more
            than 1 makes the moving-block bootstrap [2]_, which keeps what is left of
            dependence between them, such as clusters of large ones. A posterior draws
            no residuals and refuses more than 1.
        random_state : int, RandomState or None, default=None
            Seed of the draws.
        n_jobs : int, optional
            Simulated series of a bootstrap estimated at a time, as in joblib.
        verbose : int, default=0
            Whether to show a progress bar of the bootstrap.

        Returns
        -------
        DataFrame
            Columns "horizon", "response", "shock" and "value", with bands "lower" and
            "upper".

        Raises
        ------
        ValueError
            If an argument is out of its range, shocks cannot be identified, there is no
            posterior to draw from, or a bootstrap is asked for without history or of an
            explosive VAR; or if ``block_length`` is given where the method is no
            bootstrap. Options are checked without ``bands`` as well.

        Warns
        -----
        UserWarning
            If bootstrapped matrices come from a notable penalty, or their bias is more
            than half a standard error on average: bands need not cover what they say.

        References
        ----------
        .. [1] Giannone, D., Lenza, M. and Primiceri, G. (2015). Prior selection for
           vector autoregressions. Review of Economics and Statistics 97, 436-451.
        .. [2] Brüggemann, R., Jentsch, C. and Trenkler, C. (2016). Inference in VARs
           with conditional heteroskedasticity of unknown form. Journal of Econometrics
           191, 69-85.
        """
        check_scalar(periods, "periods", numbers.Integral, min_val=0)
        statistic = partial(process.responses, periods=periods, cumulative=cumulative)
        shocks = identification(impact, order)
        options = {
            "method": method,
            "n_draws": n_draws,
            "block_length": block_length,
            "random_state": random_state,
            "n_jobs": n_jobs,
            "verbose": verbose,
        }
        columns, attrs = self._drawing.bands_of_shocks(
            "value", statistic, shocks, bands, options
        )
        return self._tables.by_shock(
            columns,
            shocks.shocks(self.names),
            attrs=attrs,
            horizon=range(periods + 1),
        )

    def fevd(
        self,
        periods: int = 10,
        *,
        impact: Impact | None = "cholesky",
        order: Names | None = None,
        bands: float | None = None,
        **options: Any,
    ) -> pd.DataFrame:
        """Forecast error variance decomposition: shares of shocks in the variance.

        Parameters
        ----------
        periods : int, default=10
            Horizons 1 to ``periods``.
        impact : str, array, DataFrame or identification, default="cholesky"
            What the shocks are, as in `irf`. Those of an array must be uncorrelated;
            their size does not matter.
        order : sequence of str, optional
            As in `irf`.
        bands : float, optional
            Coverage of bands, such as 0.9.
        **options
            Of bands, as in `irf`: ``method``, ``n_draws`` and so on.

        Returns
        -------
        DataFrame
            Columns "horizon", "response", "shock" and "share", with bands "lower" and
            "upper". The shares of one response at one horizon sum to 1, to less where
            fewer shocks than series are identified, and to another number where shocks
            are correlated, as generalized ones are.

        Raises
        ------
        ValueError
            If ``periods`` is less than one, ``sigma_u`` is not positive definite, or
            shocks of an array are correlated; or as in `irf`.
        """
        check_scalar(periods, "periods", numbers.Integral, min_val=1)
        shocks = uncorrelated(identification(impact, order))
        statistic = partial(process.variance_shares, periods=periods)
        columns, attrs = self._drawing.bands_of_shocks(
            "share", statistic, shocks, bands, options
        )
        for side in columns.keys() & {"lower", "upper"}:
            columns[side] = columns[side].clip(0, 1)
        return self._tables.by_shock(
            columns,
            shocks.shocks(self.names),
            attrs=attrs,
            horizon=range(1, periods + 1),
        )

    def connectedness(self, steps: int = 10) -> Connectedness:
        """Shares of forecast error variances that come from other series.

        Parameters
        ----------
        steps : int, default=10
            Of the forecast whose error variance is shared out.

        Returns
        -------
        Connectedness
            ``total``, ``from_others``, ``to_others``, ``net``, ``pairwise`` and
            ``net_pairwise``.

        Raises
        ------
        ValueError
            If ``steps`` is less than one.

        Examples
        --------
        >>> from skvar import VARCoefficients
        >>> var = VARCoefficients(
        ...     [[[0.5, 0.4], [0.0, 0.5]]], [0, 0], [[1, 0], [0, 1]], names=["a", "b"]
        ... )
        >>> var.connectedness(2).from_others.round(3).to_dict()
        {'a': 0.113, 'b': 0.0}
        """
        check_scalar(steps, "steps", numbers.Integral, min_val=1)
        shares = pairwise_shares(self._estimate, steps)
        return Connectedness(self._tables.square(shares, self.names, "shock"))

    # covariates

    def multipliers(
        self,
        periods: int = 10,
        *,
        cumulative: bool = False,
        bands: float | None = None,
        **options: Any,
    ) -> pd.DataFrame:
        """Dynamic multipliers: responses of every series to moves of covariates.

        Parameters
        ----------
        periods : int, default=10
            Horizons 0 to ``periods``.
        cumulative : bool, default=False
            Whether a covariate stays one unit higher from horizon 0 on, or is higher in
            that row alone.
        bands : float, optional
            Coverage of bands, such as 0.9. Bootstraps take the covariates as given.
        **options
            Of bands, as in `irf`: ``method``, ``n_draws`` and so on.

        Returns
        -------
        DataFrame
            Columns "horizon", "response", "covariate" and "value", with bands "lower"
            and "upper".

        Raises
        ------
        ValueError
            If there are no covariates, or as in `irf`.

        References
        ----------
        .. [1] Lütkepohl, H. (2005). New Introduction to Multiple Time Series Analysis,
           section 10.2. Springer.
        """
        check_scalar(periods, "periods", numbers.Integral, min_val=0)
        covariates = self._checked_covariates()

        def statistic(estimate: Estimate) -> np.ndarray:
            matrices, _, _, coefficients = estimate
            return with_terms.multipliers(
                matrices,
                coefficients[..., : len(covariates)],
                periods,
                cumulative=cumulative,
            )

        value = statistic(self._estimate_with_terms)
        columns, attrs = self._drawing.bands("value", value, statistic, bands, options)
        return self._tables.by_covariate(
            columns, covariates, attrs, horizon=range(periods + 1)
        )

    def long_run_multipliers(
        self, *, bands: float | None = None, **options: Any
    ) -> pd.DataFrame:
        """Where every series ends when a covariate stays one unit higher for good.

        Parameters
        ----------
        bands : float, optional
            Coverage of bands, such as 0.9; those of the draws that are stable.
        **options
            Of bands, as in `irf`: ``method``, ``n_draws`` and so on.

        Returns
        -------
        DataFrame
            Columns "response", "covariate" and "value", with bands "lower" and "upper".

        Raises
        ------
        ValueError
            If the VAR is not stable, there are no covariates, or as in `irf`.
        """
        covariates = self._checked_covariates()
        if not self.is_stable():
            raise ValueError(
                "Long-run multipliers are infinite: the VAR is not stable. Look at "
                "multipliers() over finite horizons."
            )

        def statistic(estimate: Estimate) -> np.ndarray:
            effects = process.long_run_effects(estimate[:3])
            return with_terms.long_run_multipliers(
                effects, estimate[3][..., : len(covariates)]
            )

        value = statistic(self._estimate_with_terms)
        columns, attrs = self._drawing.bands("value", value, statistic, bands, options)
        return self._tables.by_covariate(columns, covariates, attrs)

    # the history

    def forecast(
        self,
        steps: int,
        X: pd.DataFrame | np.ndarray | None = None,
        *,
        given: pd.DataFrame | None = None,
        n_draws: int | None = None,
        random_state: Seed = None,
    ) -> pd.DataFrame:
        """Forecast the rows after the history, under conditions where some are given.

        Parameters
        ----------
        steps : int
            Number of rows, at least one.
        X : DataFrame, or array of shape (steps, n_covariates), optional
            The covariates of these rows, where the VAR has some.
        given : DataFrame, optional
            A scenario: what is known or assumed of the rows ahead. Columns are some of
            the series. Rows are times of the forecast; integers that are no such times
            are positions from 1 to ``steps``. A number is the value of the series then.
            A pair ``(low, high)`` or a `pandas.Interval` is a range that holds it, in
            which None and infinity are no bound. NaN leaves it free. The forecast is
            the mean of the normal distribution of all rows under these conditions [1]_:
            exact with numbers, by simulation with ranges.
        n_draws : int, optional
            Simulated scenarios where there are ranges, 2000 by default.
        random_state : int, RandomState or None, default=None
            Seed of these.

        Returns
        -------
        DataFrame of shape (steps, n_series)
            With the time index continued.

        Raises
        ------
        TypeError
            If ``given`` is no DataFrame, or holds what is neither number nor range.
        ValueError
            If there is no history of at least ``order`` rows, X lacks covariates,
            ``given`` has unknown columns or rows, or its conditions contradict each
            other or a series that has no variance.

        Warns
        -----
        UserWarning
            If few simulated scenarios count.

        References
        ----------
        .. [1] Waggoner, D. and Zha, T. (1999). Conditional forecasts in dynamic
           multivariate models. Review of Economics and Statistics 81, 639-651.

        Examples
        --------
        >>> import pandas as pd
        >>> from skvar import VARCoefficients
        >>> history = pd.DataFrame({"demand": [1.0, 2.0], "price": [3.0, 2.0]})
        >>> matrices, sigma_u = [[[0.5, -0.2], [0.1, 0.6]]], [[1, 0.4], [0.4, 1]]
        >>> var = VARCoefficients(matrices, [1, 1], sigma_u, history=history)
        >>> var.forecast(3, given=pd.DataFrame({"price": [3.0, 3.0]}, index=[2, 3]))
             demand     price
        2  1.841333  3.000000
        3  1.327013  3.000000
        4  1.063507  2.932701
        """
        scenario = self._scenario(
            steps, X, given, {"method": "known", "n_draws": n_draws}
        )
        paths, _, weights = scenario.mixture(generator(random_state))
        mean = np.tensordot(weights, paths, 1)
        return self._tables.forecast(mean, self._observed.ahead(steps))

    def forecast_interval(
        self,
        steps: int,
        coverage: float | Sequence[float] = 0.9,
        *,
        X: pd.DataFrame | np.ndarray | None = None,
        given: pd.DataFrame | None = None,
        method: str = "auto",
        random_state: Seed = None,
        **options: Any,
    ) -> pd.DataFrame:
        """Intervals around `forecast`, for normal shocks of covariance ``sigma_u``.

        Parameters
        ----------
        steps : int
            Number of rows, at least one.
        coverage : float or sequence of float, default=0.9
            In (0, 1).
        X : DataFrame, or array of shape (steps, n_covariates), optional
            As in `forecast`; taken as known.
        given : DataFrame, optional
            A scenario, as in `forecast`. Draws of the matrices count by the density of
            what is given under each. Those of a posterior are thus draws from the
            posterior that knows the history and the scenario.
        method : {"auto", "posterior", "bootstrap", "known"}, default="auto"
            What draws matrices, and covariances of shocks, as in `irf`; "known" takes
            these as given. "auto" takes the posterior where there is one, and "known"
            where there is none.
        random_state : int, RandomState or None, default=None
            Seed of the draws.
        **options
            Of draws, as in `irf` and with known matrices as in `forecast`: ``n_draws``
            and so on.

        Returns
        -------
        DataFrame of shape (steps, 2 * n_coverages * n_series)
            Columns (series, coverage, "lower" or "upper"), as sktime's
            ``predict_interval``.

        Raises
        ------
        TypeError
            As in `forecast`.
        ValueError
            As in `forecast` and `irf`, or if ``coverage`` is out of its range.

        Warns
        -----
        UserWarning
            As in `forecast` and `irf`.
        """
        coverages = checks.checked_coverages(coverage)
        state = check_random_state(random_state)
        options = {"method": method, "random_state": state, **options}
        scenario = self._scenario(steps, X, given, options)
        mixture = scenario.mixture(generator(state))
        levels = [0.5 + sign * one / 2 for one in coverages for sign in (-1, 1)]
        ends = scenarios.quantiles_of_mixture(*mixture, levels)
        return self._tables.intervals(ends, coverages, self._observed.ahead(steps))

    def sample_paths(
        self,
        steps: int,
        n_paths: int = 100,
        *,
        X: pd.DataFrame | np.ndarray | None = None,
        given: pd.DataFrame | None = None,
        method: str = "auto",
        random_state: Seed = None,
        **options: Any,
    ) -> pd.DataFrame:
        """Draw futures, with the dependence of their series and steps.

        Parameters
        ----------
        steps : int
            Number of rows, at least one.
        n_paths : int, default=100
            Number of futures.
        X : DataFrame, or array of shape (steps, n_covariates), optional
            As in `forecast`; taken as known.
        given : DataFrame, optional
            A scenario that all paths follow, as in `forecast_interval`.
        method : {"auto", "posterior", "bootstrap", "known"}, default="auto"
            What draws matrices, as in `forecast_interval`: paths differ by these as
            well as by shocks.
        random_state : int, RandomState or None, default=None
            Seed of the draws.
        **options
            Of draws, as in `irf`: ``n_draws`` and so on.

        Returns
        -------
        DataFrame of shape (n_paths * steps, n_series)
            Rows are indexed by "path", from 0 on, and "time".

        Raises
        ------
        TypeError
            As in `forecast`.
        ValueError
            As in `forecast_interval`, or if ``n_paths`` is less than one.

        Warns
        -----
        UserWarning
            As in `forecast_interval`.
        """
        check_scalar(n_paths, "n_paths", numbers.Integral, min_val=1)
        state = check_random_state(random_state)
        options = {"method": method, "random_state": state, **options}
        scenario = self._scenario(steps, X, given, options)
        paths = scenario.paths(n_paths, generator(state))
        return self._tables.paths(paths, self._observed.ahead(steps))

    def historical_decomposition(
        self,
        *,
        impact: Impact | None = "cholesky",
        order: Names | None = None,
        random_state: Seed = None,
    ) -> pd.DataFrame:
        """Split the history into the effects of past shocks and of its start.

        Parameters
        ----------
        impact : str, array, DataFrame or identification, default="cholesky"
            What the shocks are, as in `irf`; None splits by the errors of each series.
        order : sequence of str, optional
            As in `irf`.
        random_state : int, RandomState or None, default=None
            Seed of rotations that are tried for sign restrictions.

        Returns
        -------
        DataFrame
            Columns "time", "response", "shock" and "value", for the times after the
            first ``order``. Beside the shocks there are "baseline", what had come
            without errors, and where fewer shocks than series are identified "other",
            the effect of the rest of the errors; they sum to the history.

        Raises
        ------
        ValueError
            If there is no history longer than ``order``, ``sigma_u`` is not positive
            definite, shocks are generalized ones, which do not add up, or a shock is
            called "baseline" or "other".
        """
        shocks = additive(identification(impact, order))
        names = shocks.shocks(self.names)
        checks.check_free(names, "baseline", "other", kind="shock")
        observed = self._observed
        point = shocks.point(self._estimate, observed.sample, generator(random_state))
        parts = process.decomposition(
            observed.estimate_on_rows,
            point.impact,
            observed.start,
            observed.own_errors,
        )
        names = [*names, "other", "baseline"]
        if len(names) == len(self.names) + 2:
            parts, names = np.delete(parts, -2, axis=1), [*names[:-2], "baseline"]
        return self._tables.by_shock(
            {"value": parts.swapaxes(1, 2)},
            names,
            attrs=point.report,
            time=self.history.index[self.order :],
        )

    @property
    def residuals(self) -> pd.DataFrame:
        """One-step errors of the model, or where it gave none those of the matrices."""
        return self._observed.errors

    # tests

    def test_residuals(
        self,
        n_lags: int | None = None,
        *,
        adjusted: bool = False,
        arch_lags: int | None = None,
    ) -> pd.DataFrame:
        """Test whether the residuals are white, normal and of constant variance.

        Parameters
        ----------
        n_lags : int, optional
            Autocorrelations in the Portmanteau test of whiteness; 10 more than the
            lags that were estimated on the residuals by default.
        adjusted : bool, default=False
            Whether the Portmanteau test corrects each autocorrelation for the rows that
            it lacks, which brings its size closer to the nominal one on few rows.
        arch_lags : int, optional
            Lags in the test of variances. By default the most, up to five, that leave
            twice as many rows as coefficients.

        Returns
        -------
        DataFrame
            Rows "whiteness" (Portmanteau), "normality" (Jarque-Bera on all series) and
            "arch", columns "statistic", "df" and "p_value". The first two are as in
            statsmodels; the degrees of freedom of the first count ``order`` estimated
            lags, or with ``df_model=0`` none. The last regresses the products of the
            residuals on earlier ones [1]_; it is NaN where the rows are too few for one
            lag and ``arch_lags`` is None.

        Raises
        ------
        ValueError
            If there are no residuals or too few, one of them is determined by others,
            or ``n_lags`` does not exceed the estimated lags.

        References
        ----------
        .. [1] Lütkepohl, H. (2005). New Introduction to Multiple Time Series Analysis.
           Springer. Sections 4.4 and 16.5.
        """
        errors = self.residuals.to_numpy()
        n_estimated = self.order if self.df_model else 0
        n_lags = n_estimated + 10 if n_lags is None else n_lags
        check_scalar(n_lags, "n_lags", numbers.Integral, min_val=n_estimated + 1)
        if arch_lags is not None:
            check_scalar(arch_lags, "arch_lags", numbers.Integral, min_val=1)
        tests = diagnostics.residual_tests(
            errors, n_estimated, n_lags, adjusted=adjusted, arch_lags=arch_lags
        )
        return self._tables.labelled(tests)

    def granger_causality(
        self,
        *,
        caused: Hashable | Sequence[Hashable] = None,
        causing: Hashable | Sequence[Hashable] = None,
        method: str = "auto",
        **options: Any,
    ) -> pd.DataFrame:
        """Test whether the past of one series helps to predict another.

        The hypothesis is that the matrices of all lags are zero from the cause to the
        response, in these matrices. A small p-value speaks against it.

        Parameters
        ----------
        caused : name or list of names, optional
            The response, or several that are tested together; by default each series by
            itself.
        causing : name or list of names, optional
            The cause, or several that are tested together; by default each series by
            itself.
        method : {"auto", "least squares", "posterior", "bootstrap"}, default="auto"
            Where the covariance of the matrices comes from. "least squares" is the F
            test of [1]_, which is right for no other estimate: it is refused unless the
            matrices are those of least squares with intercept on the history.
            "posterior" and "bootstrap" take the mean and the covariance of draws, as
            the bands of `irf` do, and Hotelling's F test. "auto" takes the first of
            these three that there is; for matrices that are not of least squares, of a
            table without ``refit`` or posterior, there is none.
        **options
            Of draws, as in `irf`: ``n_draws`` and so on.

        Returns
        -------
        DataFrame
            Columns "response", "cause", "statistic", "df" and "df_error" (numerator and
            denominator of the F distribution) and "p_value"; names of series that are
            tested together are joined by commas. ``attrs["method"]`` says where the
            covariance came from.

        Raises
        ------
        ValueError
            If a name is unknown, series are cause and response at a time, or the
            matrices do not allow the method.

        Notes
        -----
        Under a penalty the p-value of "posterior" is that of the prior and the rows
        together: how far zero lies outside of the posterior. Shrinkage towards zero
        makes it larger than that of least squares, so that it rejects a true hypothesis
        more seldom than it says; it is not the error rate of a test. Where a closed
        form leaves other series out altogether, there is nothing to test: ``df`` is 0
        and the p-value NaN.

        For networks the matrices are averages over windows, and the bootstrap, which
        fits the network to each simulated series, tests these. A matrix that is zero on
        average may still differ from zero in some windows.

        With unit roots, F distributions are not exact even in large samples.

        References
        ----------
        .. [1] Lütkepohl, H. (2005). New Introduction to Multiple Time Series Analysis.
           Springer. Section 3.6.

        Examples
        --------
        >>> from skvar import VARCoefficients
        >>> from skvar.datasets import make_var
        >>> from statsmodels.tsa.api import VAR
        >>> table = make_var(300, 2, density=0.5, random_state=2).series
        >>> var = VARCoefficients.from_statsmodels(VAR(table).fit(1))
        >>> var.granger_causality()[["response", "cause", "df", "p_value"]].round(3)
          response cause  df  p_value
        0       y0    y1   1    0.000
        1       y1    y0   1    0.151
        """
        pairs = checks.pairs_of_groups(self.names, caused, causing)
        source, method = self._coefficients({"method": method, **options})
        rows = [
            {
                "response": checks.joined(self.names, responses),
                "cause": checks.joined(self.names, causes),
                **source.wald(
                    diagnostics.Block(range(self.order), responses, causes)
                ).row,
            }
            for responses, causes in pairs
        ]
        return self._tables.tests(rows, method)

    def instantaneous_causality(
        self, *, causing: Hashable | Sequence[Hashable] = None
    ) -> pd.DataFrame:
        """Test whether one-step errors of series are correlated with those of others.

        The Wald test of [1]_, which takes the errors for normal and independent over
        time. It reads ``sigma_u`` and the number of residuals alone, so that it is
        right for matrices of every estimator.

        Parameters
        ----------
        causing : name or list of names, optional
            The series to test against all others; by default each by itself.

        Returns
        -------
        DataFrame
            Columns "cause", "statistic", "df" and "p_value" (of a chi-squared
            distribution).

        Raises
        ------
        ValueError
            If a name is unknown, no other series is left, or there are no residuals.

        References
        ----------
        .. [1] Lütkepohl, H. (2005). New Introduction to Multiple Time Series Analysis.
           Springer. Section 3.6.3.
        """
        groups = checks.groups_of(self.names, causing, "causing")
        if max(map(len, groups)) == len(self.names):
            raise ValueError(
                "causing names all series; leave at least one out, to test against."
            )
        process.cholesky(self.sigma_u)
        n_rows = len(self.residuals)
        rows = []
        for group in groups:
            test = diagnostics.instantaneous_wald(self.sigma_u, n_rows, group)
            row = zip(["statistic", "df", "p_value"], test, strict=True)
            rows.append({"cause": checks.joined(self.names, group), **dict(row)})
        return self._tables.labelled(pd.DataFrame(rows))

    def lag_exclusion(self, *, method: str = "auto", **options: Any) -> pd.DataFrame:
        """Test whether the matrix of each lag is zero, by equation and altogether.

        Parameters
        ----------
        method : {"auto", "least squares", "posterior", "bootstrap"}, default="auto"
            As in `granger_causality`, where the notes say what the p-values mean.
        **options
            Of draws, as in `irf`: ``n_draws`` and so on.

        Returns
        -------
        DataFrame
            Columns "lag", "response", "statistic", "df", "df_error" and "p_value", as
            in `granger_causality`; the response "all" is the whole matrix.

        Raises
        ------
        ValueError
            If a series is called "all", or the matrices do not allow the method.
        """
        checks.check_free(self.names, "all")
        source, method = self._coefficients({"method": method, **options})
        everything = range(len(self.names))
        equations = {name: [i] for i, name in enumerate(self.names)}
        rows = [
            {
                "lag": lag + 1,
                "response": name,
                **source.wald(diagnostics.Block([lag], responses, everything)).row,
            }
            for lag in range(self.order)
            for name, responses in {**equations, "all": everything}.items()
        ]
        return self._tables.tests(rows, method)

    def test_constancy(self) -> pd.DataFrame:
        """Test whether one static VAR fits all rows of the history, by equation.

        For matrices of least squares: whether others change is what the forecaster's
        ``test_dynamics`` asks.

        Returns
        -------
        DataFrame
            Columns "response", "test", "statistic", "df" and "p_value". The test
            "cusum" looks at cumulated errors [1]_ and sees shifts of the mean, but no
            change of the matrices around it. "nyblom" looks at the errors times the
            rows before, cumulated [2]_, and sees slow or sudden changes of all ``df``
            coefficients of an equation, whatever the variances of the errors.

        Raises
        ------
        ValueError
            If the matrices are not those of least squares on the history.

        References
        ----------
        .. [1] Ploberger, W. and Krämer, W. (1992). The CUSUM test with OLS residuals.
           Econometrica 60.
        .. [2] Hansen, B. (1992). Testing for parameter instability in linear models.
           Journal of Policy Modeling 14.
        """
        tests = diagnostics.constancy_tests(self._checked_regression())
        tests.insert(0, "response", [self.names[i] for i in tests.pop("series")])
        return self._tables.labelled(tests)

    def cointegration(self, *, trend: str = "c") -> pd.DataFrame:
        """Johansen's tests of the history, with the lags of these matrices.

        Parameters
        ----------
        trend : {"n", "c", "ct"}, default="c"
            No deterministic term, a constant, or a constant and a linear trend.

        Returns
        -------
        DataFrame
            As of `skvar.cointegration`.

        Raises
        ------
        ValueError
            If there is no history, or as in `skvar.cointegration`.
        """
        table = selection.cointegration(self._observed.rows(), self.order, trend=trend)
        return self._tables.labelled(table)

    # in words and numbers

    def to_frame(self) -> pd.DataFrame:
        """The matrices as a tidy table.

        Returns
        -------
        DataFrame
            Columns "lag", "response", "cause" and "value".
        """
        return self._tables.by_lag(self.matrices)

    def summary(self, max_lags: int = 4) -> str:
        """Order, estimate, stability, matrices, covariance and terms as text.

        What is not known of the estimate is left out. Rows, and a penalty that there
        is, are shown. Matrices of least squares on the history come with standard
        errors, log-likelihood and the criteria of statsmodels; those that have a
        posterior come with its standard deviations, of 500 draws.

        Parameters
        ----------
        max_lags : int, default=4
            How many matrices to print, and lags of terms.

        Returns
        -------
        str
        """
        text = self._tables.summary(
            self._estimate,
            self.roots,
            self.is_stable(),
            max_lags,
            self._facts(),
            self._spread(max_lags),
        )
        if self.terms is None:
            return text
        coefficients, columns = self.terms.coefficients, self.terms.table.columns
        return f"{text}\n\n{self._tables.terms(coefficients, columns, max_lags)}"

    # in pictures

    def plot_matrices(
        self, *, relative: bool = True, max_lags: int = 6, ax: "Axes | None" = None
    ) -> "Axes":
        """Draw the matrices as heat maps, lags side by side.

        Parameters
        ----------
        relative : bool, default=True
            Whether in typical moves of the series, as `relative_matrices`, or in their
            units.
        max_lags : int, default=6
            Later lags are left out.
        ax : Axes, optional
            Where to draw; by default on a new figure.

        Returns
        -------
        Axes
        """
        matrices = self.relative_matrices() if relative else self.matrices
        return plots.plot_matrices(
            matrices, names=self.names, title=self.label, max_lags=max_lags, ax=ax
        )

    def plot_connectedness(
        self, steps: int = 10, *, threshold: float = 0.1, ax: "Axes | None" = None
    ) -> "Axes":
        """Draw `connectedness` as a graph.

        Parameters
        ----------
        steps : int, default=10
            Of the forecast whose error variance is shared out.
        threshold : float, default=0.1
            Links below this share of the strongest are left out.
        ax : Axes, optional
            Where to draw; by default on a new figure.

        Returns
        -------
        Axes
        """
        shares = self.connectedness(steps).pairwise
        return plots.plot_connectedness(shares, threshold=threshold, ax=ax)

    def plot_irf(
        self, periods: int = 10, *, ax: np.ndarray | None = None, **options: Any
    ) -> np.ndarray:
        """Draw impulse responses, one panel for each response and shock.

        Parameters
        ----------
        periods : int, default=10
            Horizons 0 to ``periods``.
        ax : ndarray of Axes of shape (n_series, n_shocks), optional
            Where to draw; by default on a new figure.
        **options
            Of `irf`: ``impact``, ``cumulative``, ``bands`` and those of the draws.

        Returns
        -------
        ndarray of Axes of shape (n_series, n_shocks)
        """
        return plots.plot_irf(self.irf(periods, **options), ax=ax)

    def plot_fevd(
        self, periods: int = 10, *, ax: "plots.ManyAxes | None" = None, **options: Any
    ) -> np.ndarray:
        """Draw the forecast error variance decomposition, one panel for each series.

        Parameters
        ----------
        periods : int, default=10
            Horizons 1 to ``periods``.
        ax : array of n_series Axes, optional
            Where to draw; by default on a new figure.
        **options
            Of `fevd`: ``impact`` and so on.

        Returns
        -------
        ndarray of Axes of shape (n_series,)
        """
        return plots.plot_fevd(self.fevd(periods, **options), ax=ax)

    def plot_decomposition(
        self, *, ax: "plots.ManyAxes | None" = None, **options: Any
    ) -> np.ndarray:
        """Draw the historical decomposition, one panel for each series.

        Parameters
        ----------
        ax : array of n_series Axes, optional
            Where to draw; by default on a new figure.
        **options
            Of `historical_decomposition`: ``impact`` and so on.

        Returns
        -------
        ndarray of Axes of shape (n_series,)
        """
        return plots.plot_decomposition(self.historical_decomposition(**options), ax=ax)

    def plot_forecast(
        self,
        steps: int,
        X: pd.DataFrame | np.ndarray | None = None,
        *,
        coverage: float | Sequence[float] = (0.5, 0.8, 0.95),
        given: pd.DataFrame | None = None,
        random_state: Seed = None,
        ax: "plots.ManyAxes | None" = None,
        **options: Any,
    ) -> np.ndarray:
        """Draw the end of the history, `forecast` and `forecast_interval`.

        Parameters
        ----------
        steps : int
            Rows ahead.
        X : DataFrame, or array of shape (steps, n_covariates), optional
            As in `forecast`.
        coverage : float or sequence of float, default=(0.5, 0.8, 0.95)
            Of the intervals, in (0, 1).
        given : DataFrame, optional
            A scenario, as in `forecast`: its values are dots and its ranges bars. The
            forecast without it is dashed.
        random_state : int, RandomState or None, default=None
            Seed of draws.
        ax : array of n_series Axes, optional
            Where to draw; by default on a new figure.
        **options
            Of `forecast_interval`: ``method`` and so on.

        Returns
        -------
        ndarray of Axes of shape (n_series,)
        """
        interval = self.forecast_interval(
            steps, coverage, X=X, given=given, random_state=random_state, **options
        )
        path = self.forecast(steps, X, given=given, random_state=random_state)
        beside = {}
        if given is not None:
            beside["baseline"] = self.forecast(steps, X)
            times = self._observed.ahead(steps)
            asked = scenarios.Conditions.read(given, self.names, times)
            beside["conditions"] = self._tables.conditions(asked, times)
        return plots.plot_forecast(self.history, path, interval, ax=ax, **beside)

    def draws(
        self, n_draws: int = 2000, *, random_state: Seed = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw from the posterior of a closed form given its rows.

        Parameters
        ----------
        n_draws : int, default=2000
            Number of draws.
        random_state : int, RandomState or None, default=None
            Seed.

        Returns
        -------
        matrices : ndarray of shape (n_draws, order, n_series, n_series)
            In original units, lag 1 first.
        intercepts : ndarray of shape (n_draws, n_series)
        covariances : ndarray of shape (n_draws, n_series, n_series)
            Of the one-step errors.

        Raises
        ------
        ValueError
            If there is no posterior.
        """
        check_scalar(n_draws, "n_draws", numbers.Integral, min_val=1)
        drawn = self._drawing.of_posterior(n_draws, generator(random_state))
        matrices, intercepts, covariances, *_ = drawn
        return matrices, intercepts, covariances

    # what these share

    @property
    def _observed(self) -> Observed:
        return Observed(
            self.names,
            self._estimate,
            self.history,
            self._residuals,
            self.df_model,
            self.n_rows,
            self.terms,
        )

    @property
    def _drawing(self) -> Drawing:
        return Drawing(self._observed, self.refit, self.posterior, self.alpha)

    def _coefficients(
        self, options: dict
    ) -> tuple[diagnostics.Regression | diagnostics.Draws, str]:
        """Where tests of the matrices take their covariance from, and the method."""
        auto = "bootstrap" if self.posterior is None else "posterior"
        auto = auto if self._regression is None else "least squares"
        asked = Options.read("Tests", options, auto=auto, others=["least squares"])
        if asked.method == "least squares":
            return self._checked_regression(), asked.method
        if asked.method == "bootstrap" and self._is_least_squares:
            # It would refit by least squares, whatever these matrices come from.
            self._checked_regression()

        def matrices(estimate: Estimate) -> np.ndarray:
            return estimate[0]

        draws = self._drawing.replicates(self.matrices, matrices, asked)
        return diagnostics.Draws(draws), asked.method

    def _facts(self) -> dict[str, str]:
        """What is known of the estimate, in words."""
        facts = {}
        n_rows = self.n_rows or (None if self.history is None else len(self.history))
        if n_rows:
            facts["Rows"] = str(n_rows)
        if self._regression is not None:
            facts["Estimator"] = "least squares with intercept"
            found = self._regression.criteria()
            facts["Log-likelihood"] = f"{found.pop('log_likelihood'):.6g}"
            facts["Criteria"] = ", ".join(
                f"{name.upper()} {value:.6g}" for name, value in found.items()
            )
        elif self.posterior is not None:
            facts["Estimator"] = "closed form with a posterior"
        if self.alpha > 0:
            facts["Penalty"] = f"{self.alpha:.3g} per row at lag 1"
        return facts

    def _spread(self, n_lags: int) -> tuple[str, np.ndarray] | None:
        """How sure the first matrices are, and what says so."""
        if self._regression is not None:
            return "standard errors", self._regression.standard_errors()
        if self.posterior is None:
            return None
        return "posterior standard deviations", self._drawing.deviations(n_lags)

    @cached_property
    def _regression(self) -> diagnostics.Regression | None:
        """Least squares on the history, if the matrices are of these."""
        if self.history is None or len(self.history) <= self.order:
            return None
        try:
            found = diagnostics.Regression.of(self.history.to_numpy(), self.order)
        except ValueError:
            return None
        return found if found.estimates(self.matrices) else None

    def _checked_regression(self) -> diagnostics.Regression:
        if self._regression is None:
            self._observed.rows()
            raise ValueError(
                "These matrices are not those of least squares with intercept on the "
                "history, for which alone the test is right. Fit with n_layers=0 and "
                "alpha=0, or take VARCoefficients.from_statsmodels(VAR(table).fit(p))."
            )
        return self._regression

    def _scenario(
        self,
        steps: int,
        X: pd.DataFrame | np.ndarray | None,
        given: pd.DataFrame | None,
        options: dict,
    ) -> scenarios.Scenario:
        """Draws of the rows ahead and conditions on them, as of `forecast_interval`."""
        auto = "known" if self.posterior is None else "posterior"
        asked = Options.read("Forecasts", options, auto=auto, others=["known"])
        check_scalar(steps, "steps", numbers.Integral, min_val=1)
        observed = self._observed
        recent, times = observed.recent, observed.ahead(steps)
        inflow = self._inflow_ahead(times, X)

        def statistic(estimate: Estimate) -> np.ndarray:
            return scenarios.rows_ahead(estimate[:3], recent, steps, inflow(estimate))

        value = statistic(self._estimate_with_terms)
        wanted = scenarios.Conditions.read(given, self.names, times)
        conditions = wanted.independent(value, self.scale)
        draws, n_simulated = value[np.newaxis], asked.n_draws or scenarios.N_DRAWS
        if asked.method != "known":
            draws = self._drawing.replicates(value, statistic, asked)
            n_simulated = max(n_simulated, scenarios.N_DRAWS)
        return scenarios.Scenario(draws, wanted, conditions, n_simulated)

    @property
    def _estimate(self) -> Estimate:
        return self.matrices, self.intercept, self.sigma_u

    @property
    def _estimate_with_terms(self) -> Estimate:
        """The estimate, and where there are terms their coefficients."""
        if self.terms is None:
            return self._estimate
        return *self._estimate, self.terms.coefficients

    def _inflow_ahead(
        self, times: pd.Index, X: pd.DataFrame | np.ndarray | None
    ) -> Callable[[Estimate], np.ndarray | float]:
        """What terms bring to later rows, by an estimate with their coefficients."""
        if self.terms is None:
            with_terms.check_left_out(X)
            return lambda estimate: 0.0
        terms = self.terms

        def inflow(estimate: Estimate) -> np.ndarray:
            # Draws may have more lags than the estimate.
            n_lags = estimate[3].shape[-3]
            return with_terms.inflow(estimate[3], terms.ahead(times, X, n_lags))

        return inflow

    def _least_squares(self, table: np.ndarray, seed: int) -> tuple:
        """Ordinary least squares, with the terms of the history if there are any."""
        if self.terms is None:
            return estimation.least_squares(table, seed, order=self.order)
        rows = self.terms.on_rows(len(table), self.order)
        return estimation.least_squares_with_terms(
            table, seed, order=self.order, rows=rows, acting=self.terms.acting
        )

    def _checked_covariates(self) -> list:
        covariates = [] if self.terms is None else self.terms.covariates
        if not covariates:
            raise ValueError(
                "These matrices have no covariates, and so no multipliers: fit a "
                "forecaster with X, or pass terms=... to VARCoefficients."
            )
        return covariates

    @property
    def _tables(self) -> Tables:
        return Tables(self.names, self.label)

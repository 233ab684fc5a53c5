"""Analysis of the matrices of a vector autoregression, whoever estimated them."""

import numbers
from collections.abc import Callable, Sequence
from functools import cached_property, partial

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state, check_scalar

from .. import plots
from .._data.tables import continue_index, regular_step
from . import bootstrap, checks, estimation, process, scenarios
from .process import Estimate
from .tables import Tables

_N_DRAWS = {"posterior": 2000, "bootstrap": 200}


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
        One-step errors of the model on the history; those of the matrices by default.
    df_model : float, optional
        Coefficients that were estimated for each series on the rows of the residuals,
        which made these too small; 0 where they were estimated on others or are known.
        ``order * n_series + 1`` by default, as in a regression with intercept.
    n_rows : int, optional
        Rows that the matrices were estimated on, which a bootstrap simulates; those of
        the history by default.
    scale : array-like of shape (n_series,), optional
        Typical size of a move of every series, for ``influence``; the standard
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
    cause     a     b
    response
    a       2.0  0.67
    b       0.0  1.67
    """

    def __init__(
        self,
        matrices,
        intercept,
        sigma_u,
        *,
        names: Sequence[str] | None = None,
        label: str = "",
        history: pd.DataFrame | None = None,
        residuals=None,
        df_model: float | None = None,
        n_rows: int | None = None,
        scale=None,
        refit: Callable[[np.ndarray, int], Estimate] | None = None,
        alpha: float = 0.0,
        posterior: Callable[[int, np.random.Generator], Estimate] | None = None,
    ):
        self.matrices = checks.checked_matrices(matrices)
        self.order, n_series = self.matrices.shape[:2]
        self.intercept = checks.of_shape(intercept, "intercept", n_series)
        self.sigma_u = checks.checked_covariance(sigma_u, n_series)
        self.names, self.history = checks.named(names, history, n_series)
        self.label = label
        self._residuals = checks.residual_table(residuals, self.names)
        self.df_model = self.order * n_series + 1 if df_model is None else df_model
        self.n_rows = n_rows
        self.scale = checks.typical_moves(scale, self.history, self.sigma_u)
        self._is_least_squares = refit is None
        self.refit = refit or partial(estimation.least_squares, order=self.order)
        self.alpha = alpha
        self.posterior = posterior

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
        )

    def __repr__(self) -> str:
        what = f"order={self.order}, names={self.names}, label={self.label!r}"
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
        self, *, bands: float | None = None, **options
    ) -> pd.DataFrame:
        """Sum of all responses to a unit shock.

        Parameters
        ----------
        bands : float, optional
            Coverage of bands, such as 0.9, in a long table; those of the draws that are
            stable.
        **options
            Of bands, as in `irf`: ``method``, ``n_draws`` and so on.

        Returns
        -------
        DataFrame of shape (n_series, n_series)
            Rows respond, columns cause; with bands, columns "response", "cause",
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
        statistic = process.long_run_effects
        if bands is None:
            return self._tables.square(statistic(self._estimate))
        columns = self._banded("value", statistic, bands, **options)
        return self._tables.by_cause(columns, bands)

    def relative_matrices(self) -> np.ndarray:
        """Matrices in typical moves of the series, free of units.

        Each entry times the cause's ``scale`` over the response's: 1 where a typical
        move of the cause moves the response as much as it typically moves.

        Returns
        -------
        ndarray of shape (order, n_series, n_series)
        """
        return process.relative_matrices(self.matrices, self.scale)

    def influence(self) -> pd.DataFrame:
        """Strength by which each series drives each: its matrices in typical moves.

        The root of the sum over lags of squared entries of `relative_matrices`.

        Returns
        -------
        DataFrame of shape (n_series, n_series)
            Rows respond, columns cause.
        """
        return self._tables.square(process.influence(self.matrices, self.scale))

    def irf(
        self,
        periods: int = 10,
        *,
        orth: bool = False,
        cumulative: bool = False,
        bands: float | None = None,
        method: str = "auto",
        n_draws: int | None = None,
        block_length: int = 1,
        random_state=None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> pd.DataFrame:
        """Impulse responses, if asked for with bands.

        Parameters
        ----------
        periods : int, default=10
            Horizons 0 to ``periods``.
        orth : bool, default=False
            Whether shocks are orthogonal, of one standard deviation (Cholesky factor of
            ``sigma_u``, in the order of the series), or of one unit in one series.
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
            dependence between them, such as clusters of large ones.
        random_state : int, RandomState or None, default=None
            Seed of the draws.
        n_jobs : int, optional
            Simulated series estimated at a time, as in joblib.
        verbose : int, default=0
            Whether to show a progress bar of the bootstrap.

        Returns
        -------
        DataFrame
            Columns "horizon", "impulse", "response" and "value", with bands "lower" and
            "upper".

        Raises
        ------
        ValueError
            If an argument is out of its range, there is no posterior to draw from, or
            a bootstrap is asked for without history or of an explosive VAR.

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
        shape = {"periods": periods, "orth": orth, "cumulative": cumulative}
        columns = self._banded(
            "value",
            partial(process.responses, **shape),
            bands,
            method=method,
            n_draws=n_draws,
            block_length=block_length,
            random_state=random_state,
            n_jobs=n_jobs,
            verbose=verbose,
        )
        table = self._tables.by_horizon(columns, 0, bands)
        return table[["horizon", "impulse", "response", *columns]]

    def fevd(
        self, periods: int = 10, *, bands: float | None = None, **options
    ) -> pd.DataFrame:
        """Forecast error variance decomposition by orthogonal shocks.

        Parameters
        ----------
        periods : int, default=10
            Horizons 1 to ``periods``.
        bands : float, optional
            Coverage of bands, such as 0.9.
        **options
            Of bands, as in `irf`: ``method``, ``n_draws`` and so on.

        Returns
        -------
        DataFrame
            Columns "horizon", "response", "impulse" and "share", with bands "lower" and
            "upper"; the shares of one response at one horizon sum to 1.

        Raises
        ------
        ValueError
            If ``periods`` is less than one or ``sigma_u`` not positive definite, or as
            in `irf`.
        """
        check_scalar(periods, "periods", numbers.Integral, min_val=1)
        statistic = partial(process.variance_shares, periods=periods)
        columns = self._banded("share", statistic, bands, **options)
        for side in columns.keys() & {"lower", "upper"}:
            columns[side] = columns[side].clip(0, 1)
        table = self._tables.by_horizon(columns, 1, bands)
        return table[["horizon", "response", "impulse", *columns]]

    # the history

    def forecast(
        self,
        steps: int,
        *,
        given: pd.DataFrame | None = None,
        n_draws: int | None = None,
        random_state=None,
    ) -> pd.DataFrame:
        """Forecast the rows after the history, if asked for under conditions.

        Parameters
        ----------
        steps : int
            Number of rows, at least one.
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
            If there is no history of at least ``order`` rows, ``given`` has unknown
            columns or rows, or its conditions contradict each other or a series that
            has no variance.

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
        scenario = self._scenario(steps, given, "known", n_draws=n_draws)
        paths, _, weights = scenario.mixture(bootstrap.generator(random_state))
        mean = np.tensordot(weights, paths, 1)
        return self._tables.forecast(mean, self._ahead(steps))

    def forecast_interval(
        self,
        steps: int,
        coverage: float | Sequence[float] = 0.9,
        *,
        given: pd.DataFrame | None = None,
        method: str = "auto",
        random_state=None,
        **options,
    ) -> pd.DataFrame:
        """Intervals around `forecast`, for normal shocks of covariance ``sigma_u``.

        Parameters
        ----------
        steps : int
            Number of rows, at least one.
        coverage : float or sequence of float, default=0.9
            In (0, 1).
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
        scenario = self._scenario(steps, given, method, random_state=state, **options)
        mixture = scenario.mixture(bootstrap.generator(state))
        levels = [0.5 + sign * one / 2 for one in coverages for sign in (-1, 1)]
        ends = bootstrap.quantiles_of_mixture(*mixture, levels)
        return self._tables.intervals(ends, coverages, self._ahead(steps))

    def sample_paths(
        self,
        steps: int,
        n_paths: int = 100,
        *,
        given: pd.DataFrame | None = None,
        method: str = "auto",
        random_state=None,
        **options,
    ) -> pd.DataFrame:
        """Draw futures, with the dependence of their series and steps.

        Parameters
        ----------
        steps : int
            Number of rows, at least one.
        n_paths : int, default=100
            Number of futures.
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
        scenario = self._scenario(steps, given, method, random_state=state, **options)
        paths = scenario.paths(n_paths, bootstrap.generator(state))
        return self._tables.paths(paths, self._ahead(steps))

    def historical_decomposition(self, *, orth: bool = True) -> pd.DataFrame:
        """Split the history into the effects of past shocks and of its start.

        Parameters
        ----------
        orth : bool, default=True
            Whether shocks are orthogonal (Cholesky factor of ``sigma_u``, in the order
            of the series) or the errors of each series.

        Returns
        -------
        DataFrame
            Columns "time", "response", "component" and "value", for the times after the
            first ``order``. Components are the shocks, by the names of the series, and
            "baseline", what had come without shocks; they sum to the history.

        Raises
        ------
        ValueError
            If there is no history longer than ``order``, ``sigma_u`` is not positive
            definite, or a series is called "baseline".
        """
        if "baseline" in self.names:
            raise ValueError(
                'A series is called "baseline", as is a component; rename it.'
            )
        errors = self._own_errors()
        start, times = self.history[: self.order], self.history.index[self.order :]
        parts = process.decomposition(
            self._estimate, start.to_numpy(), errors, orth=orth
        )
        return self._tables.by_component(parts, times, "baseline")

    @property
    def residuals(self) -> pd.DataFrame:
        """One-step errors of the model, or where it gave none those of the matrices."""
        if self._residuals is None:
            return pd.DataFrame(
                self._own_errors(), self.history.index[self.order :], self.names
            )
        return self._residuals

    def test_residuals(self, n_lags: int | None = None) -> pd.DataFrame:
        """Test whether the residuals are white and normal.

        Parameters
        ----------
        n_lags : int, optional
            Autocorrelations in the Portmanteau test of whiteness; 10 more than the
            lags that were estimated on the residuals by default.

        Returns
        -------
        DataFrame
            Rows "whiteness" and "normality" (Jarque-Bera on all series), columns
            "statistic", "df" and "p_value", as statsmodels has them. The degrees of
            freedom of the first count ``order`` estimated lags, or with ``df_model=0``
            none.

        Raises
        ------
        ValueError
            If there are no residuals or too few, one of them is determined by others,
            or ``n_lags`` does not exceed the estimated lags.
        """
        errors = self.residuals.to_numpy()
        n_estimated = self.order if self.df_model else 0
        n_lags = n_estimated + 10 if n_lags is None else n_lags
        check_scalar(n_lags, "n_lags", numbers.Integral, min_val=n_estimated + 1)
        tests = estimation.residual_tests(errors, n_estimated, n_lags)
        return self._tables.labelled(tests)

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
        """Order, stability, matrices and error covariance as text.

        Parameters
        ----------
        max_lags : int, default=4
            How many matrices to print.

        Returns
        -------
        str
        """
        return self._tables.summary(
            self._estimate, self.roots, self.is_stable(), max_lags
        )

    # in pictures

    def plot_matrices(self, *, relative: bool = True, max_lags: int = 6, ax=None):
        """Draw the matrices as heat maps, lags side by side.

        Parameters
        ----------
        relative : bool, default=True
            Whether in typical moves of the series, as in ``influence``, or in their
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
        style = {"title": self.label, "max_lags": max_lags}
        return plots.plot_matrices(matrices, names=self.names, ax=ax, **style)

    def plot_influence(self, *, threshold: float = 0.1, ax=None):
        """Draw ``influence`` as a graph.

        Parameters
        ----------
        threshold : float, default=0.1
            Links below this share of the strongest are left out.
        ax : Axes, optional
            Where to draw; by default on a new figure.

        Returns
        -------
        Axes
        """
        return plots.plot_influence(self.influence(), threshold=threshold, ax=ax)

    def plot_irf(self, periods: int = 10, *, ax=None, **options):
        """Draw impulse responses, one panel for each pair of series.

        Parameters
        ----------
        periods : int, default=10
            Horizons 0 to ``periods``.
        ax : ndarray of Axes of shape (n_series, n_series), optional
            Where to draw; by default on a new figure.
        **options
            Of ``irf``: ``orth``, ``cumulative``, ``bands`` and those of the bootstrap.

        Returns
        -------
        ndarray of Axes of shape (n_series, n_series)
        """
        return plots.plot_irf(self.irf(periods, **options), ax=ax)

    def plot_fevd(self, periods: int = 10, *, ax=None):
        """Draw the forecast error variance decomposition, one panel for each series.

        Parameters
        ----------
        periods : int, default=10
            Horizons 1 to ``periods``.
        ax : array of n_series Axes, optional
            Where to draw; by default on a new figure.

        Returns
        -------
        ndarray of Axes of shape (n_series,)
        """
        return plots.plot_fevd(self.fevd(periods), ax=ax)

    def plot_decomposition(self, *, orth: bool = True, ax=None):
        """Draw the historical decomposition, one panel for each series.

        Parameters
        ----------
        orth : bool, default=True
            As in ``historical_decomposition``.
        ax : array of n_series Axes, optional
            Where to draw; by default on a new figure.

        Returns
        -------
        ndarray of Axes of shape (n_series,)
        """
        return plots.plot_decomposition(self.historical_decomposition(orth=orth), ax=ax)

    def plot_forecast(
        self,
        steps: int,
        *,
        coverage: float | Sequence[float] = (0.5, 0.8, 0.95),
        given: pd.DataFrame | None = None,
        random_state=None,
        ax=None,
        **options,
    ):
        """Draw the end of the history, ``forecast`` and ``forecast_interval``.

        Parameters
        ----------
        steps : int
            Rows ahead.
        coverage : float or sequence of float, default=(0.5, 0.8, 0.95)
            Of the intervals, in (0, 1).
        given : DataFrame, optional
            A scenario, as in ``forecast``: its values are dots and its ranges bars. The
            forecast without it is dashed.
        random_state : int, RandomState or None, default=None
            Seed of draws.
        ax : array of n_series Axes, optional
            Where to draw; by default on a new figure.
        **options
            Of ``forecast_interval``: ``method`` and so on.

        Returns
        -------
        ndarray of Axes of shape (n_series,)
        """
        interval = self.forecast_interval(
            steps, coverage, given=given, random_state=random_state, **options
        )
        path, beside = self.forecast(steps, given=given, random_state=random_state), {}
        if given is not None:
            beside["baseline"] = self.forecast(steps)
            times = self._ahead(steps)
            asked = scenarios.Conditions.read(given, self.names, times)
            beside["conditions"] = self._tables.conditions(asked, times)
        return plots.plot_forecast(self.history, path, interval, ax=ax, **beside)

    def draws(self, n_draws: int = 2000, *, random_state=None) -> Estimate:
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
        return self._checked_posterior()(n_draws, bootstrap.generator(random_state))

    # what these share

    def _banded(
        self, name: str, statistic, coverage: float | None, **options
    ) -> dict[str, np.ndarray]:
        """A statistic of the estimate by a name, and its bands "lower" and "upper"."""
        value = statistic(self._estimate)
        if coverage is None:
            return {name: value}
        checks.check_share("bands", coverage)
        draws = self._replicates(value, statistic, **options)
        edges = 0.5 - coverage / 2, 0.5 + coverage / 2
        lower, upper = np.quantile(draws, edges, axis=0)
        return {name: value, "lower": lower, "upper": upper}

    def _replicates(
        self,
        value: np.ndarray,
        statistic: Callable[[Estimate], np.ndarray],
        *,
        method: str = "auto",
        n_draws: int | None = None,
        block_length: int = 1,
        random_state=None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> np.ndarray:
        """Draws (n_draws, ...) of a statistic around its value, as of `irf`."""
        checks.check_method(method)
        if method == "auto":
            penalised = self.posterior is not None and self.alpha > 0
            method = "posterior" if penalised else "bootstrap"
        n_draws = _N_DRAWS[method] if n_draws is None else n_draws
        check_scalar(n_draws, "n_draws", numbers.Integral, min_val=2)
        drawing = {"n_draws": n_draws, "random_state": random_state}
        if method == "posterior":
            posterior = self._checked_posterior()
            draws = bootstrap.of_posterior(
                statistic, posterior, self.matrices.size, **drawing
            )
            return bootstrap.finite(draws)
        draws = bootstrap.bootstrap(
            statistic,
            self._estimate,
            self.refit,
            self._long_history().to_numpy(),
            self._unshrunk_errors(),
            n_rows=self.n_rows or len(self.history),
            block_length=block_length,
            n_jobs=n_jobs,
            verbose=verbose,
            **drawing,
        )
        if self.posterior is None:
            remedy = "Fit with alpha=0"
        else:
            remedy = "Take method='posterior', or fit with alpha=0"
        return bootstrap.without_bias(
            value, bootstrap.finite(draws), self.alpha, remedy
        )

    def _scenario(
        self,
        steps: int,
        given: pd.DataFrame | None,
        method: str,
        *,
        n_draws: int | None = None,
        block_length: int = 1,
        random_state=None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> scenarios.Scenario:
        """Draws of the rows ahead and conditions on them, as of `forecast_interval`."""
        check_scalar(steps, "steps", numbers.Integral, min_val=1)
        checks.check_method(method, others=["known"])
        statistic = partial(scenarios.rows_ahead, recent=self._recent(), steps=steps)
        value = statistic(self._estimate)
        asked = scenarios.Conditions.read(given, self.names, self._ahead(steps))
        conditions = asked.independent(value, self.scale)
        if method == "auto":
            method = "known" if self.posterior is None else "posterior"
        n_simulated = scenarios.N_DRAWS if n_draws is None else n_draws
        check_scalar(n_simulated, "n_draws", numbers.Integral, min_val=2)
        draws = value[np.newaxis]
        if method != "known":
            n_simulated = max(n_simulated, scenarios.N_DRAWS)
            draws = self._replicates(
                value,
                statistic,
                method=method,
                n_draws=n_draws,
                block_length=block_length,
                random_state=random_state,
                n_jobs=n_jobs,
                verbose=verbose,
            )
        return scenarios.Scenario(draws, asked, conditions, n_simulated)

    def _checked_posterior(self):
        if self.posterior is None:
            raise ValueError(
                "These matrices have no posterior: they are not those of a VAR in "
                "closed form alone. Take method='bootstrap', or fit with n_layers=0 "
                "(and static_path='var', where a forecaster has one)."
            )
        return self.posterior

    @property
    def _estimate(self) -> Estimate:
        return self.matrices, self.intercept, self.sigma_u

    @property
    def _tables(self) -> Tables:
        return Tables(self.names, self.label)

    def _long_history(self, least: int | None = None) -> pd.DataFrame:
        """The history, of more rows than the lags or of at least so many."""
        least = self.order + 1 if least is None else least
        if self.history is None:
            raise ValueError(
                "There is no history: pass history=... to VARCoefficients."
            )
        if len(self.history) < least:
            raise ValueError(
                f"The history has {len(self.history)} row(s), too few for order "
                f"{self.order}: pass at least {least}."
            )
        return self.history

    def _recent(self) -> np.ndarray:
        return self._long_history(self.order).to_numpy()[-self.order :]

    def _unshrunk_errors(self) -> np.ndarray:
        """Residuals of the size that they had without ``df_model`` coefficients."""
        errors = self.residuals.to_numpy()
        n_free = estimation.degrees_of_freedom(len(errors), self.df_model)
        return errors * np.sqrt(len(errors) / n_free)

    def _own_errors(self) -> np.ndarray:
        values = self._long_history().to_numpy()
        return estimation.one_step_errors(values, self.matrices, self.intercept)

    def _ahead(self, steps: int) -> pd.Index:
        index = self.history.index
        return continue_index(index, regular_step(index, "history"), steps)

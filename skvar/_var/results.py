"""Analysis of the matrices of a vector autoregression, whoever estimated them."""

import numbers
from collections.abc import Callable, Sequence
from functools import cached_property, partial

import numpy as np
import pandas as pd
from scipy.stats import norm
from sklearn.utils import check_scalar

from .. import plots
from .._data.tables import continue_index, regular_step
from . import bootstrap, checks, estimation, process
from . import terms as with_terms
from .process import Estimate
from .tables import Tables
from .terms import Terms

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
        terms: Terms | None = None,
    ):
        self.matrices = checks.checked_matrices(matrices)
        self.order, n_series = self.matrices.shape[:2]
        self.intercept = checks.of_shape(intercept, "intercept", n_series)
        self.sigma_u = checks.checked_covariance(sigma_u, n_series)
        self.names, self.history = checks.named(names, history, n_series)
        self.label = label
        self._residuals = checks.residual_table(residuals, self.names)
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

    # covariates

    def multipliers(
        self,
        periods: int = 10,
        *,
        cumulative: bool = False,
        bands: float | None = None,
        **options,
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

        def statistic(estimate) -> np.ndarray:
            matrices, _, _, coefficients = estimate
            return with_terms.multipliers(
                matrices,
                coefficients[..., : len(covariates)],
                periods,
                cumulative=cumulative,
            )

        columns = self._banded("value", statistic, bands, takes_terms=True, **options)
        return self._tables.by_covariate(columns, covariates, bands)

    def long_run_multipliers(
        self, *, bands: float | None = None, **options
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

        def statistic(estimate) -> np.ndarray:
            effects = process.long_run_effects(estimate[:3])
            return with_terms.long_run_multipliers(
                effects, estimate[3][..., : len(covariates)]
            )

        columns = self._banded("value", statistic, bands, takes_terms=True, **options)
        return self._tables.by_covariate_alone(columns, covariates, bands)

    # the history

    def forecast(self, steps: int, X=None) -> pd.DataFrame:
        """Forecast the rows after the history.

        Parameters
        ----------
        steps : int
            Number of rows, at least one.
        X : DataFrame, or array of shape (steps, n_covariates), optional
            The covariates of these rows, where the VAR has some.

        Returns
        -------
        DataFrame of shape (steps, n_series)
            With the time index continued.

        Raises
        ------
        ValueError
            If there is no history of at least ``order`` rows, or X lacks covariates.
        """
        check_scalar(steps, "steps", numbers.Integral, min_val=1)
        recent, times = self._recent(), self._ahead(steps)
        inflow = self._inflow_ahead(times, X)(self._estimate_with_terms)
        values = process.forecast(self._estimate, recent, steps, inflow)
        return self._tables.forecast(values, times)

    def forecast_interval(
        self,
        steps: int,
        coverage: float = 0.9,
        *,
        X=None,
        method: str = "auto",
        **options,
    ) -> pd.DataFrame:
        """Intervals around `forecast`, for normal shocks of covariance ``sigma_u``.

        Parameters
        ----------
        steps : int
            Number of rows, at least one.
        coverage : float, default=0.9
            In (0, 1).
        X : DataFrame, or array of shape (steps, n_covariates), optional
            As in `forecast`; taken as known.
        method : {"auto", "posterior", "bootstrap", "known"}, default="auto"
            What draws matrices, and covariances of shocks, as in `irf`; "known" takes
            these as given. "auto" takes the posterior where there is one, and "known"
            where there is none.
        **options
            Of draws, as in `irf`: ``n_draws`` and so on.

        Returns
        -------
        DataFrame of shape (steps, 2 * n_series)
            Columns (series, coverage, "lower" or "upper"), as sktime's
            ``predict_interval``.

        Raises
        ------
        ValueError
            As in ``forecast`` and `irf`, or if ``coverage`` is out of its range.
        """
        check_scalar(steps, "steps", numbers.Integral, min_val=1)
        checks.check_share("coverage", coverage)
        checks.check_method(method, others=["known"])
        recent, edges = self._recent(), (0.5 - coverage / 2, 0.5 + coverage / 2)
        if method == "auto":
            method = "known" if self.posterior is None else "posterior"

        times = self._ahead(steps)
        inflow = self._inflow_ahead(times, X)

        def distribution(estimate) -> np.ndarray:
            path = process.forecast(estimate[:3], recent, steps, inflow(estimate))
            return np.stack([path, process.deviations(estimate[:3], steps)], axis=-3)

        value = path, deviation = distribution(self._estimate_with_terms)
        if method == "known":
            ends = path + norm.ppf(edges)[:, np.newaxis, np.newaxis] * deviation
        else:
            draws = self._replicates(
                value, distribution, takes_terms=True, method=method, **options
            )
            ends = bootstrap.quantiles_of_mixture(*np.moveaxis(draws, 1, 0), edges)
        return self._tables.intervals(tuple(ends), coverage, times)

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
            self._estimate_on_history, start.to_numpy(), errors, orth=orth
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
        """Order, stability, matrices, error covariance and terms as text.

        Parameters
        ----------
        max_lags : int, default=4
            How many matrices to print, and lags of terms.

        Returns
        -------
        str
        """
        text = self._tables.summary(
            self._estimate, self.roots, self.is_stable(), max_lags
        )
        if self.terms is None:
            return text
        coefficients, columns = self.terms.coefficients, self.terms.table.columns
        return f"{text}\n\n{self._tables.terms(coefficients, columns, max_lags)}"

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

    def plot_forecast(self, steps: int, X=None, *, coverage: float = 0.9, ax=None):
        """Draw the end of the history, ``forecast`` and ``forecast_interval``.

        Parameters
        ----------
        steps : int
            Rows ahead.
        X : DataFrame, or array of shape (steps, n_covariates), optional
            As in ``forecast``.
        coverage : float, default=0.9
            Of the intervals, in (0, 1).
        ax : array of n_series Axes, optional
            Where to draw; by default on a new figure.

        Returns
        -------
        ndarray of Axes of shape (n_series,)
        """
        interval = self.forecast_interval(steps, coverage, X=X)
        forecast = self.forecast(steps, X)
        return plots.plot_forecast(self.history, forecast, interval, ax=ax)

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
        rng = bootstrap.generator(random_state)
        return self._checked_posterior()(n_draws, rng)[:3]

    # what these share

    def _banded(
        self,
        name: str,
        statistic,
        coverage: float | None,
        *,
        takes_terms: bool = False,
        **options,
    ) -> dict[str, np.ndarray]:
        """A statistic of the estimate by a name, and its bands "lower" and "upper".

        It may take the coefficients of terms after the estimate.
        """
        value = statistic(self._estimate_with_terms if takes_terms else self._estimate)
        if coverage is None:
            return {name: value}
        checks.check_share("bands", coverage)
        draws = self._replicates(value, statistic, takes_terms=takes_terms, **options)
        edges = 0.5 - coverage / 2, 0.5 + coverage / 2
        lower, upper = np.quantile(draws, edges, axis=0)
        return {name: value, "lower": lower, "upper": upper}

    def _replicates(
        self,
        value: np.ndarray,
        statistic: Callable[[Estimate], np.ndarray],
        *,
        takes_terms: bool = False,
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
        if self.terms is not None and not takes_terms:
            statistic = partial(_without_terms, statistic)
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
            n_rows=self._n_simulated,
            block_length=block_length,
            n_jobs=n_jobs,
            verbose=verbose,
            inflow=self._inflow_on_history,
            **drawing,
        )
        if self.posterior is None:
            remedy = "Fit with alpha=0"
        else:
            remedy = "Take method='posterior', or fit with alpha=0"
        return bootstrap.without_bias(
            value, bootstrap.finite(draws), self.alpha, remedy
        )

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
    def _estimate_with_terms(self) -> tuple:
        """The estimate, and where there are terms their coefficients."""
        if self.terms is None:
            return self._estimate
        return *self._estimate, self.terms.coefficients

    @property
    def _estimate_on_history(self) -> Estimate:
        """The estimate, with all that flows into a row of the history as intercept."""
        if self.terms is None:
            return self._estimate
        return self.matrices, self.intercept + self._inflow_on_history, self.sigma_u

    @property
    def _inflow_on_history(self) -> np.ndarray | None:
        """What terms bring to the rows (n_rows - order, n_series) after the start."""
        if self.terms is None:
            return None
        rows = self.terms.on_rows(len(self._long_history()), self.order)
        return with_terms.inflow(self.terms.coefficients, rows)

    def _inflow_ahead(self, times: pd.Index, X) -> Callable[[tuple], np.ndarray]:
        """What terms bring to later rows, by an estimate with their coefficients."""
        if self.terms is None:
            if X is not None:
                raise ValueError(
                    "X is passed, but these matrices have no covariates: leave X out."
                )
            return lambda estimate: 0.0
        rows = self.terms.ahead(times, X)
        return lambda estimate: with_terms.inflow(estimate[3], rows)

    @property
    def _n_simulated(self) -> int:
        """Rows of a bootstrap; with terms those of the history, which have theirs."""
        if self.terms is not None:
            return len(self.history)
        return self.n_rows or len(self.history)

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
        errors = estimation.one_step_errors(values, self.matrices, self.intercept)
        return errors if self.terms is None else errors - self._inflow_on_history

    def _ahead(self, steps: int) -> pd.Index:
        index = self.history.index
        return continue_index(index, regular_step(index, "history"), steps)


def _without_terms(statistic: Callable[[Estimate], np.ndarray], estimate: tuple):
    """A statistic of matrices, intercepts and covariances alone."""
    return statistic(estimate[:3])

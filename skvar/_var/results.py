"""Analysis of the matrices of a vector autoregression, whoever estimated them."""

import numbers
import warnings
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
from sklearn.utils import check_scalar

from .._data.tables import as_frame, continue_index, regular_step
from .bootstrap import bootstrap
from .drawing import VARPlots
from .estimation import degrees_of_freedom, least_squares, one_step_errors
from .process import Estimate, cholesky, responses, roots, run, var_model

# Beyond these, moved bands cover too little of simulated VARs, by irf_bands.py in
# benchmarks: standard errors of a bias, and a penalty per row.
_LARGE_BIAS, _NOTABLE_PENALTY = 0.5, 0.005


class VARCoefficients(VARPlots):
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
    df_model : int, optional
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
        bands warn of one that they cannot make up for.

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
        df_model: int | None = None,
        n_rows: int | None = None,
        scale=None,
        refit: Callable[[np.ndarray, int], Estimate] | None = None,
        alpha: float = 0.0,
    ):
        self.alpha = alpha
        self.matrices = np.array(matrices, dtype=float)
        shape = self.matrices.shape
        if len(shape) != 3 or shape[1] != shape[2] or 0 in shape:
            raise ValueError(
                f"matrices has shape {shape}; pass (order, n_series, n_series)."
            )
        self.order, n_series = shape[:2]
        if not np.isfinite(self.matrices).all():
            raise ValueError("matrices holds NaN or inf.")
        # Roots are computed once: the matrices must stay.
        self.matrices.flags.writeable = False
        self.intercept = _of_shape(intercept, "intercept", n_series)
        self.sigma_u = _of_shape(sigma_u, "sigma_u", n_series, n_series)
        largest = np.abs(self.sigma_u).max()
        if not np.allclose(self.sigma_u, self.sigma_u.T, rtol=0, atol=1e-8 * largest):
            raise ValueError("sigma_u is not symmetric; pass a covariance matrix.")
        self.names, self.history = _named(names, history, n_series)
        self.label = label
        if residuals is not None:
            residuals = as_frame(residuals, "residuals")
            if residuals.shape[1] != n_series:
                raise ValueError(
                    f"residuals has {residuals.shape[1]} columns for {n_series} series."
                )
            residuals = residuals.set_axis(self.names, axis=1)
        self._residuals = residuals
        self.df_model = self.order * n_series + 1 if df_model is None else df_model
        self.n_rows = n_rows
        if scale is None:
            scale = np.sqrt(np.diag(self.sigma_u))
            if history is not None:
                scale = self.history.std(ddof=0)
                scale = scale.where(scale > 0, 1.0)
        self.scale = _of_shape(scale, "scale", n_series)
        self.refit = refit or partial(least_squares, order=self.order)

    def __repr__(self) -> str:
        what = f"order={self.order}, names={self.names}, label={self.label!r}"
        return f"VARCoefficients({what})"

    # the process

    @cached_property
    def roots(self) -> np.ndarray:
        """Roots of the characteristic polynomial, largest modulus first.

        As in statsmodels, all lie outside the unit circle where the VAR is stable.
        """
        return roots(self.matrices)

    def is_stable(self) -> bool:
        """Whether shocks die out: all roots lie outside the unit circle.

        By more than 1e-6, the precision of a network: nearer ones are unit roots.

        Returns
        -------
        bool
        """
        return bool((np.abs(self.roots) > 1 + 1e-6).all())

    def long_run_effects(self) -> pd.DataFrame:
        """Sum of all responses to a unit shock.

        Returns
        -------
        DataFrame of shape (n_series, n_series)
            Rows respond, columns cause.

        Raises
        ------
        ValueError
            If the VAR is not stable: the sum is then infinite.
        """
        if not self.is_stable():
            raise ValueError(
                "Long-run effects are infinite: the VAR is not stable. Look at irf() "
                "over finite horizons, or fit to changes of the series."
            )
        process = var_model().VARProcess(self.matrices, self.intercept, self.sigma_u)
        return self._square(process.long_run_effects())

    def relative_matrices(self) -> np.ndarray:
        """Matrices in typical moves of the series, free of units.

        Each entry times the cause's ``scale`` over the response's: 1 where a typical
        move of the cause moves the response as much as it typically moves.

        Returns
        -------
        ndarray of shape (order, n_series, n_series)
        """
        return self.matrices * self.scale / self.scale[:, np.newaxis]

    def influence(self) -> pd.DataFrame:
        """Strength by which each series drives each: its matrices in typical moves.

        The root of the sum over lags of squared entries of `relative_matrices`.

        Returns
        -------
        DataFrame of shape (n_series, n_series)
            Rows respond, columns cause.
        """
        return self._square(np.sqrt(np.square(self.relative_matrices()).sum(axis=0)))

    def irf(
        self,
        periods: int = 10,
        *,
        orth: bool = False,
        cumulative: bool = False,
        bands: float | None = None,
        n_boot: int = 200,
        block_length: int = 1,
        random_state=None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> pd.DataFrame:
        """Impulse responses, if asked for with bootstrap bands.

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
            Coverage of percentile bands, such as 0.9: series are simulated from these
            matrices with residuals drawn anew, and ``refit`` estimates each. The bands
            are moved by twice the mean error of these estimates, once for the bias of
            the replicates and once for that of the estimate itself.
        n_boot : int, default=200
            Simulated series.
        block_length : int, default=1
            Residuals drawn together, a quarter of them at most; more than 1 makes the
            moving-block bootstrap [1]_, which keeps what is left of dependence between
            them, such as clusters of large ones.
        random_state : int, RandomState or None, default=None
            Seed of the bootstrap.
        n_jobs : int, optional
            Simulated series estimated at a time, as in joblib.
        verbose : int, default=0
            Whether to show a progress bar.

        Returns
        -------
        DataFrame
            Columns "horizon", "impulse", "response" and "value", with bands "lower" and
            "upper".

        Raises
        ------
        ValueError
            If an argument is out of its range, or bands are asked for without history
            or of an explosive VAR.

        Warns
        -----
        UserWarning
            If the matrices come from a notable penalty, or their bias is more than half
            a standard error on average: bands need not cover what they say.

        References
        ----------
        .. [1] Brüggemann, R., Jentsch, C. and Trenkler, C. (2016). Inference in VARs
           with conditional heteroskedasticity of unknown form. Journal of Econometrics
           191, 69-85.
        """
        check_scalar(periods, "periods", numbers.Integral, min_val=0)
        shape = {"periods": periods, "orth": orth, "cumulative": cumulative}
        columns = {"value": responses(self._estimate, **shape)}
        if bands is not None:
            _check_share("bands", bands)
            replicates = bootstrap(
                partial(responses, **shape),
                self._estimate,
                self.refit,
                self._long_history().to_numpy(),
                self._unshrunk_errors(),
                n_rows=self.n_rows or len(self.history),
                n_boot=n_boot,
                block_length=block_length,
                random_state=random_state,
                n_jobs=n_jobs,
                verbose=verbose,
            )
            bias = replicates.mean(axis=0) - columns["value"]
            _warn_of_bias(bias, replicates.std(axis=0), n_boot, self.alpha)
            edges = 0.5 - bands / 2, 0.5 + bands / 2
            columns["lower"], columns["upper"] = (
                np.quantile(replicates, edges, axis=0) - 2 * bias
            )
        table = self._tidy(columns, horizon=np.arange(periods + 1))
        if bands is not None:
            table.attrs["coverage"] = bands
        return table[["horizon", "impulse", "response", *columns]]

    def fevd(self, periods: int = 10) -> pd.DataFrame:
        """Forecast error variance decomposition by orthogonal shocks.

        Parameters
        ----------
        periods : int, default=10
            Horizons 1 to ``periods``.

        Returns
        -------
        DataFrame
            Columns "horizon", "response", "impulse" and "share"; the shares of one
            response at one horizon sum to 1.

        Raises
        ------
        ValueError
            If ``periods`` is less than one or ``sigma_u`` not positive definite.
        """
        check_scalar(periods, "periods", numbers.Integral, min_val=1)
        effects = responses(self._estimate, periods=periods - 1, orth=True)
        by_shock = np.square(effects).cumsum(axis=0)
        shares = by_shock / by_shock.sum(axis=2, keepdims=True)
        table = self._tidy({"share": shares}, horizon=np.arange(1, periods + 1))
        return table[["horizon", "response", "impulse", "share"]]

    # the history

    def forecast(self, steps: int) -> pd.DataFrame:
        """Forecast the rows after the history.

        Parameters
        ----------
        steps : int
            Number of rows, at least one.

        Returns
        -------
        DataFrame of shape (steps, n_series)
            With the time index continued.

        Raises
        ------
        ValueError
            If there is no history of at least ``order`` rows.
        """
        check_scalar(steps, "steps", numbers.Integral, min_val=1)
        values = var_model().forecast(
            self._recent(), self.matrices, self.intercept, steps
        )
        return self._labelled(pd.DataFrame(values, self._ahead(steps), self.names))

    def forecast_interval(self, steps: int, coverage: float = 0.9) -> pd.DataFrame:
        """Gaussian intervals around `forecast`, for shocks of covariance ``sigma_u``.

        Parameters
        ----------
        steps : int
            Number of rows, at least one.
        coverage : float, default=0.9
            In (0, 1).

        Returns
        -------
        DataFrame of shape (steps, 2 * n_series)
            Columns (series, coverage, "lower" or "upper"), as sktime's
            ``predict_interval``. The matrices are taken as known.

        Raises
        ------
        ValueError
            As in ``forecast``, or if ``coverage`` is out of its range.
        """
        check_scalar(steps, "steps", numbers.Integral, min_val=1)
        _check_share("coverage", coverage)
        _, lower, upper = var_model().forecast_interval(
            self._recent(),
            self.matrices,
            self.intercept,
            self.sigma_u,
            steps,
            alpha=1 - coverage,
        )
        sides = pd.MultiIndex.from_product([self.names, [coverage], ["lower", "upper"]])
        values = np.stack([lower, upper], axis=2).reshape(steps, -1)
        return self._labelled(pd.DataFrame(values, self._ahead(steps), sides))

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
        impact = cholesky(self.sigma_u) if orth else np.eye(len(self.names))
        shocks = np.linalg.solve(impact, errors.T).T
        n_rows, n_series = shocks.shape
        # Component k < n_series holds the effect of shock k, the last the baseline.
        inflow = np.zeros((n_rows, n_series + 1, n_series))
        inflow[:, :-1] = shocks[:, :, np.newaxis] * impact.T
        inflow[:, -1] = self.intercept
        start = np.zeros((self.order, n_series + 1, n_series))
        start[:, -1] = self.history.to_numpy()[: self.order]
        parts = run(self.matrices, start, inflow)
        index = pd.MultiIndex.from_product(
            [self.history.index[self.order :], [*self.names, "baseline"], self.names],
            names=["time", "component", "response"],
        )
        table = pd.DataFrame({"value": parts.ravel()}, index).reset_index()
        return self._labelled(table[["time", "response", "component", "value"]])

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
        errors = errors - errors.mean(axis=0)
        n_estimated = self.order if self.df_model else 0
        n_lags = n_estimated + 10 if n_lags is None else n_lags
        check_scalar(n_lags, "n_lags", numbers.Integral, min_val=n_estimated + 1)
        if len(errors) <= n_lags:
            raise ValueError(
                f"{len(errors)} residuals are too few for n_lags={n_lags}; pass a "
                "longer history or lower n_lags."
            )
        cholesky(errors.T @ errors)
        # The tests read no more than this of a result.
        result = SimpleNamespace(
            resid=errors, nobs=len(errors), neqs=errors.shape[1], k_ar=n_estimated
        )
        tests = {
            "whiteness": var_model().VARResults.test_whiteness(result, n_lags),
            "normality": var_model().test_normality(result),
        }
        rows = {k: (t.test_statistic, t.df, t.pvalue) for k, t in tests.items()}
        columns = ["statistic", "df", "p_value"]
        return self._labelled(
            pd.DataFrame.from_dict(rows, orient="index", columns=columns)
        )

    # in words and numbers

    def to_frame(self) -> pd.DataFrame:
        """The matrices as a tidy table.

        Returns
        -------
        DataFrame
            Columns "lag", "response", "cause" and "value".
        """
        index = pd.MultiIndex.from_product(
            [range(1, self.order + 1), self.names, self.names],
            names=["lag", "response", "cause"],
        )
        values = pd.DataFrame({"value": self.matrices.ravel()}, index)
        return self._labelled(values.reset_index())

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
        slowest = 1 / np.abs(self.roots[-1])
        deviations = np.sqrt(np.diag(self.sigma_u))
        correlation = self.sigma_u / np.outer(deviations, deviations)
        lines = [
            f"Vector autoregression of order {self.order}, {len(self.names)} series",
            f"Matrices: {self.label or 'no label'}",
            f"Stable: {'yes' if self.is_stable() else 'no'}, "
            f"largest eigenvalue of the companion matrix {slowest:.3f} in modulus",
            "",
            "Intercept and standard deviation of the one-step error",
            _text({"intercept": self.intercept, "error": deviations}, self.names),
        ]
        for lag, matrix in enumerate(self.matrices[:max_lags], start=1):
            lines += ["", f"Lag {lag}: rows respond, columns cause"]
            lines.append(self._square(matrix).to_string(float_format="{:.4g}".format))
        if self.order > max_lags:
            lines += ["", f"({self.order - max_lags} more lags)"]
        lines += ["", "Correlation of the one-step errors"]
        lines.append(_text(dict(zip(self.names, correlation, strict=True)), self.names))
        return "\n".join(lines)

    # what these share

    @property
    def _estimate(self) -> Estimate:
        return self.matrices, self.intercept, self.sigma_u

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
        n_free = degrees_of_freedom(len(errors), self.df_model)
        return errors * np.sqrt(len(errors) / n_free)

    def _own_errors(self) -> np.ndarray:
        values = self._long_history().to_numpy()
        return one_step_errors(values, self.matrices, self.intercept)

    def _ahead(self, steps: int) -> pd.Index:
        index = self.history.index
        return continue_index(index, regular_step(index, "history"), steps)

    def _labelled(self, table: pd.DataFrame) -> pd.DataFrame:
        table.attrs["label"] = self.label
        return table

    def _square(self, values: np.ndarray) -> pd.DataFrame:
        """A table of responses and causes."""
        table = pd.DataFrame(values, self.names, self.names)
        return self._labelled(
            table.rename_axis("response").rename_axis("cause", axis=1)
        )

    def _tidy(self, columns: dict[str, np.ndarray], horizon: np.ndarray):
        """Values (n_horizons, n_responses, n_impulses) as columns of a long table."""
        index = pd.MultiIndex.from_product(
            [horizon, self.names, self.names], names=["horizon", "response", "impulse"]
        )
        columns = {name: values.ravel() for name, values in columns.items()}
        return self._labelled(pd.DataFrame(columns, index).reset_index())


def _of_shape(values, name: str, *shape: int) -> np.ndarray:
    values = np.array(values, dtype=float)
    if values.shape != shape:
        raise ValueError(f"{name} has shape {values.shape}; pass {shape}.")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} holds NaN or inf.")
    return values


def _named(names, history, n_series: int) -> tuple[list, pd.DataFrame | None]:
    """Names of the series and the history under these, both checked."""
    if history is not None:
        history = as_frame(history, "history")
        unnamed = isinstance(history.columns, pd.RangeIndex)
        if names is None and not unnamed:
            names = history.columns
    names = [f"y{i}" for i in range(n_series)] if names is None else list(names)
    if len(names) != n_series or len(set(names)) < n_series:
        raise ValueError(f"names are {names}; pass {n_series} different ones.")
    if history is None:
        return names, None
    if history.shape[1] != n_series or not (unnamed or list(history) == names):
        raise ValueError(
            f"history has columns {list(history)}, but the series are {names}; select "
            "these, in this order."
        )
    return names, history.set_axis(names, axis=1)


def _warn_of_bias(
    bias: np.ndarray, error: np.ndarray, n_boot: int, alpha: float
) -> None:
    """Warn where bands need not cover; replicates tell biases up to their own noise."""
    estimated = error > 1e-8 * error.max()
    share = np.abs(bias[estimated] / error[estimated]).mean() if estimated.any() else 0
    if alpha > _NOTABLE_PENALTY:
        reason = (
            f"the penalty alpha={alpha:.2g} biases the matrices. For inference fit "
            "with alpha=0"
        )
    elif share > _LARGE_BIAS + 1 / np.sqrt(n_boot):
        reason = (
            "estimates on simulated series are off by "
            f"{share:.1f} of their standard errors on average, as with a unit root or "
            "few rows. Take shorter horizons, more rows or differences"
        )
    else:
        return
    message = f"Bands need not cover the true response: {reason}."
    warnings.warn(message, UserWarning, stacklevel=3)


def _check_share(name: str, value: float) -> None:
    check_scalar(value, name, numbers.Real)
    if not 0 < value < 1:
        raise ValueError(f"{name}={value} is not in the range (0, 1).")


def _text(columns: dict[str, np.ndarray], names: list) -> str:
    return pd.DataFrame(columns, names).to_string(float_format="{:.4g}".format)

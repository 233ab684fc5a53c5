"""Analysis of the matrices of a vector autoregression, whoever estimated them."""

import numbers
from collections.abc import Callable, Sequence
from functools import cached_property, partial

import numpy as np
import pandas as pd
from sklearn.utils import check_scalar

from ._tables import as_frame, continue_index, regular_step
from ._var_algebra import (
    Estimate,
    bootstrap,
    cholesky,
    least_squares,
    one_step_errors,
    responses,
    roots,
    run,
    var_model,
)
from ._var_plots import VARPlots


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
    scale : array-like of shape (n_series,), optional
        Typical size of a move of every series, for ``influence``; the standard
        deviations of the history by default, else those of the errors.
    refit : callable, optional
        ``refit(table, seed)`` estimates matrices, intercept and error covariance from
        an array (n_rows, n_series), for bootstraps; ordinary least squares by default.

    Raises
    ------
    ValueError
        If shapes do not fit or ``sigma_u`` is not symmetric.

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
        scale=None,
        refit: Callable[[np.ndarray, int], Estimate] | None = None,
    ):
        self.matrices = np.array(matrices, dtype=float)
        if self.matrices.ndim != 3 or len(set(self.matrices.shape[1:])) != 1:
            raise ValueError(
                f"matrices has shape {self.matrices.shape}; pass (order, n_series, "
                "n_series)."
            )
        self.order, n_series = self.matrices.shape[:2]
        self.intercept = _of_shape(intercept, "intercept", n_series)
        self.sigma_u = _of_shape(sigma_u, "sigma_u", n_series, n_series)
        if not np.allclose(self.sigma_u, self.sigma_u.T):
            raise ValueError("sigma_u is not symmetric; pass a covariance matrix.")
        if names is None:
            names = [f"y{i}" for i in range(n_series)]
            names = names if history is None else as_frame(history, "history").columns
        self.names = list(names)
        if len(self.names) != n_series:
            raise ValueError(f"{len(self.names)} names for {n_series} series.")
        self.label = label
        self.history = history
        if history is not None:
            self.history = as_frame(history, "history").set_axis(self.names, axis=1)
            regular_step(self.history.index, "history")
        self._residuals = residuals
        if scale is None:
            scale = np.sqrt(np.diag(self.sigma_u))
            scale = scale if history is None else self.history.std(ddof=0)
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

        Returns
        -------
        bool
        """
        return bool((np.abs(self.roots) > 1).all())

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
        return self._square(self._process.long_run_effects())

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
            Coverage of percentile bands, such as 0.9: series of the length of the
            history are simulated from these matrices with residuals drawn anew, and
            ``refit`` estimates each.
        n_boot : int, default=200
            Simulated series.
        block_length : int, default=1
            Residuals drawn together; more than 1 makes the moving-block bootstrap [1]_,
            which keeps what is left of dependence between them, such as clusters of
            large ones.
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
                self.residuals.to_numpy(),
                n_boot=n_boot,
                block_length=block_length,
                random_state=random_state,
                n_jobs=n_jobs,
                verbose=verbose,
            )
            edges = 0.5 - bands / 2, 0.5 + bands / 2
            columns["lower"], columns["upper"] = np.quantile(replicates, edges, axis=0)
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
        """
        check_scalar(periods, "periods", numbers.Integral, min_val=1)
        cholesky(self.sigma_u)
        by_shock = np.square(self._process.orth_ma_rep(periods - 1)).cumsum(axis=0)
        variances = self._process.mse(periods).diagonal(axis1=1, axis2=2)
        shares = by_shock / variances[..., np.newaxis]
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
            self._long_history().to_numpy(), self.matrices, self.intercept, steps
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
            self._long_history().to_numpy(),
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
            If there is no history longer than ``order``.
        """
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
        return pd.DataFrame(self._residuals).set_axis(self.names, axis=1)

    def test_residuals(self, n_lags: int | None = None) -> pd.DataFrame:
        """Test whether the residuals are white and normal.

        Parameters
        ----------
        n_lags : int, optional
            Autocorrelations in the Portmanteau test of whiteness; ``order + 10`` by
            default.

        Returns
        -------
        DataFrame
            Rows "whiteness" and "normality" (Jarque-Bera on all series), columns
            "statistic", "df" and "p_value". The degrees of freedom of the first count
            ``order`` estimated lags.

        Raises
        ------
        ValueError
            If there are no residuals, or ``n_lags`` does not exceed ``order``.
        """
        errors = self.residuals
        errors = errors - errors.mean()
        n_lags = self.order + 10 if n_lags is None else n_lags
        check_scalar(
            n_lags,
            "n_lags",
            numbers.Integral,
            min_val=self.order + 1,
            max_val=len(errors) - 1,
        )
        # The tests read the errors from a VAR: one of zeros, on rows that are errors.
        before = np.zeros((self.order, len(self.names)))
        results = var_model().VARResults(
            np.concatenate([before, errors]),
            np.zeros((len(errors), self.order * len(self.names))),
            np.zeros((self.order * len(self.names), len(self.names))),
            self.sigma_u,
            self.order,
            model=var_model().VAR(pd.DataFrame(errors)),
            trend="n",
            names=self.names,
        )
        tests = {
            "whiteness": results.test_whiteness(n_lags),
            "normality": results.test_normality(),
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

    @property
    def _process(self):
        return var_model().VARProcess(
            self.matrices, self.intercept, self.sigma_u, self.names
        )

    def _long_history(self) -> pd.DataFrame:
        """The history, long enough for the lags."""
        if self.history is None:
            raise ValueError(
                "There is no history: pass history=... to VARCoefficients."
            )
        if len(self.history) <= self.order:
            raise ValueError(
                f"The history has {len(self.history)} row(s), too few for order "
                f"{self.order}: pass a longer one."
            )
        return self.history

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
    return values


def _check_share(name: str, value: float) -> None:
    check_scalar(value, name, numbers.Real)
    if not 0 < value < 1:
        raise ValueError(f"{name}={value} is not in the range (0, 1).")


def _text(columns: dict[str, np.ndarray], names: list) -> str:
    return pd.DataFrame(columns, names).to_string(float_format="{:.4g}".format)

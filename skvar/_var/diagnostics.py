"""Tests of a vector autoregression: of its coefficients, its errors, its constancy."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace

import numpy as np
import pandas as pd
import scipy.stats
from scipy.linalg import solve_triangular

from .._data.units import nonzero
from .estimation import covariance, no_solution, statsmodels
from .process import cholesky, relative_matrices

# Standardised matrices that differ by no more are the same.
_SAME = 1e-6
# Directions of coefficients in which draws, as a share of their spread, do not vary.
_FIXED = 1e-8
# Of the integral of a characteristic function.
_STEP = 4.5e-4


@dataclass(frozen=True)
class Block:
    """Entries of the matrices that a hypothesis takes for zero, by their numbers."""

    lags: Sequence[int]
    responses: Sequence[int]
    causes: Sequence[int]


@dataclass(frozen=True)
class Wald:
    """A Wald statistic over its degrees of freedom, and those of F's denominator."""

    statistic: float
    df: int
    df_error: float

    @property
    def p_value(self) -> float:
        """Probability of a larger statistic, NaN where nothing is tested."""
        return scipy.stats.f.sf(self.statistic, self.df, self.df_error)

    @property
    def row(self) -> dict[str, float]:
        """Its columns of a table."""
        return {
            "statistic": self.statistic,
            "df": self.df,
            "df_error": self.df_error,
            "p_value": self.p_value,
        }


@dataclass(frozen=True, eq=False)
class Regression:
    """A VAR with intercept by least squares, on standardised series.

    Parameters
    ----------
    design : ndarray of shape (n_rows, 1 + order * n_series)
        Ones, then the rows before, newest first.
    targets : ndarray of shape (n_rows, n_series)
    scale : ndarray of shape (n_series,)
        Unit of each series.
    """

    design: np.ndarray
    targets: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, table: np.ndarray, order: int) -> "Regression":
        """Of a table (n_rows, n_series).

        Raises
        ------
        ValueError
            If the solution is not unique, or leaves no degrees of freedom.
        """
        scale = nonzero(table.std(axis=0))
        rows = (table - table.mean(axis=0)) / scale
        found = cls(lagged(rows, order), rows[order:], scale)
        if found.df_error < 1 or found.is_singular:
            raise no_solution(order, len(table))
        return found

    @property
    def df_error(self) -> int:
        """Rows less coefficients of an equation."""
        return self.design.shape[0] - self.design.shape[1]

    @property
    def is_singular(self) -> bool:
        """Whether one function of the rows before is determined by others."""
        sizes = np.abs(np.diag(self._factors[1]))
        return bool(sizes.min() <= 1e-10 * np.sqrt(len(self.design)))

    @cached_property
    def _factors(self) -> tuple[np.ndarray, np.ndarray]:
        return np.linalg.qr(self.design)

    @cached_property
    def coef(self) -> np.ndarray:
        """Coefficients (1 + order * n_series, n_series), equations in columns."""
        basis, triangle = self._factors
        return solve_triangular(triangle, basis.T @ self.targets)

    @cached_property
    def errors(self) -> np.ndarray:
        """Errors (n_rows, n_series) in units of the series."""
        return self.targets - self.design @ self.coef

    @cached_property
    def sigma_u(self) -> np.ndarray:
        """Covariance of the errors, corrected for the coefficients."""
        return covariance(self.errors, self.design.shape[1])

    @cached_property
    def inverse(self) -> np.ndarray:
        """Inverse of the products of the design: times ``sigma_u``, a covariance."""
        triangle = self._factors[1]
        inverse = solve_triangular(triangle, np.eye(len(triangle)))
        return inverse @ inverse.T

    def estimates(self, matrices: np.ndarray) -> bool:
        """Whether these matrices, in units of the series, are its own."""
        n_series = len(self.scale)
        if self.design.shape[1] != 1 + len(matrices) * n_series:
            return False
        relative = relative_matrices(matrices, self.scale)
        own = self.coef[1:].reshape(-1, n_series, n_series).swapaxes(1, 2)
        return bool(np.abs(relative - own).max() <= _SAME)

    def standard_errors(self) -> np.ndarray:
        """Of the matrices (order, n_series, n_series), in units of the series."""
        n_series = len(self.scale)
        of_inputs = np.diag(self.inverse)[1:].reshape(-1, 1, n_series)
        of_errors = np.diag(self.sigma_u)[:, np.newaxis]
        return np.sqrt(of_inputs * of_errors) * self.scale[:, np.newaxis] / self.scale

    def criteria(self) -> dict[str, float]:
        """Log-likelihood and information criteria, as statsmodels defines them."""
        n_rows, n_inputs = self.design.shape
        n_series = len(self.scale)
        products = self.errors.T @ self.errors / n_rows
        log_det = np.linalg.slogdet(products)[1] + 2 * np.log(self.scale).sum()
        likelihood = -n_rows / 2 * (n_series * (np.log(2 * np.pi) + 1) + log_det)
        return {
            "log_likelihood": likelihood,
            **information_criteria(log_det, n_rows, n_inputs * n_series),
        }

    def wald(self, block: Block) -> Wald:
        """Test that a block is zero, as in Lütkepohl (2005, section 3.6.1)."""
        n_series = len(self.scale)
        lags = np.array(block.lags, dtype=int)[:, np.newaxis]
        inputs = 1 + n_series * lags + np.array(block.causes, dtype=int)
        inputs, responses = inputs.ravel(), list(block.responses)
        coef = self.coef[np.ix_(inputs, responses)]
        weighted = np.linalg.solve(self.inverse[np.ix_(inputs, inputs)], coef)
        products = coef.T @ weighted
        of_errors = self.sigma_u[np.ix_(responses, responses)]
        statistic = np.trace(np.linalg.solve(of_errors, products)) / coef.size
        return Wald(float(statistic), coef.size, n_series * self.df_error)


@dataclass(frozen=True, eq=False)
class Draws:
    """Draws (n_draws, order, n_series, n_series) around an estimate."""

    matrices: np.ndarray

    def wald(self, block: Block) -> Wald:
        """Test that a block is zero, by the mean and the covariance of its draws.

        By Hotelling's distribution, which knows that the covariance is estimated on so
        many draws. Entries that do not vary are known, and not tested.
        """
        drawn = self.matrices[:, block.lags][:, :, block.responses][..., block.causes]
        drawn = drawn.reshape(len(drawn), -1)
        mean, deviation = drawn.mean(axis=0), drawn.std(axis=0)
        used = deviation > _FIXED * max(deviation.max(), np.abs(mean).max())
        scaled = (drawn[:, used] - mean[used]) / deviation[used]
        _, sizes, directions = np.linalg.svd(scaled, full_matrices=False)
        directions = directions[sizes > _FIXED * sizes.max(initial=0.0)]
        df, n_draws = len(directions), len(drawn)
        if n_draws <= 2 * df:
            raise ValueError(
                f"{n_draws} draws are too few to test {df} coefficients together: pass "
                f"n_draws of more than {2 * df}, or test fewer."
            )
        along = directions @ (mean[used] / deviation[used])
        squares = np.square(along / sizes[:df]) * (n_draws - 1)
        freedom = n_draws - df
        statistic = squares.sum() * freedom / (max(df, 1) * (n_draws - 1))
        return Wald(float(statistic) if df else np.nan, df, freedom)


def lagged(rows: np.ndarray, order: int) -> np.ndarray:
    """Ones, and so many rows before each that has them, newest first."""
    past = [rows[order - lag : len(rows) - lag] for lag in range(1, order + 1)]
    return np.hstack([np.ones((len(rows) - order, 1)), *past])


def information_criteria(log_det: float, n_rows: int, n_free: int) -> dict[str, float]:
    """By the log determinant of the mean product of errors (Lütkepohl 2005, 4.3)."""
    per_parameter = {
        "aic": 2.0,
        "bic": np.log(n_rows),
        "hqic": 2 * np.log(np.log(n_rows)),
    }
    return {
        name: float(log_det + weight * n_free / n_rows)
        for name, weight in per_parameter.items()
    }


def instantaneous_wald(
    sigma_u: np.ndarray, n_rows: int, group: Sequence[int]
) -> tuple[float, int, float]:
    """Statistic, degrees of freedom and p-value of no covariance with other series.

    The errors are taken for normal (Lütkepohl 2005, section 3.6.3).
    """
    others = np.delete(np.arange(len(sigma_u)), group)
    pairs = np.array([(i, j) for i in group for j in others])
    one, other = pairs.T
    values = sigma_u[one, other]
    # Covariances of the entries of a covariance of normal errors.
    spread = (
        sigma_u[np.ix_(one, one)] * sigma_u[np.ix_(other, other)]
        + sigma_u[np.ix_(one, other)] * sigma_u[np.ix_(other, one)]
    )
    statistic = n_rows * values @ np.linalg.solve(spread, values)
    return float(statistic), len(pairs), scipy.stats.chi2.sf(statistic, len(pairs))


def residual_tests(
    errors: np.ndarray,
    n_estimated: int,
    n_lags: int,
    *,
    adjusted: bool,
    arch_lags: int | None,
) -> pd.DataFrame:
    """Tests of whiteness, normality and constant variances of errors.

    Parameters
    ----------
    errors : ndarray of shape (n_errors, n_series)
    n_estimated : int
        Lags that were estimated on them.
    n_lags : int
        Autocorrelations in the Portmanteau test, more than ``n_estimated``.
    adjusted : bool
        Whether its terms count for the rows that they lack.
    arch_lags : int, optional
        Lags in the test of variances; up to five by default, and none on few errors.

    Returns
    -------
    DataFrame
        Rows "whiteness", "normality" and "arch", columns "statistic", "df" and
        "p_value".

    Raises
    ------
    ValueError
        If errors are too few, or one series of them is determined by others.
    """
    if len(errors) <= n_lags:
        raise ValueError(
            f"{len(errors)} residuals are too few for n_lags={n_lags}; pass a "
            "longer history or lower n_lags."
        )
    errors = errors - errors.mean(axis=0)
    # No test depends on units, but roots of products of errors lose digits by them.
    errors = errors / nonzero(errors.std(axis=0))
    cholesky(errors.T @ errors)
    # The tests read no more than this of a result.
    result = SimpleNamespace(
        resid=errors, nobs=len(errors), neqs=errors.shape[1], k_ar=n_estimated
    )
    var_model = statsmodels("tsa.vector_ar.var_model")
    whiteness = var_model.VARResults.test_whiteness(result, n_lags, adjusted=adjusted)
    normality = var_model.test_normality(result)
    rows = {
        "whiteness": (whiteness.test_statistic, whiteness.df, whiteness.pvalue),
        "normality": (normality.test_statistic, normality.df, normality.pvalue),
        "arch": _arch_test(errors, arch_lags),
    }
    columns = ["statistic", "df", "p_value"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def _arch_test(errors: np.ndarray, n_lags: int | None) -> tuple[float, float, float]:
    """Statistic, degrees of freedom and p-value of the test of `residual_tests`."""
    one, other = np.tril_indices(errors.shape[1])
    products = errors[:, one] * errors[:, other]
    n_errors, n_products = products.shape
    if n_lags is None:
        n_lags = min(5, (n_errors - 2) // (2 * n_products + 1))
        if n_lags < 1:
            return np.nan, 0, np.nan
    elif n_errors - n_lags <= 1 + n_products * (n_lags + 1):
        raise ValueError(
            f"{n_errors} residuals are too few for arch_lags={n_lags} of the "
            f"{n_products} products of errors; pass a longer history or lower it."
        )
    targets = products[n_lags:] - products[n_lags:].mean(axis=0)
    design = lagged(products, n_lags)
    left = targets - design @ np.linalg.lstsq(design, targets, rcond=None)[0]
    share = np.trace(np.linalg.solve(targets.T @ targets, left.T @ left))
    statistic, df = len(targets) * (n_products - share), n_lags * n_products**2
    return float(statistic), df, float(scipy.stats.chi2.sf(statistic, df))


def constancy_tests(regression: Regression) -> pd.DataFrame:
    """Tests of each equation for constant means of errors and constant coefficients.

    Returns
    -------
    DataFrame
        Columns "series", the number of the equation, "test", "statistic", "df" and
        "p_value".
    """
    cusum = statsmodels("stats.diagnostic").breaks_cusumolsresid
    design, rows = regression.design, []
    for series, errors in enumerate(regression.errors.T):
        largest, p_value, _ = cusum(errors, ddof=design.shape[1])
        rows.append((series, "cusum", largest, 1, p_value))
        scores = design * errors[:, np.newaxis]
        sums = scores.cumsum(axis=0)
        total = np.trace(np.linalg.solve(scores.T @ scores, sums.T @ sums))
        statistic, df = total / len(design), design.shape[1]
        rows.append((series, "nyblom", statistic, df, nyblom_p_value(statistic, df)))
    return pd.DataFrame(rows, columns=["series", "test", "statistic", "df", "p_value"])


def nyblom_p_value(statistic: float, df: int) -> float:
    """Probability that the mean square of so many Brownian bridges is larger.

    Its characteristic function at ``t`` is ``(z / sin z) ** (df / 2)``, with ``z`` the
    root of ``2 i t``; inverted as in Gil-Pelaez (1951).
    """
    step = _STEP * np.arange(1, 20_001)
    root = step**2
    # By its parts: the logarithm must not jump. ``t`` is the fourth power of a step.
    log_ratio = (1 - 1j) * root + np.log(-np.expm1((2j - 2) * root))
    log_ratio += 1j * np.pi / 4 - np.log(2 * np.sqrt(2) * root)
    wave = np.exp(-df / 2 * log_ratio - 1j * root**2 * statistic)
    integral = _STEP * (wave.imag / step).sum()
    return float(np.clip(0.5 + 4 / np.pi * integral, 0, 1))


def clark_west(static: np.ndarray, dynamic: np.ndarray) -> tuple[float, float]:
    """Statistic and p-value that a larger model forecasts no better than a smaller one.

    Of errors (n_rows, n_series) of the same rows, which neither has seen, in units that
    make series comparable. The squared difference of the forecasts, which the larger
    model loses by estimating what is zero, is given back [1]_; the standard error is
    that of Newey and West. One-sided, as the larger model may only be better; of equal
    forecasts the p-value is 1.

    References
    ----------
    .. [1] Clark, T. and West, K. (2007). Approximately normal tests for equal
       predictive accuracy in nested models. Journal of Econometrics 138.
    """
    seen = np.isfinite(dynamic).any(axis=1)
    static, dynamic = static[seen], dynamic[seen]
    gain = np.square(static) - np.square(dynamic) + np.square(static - dynamic)
    gain = np.nanmean(gain, axis=1)
    if not gain.any():
        return 0.0, 1.0
    n_lags = int(4 * (len(gain) / 100) ** (2 / 9))
    ols = statsmodels("regression.linear_model").OLS(gain, np.ones(len(gain)))
    fitted = ols.fit(
        cov_type="HAC", cov_kwds={"maxlags": n_lags, "use_correction": True}
    )
    [statistic] = fitted.tvalues
    return float(statistic), float(scipy.stats.norm.sf(statistic))

"""How many lags, and how many common trends, rows ask for."""

import numbers
from itertools import pairwise

import numpy as np
import pandas as pd
from sklearn.utils import check_scalar

from .._closed_form.ridge_var import choose_var_alpha, ridge_var
from .._data.tables import as_frame
from .._data.units import nonzero
from .._typing import Table
from .diagnostics import information_criteria, lagged
from .estimation import one_step_errors, statsmodels

_CRITERIA = ["aic", "bic", "hqic", "log_evidence", "error"]
# Blocks that are forecast in turn, and the share of the rows that they make up.
_BLOCKS, _SHARE = 4, 1 / 3
# Of deterministic terms, as statsmodels counts them, and what its tables know.
_TRENDS = {"n": -1, "c": 0, "ct": 1}
_MOST_SERIES = 12


def select_lags(
    table: Table, max_lags: int | None = None, *, sp: int | None = None
) -> pd.DataFrame:
    """Compare numbers of lags of a vector autoregression by criteria and errors.

    Every number of lags is judged on the same rows, those after the first ``max_lags``.

    Parameters
    ----------
    table : Series, DataFrame or array of shape (n_rows, n_series)
        Rows are consecutive time steps, without missing values.
    max_lags : int, optional
        The most lags. By default ``12 * (n_rows / 100) ** 0.25``, as in statsmodels, or
        as many as least squares can estimate.
    sp : int, optional
        Rows of a season. Each place in the season then has a mean of its own: the
        criteria are those of least squares with seasonal dummies, and the other columns
        those of the series less their seasonal means.

    Returns
    -------
    DataFrame
        One row for each number of lags, from 0. The columns are

        - "lags";
        - "aic", "bic" and "hqic": information criteria of least squares with intercept,
          as statsmodels defines them; small is good;
        - "log_evidence": logarithm of the marginal likelihood of the ridge VAR that
          ``LinearAttentionVAR(lags, n_layers=0)`` is, with the best penalty, up to a
          constant; large is good;
        - "error": mean squared error of its one-step forecasts, in variances of the
          series. The last third of the rows is forecast in four blocks, each by a ridge
          VAR of all rows before the block; small is good.

        ``attrs["best"]`` is a dict of the best number of lags by each column.

    Raises
    ------
    ValueError
        If the rows are too few for ``max_lags`` or two seasons, or series are constant
        or determined by others.

    Notes
    -----
    AIC and the error are after forecasts, and take more lags the more rows there are.
    BIC and HQIC find a true, finite number of lags in the end. The log evidence knows
    that far lags are small, so that too many lags cost it little.

    References
    ----------
    Lütkepohl, H. (2005). New Introduction to Multiple Time Series Analysis. Springer.
    Section 4.3.

    Examples
    --------
    >>> from skvar import select_lags
    >>> from skvar.datasets import make_var
    >>> table = make_var(400, 2, order=2, random_state=1).series
    >>> choice = select_lags(table, 4)
    >>> choice["lags"].tolist(), choice.attrs["best"]["bic"]
    ([0, 1, 2, 3, 4], 2)
    """
    frame = as_frame(table, "table")
    values, sp = frame.to_numpy(), _checked_season(sp, len(frame))
    max_lags = _checked_most(max_lags, len(values), values.shape[1], sp)
    scale = values.std(axis=0)
    rows = (values - values.mean(axis=0)) / nonzero(scale)
    log_dets = _log_determinants(rows, max_lags, sp) + 2 * np.log(scale).sum()
    n_rows, n_series = len(rows) - max_lags, rows.shape[1]
    found = pd.DataFrame(
        [
            {
                "lags": order,
                **information_criteria(
                    log_dets[order], n_rows, n_series * (order * n_series + sp)
                ),
                "log_evidence": _log_evidence(rows, order, max_lags, sp),
                "error": _error(rows, order, max_lags, sp),
            }
            for order in range(max_lags + 1)
        ]
    )
    found.attrs["best"] = {
        name: int((-found[name] if name == "log_evidence" else found[name]).argmin())
        for name in _CRITERIA
    }
    return found


def _checked_season(sp: int | None, n_rows: int) -> int:
    """Rows of a season, 1 without one."""
    sp = 1 if sp is None else sp
    check_scalar(sp, "sp", numbers.Integral, min_val=1)
    if sp > 1 and n_rows < 2 * sp:
        raise ValueError(
            f"sp={sp} is a season of which {n_rows} rows hold less than two; pass more "
            "rows or sp=None."
        )
    return sp


def _checked_most(max_lags: int | None, n_rows: int, n_series: int, sp: int) -> int:
    """The most lags, of which least squares leaves errors of full rank."""
    most = (n_rows - sp - n_series - 1) // (1 + n_series)
    if most < 1:
        raise ValueError(
            f"table has {n_rows} rows, too few for one lag of {n_series} series; pass "
            "more rows or fewer series."
        )
    if max_lags is None:
        return min(round(12 * (n_rows / 100) ** 0.25), most)
    check_scalar(max_lags, "max_lags", numbers.Integral, min_val=1)
    if max_lags > most:
        raise ValueError(
            f"max_lags={max_lags} is too large for {n_rows} rows of {n_series} series; "
            f"take at most {most}."
        )
    return max_lags


def _log_determinants(rows: np.ndarray, max_lags: int, sp: int) -> np.ndarray:
    """Of mean products of least squares' errors, for 0 to ``max_lags`` lags."""
    n_series = rows.shape[1]
    design = lagged(rows, max_lags)
    seasons = np.arange(len(design))[:, np.newaxis] % sp == np.arange(1, sp)
    joint = np.hstack([design[:, :1], seasons, design[:, 1:], rows[max_lags:]])
    # The last columns of the factor below those of a regression are its errors.
    factor = np.asarray(np.linalg.qr(joint, mode="r"))
    if np.abs(np.diag(factor)).min() <= 1e-10 * np.sqrt(len(joint)):
        raise ValueError(
            "Least squares has no unique solution on table, or no errors: series are "
            "constant or collinear, or a season explains them; drop some, or lower "
            "max_lags."
        )
    errors = [factor[sp + p * n_series :, -n_series:] for p in range(max_lags + 1)]
    return np.array([np.linalg.slogdet(e.T @ e / len(joint))[1] for e in errors])


def _log_evidence(rows: np.ndarray, order: int, max_lags: int, sp: int) -> float:
    """Of a ridge VAR with the best penalty, that of the rows after ``max_lags``."""
    rows = (rows - _seasonal_means(rows, len(rows), sp))[max_lags - order :]
    if order == 0:
        return float(-(len(rows) - 1) / 2 * np.log(rows.var(axis=0)).sum())
    alpha = choose_var_alpha([rows], order)
    return ridge_var([rows], order, alpha)[2].log_evidence


def _error(rows: np.ndarray, order: int, max_lags: int, sp: int) -> float:
    """Mean squared error of one-step forecasts of the last rows, block by block."""
    begin = len(rows) - max(1, round(_SHARE * (len(rows) - max_lags)))
    edges = np.linspace(begin, len(rows), _BLOCKS + 1).round().astype(int)
    errors = []
    for start, stop in pairwise(edges):
        left = rows - _seasonal_means(rows, start, sp)
        known, block = left[max_lags - order : start], left[start - order : stop]
        if order == 0:
            errors.append(block - known.mean(axis=0))
            continue
        alpha = choose_var_alpha([known], order)
        matrices, intercept, _ = ridge_var([known], order, alpha)
        errors.append(one_step_errors(block, matrices, intercept))
    return float(np.square(np.concatenate(errors)).mean())


def _seasonal_means(rows: np.ndarray, n_known: int, sp: int) -> np.ndarray:
    """Means (n_rows, n_series) of the first rows at the same place of the season."""
    means = [rows[place:n_known:sp].mean(axis=0) for place in range(sp)]
    return np.array(means)[np.arange(len(rows)) % sp]


def cointegration(table: Table, lags: int, *, trend: str = "c") -> pd.DataFrame:
    """Johansen's tests of how many combinations of series are stationary.

    Parameters
    ----------
    table : DataFrame or array of shape (n_rows, n_series)
        Levels of 2 to 12 series, without missing values.
    lags : int
        Lags of the VAR in levels, one more than those of its changes.
    trend : {"n", "c", "ct"}, default="c"
        No deterministic term, a constant, or a constant and a linear trend.

    Returns
    -------
    DataFrame
        Columns "rank", "test", "statistic", "critical_90", "critical_95" and
        "critical_99". The hypothesis of a row is that the rank, the number of
        stationary combinations, is not larger; a statistic above the critical value of
        95 % speaks against it at 5 %. The tests are "trace" and "max_eigenvalue".
        ``attrs["rank"]`` is a dict of the first rank that each test does not reject at
        5 %.

    Raises
    ------
    ValueError
        If an argument is out of its range, or the rows are too few.

    References
    ----------
    Johansen, S. (1995). Likelihood-Based Inference in Cointegrated Vector
    Autoregressive Models. Oxford University Press.

    Examples
    --------
    >>> import numpy as np
    >>> from skvar import cointegration
    >>> rng = np.random.default_rng(0)
    >>> walk = rng.normal(size=(200, 1)).cumsum(axis=0)
    >>> table = np.hstack([walk, walk + rng.normal(size=(200, 1))])
    >>> cointegration(table, lags=1).attrs["rank"]
    {'trace': 1, 'max_eigenvalue': 1}
    """
    values = as_frame(table, "table").to_numpy()
    n_rows, n_series = values.shape
    check_scalar(lags, "lags", numbers.Integral, min_val=1)
    if trend not in _TRENDS:
        raise ValueError(f"trend must be one of {list(_TRENDS)}, not {trend!r}.")
    if not 2 <= n_series <= _MOST_SERIES:
        raise ValueError(
            f"table has {n_series} series; critical values are known for 2 to "
            f"{_MOST_SERIES}: select some of them."
        )
    if n_rows - lags <= n_series * (lags + 1) + 2:
        raise ValueError(
            f"table has {n_rows} rows, too few for lags={lags} of {n_series} series; "
            "lower lags or pass more rows."
        )
    vecm = statsmodels("tsa.vector_ar.vecm")
    found = vecm.coint_johansen(values, _TRENDS[trend], lags - 1)
    tests = {
        "trace": (found.trace_stat, found.trace_stat_crit_vals),
        "max_eigenvalue": (found.max_eig_stat, found.max_eig_stat_crit_vals),
    }
    rows, ranks = [], {}
    for test, (statistics, critical) in tests.items():
        accepted = statistics < critical[:, 1]
        ranks[test] = int(accepted.argmax()) if accepted.any() else n_series
        rows += [
            (rank, test, statistics[rank], *critical[rank]) for rank in range(n_series)
        ]
    columns = ["critical_90", "critical_95", "critical_99"]
    tested = pd.DataFrame(rows, columns=["rank", "test", "statistic", *columns])
    tested.attrs["rank"] = ranks
    return tested

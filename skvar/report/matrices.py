"""The matrices of the VAR, and what they and their errors say."""

import numpy as np
import pandas as pd

from .._var.diagnostics import residual_tests
from .._var.results import VARCoefficients
from .subject import Subject
from .values import evenly, plain, text

# Times and lags of matrices that are kept, and numbers in them.
_MOST_TIMES, _MOST_LAGS, _MOST_NUMBERS = 60, 6, 100_000
# Series whose pairs a page can show.
_MOST_SERIES = 30
# Horizons of responses at least and at most, and the share that their bands hold.
_LEAST_PERIODS, _MOST_PERIODS, _BANDS = 12, 24, 0.9
# Lags of autocorrelations at most.
_MOST_CORRELATIONS = 24


def matrices(subject: Subject) -> dict:
    """The matrices after some rows; of a static VAR those that hold at all times."""
    _check_pairs(subject, "")
    if not subject.changes:
        found = pd.Series([subject.now], subject.rows.index[-1:])
    else:
        found = subject.forecaster.var_coefficients(
            subject.table, at=list(_times(subject))
        )
    first = found.iloc[0]
    shown = min(first.order, _MOST_LAGS)
    values = np.stack([var.matrices for var in found])
    return {
        "is_static": not subject.changes,
        "series": [text(name) for name in first.names],
        "times": subject.labels(found.index),
        "n_lags": first.order,
        "lags": list(range(1, shown + 1)),
        "matrices": plain(values[:, :shown]),
        "sum_of_lags": plain(values.sum(axis=1)),
        "typical_moves": plain(first.scale),
        "is_stable": subject.now.is_stable(),
    }


def _check_pairs(subject: Subject, method: str) -> None:
    """Refuse more pairs of series than a page can show."""
    n_series = subject.forecaster.n_features_in_
    if n_series > _MOST_SERIES:
        raise ValueError(
            f"The forecaster has {n_series} series. Pairs of more than {_MOST_SERIES} "
            f"are too many for a page; var_coefficients(){method} returns them all."
        )


def _times(subject: Subject) -> pd.Index:
    """Of rows after which matrices are shown, the last one with them."""
    n_unread = subject.n_earlier if subject.table is None else 0
    index = subject.rows.index[n_unread + subject.window_rows - 1 :]
    n_series = subject.forecaster.n_features_in_
    n_lags = min(subject.forecaster.lags_, _MOST_LAGS) + 1
    affordable = max(_MOST_NUMBERS // (n_lags * n_series**2), 2)
    return index[evenly(len(index), min(affordable, _MOST_TIMES))]


def responses(subject: Subject) -> dict:
    """Responses to generalized shocks, with bands where a posterior gives them."""
    _check_pairs(subject, ".irf(impact='generalized')")
    var, bands = subject.now, None
    periods = min(max(subject.steps, _LEAST_PERIODS), _MOST_PERIODS)
    options = {}
    if var.posterior is not None:
        bands, options = _BANDS, {"method": "posterior"}
        options["random_state"] = subject.random_state
    table = var.irf(periods, impact="generalized", bands=bands, **options)
    shape = periods + 1, len(var.names), -1
    # By response and shock, then by horizon.
    found = {
        name: plain(table[name].to_numpy().reshape(shape).transpose(1, 2, 0))
        for name in ("value", "lower", "upper")
        if name in table
    }
    return {
        "series": [text(name) for name in var.names],
        "label": var.label,
        "impact": "generalized",
        "periods": periods,
        "coverage": bands,
        **found,
    }


def connectedness(subject: Subject) -> dict:
    """Shares of forecast error variances that come from other series."""
    _check_pairs(subject, ".connectedness()")
    steps = max(subject.steps, _LEAST_PERIODS)
    found = subject.now.connectedness(steps)
    return {
        "series": [text(name) for name in subject.now.names],
        "label": subject.now.label,
        "steps": steps,
        "total": plain(found.total),
        "pairwise": plain(found.pairwise),
        "from_others": plain(found.from_others),
        "to_others": plain(found.to_others),
        "net": plain(found.net),
    }


def _tests(var: VARCoefficients) -> pd.DataFrame:
    """Tests of residuals on as many lags as these allow, by default 10 more than VAR's.

    With fewer residuals than lags of the VAR there is no test of whiteness.
    """
    n_estimated = var.order if var.df_model else 0
    n_lags = min(n_estimated + 10, len(var.residuals) - 1)
    if n_lags > n_estimated:
        return var.test_residuals(n_lags)
    # The other tests count no lags.
    errors, n_lags = var.residuals.to_numpy(), max(min(n_lags, 10), 1)
    tests = residual_tests(errors, 0, n_lags, adjusted=False, arch_lags=None)
    tests.loc["whiteness"] = np.nan
    return tests


def residuals(subject: Subject) -> dict:
    """Tests of the one-step errors, and their autocorrelations."""
    from statsmodels.tsa.stattools import acf

    errors = subject.now.residuals
    tests = _tests(subject.now)
    n_lags = min(_MOST_CORRELATIONS, len(errors) // 4)
    correlations = [
        acf(values, nlags=n_lags)[1:] if np.ptp(values) else np.full(n_lags, np.nan)
        for values in errors.to_numpy().T
    ]
    return {
        "series": [text(name) for name in errors.columns],
        "n_rows": len(errors),
        "tests": [
            {"test": str(name), **dict(zip(tests.columns, plain(row), strict=True))}
            for name, row in zip(tests.index, tests.to_numpy(), strict=True)
        ],
        "autocorrelations": plain(correlations),
        "bound": 1.96 / np.sqrt(len(errors)),
    }

"""Seconds of the analysis of a VAR as on a central bank's desk, and of statsmodels.

Seven series, four lags, 250 rows, bands of 1,000 draws, on one core: every item of
`VARCoefficients`, beside those that statsmodels has.

    python benchmarks/analysis.py
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import itertools
import time
import warnings

import numpy as np
import pandas as pd
from statsmodels.tsa.api import VAR
from statsmodels.tsa.vector_ar.vecm import coint_johansen

from skvar import LinearAttentionVAR, cointegration, select_lags
from skvar.datasets import make_var
from skvar.identification import Proxy, ShortRun, SignRestrictions

N_ROWS, N_SERIES, LAGS, N_DRAWS, PERIODS = 250, 7, 4, 1_000, 20


def ours(table: pd.DataFrame):
    """Names and functions of the items, of which the first must run first."""
    found = {}
    names = list(table)
    signs = pd.DataFrame(np.nan, names, ["demand", "supply", "policy"])
    signs.iloc[:2, 0], signs.iloc[[0], 1], signs.iloc[[1], 1] = 1.0, 1.0, -1.0
    signs.iloc[2, 2], signs.iloc[0, 2] = 1.0, -1.0
    bands = {"bands": 0.9, "n_draws": N_DRAWS, "random_state": 0}

    def fit():
        model = LinearAttentionVAR(LAGS, n_layers=0).fit(table)
        found["var"] = model.var_coefficients()
        noise = np.random.default_rng(0).normal(size=len(table))
        found["proxy"] = table.iloc[:, 0] + noise

    def responses(impact):
        return lambda: found["var"].irf(PERIODS, impact=impact(), **bands)

    yield "fit", fit
    yield "summary", lambda: found["var"].summary()
    yield "irf, recursive", responses(lambda: "cholesky")
    yield "irf, generalized", responses(lambda: "generalized")
    yield "irf, long run", responses(lambda: "long_run")
    lower = np.tril(np.full((N_SERIES, N_SERIES), np.nan))
    yield "irf, short run", responses(lambda: ShortRun(B=lower))
    yield "irf, signs", responses(lambda: SignRestrictions(signs))
    yield "irf, proxy", responses(lambda: Proxy(found["proxy"]))
    yield "fevd", lambda: found["var"].fevd(PERIODS, **bands)
    yield "long-run effects", lambda: found["var"].long_run_effects(**bands)
    yield "decomposition", lambda: found["var"].historical_decomposition()
    yield "connectedness", lambda: found["var"].connectedness(PERIODS)
    given = pd.DataFrame({names[0]: np.zeros(12)}, index=range(1, 13))
    draws = {"n_draws": N_DRAWS, "random_state": 0}
    yield (
        "scenario",
        lambda: found["var"].forecast_interval(12, [0.5, 0.9], given=given, **draws),
    )
    yield "paths", lambda: found["var"].sample_paths(12, N_DRAWS, **draws)
    yield "Granger causality", lambda: found["var"].granger_causality(**draws)
    yield "lag exclusion", lambda: found["var"].lag_exclusion(**draws)
    yield "residual tests", lambda: found["var"].test_residuals()
    yield "choice of lags", lambda: select_lags(table, 8)
    yield "cointegration", lambda: cointegration(table, LAGS)


def theirs(table: pd.DataFrame):
    """The same of statsmodels, where it has the item."""
    found = {}

    def fit():
        found["var"] = VAR(table).fit(LAGS, trend="c")

    yield "fit", fit
    yield "summary", lambda: str(found["var"].summary())
    yield (
        "irf, recursive",
        lambda: found["var"].irf_errband_mc(
            orth=True, repl=N_DRAWS, steps=PERIODS, rng=0
        ),
    )
    yield "fevd", lambda: found["var"].fevd(PERIODS).decomp
    yield "long-run effects", lambda: found["var"].long_run_effects()
    yield (
        "Granger causality",
        lambda: [
            found["var"].test_causality(caused, causing)
            for caused, causing in itertools.permutations(table, 2)
        ],
    )
    yield (
        "residual tests",
        lambda: (found["var"].test_whiteness(14), found["var"].test_normality()),
    )
    yield "choice of lags", lambda: VAR(table).select_order(8)
    yield "cointegration", lambda: coint_johansen(table, 0, LAGS - 1)


def seconds_of(items) -> dict[str, float]:
    """By item."""
    found = {}
    for name, run in items:
        start = time.perf_counter()
        run()
        found[name] = time.perf_counter() - start
    return found


def main() -> None:
    made = make_var(N_ROWS, n_series=N_SERIES, order=2, random_state=0)
    table = made.series.set_axis(
        pd.period_range("1960Q1", periods=N_ROWS, freq="Q"), axis=0
    )
    seconds_of(ours(table.iloc[:100]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        columns = {
            "skvar": seconds_of(ours(table)),
            "statsmodels": seconds_of(theirs(table)),
        }
    seconds = pd.DataFrame(columns)
    print(seconds.round(3).to_string(na_rep=""))
    print(f"in all: {seconds['skvar'].sum():.1f} s")


if __name__ == "__main__":
    main()

"""Coverage and width of bands of impulse responses and variance shares.

Static VARs are simulated and fitted; counted is how often the 90 % bands hold the true
response or share, over series, horizons and replications. What is known, horizon 0 of
plain responses and the zeros of orthogonal ones, is left out. "posterior" are the bands
of the default penalty, "bootstrap" those of least squares (alpha=0), and "asymptotic"
those of statsmodels. Widths are mean ratios to those of the bootstrap.

    python benchmarks/irf_bands.py
    python benchmarks/irf_bands.py --rows 120 --order 4 --lags 4
"""

import argparse
import warnings

import joblib
import numpy as np
import pandas as pd
from statsmodels.tsa.api import VAR
from statsmodels.tsa.vector_ar.var_model import VARProcess

from skvar import LinearAttentionVAR
from skvar.datasets import make_var

PERIODS = 8
# Rows, order, lags of the fit; three series.
CASES = (300, 1, 1), (300, 1, 4), (120, 4, 4), (120, 1, 4)


def bands_of(table, lags: int, seed: int, n_draws: int, block_length: int) -> dict:
    """Lower and upper ends of each kind of bands and statistic."""
    found = {}
    for kind, options in (
        ("posterior", {"method": "posterior"}),
        ("bootstrap", {"n_draws": n_draws, "block_length": block_length}),
    ):
        alpha = "auto" if kind == "posterior" else 0.0
        fitted = LinearAttentionVAR(lags, n_layers=0, alpha=alpha).fit(table)
        var = fitted.var_coefficients()
        options |= {"bands": 0.9, "random_state": seed}
        tables = {
            "plain": var.irf(PERIODS, **options),
            "orthogonal": var.irf(PERIODS, impact="cholesky", **options),
            "shares": var.fevd(PERIODS, **options),
        }
        for name, table_of in tables.items():
            found[kind, name] = table_of[["lower", "upper"]].to_numpy().T
    irf = VAR(table.to_numpy()).fit(lags, trend="c").irf(PERIODS)
    for name, orth in (("plain", False), ("orthogonal", True)):
        effects = irf.orth_irfs if orth else irf.irfs
        errors = 1.645 * irf.stderr(orth=orth)
        ends = np.stack([effects - errors, effects + errors])
        found["asymptotic", name] = ends.reshape(2, -1)
    return found


def measured(
    seed: int, rows: int, order: int, lags: int, n_series: int, n_draws: int, block: int
) -> dict:
    """Share of true values within the bands, and mean widths, by kind and statistic."""
    made = make_var(rows, n_series, order, shock_correlation=0.3, random_state=seed)
    truth = VARProcess(made.matrices[0], made.intercept, made.sigma_u)
    orthogonal = truth.orth_ma_rep(PERIODS)
    by_shock = np.square(orthogonal[:PERIODS]).cumsum(axis=0)
    true = {
        "plain": truth.ma_rep(PERIODS).ravel(),
        "orthogonal": orthogonal.ravel(),
        "shares": (by_shock / by_shock.sum(axis=2, keepdims=True)).ravel(),
    }
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ends_of = bands_of(made.series, lags, seed, n_draws, block)
    for (kind, name), (lower, upper) in ends_of.items():
        inside = (lower <= true[name]) & (true[name] <= upper)
        found[kind, name] = inside[upper > lower].mean(), (upper - lower).mean()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replications", type=int, default=40)
    parser.add_argument("--rows", type=int, default=None)
    parser.add_argument("--series", type=int, default=3)
    parser.add_argument("--order", type=int, default=1)
    parser.add_argument("--lags", type=int, default=1)
    parser.add_argument("--n-draws", type=int, default=200, help="of the bootstrap")
    parser.add_argument("--block-length", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=-1)
    args = parser.parse_args()
    cases = [(args.rows, args.order, args.lags)] if args.rows else CASES
    table = {}
    for case in cases:
        rest = args.series, args.n_draws, args.block_length
        runs = joblib.Parallel(n_jobs=args.jobs)(
            joblib.delayed(measured)(seed, *case, *rest)
            for seed in range(args.replications)
        )
        means = {key: np.mean([run[key] for run in runs], axis=0) for key in runs[0]}
        for (kind, name), (coverage, width) in means.items():
            row = "VAR({1}), {0} rows, {2} lags".format(*case), kind
            table.setdefault(row, {})[name] = f"{100 * coverage:.0f} %"
            relative = width / means["bootstrap", name][1]
            table[row][f"{name}, width"] = f"{relative:.2f}"
    print(pd.DataFrame(table).T.to_markdown())


if __name__ == "__main__":
    main()

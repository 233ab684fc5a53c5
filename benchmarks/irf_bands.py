"""Coverage of the bootstrap bands of impulse responses.

Static VARs are simulated and fitted; counted is how often the 90 % bands hold the true
response, over series, horizons and replications. What is known, horizon 0 of plain
responses and the zeros of orthogonal ones, is left out.

    python benchmarks/irf_bands.py
    python benchmarks/irf_bands.py --rows 120 --order 4
"""

import argparse

import joblib
import numpy as np
from statsmodels.tsa.vector_ar.var_model import VARProcess

from skvar import LinearAttentionVAR
from skvar.datasets import make_var

PERIODS = 8


def covered(
    seed: int, n_rows: int, n_series: int, order: int, alpha, n_boot: int, **options
):
    """Whether each band holds the true plain and orthogonal response."""
    made = make_var(n_rows, n_series, order, shock_correlation=0.3, random_state=seed)
    truth = VARProcess(made.matrices[0], made.intercept, made.sigma_u)
    forecaster = LinearAttentionVAR(order, n_layers=0, alpha=alpha).fit(made.series)
    var = forecaster.var_coefficients()
    hits = []
    for orth in (False, True):
        bands = var.irf(
            PERIODS, orth=orth, bands=0.9, n_boot=n_boot, random_state=seed, **options
        )
        responses = truth.orth_ma_rep(PERIODS) if orth else truth.ma_rep(PERIODS)
        inside = (bands["lower"] <= responses.ravel()) & (
            responses.ravel() <= bands["upper"]
        )
        unknown = bands["upper"] > bands["lower"]
        hits.append(inside[unknown].mean())
    return hits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replications", type=int, default=200)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--series", type=int, default=3)
    parser.add_argument("--order", type=int, default=1)
    parser.add_argument("--alpha", default="0", help="a number or 'auto'")
    parser.add_argument("--n-boot", type=int, default=200)
    parser.add_argument("--block-length", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=-1)
    args = parser.parse_args()
    hits = joblib.Parallel(n_jobs=args.jobs)(
        joblib.delayed(covered)(
            seed,
            args.rows,
            args.series,
            args.order,
            args.alpha if args.alpha == "auto" else float(args.alpha),
            args.n_boot,
            block_length=args.block_length,
        )
        for seed in range(args.replications)
    )
    plain, orth = np.mean(hits, axis=0)
    print(
        f"{args.replications} VAR({args.order}) of {args.series} series and "
        f"{args.rows} rows, alpha {args.alpha}, block length {args.block_length}: "
        f"90 % bands cover {plain:.1%} of plain and {orth:.1%} of orthogonal responses"
    )


if __name__ == "__main__":
    main()

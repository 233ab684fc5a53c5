"""Memory that a fit adds, as a multiple of its data.

Windows are gathered from the table batch by batch; a table of all windows would be
about ``lags`` times the data.

    python benchmarks/memory.py --rows 1000000 --lags 1024
"""

import argparse
import resource

import numpy as np

from skvar import LinearAttentionVAR, SAMoVARForecaster

N_SERIES = 7


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--lags", type=int, default=1024)
    parser.add_argument("--estimator", choices=["samovar", "linear"], default="samovar")
    args = parser.parse_args()
    small = {
        "lags": args.lags,
        "n_layers": 1,
        "n_heads": 1,
        "d_model": 8,
        "max_epochs": 1,
        "batch_size": 256,
        "random_state": 0,
    }
    if args.estimator == "samovar":
        forecaster = SAMoVARForecaster(**small, horizon=args.lags // 2)
    else:
        forecaster = LinearAttentionVAR(**small)
    rng = np.random.default_rng(0)
    # A fit on few rows pays for libraries, one batch and the closed form.
    forecaster.clone().fit(rng.normal(size=(10 * args.lags, N_SERIES)))
    base = peak_bytes()
    data = rng.normal(size=(args.rows, N_SERIES))
    forecaster.fit(data)
    added = (peak_bytes() - base - data.nbytes) / data.nbytes
    print(
        f"{args.estimator}, {args.rows} x {N_SERIES} rows, lags {args.lags}: "
        f"{added:.2f} x the data"
    )


if __name__ == "__main__":
    main()

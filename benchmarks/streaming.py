"""Time and memory of a push after few and after many rows.

    python benchmarks/streaming.py

The times are medians over 500 pushes; memory is what Python and NumPy hold after the
pushes, over what they held before the first.
"""

import argparse
import time
import tracemalloc

import numpy as np

from skvar import (
    LinearAttentionVAR,
    LinearAttentionVARRegressor,
    SAMoVARForecaster,
    SAMoVARRegressor,
)

N_SERIES = 5
SMALL = {"lags": 16, "n_layers": 1, "d_model": 16, "max_epochs": 1, "random_state": 0}
ESTIMATORS = [
    LinearAttentionVAR(**SMALL),
    SAMoVARForecaster(**SMALL, horizon=4),
    LinearAttentionVARRegressor(**SMALL),
    SAMoVARRegressor(**SMALL, token_length=4),
]


def median_push(stream, rows) -> float:
    times = []
    for row in rows:
        start = time.perf_counter()
        stream.push(row)
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--few", type=int, default=1_000)
    parser.add_argument("--many", type=int, default=100_000)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    table = rng.normal(size=(400, N_SERIES))
    print(
        f"{'estimator':<28} {'ms few':>8} {'ms many':>8} {'ratio':>6} {'KiB more':>9}"
    )
    for estimator in ESTIMATORS:
        stream = estimator.fit(table).stream()
        for row in rng.normal(size=(args.few, N_SERIES)):
            stream.push(row)
        few = median_push(stream, rng.normal(size=(500, N_SERIES)))
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(500):
            stream.push(rng.normal(size=N_SERIES))
        more = (tracemalloc.get_traced_memory()[0] - before) / 1024
        tracemalloc.stop()
        for _ in range(args.many - args.few):
            stream.push(rng.normal(size=N_SERIES))
        many = median_push(stream, rng.normal(size=(500, N_SERIES)))
        print(
            f"{type(estimator).__name__:<28} {few * 1e3:>8.3f} {many * 1e3:>8.3f} "
            f"{many / few:>6.2f} {more:>9.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()

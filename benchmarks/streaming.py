"""Time and memory of a push after few and after many rows.

    python benchmarks/streaming.py

The times are medians over pushes of a short and a long stream in turns; memory is what
Python and NumPy hold more after the second half of the pushes than before it.
"""

import argparse
import time
import tracemalloc

import numpy as np

from skvar import (
    AarenForecaster,
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
    AarenForecaster(**SMALL, horizon=4, early_stopping=False),
    LinearAttentionVARRegressor(**SMALL),
    SAMoVARRegressor(**SMALL, token_length=4),
]


def filled(estimator, n_rows: int):
    """A stream after ``n_rows`` pushes, and the KiB that it grew in the second half."""
    stream, rng = estimator.stream(), np.random.default_rng(1)
    for pushed in range(n_rows):
        if pushed == n_rows // 2:
            tracemalloc.start()
            before = tracemalloc.get_traced_memory()[0]
        stream.push(rng.normal(size=N_SERIES))
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return stream, grown / 1024


def median_times(streams, n_pushes: int = 1000) -> list[float]:
    """Median time of a push of each stream, taken in turns."""
    rng, times = np.random.default_rng(2), [[] for _ in streams]
    for row in rng.normal(size=(n_pushes, N_SERIES)):
        for stream, of_stream in zip(streams, times, strict=True):
            start = time.perf_counter()
            stream.push(row)
            of_stream.append(time.perf_counter() - start)
    return [float(np.median(of_stream)) for of_stream in times]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--few", type=int, default=1_000)
    parser.add_argument("--many", type=int, default=100_000)
    args = parser.parse_args()
    table = np.random.default_rng(0).normal(size=(400, N_SERIES))
    print(
        f"{'estimator':<28} {'ms few':>8} {'ms many':>8} {'ratio':>6} {'KiB grown':>10}"
    )
    for estimator in ESTIMATORS:
        estimator.fit(table)
        few, _ = filled(estimator, args.few)
        many, grown = filled(estimator, args.many)
        short, long = median_times([few, many])
        print(
            f"{type(estimator).__name__:<28} {short * 1e3:>8.3f} {long * 1e3:>8.3f} "
            f"{long / short:>6.2f} {grown:>10.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()

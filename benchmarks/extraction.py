"""Time and memory of extracting VAR matrices.

Time against a loop of autograd Jacobians; memory that ``coef_`` of a wide table adds to
a process that holds the fitted forecaster.

    python benchmarks/extraction.py
    python benchmarks/extraction.py --only memory
"""

import argparse
import multiprocessing
import pickle
import resource
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from memory import peak_bytes

from skvar import LinearAttentionVAR, SAMoVARForecaster
from skvar.datasets import fetch_ett

FIT = {"max_epochs": 1, "early_stopping": False, "random_state": 0}


def jacobian_seconds(forecaster, table: pd.DataFrame, n_windows: int) -> float:
    """Seconds per window of one Jacobian of the first step after another."""
    values = (table.to_numpy() - forecaster.scaler_.mean_) / forecaster.scaler_.scale_
    windows = torch.from_numpy(values).float().unfold(0, forecaster.lags, 1).mT
    start = time.perf_counter()
    for window in windows[:n_windows]:
        torch.autograd.functional.jacobian(
            lambda x: forecaster.network_(x)[0, 0], window.unsqueeze(0)
        )
    return (time.perf_counter() - start) / n_windows


def held_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def fitted(forecaster, table: np.ndarray) -> bytes:
    torch.set_num_threads(1)
    return pickle.dumps(forecaster.fit(table))


def memory_of_coef(saved: bytes) -> tuple[int, float]:
    """Bytes from before ``coef_`` to its peak, and its seconds, in this process."""
    torch.set_num_threads(1)
    forecaster = pickle.loads(saved)
    before, start = held_bytes(), time.perf_counter()
    forecaster.coef_  # noqa: B018
    return peak_bytes() - before, time.perf_counter() - start


def in_new_process(function, *args):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, args)


def print_memory() -> None:
    table = np.random.default_rng(0).normal(size=(500, 200))
    for forecaster in (
        LinearAttentionVAR(24, **FIT),
        LinearAttentionVAR(24, n_layers=3, **FIT),
        LinearAttentionVAR(24, n_layers=0, **FIT),
        SAMoVARForecaster(24, **FIT),
        SAMoVARForecaster(24, n_layers=0, **FIT),
    ):
        # A process begins with the peak of the one that starts it, which therefore
        # fits elsewhere; what is left of that makes small figures too large.
        saved = in_new_process(fitted, forecaster, table)
        added, seconds = in_new_process(memory_of_coef, saved)
        print(
            f"{type(forecaster).__name__}, {forecaster.n_layers} layer(s), 200 series, "
            f"500 rows, lags 24: coef_ adds {added / 2**20:.0f} MiB in {seconds:.1f} s",
            flush=True,
        )


def print_times() -> None:
    data = fetch_ett()
    table, end = data.series[: data.test_end], data.validation_end
    training, test = table.iloc[:1500], table.iloc[end:]
    for forecaster in (
        LinearAttentionVAR(96, **FIT),
        LinearAttentionVAR(96, n_layers=3, **FIT),
        SAMoVARForecaster(96, horizon=96, **FIT),
    ):
        forecaster.fit(training).var_matrices(training)
        start = time.perf_counter()
        matrices = forecaster.var_matrices(test.iloc[: 96 + 999])
        seconds = (time.perf_counter() - start) / len(matrices)
        loop = jacobian_seconds(forecaster, test, 100)
        print(
            f"{type(forecaster).__name__}, {forecaster.n_layers} layer(s), lags 96, "
            f"{len(matrices)} windows: {loop / seconds:.0f} x faster than a loop of "
            "Jacobians"
        )
    forecaster = SAMoVARForecaster(1024, horizon=96, **FIT).fit(training)
    rows = table.iloc[end - 1024 : -96]
    start = time.perf_counter()
    matrices = forecaster.var_matrices(rows)
    print(
        f"SAMoVARForecaster, lags 1024, {len(matrices)} windows: "
        f"{time.perf_counter() - start:.0f} s on one core"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=["time", "memory"])
    only = parser.parse_args().only
    torch.set_num_threads(1)
    if only != "time":
        print_memory()
    if only != "memory":
        print_times()


if __name__ == "__main__":
    main()

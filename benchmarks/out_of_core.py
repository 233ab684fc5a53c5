"""A closed form of a table on disk that is larger than the memory allowed.

    python benchmarks/out_of_core.py --gigabytes 10

writes a table, fits it by ``fit_blocks`` in a process with 2 GB of address space,
compares the matrices with those of explicit windows, and measures how many bytes in a
second one and two workers of Dask and of Ray sum.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# One core for each worker, and for this process.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np

LAGS, ROWS = 2, 100_000
LIMIT = 2 * 2**30


def write(path: Path, n_rows: int, n_series: int) -> None:
    """A table of a stable VAR, some rows at a time."""
    rng = np.random.default_rng(0)
    header = {"descr": "<f8", "fortran_order": False, "shape": (n_rows, n_series)}
    last = np.zeros((LAGS, n_series))
    with path.open("wb") as file:
        np.lib.format.write_array_header_2_0(file, header)
        for start in range(0, n_rows, ROWS):
            n = min(ROWS, n_rows - start)
            shocks = np.concatenate([last, rng.standard_normal((n, n_series))])
            # A moving average of two rows and a neighbour has a VAR of every order.
            rows = shocks[2:] + 0.5 * shocks[1:-1] + 0.2 * np.roll(shocks[:-2], 1, 1)
            last = shocks[-LAGS:]
            (100 + rows).tofile(file)


def oracle(path: Path) -> np.ndarray:
    """Matrices of least squares on windows, written out some rows at a time."""
    table = np.load(path, mmap_mode="r")
    n_rows, n_series = table.shape
    gram, cross = 0.0, 0.0
    for start in range(0, n_rows - LAGS, ROWS):
        rows = np.array(table[start : start + ROWS + LAGS]) - 100
        n = len(rows) - LAGS
        past = [rows[LAGS - lag : LAGS - lag + n] for lag in range(1, LAGS + 1)]
        inputs = np.column_stack([np.ones(n), *past])
        gram, cross = gram + inputs.T @ inputs, cross + inputs.T @ rows[LAGS:]
    slopes = np.linalg.solve(gram, cross)[1:]
    return slopes.reshape(LAGS, n_series, n_series).swapaxes(1, 2)


def fitted(path: Path, engine: str | None = None):
    """The ridge VAR of a table without a penalty, and the seconds that it took."""
    from skvar import LinearAttentionVAR

    start = time.perf_counter()
    forecaster = LinearAttentionVAR(lags=LAGS, n_layers=0, alpha=0.0)
    forecaster.fit_blocks(path, engine=engine)
    return forecaster, time.perf_counter() - start


def within_limit(path: Path, out: Path) -> None:
    """Fit with little address space, and leave the matrices in a file."""
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))
    forecaster, seconds = fitted(path)
    np.save(out, forecaster.coef_)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    rate = path.stat().st_size / seconds / 1e6
    print(
        f"one process: {seconds:.1f} s, {rate:.0f} MB/s, at most {peak:.2f} GB resident"
    )


def with_dask(path: Path, n_workers: int) -> float:
    """Seconds with so many workers, which have worked before."""
    from distributed import Client, LocalCluster

    options = {"threads_per_worker": 1, "dashboard_address": None, "memory_limit": 0}
    with LocalCluster(n_workers=n_workers, **options) as cluster, Client(cluster):
        fitted(path, "dask")
        return fitted(path, "dask")[1]


def with_ray(path: Path, n_workers: int) -> float:
    """Seconds with so many workers, which have worked before."""
    import ray

    ray.init(num_cpus=n_workers, include_dashboard=False, log_to_driver=False)
    try:
        fitted(path, "ray")
        return fitted(path, "ray")[1]
    finally:
        ray.shutdown()


def main() -> None:
    """Write, fit, compare and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=10.0)
    parser.add_argument("--series", type=int, default=100)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--engines", nargs="*", default=["dask", "ray"])
    parser.add_argument("--within-limit", nargs=2, type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.within_limit:
        within_limit(*arguments.within_limit)
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path, out = Path(folder) / "table.npy", Path(folder) / "coef.npy"
        n_rows = round(arguments.gigabytes * 1e9 / 8 / arguments.series)
        start = time.perf_counter()
        write(path, n_rows, arguments.series)
        size = path.stat().st_size
        print(
            f"{n_rows} rows of {arguments.series} series, {size / 1e9:.2f} GB, written "
            f"in {time.perf_counter() - start:.0f} s",
            flush=True,
        )
        command = [sys.executable, __file__, "--within-limit", str(path), str(out)]
        subprocess.run(command, check=True)
        difference = np.abs(np.load(out) - oracle(path)).max()
        print(f"largest difference from explicit windows: {difference:.1e}", flush=True)
        for name in arguments.engines:
            run = {"dask": with_dask, "ray": with_ray}[name]
            one, two = run(path, 1), run(path, 2)
            print(
                f"{name}: 1 worker {one:.1f} s, {size / one / 1e6:.0f} MB/s; 2 workers "
                f"{two:.1f} s, {size / two / 1e6:.0f} MB/s; {one / two:.2f} x",
                flush=True,
            )


if __name__ == "__main__":
    main()

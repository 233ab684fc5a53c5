"""Memory that a fit adds, as a multiple of its data.

Windows are gathered from the table batch by batch; a table of all windows would be
about ``lags`` times the data. On Linux alone.

    python benchmarks/memory.py --rows 1000000 --lags 1024
"""

import argparse
import ctypes
import re
from pathlib import Path

import numpy as np

from skvar import LinearAttentionVAR, SAMoVARForecaster

N_SERIES, BATCH_SIZE = 7, 256


def peak_bytes() -> int:
    """The most memory that the process has had, on Linux.

    Unlike ``ru_maxrss``, which begins with that of the process that started it.
    """
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) * 1024


def give_back_at_once() -> None:
    """Have glibc keep nothing that is freed, so that peaks are of what is in use."""
    m_mmap_threshold = -3
    ctypes.CDLL(None).mallopt(m_mmap_threshold, 2**17)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--lags", type=int, default=1024)
    parser.add_argument("--estimator", choices=["samovar", "linear"], default="samovar")
    args = parser.parse_args()
    give_back_at_once()
    small = {
        "lags": args.lags,
        "n_layers": 1,
        "n_heads": 1,
        "d_model": 8,
        "max_epochs": 1,
        "batch_size": BATCH_SIZE,
        "random_state": 0,
    }
    if args.estimator == "samovar":
        # One token to a window: the fewest numbers in a batch.
        sizes = {"horizon": args.lags // 2, "token_length": args.lags}
        forecaster = SAMoVARForecaster(**small, **sizes)
    else:
        forecaster = LinearAttentionVAR(**small)
    rng = np.random.default_rng(0)
    # A fit on few rows pays for libraries, some batches and the closed form.
    n_rows = 10 * (args.lags + BATCH_SIZE)
    forecaster.clone().fit(rng.normal(size=(n_rows, N_SERIES)))
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

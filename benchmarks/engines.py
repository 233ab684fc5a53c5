"""A search on two worker processes against one, and the bytes that tasks take to them.

Each worker computes on one thread; workers have started before the clock does.

    python benchmarks/engines.py --rows 20000
"""

import argparse
import os
import time

# Before numpy and torch start threads.
os.environ["OMP_NUM_THREADS"] = "1"

import joblib
import numpy as np
from joblib.externals.loky.backend import queues
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

from skvar import LinearAttentionVAR, rolling_score
from skvar.datasets import make_var

SETTINGS = {"lags": [4, 8, 12, 16], "weight_decay": [0.0, 0.01]}


def seconds_and_scores(table, n_jobs: int, **settings) -> tuple[float, np.ndarray]:
    """Of a search of 8 settings on two folds."""
    forecaster = LinearAttentionVAR(max_epochs=4, random_state=0, **settings)
    search = GridSearchCV(
        forecaster,
        SETTINGS,
        cv=TimeSeriesSplit(2),
        scoring=rolling_score,
        refit=False,
        error_score="raise",
    )
    begin = time.perf_counter()
    with joblib.parallel_config("loky", n_jobs=n_jobs):
        search.fit(table)
    return time.perf_counter() - begin, search.cv_results_["mean_test_score"]


class Sent:
    """The sizes of what loky sends, but the empty message that stops a worker."""

    def __init__(self):
        self.sizes, self.dumps = [], queues.dumps
        queues.dumps = self.count

    def count(self, task, reducers=None, protocol=None):
        message = self.dumps(task, reducers=reducers, protocol=protocol)
        if task is not None:
            self.sizes.append(len(message))
        return message

    def per_call(self, n_calls: int) -> str:
        """And start anew."""
        total, self.sizes = sum(self.sizes), []
        return f"{total / n_calls:,.0f} bytes per call"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--series", type=int, default=8)
    args = parser.parse_args()
    sent = Sent()
    table = make_var(args.rows, args.series, random_state=0).series
    print(f"table of {args.rows} x {args.series}: {table.memory_usage().sum():,} bytes")
    # Starts the workers.
    seconds_and_scores(table[:500], 2, batch_size=256)
    sent.per_call(16)
    one, expected = seconds_and_scores(table, 1)
    two, found = seconds_and_scores(table, 2)
    print(f"search of 8 settings: {one:.1f} s with 1 worker, {two:.1f} s with 2: ")
    print(f"  {one / two:.2f} x, {sent.per_call(16)}")
    print(f"  same scores: {np.array_equal(found, expected)}")
    coefficients = LinearAttentionVAR(2, n_layers=0).fit(table).var_coefficients()
    bands = {"bands": 0.9, "method": "bootstrap", "n_draws": 40, "random_state": 0}
    begin = time.perf_counter()
    coefficients.irf(5, n_jobs=1, **bands)
    one, begin = time.perf_counter() - begin, time.perf_counter()
    coefficients.irf(5, n_jobs=2, **bands)
    two = time.perf_counter() - begin
    print(f"bootstrap of 40 draws: {one:.1f} s with 1 worker, {two:.1f} s with 2: ")
    print(f"  {one / two:.2f} x, {sent.per_call(40)}")


if __name__ == "__main__":
    main()

"""Size and power of the test whether matrices change.

Simulated VARs are fitted by LinearAttentionVAR, and `test_dynamics` is asked on the
last rows of the fit, and on a quarter as many that follow. Counted are rejections at
5 % by the row "all". "kept" is the share of fits whose dynamic part early stopping has
kept: where it has not, nothing is rejected. "always" are networks trained without early
stopping, for the size where the dynamic part is never left out. "gain" is the share of
the squared error of the static VAR on new rows that the dynamic part saves.

    python benchmarks/dynamics_test.py
"""

import argparse

import joblib
import pandas as pd

from skvar import LinearAttentionVAR
from skvar.datasets import make_drifting_var, make_switching_var, make_var

# Name, generator and its arguments, arguments of the forecaster.
CASES = [
    ("static", make_var, {}, {}),
    ("static, tracked", make_var, {}, {"tracking_rows": 64}),
    ("static, always", make_var, {}, {"early_stopping": False, "max_epochs": 5}),
    ("drifting, tracked", make_drifting_var, {}, {"tracking_rows": 64}),
    ("markov, tracked", make_switching_var, {}, {"tracking_rows": 64}),
    ("threshold", make_switching_var, {"switch": "threshold"}, {}),
]


def measured(seed: int, name, make, made, options, rows: int) -> dict:
    """Rejections of one simulated table."""
    table = make(rows + rows // 4, 2, random_state=seed, **made).series
    forecaster = LinearAttentionVAR(1, random_state=seed, **options).fit(table[:rows])
    inside = forecaster.test_dynamics().set_index("response")
    later = forecaster.test_dynamics(table[rows:]).set_index("response")
    return {
        "case": name,
        "kept": bool(forecaster.network_weight_),
        "held out": inside.loc["all", "p_value"] < 0.05,
        "new rows": later.loc["all", "p_value"] < 0.05,
        "gain": 1 - later.loc["all", "mse_dynamic"] / later.loc["all", "mse_static"],
    }


def main() -> None:
    """Print one row for each case."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    found = joblib.Parallel(options.jobs)(
        joblib.delayed(measured)(seed, *case, options.rows)
        for case in CASES
        for seed in range(options.seeds)
    )
    table = pd.DataFrame(found).groupby("case", sort=False).mean()
    print(table.round(3).to_string())


if __name__ == "__main__":
    main()

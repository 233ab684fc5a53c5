"""New series of few rows: fitted alone, by the network of a panel, and both.

python benchmarks/panels.py

Series share a seasonal pattern of 12 rows in random sizes and phases, on autoregressive
noise. One model is trained on 200 of them; 50 others have a past of 48, 60 or 120 rows.
Mean squared errors over the 12 rows that follow, in variances of the noise; then the
memory that a fit to 1000 series of 500 rows adds, against the data in float64.
"""

import argparse

import numpy as np
import pandas as pd
from memory import peak_bytes

from skvar import LinearAttentionVAR, SAMoVARForecaster

_HORIZON = 12


def series(n_series: int, n_rows: int, seed: int) -> np.ndarray:
    """Of shape (n_series, 1, n_rows)."""
    rng, rows = np.random.default_rng(seed), np.arange(n_rows)
    noise = np.zeros((n_series, n_rows))
    for row in range(1, n_rows):
        noise[:, row] = 0.6 * noise[:, row - 1] + rng.normal(0, 0.8, n_series)
    angle = 2 * np.pi * (rows + rng.integers(12, size=(n_series, 1))) / 12
    size = rng.uniform(1, 3, (n_series, 1))
    level = rng.normal(0, 10, (n_series, 1))
    return (level + size * (np.sin(angle) + np.sin(2 * angle)) + noise)[:, np.newaxis]


def errors(forecaster, n_past: int) -> dict[str, float]:
    """Mean squared errors on new series."""
    steps = range(1, _HORIZON + 1)
    pretrained = forecaster.clone().pretrain(series(200, 120, seed=0), fh=steps)
    panel = forecaster.clone().fit(series(200, 120, seed=0), fh=steps)
    forecasts = {"alone": [], "zero-shot": [], "fine-tuned": []}
    new = series(50, n_past + _HORIZON, seed=1)
    for [rows] in new:
        past = pd.DataFrame(rows[:n_past])
        forecasts["alone"].append(forecaster.clone().fit(past, fh=steps).predict())
        forecasts["zero-shot"].append(panel.predict(past))
        forecasts["fine-tuned"].append(pretrained.clone().fit(past, fh=steps).predict())
    return {
        kind: np.square(np.stack(some)[..., 0] - new[:, 0, n_past:]).mean()
        for kind, some in forecasts.items()
    }


def added_memory(forecaster) -> float:
    """Growth of the peak of memory in a fit, against the size of the data."""
    data = series(1000, 500, seed=0)
    forecaster.clone().fit(data[:2], fh=range(1, _HORIZON + 1))
    before = peak_bytes()
    forecaster.fit(data, fh=range(1, _HORIZON + 1))
    return (peak_bytes() - before) / data.nbytes


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    memory = added_memory(SAMoVARForecaster(24, max_epochs=1, random_state=0))
    found = [
        {"forecaster": type(forecaster).__name__, "rows": n_past}
        | errors(forecaster, n_past)
        for forecaster in (
            LinearAttentionVAR(12, random_state=0),
            SAMoVARForecaster(24, random_state=0),
        )
        for n_past in (48, 60, 120)
    ]
    print(pd.DataFrame(found).round(2).to_markdown(index=False))
    print(f"1000 series of 500 rows: a fit adds {memory:.0f} times the data")


if __name__ == "__main__":
    main()

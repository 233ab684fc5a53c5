"""How often bands of responses to identified shocks hold the truth.

Simulated VARs of three series whose shocks are known: 90 % bands of the posterior at
horizons 0 to 4, for shocks told by an order, by a proxy with noise, and by signs. What
signs leave open is drawn for the truth as it is for the bands: bands of a set are right
on average over its members, not for each.

    python benchmarks/identification.py
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse

import numpy as np
import pandas as pd

from skvar import LinearAttentionVAR
from skvar.identification import Proxy, SignRestrictions

NAMES, PERIODS, BURN_IN = ["a", "b", "c"], 4, 50
MATRIX = np.array([[0.5, 0.1, 0.0], [0.2, 0.4, -0.1], [0.0, 0.3, 0.3]])
FACTOR = np.array([[1.0, 0.0, 0.0], [0.5, 0.8, 0.0], [-0.3, 0.4, 0.6]])
SIGNS = pd.DataFrame({"first": [1, 1, np.nan], "second": [np.nan, 1, -1]}, NAMES)


def rotated(rng: np.random.Generator) -> np.ndarray:
    """Effects at once with the signs, all that have them being equally likely."""
    while True:
        q, r = np.linalg.qr(rng.normal(size=(3, 3)))
        impact = FACTOR @ (q * np.sign(np.diag(r)))
        impact *= np.where(impact[1] < 0, -1, 1)
        if impact[0, 0] > 0 and impact[2, 1] < 0:
            return impact


def simulated(rng, impact: np.ndarray, n_rows: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows and shocks."""
    shocks = rng.normal(size=(n_rows + BURN_IN, 3))
    rows = np.zeros_like(shocks)
    for t in range(1, len(rows)):
        rows[t] = MATRIX @ rows[t - 1] + impact @ shocks[t]
    return pd.DataFrame(rows[BURN_IN:], columns=NAMES), shocks[BURN_IN:]


def hits(seed: int, kind: str, n_rows: int) -> tuple[float, float]:
    """Share of true responses within bands, and the mean width of these."""
    rng = np.random.default_rng(seed)
    truth = rotated(rng) if kind == "signs" else FACTOR
    rows, shocks = simulated(rng, truth, n_rows)
    impact, shown = "cholesky", truth
    if kind == "proxy":
        impact = Proxy(pd.Series(shocks[:, 0] + rng.normal(size=n_rows)))
        shown = truth[:, :1]
    elif kind == "signs":
        impact, shown = SignRestrictions(SIGNS, n_rotations=20), truth[:, :2]
    var = LinearAttentionVAR(1, n_layers=0).fit(rows).var_coefficients()
    table = var.irf(PERIODS, impact=impact, bands=0.9, n_draws=500, random_state=seed)
    powers = [np.linalg.matrix_power(MATRIX, h) for h in range(PERIODS + 1)]
    expected = np.ravel([power @ shown for power in powers])
    inside = (table["lower"] <= expected) & (expected <= table["upper"])
    # Zeros of an order are no estimates.
    estimated = table["upper"] > table["lower"]
    width = (table["upper"] - table["lower"])[estimated].mean()
    return inside[estimated].mean(), width


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--samples", type=int, default=200)
    given = parser.parse_args()
    print("| shocks told by | coverage | mean width |")
    print("|---|---:|---:|")
    for kind in ("order", "proxy", "signs"):
        found = [hits(seed, kind, given.rows) for seed in range(given.samples)]
        covered, width = np.mean(found, axis=0)
        print(f"| {kind} | {covered:.0%} | {width:.2f} |")


if __name__ == "__main__":
    main()

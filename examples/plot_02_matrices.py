"""
Matrices that can be trusted
============================

A simulated VAR drifts between two ends. ``LinearAttentionVAR`` tracks
its matrices; a classical VAR, which knows one matrix, cannot. Then US growth: how
shocks travel between the series, with bands.

Prints the comparison with least squares and writes two pictures to the working
directory.
"""

import matplotlib.pyplot as plt
import numpy as np
from sktime.datasets import load_macroeconomic

from skvar import LinearAttentionVAR, datasets, plots

# %%
# A VAR that drifts
# -----------------
# Fit on 4000 rows, then read the matrices after each of the next 1000 windows. Window i
# ends one row before the row whose matrix it should know.

made = datasets.make_drifting_var(5000, period=2000, random_state=1)
forecaster = LinearAttentionVAR(lags=1, tracking_rows=256, random_state=0)
forecaster.fit(made.series[:4000])
recent = made.series[4000 - forecaster.network_.lags :]
matrices, truth = forecaster.var_matrices(recent[:-1])[:, 0], made.matrices[4000:, 0]

print("Rows 4000 to 4999, one step ahead, in standard deviations of the series:")
print(forecaster.compare_with_ols(recent).round(3).to_string())
distance = np.linalg.norm(matrices - truth, axis=(1, 2))
size = np.linalg.norm(truth, axis=(1, 2))
print(f"Distance from the true matrices: {(distance / size).mean():.0%} of their norm")

_, axes = plt.subplots(2, 1, figsize=(8, 5), layout="constrained", sharex=True)
for panel, (response, cause) in zip(axes, [(0, 1), (2, 2)], strict=True):
    plots.plot_entry(
        matrices[:, response, cause],
        made.series.index[4000:],
        truth=truth[:, response, cause],
        label=f"effect of y{cause} on y{response}",
        ax=panel,
    )
panel.set_xlabel("row")
plt.savefig("drift.png", dpi=150)

# %%
# How shocks travel
# -----------------
# Impulse responses belong to matrices that stay: here a VAR in closed form. Its penalty
# is a prior, and bands are percentiles of the posterior.

macro = load_macroeconomic()[["realgdp", "realcons", "realinv"]]
growth = 100 * macro.pct_change().iloc[1:]
var = LinearAttentionVAR(lags=2, n_layers=0).fit(growth).var_coefficients()
print(var.summary())
axes = var.plot_irf(10, impact="cholesky", bands=0.9, random_state=0)
axes[0, 0].figure.savefig("responses.png", dpi=150)

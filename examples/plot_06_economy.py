"""
From shocks to scenarios
========================

What a central bank asks of a VAR, of inflation, unemployment and a short interest rate
in the United States from 1959 to 2009: how many lags, what drives what, what a
tightening of policy does, what made the crisis, how connected the series are, and what
is ahead if rates stay where they are.

Prints tables and writes four pictures to the working directory.
"""

import numpy as np
import pandas as pd
from sktime.datasets import load_macroeconomic

from skvar import LinearAttentionVAR, plots, select_lags
from skvar.identification import SignRestrictions

economy = load_macroeconomic()[["infl", "unemp", "tbilrate"]]

# %%
# How many lags
# -------------
# Information criteria of least squares, the marginal likelihood of the VAR with a
# prior, and its error on rows left out.

choice = select_lags(economy, max_lags=8)
print(choice.round(3).to_string(index=False))
print("best:", choice.attrs["best"])

# %%
# The model and its tests
# -----------------------
# The closed form alone: its penalty is a prior, so that standard deviations, tests and
# bands come from the posterior.

var = LinearAttentionVAR(lags=4, n_layers=0).fit(economy).var_coefficients()
print(var.summary(max_lags=1))
print(var.granger_causality(random_state=0).round(3).to_string(index=False))

# %%
# What a tightening does
# ----------------------
# Signs tell three shocks apart. Demand moves inflation and the rate up and unemployment
# down, supply moves inflation and unemployment up, and policy moves the rate and
# unemployment up and inflation down. Nothing else is assumed.

signs = pd.DataFrame(
    {"demand": [1, -1, 1], "supply": [1, 1, np.nan], "policy": [-1, 1, 1]},
    index=["infl", "unemp", "tbilrate"],
)
shocks = SignRestrictions(signs)
axes = var.plot_irf(16, impact=shocks, bands=0.8, random_state=0)
axes[0, 0].figure.savefig("shocks.png", dpi=120)
accepted = var.irf(0, impact=shocks, random_state=0).attrs["accepted"]
print(f"{accepted:.0%} of all rotations have these signs")

# %%
# What made the crisis
# --------------------
# The same shocks add up to history.

axes = var.plot_decomposition(impact=shocks, random_state=0)
axes[0].figure.savefig("history.png", dpi=120)

# %%
# How connected the series are, over time
# ---------------------------------------
# Attention lets the matrices change with the window. ``at=slice(None)`` takes those of
# every quarter; a function of them is a series over time.

dynamic = LinearAttentionVAR(
    lags=4, early_stopping=False, max_epochs=20, random_state=0
)
dynamic.fit(economy)
path = dynamic.var_coefficients(at=slice(None))
total = path.map(lambda one: one.connectedness(8).total)
label = "share of error variance that comes from others"
ax = plots.plot_entry(total, total.index, label=label)
ax.figure.savefig("connectedness.png", dpi=120)
print(total.describe().round(3).to_string())

# %%
# If rates stay
# -------------
# A scenario gives the rate of the next six quarters, and unemployment of the first as a
# range. The forecast is the mean of all futures in which this comes true.

rate = economy["tbilrate"].iloc[-1]
scenario = pd.DataFrame(
    {"tbilrate": rate, "unemp": [(9.0, 10.0)] + [np.nan] * 5}, index=range(1, 7)
)
print(var.forecast(6, given=scenario, random_state=0).round(2))
axes = var.plot_forecast(6, given=scenario, random_state=0)
axes[0].figure.savefig("scenario.png", dpi=120)

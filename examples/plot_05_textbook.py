"""
The numbers of a textbook
=========================

Lütkepohl (2005), New Introduction to Multiple Time Series Analysis, follows one VAR
through his book: growth of investment, income and consumption in West Germany, from the
second quarter of 1960 to the end of 1978, with two lags. The data come with
statsmodels. Without layers and penalty, ``LinearAttentionVAR`` is that VAR, and gives
the numbers that are printed in the book.

Prints ours beside those of the book and writes a picture to the working directory.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from statsmodels.tsa.vector_ar import tests as data_of_statsmodels
from statsmodels.tsa.vector_ar.util import parse_lutkepohl_data

from skvar import LinearAttentionVAR

file = Path(data_of_statsmodels.__file__).parent / "results" / "e1.dat"
levels = pd.DataFrame(parse_lutkepohl_data(str(file))[0])
levels.index = pd.period_range("1960Q1", periods=len(levels), freq="Q")
growth = np.log(levels).diff().loc["1960Q2":"1978Q4"]

var = LinearAttentionVAR(lags=2, n_layers=0, alpha=0).fit(growth).var_coefficients()

# %%
# Estimates
# ---------
# Equation 3.2.22 and the covariance of the errors, 3.2.23 in units of 0.0001.


def beside_the_book(ours, book, decimals: int = 3) -> None:
    """Print both, and stop if they differ."""
    ours, book = np.asarray(ours), np.asarray(book)
    for one, other in zip(np.atleast_2d(ours), np.atleast_2d(book), strict=True):
        print(
            "  ", np.array2string(one, precision=decimals, suppress_small=True), other
        )
    # The book rounds what it computed from rounded numbers.
    np.testing.assert_allclose(ours, book, atol=1.01 * 10.0**-decimals)


print("Matrix at lag 1, ours and the book's:")
beside_the_book(
    var.matrices[0],
    [[-0.320, 0.146, 0.961], [0.044, -0.153, 0.289], [-0.002, 0.225, -0.264]],
)
print("Matrix at lag 2:")
beside_the_book(
    var.matrices[1],
    [[-0.161, 0.115, 0.934], [0.050, 0.019, -0.010], [0.034, 0.355, -0.022]],
)
print("Covariance of the errors:")
beside_the_book(
    1e4 * var.sigma_u,
    [[21.30, 0.72, 1.23], [0.72, 1.37, 0.61], [1.23, 0.61, 0.89]],
    decimals=2,
)

# %%
# Forecasts
# ---------
# Section 3.5.3: forecasts of the three quarters of 1979.

print("Forecasts:")
beside_the_book(
    var.forecast(3),
    [[-0.011, 0.020, 0.022], [0.011, 0.020, 0.015], [0.021, 0.017, 0.020]],
)

# %%
# Who drives whom
# ---------------
# Section 3.6.2 asks whether income and consumption help to forecast investment: F is
# 1.59, below 2.14, which it exceeds in one of twenty samples. So they surely do not
# drive it.

test = var.granger_causality(caused="invest", causing=["income", "cons"])
print(test.round(3).to_string(index=False))

# %%
# How shocks travel
# -----------------
# Table 2.4 shares the variance of forecast errors out among recursive shocks: a third
# of that of consumption is due to income, and an eighth to investment.

shares = var.fevd(8).query("response == 'cons' and horizon == 8")["share"]
print("Shares in the error variance of consumption, 8 quarters ahead:")
beside_the_book(shares, [0.129, 0.340, 0.532])

axes = var.plot_irf(8, impact="cholesky", bands=0.9, random_state=0)
axes[0, 0].figure.savefig("textbook.png", dpi=120)

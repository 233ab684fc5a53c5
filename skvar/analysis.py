"""Analysis of the matrices of a vector autoregression, whoever estimated them."""

from ._var.results import VARCoefficients
from ._var.selection import cointegration, select_lags

__all__ = ["VARCoefficients", "cointegration", "select_lags"]

"""Analysis of the matrices of a vector autoregression, whoever estimated them."""

from ._var.results import VARCoefficients
from ._var.selection import cointegration, select_lags
from ._var.terms import Terms

__all__ = ["Terms", "VARCoefficients", "cointegration", "select_lags"]

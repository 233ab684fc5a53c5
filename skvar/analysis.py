"""Analysis of the matrices of a vector autoregression, whoever estimated them."""

from ._var.results import VARCoefficients

__all__ = ["VARCoefficients"]

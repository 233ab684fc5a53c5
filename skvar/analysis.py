"""Analysis of the matrices of a vector autoregression, whoever estimated them."""

from ._closed_form.evidence import Evidence
from ._var.connectedness import Connectedness
from ._var.results import VARCoefficients
from ._var.selection import cointegration, select_lags
from ._var.terms import Terms

__all__ = [
    "Connectedness",
    "Evidence",
    "Terms",
    "VARCoefficients",
    "cointegration",
    "select_lags",
]

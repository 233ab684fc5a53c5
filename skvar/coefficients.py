"""From a network and windows to the matrices of a vector autoregression.

Matrices map the rows of a window, newest first, to a forecast; with the intercept they
give the forecast itself.
"""

from ._var.extraction import dynamic_var, local_var, to_original_units
from ._var.tokens import influence_paths, path_sizes, token_var

__all__ = [
    "dynamic_var",
    "influence_paths",
    "local_var",
    "path_sizes",
    "to_original_units",
    "token_var",
]

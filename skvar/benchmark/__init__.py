"""Forecasters compared on test rows; also ``python -m skvar.benchmark``."""

from .baselines import ClassicalVAR, SeasonalNaive, baselines
from .results import read_results, summarise
from .running import benchmark

__all__ = [
    "ClassicalVAR",
    "SeasonalNaive",
    "baselines",
    "benchmark",
    "read_results",
    "summarise",
]

"""Forecasters compared on test rows; also ``python -m skvar.benchmark``."""

from .baselines import ClassicalVAR, SeasonalNaive, baselines
from .running import benchmark, summarise

__all__ = ["ClassicalVAR", "SeasonalNaive", "baselines", "benchmark", "summarise"]

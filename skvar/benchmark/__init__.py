"""Forecasters compared on test rows; also ``python -m skvar.benchmark``."""

from .baselines import ClassicalVAR, SeasonalNaive, baselines
from .boards import Task, board
from .results import read_results, summarise
from .running import benchmark

__all__ = [
    "ClassicalVAR",
    "SeasonalNaive",
    "Task",
    "baselines",
    "benchmark",
    "board",
    "read_results",
    "summarise",
]

"""Trainings by several processes."""

from ._training.processes import data_parallel

__all__ = ["data_parallel"]

"""Reports of fitted forecasters: one page to look at, or its content as JSON."""

from .subject import Subject
from .writing import write_report

__all__ = ["Subject", "write_report"]

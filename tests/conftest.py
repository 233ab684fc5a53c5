"""Data of the suite."""

import os
from pathlib import Path

import pandas as pd
import pytest

# The suite runs in several processes; more threads than cores slow each other down.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def us_change() -> pd.DataFrame:
    """Quarterly percentage changes of five US series, 1970 to 2016."""
    from sktime.datasets import load_uschange

    consumption, others = load_uschange()
    table = pd.concat([consumption, others], axis=1)
    table.index = pd.period_range("1970Q1", periods=len(table), freq="Q")
    return table


@pytest.fixture
def calibration_alone(monkeypatch):
    """Intervals from errors of calibration, however few these are."""
    monkeypatch.setattr("skvar._forecasting.intervals._MANY", 0)


@pytest.fixture(scope="session")
def reference_dir() -> Path:
    """Folder of reference data; a missing folder or file fails where it is set."""
    if "SKVAR_REFERENCE_DIR" not in os.environ:
        pytest.skip("SKVAR_REFERENCE_DIR is not set")
    return Path(os.environ["SKVAR_REFERENCE_DIR"])

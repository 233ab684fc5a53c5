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


@pytest.fixture(scope="session")
def dask_client():
    """A client of Dask, with two processes."""
    distributed = pytest.importorskip("distributed")
    options = {"dashboard_address": None, "silence_logs": 50}
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, **options
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="session")
def ray_started():
    """Ray, on two processors."""
    ray = pytest.importorskip("ray")
    from ray.util.joblib import register_ray

    register_ray()
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    ray.init(
        num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR"
    )
    yield
    ray.shutdown()

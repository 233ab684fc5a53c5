"""Tables of many series: what a step, an epoch and a closed form take of them."""

import resource
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from skvar import LinearAttentionVAR, SAMoVARForecaster
from skvar._data.windows import Windows
from skvar._models.memory import available_bytes, check_step, var_bytes
from skvar.nn import SAMoVAR


def walks(n_rows, n_series):
    return np.random.default_rng(0).normal(size=(n_rows, n_series)).cumsum(axis=0)


@pytest.mark.parametrize(("n_series", "batch_size"), [(3, 32), (130, 31)])
def test_a_step_takes_fewer_windows_of_many_series(n_series, batch_size):
    table = walks(45, n_series)
    sizes = {"d_model": 4, "n_heads": 1, "max_epochs": 1, "early_stopping": False}
    automatic = SAMoVARForecaster(4, horizon=1, random_state=0, **sizes).fit(table)
    given = automatic.clone().set_params(batch_size=batch_size).fit(table)
    assert automatic.loss_curve_ == given.loss_curve_


def test_windows_with_a_stride_are_some_of_all():
    segments = [walks(n, 2) for n in (11, 3, 8)]
    every = Windows(segments, 3, 2)
    third = Windows(segments, 3, 2, stride=3)
    # Those that start at rows 0, 3, 6 of the first table and 0, 3 of the last one.
    wanted = torch.tensor([0, 3, 6, 7, 10])
    assert len(third) == 5
    for some, of_all in zip(third[torch.arange(5)], every[wanted], strict=True):
        torch.testing.assert_close(some, of_all, rtol=0, atol=0)


@pytest.fixture
def little_memory():
    """Address space for some 600 MB more than is taken."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + 600 * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def test_a_limit_of_the_process_counts(little_memory):
    assert available_bytes() == pytest.approx(600 * 2**20, rel=0.1)


@pytest.mark.parametrize("lags", ["auto", 4])
def test_a_var_beyond_the_memory_is_refused(little_memory, lags):
    with pytest.raises(MemoryError, match="GB are free. Take fewer lags or series"):
        LinearAttentionVAR(lags, n_layers=0).fit(walks(40, 3000))


def test_a_step_beyond_the_memory_is_refused(little_memory):
    forecaster = SAMoVARForecaster(48, horizon=24, batch_size=256, random_state=0)
    with pytest.raises(MemoryError, match="Pass a smaller batch_size"):
        forecaster.fit(walks(400, 200))


@pytest.mark.parametrize(
    ("n_rows", "n_series", "lags"),
    [(3000, 400, 1), (300, 400, 2), (500, 800, "auto"), (2000, 400, "auto")],
)
def test_memory_of_a_var_is_about_what_is_said(n_rows, n_series, lags):
    table = walks(n_rows, n_series)
    tracemalloc.start()
    forecaster = LinearAttentionVAR(lags, n_layers=0).fit(table)
    _, of_numpy = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # torch does not tell tracemalloc of its copy of the matrices.
    measured = of_numpy + forecaster.coef_.nbytes
    form = forecaster._fitted.model.form
    specification = SimpleNamespace(lags=forecaster.lags_, form=form)
    said = var_bytes(n_rows, n_series, n_series, specification)
    # No more than a half of it too much: else what fits would be refused.
    assert 0.6 < said / measured < 1.5


def test_memory_of_a_step_grows_with_its_windows(monkeypatch):
    network = SAMoVAR(lags=48, horizon=24, n_series=40, d_model=16, n_heads=2)
    windows, said = Windows([walks(400, 40).astype(np.float32)], 48, 24), {}
    monkeypatch.setattr(
        "skvar._models.memory.check", lambda n_bytes, *_: said.setdefault(0, n_bytes)
    )
    check_step(network, windows, 3000)
    assert all(x.grad is None for x in network.parameters())
    # Every window has three of 80 tokens at least: of the MLP, and its expansion.
    n_numbers = 3000 * 40 * 2 * 2 * 16
    assert said[0] > 4 * 6 * n_numbers

"""Tables of many series: what a step, an epoch and a closed form take of them."""

import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from skvar import LinearAttentionVAR, LinearAttentionVARRegressor, SAMoVARForecaster
from skvar._data.windows import Windows
from skvar._models import memory
from skvar._var.memory import with_peak_bytes
from skvar.nn import Informer, ITransformer, SAMoVAR
from skvar.nn import LinearAttentionVAR as Network

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="known on Linux alone")


def walks(n_rows, n_series):
    return np.random.default_rng(0).normal(size=(n_rows, n_series)).cumsum(axis=0)


@pytest.mark.parametrize(("n_series", "batch_size"), [(3, 64), (80, 51)])
def test_a_step_takes_fewer_windows_of_many_series(n_series, batch_size):
    sizes = {"d_model": 4, "n_heads": 1, "max_epochs": 1, "early_stopping": False}
    automatic = LinearAttentionVAR(1, random_state=0, **sizes)
    automatic.fit(walks(75, n_series))
    given = automatic.clone().set_params(batch_size=batch_size)
    given.fit(walks(75, n_series))
    assert automatic.loss_curve_ == given.loss_curve_


def test_every_so_many_windows():
    segments = [walks(n, 2) for n in (11, 3, 8)]
    windows = Windows(segments, 3, 2)
    third = windows.every(3)
    assert (len(windows), len(third)) == (11, 4)
    wanted = windows[torch.tensor([0, 3, 6, 9])]
    for some, expected in zip(third[torch.arange(4)], wanted, strict=True):
        torch.testing.assert_close(some, expected, rtol=0, atol=0)


@pytest.fixture
def little_memory():
    """Address space for some 600 MB more than is taken."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + 600 * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@ON_LINUX
def test_a_limit_of_the_process_counts(little_memory):
    assert memory.available_bytes() == pytest.approx(600 * 2**20, rel=0.1)


@ON_LINUX
@pytest.mark.parametrize(
    ("estimator", "remedy"),
    [
        (LinearAttentionVAR(n_layers=0), "or SAMoVARForecaster"),
        (LinearAttentionVAR(4, n_layers=0), "or SAMoVARForecaster"),
        (SAMoVARForecaster(4, n_layers=0, static_path="var"), "or SAMoVARForecaster"),
        (LinearAttentionVARRegressor(4, n_layers=0), "lags or series.$"),
    ],
)
def test_a_var_beyond_the_memory_is_refused(little_memory, estimator, remedy):
    table = walks(40, 6000)
    y = table if isinstance(estimator, LinearAttentionVARRegressor) else None
    with pytest.raises(MemoryError, match=f"GB are free. Take .*{remedy}"):
        estimator.fit(table, y)


@ON_LINUX
def test_a_step_beyond_the_memory_is_refused(little_memory):
    forecaster = SAMoVARForecaster(48, horizon=24, batch_size=256, random_state=0)
    with pytest.raises(MemoryError, match="Pass a smaller batch_size"):
        forecaster.fit(walks(400, 200))


SEASONAL = {"seasonal": True, "sp": 4}


@pytest.mark.parametrize(
    ("n_rows", "n_series", "forecaster", "in_blocks"),
    [
        (3000, 400, LinearAttentionVAR(1, n_layers=0), False),
        (300, 400, LinearAttentionVAR(2, n_layers=0), False),
        (200, 120, LinearAttentionVAR(4, n_layers=0), True),
        (200, 120, LinearAttentionVAR(4, n_layers=0, **SEASONAL), False),
        (9000, 20, LinearAttentionVAR(4, n_layers=0, **SEASONAL), False),
        (500, 800, LinearAttentionVAR(n_layers=0), False),
        (2000, 200, LinearAttentionVAR(n_layers=0), False),
    ],
)
def test_a_var_takes_the_memory_that_is_said_and_not_much_more(
    n_rows, n_series, forecaster, in_blocks, monkeypatch
):
    said = []
    monkeypatch.setattr(memory, "_require", lambda n_bytes, *_: said.append(n_bytes))
    table = pd.DataFrame(walks(n_rows, n_series))
    fit = forecaster.fit_blocks if in_blocks else forecaster.fit
    tracemalloc.start()
    fit(table)
    _, of_numpy = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # torch does not tell tracemalloc of its copy of the matrices.
    measured = of_numpy + forecaster.coef_.nbytes
    # Never more, or what fits would be refused.
    assert measured / 3 < said[0] < measured


SIZES = {"lags": 24, "horizon": 12, "n_series": 30}


@pytest.mark.parametrize(
    "network",
    [
        SAMoVAR(**SIZES, d_model=16, n_heads=2),
        Informer(**SIZES, d_model=16, n_heads=2),
        ITransformer(**SIZES, d_model=16, n_heads=2),
        Network(lags=24, n_series=30, n_layers=1),
    ],
    ids=lambda network: type(network).__name__,
)
def test_a_step_takes_the_memory_that_is_said(network, monkeypatch):
    windows, said = (
        Windows([walks(900, 30).astype(np.float32)], 24, network.horizon),
        [],
    )
    monkeypatch.setattr(memory, "_require", lambda n_bytes, *_: said.append(n_bytes))
    monkeypatch.setattr(memory, "_SMALL_STEP", 0)
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    random_state = torch.get_rng_state()
    memory.require_step(network, windows, 200)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(weight.grad is None for weight in network.parameters())
    for name, weight in network.state_dict().items():
        assert torch.equal(weight, before[name])

    def step():
        sum(network.losses(*windows[torch.arange(200)]).values()).backward()

    network.train()
    _, measured = with_peak_bytes(step)
    assert said[0] == pytest.approx(measured, rel=0.05)

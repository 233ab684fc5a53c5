"""Windows, training, seeds and memory."""

import copy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from skvar import AarenForecaster, LinearAttentionVAR, SAMoVARForecaster
from skvar._data.windows import Windows, split_by_time
from skvar._training.inference import forecast, squared_errors
from skvar._training.loop import TrainingOptions, resolve_device, train
from skvar._training.randomness import Generators

CPU = torch.device("cpu")


def generators():
    return Generators(0, CPU)


def options(**changes):
    values = {
        "learning_rate": 1e-2,
        "max_epochs": 5,
        "batch_size": 8,
        "weight_decay": 0.0,
        "required_gain": 0.0,
        "n_iter_no_change": 2,
        "device": CPU,
        "verbose": 0,
    }
    return TrainingOptions(**{**values, **changes})


def test_windows_are_the_rows():
    values = np.arange(40, dtype=np.float32).reshape(20, 2)
    windows = Windows([values], lags=4, horizon=3)
    assert len(windows) == 14
    past, future = windows[torch.tensor([0, 13])]
    np.testing.assert_array_equal(past[1], values[13:17])
    np.testing.assert_array_equal(future[1], values[17:20])
    batches = list(windows.batches(5))
    assert [len(past) for past, _ in batches] == [5, 5, 4]
    np.testing.assert_array_equal(torch.cat([p for p, _ in batches])[7], values[7:11])
    drawn = windows.batches(5, generator=torch.Generator().manual_seed(0))
    shuffled = torch.cat([past for past, _ in drawn])
    assert sorted(shuffled[:, 0, 0].tolist()) == values[:14, 0].tolist()


def test_windows_share_memory_unless_read_only():
    values = np.zeros((9, 1), dtype=np.float32)
    assert Windows([values], 2, 1).values.data_ptr() == values.ctypes.data
    values.flags.writeable = False
    assert Windows([values], 2, 1).values.data_ptr() != values.ctypes.data


def test_windows_stay_inside_segments_and_split_columns():
    segments = [
        np.arange(begin, begin + 3 * n, dtype=float).reshape(n, 3)
        for begin, n in ((0, 4), (100, 2), (200, 5))
    ]
    windows = Windows(segments, lags=2, horizon=1, n_inputs=2, dtype=torch.float32)
    assert len(windows) == 2 + 0 + 3
    past, future = windows[torch.arange(5)]
    expected = [
        segments[s][i : i + 3] for s, i in ((0, 0), (0, 1), *((2, i) for i in range(3)))
    ]
    np.testing.assert_array_equal(past, [rows[:2, :2] for rows in expected])
    np.testing.assert_array_equal(future, [rows[2:, 2:] for rows in expected])
    assert past.dtype == torch.float32


def test_windows_tell_what_was_observed():
    rng = np.random.default_rng(0)
    segments = [rng.normal(size=(n, 3)) for n in (6, 2, 7)]
    observed = [rng.random(values.shape) < 0.5 for values in segments]
    sizes = {"lags": 2, "horizon": 2, "n_inputs": 2, "dtype": torch.float32}
    plain, masked = (Windows(segments, **sizes, observed=o) for o in (None, observed))
    index = torch.arange(len(plain))
    (past, future), (same, masked_future, observed_past) = plain[index], masked[index]
    assert torch.equal(past, same)
    places = [(s, i) for s in (0, 2) for i in range(len(segments[s]) - 3)]
    seen = np.stack([observed[s][i : i + 4] for s, i in places])
    np.testing.assert_array_equal(observed_past, seen[:, :2, :2])
    expected = np.where(seen[:, 2:, 2:], future, np.nan)
    np.testing.assert_array_equal(masked_future, expected)
    assert masked.to(torch.device("meta")).observed.is_meta


def test_errors_of_windows_are_over_what_was_observed():
    rng = np.random.default_rng(0)
    values, seen = rng.normal(size=(40, 1)), rng.random((40, 1)) < 0.5
    seen[10:14] = False
    windows = Windows([values], 3, 2, observed=[seen])
    futures = [values[row : row + 2][seen[row : row + 2]] for row in range(3, 39)]
    expected = [
        np.square(np.float32(0.3) - some).mean() for some in futures if len(some)
    ]
    assert len(expected) < len(windows)
    errors = squared_errors(Level(0.3), windows, batch_size=7)
    np.testing.assert_allclose(errors, expected, rtol=1e-6)


def test_split_keeps_validation_rows_out_of_training():
    values = np.arange(100, dtype=np.float32)[:, np.newaxis]
    training, validation = split_by_time(values, 7, 5, 0.2)
    assert training.max() == 79
    validation = Windows([validation], 7, 5)
    first_past, first_future = validation[torch.tensor([0])]
    assert first_past[0, 0, 0] == 73
    assert first_future[0, 0, 0] == 80
    assert split_by_time(values[:31], 7, 5, 0.65) is None


def test_an_epoch_may_be_a_new_sample_of_the_windows():
    values = np.arange(20, dtype=np.float32).reshape(-1, 1)
    seen = []

    class Watched(Level):
        def losses(self, window, target):
            seen.append(window[:, 0, 0].tolist())
            return super().losses(window, target)

    sampled = options(batch_size=4, max_epochs=3, epoch_size=6)
    record = train(Watched(), Windows([values], 2, 1), None, sampled, generators())
    # The last one looks whether the loss is finite.
    *seen, _ = seen
    assert record.n_epochs == 3
    assert [len(some) for some in seen] == [4, 2] * 3
    epochs = [set(a) | set(b) for a, b in zip(seen[::2], seen[1::2], strict=True)]
    assert all(len(drawn) == 6 for drawn in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


class Level(nn.Module):
    """Forecasts one learned number."""

    horizon = 1

    def __init__(self, level=0.0):
        super().__init__()
        self.level = nn.Parameter(torch.tensor(level))

    def forward(self, window):
        return self.level.expand(len(window), 1, 1)

    def losses(self, window, target):
        return {"loss_forecast": (self(window) - target).square().mean()}


def test_best_epoch_is_restored_and_epoch_zero_counts():
    # Training rows pull the level up from what the validation rows want.
    values = np.concatenate([np.ones(40), np.zeros(10)]).astype(np.float32)[:, None]
    training, validation = (
        Windows([rows], 2, 1) for rows in split_by_time(values, 2, 1, 0.2)
    )
    network = Level(0.1)
    record = train(network, training, validation, options(), generators())
    assert network.level.item() == pytest.approx(0.1)
    assert len(record.validation_scores) == len(record.loss_curve) + 1 == 3
    assert record.validation_scores[0] == pytest.approx(-0.01)

    network = Level(-1.0)
    record = train(network, training, validation, options(max_epochs=40), generators())
    best = max(record.validation_scores)
    assert -squared_errors(network, validation).mean() == best > -1.0


@pytest.mark.parametrize("required_gain", [0.0, 3.0])
def test_the_start_stays_where_gains_are_chance(required_gain):
    torch.manual_seed(0)
    rng = np.random.default_rng(5)
    parts = [rng.normal(size=(120, 1)) for _ in range(2)]
    # A level of 0.1 has a standard error of 0.09 on 118 windows.
    parts = [np.float32(part - part.mean() + 0.1) for part in parts]
    training, validation = (Windows([part], 2, 1) for part in parts)
    network = Level()
    record = train(
        network,
        training,
        validation,
        options(required_gain=required_gain),
        generators(),
    )
    assert max(record.validation_scores) > record.validation_scores[0]
    assert (network.level.item() == 0) == bool(required_gain)
    # A level of one standard deviation is no chance.
    validation.values += 1.0
    training.values += 1.0
    train(
        network,
        training,
        validation,
        options(required_gain=required_gain),
        generators(),
    )
    assert network.level.item() > 0.2


def test_without_validation_the_last_epoch_stays():
    values = np.ones((40, 1), dtype=np.float32)
    network = Level()
    record = train(network, Windows([values], 2, 1), None, options(), generators())
    assert network.level.item() > 0.05
    assert record.validation_scores == []
    assert len(record.loss_curve) == 5


def test_divergence_warns_and_keeps_finite_weights():
    values = np.full((40, 1), 1e25, dtype=np.float32)
    network = Level()
    with pytest.warns(ConvergenceWarning, match="epoch 1.*lower learning_rate"):
        train(network, Windows([values], 2, 1), None, options(), generators())
    assert network.level.item() == 0.0


def test_the_last_step_may_diverge_as_well():
    """Its loss would be that of the next epoch."""
    windows, network = Windows([np.ones((40, 1), np.float32)], 2, 1), Level()
    wild = options(max_epochs=1, learning_rate=1e30)
    with pytest.warns(ConvergenceWarning, match="weights of epoch 0 are kept"):
        record = train(network, windows, None, wild, generators())
    assert network.level.item() == record.best_epoch == 0


def test_gradients_are_clipped_to_norm_one():
    values = np.full((9, 1), 1e4, dtype=np.float32)
    network, norms = Level(), []
    network.level.register_post_accumulate_grad_hook(
        lambda p: norms.append(p.grad.item())
    )
    seen = []
    step = torch.optim.AdamW.step

    class Spy(torch.optim.AdamW):
        def step(self, closure=None):
            loss = step(self, closure)
            seen.append(network.level.grad.abs().item())
            return loss

    original, torch.optim.AdamW = torch.optim.AdamW, Spy
    try:
        train(
            network, Windows([values], 2, 1), None, options(max_epochs=1), generators()
        )
    finally:
        torch.optim.AdamW = original
    assert abs(norms[0]) > 1e4
    assert seen[0] == pytest.approx(1.0, rel=1e-5)


def test_recursion_beyond_the_horizon():
    class Double(nn.Module):
        horizon = 1

        def __init__(self):
            super().__init__()
            self.register_buffer("factor", torch.tensor(2.0))

        def forward(self, window):
            return self.factor * window[:, -1:]

    past = torch.tensor([[[0.0], [1.0]]])
    assert forecast(Double(), past, 4).flatten().tolist() == [2, 4, 8, 16]


def test_devices():
    assert resolve_device("cpu") == CPU
    assert resolve_device("auto").type in ("cuda", "mps", "cpu")
    for unknown in ("gpu", "cuda:99", 3.5):
        with pytest.raises(ValueError, match="device="):
            resolve_device(unknown)


FORECASTERS = [
    LinearAttentionVAR(lags=3, max_epochs=3, dropout=0.1, random_state=7),
    SAMoVARForecaster(lags=12, horizon=4, max_epochs=2, n_layers=2, random_state=7),
    AarenForecaster(lags=12, horizon=4, max_epochs=2, random_state=7),
]


@pytest.mark.parametrize("forecaster", FORECASTERS, ids=lambda f: type(f).__name__)
def test_refit_is_bit_identical_and_leaves_global_state(forecaster, us_change):
    first = forecaster.clone().fit(us_change)
    torch.rand(5)
    np.random.rand(5)  # noqa: NPY002
    before = (
        torch.get_rng_state(),
        np.random.get_state()[1].copy(),  # noqa: NPY002
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        torch.get_default_dtype(),
    )
    second = forecaster.clone().fit(us_change)
    after = (
        torch.get_rng_state(),
        np.random.get_state()[1],  # noqa: NPY002
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        torch.get_default_dtype(),
    )
    assert torch.equal(before[0], after[0])
    assert (before[1] == after[1]).all()
    assert before[2:] == after[2:]
    one, two = first.network_.state_dict(), second.network_.state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert first.loss_curve_ == second.loss_curve_
    other = forecaster.clone().set_params(random_state=8).fit(us_change)
    assert other.loss_curve_ != first.loss_curve_


@pytest.mark.parametrize("forecaster", FORECASTERS, ids=lambda f: type(f).__name__)
def test_warm_start_continues(forecaster, us_change):
    forecaster = forecaster.clone().set_params(
        warm_start=True, early_stopping=False, max_epochs=1
    )
    forecaster.fit(us_change)
    weights = copy.deepcopy(forecaster.network_.state_dict())
    cold = forecaster.loss_curve_
    forecaster.set_params(max_epochs=0).fit(us_change)
    again = forecaster.network_.state_dict()
    assert all(torch.equal(weights[name], again[name]) for name in weights)
    forecaster.set_params(max_epochs=20).fit(us_change)
    assert forecaster.loss_curve_[-1] < cold[0]
    forecaster.set_params(d_model=16)
    with pytest.raises(ValueError, match="sizes do not fit"):
        forecaster.fit(us_change)


def test_verbose_shows_a_progress_bar(us_change, capsys):
    LinearAttentionVAR(lags=2, max_epochs=1, verbose=1, random_state=0).fit(us_change)
    assert "100%" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells peaks of memory")
@pytest.mark.parametrize("size", ["samovar 100000 64", "linear 200000 16"])
def test_memory_is_bounded_by_the_data(size):
    # A table of all windows would be 96 and 17 times the data.
    script = Path(__file__).parents[1] / "benchmarks" / "memory.py"
    estimator, rows, lags = size.split()
    command = [sys.executable, script, "--estimator", estimator]
    command += ["--rows", rows, "--lags", lags]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    times_the_data = float(done.stdout.split()[-4])
    assert times_the_data < 3.0

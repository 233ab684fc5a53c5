"""One peer of skvar, fitted to the training rows and measured on the test rows.

For an environment without skvar; peers.py starts it. It prints a line of JSON.

    python benchmarks/one_peer.py NHITS task.npz
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import importlib
import json
import resource
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version

import numpy as np


@dataclass(frozen=True)
class Task:
    """A standardised table, the ends of its parts, and what is to be forecast."""

    values: np.ndarray
    training_end: int
    validation_end: int
    season: int
    lags: int
    horizon: int
    stride: int
    seed: int

    @property
    def training(self) -> np.ndarray:
        return self.values[: self.training_end]

    @property
    def ends(self) -> np.ndarray:
        """Numbers of rows before each forecast."""
        last = len(self.values) - self.horizon
        return np.arange(self.validation_end, last + 1, self.stride)

    def save(self, path) -> None:
        np.savez(path, **asdict(self))

    @classmethod
    def load(cls, path) -> "Task":
        with np.load(path) as kept:
            found = {name: kept[name] for name in kept}
        return cls(found.pop("values"), **{name: int(found[name]) for name in found})


# Forecasts of shape (n_windows, horizon, n_series) after `ends`, once they are called.
Forecast = Callable[[], np.ndarray]


def samovar(kind, task: Task) -> Forecast:
    """Stops early by the validation rows, as it does by default."""
    values, lags = task.values, task.lags
    model = kind(task.horizon, lags, seed=task.seed, device="cpu", verbose=0)
    model.fit(task.training, values[task.training_end - lags : task.validation_end])
    windows = np.lib.stride_tricks.sliding_window_view(values, lags, axis=0)
    return lambda: model.predict_windows(windows[task.ends - lags].swapaxes(1, 2))


def neural(kind, task: Task) -> Forecast:
    """Takes a fixed number of steps by default, and so no validation rows."""
    n_series = task.values.shape[1]
    model = kind(
        h=task.horizon,
        input_size=task.lags,
        random_seed=task.seed,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        **({"n_series": n_series} if kind.MULTIVARIATE else {}),
    )
    model.fit(dataset(task.training))

    def forecast() -> np.ndarray:
        model.set_test_size(len(task.values) - task.validation_end)
        found = model.predict(dataset(task.values), step_size=task.stride)
        return np.moveaxis(found.reshape(n_series, -1, task.horizon), 0, 2)

    return forecast


def dataset(values: np.ndarray):
    """A table as neuralforecast's networks take it."""
    import pandas as pd
    from neuralforecast.tsdataset import TimeSeriesDataset

    n_rows, n_series = values.shape
    columns = {
        "unique_id": np.repeat(np.arange(n_series), n_rows),
        "ds": np.tile(np.arange(n_rows), n_series),
        "y": values.T.ravel(),
    }
    return TimeSeriesDataset.from_df(pd.DataFrame(columns))[0]


def statistical(kind, task: Task) -> Forecast:
    """Each series by itself: parameters of the training rows, state of all rows."""
    fitted = [kind(season_length=task.season).fit(y) for y in task.training.T]

    def after(end: int) -> np.ndarray:
        pairs = zip(fitted, task.values[:end].T, strict=True)
        return np.column_stack([m.forward(y, task.horizon)["mean"] for m, y in pairs])

    return lambda: np.array([after(end) for end in task.ends])


@dataclass(frozen=True)
class Peer:
    """Where a class is from, and what fits it."""

    package: str
    module: str
    fit: Callable[[type, Task], Forecast]

    @property
    def is_network(self) -> bool:
        return self.fit is not statistical


# By the name of the class.
PEERS = {
    "SaMoVAR": Peer("samovar-var", "samovar", samovar),
    "iTransformer": Peer("neuralforecast", "neuralforecast.models", neural),
    "NHITS": Peer("neuralforecast", "neuralforecast.models", neural),
    "TSMixer": Peer("neuralforecast", "neuralforecast.models", neural),
    "SeasonalNaive": Peer("statsforecast", "statsforecast.models", statistical),
    "AutoETS": Peer("statsforecast", "statsforecast.models", statistical),
    "AutoTheta": Peer("statsforecast", "statsforecast.models", statistical),
    "MSTL": Peer("statsforecast", "statsforecast.models", statistical),
    "AutoARIMA": Peer("statsforecast", "statsforecast.models", statistical),
}


def measure(task: Task, fit: Callable[[Task], Forecast]) -> dict[str, float]:
    """Errors on all windows, and seconds of processor time, whoever else uses it."""
    start = time.process_time()
    forecast = fit(task)
    fitted = time.process_time()
    forecasts = forecast()
    seconds = time.process_time() - fitted
    return errors(forecasts, task) | {
        "fit_seconds": fitted - start,
        "predict_seconds": seconds,
        "n_windows": len(forecasts),
    }


def errors(forecasts: np.ndarray, task: Task) -> dict[str, float]:
    shape = len(task.ends), task.horizon, task.values.shape[1]
    if forecasts.shape != shape or not np.isfinite(forecasts).all():
        raise ValueError(f"Forecasts are not finite or not of shape {shape}.")
    square = absolute = 0.0
    for forecast, end in zip(forecasts, task.ends, strict=True):
        difference = forecast - task.values[end : end + task.horizon]
        square += np.square(difference).mean()
        absolute += np.abs(difference).mean()
    return {"MSE": square / len(forecasts), "MAE": absolute / len(forecasts)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("task")
    parser.add_argument("--minutes", type=float, default=25, help="at most, of a core")
    arguments = parser.parse_args()
    seconds = round(60 * arguments.minutes)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    peer = PEERS[arguments.peer]
    kind = getattr(importlib.import_module(peer.module), arguments.peer)
    measured = measure(Task.load(arguments.task), lambda task: peer.fit(kind, task))
    print(json.dumps({"package": f"{peer.package} {version(peer.package)}"} | measured))


if __name__ == "__main__":
    main()

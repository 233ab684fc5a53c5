"""Peers of skvar on published tables: the same rows, windows and errors, one core.

The peers are samovar-var, an independent implementation of SAMoVAR, networks of
neuralforecast and models of statsforecast, with their default settings except for the
rows of history and the horizon. They live in a virtual environment of their own, which
is made at the first call, with the versions in peers-requirements.txt. All are fitted
to the training rows; validation rows serve early stopping, if a peer does that. MSE
and MAE are those of standardised series over all windows of the test rows; models of
statsforecast, which are slow to roll, and the closed form once more, forecast after
every 23rd row only, which comes round to all hours of a day. Seconds are those of one
core's time, without imports.

    python benchmarks/peers.py --data ETTh1 --horizons 96 --lags 336
    python benchmarks/peers.py --data Exchange --peers NHITS TSMixer --seeds 0 1 2
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import itertools
import json
import signal
import subprocess
import tempfile
import venv
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pooch
import torch
from direct import AT_HAND, LAGS
from one_peer import PEERS, Forecast, Task, measure

import skvar
from skvar import SAMoVARForecaster
from skvar.datasets import SplitSeries
from skvar.datasets.published import fetch

HERE = Path(__file__).absolute().parent
# Our forecasters by name, with their layers.
OURS = {"SAMoVARForecaster": 1, "SAMoVARForecaster(n_layers=0)": 0}
NETWORKS = {"SAMoVARForecaster", *(name for name in PEERS if PEERS[name].is_network)}
KEYS = ["data", "lags", "horizon", "forecaster", "stride", "seed"]
# What is measured, by its heading in a table.
HEADINGS = {
    "forecaster": "forecaster",
    "package": "package",
    "MSE": "MSE",
    "MAE": "MAE",
    "fit, s": "fit_seconds",
    "forecasts, s": "predict_seconds",
    "windows": "n_windows",
    "stride": "stride",
}
COLUMNS = [*dict.fromkeys([*KEYS, *HEADINGS.values(), "failure"])]


def environment(folder: Path) -> Path:
    """The peers' interpreter, with as many of the requirements as can be installed."""
    requirements, installed = HERE / "peers-requirements.txt", folder / "installed.txt"
    python, wanted = folder / "bin" / "python", requirements.read_text()
    if installed.exists() and installed.read_text() == wanted:
        return python
    venv.create(folder, with_pip=True)
    install = [python, "-m", "pip", "install", "-q", "-c", requirements]
    lines = [line for line in wanted.splitlines() if not line.startswith("#")]
    failed = [line for line in lines if subprocess.run([*install, line]).returncode]
    if not failed:
        installed.write_text(wanted)
    return python


def task_of(data: SplitSeries, lags: int, horizon: int) -> Task:
    values = data.standardised().to_numpy()
    ends = data.training_end, data.validation_end
    return Task(values, *ends, data.season, lags, horizon, stride=1, seed=0)


def runs(name: str, task: Task, seeds: list[int], stride: int) -> list[Task]:
    if name in NETWORKS:
        return [replace(task, seed=seed) for seed in seeds]
    fewer = replace(task, stride=stride)
    return [task, fewer] if name in OURS else [fewer]


def measure_ours(name: str, data: SplitSeries, task: Task) -> dict:
    table, steps = data.standardised(), task.horizon
    forecaster = SAMoVARForecaster(
        task.lags, n_layers=OURS[name], random_state=task.seed
    )

    def fit(task: Task) -> Forecast:
        forecaster.fit(table[: task.training_end], fh=range(1, steps + 1))
        return lambda: np.concatenate(
            [*forecaster.rolling_batches(table, ends=task.ends - 1, steps=steps)]
        )

    return {"package": f"skvar {skvar.__version__}"} | measure(task, fit)


def measure_peer(name: str, python: Path, task: Task, minutes: float) -> dict:
    """What a process of the peers' environment measures, or why it does not."""
    with tempfile.TemporaryDirectory() as folder:
        task.save(Path(folder) / "task.npz")
        command = [python, HERE / "one_peer.py", name, "task.npz"]
        command += ["--minutes", f"{minutes}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if not done.returncode:
        return json.loads(done.stdout.splitlines()[-1])
    said = done.stderr.splitlines()[-1:]
    failure = ": ".join([f"exit code {done.returncode}", *said])
    if done.returncode == -signal.SIGXCPU:
        failure = f"stopped after {minutes:g} minutes"
    return {"package": PEERS[name].package, "failure": failure}


def labels(name: str, data: SplitSeries, task: Task) -> dict:
    return {
        "data": data.name,
        "lags": task.lags,
        "horizon": task.horizon,
        "forecaster": name,
        "stride": task.stride,
        "seed": task.seed if name in NETWORKS else None,
    }


def markdown(results: pd.DataFrame) -> str:
    """Table of results, and after it what failed."""
    failed = results["failure"].notna()
    lines = [[*HEADINGS], ["---"] * 2 + ["---:"] * 6]
    for row in results[~failed].to_dict("records"):
        errors = [f"{row[name]:.3f}" for name in ("MSE", "MAE")]
        seconds = [f"{row[name]:.1f}" for name in ("fit_seconds", "predict_seconds")]
        counts = [f"{row[name]:.0f}" for name in ("n_windows", "stride")]
        lines.append([row["forecaster"], row["package"], *errors, *seconds, *counts])
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    pairs = zip(results["forecaster"][failed], results["failure"][failed], strict=True)
    return table + "".join(f"\n{name}: {failure}.\n" for name, failure in pairs)


def keep(results: pd.DataFrame, path: Path) -> None:
    """Add to a file, in place of what it says of the same."""
    if path.exists():
        kept = pd.read_csv(path, float_precision="round_trip")
        results = pd.concat([kept, results])
    results.drop_duplicates(KEYS, keep="last").to_csv(path, index=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", nargs="+", choices=LAGS, default=AT_HAND)
    parser.add_argument("--horizons", nargs="+", type=int, default=[96])
    parser.add_argument("--lags", type=int)
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=[*PEERS])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--stride", type=int, default=23, help="of statsforecast")
    parser.add_argument("--minutes", type=float, default=25, help="most for a peer")
    parser.add_argument("--environment", type=Path, help="folder for the packages")
    parser.add_argument("--results", type=Path, help="CSV file to add to")
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", "Every series has mean 0 and variance 1")
    python = environment(given.environment or Path(pooch.os_cache("skvar-peers")))
    for table, horizon in itertools.product(given.data, given.horizons):
        data, found = fetch(table), []
        task = task_of(data, given.lags or LAGS[table], horizon)
        for name in [*OURS, *given.peers]:
            for some in runs(name, task, given.seeds, given.stride):
                if name in OURS:
                    measured = measure_ours(name, data, some)
                else:
                    measured = measure_peer(name, python, some, given.minutes)
                found.append(labels(name, data, some) | measured)
                print(*found[-1].values(), flush=True)
        results = pd.DataFrame(found, columns=COLUMNS)
        print(f"\n{table}, {task.lags} lags, {horizon} steps\n\n{markdown(results)}")
        if given.results:
            keep(results, given.results)


if __name__ == "__main__":
    main()

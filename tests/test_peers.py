"""The script that measures peers, without any of them."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skvar import SAMoVARForecaster
from skvar.benchmark import SeasonalNaive, benchmark
from skvar.datasets import SplitSeries, make_var

ROOT = Path(__file__).parents[1]


@pytest.fixture
def one_peer(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("one_peer")


@pytest.fixture
def peers(one_peer):
    return importlib.import_module("peers")


@pytest.fixture(scope="module")
def data():
    series = make_var(200, n_series=2, random_state=0).series
    return SplitSeries("simulated", 5 + 3 * series, 120, 150, 190, season=4)


@pytest.mark.parametrize("stride", [1, 7])
def test_errors_are_those_of_benchmarks(peers, one_peer, data, stride, tmp_path):
    class Season:
        """With the methods of statsforecast's models."""

        def __init__(self, season_length):
            self.season_length = season_length

        def fit(self, y):
            assert len(y) == data.training_end
            return self

        def forward(self, y, h):
            return {"mean": np.resize(y[-self.season_length :], h)}

    [task] = peers.runs("AutoETS", peers.task_of(data, 8, 6), [0], stride)
    task.save(tmp_path / "task.npz")
    task = one_peer.Task.load(tmp_path / "task.npz")
    measured = one_peer.measure(task, lambda task: one_peer.statistical(Season, task))
    [expected] = benchmark(
        {"naive": SeasonalNaive()}, data, 6, stride=stride, verbose=0
    ).itertuples()
    assert measured["n_windows"] == expected.n_windows
    errors = measured["MSE"], measured["MAE"]
    np.testing.assert_allclose(errors, (expected.MSE, expected.MAE), rtol=1e-12)


# Rows that the benchmark standardises are all that is learned from here.
@pytest.mark.filterwarnings("ignore:Every series has mean 0 and variance 1")
def test_ours_learn_from_the_training_rows_alone(peers, data):
    task = peers.task_of(data, 8, 6)
    measured = peers.measure_ours("SAMoVARForecaster(n_layers=0)", data, task)
    table = data.standardised()
    forecaster = SAMoVARForecaster(8, n_layers=0).fit(table[:120], fh=range(1, 7))
    differences = [
        forecaster.predict(table[:end]).to_numpy() - table[end : end + 6]
        for end in range(150, 185)
    ]
    assert measured["n_windows"] == len(differences)
    np.testing.assert_allclose(
        measured["MSE"], np.square(differences).mean(), rtol=1e-5
    )


@pytest.mark.parametrize("wrong", [np.zeros((35, 6, 1)), np.full((35, 6, 2), np.nan)])
def test_wrong_forecasts_are_refused(peers, one_peer, data, wrong):
    with pytest.raises(ValueError, match=r"not finite or not of shape \(35, 6, 2\)"):
        one_peer.errors(wrong, peers.task_of(data, 8, 6))


def test_a_missing_peer_is_told(peers, data):
    task = peers.task_of(data, 8, 6)
    row = peers.measure_peer("NHITS", Path(sys.executable), task, 1)
    assert row["package"] == "neuralforecast"
    assert "No module named 'neuralforecast'" in row["failure"]
    row = peers.labels("NHITS", data, task) | row
    results = pd.DataFrame([row], columns=peers.COLUMNS)
    assert f"\nNHITS: {row['failure']}.\n" in peers.markdown(results)


def test_results_of_the_page_are_those_of_the_file(peers):
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    results = pd.read_csv(ROOT / "docs" / "peers.csv")
    for _, table in results.groupby("data"):
        assert peers.markdown(table) in page


def test_results_replace_those_of_the_same(peers, data, tmp_path):
    path = tmp_path / "results.csv"
    row = peers.labels("AutoETS", data, peers.task_of(data, 8, 6))
    for error in (1.0, 2.0):
        kept = pd.DataFrame([row | {"MSE": error}], columns=peers.COLUMNS)
        peers.keep(kept, path)
    assert pd.read_csv(path)["MSE"].tolist() == [2.0]

"""Published tables and their splits; simulated ones obey the matrices they have."""

import gzip
import hashlib
import io
import sys
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pandas as pd
import pytest
from statsmodels.tsa.api import VAR
from statsmodels.tsa.vector_ar.var_model import VARProcess

from skvar import datasets
from skvar.datasets import (
    make_drifting_var,
    make_switching_var,
    make_var,
    make_var_tasks,
)
from skvar.datasets.published import SOURCES

MAKERS = {
    "static": lambda **k: make_var(order=2, **k),
    "sparse": lambda **k: make_var(n_series=6, density=0.2, **k),
    "structural": lambda **k: make_var(shock_correlation=0.6, intercept=[1, 2, 3], **k),
    "markov": lambda **k: make_switching_var(n_regimes=3, persistence=0.9, **k),
    "threshold": lambda **k: make_switching_var(switch="threshold", order=2, **k),
    "season": lambda **k: make_switching_var(switch="season", n_regimes=4, **k),
    "drift": lambda **k: make_drifting_var(period=100, order=2, **k),
    "walk": lambda **k: make_drifting_var(kind="random_walk", order=2, **k),
}


@pytest.mark.parametrize("name", MAKERS)
def test_rows_follow_from_the_rows_before(name):
    made = MAKERS[name](n_rows=400, noise=0.5, random_state=0)
    values, order = made.series.to_numpy(), made.matrices.shape[1]
    for t in (order, 57, 399):
        expected = made.intercept + sum(
            made.matrices[t, lag] @ values[t - 1 - lag] for lag in range(order)
        )
        np.testing.assert_allclose(made.mean.iloc[t], expected)
    shocks = (made.series - made.mean).to_numpy()
    np.testing.assert_allclose(made.impact @ made.impact.T, made.sigma_u)
    assert (np.triu(made.impact, 1) == 0).all()
    # The error of a variance or covariance over 400 draws is at most 0.07 variances.
    assert np.abs(np.cov(shocks.T) - made.sigma_u).max() < 4 * 0.07 * 0.25


@pytest.mark.parametrize("name", MAKERS)
def test_seeds_decide(name):
    one, same, other = (
        MAKERS[name](n_rows=50, random_state=seed).series for seed in (0, 0, 1)
    )
    assert one.equals(same)
    assert not one.equals(other)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_spectral_radius_is_the_one_asked_for(order):
    made = make_var(10, 4, order, spectral_radius=0.7, random_state=0)
    poles = VARProcess(made.matrices[0], made.intercept, made.sigma_u)
    assert poles.is_stable()
    companion = np.zeros((4 * order, 4 * order))
    companion[:4] = np.hstack(made.matrices[0])
    companion[4:, :-4] = np.eye(4 * order - 4)
    assert np.abs(np.linalg.eigvals(companion)).max() == pytest.approx(0.7)


def test_drift_stays_below_the_radius_and_returns():
    made = make_drifting_var(401, 3, period=200, spectral_radius=0.9, random_state=2)
    radii = np.abs(np.linalg.eigvals(made.matrices[:, 0])).max(axis=1)
    # The largest is found on 129 points of the way.
    assert 0.89 < radii.max() < 0.901
    np.testing.assert_allclose(made.matrices[:201], made.matrices[200:])
    assert np.abs(made.matrices[0] - made.matrices[100]).max() > 0.1


def test_entries_walk_by_themselves_below_the_radius():
    shape = {"kind": "random_walk", "step": 0.02, "random_state": 0}
    made = make_drifting_var(2000, 2, spectral_radius=0.9, **shape)
    radii = np.abs(np.linalg.eigvals(made.matrices[:, 0])).max(axis=1)
    assert radii.max() < 0.9 + 1e-12
    inside = radii[1:] < 0.9 - 1e-12
    steps = np.diff(made.matrices.reshape(2000, 4), axis=0)[inside]
    # Of at least 1000 steps, standard errors are at most 0.03 of a variance.
    assert len(steps) > 1000
    assert np.abs(np.cov(steps.T) / 0.02**2 - np.eye(4)).max() < 0.15


def test_sparse_networks_have_zeros_at_every_lag():
    made = make_var(10, 30, 3, density=0.1, random_state=0)
    linked = made.matrices[0] != 0
    assert (linked == linked[0]).all()
    assert linked[0].diagonal().all()
    off_diagonal = linked[0][~np.eye(30, dtype=bool)]
    # 870 draws with probability 0.1: standard deviation 0.01.
    assert abs(off_diagonal.mean() - 0.1) < 0.04


def test_regimes_switch_as_asked_for():
    markov = make_switching_var(5000, n_regimes=3, persistence=0.95, random_state=0)
    stays = (np.diff(markov.regimes) == 0).mean()
    assert abs(stays - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 5000)
    assert set(markov.regimes) == {0, 1, 2}
    starts = [
        make_switching_var(1, 1, persistence=0.9999, random_state=seed).regimes[0]
        for seed in range(100)
    ]
    assert 0.3 < np.mean(starts) < 0.7
    threshold = make_switching_var(500, switch="threshold", random_state=0)
    first = threshold.series["y0"].to_numpy()
    assert (threshold.regimes[1:] == (first[:-1] > 0)).all()
    season = make_switching_var(9, switch="season", n_regimes=4, random_state=0)
    assert list(season.regimes) == [0, 1, 2, 3, 0, 1, 2, 3, 0]
    for made in (markov, threshold):
        np.testing.assert_array_equal(
            made.matrices[10] == made.matrices[11],
            made.regimes[10] == made.regimes[11],
        )


def test_static_var_is_what_least_squares_finds():
    made = make_var(20_000, 3, 2, intercept=[1, 0, -1], random_state=0)
    fit = VAR(made.series).fit(2)
    z = (
        fit.params.to_numpy()[1:].reshape(2, 3, 3).swapaxes(1, 2) - made.matrices[0]
    ) / (fit.stderr.to_numpy()[1:].reshape(2, 3, 3).swapaxes(1, 2))
    assert np.abs(z).max() < 4


def test_tasks_draw_their_orders():
    tasks = make_var_tasks(40, 30, orders=(3, 4), random_state=0)
    assert {task.matrices.shape[1] for task in tasks} == {3, 4}
    assert {task.series.shape for task in tasks} == {(30, 2)}
    assert not np.allclose(tasks[0].matrices[0][0], tasks[1].matrices[0][0])
    assert tasks[0].sigma_u[0, 0] == pytest.approx(0.05**2)


@pytest.mark.parametrize(
    ("make", "arguments", "named"),
    [
        (make_var, {"n_rows": 0}, "n_rows"),
        (make_var, {"order": 1.5}, "order"),
        (make_var, {"spectral_radius": 1}, "spectral_radius"),
        (make_var, {"density": 2}, "density"),
        (make_var, {"noise": 0}, "noise"),
        (make_var, {"shock_correlation": 1}, "shock_correlation"),
        (make_var, {"intercept": [1, 2]}, "intercept"),
        (make_switching_var, {"switch": "coin"}, "switch"),
        (make_switching_var, {"persistence": 1.2}, "persistence"),
        (make_switching_var, {"n_regimes": 0}, "n_regimes"),
        (make_drifting_var, {"period": 0}, "period"),
        (make_drifting_var, {"kind": "jump"}, "kind"),
        (make_drifting_var, {"step": 0.0}, "step"),
        (make_var_tasks, {"n_tasks": 0}, "n_tasks"),
        (make_var_tasks, {"orders": ()}, "orders"),
    ],
)
def test_bad_arguments_are_named(make, arguments, named):
    with pytest.raises((ValueError, TypeError), match=named):
        make(**arguments)


ENDS = {
    "ETTh1": (17420, 8640, 11520, 14400),
    "ETTm2": (69680, 34560, 46080, 57600),
    "Weather": (52696, 36887, 42157, 52696),
    "Electricity": (26304, 18412, 21044, 26304),
    "Traffic": (17544, 12280, 14036, 17544),
    "Exchange": (7588, 5311, 6071, 7588),
    "ILI": (966, 676, 773, 966),
    "Solar": (52560, 36792, 42048, 52560),
    "PEMS03": (26208, 15724, 20966, 26208),
    "PEMS08": (17856, 10713, 14284, 17856),
}


@pytest.mark.parametrize("name", ENDS)
def test_published_splits(name):
    n_rows, *ends = ENDS[name]
    assert SOURCES[name].ends(n_rows) == tuple(ends)


def test_sources_are_complete():
    assert len(SOURCES) == 14
    for source in SOURCES.values():
        kind, checksum = source.checksum.split(":")
        assert len(bytes.fromhex(checksum)) == {"sha256": 32, "md5": 16}[kind]
        assert source.url.startswith("https://")


def test_published_tables_that_are_there(reference_dir, monkeypatch):
    monkeypatch.setenv("SKVAR_DATA_HOME", str(reference_dir / "data"))
    ett = datasets.fetch_ett()
    raw = np.loadtxt(
        reference_dir / "data" / "ETTh1.csv", str, delimiter=",", skiprows=1
    )
    # The parser of pandas is right to a few units in the last place.
    np.testing.assert_allclose(ett.series, raw[:, 1:].astype(float), rtol=1e-14)
    assert ett.series.index[-1] == pd.Timestamp(str(raw[-1, 0]))
    assert ett.series.index.freq == "h"
    assert ett.training.index[-1] == pd.Timestamp("2017-06-25 23:00")
    assert (len(ett.training), len(ett.validation), len(ett.test)) == (8640, 2880, 2880)
    rates = datasets.fetch_exchange_rate(data_home=reference_dir / "data")
    assert rates.series.shape == (7588, 8)
    assert rates.series.iloc[0, 0] == 0.7855


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A folder served by HTTP, whose files replace the published ones."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    monkeypatch.setenv("SKVAR_DATA_HOME", str(tmp_path / "home"))

    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()

        def serve(name, file, content, checksum=None):
            (folder / file).write_bytes(content)
            found = hashlib.sha256(content).hexdigest()
            source = replace(
                SOURCES[name],
                url=f"http://127.0.0.1:{http.server_port}/{file}?download=1",
                checksum=f"sha256:{checksum or found}",
            )
            monkeypatch.setitem(SOURCES, name, source)
            return folder / file

        yield serve
        http.shutdown()


def test_a_table_is_downloaded_once(server, tmp_path):
    lines = [f"2002-01-{day:02d} 00:00:00,{day},{-day}" for day in range(1, 31)]
    content = "\r\n".join(["date,% ILI,OT", *lines])
    served = server("ILI", "national_illness.csv", content.encode())
    first = datasets.fetch_illness()
    served.unlink()
    second = datasets.fetch_illness()
    pd.testing.assert_frame_equal(first.series, second.series)
    assert first.series.columns.tolist() == ["% ILI", "OT"]
    assert first.series.index.freq == "D"
    assert (first.training_end, first.validation_end, first.test_end) == (21, 24, 30)
    assert (first.name, first.season) == ("ILI", 52)
    assert [path.name for path in (tmp_path / "home").iterdir()] == [
        "national_illness.csv"
    ]


def test_other_files(server):
    numbers = np.arange(60.0).reshape(20, 3)
    text = "\n".join(",".join(map(str, row)) for row in numbers)
    server("Solar", "solar_AL.txt.gz", gzip.compress(text.encode()))
    np.testing.assert_array_equal(datasets.fetch_solar().series, numbers)
    file = io.BytesIO()
    np.savez(file, data=np.stack([numbers, -numbers], axis=-1))
    server("PEMS08", "PEMS08.npz", file.getvalue())
    pems = datasets.fetch_pems("PEMS08")
    np.testing.assert_array_equal(pems.series, numbers)
    assert (pems.training_end, pems.validation_end, pems.season) == (12, 16, 288)
    days = [1, 2, 2, 3, 4, 5, 6, 7, 8, 9]
    text = "\n".join(["date,a", *(f"2020-01-{day:02d},{day}" for day in days)])
    server("Weather", "weather.csv", text.encode())
    weather = datasets.fetch_weather().series
    assert weather.index.equals(pd.RangeIndex(10))
    assert weather["a"].tolist() == days


def test_a_download_with_another_checksum_is_refused(server, tmp_path):
    server("Traffic", "traffic.csv", b"a,b\n1,2\n", checksum="0" * 64)
    with pytest.raises(ValueError, match="hash"):
        datasets.fetch_traffic()
    assert not list((tmp_path / "home").iterdir())


def test_offline(server, tmp_path):
    served = server("Electricity", "electricity.csv", b"a,b\n1,2\n")
    served.unlink()
    with pytest.raises(ConnectionError, match=r"electricity.csv is not there, .* SKV"):
        datasets.fetch_electricity()
    (tmp_path / "home" / "electricity.csv").write_text("partial")
    with pytest.raises(ConnectionError, match=r"electricity.csv has another checksum"):
        datasets.fetch_electricity()
    assert (tmp_path / "home" / "electricity.csv").read_text() == "partial"


def test_pooch_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match="pip install"):
        datasets.fetch_ett()


@pytest.mark.parametrize("fetch", [datasets.fetch_ett, datasets.fetch_pems])
def test_unknown_tables(fetch):
    with pytest.raises(ValueError, match="name must be one of .* not 'Oracle'"):
        fetch("Oracle")


def test_split_series():
    table = pd.DataFrame({"a": np.arange(10.0), "b": 1.0})
    split = datasets.split_series(table, training=0.5, test=0.3)
    assert split.training["a"].tolist() == [0, 1, 2, 3, 4]
    assert split.validation["a"].tolist() == [5, 6]
    assert split.test["a"].tolist() == [7, 8, 9]
    standard = split.standardised()
    np.testing.assert_allclose(standard["a"], (np.arange(10) - 2) / np.sqrt(2))
    assert (standard["b"] == 0).all()
    shorter = datasets.SplitSeries("a", table, 5, 5, 8)
    assert len(shorter.standardised()) == 8
    assert shorter.validation.empty


@pytest.mark.parametrize(
    ("freq", "season"),
    [
        ("15min", 96),
        ("h", 24),
        ("D", 7),
        ("W", 52),
        ("MS", 12),
        ("QS", 4),
        ("YS", 1),
        ("12h", 2),
    ],
)
def test_seasons(freq, season):
    for index in (
        pd.date_range("2001-01-01", periods=30, freq=freq),
        pd.period_range("2001-01-01", periods=30, freq=freq.replace("S", "")),
    ):
        table = pd.DataFrame({"a": np.arange(30.0)}, index)
        assert datasets.split_series(table).season == season
    assert datasets.split_series(table.reset_index(drop=True)).season == 1
    assert datasets.split_series(table, season=3).season == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"training": 0}, "training=0 is not a share"),
        ({"test": 1}, "test=1 is not a share"),
        ({"training": 0.7, "test": 0.5}, "exceed the whole"),
        ({"training": 0.01}, "too few for training=0.01 and test=0.2"),
        ({"test": 0.01}, "20 row.* too few for training=0.7 and test=0.01"),
        ({"season": 0}, "season == 0"),
    ],
)
def test_bad_splits(arguments, message):
    with pytest.raises(ValueError, match=message):
        datasets.split_series(np.arange(20.0), **arguments)


@pytest.mark.parametrize("ends", [(6, 5, 8), (5, 8, 8), (5, 6, 11)])
def test_bounds_out_of_order(ends):
    with pytest.raises(ValueError, match=r"training_end <= validation_end < test_end"):
        datasets.SplitSeries("a", pd.DataFrame({"a": np.arange(10.0)}), *ends)


def test_times_must_run_forward_in_equal_steps():
    table = pd.DataFrame({"a": np.arange(10.0)})
    days = pd.date_range("2020-01-01", periods=10)
    for index in (days[::-1], days.delete(3).append(days[[3]]), [*range(9), 11]):
        with pytest.raises(ValueError, match="time index"):
            datasets.SplitSeries("a", table.set_axis(pd.Index(index)), 5, 6, 9)


def test_values_that_are_missing():
    with pytest.raises(ValueError, match="series holds NaN"):
        datasets.split_series([1.0, np.nan, 2.0])

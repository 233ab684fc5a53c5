"""Benchmarks: errors, baselines, files of results, the command."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from contracts import checks_of_sktime
from filelock import FileLock, Timeout
from sklearn.exceptions import FitFailedWarning
from sktime.forecasting.base import BaseForecaster
from sktime.forecasting.naive import NaiveForecaster
from sktime.transformations.compose import Id
from sktime.utils.estimator_checks import check_estimator
from statsmodels.tsa.api import VAR

from skvar import ITransformerForecaster, LinearAttentionVAR, SAMoVARForecaster
from skvar.benchmark import (
    ClassicalVAR,
    SeasonalNaive,
    baselines,
    benchmark,
    read_results,
    summarise,
)
from skvar.benchmark.__main__ import main, markdown
from skvar.datasets import SplitSeries, make_var, split_series

# sktime announces a default of its next version.
pytestmark = pytest.mark.filterwarnings("ignore:The default of config:FutureWarning")
QUICK = {"max_epochs": 1, "d_model": 8, "n_heads": 2}


@pytest.fixture(scope="module")
def data():
    series = make_var(200, n_series=2, spectral_radius=0.9, random_state=1).series
    return SplitSeries("simulated", 5 + 3 * series, 120, 150, 190, season=4)


def errors_by_hand(forecaster, data, horizon, stride=1, fit_end=150):
    """MSE and MAE of one forecast after the other, in standard deviations."""
    table, unit = data.series, data.series[: data.training_end].std(ddof=0)
    forecaster = forecaster.clone().fit(table[:fit_end], fh=[horizon])
    errors = [
        (forecaster.predict(table[:end]) - table[end : end + horizon]) / unit
        for end in range(data.validation_end, data.test_end - horizon + 1, stride)
    ]
    return np.square(errors).mean(), np.abs(errors).mean(), len(errors)


@pytest.mark.parametrize(
    ("stride", "protocol", "fit_end"),
    [(1, "train-only", 120), (7, "train-only", 120), (7, "train+validation", 150)],
)
def test_errors_are_those_of_every_window(data, stride, protocol, fit_end):
    forecaster = SAMoVARForecaster(6, horizon=3, n_layers=0, random_state=0)
    expected = errors_by_hand(forecaster, data, 3, stride, fit_end)
    table = benchmark(
        {"one": forecaster}, data, 3, protocol=protocol, stride=stride, verbose=0
    )
    [row] = table.itertuples()
    assert row.n_windows == expected[2] == len(range(38)[::stride])
    # The network computes in single precision.
    np.testing.assert_allclose([row.MSE, row.MAE], expected[:2], rtol=1e-5)
    assert (row.data, row.estimator, row.lags, row.horizon) == (
        "simulated",
        "one",
        6,
        3,
    )


def test_a_trained_horizon_is_fed_back(data):
    forecaster = LinearAttentionVAR(2, horizon=1, n_layers=0, alpha=0, random_state=0)
    known = data.standardised()[:120].to_numpy()
    fitted = VAR(known).fit(2)
    values = data.standardised().to_numpy()
    squares = [
        np.square(fitted.forecast(values[:end], 5) - values[end : end + 5]).mean()
        for end in range(150, 186)
    ]
    table = benchmark({"one": forecaster}, data, 5, verbose=0)
    assert table["MSE"].item() == pytest.approx(np.mean(squares), rel=1e-5)


# sktime's own code meets this deprecation of pandas; its series are a straight line.
@pytest.mark.filterwarnings("ignore:Sorting by default when concatenating")
@pytest.mark.filterwarnings("ignore:The design matrix is rank-deficient")
@pytest.mark.parametrize(
    ("obj", "test_name"),
    list(checks_of_sktime([ClassicalVAR, SeasonalNaive], in_full=[SeasonalNaive])),
)
def test_sktime_contract(obj, test_name):
    check_estimator(obj, tests_to_run=test_name, raise_exceptions=True, verbose=False)


@pytest.mark.parametrize("refit", [True, False])
def test_seasonal_naive_is_that_of_sktime(data, refit):
    estimators = {
        "ours": SeasonalNaive(),
        "theirs": NaiveForecaster(sp=4),
        "our last": SeasonalNaive(1),
        "their last": NaiveForecaster(),
    }
    table = benchmark(estimators, data, 6, refit=refit, verbose=0)
    errors = table.set_index("estimator")[["MSE", "MAE", "n_windows"]].astype(float)
    for ours, theirs in (("ours", "theirs"), ("our last", "their last")):
        np.testing.assert_allclose(errors.loc[ours], errors.loc[theirs], rtol=1e-12)
    assert errors["MSE"]["ours"] != errors["MSE"]["our last"]
    assert table["refit"].tolist() == [False, refit, False, refit]


@pytest.mark.parametrize("n_series", [1, 2])
def test_classical_var_is_that_of_statsmodels(n_series):
    made = make_var(300, n_series=n_series, order=3, intercept=1.0, random_state=3)
    table = made.series.to_numpy()
    forecaster = ClassicalVAR(6).fit(table)
    assert 1 <= len(forecaster.matrices_) <= 6
    if n_series > 1:
        theirs = VAR(table).fit(maxlags=6, ic="bic")
        expected = [theirs.forecast(table[:end], 5) for end in (100, 300)]
    else:
        order = len(forecaster.matrices_)
        rows = np.lib.stride_tricks.sliding_window_view(table[:, 0], order + 1)
        design = np.column_stack([np.ones(len(rows)), rows[:, -2::-1]])
        weights = np.linalg.lstsq(design, rows[:, -1], rcond=None)[0]
        expected = []
        for end in (100, 300):
            path = list(table[:end, 0])
            for _ in range(5):
                path.append(weights[0] + weights[1:] @ path[: -order - 1 : -1])
            expected.append(np.array(path[-5:])[:, np.newaxis])
    [ours] = forecaster.rolling_batches(table, ends=np.array([99, 299]), steps=5)
    np.testing.assert_allclose(ours, expected, rtol=1e-8)
    np.testing.assert_allclose(forecaster.predict(range(1, 6)), expected[1], rtol=1e-8)


def test_classical_var_of_noise_is_its_mean():
    table = np.random.default_rng(0).normal(size=(300, 2))
    forecast = ClassicalVAR().fit(table).predict([1, 9])
    np.testing.assert_allclose(forecast, [table.mean(axis=0)] * 2, rtol=1e-8)


def test_data_may_be_any_iterable(data):
    table = benchmark({"a": SeasonalNaive()}, iter([data]), iter([1, 2]), verbose=0)
    assert table["horizon"].tolist() == [1, 2]


def test_baselines_are_four():
    known = baselines(lags=7)
    assert list(known) == ["last value", "seasonal naive", "VAR", "ridge"]
    assert known["ridge"].lags == 7


def test_what_depends_on_the_cell(data):
    estimators = {
        "seeded": SAMoVARForecaster(6, **QUICK, static_path=None),
        "fixed": SAMoVARForecaster(6, **QUICK, random_state=5),
    }
    table = benchmark(estimators, data, [2, 3], seeds=[5, 6], verbose=0)
    assert table["seed"].isna().tolist() == [False, False, True] * 2
    assert table["horizon"].tolist() == [2, 2, 2, 3, 3, 3]
    seeded = estimators["seeded"].clone()
    seeded.set_params(random_state=6, horizon=3, validation_fraction=30 / 150)
    seeded.set_params(retrain=False)
    expected = errors_by_hand(seeded, data, 3)
    found = table.query("horizon == 3 and seed == 6")
    np.testing.assert_allclose(found[["MSE", "MAE"]], [expected[:2]], rtol=1e-5)
    assert estimators["seeded"].random_state is None


class Mean(BaseForecaster):
    """The mean of the rows that it is fitted on, whatever rows it gets afterwards."""

    _tags = {
        "y_inner_mtype": "pd.DataFrame",
        "capability:multivariate": True,
        "requires-fh-in-fit": False,
        "capability:update": True,
    }

    def _fit(self, y, X=None, fh=None):
        self._mean = y.mean()
        return self

    def _predict(self, fh, X=None):
        index = fh.to_absolute_index(self.cutoff)
        return pd.DataFrame([self._mean] * len(index), index, self._mean.index)


@pytest.mark.parametrize("protocol", ["train-only", "train+validation"])
@pytest.mark.parametrize("refit", [False, True])
def test_protocols_say_what_is_estimated_on(data, protocol, refit):
    rows = data.standardised().to_numpy()
    n_fitted = 120 if protocol == "train-only" else 150
    squares = [
        (rows[end : end + 2] - rows[: end if refit else n_fitted].mean(axis=0)) ** 2
        for end in range(150, 189)
    ]
    options = {"protocol": protocol, "refit": refit, "verbose": 0}
    table = benchmark({"mean": Mean()}, data, 2, **options)
    assert table["MSE"].item() == pytest.approx(np.mean(squares), rel=1e-12)
    assert table["protocol"].tolist() == [protocol]


# Without early stopping or retrain, nothing else keeps validation rows out.
@pytest.mark.parametrize(
    "forecaster",
    [
        SAMoVARForecaster(6, n_layers=0, early_stopping=False),
        LinearAttentionVAR(2, n_layers=0),
    ],
    ids=lambda forecaster: type(forecaster).__name__,
)
def test_validation_rows_that_cannot_be_held_out_are_left_out(data, forecaster):
    expected, _, _ = errors_by_hand(forecaster, data, 3, fit_end=120)
    table = benchmark({"one": forecaster}, data, 3, seeds=[0], verbose=0)
    assert table["MSE"].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("protocol", ["train-only", "train+validation"])
def test_protocols_reach_forecasters_in_pipelines(data, protocol):
    ours = SAMoVARForecaster(6, **QUICK, random_state=0)
    estimators = {"alone": ours, "nested": Id() * ours}
    options = {"protocol": protocol, "refit": False, "stride": 9, "verbose": 0}
    alone, nested = benchmark(estimators, data, 2, **options)["MSE"]
    assert nested == pytest.approx(alone, rel=1e-5)


def test_what_is_fitted_anew_does_not_depend_on_protocols(data):
    forecaster = Id() * SAMoVARForecaster(6, n_layers=0, random_state=0)
    tables = [
        benchmark({"one": forecaster}, data, 2, protocol=protocol, stride=9, verbose=0)
        for protocol in ("train-only", "train+validation")
    ]
    assert tables[0]["MSE"].equals(tables[1]["MSE"])


def test_protocols_agree_without_validation_rows(data):
    data = SplitSeries("none held out", data.series, 150, 150, 190)
    forecaster = SAMoVARForecaster(6, **QUICK, random_state=0)
    tables = [
        benchmark({"one": forecaster}, data, 2, protocol=protocol, verbose=0)
        for protocol in ("train-only", "train+validation")
    ]
    assert tables[0]["MSE"].equals(tables[1]["MSE"])


def test_parameters_are_counted(data):
    estimators = {
        "ridge": SAMoVARForecaster(6, n_layers=0, static_path="ridge"),
        "by VAR": SAMoVARForecaster(6, n_layers=0, static_path="var", alpha=0),
        "VAR": LinearAttentionVAR(3, n_layers=0),
        "network": ITransformerForecaster(6, **QUICK, early_stopping=False),
        "mix": ITransformerForecaster(
            6, **QUICK, early_stopping=False, static_path="ridge"
        ),
        "naive": SeasonalNaive(),
        "classical": ClassicalVAR(),
        "of sktime": NaiveForecaster(),
    }
    table = benchmark(estimators, data, 5, seeds=[0], stride=9, verbose=0)
    classical = ClassicalVAR().fit(data.standardised()[:120])
    count = table.set_index("estimator")["n_parameters"]
    network = estimators["network"].clone().set_params(horizon=5).fit(data.series)
    expected = sum(p.numel() for p in network.network_.parameters())
    # These two series have a matrix each.
    ridge = estimators["ridge"].clone().set_params(horizon=5)
    assert len(ridge.fit(data.series[:120]).network_.matrices) == 2
    assert count["ridge"] == 2 * 5 * 6
    assert count["by VAR"] == 2 * (4 * 2 + 1)
    assert count["VAR"] == 2 * (3 * 2 + 1)
    assert count["network"] == expected
    assert count["mix"] == expected + 2 * 5 * 6
    assert count["naive"] == 0
    assert count["classical"] == 2 * (2 * len(classical.matrices_) + 1)
    assert pd.isna(count["of sktime"])


def test_results_do_not_depend_on_order_or_processes(data):
    estimators = {
        "a": SAMoVARForecaster(6, **QUICK, retrain=False),
        "b": ITransformerForecaster(6, **QUICK, retrain=False),
    }
    measured = ["data", "estimator", "horizon", "seed", "MSE", "MAE"]
    one = benchmark(estimators, data, [2, 3], seeds=[0, 1], verbose=0)[measured]
    back = dict(reversed(estimators.items()))
    other = benchmark(back, data, [3, 2], seeds=[1, 0], n_jobs=2, verbose=0)[measured]
    order = ["horizon", "estimator", "seed"]
    pd.testing.assert_frame_equal(
        one.sort_values(order, ignore_index=True),
        other.sort_values(order, ignore_index=True),
    )


class Logged(SeasonalNaive):
    """Writes a line to a file at every fit."""

    def __init__(self, log, season=None):
        self.log = log
        super().__init__(season)

    def _estimate(self, values):
        with open(self.log, "a") as file:
            file.write("fit\n")
        super()._estimate(values)

    @property
    def n_fits(self):
        return Path(self.log).read_text().count("fit")


def test_results_in_the_file_are_not_run_again(data, tmp_path):
    path, logged = tmp_path / "new" / "results.csv", Logged(str(tmp_path / "log"))
    whole = benchmark({"a": logged}, data, [1, 2], results=path, verbose=0)
    assert logged.n_fits == 2
    more = {"a": logged, "b": SeasonalNaive(1)}
    table = benchmark(more, data, [2, 1, 3], results=path, verbose=0)
    assert logged.n_fits == 3
    assert table["horizon"].tolist() == [2, 2, 1, 1, 3, 3]
    again = table.query("estimator == 'a' and horizon < 3").sort_values("horizon")
    # Also seconds are those of the first run, to the last bit.
    assert again.reset_index(drop=True).equals(whole)


def test_other_settings_and_data_are_other_cells(data, tmp_path):
    path, logged = tmp_path / "results.csv", Logged(str(tmp_path / "log"))
    benchmark({"a": logged}, data, 1, results=path, verbose=0)
    other = logged.clone().set_params(season=2)
    table = benchmark({"a": other}, data, 1, results=path, verbose=0)
    assert logged.n_fits == 2
    assert len(table) == 1
    moved = SplitSeries("simulated", data.series + 1e-9, 120, 150, 190, season=4)
    longer = SplitSeries("simulated", data.series, 120, 150, 195, season=4)
    for changed in (moved, longer):
        benchmark({"a": logged}, changed, 1, results=path, verbose=0)
    benchmark({"a": logged}, data, 1, stride=2, results=path, verbose=0)
    assert logged.n_fits == 5
    assert len(pd.read_csv(path)) == 5
    benchmark({"a": logged}, data, 1, results=path, verbose=0)
    assert logged.n_fits == 5


def test_files_without_protocols_are_of_both_parts(data, tmp_path):
    path, logged = tmp_path / "results.csv", Logged(str(tmp_path / "log"))
    options = {"results": path, "verbose": 0}
    both = benchmark({"a": logged}, data, 1, protocol="train+validation", **options)
    pd.read_csv(path, dtype=str).drop(columns="protocol").to_csv(path, index=False)
    pd.testing.assert_frame_equal(read_results(path), both)
    benchmark({"a": logged}, data, 1, protocol="train+validation", **options)
    assert logged.n_fits == 1
    benchmark({"a": logged}, data, 1, **options)
    assert logged.n_fits == 2
    kept = read_results(path)
    assert kept["protocol"].tolist() == ["train+validation", "train-only"]
    assert kept[:1].equals(both)
    with pytest.raises(ValueError, match=r"do not compare; pass results\[results"):
        summarise(kept)


def test_a_failure_costs_one_cell(data, tmp_path):
    path = tmp_path / "results.csv"
    estimators = {"long": SAMoVARForecaster(500), "short": SeasonalNaive()}
    with pytest.warns(FitFailedWarning, match="long failed on simulated at horizon 2"):
        table = benchmark(estimators, data, 2, seeds=[0], results=path, verbose=0)
    assert table["MSE"].isna().tolist() == [True, False]
    assert pd.read_csv(path)["estimator"].tolist() == ["short"]
    assert summarise(table)["simulated", "mean"].isna().tolist() == [True, False]


def test_a_second_writer_is_refused(data, tmp_path):
    path = tmp_path / "results.csv"
    with FileLock(f"{path}.lock"), pytest.raises(Timeout):
        benchmark({"a": SeasonalNaive()}, data, 1, results=path, verbose=0)
    benchmark({"a": SeasonalNaive()}, data, 1, results=path, verbose=0)


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n"])
def test_a_file_of_others_is_left_alone(data, tmp_path, content):
    path = tmp_path / "results.csv"
    path.write_text(content)
    with pytest.raises(ValueError, match="does not hold the columns of a benchmark"):
        benchmark({"a": SeasonalNaive()}, data, 1, results=path, verbose=0)
    assert path.read_text() == content


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"estimators": {}}, TypeError, "estimators is {}; pass a dictionary"),
        ({"estimators": {"a": SeasonalNaive}}, TypeError, r"estimators\['a'\] is <cl"),
        ({"estimators": [SeasonalNaive()]}, TypeError, r"estimators is \[Seasonal"),
        ({"estimators": {1: SeasonalNaive()}}, ValueError, "has the name 1"),
        ({"estimators": {"a\n": SeasonalNaive()}}, ValueError, "has the name"),
        ({"data": []}, ValueError, "data is empty or holds something twice"),
        ({"data": pd.DataFrame({"a": [1.0]})}, TypeError, "data is or holds a DataFra"),
        ({"data": ["ETTh1"]}, TypeError, "data is or holds a str"),
        ({"data": None}, TypeError, "data is or holds a NoneType"),
        ({"horizons": []}, ValueError, "horizons is empty"),
        ({"horizons": [1, 1]}, ValueError, "horizons is empty or holds something tw"),
        ({"horizons": 41}, ValueError, r"from 1 to 40 \(the test rows of simulated\)"),
        ({"horizons": 0}, ValueError, "horizons must be from 1 to 40"),
        ({"horizons": 1.5}, TypeError, "horizons must be whole numbers, not 1.5"),
        ({"seeds": [-1]}, ValueError, "seeds must be from 0 to 4294967295, not -1"),
        ({"seeds": []}, ValueError, "seeds is empty"),
        ({"seeds": [1, 1]}, ValueError, "seeds is empty or holds something twice"),
        ({"protocol": "test"}, ValueError, "protocol must be one of .* not 'test'"),
        ({"stride": 0}, ValueError, "stride == 0, must be >= 1"),
    ],
)
def test_bad_arguments(data, changed, error, message):
    given = {"estimators": {"a": SeasonalNaive()}, "data": data, "horizons": 1}
    with pytest.raises(error, match=message):
        benchmark(**(given | changed), verbose=0)


CELLS = """
from skvar.benchmark import SeasonalNaive
from skvar.datasets import make_var, split_series

cells = {
    "estimators": {f"s{season}": SeasonalNaive(season) for season in (1, 2, 3)},
    "data": split_series(make_var(200, n_series=2, random_state=0).series),
    "horizons": [1, 2],
}
"""
N_CELLS = 6
KILLED = """
import os, shutil, signal, sys
from skvar.benchmark import benchmark, results, running

measure, replace, fsync = running._measure, os.replace, os.fsync

def run(when, left):
    def strike(now):
        nonlocal left
        if now == when:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def logged_measure(cell):
        strike("before a cell")
        with open("log", "a") as file:
            file.write(cell.estimator + " " + str(cell.horizon) + "\\n")
        row = measure(cell)
        strike("after a cell")
        return row

    def deadly_replace(*names):
        strike("before the new file")
        replace(*names)
        strike("with the new file")

    def deadly_fsync(file):
        if when == "with half a file" and left == 1:
            os.ftruncate(file, os.fstat(file).st_size // 2)
        strike("with half a file")
        fsync(file)

    running._measure = logged_measure
    results.os.replace, results.os.fsync = deadly_replace, deadly_fsync
    benchmark(**cells, results="results.csv", verbose=0)

def in_child(*arguments):
    child = os.fork()
    if not child:
        try:
            run(*arguments)
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

for when, count in zip(sys.argv[1::2], sys.argv[2::2]):
    os.makedirs(when)
    os.chdir(when)
    assert in_child(when, int(count)) == -signal.SIGKILL
    if os.path.exists("results.csv"):
        shutil.copy("results.csv", "before.csv")
    assert in_child("never", 0) == 0
    os.chdir("..")
"""
KILLS = {
    "before a cell": 1,
    "after a cell": 3,
    "with half a file": 4,
    "before the new file": 1,
    "with the new file": 5,
}


@pytest.fixture(scope="module")
def killed_and_run_again(tmp_path_factory):
    """Folders of benchmarks, by when they were killed."""
    folder = tmp_path_factory.mktemp("killed")
    arguments = [str(word) for kill in KILLS.items() for word in kill]
    code = [sys.executable, "-c", CELLS + KILLED, *arguments]
    subprocess.run(code, cwd=folder, check=True)
    return folder


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("when", KILLS)
def test_a_killed_benchmark_loses_the_running_cell_at_most(when, killed_and_run_again):
    folder = killed_and_run_again / when
    path, earlier = folder / "results.csv", folder / "before.csv"
    before = pd.read_csv(earlier, dtype=str) if earlier.exists() else pd.DataFrame()
    assert len(before) == KILLS[when] - (when != "with the new file")
    after = pd.read_csv(path, dtype=str)
    assert len(after) == N_CELLS
    assert not after.duplicated(["estimator", "horizon"]).any()
    assert after[: len(before)].equals(before) or not len(before)
    runs = pd.Series((folder / "log").read_text().split("\n")[:-1])
    assert runs.nunique() == N_CELLS
    assert len(runs) <= N_CELLS + 1
    names = {}
    exec(CELLS, names)
    table = benchmark(**names["cells"], results=path, verbose=0)
    fresh = benchmark(**names["cells"], verbose=0)
    assert table[["MSE", "MAE"]].equals(fresh[["MSE", "MAE"]])


def test_summaries(data):
    table = benchmark(
        {"a": SAMoVARForecaster(6, **QUICK), "b": SeasonalNaive()},
        data,
        [1, 3],
        seeds=[0, 1],
        verbose=0,
    )
    means = summarise(table, "MAE")
    of_a = table[table["estimator"] == "a"].set_index("horizon")["MAE"]
    expected = [of_a[1].mean(), of_a[3].mean(), of_a.mean()]
    np.testing.assert_allclose(means.loc["a"], expected)
    assert means.index.tolist() == ["a", "b"]
    failed = table.assign(MAE=table["MAE"].where(table["seed"].fillna(0) == 0))
    lacking = summarise(failed, "MAE")
    assert lacking.isna().to_numpy().tolist() == [[True] * 3, [False] * 3]
    lines = markdown(table, "MAE").splitlines()
    assert lines[0].split("|")[2].strip() == "simulated 1"
    first = lines[2].split("|")[2].strip()
    assert first == f"{of_a[1].mean():.3f} ± {of_a[1].std():.3f}"
    assert "±" not in lines[3]


def test_command_on_a_file(tmp_path, monkeypatch, capsys, us_change):
    monkeypatch.chdir(tmp_path)
    us_change.to_csv("mine.csv", index=False)
    arguments = "--data mine.csv --horizons 4 8 --lags 8 --max-epochs 1 --seeds 1"
    arguments += " --protocol train+validation"
    chosen = ["VAR", "LinearAttentionVAR(lags=4)", "SAMoVARForecaster"]
    other = "sktime.forecasting.naive.NaiveForecaster(strategy='last', sp=2)"
    main([*arguments.split(), "--estimators", *chosen, other])
    printed = capsys.readouterr().out
    assert "mine mean" in printed
    assert all(f"| {name} " in printed for name in [*chosen, other])
    table = pd.read_csv("benchmark.csv")
    assert "Protocol: train+validation" in printed
    assert set(table["protocol"]) == {"train+validation"}
    assert table["lags"].tolist()[1::4] == [4, 4]
    assert "max_epochs=1" in table["settings"][2]
    assert "sp=2" in table["settings"][3]
    assert Path("benchmark.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere.csv"], "neither a file nor one of ETTh1, "),
        (["--estimators", "Forecaster"], "'Forecaster' is not understood"),
        (["--estimators", "SAMoVARForecaster(8)"], "parameters as 'name=value'"),
        (["--estimators", "SAMoVARForecaster(depth=2)"], "depth"),
        (["--estimators", "SAMoVARForecaster(lags="], "is not understood"),
        (["--estimators", "sktime.nothing.Forecaster"], "No module named"),
        (["--estimators", "rolling_score"], "is not understood"),
        (["--estimators", "os.getcwd"], "getcwd is not the class of a forecaster"),
        (["--estimators", "sklearn.dummy.DummyClassifier"], "is not the class of a f"),
        (["--horizons", "9999"], "horizons"),
        (["--lags", "0"], "lags"),
    ],
)
def test_command_says_what_is_wrong(
    arguments, message, tmp_path, monkeypatch, capsys, us_change
):
    monkeypatch.chdir(tmp_path)
    us_change.to_timestamp().to_csv("mine.csv")
    with pytest.raises(SystemExit):
        main(["--data", "mine.csv", *arguments])
    assert message in capsys.readouterr().err


def test_command_reruns_a_small_table(reference_dir, tmp_path):
    """One horizon, one epoch, every forecaster, on real data."""
    table = pd.read_csv(reference_dir / "data" / "ETTh1.csv", index_col=0)[:1200]
    table.to_csv(tmp_path / "hours.csv")
    arguments = "--data hours.csv --horizons 24 --lags 24 --max-epochs 1 --seeds 1"
    done = subprocess.run(
        [sys.executable, "-m", "skvar.benchmark", *arguments.split(), "--stride", "24"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    results = pd.read_csv(tmp_path / "benchmark.csv").set_index("estimator")
    assert len(results) == 10
    assert all(f"| {name} " in done.stdout for name in results.index)
    # Shares of 70 and 20 percent.
    values = table.to_numpy()
    values = (values - values[:840].mean(axis=0)) / values[:840].std(axis=0)
    ends = range(960, 1200 - 23, 24)
    naive = [values[end - 24 : end] - values[end : end + 24] for end in ends]
    assert results["n_windows"].eq(len(naive)).all()
    assert results["MSE"]["seasonal naive"] == pytest.approx(np.square(naive).mean())
    assert results["MSE"]["ridge"] < results["MSE"]["seasonal naive"]
    assert np.isfinite(results["MSE"]).all()


class Swapped(NaiveForecaster):
    """Returns columns in another order, or fewer, or a row alone, or infinity."""

    _tags = {"y_inner_mtype": "pd.DataFrame", "capability:multivariate": True}

    def __init__(self, how="order"):
        self.how = how
        super().__init__()

    def _predict(self, fh, X=None):
        index = fh.to_absolute_index(self.cutoff)
        values = np.repeat(self._last.to_numpy(), len(fh), axis=0)
        frame = pd.DataFrame(values, index, self._last.columns)
        changed = {
            "order": frame.iloc[:, ::-1],
            "fewer": frame.iloc[:, :1],
            "row": frame.iloc[:1],
            "infinite": frame * np.inf,
        }
        return changed[self.how]

    def _fit(self, y, X=None, fh=None):
        self._last = y.iloc[-1:]
        return self


def test_forecasts_are_told_by_their_columns(data):
    kinds = ("order", "fewer", "row", "infinite")
    estimators = {how: Swapped(how) for how in kinds}
    with pytest.warns(FitFailedWarning) as warned:
        table = benchmark(
            {"last": SeasonalNaive(1), **estimators}, data, 2, stride=9, verbose=0
        )
    messages = [str(warning.message) for warning in warned]
    assert [message.split()[0] for message in messages] == list(kinds[1:])
    assert "infinite failed on simulated at horizon 2, seed None: Val" in messages[2]
    errors = table.set_index("estimator")["MSE"]
    assert errors["order"] == pytest.approx(errors["last"], rel=1e-12)
    assert errors[list(kinds[1:])].isna().all()


class Static(NaiveForecaster):
    """Takes in new rows by a fit only."""

    _tags = {"capability:update": False}


def test_who_takes_in_no_rows_must_be_fitted_anew(data):
    with pytest.raises(ValueError, match=r"estimators\['a'\] takes in new rows by a"):
        benchmark({"a": Static()}, data, 1, refit=False, verbose=0)


class Unpicklable(Exception):
    def __init__(self, a, b):
        super().__init__(a)


class Failing(SeasonalNaive):
    def _estimate(self, values):
        raise Unpicklable("no", "way")


class Reordering(SeasonalNaive):
    """Has a parameter whose text is another one in every process."""

    def __init__(self, parameter=None, season=None):
        self.parameter = parameter
        super().__init__(season)


def test_cells_in_other_processes(data, tmp_path):
    path = tmp_path / "results.csv"
    estimators = {
        "a": Reordering(np.random.RandomState(0)),
        "b": Failing(),
        "c": SeasonalNaive(),
    }
    for _ in range(2):
        with pytest.warns(FitFailedWarning, match=r"b failed .* Unpicklable: no"):
            table = benchmark(
                estimators, data, [1, 2], results=path, n_jobs=2, verbose=0
            )
        assert table["MSE"].isna().tolist() == [False, True, False] * 2
        assert len(read_results(path)) == 4


def test_long_parameters_tell_cells_apart(data, tmp_path):
    path = tmp_path / "results.csv"
    for season, last in enumerate((39, 99), start=1):
        forecaster = Reordering([*range(39), last], season)
        table = benchmark({"a": forecaster}, data, 1, results=path, verbose=0)
    assert read_results(path)["MSE"].nunique() == 2
    assert read_results(path).iloc[1:].reset_index(drop=True).equals(table)
    with pytest.raises(TypeError, match=r"estimators\['a'\] has a parameter that can"):
        benchmark({"a": Reordering(lambda x: x)}, data, 1, verbose=0)


@pytest.mark.parametrize("name", ["a,b", '"quoted"', "nan", "NA", " a ", "ü", "1.0"])
def test_names_survive_the_file(name, tmp_path):
    made = make_var(60, n_series=2, random_state=0).series
    data, path = split_series(made, name, season=3), tmp_path / "results.csv"
    for _ in range(2):
        table = benchmark({name: SeasonalNaive()}, data, 1, results=path, verbose=0)
        assert read_results(path).equals(table)
    assert table["estimator"].tolist() == table["data"].tolist() == [name]


def test_a_link_stays_a_link(data, tmp_path):
    link, path = tmp_path / "link.csv", tmp_path / "results.csv"
    link.symlink_to(path)
    benchmark({"a": SeasonalNaive()}, data, 1, results=link, verbose=0)
    assert link.is_symlink()
    assert len(read_results(path)) == 1


@pytest.mark.parametrize(
    ("forecaster", "message"),
    [
        (SeasonalNaive(-1), "season == -1, must be >= 1"),
        (SeasonalNaive(0), "season == 0, must be >= 1"),
        (ClassicalVAR(0), "max_lags == 0, must be >= 1"),
        (SeasonalNaive(21), "fewer than season=21"),
    ],
)
def test_bad_parameters_of_baselines(forecaster, message):
    with pytest.raises(ValueError, match=message):
        forecaster.fit(np.arange(20.0))


def test_classical_var_of_few_rows_and_constant_series():
    table = make_var(30, n_series=3, random_state=0).series.to_numpy().copy()
    table[:, 1] = 7.0
    fitted = ClassicalVAR().fit(table)
    order = len(fitted.matrices_)
    theirs = VAR(table[:, ::2]).fit(order)
    np.testing.assert_allclose(
        fitted.predict([1, 2, 3])[:, ::2], theirs.forecast(table[:, ::2], 3)
    )
    assert (fitted.predict([1, 2, 3])[:, 1] == 7).all()
    assert ClassicalVAR().fit(np.full((30, 2), 3.0)).predict([9]).tolist() == [[3, 3]]


def test_command_fails_if_a_cell_does(tmp_path, monkeypatch, capsys, us_change):
    monkeypatch.chdir(tmp_path)
    us_change.to_csv("mine.csv", index=False)
    arguments = ["--data", "mine.csv", "--horizons", "2", "--estimators", "VAR"]
    with pytest.warns(FitFailedWarning), pytest.raises(SystemExit) as exit:
        main([*arguments, "SAMoVARForecaster(lags=500)"])
    assert exit.value.code == 1
    assert "| nan" in capsys.readouterr().out
    assert Path("benchmark.png").exists()
    with pytest.raises(SystemExit):
        main([*arguments, "--results", "mine.png"])
    assert "name of the picture" in capsys.readouterr().err

"""Boards: scaled quantile loss and MASE by their definitions and as published."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import mean_absolute_error, mean_pinball_loss
from sktime.forecasting.base import BaseForecaster

from skvar import LinearAttentionVAR
from skvar.benchmark import ClassicalVAR, SeasonalNaive, Task, board
from skvar.benchmark.__main__ import main

# sktime announces a default of its next version.
pytestmark = pytest.mark.filterwarnings("ignore:The default of config:FutureWarning")
LEVELS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


class Spread(BaseForecaster):
    """The last season again; quantiles of a normal distribution around it.

    Its width is that of seasonal differences in the last rows, and grows with the root
    of the number of seasons ahead.
    """

    _tags = {
        "y_inner_mtype": "pd.DataFrame",
        "capability:multivariate": True,
        "capability:pred_int": True,
        "requires-fh-in-fit": False,
    }

    def __init__(self, season=None, n_rows=1000, fault=None):
        self.season = season
        self.n_rows = n_rows
        self.fault = fault
        super().__init__()

    def _fit(self, y, X=None, fh=None):
        if self.fault == "fit" or X is not None:
            raise RuntimeError("out of order")
        recent = y[-self.n_rows :].to_numpy()
        self._last = recent[-self.season :]
        differences = recent[self.season :] - recent[: -self.season]
        self._width = np.sqrt(np.nanmean(differences**2, axis=0))
        self._columns = y.columns
        return self

    def _predict(self, fh, X=None):
        index, steps = self._steps(fh)
        values = self._last[(steps - 1) % self.season]
        if self.fault == "infinite":
            values = values * np.inf
        return pd.DataFrame(values, index, self._columns).iloc[:, ::-1]

    def _predict_quantiles(self, fh, X, alpha):
        if self.fault == "quantiles":
            raise TypeError("no simulate_kwargs")
        if self.fault == "not implemented":
            raise NotImplementedError
        index, steps = self._steps(fh)
        width = np.sqrt((steps - 1) // self.season + 1)[:, np.newaxis] * self._width
        centre = self._last[(steps - 1) % self.season]
        values = centre[..., np.newaxis] + width[..., np.newaxis] * norm.ppf(alpha)
        columns = pd.MultiIndex.from_product([self._columns, alpha])
        frame = pd.DataFrame(values.reshape(len(steps), -1), index, columns)
        # Columns of several variables come in any order.
        return frame[[*self._columns[::-1]]]

    def _steps(self, fh):
        relative = fh.to_relative(self.cutoff).to_numpy().astype(int)
        return fh.to_absolute_index(self.cutoff), relative


class Constant(BaseForecaster):
    """One value, that of the seed, whatever is missing."""

    _tags = {
        "y_inner_mtype": "pd.DataFrame",
        "capability:multivariate": True,
        "capability:missing_values": True,
        "requires-fh-in-fit": False,
    }

    def __init__(self, random_state=None):
        self.random_state = random_state
        super().__init__()

    def _fit(self, y, X=None, fh=None):
        self._columns = y.columns
        return self

    def _predict(self, fh, X=None):
        index = fh.to_absolute_index(self.cutoff)
        return pd.DataFrame(float(self.random_state), index, self._columns)


def scored(estimators, tasks, **options):
    return board(estimators, tasks, verbose=0, **options)


def test_a_straight_line():
    # Errors are 1 and 2, and so is a difference over two rows.
    line = pd.Series(np.arange(12.0), name="line")
    last = scored({"last": SeasonalNaive(1)}, {"line": Task(line, 2, 3, season=2)})
    assert last.drop(columns="seconds").to_numpy().tolist() == [
        ["line", "last", 0.75, 0.75, 3]
    ]
    assert list(last) == ["task", "estimator", "SQL", "MASE", "seconds", "n_windows"]
    # The width of its quantiles is 1 at first, as all differences are 1.
    wide = scored({"wide": Spread(1)}, {"line": Task(line, 1)})
    losses = [
        2 * max(level * (1 - norm.ppf(level)), (level - 1) * (1 - norm.ppf(level)))
        for level in LEVELS
    ]
    assert wide["SQL"].item() == pytest.approx(np.mean(losses), rel=1e-12)
    assert wide["MASE"].item() == 1


def by_hand(table, horizon, n_windows, season, sp):
    """SQL and MASE of the quantiles of `Spread`, one series and window at a time."""
    found = []
    for window in range(n_windows):
        end = len(table) - (n_windows - window) * horizon
        for values in table.to_numpy().T:
            past, truth = values[:end], values[end : end + horizon]
            scale = np.mean(
                [abs(past[i] - past[i - season]) for i in range(season, end)]
            )
            width = np.sqrt(
                np.mean([(past[i] - past[i - sp]) ** 2 for i in range(sp, end)])
            )
            steps = np.arange(horizon)
            centre = past[end - sp + steps % sp]
            losses = [
                2
                * mean_pinball_loss(
                    truth,
                    centre + norm.ppf(level) * width * np.sqrt(steps // sp + 1),
                    alpha=level,
                )
                for level in LEVELS
            ]
            found.append(
                [np.mean(losses) / scale, mean_absolute_error(truth, centre) / scale]
            )
    return np.mean(found, axis=0)


@pytest.fixture(scope="module")
def walks():
    steps = np.random.default_rng(0).normal(size=(60, 3)) * [1, 10, 100]
    return pd.DataFrame(steps.cumsum(axis=0), columns=["c", "a", "b"])


@pytest.mark.parametrize(
    ("horizon", "n_windows", "season", "sp"),
    [(1, 1, 1, 1), (5, 4, 1, 1), (6, 3, 7, 4), (9, 6, 5, 2)],
)
def test_figures_are_those_of_the_definitions(walks, horizon, n_windows, season, sp):
    expected = by_hand(walks, horizon, n_windows, season, sp)
    tasks = {"walks": Task(walks, horizon, n_windows, season)}
    table = scored({"one": Spread(sp)}, tasks)
    np.testing.assert_allclose(table[["SQL", "MASE"]], [expected], rtol=1e-12)
    assert table["n_windows"].tolist() == [n_windows]


def test_missing_values_and_still_series_are_left_out(walks):
    expected = by_hand(walks[["c"]], 5, 2, 1, 1)
    still = walks.assign(still=[1.0] * 55 + [9.0] * 5, unknown=walks["a"])
    still.loc[50:, "unknown"] = np.nan
    found = scored({"last": Spread(1)}, {"walks": Task(still[["c", "still"]], 5, 2)})
    assert found["MASE"].item() == pytest.approx(expected[1], rel=1e-12)
    tasks = {"gaps": Task(still[["c", "unknown"]], 5, 2)}
    zero = {"zero": Constant(0)}
    scale = [walks["c"][:end].diff().abs().mean() for end in (50, 55)]
    sizes = [walks["c"][end : end + 5].abs().mean() for end in (50, 55)]
    expected = np.mean(np.divide(sizes, scale))
    assert scored(zero, tasks)["MASE"].item() == pytest.approx(expected, rel=1e-12)
    with pytest.warns(FitFailedWarning, match="no series of a window has moved before"):
        lost = scored(zero, {"still": Task(still[["still"]], 5, 2)})
    assert lost["MASE"].isna().all()


def test_who_has_no_quantiles_has_the_forecast_in_their_place(walks):
    estimators = {
        "none": SeasonalNaive(3),
        "unfinished": Spread(3, fault="not implemented"),
        "broken": Spread(3, fault="quantiles"),
        "whole": Spread(3),
    }
    message = "^broken failed on walks: no quantiles, TypeError: no simulate_kwargs"
    with pytest.warns(FitFailedWarning, match=message) as warned:
        table = scored(estimators, {"walks": Task(walks, 4, 2)})
    assert len(warned) == 1
    np.testing.assert_allclose(table["MASE"], table["MASE"][0], rtol=1e-12)
    np.testing.assert_allclose(table["SQL"][:3], table["MASE"][0], rtol=1e-12)
    assert table["SQL"][3] < table["MASE"][3]


def test_a_failure_costs_one_row(walks):
    estimators = {
        "failing": Spread(1, fault="fit"),
        "infinite": Spread(1, fault="infinite"),
        "last": SeasonalNaive(1),
    }
    with pytest.warns(FitFailedWarning) as warned:
        table = scored(estimators, {"walks": Task(walks, 4, 2)})
    messages = sorted(str(warning.message) for warning in warned)
    assert messages[0] == "failing failed on walks: RuntimeError: out of order"
    assert "infinite failed on walks: ValueError: a forecast is not fin" in messages[1]
    figures = table[["SQL", "MASE", "seconds"]]
    assert figures.isna().to_numpy().tolist() == [[True] * 3, [True] * 3, [False] * 3]
    assert table["estimator"].tolist() == [*estimators]


def test_season_and_seed_are_those_of_the_board(walks):
    tasks = {"walks": Task(walks, 4, season=4)}
    naive = scored({"given": SeasonalNaive(4), "set": SeasonalNaive()}, tasks)
    assert naive["MASE"][0] == naive["MASE"][1]
    estimators = {"given": Constant(random_state=3), "set": Constant()}
    given, seeded = scored(estimators, tasks, seed=3)["MASE"]
    assert given == seeded
    given, seeded = scored(estimators, tasks, seed=4)["MASE"]
    assert given != seeded


def test_past_covariates_are_known_before_a_window_alone():
    noise = np.random.default_rng(1).normal(size=61)
    table = pd.DataFrame({"x": noise[1:], "y": noise[:-1]})
    task = Task(table, 1, 20, past_covariates=["x"])
    ours = LinearAttentionVAR(1, n_layers=0, alpha=0)
    estimators = {"ours": ours, "without": ClassicalVAR(1), "plain": Spread(1)}
    found = scored(estimators, {"led": task})
    errors = []
    for end in range(40, 60):
        known = table[:end]
        fitted = ours.clone().set_params(past_covariates=["x"])
        fitted.fit(known[["y"]], X=known[["x"]], fh=[1])
        error = abs(fitted.predict()["y"].item() - table["y"][end])
        errors.append(error / known["y"].diff().abs().mean())
    assert found["MASE"][0] == pytest.approx(np.mean(errors), rel=1e-6)
    # What leads y by a row leaves nothing unknown.
    assert found["MASE"][0] < 1e-3 < found["MASE"][1]


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"horizon": 0}, ValueError, "horizon == 0, must be >= 1"),
        ({"horizon": 1.5}, TypeError, "horizon must be an instance of"),
        ({"n_windows": 0}, ValueError, "n_windows == 0, must be >= 1"),
        ({"season": 0}, ValueError, "season == 0, must be >= 1"),
        ({"n_windows": 12}, ValueError, "too few for n_windows=12 of horizon=5 after"),
        ({"season": 50}, ValueError, "at least 61 are needed. Pass more rows or lower"),
        ({"past_covariates": ["d"]}, ValueError, r"past_covariates=\('d',\) must be s"),
        ({"past_covariates": "abc"}, ValueError, "must be some, but not all, of the"),
        ({"table": "file.csv"}, ValueError, "DataFrame constructor"),
        ({"table": [["a"], ["b"]]}, TypeError, "table"),
    ],
)
def test_bad_tasks(walks, changed, error, message):
    given = {"table": walks, "horizon": 5, "n_windows": 2} | changed
    with pytest.raises(error, match=message):
        Task(**given)


def test_a_task_needs_one_difference_before_its_first_window(walks):
    assert Task(walks, 5, 2, season=49).ends.tolist() == [50, 55]


@pytest.mark.parametrize(
    ("estimators", "tasks", "message"),
    [
        ({}, None, "estimators is {}; pass a dictionary"),
        ({"a": SeasonalNaive()}, {}, "tasks is {}; pass a dictionary of at least one"),
        ({"a": SeasonalNaive()}, [1], r"tasks is \[1\]; pass a dictionary"),
        ({"a": SeasonalNaive()}, {"t": 1}, r"tasks\['t'\] is a int; pass a skvar.ben"),
    ],
)
def test_bad_arguments(estimators, tasks, message):
    with pytest.raises(TypeError, match=message):
        board(estimators, tasks)


PUBLISHED = """task,model,SQL,MASE,note
mine,worse,9.5,9.75,x
mine,better,0.25,0.5,x
other,best,0.1,0.1,x
"""


@pytest.fixture
def folder(tmp_path, monkeypatch, walks):
    """A folder of two tables and a file of published figures."""
    monkeypatch.chdir(tmp_path)
    walks.to_csv("mine.csv", index=False)
    (2 * walks[::-1]).to_csv("back.csv", index=False)
    (tmp_path / "published.csv").write_text(PUBLISHED)
    return tmp_path


def test_command_makes_a_board(folder, capsys, walks):
    command = "--board --data mine.csv back.csv --horizons 4 --windows 3 --season 2"
    command += " --published published.csv --task mine --estimators VAR"
    main([*command.split(), "seasonal naive"])
    printed = capsys.readouterr().out
    back = (2 * walks[::-1]).reset_index(drop=True)
    tasks = {"mine 4": Task(walks, 4, 3, 2), "back 4": Task(back, 4, 3, 2)}
    table = scored({"VAR": ClassicalVAR(), "seasonal naive": SeasonalNaive(2)}, tasks)
    for row in table.itertuples():
        expected = f"{row.task:6} | {row.estimator:14} | {row.SQL:.3f} | {row.MASE:.3f}"
        assert expected in printed
    _, joined = printed.split("\nmine\n\n")
    rows = [[cell.strip() for cell in line.split("|")] for line in joined.splitlines()]
    means = table.groupby("estimator")["SQL"].mean()
    here = sorted(means.items(), key=lambda item: item[1])
    assert [row[1:5:3] for row in rows[2:]] == [
        ["better", "published"],
        *([name, "here"] for name, _ in here),
        ["worse", "published"],
    ]
    assert [row[2] for row in rows[3:5]] == [f"{mean:.3f}" for _, mean in here]
    # A board leaves no file of results.
    assert {path.suffix for path in folder.iterdir()} == {".csv"}
    assert not (folder / "benchmark.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--board --published published.csv", "needs the name of a --task"),
        ("--board --published published.csv --task our", "has no task 'our'; it has"),
        ("--board --published mine.csv --task mine", "needs ['task', 'model', 'SQL',"),
        ("--board --published no.csv --task mine", "no.csv"),
        (
            "--board --horizons 2 3 --published published.csv --task mine",
            "one of --hor",
        ),
        ("--board --windows 30", "too few for n_windows=30 of horizon=2"),
        ("--board --data mine.csv mine.csv", "--data or --horizons hold something twi"),
        ("--published published.csv", "add --board"),
    ],
)
def test_command_says_what_is_wrong(arguments, message, folder, capsys):
    with pytest.raises(SystemExit) as exit:
        main(["--data", "mine.csv", "--horizons", "2", *arguments.split()])
    assert exit.value.code == 2
    assert message in capsys.readouterr().err


def test_command_fails_if_a_row_does(folder, capsys):
    command = "--board --data mine.csv --horizons 2 --windows 1 --estimators VAR"
    with pytest.warns(FitFailedWarning), pytest.raises(SystemExit) as exit:
        main([*command.split(), "SAMoVARForecaster(lags=500)"])
    assert exit.value.code == 1
    assert "| nan" in capsys.readouterr().out


def weather(folder):
    # With the codes -9999 of what is missing, as on the board.
    table = pd.read_csv(folder / "weather.csv", encoding="latin-1").iloc[:, 1:]
    return Task(table, 144, 20, season=144), 144


def macro(folder):
    past = ["PPICMM", "NONBORRES", "TOTRESNS", "M2REAL"]
    table = pd.read_csv(folder / "FRED-QD.csv").iloc[2:].reset_index(drop=True)
    table = table[["PAYEMS", "CPIAUCSL", "FEDFUNDS", *past]]
    return Task(table, 8, 20, past_covariates=past), 4


@pytest.mark.parametrize(
    ("name", "task"), [("jena_weather_10T", weather), ("fred_qd_2025/cee", macro)]
)
def test_published_figures_come_out(reference_dir, name, task):
    folder = reference_dir / "data"
    task, sp = task(folder)
    # The board's forecasters see the last 1000 rows, its scale sees all.
    estimators = {"Naive": Spread(1), "Seasonal Naive": Spread(sp)}
    found = scored(estimators, {name: task}).set_index("estimator")
    published = pd.read_csv(folder / "fev_published.csv").query("task == @name")
    published = published.set_index("model").loc[[*estimators], ["SQL", "MASE"]]
    np.testing.assert_allclose(found[["SQL", "MASE"]], published, rtol=0, atol=5e-4)

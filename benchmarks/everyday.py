"""Everyday tables: levels, trends, seasons and few rows, with default settings.

Tables that sktime and statsmodels bundle, three simulated ones, and FRED-QD, influenza
and ETTh1 by week where SKVAR_REFERENCE_DIR names the folder that has them. For the last
windows of each table the MASE, the scaled quantile loss (SQL) and the seconds of a fit,
as `skvar.benchmark.board` measures them; then geometric means of the MASE over that of
the best peer of each table.

    python benchmarks/everyday.py
    python benchmarks/everyday.py --tables airline lynx --only LinearAttentionVAR
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import importlib
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import sktime.datasets
import torch
from scipy.signal import lfilter
from sklearn.exceptions import FitFailedWarning
from sktime.forecasting.ets import AutoETS
from sktime.forecasting.exp_smoothing import ExponentialSmoothing
from sktime.forecasting.naive import NaiveForecaster
from sktime.forecasting.theta import ThetaForecaster
from sktime.forecasting.var import VAR
from sktime.transformations.series.difference import Differencer

from skvar import LinearAttentionVAR, SAMoVARForecaster
from skvar.benchmark import Task, board

N_WINDOWS = 5
# AutoETS tries seasons that long for minutes.
LONGEST_ETS = 24


def task(rows: pd.DataFrame, season: int, horizon: int, **options) -> Task:
    """The last five windows, or as many as half of the rows hold.

    The season is that of the scale of errors, of the seasonal naive and other peers;
    skvar's forecasters know the time index alone.
    """
    fitting = (len(rows) - len(rows) // 2) // horizon
    n_windows = max(1, min(N_WINDOWS, fitting))
    return Task(rows, horizon, **{"n_windows": n_windows, "season": season} | options)


def of_statsmodels(name: str) -> pd.DataFrame:
    return importlib.import_module(f"statsmodels.datasets.{name}").load_pandas().data


def reference(name: str) -> Path | None:
    folder = os.environ.get("SKVAR_REFERENCE_DIR")
    return None if folder is None else Path(folder, "data", name)


def indexed(values, freq: str, start: str) -> pd.DataFrame:
    frame = pd.DataFrame(values).reset_index(drop=True)
    return frame.set_axis(pd.period_range(start, periods=len(frame), freq=freq))


def shops() -> pd.DataFrame:
    """Daily sales of three shops that grow, with a week that swings with the level."""
    rng = np.random.default_rng(5)
    day = np.arange(700)
    walk = 0.015 * rng.normal(size=(700, 3)).cumsum(axis=0)
    level = 200 + 0.1 * day[:, np.newaxis] * np.arange(1, 4)
    weekend = 1 + 0.4 * np.isin((day[:, np.newaxis] + np.arange(3)) % 7, [5, 6])
    noise = 0.1 * rng.normal(size=(700, 3))
    return indexed(level * weekend * np.exp(walk + noise), "D", "2022-01-01")


def load() -> pd.DataFrame:
    """Hourly load of three regions over eight weeks."""
    rng = np.random.default_rng(6)
    hour = np.arange(24 * 7 * 8)[:, np.newaxis]
    region = np.arange(3)
    day = 20 * np.sin(2 * np.pi * (hour - 7 * region) / 24)
    day = day + 8 * np.sin(4 * np.pi * hour / 24 + region)
    week = -15.0 * (hour // 24 % 7 >= 5)
    noise = 3 * lfilter([1], [1, -0.9], rng.normal(size=(len(hour), 3)), axis=0)
    return indexed(100 + day + week + noise, "h", "2024-01-01")


def toys() -> pd.DataFrame:
    """Monthly sales of four toys over five years."""
    rng = np.random.default_rng(7)
    month = np.arange(60)[:, np.newaxis]
    toy = np.arange(4)
    season = 8 * np.sin(2 * np.pi * month / 12 + toy)
    noise = 3 * rng.normal(size=(60, 4))
    return indexed(50 + 10 * toy + month / 2 + season + noise, "M", "2018-01")


def macro(names: list[str]) -> pd.DataFrame:
    return sktime.datasets.load_macroeconomic()[names]


LEVELS_OF_MACRO = ["realgdp", "realcons", "realinv", "realgovt", "realdpi"]


def us_change() -> pd.DataFrame:
    consumption, others = sktime.datasets.load_uschange()
    return pd.concat([consumption, others], axis=1)


def longley() -> pd.DataFrame:
    employed, others = sktime.datasets.load_longley()
    return others.assign(employed=employed)


def seatbelts() -> pd.DataFrame:
    folder = Path(sktime.datasets.__file__).parent / "data" / "seatbelts"
    killed = pd.read_csv(folder / "seatbelts.csv")[["KSI"]]
    return indexed(killed, "M", "1969-01")


def co2(freq: str) -> pd.DataFrame:
    weekly = of_statsmodels("co2")["co2"].interpolate()
    rows = weekly.resample(freq).mean().to_frame()
    return rows.to_period("M") if freq == "MS" else rows[-600:].to_period()


def el_nino() -> pd.DataFrame:
    by_year = of_statsmodels("elnino").drop(columns="YEAR").to_numpy()
    return indexed(by_year.ravel(), "M", "1950-01")


def fred() -> pd.DataFrame | None:
    path = reference("FRED-QD.csv")
    if path is None:
        return None
    names = ["PAYEMS", "CPIAUCSL", "FEDFUNDS"]
    names += ["PPICMM", "NONBORRES", "TOTRESNS", "M2REAL"]
    rows = pd.read_csv(path).iloc[2:][names].astype(float).dropna(how="all")
    return indexed(rows, "Q", "1959Q1")


def influenza() -> pd.DataFrame | None:
    path = reference("national_illness.csv")
    return None if path is None else indexed(pd.read_csv(path).iloc[:, 1:], "W", "2002")


def weekly_ett() -> pd.DataFrame | None:
    path = reference("ETTh1.csv")
    if path is None:
        return None
    return (
        pd.read_csv(path, index_col=0, parse_dates=True)
        .resample("W")
        .mean()
        .to_period()
    )


FRED_PAST = ("PPICMM", "NONBORRES", "TOTRESNS", "M2REAL")
AIRLINE = sktime.datasets.load_airline
TASKS: dict[str, Callable[[], Task | None]] = {
    "airline": lambda: task(AIRLINE().to_frame(), 12, 12),
    "log airline": lambda: task(np.log(AIRLINE()).to_frame(), 12, 12),
    "prescriptions": lambda: task(
        sktime.datasets.load_PBS_dataset().to_frame(), 12, 12
    ),
    "shampoo": lambda: task(sktime.datasets.load_shampoo_sales().to_frame(), 12, 6),
    "lynx": lambda: task(sktime.datasets.load_lynx().to_frame(), 10, 12),
    "macro levels": lambda: task(macro(LEVELS_OF_MACRO), 4, 8),
    "log macro": lambda: task(np.log(macro(LEVELS_OF_MACRO)), 4, 8),
    "macro rates": lambda: task(macro(["tbilrate", "unemp", "infl"]), 4, 8),
    "US changes": lambda: task(us_change(), 4, 8),
    "longley": lambda: task(longley(), 1, 2),
    "seatbelts": lambda: task(seatbelts(), 12, 12),
    "co2, months": lambda: task(co2("MS"), 12, 12),
    "co2, weeks": lambda: task(co2("W"), 52, 24),
    "el nino": lambda: task(el_nino(), 12, 12),
    "sunspots": lambda: task(
        indexed(of_statsmodels("sunspots")["SUNACTIVITY"], "Y", "1700"), 11, 12
    ),
    "nile": lambda: task(indexed(of_statsmodels("nile")["volume"], "Y", "1871"), 1, 12),
    "electrical equipment": lambda: task(
        indexed(of_statsmodels("elec_equip").iloc[:, -1:], "M", "1995-01"), 12, 12
    ),
    "interest": lambda: task(
        indexed(of_statsmodels("interest_inflation")[["Dp", "R"]], "Q", "1972Q2"), 4, 8
    ),
    "danish": lambda: task(indexed(of_statsmodels("danish_data"), "Q", "1974"), 4, 8),
    "shops": lambda: task(shops(), 7, 14),
    "load": lambda: task(load(), 24, 24),
    "toys": lambda: task(toys(), 12, 6),
    "influenza": lambda: _if_there(influenza(), 52, 24),
    "FRED-QD": lambda: _if_there(fred(), 1, 8, n_windows=20, past_covariates=FRED_PAST),
    "ETTh1, weeks": lambda: _if_there(weekly_ett(), 1, 13),
}


def _if_there(rows: pd.DataFrame | None, *sizes: int, **options) -> Task | None:
    return None if rows is None else task(rows, *sizes, **options)


def peers(task: Task) -> dict:
    """Forecasters of sktime, as far as they take the table."""
    sp, (n_rows, *_), n_series = task.season, task.ends, task.table.shape[1]
    seasonal = sp > 1 and n_rows >= 2 * sp + 5
    known = {"sp": sp, "seasonal": "add"} if seasonal else {}
    found = {
        "last value": NaiveForecaster("last"),
        "seasonal naive": NaiveForecaster("last", sp=sp),
        "drift": NaiveForecaster("drift"),
        "Theta": ThetaForecaster(sp=sp if seasonal else 1, deseasonalize=False),
        "ExponentialSmoothing": ExponentialSmoothing(trend="add", **known),
    }
    if task.table.min(axis=None) > 0 and seasonal:
        found["Theta"] = ThetaForecaster(sp=sp)
    if sp <= LONGEST_ETS:
        found["AutoETS"] = AutoETS(auto=True, sp=sp if seasonal else 1)
    if n_series > 1:
        lags = max(1, min(12, (n_rows - 1) // (2 * (n_series + 1))))
        found["VAR"] = VAR(maxlags=lags, ic="aic")
        found["differenced VAR"] = Differencer() * VAR(maxlags=lags, ic="aic")
    return found


def ours() -> dict:
    options = {"random_state": 0}
    return {
        "LinearAttentionVAR": LinearAttentionVAR(**options),
        "SAMoVARForecaster": SAMoVARForecaster(**options),
    }


def named(names: list[str]) -> dict[str, Task]:
    tasks = {name: TASKS[name]() for name in names}
    missing = [name for name, found in tasks.items() if found is None]
    if missing:
        print(f"Not there: {missing}; set SKVAR_REFERENCE_DIR", flush=True)
    return {name: found for name, found in tasks.items() if found is not None}


def run(tasks: dict[str, Task], only: list[str] | None) -> pd.DataFrame:
    parts = []
    for name, one in tasks.items():
        kinds = {"peer": peers(one), "skvar": ours()}
        for kind, forecasters in kinds.items():
            chosen = {
                label: forecaster
                for label, forecaster in forecasters.items()
                if not only or label in only
            }
            if chosen:
                parts.append(measured(chosen, name, one).assign(kind=kind))
                print(parts[-1].to_string(header=False, index=False), flush=True)
    return pd.concat(parts)


def measured(forecasters: dict, name: str, one: Task) -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # A peer that fails is a result, too.
        warnings.simplefilter("always", FitFailedWarning)
        return board(forecasters, {name: one}, verbose=0)


def report(results: pd.DataFrame) -> None:
    tasks, estimators = results["task"].unique(), results["estimator"].unique()
    for measure in ("MASE", "SQL", "seconds"):
        wide = results.pivot(index="task", columns="estimator", values=measure)
        wide = wide.loc[tasks, estimators]
        print(f"\n{measure}\n\n{wide.round(3).to_markdown()}")
    best = results[results["kind"] == "peer"].groupby("task")["MASE"].min()
    # Prescriptions jump to another level: the last value alone is right.
    best = best.drop("prescriptions", errors="ignore")
    print("\nGeometric mean of the MASE over that of the best peer of each table\n")
    for label, part in results[results["kind"] == "skvar"].groupby("estimator"):
        ratio = (part.set_index("task")["MASE"] / best).dropna()
        print(f"{label:22} {np.exp(np.log(ratio).mean()):.3f}, {len(ratio)} tables")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tables", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--only", nargs="+", help="labels of forecasters")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    report(run(named(arguments.tables), arguments.only))

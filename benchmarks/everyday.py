"""Everyday tables: levels, trends, seasons and few rows, with default settings.

Tables that sktime and statsmodels bundle, three simulated ones, and FRED-QD, influenza
and ETTh1 by week where SKVAR_REFERENCE_DIR names the folder that has them. Rolling
origins on the last rows. For each table the mean absolute scaled error (MASE), the
scaled quantile loss (SQL, levels 0.1 to 0.9), both against the mean absolute seasonal
difference of the rows before and means over origins, series and steps, and the median
seconds of a fit with its forecasts and quantiles; then geometric means of the MASE over
that of the best peer of each table.

    python benchmarks/everyday.py
    python benchmarks/everyday.py --tables airline lynx --only LinearAttentionVAR
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import importlib
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import sktime.datasets
import torch
from scipy.signal import lfilter
from sktime.forecasting.ets import AutoETS
from sktime.forecasting.exp_smoothing import ExponentialSmoothing
from sktime.forecasting.naive import NaiveForecaster
from sktime.forecasting.theta import ThetaForecaster
from sktime.forecasting.var import VAR
from sktime.transformations.series.difference import Differencer

from skvar import LinearAttentionVAR, SAMoVARForecaster

LEVELS = np.arange(1, 10) / 10
N_ORIGINS = 5
# AutoETS tries seasons that long for minutes.
LONGEST_ETS = 24


@dataclass(frozen=True)
class Table:
    """Rows to forecast.

    ``sp`` is the season of the scale of errors, of the seasonal naive and other peers;
    skvar's forecasters know the time index alone.
    """

    rows: pd.DataFrame
    sp: int
    horizon: int
    past_covariates: tuple[str, ...] = ()
    n_origins: int = N_ORIGINS
    first: int | None = None

    def origins(self) -> list[int]:
        """Numbers of rows before each origin."""
        n_rows, horizon = len(self.rows), self.horizon
        if self.first is not None:
            step = (n_rows - horizon - self.first) / max(self.n_origins - 1, 1)
            return [round(self.first + i * step) for i in range(self.n_origins)]
        least = max(n_rows // 2, n_rows - self.n_origins * horizon)
        return [*range(n_rows - horizon, least - 1, -horizon)] or [n_rows - horizon]


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
TABLES: dict[str, Callable[[], Table | None]] = {
    "airline": lambda: Table(AIRLINE().to_frame(), 12, 12),
    "log airline": lambda: Table(np.log(AIRLINE()).to_frame(), 12, 12),
    "prescriptions": lambda: Table(
        sktime.datasets.load_PBS_dataset().to_frame(), 12, 12
    ),
    "shampoo": lambda: Table(sktime.datasets.load_shampoo_sales().to_frame(), 12, 6),
    "lynx": lambda: Table(sktime.datasets.load_lynx().to_frame(), 10, 12),
    "macro levels": lambda: Table(macro(LEVELS_OF_MACRO), 4, 8),
    "log macro": lambda: Table(np.log(macro(LEVELS_OF_MACRO)), 4, 8),
    "macro rates": lambda: Table(macro(["tbilrate", "unemp", "infl"]), 4, 8),
    "US changes": lambda: Table(us_change(), 4, 8),
    "longley": lambda: Table(longley(), 1, 2),
    "seatbelts": lambda: Table(seatbelts(), 12, 12),
    "co2, months": lambda: Table(co2("MS"), 12, 12),
    "co2, weeks": lambda: Table(co2("W"), 52, 24),
    "el nino": lambda: Table(el_nino(), 12, 12),
    "sunspots": lambda: Table(
        indexed(of_statsmodels("sunspots")["SUNACTIVITY"], "Y", "1700"), 11, 12
    ),
    "nile": lambda: Table(
        indexed(of_statsmodels("nile")["volume"], "Y", "1871"), 1, 12
    ),
    "electrical equipment": lambda: Table(
        indexed(of_statsmodels("elec_equip").iloc[:, -1:], "M", "1995-01"), 12, 12
    ),
    "interest": lambda: Table(
        indexed(of_statsmodels("interest_inflation")[["Dp", "R"]], "Q", "1972Q2"), 4, 8
    ),
    "danish": lambda: Table(indexed(of_statsmodels("danish_data"), "Q", "1974"), 4, 8),
    "shops": lambda: Table(shops(), 7, 14),
    "load": lambda: Table(load(), 24, 24),
    "toys": lambda: Table(toys(), 12, 6),
    "influenza": lambda: _if_there(influenza(), 52, 24),
    "FRED-QD": lambda: _if_there(fred(), 1, 8, FRED_PAST, n_origins=20, first=-160),
    "ETTh1, weeks": lambda: _if_there(weekly_ett(), 1, 13, n_origins=5, first=-65),
}


def _if_there(rows, *sizes, first: int | None = None, **options) -> Table | None:
    if rows is None:
        return None
    first = None if first is None else len(rows) + first
    return Table(rows, *sizes, first=first, **options)


def peers(table: Table) -> dict:
    """Forecasters of sktime, as far as they take the table."""
    sp, n_series = table.sp, table.rows.shape[1]
    seasonal = sp > 1 and table.origins()[-1] >= 2 * sp + 5
    known = {"sp": sp, "seasonal": "add"} if seasonal else {}
    found = {
        "last value": NaiveForecaster("last"),
        "seasonal naive": NaiveForecaster("last", sp=sp),
        "drift": NaiveForecaster("drift"),
        "Theta": ThetaForecaster(sp=sp if seasonal else 1, deseasonalize=False),
        "ExponentialSmoothing": ExponentialSmoothing(trend="add", **known),
    }
    if table.rows.min().min() > 0 and seasonal:
        found["Theta"] = ThetaForecaster(sp=sp)
    if sp <= LONGEST_ETS:
        found["AutoETS"] = AutoETS(auto=True, sp=sp if seasonal else 1)
    if n_series > 1:
        n_rows = min(table.origins())
        lags = max(1, min(12, (n_rows - 1) // (2 * (n_series + 1))))
        found["VAR"] = VAR(maxlags=lags, ic="aic")
        found["differenced VAR"] = Differencer() * VAR(maxlags=lags, ic="aic")
    return found


def ours(table: Table) -> dict:
    options = {"random_state": 0, "past_covariates": list(table.past_covariates)}
    return {
        "LinearAttentionVAR": LinearAttentionVAR(**options),
        "SAMoVARForecaster": SAMoVARForecaster(**options),
    }


def measure(forecaster, table: Table) -> tuple[float, float, float]:
    """MASE, SQL and seconds of a fit with its first forecast and quantiles."""
    y = table.rows.drop(columns=list(table.past_covariates))
    covariates = table.rows[list(table.past_covariates)]
    fh, found = np.arange(1, table.horizon + 1), []
    for origin in table.origins():
        past, truth = y[:origin], y[origin : origin + table.horizon].to_numpy()
        X = {} if covariates.empty else {"X": covariates[:origin]}
        fresh = forecaster.clone().set_config(remember_data=False)
        start = time.perf_counter()
        fresh.fit(past, fh=fh, **X)
        forecast = np.asarray(fresh.predict()).reshape(truth.shape)
        quantiles = _quantiles(fresh, forecast)
        seconds = time.perf_counter() - start
        sp = table.sp if origin > table.sp + 1 else 1
        scale = past.diff(sp).abs().mean().to_numpy()
        scale = np.where(scale > 0, scale, 1.0)
        errors = truth[..., np.newaxis] - quantiles
        loss = 2 * np.maximum(LEVELS * errors, (LEVELS - 1) * errors).mean(axis=-1)
        both = [(np.abs(truth - forecast) / scale).mean(), (loss / scale).mean()]
        found.append([*both, seconds])
    means = np.mean(found, axis=0)
    return means[0], means[1], np.median([seconds for *_, seconds in found])


def _quantiles(forecaster, forecast: np.ndarray) -> np.ndarray:
    """Quantiles (horizon, n_series, n_levels); the forecast where there are none."""
    if forecaster.get_tag("capability:pred_int"):
        try:
            frame = forecaster.predict_quantiles(alpha=[*LEVELS])
            return frame.to_numpy().reshape(*forecast.shape, len(LEVELS))
        except (NotImplementedError, ValueError, TypeError, AttributeError) as error:
            print(f"no quantiles of {type(forecaster).__name__}: {error}"[:200])
    return np.repeat(forecast[..., np.newaxis], len(LEVELS), axis=-1)


def named(names: list[str]) -> dict[str, Table]:
    tables = {name: TABLES[name]() for name in names}
    missing = [name for name, table in tables.items() if table is None]
    if missing:
        print(f"Not there: {missing}; set SKVAR_REFERENCE_DIR", flush=True)
    return {name: table for name, table in tables.items() if table is not None}


def run(tables: dict[str, Table], only: list[str] | None) -> pd.DataFrame:
    rows = []
    for name, table in tables.items():
        for kind, forecasters in (("peer", peers(table)), ("skvar", ours(table))):
            for label, forecaster in forecasters.items():
                if only and label not in only:
                    continue
                try:
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        found = measure(forecaster, table)
                except Exception as error:  # a peer that fails is a result, too
                    print(f"{name}, {label}: {type(error).__name__}: {error}"[:200])
                    found = np.nan, np.nan, np.nan
                rows.append((name, kind, label, *found))
                print(
                    f"{name:22} {label:22}", *(f"{x:8.3f}" for x in found), flush=True
                )
    columns = ["table", "kind", "forecaster", "MASE", "SQL", "seconds"]
    return pd.DataFrame(rows, columns=columns)


def report(results: pd.DataFrame) -> None:
    order = list(dict.fromkeys(results["forecaster"]))
    for measure_of in ("MASE", "SQL", "seconds"):
        wide = results.pivot(index="table", columns="forecaster", values=measure_of)
        wide = wide.loc[list(dict.fromkeys(results["table"])), order]
        print(f"\n{measure_of}\n\n{wide.round(3).to_markdown()}")
    best = results[results["kind"] == "peer"].groupby("table")["MASE"].min()
    # Prescriptions jump to another level: the last value alone is right.
    best = best.drop("prescriptions", errors="ignore")
    print("\nGeometric mean of the MASE over that of the best peer of each table\n")
    for label, part in results[results["kind"] == "skvar"].groupby("forecaster"):
        ratio = (part.set_index("table")["MASE"] / best).dropna()
        print(f"{label:22} {np.exp(np.log(ratio).mean()):.3f}, {len(ratio)} tables")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--only", nargs="+", help="labels of forecasters")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    report(run(named(arguments.tables), arguments.only))

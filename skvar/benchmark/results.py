"""Rows of a benchmark: the file that keeps them, and tables of them."""

import os
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from .._typing import PathLike

# All that a row says, and what tells one cell from another.
COLUMNS = (
    "data",
    "estimator",
    "lags",
    "horizon",
    "seed",
    "MSE",
    "MAE",
    "fit_seconds",
    "predict_seconds",
    "n_parameters",
    "n_windows",
    "stride",
    "refit",
    "protocol",
    "settings",
    "fingerprint",
)
KEY = (
    "data",
    "estimator",
    "horizon",
    "seed",
    "stride",
    "refit",
    "protocol",
    "fingerprint",
)

# Which rows forecasters are estimated on.
TRAIN_ONLY, TRAIN_AND_VALIDATION = "train-only", "train+validation"
PROTOCOLS = TRAIN_ONLY, TRAIN_AND_VALIDATION

Row = Mapping[str, str]


def read_results(path: PathLike) -> pd.DataFrame:
    """Read the file of a benchmark.

    Parameters
    ----------
    path : str or Path
        The ``results`` of `benchmark`.

    Returns
    -------
    DataFrame
        As from `benchmark`, with all cells that the file holds. A file without the
        column "protocol" is older than the choice: its rows are of "train+validation".

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file holds something else.
    """
    return typed(list(_read(Path(path).expanduser()).values()))


def summarise(results: pd.DataFrame, measure: str = "MSE") -> pd.DataFrame:
    """Average a measure of a benchmark over seeds, and over horizons.

    Parameters
    ----------
    results : DataFrame
        From `benchmark`.
    measure : str, default="MSE"
        A column with numbers.

    Returns
    -------
    DataFrame
        One row for each estimator; columns are pairs of data and horizon, and of data
        and "mean", the average over horizons. NaN where a cell failed.

    Raises
    ------
    ValueError
        If the rows are of several protocols.
    """
    protocols = results["protocol"].unique()
    if len(protocols) > 1:
        raise ValueError(
            f"results are of the protocols {', '.join(protocols)}, which do not "
            f"compare; pass results[results['protocol'] == {protocols[0]!r}]."
        )
    keys = ["data", "horizon", "estimator"]
    values = results[measure].astype(float)
    cells = values.groupby([results[key] for key in keys], sort=False).apply(
        mean_of_all
    )
    means = cells.groupby(["data", "estimator"], sort=False).apply(mean_of_all)
    parts = {}
    for name in results["data"].unique():
        # Before version 3, pandas mixes up the cells of unstack(sort=False).
        part = cells[name].unstack("horizon")[cells[name].index.unique("horizon")]
        parts[name] = part.assign(mean=means[name])
    table = pd.concat(parts, axis=1, names=["data", "horizon"])
    return table.loc[results["estimator"].unique()]


def mean_of_all(values: pd.Series) -> float:
    """Mean, NaN where one of them is."""
    return values.mean(skipna=False)


class Results:
    """Rows by their keys, in a file that no other process writes to meanwhile.

    ``path`` None keeps them in memory alone.
    """

    def __init__(self, path: PathLike | None):
        # Replacing a link would leave the file that it points to.
        self.path = None if path is None else Path(path).expanduser().resolve()
        self.rows: dict[tuple[str, ...], Row] = {}

    def __enter__(self) -> "Results":
        if self.path is None:
            return self
        try:
            from filelock import FileLock
        except ImportError as error:
            raise ImportError(
                "results needs filelock: pip install 'skvar[benchmark]'."
            ) from error
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Killed processes leave no lock behind.
        self._lock = FileLock(f"{self.path}.lock", timeout=0)
        self._lock.acquire()
        try:
            self.rows = _read(self.path) if self.path.exists() else {}
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.path is not None:
            self._lock.release()

    def add(self, row: Row) -> None:
        """Put a new file in the place of the old one: whoever reads finds one whole."""
        self.rows[key_of(row)] = row
        if self.path is None:
            return
        partial = f"{self.path}.partial"
        with open(partial, "w", newline="", encoding="utf-8") as file:
            table = pd.DataFrame(self.rows.values(), columns=COLUMNS)
            table.to_csv(file, index=False)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, self.path)


def key_of(row: Row) -> tuple[str, ...]:
    """What tells a row's cell from others."""
    return tuple(row[name] for name in KEY)


def text(value: object) -> str:
    """A value of a row."""
    return "" if value is None else str(value)


def typed(rows: list[Row]) -> pd.DataFrame:
    """A table with numbers in the place of text."""
    table = pd.DataFrame(rows, columns=COLUMNS).fillna("")
    for name in ("MSE", "MAE", "fit_seconds", "predict_seconds"):
        table[name] = table[name].replace("", "nan").astype(float)
    for name in ("lags", "horizon", "seed", "n_parameters", "n_windows", "stride"):
        table[name] = pd.to_numeric(table[name].replace("", None)).astype("Int64")
    return table.assign(refit=table["refit"] == "True")


def _read(path: Path) -> dict[tuple[str, ...], Row]:
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (pd.errors.EmptyDataError, pd.errors.ParserError):
        table = pd.DataFrame()
    if tuple(table.columns) == tuple(name for name in COLUMNS if name != "protocol"):
        table.insert(COLUMNS.index("protocol"), "protocol", TRAIN_AND_VALIDATION)
    if tuple(table.columns) != COLUMNS:
        raise ValueError(
            f"{path} does not hold the columns of a benchmark, {', '.join(COLUMNS)}, "
            "in this order and separated by commas; bring it to this form, or name "
            "another file in results."
        )
    return {key_of(row): row for row in table.to_dict("records")}

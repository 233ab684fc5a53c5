"""Cells of a benchmark, run one by one and kept."""

import hashlib
import numbers
import os
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.exceptions import FitFailedWarning
from sklearn.utils import check_scalar
from sktime.forecasting.base import BaseForecaster
from torch import nn
from tqdm.auto import tqdm

from .._networks.linear_attention_var import LinearAttentionVAR
from .._networks.static_path import StaticPath
from ..datasets import SplitSeries

# What tells one cell from another, and all that a row says.
KEY = (
    "data",
    "estimator",
    "horizon",
    "seed",
    "stride",
    "refit",
    "settings",
    "fingerprint",
)
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
    "settings",
    "fingerprint",
)


def benchmark(
    estimators: Mapping[str, BaseForecaster],
    data: SplitSeries | Iterable[SplitSeries],
    horizons: int | Sequence[int],
    *,
    seeds: int | Sequence[int] = (0, 1, 2),
    stride: int = 1,
    refit: bool = True,
    results=None,
    n_jobs: int | None = None,
    verbose: int = 1,
) -> pd.DataFrame:
    """Fit forecasters and measure their errors on every window of the test rows.

    Series are standardised by their training rows. A forecaster is fitted on the
    training and validation rows and then forecasts after every row from the last one
    before the test rows on. Those of skvar do so without another fit, for all windows
    at once. Others are fitted anew before every forecast, since few of them take new
    rows in otherwise. Where a forecaster has such parameters, its
    ``validation_fraction`` is set to the validation rows, and its ``season``, if None,
    to that of the data.

    Parameters
    ----------
    estimators : mapping of str to forecaster
        Unfitted forecasters of skvar or sktime, by the name of their row. Those without
        a ``random_state``, or with one that is set, are run once, not for every seed.
    data : SplitSeries or list of SplitSeries
        From `skvar.datasets`.
    horizons : int or sequence of int
        Rows to forecast.
    seeds : int or sequence of int, default=(0, 1, 2)
        Values of ``random_state``.
    stride : int, default=1
        Forecast after every so many rows; more than 1 for slow forecasters.
    refit : bool, default=True
        Whether forecasters that are not of skvar are fitted anew before every forecast,
        or only get the new rows by ``update(..., update_params=False)``.
    results : str or Path, optional
        CSV file that keeps what was measured, written anew, as a whole, after each
        cell. Cells that it holds already are not run again, so that an interrupted
        benchmark goes on where it was; other cells in it stay.
    n_jobs : int, optional
        Processes, as in joblib.
    verbose : int, default=1
        Whether to show a progress bar.

    Returns
    -------
    DataFrame
        A row for each cell, in the order of data, horizons, estimators and seeds, with
        columns "data", "estimator", "lags" (None without that parameter), "horizon",
        "seed" (None for one run), "MSE" and "MAE" in units of the standardised series,
        "fit_seconds", "predict_seconds" (all windows), "n_parameters" (estimated
        numbers that forecasts depend on; None if not known), "n_windows", "stride",
        "refit", "settings" (the forecaster as a string) and "fingerprint" (of data and
        splits).

    Raises
    ------
    TypeError
        If an estimator is not a forecaster, or data not a SplitSeries.
    ValueError
        If something is asked for twice, a horizon exceeds the test rows, or the file
        holds something else.
    filelock.Timeout
        If another benchmark writes to the same file.

    Warns
    -----
    FitFailedWarning
        Where a forecaster fails. Errors and seconds of the cell are NaN then, and the
        file does not keep it.

    Examples
    --------
    >>> from sktime.datasets import load_macroeconomic
    >>> from skvar import LinearAttentionVAR
    >>> from skvar.benchmark import baselines, benchmark, summarise
    >>> from skvar.datasets import split_series
    >>> growth = load_macroeconomic()[["realgdp", "realcons"]].pct_change().iloc[1:]
    >>> estimators = baselines(lags=8) | {"ours": LinearAttentionVAR(4, random_state=0)}
    >>> table = benchmark(estimators, split_series(growth), [1, 4], verbose=0)
    >>> table.shape
    (10, 15)
    >>> list(summarise(table).columns)
    [('series', 1), ('series', 4), ('series', 'mean')]
    """
    cells = _cells(estimators, data, horizons, seeds, stride, refit)
    with _locked(results):
        rows = _read(results)
        keys = [cell.key for cell in cells]
        left = [cell for cell in cells if cell.key not in rows]
        parallel = joblib.Parallel(n_jobs, return_as="generator_unordered")
        done = parallel(joblib.delayed(_run)(cell) for cell in left)
        bar = tqdm(
            done,
            total=len(cells),
            initial=len(cells) - len(left),
            disable=not verbose,
            unit="cell",
        )
        failed = {}
        for row, error in bar:
            key = _key(row)
            if error is None:
                rows[key] = row
                _write(rows.values(), results)
            else:
                failed[key] = row
                _warn(row, error)
    return _typed([rows.get(key) or failed[key] for key in keys])


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
        and "mean", the average over horizons (NaN where a cell failed).
    """
    keys = ["data", "horizon", "estimator"]
    cells = results.groupby(keys, sort=False)[measure].apply(_mean)
    means = cells.groupby(["data", "estimator"], sort=False).apply(_mean)
    parts = {}
    for name in results["data"].unique():
        part = cells[name].unstack("horizon", sort=False)
        parts[name] = part.assign(mean=means[name])
    table = pd.concat(parts, axis=1, names=["data", "horizon"])
    return table.loc[results["estimator"].unique()]


def _mean(values: pd.Series) -> float:
    return values.mean(skipna=False)


@dataclass(frozen=True)
class _Cell:
    """One forecaster on one table at one horizon with one seed."""

    data: SplitSeries
    estimator: str
    forecaster: BaseForecaster
    horizon: int
    seed: int | None
    stride: int
    refit: bool
    fingerprint: str

    @property
    def key(self) -> tuple[str, ...]:
        return _key(self.labels)

    @property
    def labels(self) -> dict[str, str]:
        """What a row says of the cell before it is run."""
        settings = self.forecaster.__repr__(n_char_max=10**6)
        return {
            "data": self.data.name,
            "estimator": self.estimator,
            "horizon": str(self.horizon),
            "seed": _text(self.seed),
            "stride": str(self.stride),
            "refit": str(self.refit),
            "settings": " ".join(settings.split()),
            "fingerprint": self.fingerprint,
            "lags": _text(self.forecaster.get_params().get("lags")),
        }

    @property
    def ends(self) -> np.ndarray:
        """The rows to forecast after."""
        first, last = self.data.validation_end - 1, self.data.test_end - self.horizon
        return np.arange(first, last, self.stride)


def _cells(estimators, data, horizons, seeds, stride, refit) -> list[_Cell]:
    """Every cell in the order of the table, checked before the first is run."""
    _check_estimators(estimators)
    check_scalar(stride, "stride", numbers.Integral, min_val=1)
    data = [data] if isinstance(data, SplitSeries) else list(data)
    for some in data:
        if not isinstance(some, SplitSeries):
            raise TypeError(
                f"data holds a {type(some).__name__}; pass tables with their splits, "
                "from skvar.datasets.fetch_... or skvar.datasets.split_series."
            )
    horizons, seeds = _whole(horizons, "horizons"), _whole(seeds, "seeds")
    for argument, values in (
        ("data", [some.name for some in data]),
        ("horizons", horizons),
        ("seeds", seeds),
    ):
        if not values or len(set(values)) < len(values):
            raise ValueError(f"{argument} is empty or holds something twice: {values}.")
    for some in data:
        n_rows = some.test_end - some.validation_end
        if not 0 < min(horizons) <= max(horizons) <= n_rows:
            raise ValueError(
                f"horizons {horizons} must be between 1 and the {n_rows} test rows of "
                f"{some.name}."
            )
    return [
        _Cell(
            some,
            name,
            forecaster,
            horizon,
            seed,
            stride,
            refit and not _rolls(forecaster),
            fingerprint,
        )
        for some, fingerprint in zip(data, map(_fingerprint, data), strict=True)
        for horizon in horizons
        for name, forecaster in estimators.items()
        for seed in (seeds if _unseeded(forecaster) else [None])
    ]


def _check_estimators(estimators: Mapping[str, BaseForecaster]) -> None:
    if not isinstance(estimators, Mapping) or not estimators:
        raise TypeError(
            f"estimators is {estimators!r}; pass a dictionary of at least one "
            "forecaster by the name of its row."
        )
    for name, forecaster in estimators.items():
        if not isinstance(forecaster, BaseForecaster):
            raise TypeError(
                f"estimators[{name!r}] is {forecaster!r}, not an instance of a "
                "forecaster of skvar or sktime."
            )


def _whole(values, name: str) -> list[int]:
    values = np.atleast_1d(values)
    if len(values) and not np.issubdtype(values.dtype, np.integer):
        raise ValueError(f"{name} must be whole numbers, not {values.tolist()}.")
    return values.tolist()


def _rolls(forecaster: BaseForecaster) -> bool:
    """Whether it forecasts after many rows of a table at once."""
    return hasattr(forecaster, "_rolling")


def _unseeded(forecaster: BaseForecaster) -> list[str]:
    """Parameters that take a seed."""
    params = forecaster.get_params().items()
    return [
        key for key, value in params if _last(key) == "random_state" and value is None
    ]


def _last(name: str) -> str:
    return name.rpartition("__")[2]


def _fingerprint(data: SplitSeries) -> str:
    bounds = data.training_end, data.validation_end, data.test_end, data.season
    digest = hashlib.sha256(repr(bounds).encode())
    digest.update(np.ascontiguousarray(data.series.to_numpy()))
    return digest.hexdigest()[:12]


def _run(cell: _Cell) -> tuple[dict[str, str], Exception | None]:
    """The cell's row, and the error that it failed with."""
    try:
        with warnings.catch_warnings():
            # sktime announces the next version at every construction.
            warnings.simplefilter("ignore", FutureWarning)
            measured, error = _measure(cell), None
    except Exception as raised:
        measured, error = {"MSE": np.nan, "MAE": np.nan}, raised
    row = dict.fromkeys(COLUMNS, "") | cell.labels
    row |= {name: _text(value) for name, value in measured.items()}
    return row, error


def _measure(cell: _Cell) -> dict:
    forecaster, table = _configured(cell), cell.data.standardised()
    start = time.perf_counter()
    forecaster.fit(table[: cell.data.validation_end], fh=range(1, cell.horizon + 1))
    fitted = time.perf_counter()
    truth = np.lib.stride_tricks.sliding_window_view(table.to_numpy(), cell.horizon, 0)
    square = absolute = done = 0
    for forecasts in _forecasts(forecaster, table, cell):
        those = cell.ends[done : done + len(forecasts)] + 1
        errors = forecasts - truth[those].swapaxes(1, 2)
        square += np.square(errors).sum()
        absolute += np.abs(errors).sum()
        done += len(forecasts)
    n_errors = done * cell.horizon * table.shape[1]
    return {
        "MSE": float(square / n_errors),
        "MAE": float(absolute / n_errors),
        "fit_seconds": fitted - start,
        "predict_seconds": time.perf_counter() - fitted,
        "n_parameters": _n_parameters(getattr(forecaster, "network_", None)),
        "n_windows": done,
    }


def _configured(cell: _Cell) -> BaseForecaster:
    """A copy of the forecaster with what depends on the cell."""
    forecaster, data = cell.forecaster.clone(), cell.data
    settings = dict.fromkeys(_unseeded(forecaster), cell.seed)
    held_out = 1 - data.training_end / data.validation_end
    for name, value in forecaster.get_params().items():
        if _last(name) == "validation_fraction" and held_out:
            settings[name] = held_out
        elif _last(name) == "season" and value is None:
            settings[name] = data.season
    return forecaster.set_params(**settings)


def _forecasts(forecaster, table: pd.DataFrame, cell: _Cell) -> Iterator[np.ndarray]:
    """Forecasts (n, horizon, n_series) of windows after the cell's ends, in order."""
    if _rolls(forecaster):
        yield from forecaster._rolling(table, cell.ends, cell.horizon)
        return
    known, steps = cell.data.validation_end, range(1, cell.horizon + 1)
    for end in cell.ends:
        if end >= known and cell.refit:
            forecaster = _configured(cell).fit(table[: end + 1], fh=steps)
        elif end >= known:
            forecaster.update(table[known : end + 1], update_params=False)
        known = end + 1
        yield forecaster.predict(fh=steps).to_numpy().reshape(1, cell.horizon, -1)


def _n_parameters(network: nn.Module | None) -> int | None:
    """Estimated numbers that the forecasts depend on."""
    if network is None:
        return None
    if isinstance(network, StaticPath):
        static = network.weight.numel()
        if network.by_var:
            static = _n_parameters(network.var)
        if network.static_only:
            return static
        return static + _n_parameters(network.network)
    count = sum(parameter.numel() for parameter in network.parameters())
    if isinstance(network, LinearAttentionVAR):
        count += network.matrices.numel() + network.intercept.numel()
    return count


def _text(value) -> str:
    return "" if value is None else str(value)


def _key(row: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(row[name] for name in KEY)


def _warn(row: Mapping[str, str], error: Exception) -> None:
    warnings.warn(
        f"{row['estimator']} failed on {row['data']} at horizon {row['horizon']}, seed "
        f"{row['seed'] or None}: {type(error).__name__}: {error}",
        FitFailedWarning,
        stacklevel=3,
    )


def _locked(results):
    """Keep a second process from writing to the same file; free after any end."""
    if results is None:
        return nullcontext()
    from filelock import FileLock

    Path(results).parent.mkdir(parents=True, exist_ok=True)
    return FileLock(f"{os.fspath(results)}.lock", timeout=0)


def _read(results) -> dict[tuple[str, ...], dict[str, str]]:
    """Rows that the file holds, by their keys."""
    if results is None or not Path(results).exists():
        return {}
    try:
        table = pd.read_csv(results, dtype=str, keep_default_na=False)
    except pd.errors.EmptyDataError:
        table = pd.DataFrame()
    if tuple(table.columns) != COLUMNS:
        raise ValueError(
            f"results={os.fspath(results)!r} does not hold the columns of a benchmark; "
            "name another file, or remove this one."
        )
    return {_key(row): row for row in table.to_dict("records")}


def _write(rows: Iterable[dict[str, str]], results) -> None:
    """Put a new file in the place of the old one: whoever reads finds one whole."""
    if results is None:
        return
    partial = f"{os.fspath(results)}.partial"
    with open(partial, "w", newline="") as file:
        pd.DataFrame(rows, columns=COLUMNS).to_csv(file, index=False)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, results)


def _typed(rows: list[dict[str, str]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=COLUMNS)
    for name in ("MSE", "MAE", "fit_seconds", "predict_seconds"):
        table[name] = table[name].replace("", "nan").astype(float)
    for name in ("lags", "horizon", "seed", "n_parameters", "n_windows", "stride"):
        table[name] = pd.to_numeric(table[name].replace("", None)).astype("Int64")
    return table

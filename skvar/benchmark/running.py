"""Cells of a benchmark, run one by one."""

import hashlib
import numbers
import pickle
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import joblib
import numpy as np
import pandas as pd
from sklearn.exceptions import FitFailedWarning
from sklearn.utils import check_scalar
from sktime.forecasting.base import BaseForecaster

from .._typing import PathLike
from ..datasets import SplitSeries
from .cells import check_estimators, last_name, run_all, settings_of, unseeded
from .results import (
    PROTOCOLS,
    TRAIN_AND_VALIDATION,
    TRAIN_ONLY,
    Results,
    key_of,
    text,
    typed,
)


def benchmark(
    estimators: Mapping[str, BaseForecaster],
    data: SplitSeries | Iterable[SplitSeries],
    horizons: int | Sequence[int],
    *,
    protocol: str = TRAIN_ONLY,
    seeds: int | Sequence[int] = (0, 1, 2),
    stride: int = 1,
    refit: bool = True,
    results: PathLike | None = None,
    n_jobs: int | None = None,
    verbose: int = 1,
) -> pd.DataFrame:
    """Fit forecasters and measure their errors on every window of the test rows.

    Series are standardised by their training rows. A forecaster is fitted as
    ``protocol`` says and then forecasts after every row from the last one before the
    test rows on. Those of skvar do so without another fit, for all windows at once.
    Others are fitted anew before every forecast, on all rows before it, since few of
    them take new rows in otherwise. A parameter ``season`` that is None is set to that
    of the data.

    Parameters
    ----------
    estimators : mapping of str to forecaster
        Unfitted forecasters of skvar or sktime, by the name of their row. Those without
        a ``random_state``, or with one that is set, are run once, not for every seed.
    data : SplitSeries or list of SplitSeries
        From `skvar.datasets`.
    horizons : int or sequence of int
        Rows to forecast.
    protocol : {"train-only", "train+validation"}, default="train-only"
        Which rows forecasters are estimated on. "train-only", as in papers: forecasters
        of skvar with ``retrain`` and early stopping get ``retrain=False`` and, as their
        ``validation_fraction``, the validation rows, which choose epochs and the
        weight of the network; all others are fitted on the training rows alone.
        "train+validation": all are fitted on both, and those that hold rows out hold
        out the validation rows. Forecasters that are fitted anew before every forecast
        see all rows before it either way.
    seeds : int or sequence of int, default=(0, 1, 2)
        Values of ``random_state``.
    stride : int, default=1
        Forecast after every so many rows; more than 1 for slow forecasters.
    refit : bool, default=True
        Whether forecasters that are not of skvar are fitted anew before every forecast,
        or only get the new rows by ``update(..., update_params=False)``, which is for
        those that take them in.
    results : str or Path, optional
        CSV file that keeps what was measured, written anew, as a whole, after each
        cell. Cells that it holds already are not run again, so that an interrupted
        benchmark goes on where it was; other cells in it stay. A cell is told by all of
        data, splits, parameters, horizon, seed and the arguments here, not by versions
        of packages. Files without the column "protocol" are read as of
        "train+validation", which they were.
    n_jobs : int, optional
        Processes, as in joblib; so many cells are lost if the benchmark is killed.
    verbose : int, default=1
        Whether to show a progress bar.

    Returns
    -------
    DataFrame
        A row for each cell, in the order of data, horizons, estimators and seeds, with
        columns "data", "estimator", "lags" (missing without such a parameter),
        "horizon", "seed" (missing for one run), "MSE" and "MAE" in units of the
        standardised series, "fit_seconds" (the first fit), "predict_seconds" (all
        windows, with their fits), "n_parameters" (estimated numbers that forecasts
        depend on; missing if not known), "n_windows", "stride", "refit", "protocol",
        "settings" (the forecaster, shortened) and "fingerprint" (of data, splits and
        parameters).

    Raises
    ------
    ImportError
        If filelock, which ``results`` needs, is not installed.
    TypeError
        If an estimator is not a forecaster, or data not a SplitSeries.
    ValueError
        If something is asked for twice, the protocol is unknown, a horizon exceeds the
        test rows, a forecaster that cannot take in new rows is not to be fitted anew,
        or the file holds something else.
    filelock.Timeout
        If another benchmark writes to the same file.

    Warns
    -----
    FitFailedWarning
        At the end, for every cell in which a forecaster failed or its forecasts are not
        finite. Errors and seconds are NaN there, and the file does not keep it.

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
    (10, 16)
    >>> list(summarise(table).columns)
    [('series', 1), ('series', 4), ('series', 'mean')]
    """
    cells = _cells(estimators, data, horizons, protocol, seeds, stride, refit)
    labels = [cell.labels for cell in cells]
    keys = [key_of(row) for row in labels]
    failed, messages = {}, []
    with Results(results) as kept:
        left = {n: cells[n] for n, key in enumerate(keys) if key not in kept.rows}
        outcomes = run_all(_measure, left, n_jobs, verbose, len(cells) - len(left))
        for number, measured, error in outcomes:
            row = labels[number] | {name: text(measured[name]) for name in measured}
            if error is None:
                kept.add(row)
            else:
                failed[keys[number]] = row
                messages.append(_message(row, error))
    for message in messages:
        warnings.warn(message, FitFailedWarning, stacklevel=2)
    return typed([kept.rows.get(key) or failed[key] for key in keys])


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
    protocol: str
    fingerprint: str

    @property
    def labels(self) -> dict[str, str]:
        """What a row says of the cell before it is run."""
        lags = self.forecaster.get_params(deep=False).get("lags")
        return {
            "data": self.data.name,
            "estimator": self.estimator,
            "lags": text(lags if isinstance(lags, numbers.Integral) else None),
            "horizon": text(self.horizon),
            "seed": text(self.seed),
            "stride": text(self.stride),
            "refit": text(self.refit),
            "protocol": self.protocol,
            "settings": " ".join(repr(self.forecaster).split()),
            "fingerprint": self.fingerprint,
        }

    @property
    def ends(self) -> np.ndarray:
        """The rows to forecast after."""
        first, last = self.data.validation_end - 1, self.data.test_end - self.horizon
        return np.arange(first, last, self.stride)

    @property
    def fit_end(self) -> int:
        """Number of rows of the first fit."""
        data = self.data
        if self.estimates_on_validation or _can_only_choose(self.forecaster):
            return data.validation_end
        return data.training_end

    @property
    def estimates_on_validation(self) -> bool:
        """Whether validation rows serve estimation."""
        return self.refit or self.protocol == TRAIN_AND_VALIDATION

    def configured(self) -> BaseForecaster:
        """A copy of the forecaster with what depends on the cell."""
        forecaster, data = self.forecaster.clone(), self.data
        settings = settings_of(forecaster, self.seed, data.season)
        held_out = 1 - data.training_end / self.fit_end
        for name, value in forecaster.get_params().items():
            if last_name(name) == "validation_fraction" and held_out:
                settings[name] = held_out
            elif last_name(name) == "retrain" and held_out:
                settings[name] = value and self.estimates_on_validation
        return forecaster.set_params(**settings)


def _cells(
    estimators: Mapping[str, BaseForecaster],
    data: SplitSeries | Iterable[SplitSeries],
    horizons: int | Sequence[int],
    protocol: str,
    seeds: int | Sequence[int],
    stride: int,
    refit: bool,
) -> list[_Cell]:
    """Every cell in the order of the table, checked before the first is run."""
    data = _listed(data)
    check_estimators(estimators)
    if not refit:
        _check_takes_rows(estimators)
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol must be one of {PROTOCOLS}, not {protocol!r}.")
    check_scalar(stride, "stride", numbers.Integral, min_val=1)
    seeds = _whole(seeds, "seeds", (0, 2**32 - 1))
    shortest = min(data, key=lambda some: some.test_end - some.validation_end)
    n_rows = shortest.test_end - shortest.validation_end
    of = f" (the test rows of {shortest.name})"
    horizons = _whole(horizons, "horizons", (1, n_rows), of)
    prints = {name: _print_of_parameters(name, estimators[name]) for name in estimators}
    return [
        _Cell(
            some,
            name,
            forecaster,
            horizon,
            seed,
            stride,
            bool(refit) and not _rolls(forecaster),
            protocol,
            _short(of_data + prints[name]),
        )
        for some, of_data in zip(data, map(_print_of_data, data), strict=True)
        for horizon in horizons
        for name, forecaster in estimators.items()
        for seed in (seeds if unseeded(forecaster) else [None])
    ]


def _listed(data: SplitSeries | Iterable[SplitSeries]) -> list[SplitSeries]:
    single = isinstance(data, (str, Mapping, pd.DataFrame, np.ndarray))
    given: list = [data] if single or not isinstance(data, Iterable) else list(data)
    for some in given:
        if not isinstance(some, SplitSeries):
            raise TypeError(
                f"data is or holds a {type(some).__name__}; pass tables with their "
                "splits, from skvar.datasets.fetch_... or skvar.datasets.split_series."
            )
    _check_distinct([some.name for some in given], "data")
    return given


def _check_takes_rows(estimators: Mapping[str, BaseForecaster]) -> None:
    """Raise unless all forecast after new rows without a fit."""
    for name, forecaster in estimators.items():
        takes_rows = forecaster.get_tag("capability:update", False)
        if not (takes_rows or _rolls(forecaster)):
            raise ValueError(
                f"estimators[{name!r}] takes in new rows by a fit only (its tag "
                "'capability:update' is False); pass refit=True."
            )


def _whole(
    values: int | Sequence[int], name: str, bounds: tuple[int, int], of: str = ""
) -> list[int]:
    if not isinstance(values, Iterable):
        values = [values]
    values = list(values)
    for value in values:
        if not isinstance(value, numbers.Integral) or isinstance(value, bool):
            raise TypeError(f"{name} must be whole numbers, not {value!r}.")
        if not bounds[0] <= value <= bounds[1]:
            raise ValueError(
                f"{name} must be from {bounds[0]} to {bounds[1]}{of}, not {value}."
            )
    _check_distinct(values, name)
    return [int(value) for value in values]


def _check_distinct(values: list, name: str) -> None:
    if not values or len(set(values)) < len(values):
        raise ValueError(f"{name} is empty or holds something twice: {values}.")


def _rolls(forecaster: BaseForecaster) -> bool:
    """Whether it forecasts after many rows of a table at once."""
    return hasattr(forecaster, "rolling_batches")


def _can_only_choose(forecaster: BaseForecaster) -> bool:
    """Whether all that holds rows out in it can do without estimating on them."""
    params, name = forecaster.get_params(), "validation_fraction"
    owners = [key.removesuffix(name) for key in params if last_name(key) == name]
    return bool(owners) and all(
        owner + "retrain" in params and params[owner + "early_stopping"]
        for owner in owners
    )


def _print_of_data(data: SplitSeries) -> str:
    index, bounds = data.series.index, (data.training_end, data.validation_end)
    labels = bounds, data.test_end, data.season, data.series.shape
    labels += tuple(map(str, [*data.series.columns, index[0], index[-1]]))
    values = np.ascontiguousarray(data.series.to_numpy()).tobytes()
    return _short(repr(labels) + hashlib.sha256(values).hexdigest())


def _print_of_parameters(name: str, forecaster: BaseForecaster) -> str:
    kind, params = type(forecaster), forecaster.get_params()
    try:
        return f"{kind.__module__}.{kind.__name__} {joblib.hash(params)}"
    except pickle.PicklingError as error:
        raise TypeError(
            f"estimators[{name!r}] has a parameter that cannot be stored ({error}); "
            "define functions in a module."
        ) from error


def _short(text: str) -> str:
    # A letter first: spreadsheets make numbers of what looks like one.
    return "x" + hashlib.sha256(text.encode()).hexdigest()[:12]


def _measure(cell: _Cell) -> dict:
    forecaster, table = cell.configured(), cell.data.standardised()
    start = time.perf_counter()
    forecaster.fit(table[: cell.fit_end], fh=range(1, cell.horizon + 1))
    fitted = time.perf_counter()
    truth = np.lib.stride_tricks.sliding_window_view(table.to_numpy(), cell.horizon, 0)
    square = absolute = done = 0
    for forecasts in _forecasts(forecaster, table, cell):
        those = cell.ends[done : done + len(forecasts)] + 1
        targets = truth[those].swapaxes(1, 2)
        if forecasts.shape != targets.shape or not np.isfinite(forecasts).all():
            raise ValueError(
                f"a forecast is not finite or not of shape {targets.shape[1:]}."
            )
        square += np.square(forecasts - targets).sum()
        absolute += np.abs(forecasts - targets).sum()
        done += len(forecasts)
    n_errors = done * cell.horizon * table.shape[1]
    return {
        "MSE": float(square / n_errors),
        "MAE": float(absolute / n_errors),
        "fit_seconds": fitted - start,
        "predict_seconds": time.perf_counter() - fitted,
        "n_parameters": getattr(forecaster, "n_parameters_", None),
        "n_windows": done,
    }


def _forecasts(
    forecaster: BaseForecaster, table: pd.DataFrame, cell: _Cell
) -> Iterator[np.ndarray]:
    """Forecasts (n, horizon, n_series) of windows after the cell's ends, in order."""
    if _rolls(forecaster):
        yield from forecaster.rolling_batches(table, ends=cell.ends, steps=cell.horizon)
        return
    known, steps = cell.fit_end, range(1, cell.horizon + 1)
    for end in cell.ends:
        if end >= known and cell.refit:
            forecaster = cell.configured().fit(table[: end + 1], fh=steps)
        elif end >= known:
            forecaster.update(table[known : end + 1], update_params=False)
        known = end + 1
        # Ensembles by column return their columns in an order of their own.
        yield forecaster.predict(fh=steps)[table.columns].to_numpy()[np.newaxis]


def _message(row: Mapping[str, str], error: str) -> str:
    return (
        f"{row['estimator']} failed on {row['data']} at horizon {row['horizon']}, seed "
        f"{row['seed'] or None}: {error}"
    )

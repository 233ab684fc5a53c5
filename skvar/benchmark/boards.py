"""Quantiles of forecasters on the last windows of tables, as boards score them."""

import numbers
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.exceptions import FitFailedWarning
from sklearn.utils import check_scalar
from sktime.forecasting.base import BaseForecaster

from .._data.tables import as_frame, regular_step
from .._typing import PathLike
from .cells import check_estimators, last_name, run_all, settings_of
from .results import mean_of_all

COLUMNS = ["task", "estimator", "SQL", "MASE", "seconds", "n_windows"]
LEVELS = tuple(level / 10 for level in range(1, 10))


@dataclass(frozen=True, eq=False)
class Task:
    """Windows at the end of a table, each forecast from all rows before it.

    Parameters
    ----------
    table : Series, DataFrame or array of shape (n_rows, n_columns)
        Rows are consecutive, equally spaced times, in original units. NaN is missing.
    horizon : int
        Rows in a window.
    n_windows : int, default=1
        Windows, one after the other; the last one ends with the table.
    season : int, default=1
        Rows in a season: errors are divided by the mean absolute difference between
        rows so far apart.
    past_covariates : sequence of str, default=()
        Columns that are not forecast. They are known before a window, and go to
        forecasters that have a parameter of this name.

    Raises
    ------
    TypeError
        If a column is not numeric, or a number of rows or windows not whole.
    ValueError
        If times are not one step apart, a past covariate is not a column, nothing is
        left to forecast, or too few rows come before the first window for a difference
        over a season.

    Examples
    --------
    >>> from sktime.datasets import load_airline
    >>> from skvar.benchmark import Task
    >>> Task(load_airline(), horizon=12, n_windows=3, season=12).ends.tolist()
    [108, 120, 132]
    """

    table: pd.DataFrame
    horizon: int
    n_windows: int = 1
    season: int = 1
    past_covariates: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        table = as_frame(self.table, "table", missing=True).copy()
        regular_step(table.index, "table")
        object.__setattr__(self, "table", table)
        object.__setattr__(self, "past_covariates", tuple(self.past_covariates))
        if not {*self.past_covariates} < {*table.columns}:
            raise ValueError(
                f"past_covariates={self.past_covariates} must be some, but not all, of "
                f"the columns of table, {[*table.columns]}."
            )
        for name in ("horizon", "n_windows", "season"):
            check_scalar(getattr(self, name), name, numbers.Integral, min_val=1)
        if self.ends[0] <= self.season:
            raise ValueError(
                f"table has {len(table)} rows, too few for n_windows={self.n_windows} "
                f"of horizon={self.horizon} after a difference over "
                f"season={self.season}: at least "
                f"{self.n_windows * self.horizon + self.season + 1} are needed. Pass "
                "more rows or lower one of these."
            )

    @property
    def targets(self) -> pd.DataFrame:
        """The series to forecast."""
        return self.table.drop(columns=[*self.past_covariates])

    @property
    def covariates(self) -> pd.DataFrame:
        """The series that are known before a window."""
        return self.table[[*self.past_covariates]]

    @property
    def ends(self) -> np.ndarray:
        """Numbers of rows before each window."""
        return len(self.table) - self.horizon * np.arange(self.n_windows, 0, -1)


def board(
    estimators: Mapping[str, BaseForecaster],
    tasks: Mapping[str, Task],
    *,
    seed: int = 0,
    n_jobs: int | None = None,
    verbose: int = 1,
) -> pd.DataFrame:
    """Score quantiles and forecasts on the last windows of tables.

    The definitions are those of fev-bench [1]_. A forecaster is fitted anew before
    every window, on all rows before it. The scaled quantile loss (SQL) of a value ``y``
    is the mean over the levels ``q`` from 0.1 to 0.9 and their quantiles ``f`` of
    ``2 * max(q * (y - f), (q - 1) * (y - f))``; the mean absolute scaled error (MASE)
    is that of the forecast. Both are divided by the mean absolute difference between
    rows of the series one season apart, before the window, and averaged over steps,
    series and windows. Missing values are left out, and so is a series that has not
    moved before the window. A forecaster without quantiles has its forecast in their
    place, so that its SQL is its MASE.

    Parameters
    ----------
    estimators : mapping of str to forecaster
        Unfitted forecasters of skvar or sktime, by the name of their row. A parameter
        ``season`` that is None is set to that of the task.
    tasks : mapping of str to Task
        Tables and their windows, by the name of their row.
    seed : int, default=0
        The ``random_state`` of forecasters in which it is None.
    n_jobs : int, optional
        Processes, as in joblib.
    verbose : int, default=1
        Whether to show a progress bar.

    Returns
    -------
    DataFrame
        A row for each task and estimator, in their order, with columns "task",
        "estimator", "SQL", "MASE", "seconds" (a fit with its forecast and quantiles,
        the median over windows) and "n_windows".

    Raises
    ------
    TypeError
        If an estimator is not a forecaster, or a task not a Task.

    Warns
    -----
    FitFailedWarning
        At the end, for every row in which a forecaster failed or its forecasts are not
        finite, where figures are NaN, and for every one whose quantiles failed, where
        the forecast stands for them.

    References
    ----------
    .. [1] Shchur et al. (2025). fev-bench: a realistic benchmark for time series
           forecasting. https://arxiv.org/abs/2509.26468

    Examples
    --------
    >>> from sktime.datasets import load_airline
    >>> from skvar import LinearAttentionVAR
    >>> from skvar.benchmark import SeasonalNaive, Task, board
    >>> estimators = {"naive": SeasonalNaive(), "ours": LinearAttentionVAR()}
    >>> task = Task(load_airline(), horizon=12, n_windows=3, season=12)
    >>> table = board(estimators, {"airline": task}, verbose=0)
    >>> table[["task", "estimator", "n_windows"]].to_numpy().tolist()
    [['airline', 'naive', 3], ['airline', 'ours', 3]]
    >>> bool(table["SQL"][1] < table["MASE"][1] < table["MASE"][0])
    True
    """
    check_estimators(estimators)
    _check_tasks(tasks)
    cells = [
        _Cell(name, task, label, forecaster, seed)
        for name, task in tasks.items()
        for label, forecaster in estimators.items()
    ]
    rows, messages = [cell.labels for cell in cells], []
    outcomes = run_all(_measure, dict(enumerate(cells)), n_jobs, verbose)
    for number, measured, error in outcomes:
        remark = measured.pop("remark", error)
        rows[number] |= measured
        if remark:
            cell = cells[number]
            messages.append(f"{cell.estimator} failed on {cell.name}: {remark}")
    for message in messages:
        warnings.warn(message, FitFailedWarning, stacklevel=2)
    return pd.DataFrame(rows, columns=COLUMNS)


def read_published(path: PathLike, task: str) -> pd.DataFrame:
    """Read the rows of one task from a CSV file of published figures.

    Its columns "task", "model", "SQL" and "MASE" are read.

    Raises
    ------
    ValueError
        If a column is missing, or there is no such task.
    """
    table = pd.read_csv(path)
    columns = ["task", "model", "SQL", "MASE"]
    if not {*columns} <= {*table.columns}:
        raise ValueError(
            f"{path} has the columns {[*table.columns]}; a file of published figures "
            f"needs {columns}."
        )
    rows = table.loc[table["task"] == task, columns[1:]]
    if rows.empty:
        raise ValueError(
            f"{path} has no task {task!r}; it has {sorted(table['task'].unique())}."
        )
    return rows


def among_published(results: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Estimators of a board, by their means over its tasks, among published models.

    In the order of their SQL, with a column "measured" that is "here" or "published".
    """
    figures = results.groupby("estimator", sort=False)[["SQL", "MASE"]].agg(mean_of_all)
    here = figures.rename_axis("model").reset_index().assign(measured="here")
    table = pd.concat([here, published.assign(measured="published")])
    return table.sort_values("SQL", kind="stable", ignore_index=True)


@dataclass(frozen=True)
class _Cell:
    """One forecaster on one task."""

    name: str
    task: Task
    estimator: str
    forecaster: BaseForecaster
    seed: int

    @property
    def labels(self) -> dict:
        """What a row says of the cell before it is run."""
        return {
            "task": self.name,
            "estimator": self.estimator,
            "n_windows": self.task.n_windows,
        }

    def configured(self) -> tuple[BaseForecaster, bool]:
        """A copy with what depends on the task; whether it takes past covariates."""
        forecaster, task = self.forecaster.clone(), self.task
        names = [
            name
            for name in forecaster.get_params()
            if task.past_covariates and last_name(name) == "past_covariates"
        ]
        settings = settings_of(forecaster, self.seed, task.season)
        settings |= {name: [*task.past_covariates] for name in names}
        return forecaster.set_params(**settings), bool(names)


def _check_tasks(tasks: Mapping[str, Task]) -> None:
    if not isinstance(tasks, Mapping) or not tasks:
        raise TypeError(
            f"tasks is {tasks!r}; pass a dictionary of at least one "
            "skvar.benchmark.Task by the name of its row."
        )
    for name, task in tasks.items():
        if not isinstance(task, Task):
            raise TypeError(
                f"tasks[{name!r}] is a {type(task).__name__}; pass a "
                "skvar.benchmark.Task of the table."
            )


def _measure(cell: _Cell) -> dict:
    windows = pd.DataFrame([_window(cell, end) for end in cell.task.ends])
    remarks = windows["remark"].dropna()
    return {
        "SQL": windows["SQL"].mean(),
        "MASE": windows["MASE"].mean(),
        "seconds": windows["seconds"].median(),
        "remark": None if remarks.empty else remarks.iloc[0],
    }


def _window(cell: _Cell, end: int) -> dict:
    """Figures of the window after so many rows."""
    task, (forecaster, takes_past) = cell.task, cell.configured()
    past, steps = task.targets[:end], range(1, task.horizon + 1)
    known = {"X": task.covariates[:end]} if takes_past else {}
    start = time.perf_counter()
    forecaster.fit(past, fh=steps, **known)
    # Ensembles by column return their columns in an order of their own.
    forecast = forecaster.predict()[past.columns].to_numpy()
    quantiles, remark = _quantiles(forecaster, forecast, past.columns)
    seconds = time.perf_counter() - start
    truth = task.targets[end : end + task.horizon].to_numpy()
    is_finite = np.isfinite(forecast).all() and np.isfinite(quantiles).all()
    if forecast.shape != truth.shape or not is_finite:
        raise ValueError(f"a forecast is not finite or not of shape {truth.shape}.")
    scale = past.diff(task.season).abs().mean().to_numpy()
    return {
        "SQL": _scaled(_pinball(truth, quantiles), scale),
        "MASE": _scaled(np.abs(truth - forecast), scale),
        "seconds": seconds,
        "remark": remark,
    }


def _quantiles(
    forecaster: BaseForecaster, forecast: np.ndarray, columns: pd.Index
) -> tuple[np.ndarray, str | None]:
    """Quantiles (horizon, n_series, n_levels), or the forecast, and why it is that."""
    remark = None
    if forecaster.get_tag("capability:pred_int"):
        try:
            frame = forecaster.predict_quantiles(alpha=[*LEVELS])[[*columns]]
            return frame.to_numpy().reshape(*forecast.shape, len(LEVELS)), None
        except NotImplementedError:
            pass
        except Exception as error:
            remark = f"no quantiles, {type(error).__name__}: {error}"
    return np.repeat(forecast[..., np.newaxis], len(LEVELS), axis=-1), remark


def _pinball(truth: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
    """Twice the pinball loss, averaged over levels."""
    errors, levels = truth[..., np.newaxis] - quantiles, np.array(LEVELS)
    return 2 * np.maximum(levels * errors, (levels - 1) * errors).mean(axis=-1)


def _scaled(errors: np.ndarray, scale: np.ndarray) -> float:
    """Mean over steps and series, of what was observed and has moved before."""
    known = np.isfinite(errors) & (scale > 0)
    if not known.any():
        raise ValueError("no series of a window has moved before it and a value in it.")
    return float((errors / np.where(scale > 0, scale, 1.0))[known].mean())

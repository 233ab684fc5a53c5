"""What benchmarks and boards share: checks, settings and processes of their cells."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import joblib
from sktime.forecasting.base import BaseForecaster
from tqdm.auto import tqdm

from .._parallel import results_of


def check_estimators(estimators: Mapping[str, BaseForecaster]) -> None:
    """Raise unless these are forecasters by printable names."""
    if not isinstance(estimators, Mapping) or not estimators:
        raise TypeError(
            f"estimators is {estimators!r}; pass a dictionary of at least one "
            "forecaster by the name of its row."
        )
    for name, forecaster in estimators.items():
        if not isinstance(name, str) or not name.isprintable() or not name:
            raise ValueError(f"estimators has the name {name!r}; pass printable text.")
        if not isinstance(forecaster, BaseForecaster):
            raise TypeError(
                f"estimators[{name!r}] is {forecaster!r}, not an instance of a "
                "forecaster of skvar or sktime."
            )


def settings_of(forecaster: BaseForecaster, seed: int | None, season: int) -> dict:
    """Parameters that a forecaster does not set and a cell does."""
    settings = dict.fromkeys(unseeded(forecaster), seed)
    for name, value in forecaster.get_params().items():
        if last_name(name) == "season" and value is None:
            settings[name] = season
    return settings


def unseeded(forecaster: BaseForecaster) -> list[str]:
    """Parameters that take a seed."""
    params = forecaster.get_params().items()
    return [
        name
        for name, value in params
        if last_name(name) == "random_state" and value is None
    ]


def last_name(name: str) -> str:
    """Name of a parameter where it belongs, without the path to there."""
    return name.rpartition("__")[2]


def run_all(
    measure: Callable[[Any], dict],
    cells: Mapping[int, Any],
    n_jobs: int | None,
    verbose: int,
    n_done: int = 0,
) -> Iterator[tuple[int, dict, str | None]]:
    """Each cell's number, what was measured and the error it failed with, as they end.

    ``n_done`` others that were run before count in the bar.
    """
    outcomes = results_of(
        (joblib.delayed(_run)(measure, number, cell) for number, cell in cells.items()),
        n_jobs,
        ordered=False,
        pre_dispatch="n_jobs",
    )
    return iter(
        tqdm(
            outcomes,
            total=n_done + len(cells),
            initial=n_done,
            disable=not verbose,
            unit="cell",
        )
    )


def _run(
    measure: Callable[[Any], dict], number: int, cell: Any
) -> tuple[int, dict, str | None]:
    try:
        with warnings.catch_warnings():
            # sktime announces its next version at every construction.
            warnings.filterwarnings("ignore", "The default of config", FutureWarning)
            # Errors are meant to be in these units.
            warnings.filterwarnings("ignore", "Every series has mean 0", UserWarning)
            return number, measure(cell), None
    except Exception as error:
        return number, {}, f"{type(error).__name__}: {error}"

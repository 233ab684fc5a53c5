"""The data: how many rows, what is missing, levels or changes, seasons."""

import warnings

import numpy as np
import pandas as pd
from pandas.tseries.offsets import BusinessDay

from .._data.seasons import season_strength, seasons_of
from .subject import Subject
from .values import evenly, is_constant, plain, text

# Points of a line that a page can show, and of all lines together.
_MOST_POINTS, _MOST_NUMBERS = 1000, 50_000
# Values below which a test of a unit root says nothing, and those tested at most.
_LEAST_VALUES, _MOST_VALUES = 20, 2000

_STEPS = {
    "Y": "year",
    "Q": "quarter",
    "M": "month",
    "W": "week",
    "D": "day",
    "h": "hour",
    "min": "minute",
    "s": "second",
    "ms": "millisecond",
}


def data(subject: Subject) -> dict:
    """An audit of the rows."""
    rows = subject.rows
    if subject.caution:
        warnings.warn(subject.caution, stacklevel=2)
    seasons = sorted({*subject.seasons, *seasons_of("auto", subject.step)})
    shown = evenly(len(rows), min(_MOST_POINTS, _MOST_NUMBERS // rows.shape[1] + 2))
    return {
        "n_rows": len(rows),
        "n_learned": subject.n_learned,
        "n_fitted": subject.n_fitted,
        "first": subject.labels(rows.index[:1])[0],
        "last": subject.labels(rows.index[-1:])[0],
        "step": words_of(subject.step),
        "n_missing": int(rows.isna().sum().sum()),
        "n_empty_rows": int(rows.isna().all(axis=1).sum()),
        "seasons": seasons,
        "seasons_used": subject.seasons,
        "series": [_series(rows.iloc[:, i], seasons) for i in range(rows.shape[1])],
        "covariates": [
            text(name)
            for name in ([] if subject.covariates is None else subject.covariates)
        ],
        "rows": {
            "times": subject.labels(rows.index[shown]),
            "values": plain(rows.to_numpy()[shown].T),
        },
    }


def words_of(step: pd.DateOffset | int) -> str:
    """A step in words, such as "quarter" or "15 minutes", or else as pandas has it."""
    if not isinstance(step, pd.DateOffset):
        return "row"
    code = step.freqstr.partition("-")[0].lstrip("0123456789")
    name = "working day" if isinstance(step, BusinessDay) else _STEPS.get(code)
    name = name or _STEPS.get(code.rstrip("SE"))
    if name is None:
        return step.freqstr
    return name if step.n == 1 else f"{step.n} {name}s"


def _series(column: pd.Series, seasons: list[int]) -> dict:
    """What there is to say of one series."""
    is_missing = column.isna().to_numpy()
    whole = column.interpolate().ffill().bfill().to_numpy()
    is_empty = bool(is_missing.all())
    constant = bool(is_constant(whole)) and not is_empty
    gaps = np.diff(np.flatnonzero(np.diff([0, *is_missing, 0])))[::2]
    return {
        "name": text(column.name),
        "n_missing": int(is_missing.sum()),
        "longest_gap": int(gaps.max(initial=0)),
        "is_constant": constant,
        "mean": plain(column.mean()),
        "standard_deviation": plain(column.std()),
        "minimum": plain(column.min()),
        "maximum": plain(column.max()),
        "unit_root_p": _unit_root(whole[-_MOST_VALUES:]),
        "season_strength": [
            0.0
            if constant or is_empty
            else season_strength([whole[:, np.newaxis]], season)
            for season in seasons
        ],
    }


def _unit_root(values: np.ndarray) -> float | None:
    """The p-value of a unit root by the augmented test of Dickey and Fuller.

    A small one says that the series returns to its mean, a large one that only its
    changes do. The number of lags is that of the least AIC. None for constants and
    for few values.
    """
    from statsmodels.tsa.stattools import adfuller

    if len(values) < _LEAST_VALUES or is_constant(values):
        return None
    with warnings.catch_warnings():
        # Of results that will have another class (statsmodels 0.15), which unpacks too.
        warnings.simplefilter("ignore", FutureWarning)
        _, p_value, *_ = adfuller(values)
    return plain(p_value)

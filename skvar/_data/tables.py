"""Checks of one table (time x series) and of its time index; panels as tables."""

import numbers
from collections.abc import Hashable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from .._typing import Table

# Squares of such values are still finite.
_LARGEST = 1e150


def is_table(data: Any) -> bool:
    """Whether data is a single table rather than a panel, a horizon or nothing."""
    if isinstance(data, (pd.DataFrame, pd.Series)):
        # sktime has panels whose cells are series.
        nested = data.size and isinstance(np.ravel(data.iloc[0])[0], pd.Series)
        return not isinstance(data.index, pd.MultiIndex) and not nested
    return isinstance(data, np.ndarray) and data.ndim in (1, 2)


def split_panel(panel: pd.DataFrame | None) -> dict[Hashable, pd.DataFrame]:
    """The tables of a panel by instance; a single table under None; none of None.

    Raises
    ------
    ValueError
        If an instance has no label.
    """
    if panel is None:
        return {}
    if not isinstance(panel.index, pd.MultiIndex):
        return {None: panel}
    levels = list(range(panel.index.nlevels - 1))
    nameless = [
        panel.index.names[level]
        for level in levels
        if panel.index.get_level_values(level).hasnans
    ]
    if nameless:
        raise ValueError(
            f"A panel has rows without a label (NaN) in the level(s) {nameless} of its "
            "index; give their instance a name, or drop them."
        )
    by = levels if len(levels) > 1 else levels[0]
    return {
        key: table.droplevel(levels)
        for key, table in panel.groupby(level=by, sort=False)
    }


def join_panel(
    tables: Mapping[Hashable, pd.DataFrame], names: Sequence[Hashable]
) -> pd.DataFrame:
    """What `split_panel` took apart, with names of the levels of the index."""
    return tables[None] if None in tables else pd.concat(tables, names=names)


def as_frame(
    table: Table, name: str, columns: pd.Index | None = None, *, missing: bool = False
) -> pd.DataFrame:
    """A table as a DataFrame of floats.

    Parameters
    ----------
    table : Series, DataFrame, or ndarray of 1 or 2 dimensions
    name : str
        What errors call it.
    columns : Index, optional
        Names that the table must bear, in this order; an array takes them on.
    missing : bool, default=False
        Whether NaN are accepted.

    Raises
    ------
    TypeError
        If a column is not numeric.
    ValueError
        If the table is empty, has duplicate or other columns than asked for, or holds
        infinite or enormous values, or NaN where they are not accepted.
    """
    frame = pd.DataFrame(table, copy=False)
    if isinstance(frame.index, pd.MultiIndex):
        raise ValueError(
            f"{name} is a panel (its rows have a MultiIndex); pass one table of it, "
            f"such as {name}.loc[instance]."
        )
    if frame.empty:
        raise ValueError(f"{name} is empty; pass at least one row and one column.")
    _check_columns(frame, name, columns)
    values = floats_of(frame, name)
    bad = np.isinf(values) if missing else ~np.isfinite(values)
    if bad.any():
        bad = bad.any(axis=0)
        problem = "inf" if missing or not np.isnan(values).any() else "NaN"
        remedy = (
            "replace these values, for instance with NaN where they are unknown."
            if missing
            else "fill these values first, for instance with sktime's Imputer or "
            f"{name}.interpolate()."
        )
        raise ValueError(
            f"{name} holds {problem} in column(s) {frame.columns[bad].tolist()}; "
            f"{remedy}"
        )
    check_sizes(values, name, frame.columns)
    columns = frame.columns if columns is None else columns
    return pd.DataFrame(values, frame.index, columns, copy=False)


def check_sizes(values: np.ndarray, name: str, columns: Iterable) -> None:
    """Raise ValueError if values are too large to be squared."""
    large = (np.abs(values, dtype=float) > _LARGEST).any(axis=0)
    if large.any():
        found = [
            column for column, is_large in zip(columns, large, strict=True) if is_large
        ]
        raise ValueError(
            f"{name} holds values beyond {_LARGEST:g} in column(s) {found}; divide "
            "these columns by a power of ten."
        )


def floats_of(frame: pd.DataFrame, name: str) -> np.ndarray:
    """The values of columns of numbers, of whatever kind; NaN for what is missing."""
    plain = all(isinstance(dtype, np.dtype) for dtype in frame.dtypes)
    if plain and all(dtype.kind in "biuf" for dtype in frame.dtypes):
        return frame.to_numpy(dtype=float)
    values = np.empty(frame.shape)
    for i, (column, dtype) in enumerate(frame.dtypes.items()):
        found = as_floats(frame.iloc[:, i])
        if found is None:
            raise TypeError(
                f"{name} has a column that is not numeric: {column!r} is of dtype "
                f"{dtype}. Convert it with astype(float), encode categorical values "
                "as numbers, or drop the column."
            )
        values[:, i] = found
    return values


def as_floats(values: pd.Series) -> np.ndarray | None:
    """Numbers of whatever kind as floats, NaN for what is missing; None if not all are.

    An object column may hold Decimal, or bool beside numbers.
    """
    dtype = values.dtype
    if pd.api.types.is_object_dtype(dtype):
        kinds = values[values.notna()].map(type).unique()
        is_real = (
            issubclass(kind, (numbers.Real, Decimal, np.bool_)) for kind in kinds
        )
        if not all(is_real):
            return None
        return values.where(values.notna(), np.nan).to_numpy().astype(float)
    is_real = pd.api.types.is_numeric_dtype(dtype) and dtype.kind != "c"
    if not (is_real or pd.api.types.is_bool_dtype(dtype)):
        return None
    return values.to_numpy(dtype=float, na_value=np.nan)


def check_observed(frame: pd.DataFrame, name: str) -> None:
    """Raise ValueError if all values of a column are missing."""
    empty = frame.columns[frame.isna().all()].tolist()
    if empty:
        raise ValueError(
            f"{name} has no value in column(s) {empty}; drop them, or pass rows in "
            "which they were observed."
        )


def _check_columns(frame: pd.DataFrame, name: str, columns: pd.Index | None) -> None:
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()].unique().tolist()
        raise ValueError(f"{name} has duplicate columns {twice}; rename or drop them.")
    if columns is None:
        return
    if frame.shape[1] != len(columns):
        raise ValueError(
            f"{name} has {frame.shape[1]} column(s), but the forecaster was fitted on "
            f"{len(columns)}: {columns.tolist()}."
        )
    # Columns of arrays are numbered, which is no name.
    named = not any(isinstance(c, pd.RangeIndex) for c in (columns, frame.columns))
    if named and not frame.columns.equals(columns):
        raise ValueError(
            f"{name} has columns {frame.columns.tolist()}, but the forecaster was "
            f"fitted on {columns.tolist()}; select these, in this order."
        )


def regular_step(index: pd.Index, name: str) -> pd.DateOffset | int:
    """The step of a time index that runs forward without gaps; 1 for integers.

    Raises
    ------
    ValueError
        If the index is not strictly increasing or its steps are not equal.
    """
    if not (index.is_monotonic_increasing and index.is_unique):
        raise ValueError(
            f"{name} has a time index that is not strictly increasing; sort it with "
            "sort_index() and drop duplicate times."
        )
    if isinstance(index, pd.PeriodIndex):
        step = index.freq
    elif isinstance(index, pd.DatetimeIndex):
        step = _step_of_dates(index, name)
    elif pd.api.types.is_integer_dtype(index):
        step = 1
    else:
        raise ValueError(
            f"{name} has a time index of dtype {index.dtype}; use timestamps, periods "
            "or integers, for instance with reset_index(drop=True)."
        )
    _check_grid(index, step, name)
    return step


def common_step(indices: Mapping[str, pd.Index]) -> pd.DateOffset | int:
    """The step of all time indices of a panel, by what errors call them.

    A few timestamps without a freq may be those of several steps; others tell.

    Raises
    ------
    ValueError
        If an index is not regular, or there is no such step.
    """
    names = sorted(indices, key=lambda name: len(indices[name]), reverse=True)
    least = min(len(indices[names[0]]), 3)
    long = [name for name in names if len(indices[name]) >= least]
    steps = dict.fromkeys(regular_step(indices[name], name) for name in long)
    for step in steps:
        if all(_on_grid(index, step) for index in indices.values()):
            return step
    raise ValueError(
        f"The instances of y have different steps, {sorted(map(str, steps))}; "
        "bring them to one with asfreq(...) or resample(...)."
    )


def check_continues(
    index: pd.Index, like: pd.Index, step: pd.DateOffset | int, name: str
) -> None:
    """Raise ValueError unless an index is of the kind and step of a known one."""
    if _kind(index) != _kind(like):
        raise ValueError(
            f"{name} has {_kind(index)} as time index, but the forecaster was fitted "
            f"on {_kind(like)}; convert one to the other."
        )
    _check_grid(index, step, name)


def times_from(first, step: pd.DateOffset | int, length: int) -> pd.Index:
    """The times of a grid from the first one on."""
    if isinstance(first, pd.Period):
        return pd.period_range(first, periods=length, freq=step)
    if isinstance(first, pd.Timestamp):
        # Of some offsets there is no product with 0, which one time would ask for.
        return _dates(step, first, periods=length + 1)[:length]
    return pd.RangeIndex(first, first + length)


def continue_index(
    index: pd.Index, step: pd.DateOffset | int, n_steps: int
) -> pd.Index:
    """The times that follow the end of an index."""
    return times_from(index[-1], step, n_steps + 1)[1:]


def precede_index(index: pd.Index, step: pd.DateOffset | int, n_steps: int) -> pd.Index:
    """The times before the start of an index."""
    if isinstance(index, pd.PeriodIndex):
        longer = pd.period_range(end=index[0], periods=n_steps + 1, freq=step)
    elif isinstance(index, pd.DatetimeIndex):
        longer = _dates(step, end=index[0], periods=n_steps + 2)[1:]
    else:
        longer = pd.RangeIndex(index[0] - n_steps, index[0] + 1)
    return longer[:-1]


def position(index: pd.Index, step: pd.DateOffset | int, time) -> int:
    """The row of a time in an index, or in the grid that goes on beyond its ends."""
    if time < index[0]:
        return -_n_steps(time, index[0], step)
    if time <= index[-1]:
        return int(index.searchsorted(time, side="right")) - 1
    return len(index) - 1 + _n_steps(index[-1], time, step)


def times_around(now: pd.Index, step: pd.DateOffset | int, steps) -> pd.Index:
    """The times so many steps after a present one, an index of one time."""
    first, last = min(0, *steps), max(0, *steps)
    grid = precede_index(now, step, -first)
    grid = grid.append([now, continue_index(now, step, last)])
    return grid[np.asarray(steps, dtype=int) - first]


def steps_to(
    times: pd.Index, now: pd.Index, step: pd.DateOffset | int, name: str
) -> np.ndarray:
    """How many steps of the grid lie between a present time and others.

    Parameters
    ----------
    times : Index
        Of the kind of ``now``, or a TimedeltaIndex of what lies between.
    now : Index of one time
    step : DateOffset or int
    name : str
        What errors call the times.

    Raises
    ------
    ValueError
        If the times are of another kind, or are not those of rows.
    """
    if isinstance(times, pd.TimedeltaIndex):
        times = _after(now, times, step, name)
    if _kind(times) != _kind(now):
        if getattr(times, "tz", None) is None or getattr(now, "tz", None) is None:
            raise ValueError(
                f"{name} has {_kind(times)}, but the time index of the history has "
                f"{_kind(now)}; convert one to the other."
            )
        times = times.tz_convert(now.tz)
    # One step more: a time off the grid is not on it for want of an end.
    first = -_n_steps(min(times.min(), now[0]), now[0], step) - 1
    last = _n_steps(now[0], max(times.max(), now[0]), step) + 1
    around = np.arange(first, last + 1)
    found = times_around(now, step, around).get_indexer(times)
    if (found < 0).any():
        raise ValueError(
            f"{name} has times that no row has: {[*map(str, times[found < 0][:5])]}. "
            f"Rows are one step of {getattr(step, 'freqstr', step)} apart, and one is "
            f"at {now[0]}."
        )
    return around[found]


def _after(
    now: pd.Index, spans: pd.TimedeltaIndex, step: pd.DateOffset | int, name: str
) -> pd.Index:
    """Times that lie some spans after a present one; days are those of the clock."""
    if isinstance(now, pd.DatetimeIndex):
        # A Tick before version 3 of pandas, though of the clock.
        by_clock = isinstance(step, pd.offsets.Day)
        if now.tz is None or (isinstance(step, pd.offsets.Tick) and not by_clock):
            return pd.DatetimeIndex(now[0] + spans)
        return (now[0].tz_localize(None) + spans).tz_localize(now.tz)
    try:
        return pd.PeriodIndex([now[0] + span for span in spans])
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} has spans of time, but the time index of the history has "
            f"{_kind(now)}; pass numbers of steps."
        ) from error


def _n_steps(begin, end, step: pd.DateOffset | int) -> int:
    if isinstance(begin, pd.Period):
        return len(pd.period_range(begin, end, freq=step)) - 1
    if isinstance(begin, pd.Timestamp):
        return len(_dates(step, begin, end)) - 1
    return int(end - begin)


def _step_of_dates(index: pd.DatetimeIndex, name: str) -> pd.DateOffset:
    if index.freq is not None:
        return index.freq
    if len(index) == 1:
        raise ValueError(
            f"{name} is a single timestamp, whose step is unknown; pass more rows, or "
            "an index with a freq."
        )
    step = pd.infer_freq(index) if len(index) > 2 else index[1] - index[0]
    if step is None:
        raise _irregular(name)
    return pd.tseries.frequencies.to_offset(step)


def _check_grid(index: pd.Index, step: pd.DateOffset | int, name: str) -> None:
    if not _on_grid(index, step):
        raise _irregular(name)


def _on_grid(index: pd.Index, step: pd.DateOffset | int) -> bool:
    grid = times_from(index[0], step, len(index))
    # Before version 3, pandas tells equal times in two units apart.
    same = index.as_unit(grid.unit) if isinstance(index, pd.DatetimeIndex) else index
    return same.equals(grid)


def _irregular(name: str) -> ValueError:
    return ValueError(
        f"{name} has an irregular time index: its rows are not one step apart. Bring "
        "them to equal steps: timestamps with asfreq(...) or resample(...).mean(), "
        "periods with reindex(pd.period_range(...)), integers with "
        "reset_index(drop=True)."
    )


def _dates(
    step: pd.DateOffset,
    start: pd.Timestamp | None = None,
    end: pd.Timestamp | None = None,
    periods: int | None = None,
) -> pd.DatetimeIndex:
    """A range of dates in the unit of its ends, or in a finer one that the step needs.

    Left to itself, pandas takes nanoseconds before version 3, and later microseconds
    for some steps.
    """
    units = [(time + step).unit for time in (start, end) if time is not None]
    unit = max(units, key=["s", "ms", "us", "ns"].index)
    return pd.date_range(start, end, periods, step, unit=unit)


def _kind(index: pd.Index) -> str:
    if isinstance(index, pd.PeriodIndex):
        return f"periods of {index.freqstr}"
    if isinstance(index, pd.DatetimeIndex):
        return f"timestamps in time zone {index.tz}" if index.tz else "timestamps"
    return "integers"

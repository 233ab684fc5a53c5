"""Checks of one table (time x series) and the continuation of its time index."""

import numpy as np
import pandas as pd


def is_table(data) -> bool:
    """Whether data is a single table rather than a panel, a horizon or nothing."""
    if isinstance(data, (pd.DataFrame, pd.Series)):
        return not isinstance(data.index, pd.MultiIndex)
    return isinstance(data, np.ndarray) and data.ndim in (1, 2)


def as_frame(table, name: str, columns: pd.Index | None = None) -> pd.DataFrame:
    """A table as a DataFrame of floats.

    Parameters
    ----------
    table : Series, DataFrame, or ndarray of 1 or 2 dimensions
    name : str
        What errors call it.
    columns : Index, optional
        Names that the table must bear, in this order; an array takes them on.

    Raises
    ------
    TypeError
        If a column is not numeric.
    ValueError
        If the table is empty, has duplicate or other columns than asked for, or holds
        NaN or infinite values.
    """
    frame = pd.DataFrame(table, copy=False)
    if frame.empty:
        raise ValueError(f"{name} is empty; pass at least one row and one column.")
    _check_columns(frame, name, columns, named=isinstance(table, pd.DataFrame))
    for column, dtype in frame.dtypes.items():
        if not pd.api.types.is_numeric_dtype(dtype) or dtype.kind == "c":
            raise TypeError(
                f"{name} has a column that is not numeric: {column!r} is of dtype "
                f"{dtype}. Encode categorical columns as numbers, or drop them."
            )
    values = frame.to_numpy(dtype=float, na_value=np.nan)
    if not np.isfinite(values).all():
        bad = ~np.isfinite(values).all(axis=0)
        problem = "NaN" if np.isnan(values).any() else "inf"
        raise ValueError(
            f"{name} holds {problem} in column(s) {frame.columns[bad].tolist()}; fill "
            f"these values first, for instance with sktime's Imputer or "
            f"{name}.interpolate()."
        )
    columns = frame.columns if columns is None else columns
    return pd.DataFrame(values, frame.index, columns, copy=False)


def _check_columns(
    frame: pd.DataFrame, name: str, columns: pd.Index | None, named: bool
) -> None:
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
    if named and not frame.columns.equals(columns):
        raise ValueError(
            f"{name} has columns {frame.columns.tolist()}, but the forecaster was "
            f"fitted on {columns.tolist()}; select these, in this order."
        )


def check_regular(index: pd.Index, name: str) -> None:
    """Raise ValueError unless the time index runs forward in equal steps."""
    if not (index.is_monotonic_increasing and index.is_unique):
        raise ValueError(
            f"{name} has a time index that is not strictly increasing; sort it with "
            f"{name}.sort_index() and drop duplicate times."
        )
    if len(index) > 2 and not _has_equal_steps(index):
        raise ValueError(
            f"{name} has an irregular time index; bring it to equal steps, for "
            f"instance with {name}.asfreq(...) or {name}.resample(...).mean()."
        )


def _has_equal_steps(index: pd.Index) -> bool:
    if isinstance(index, pd.DatetimeIndex):
        return index.freq is not None or pd.infer_freq(index) is not None
    positions = index.asi8 if isinstance(index, pd.PeriodIndex) else index.to_numpy()
    steps = np.diff(positions)
    return bool((steps == steps[0]).all())


def continue_index(index: pd.Index, steps: int) -> pd.Index:
    """The ``steps`` times that follow the end of a regular index."""
    last = index[-1]
    if isinstance(index, pd.PeriodIndex):
        return pd.period_range(last, periods=steps + 1, freq=index.freq)[1:]
    if isinstance(index, pd.DatetimeIndex):
        freq = index.freq or (pd.infer_freq(index) if len(index) > 2 else None)
        freq = freq or (last - index[-2] if len(index) == 2 else None)
        if freq is None:
            raise ValueError(
                "The time step of a single timestamp is unknown; pass a table with at "
                "least two rows, or an index with a freq."
            )
        return pd.date_range(last, periods=steps + 1, freq=freq)[1:]
    step = last - index[-2] if len(index) > 1 else 1
    return pd.RangeIndex(last + step, last + step * (steps + 1), step)

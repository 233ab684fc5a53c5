"""A CSV file of a user's own as a table."""

import re
import warnings
from collections.abc import Callable, Iterator
from datetime import tzinfo
from itertools import pairwise
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from .._typing import PathLike
from .tables import regular_step

# Of a number with a comma: three digits after it may be thousands.
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+")

# What has no letters is meant for a number, such as 1.234,5 or 12 %.
_DIGITS = re.compile(r"[\d.,\s+%$€£-]*\d[\d.,\s+%$€£-]*")

# 31.12.2024, 12/31/2024 23:00, 31 Dec 2024, Dec 31, 2024 or 2024Q4.
_DATE = re.compile(
    r"\d{1,4}([-/. ])\w{1,9}\1\d{1,4}\b.*|[A-Za-z]{3,9} \d{1,2},? \d{4}\b.*|"
    r"\d{4}-?Q[1-4]"
)

# The end of 2024-10-27T02:00:00+02:00 or of 2024-10-27 00:00Z.
_OFFSET = re.compile(r"\d:\d[\d:.,]* ?(Z|[+-]\d\d(?::?\d\d)?)$")

Gaps: TypeAlias = Literal["raise", "fill", "keep"]


def read_own(
    path: PathLike,
    *,
    separator: str | None = None,
    decimal: str | None = None,
    time: str | None = None,
    day_first: bool | None = None,
    gaps: Gaps = "raise",
    zone: tzinfo | None = None,
    say: Callable[[str], object] = print,
) -> pd.DataFrame:
    """Read a table from a CSV file, whose form is found out where it is not given.

    Parameters
    ----------
    path : str or Path
    separator, decimal : str, optional
        Between values and within them; by default semicolons, tabs or commas as the
        first line has them, and points unless all numbers have commas.
    time : str, optional
        Name of the column of times; by default the first whose text is that of times,
        or a first column without a name.
    day_first : bool, optional
        Whether days stand before months; by default as times are one step apart.
    gaps : "raise", "fill" or "keep", default="raise"
        What becomes of rows and values that are missing: an error, the rows and values
        before them, or NaN in rows at equal steps.
    zone : tzinfo, optional
        Time zone of the index. Times without offset are taken for local ones, and
        where clocks are put back, the first of two equal ones for the earlier.
    say : callable, default=print
        Is told what was found out or left out.

    Returns
    -------
    DataFrame

    Raises
    ------
    ValueError
        If the file is no table of numbers, or something is missing that may not be.
    """
    frame = _cells(path, separator)
    frame = _with_numbers(frame, decimal, time, say)
    times = _times_of(frame, time, day_first, zone, say)
    if times is not None:
        name, index = times
        frame = frame.drop(columns=name).set_axis(index)
    words = frame.columns[~frame.dtypes.map(pd.api.types.is_numeric_dtype)]
    if len(words):
        say(f"Ignored columns without numbers: {', '.join(map(str, words))}.")
        frame = frame.drop(columns=words)
    if frame.empty:
        raise ValueError("There are no numbers.")
    if len(frame) == 1:
        raise ValueError("There is one row, which is too few; pass at least two.")
    return _filled(frame.astype(float), gaps, say)


def _cells(path: PathLike, separator: str | None) -> pd.DataFrame:
    """Values as pandas reads them; a first line of numbers is no header."""
    if separator is None:
        with open(path, encoding="utf-8-sig") as lines:
            first = lines.readline()
        separator = next((sign for sign in ";\t" if sign in first), ",")
    options = {"sep": separator, "skipinitialspace": True}
    first = pd.read_csv(path, header=None, nrows=1, dtype=str, **options).iloc[0]
    values = _is_time(first.iloc[:1]) | _numbers(first).notna()
    has_header = not (values.iloc[0] and _numbers(first.iloc[1:]).notna().all())
    frame = pd.read_csv(path, header=0 if has_header else None, **options)
    # pandas takes values beyond the names of the first line for an index.
    if frame.empty or not frame.index.equals(pd.RangeIndex(len(frame))):
        raise ValueError(
            f"There are no rows, or they hold more values than the first one. Values "
            f"were taken to be separated by {separator!r}; --separator names another "
            "sign."
        )
    return frame


def _with_numbers(
    frame: pd.DataFrame,
    decimal: str | None,
    time: str | None,
    say: Callable[[str], object],
) -> pd.DataFrame:
    """The same with numbers for text that holds some, with commas or beside words."""
    text = [
        name
        for name in frame
        if _is_text(frame[name]) and name != time and not _is_time(frame[name]).all()
    ]
    with_commas = []
    for name in text:
        column = frame[name].dropna()
        if decimal != "." and _numbers(column, ",").notna().all():
            with_commas.append(name)
            continue
        numbers = _numbers(column, decimal or ".")
        # A few words among numbers are faults, not names.
        meant = column.map(str).map(_DIGITS.fullmatch).notna()
        dates = column.map(str).map(_DATE.fullmatch).notna()
        if (meant & ~dates).mean() > 0.5:
            row = numbers.isna().idxmax()
            raise ValueError(
                f"Column {name!r} is not numeric: it holds {column[row]!r} in row "
                f"{row + 1}. Leave unknown values empty."
            )
    if with_commas and decimal is None:
        cells = pd.concat([frame[name].dropna() for name in with_commas])
        has_comma = cells[cells.str.contains(",")]
        if has_comma.map(_THOUSANDS.fullmatch).notna().all():
            raise ValueError(
                f"{has_comma.iloc[0]!r} may hold thousands or decimals: pass "
                "--decimal , for these, or write numbers without commas."
            )
        say("Numbers have commas for decimals.")
    found = {name: _numbers(frame[name], ",") for name in with_commas}
    return frame.assign(**found) if found else frame


def _times_of(
    frame: pd.DataFrame,
    time: str | None,
    day_first: bool | None,
    zone: tzinfo | None,
    say: Callable[[str], object],
) -> tuple[str, pd.Index] | None:
    """The column of times, or one that counts rows, and the index that it makes."""
    if time is not None and time not in frame:
        raise ValueError(f"There is no column {time!r} among {[*frame]}.")
    names = [name for name in frame if _is_text(frame[name])]
    for name in names if time is None else {time} & {*names}:
        readings = [*_readings(frame[name], day_first)]
        if readings:
            if name != frame.columns[0]:
                say(f"Times are those of column {name!r}.")
            return name, _regular(readings, name, zone)
    if time is not None and not pd.api.types.is_integer_dtype(frame[time]):
        raise ValueError(
            f"Column {time!r}, which begins with {frame[time].iloc[0]}, holds "
            "neither times nor whole numbers."
        )
    first = frame.columns[0]
    if time is None and str(first).startswith("Unnamed: "):
        time = first
    counts = [name for name in frame if _counts(frame[name])]
    if time is None and frame.shape[1] > 1 and counts:
        time = counts[0]
        say(f"Column {time!r} counts the rows, and is taken for their times.")
    if time is None:
        return None
    if not _counts(frame[time]):
        say(f"Left out, for it does not count the rows: {time!r}.")
        return time, pd.RangeIndex(len(frame))
    return time, pd.RangeIndex(frame[time].iloc[0], frame[time].iloc[-1] + 1)


def _readings(
    column: pd.Series, day_first: bool | None
) -> Iterator[tuple[str, pd.DatetimeIndex]]:
    """Times that a column may hold, by how days are written."""
    if _is_time(column).all():
        yield "", _iso_times(column)
        return
    if not column.map(str).map(_DATE.fullmatch).notna().all():
        return
    for first in (False, True) if day_first is None else (day_first,):
        with warnings.catch_warnings():
            # pandas warns where it takes the other order, which is then not regular.
            warnings.simplefilter("ignore", UserWarning)
            found = pd.to_datetime(column, dayfirst=first, errors="coerce")
        if found.notna().all():
            yield ("days" if first else "months") + " first", pd.DatetimeIndex(found)


def _iso_times(column: pd.Series) -> pd.DatetimeIndex:
    """Times of ISO 8601, in UTC where their offsets differ."""
    offsets = column.map(str).str.extract(_OFFSET, expand=False)
    if offsets.isna().any() and offsets.notna().any():
        raise ValueError(
            f"Column {column.name!r} has times with an offset, such as "
            f"{column[offsets.notna()].iloc[0]}, and without, such as "
            f"{column[offsets.isna()].iloc[0]}; write all of them in one way."
        )
    utc = offsets.nunique() > 1
    return pd.DatetimeIndex(pd.to_datetime(column, format="ISO8601", utc=utc))


def _in_zone(
    times: pd.DatetimeIndex, zone: tzinfo | None, name: str
) -> pd.DatetimeIndex:
    """The same times in a zone, if there is one."""
    if zone is None:
        return times
    if times.tz is not None:
        return times.tz_convert(zone)
    is_earlier = ~times.duplicated()
    found = times.tz_localize(zone, ambiguous=is_earlier, nonexistent="NaT")
    if found.hasnans:
        raise ValueError(
            f"Column {name!r} holds {times[found.isna()][0]}, a time that clocks of "
            f"{zone} skip; write times with their offsets, such as +00:00 for UTC."
        )
    return found


def _regular(
    readings: list[tuple[str, pd.DatetimeIndex]], name: str, zone: tzinfo | None
) -> pd.Index:
    """The times of the one reading that has equal steps."""
    steps, errors, irregular = {}, [], []
    for order, local in readings:
        try:
            times = _in_zone(local, zone, name)
            irregular.append(times)
            step = regular_step(times, f"column {name!r}")
            steps[order] = pd.DatetimeIndex(times, freq=step)
        except ValueError as error:
            errors.append(error)
    found = [*steps.values()]
    if any(not one.equals(other) for one, other in pairwise(found)):
        raise ValueError(
            f"Column {name!r} may have {' or '.join(steps)}: pass --day-first or "
            "--no-day-first."
        )
    # Without any, some rows may be missing.
    if not irregular:
        raise errors[0]
    return found[0] if found else irregular[0]


def _filled(
    frame: pd.DataFrame, gaps: Gaps, say: Callable[[str], object]
) -> pd.DataFrame:
    """The same at equal steps without gaps, or with those that may be missing."""
    index, n_rows = frame.index, len(frame)
    if isinstance(index, pd.DatetimeIndex) and index.freq is None:
        grid = None if gaps == "raise" else _grid_of(index)
        if grid is None:
            try:
                regular_step(index, "The column of times")
            except ValueError as error:
                if gaps != "raise":
                    raise
                remedy = "--fill takes the row before a missing one."
                raise ValueError(f"{error} {remedy}") from error
        frame = frame.reindex(grid)
    missing = frame.isna()
    if gaps == "keep" or not missing.any(axis=None):
        return frame
    columns = [*frame.columns[missing.any()]]
    if gaps == "raise":
        raise ValueError(
            f"The table holds NaN (no value) in column(s) {columns}. --fill takes the "
            "value before a missing one."
        )
    say(
        f"Filled with the values before them: {missing.to_numpy().sum()} in column(s) "
        f"{columns}; rows that were missing altogether: {len(frame) - n_rows}."
    )
    return frame.ffill().bfill()


def _grid_of(index: pd.DatetimeIndex) -> pd.DatetimeIndex | None:
    """All times of which an index has some, by its most frequent step."""
    if not (index.is_monotonic_increasing and index.is_unique):
        return None
    spans = pd.Series(index[1:] - index[:-1])
    # As three times in a row tell, where months differ in length.
    likely = (index[i : i + 3] for i in np.flatnonzero(spans == spans.mode()[0])[:50])
    steps = {pd.infer_freq(some) for some in likely if len(some) == 3} - {None}
    for step in sorted(steps, key=str):
        grid = pd.date_range(index[0], index[-1], freq=step)
        if index.isin(grid).all():
            return grid
    return None


def _counts(column: pd.Series) -> bool:
    """Whether it holds whole numbers that rise by one in every row."""
    is_whole = pd.api.types.is_integer_dtype(column) and len(column) > 2
    return bool(is_whole and (column.diff().iloc[1:] == 1).all())


def _is_text(column: pd.Series) -> bool:
    return not pd.api.types.is_numeric_dtype(column)


def _is_time(column: pd.Series) -> pd.Series:
    """Which cells hold times of ISO 8601, longer than a number."""
    # By utc, offsets may differ.
    times = pd.to_datetime(column, format="ISO8601", errors="coerce", utc=True)
    return times.notna() & _numbers(column).isna()


def _numbers(column: pd.Series, decimal: str = ".") -> pd.Series:
    """Cells as numbers, NaN where they are none."""
    if _is_text(column) and decimal != ".":
        column = column.str.replace(".", "x", regex=False)
        column = column.str.replace(decimal, ".", regex=False)
    return pd.to_numeric(column, errors="coerce")

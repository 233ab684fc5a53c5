"""How values of numpy, pandas, torch, scikit-learn and sktime are written."""

import datetime
import pathlib
import re
import zoneinfo
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from pandas.tseries.offsets import BaseOffset

from .document import Kind, Kinds

# Steps of an offset: more are no step of a table.
_MOST_STEPS = 10_000_000

_OFFSETS = [
    "BHalfYearBegin",
    "BHalfYearEnd",
    "BQuarterBegin",
    "BQuarterEnd",
    "BYearBegin",
    "BYearEnd",
    "BusinessDay",
    "BusinessHour",
    "BusinessMonthBegin",
    "BusinessMonthEnd",
    "CustomBusinessDay",
    "CustomBusinessHour",
    "CustomBusinessMonthBegin",
    "CustomBusinessMonthEnd",
    "DateOffset",
    "Day",
    "Easter",
    "FY5253",
    "FY5253Quarter",
    "HalfYearBegin",
    "HalfYearEnd",
    "Hour",
    "LastWeekOfMonth",
    "Micro",
    "Milli",
    "Minute",
    "MonthBegin",
    "MonthEnd",
    "Nano",
    "QuarterBegin",
    "QuarterEnd",
    "Second",
    "SemiMonthBegin",
    "SemiMonthEnd",
    "Week",
    "WeekOfMonth",
    "YearBegin",
    "YearEnd",
]


def by_attributes(*names: str) -> Callable:
    """Parts that are attributes of the value."""
    return lambda value: {name: getattr(value, name) for name in names}


def called(cls: type, **parts):
    """The value that a class makes of its parts."""
    return cls(**parts)


def _scalar_parts(value: np.generic) -> dict:
    if isinstance(value, (np.datetime64, np.timedelta64)):
        unit, _ = np.datetime_data(value.dtype)
        return {"value": int(value.astype("i8")), "unit": unit}
    return {"value": value.item()}


def _scalar(cls: type, value, unit=None):
    return cls(value) if unit is None else cls(value, unit)


def _slice(cls: type, start, stop, step):
    return cls(start, stop, step)


def _path(cls: type, path):
    # That of this system.
    return pathlib.Path(path)


def _random_state(cls: type, state):
    found = cls()
    found.set_state(state)
    return found


def _offset_parts(offset: BaseOffset) -> dict:
    # A calendar is made of the weekmask and holidays beside it.
    keywords = {
        name: value for name, value in offset.kwds.items() if name != "calendar"
    }
    return {"n": offset.n, "normalize": offset.normalize, "keywords": keywords}


def _offset(cls: type, n, normalize, keywords):
    if abs(n) > _MOST_STEPS:
        raise ValueError(f"an offset has {n} steps")
    if normalize:
        keywords = {**keywords, "normalize": True}
    return cls(n, **keywords)


def _zone_parts(zone) -> str | None:
    """The name of a time zone, or its constant distance from UTC."""
    if zone is None:
        return None
    name = getattr(zone, "key", None) or getattr(zone, "zone", None) or str(zone)
    if name == "UTC" or isinstance(zone, zoneinfo.ZoneInfo):
        return name
    offset = zone.utcoffset(None)
    if offset is not None:
        return f"{offset.total_seconds():+.6f}"
    try:
        _zone(name)
    except (ValueError, LookupError) as error:
        raise ValueError(
            f"The time zone {zone} has no name of the IANA database; files of skvar "
            "hold names such as 'Europe/Berlin'. Call tz_convert with one."
        ) from error
    return name


def _zone(name: str | None):
    if name is None:
        return None
    if name[0] in "+-":
        return datetime.timezone(datetime.timedelta(seconds=float(name)))
    if name == "UTC":
        return datetime.timezone.utc
    # As pandas has it, which before version 3 is another class of the same zone.
    return pd.Timestamp(0, tz=zoneinfo.ZoneInfo(name).key).tz


def _timestamp_parts(time: pd.Timestamp) -> dict:
    return {**_scalar_parts(time.to_datetime64()), "zone": _zone_parts(time.tz)}


def _timestamp(cls: type, value, unit, zone):
    time = cls(np.datetime64(value, unit))
    return time if zone is None else time.tz_localize("UTC").tz_convert(_zone(zone))


def _timedelta_parts(time: pd.Timedelta) -> dict:
    return _scalar_parts(time.to_timedelta64())


def _timedelta(cls: type, value, unit):
    return cls(np.timedelta64(value, unit))


def _times_parts(times: pd.DatetimeIndex) -> dict:
    return {
        "values": times.asi8,
        "unit": times.unit,
        "zone": _zone_parts(times.tz),
        "step": times.freq,
        "name": times.name,
    }


def _times(cls: type, values, unit, zone, step, name):
    times = cls(values.view(f"datetime64[{unit}]"), name=name)
    if zone is not None:
        times = times.tz_localize("UTC").tz_convert(_zone(zone))
    if step is None or not len(times):
        return times
    # With one more, as pandas 3 knows the steps of some indexes of a time or two not.
    grid = pd.date_range(
        times[0], periods=len(times) + 1, freq=step, name=name, unit=unit
    )[:-1]
    if not grid.equals(times):
        raise ValueError("times are not at their steps")
    return grid


def _timedeltas_parts(index: pd.TimedeltaIndex) -> dict:
    return {
        "values": index.asi8,
        "unit": index.unit,
        "step": index.freq,
        "name": index.name,
    }


def _timedeltas(cls: type, values, unit, step, name):
    index = cls(values.view(f"timedelta64[{unit}]"), name=name)
    index.freq = step
    return index


def _periods_parts(periods: pd.PeriodIndex) -> dict:
    return {"ordinals": periods.asi8, "step": periods.freq, "name": periods.name}


def _periods(cls: type[pd.PeriodIndex], ordinals, step, name):
    return cls.from_ordinals(ordinals, freq=step, name=name)


def _period(cls: type, ordinal, step):
    return cls(ordinal=ordinal, freq=step)


def _index_parts(index: pd.Index) -> dict:
    dtype = str(index.dtype)
    _check_dtype(dtype)
    is_numpy = isinstance(index.dtype, np.dtype)
    values = index.to_numpy(None if is_numpy else object)
    return {"values": values, "dtype": dtype, "name": index.name}


def _index(cls: type, values, dtype, name):
    _check_dtype(dtype)
    return cls(values, dtype=dtype, name=name)


def _check_dtype(dtype: str) -> None:
    if not re.fullmatch("object|str|string|bool|u?int[0-9]+|float[0-9]+|Int64", dtype):
        raise ValueError(
            f"An index of {dtype} is not held by files of skvar; pass names, numbers "
            "or times."
        )


def _levels_parts(index: pd.MultiIndex) -> dict:
    codes = [np.asarray(code) for code in index.codes]
    return {"levels": [*index.levels], "codes": codes, "names": [*index.names]}


def _names(cls: type, items):
    return cls(items)


def _table_parts(table: pd.DataFrame) -> dict:
    dtypes = set(table.dtypes)
    if len(dtypes) > 1 or not all(isinstance(dtype, np.dtype) for dtype in dtypes):
        raise ValueError(
            f"A table has columns of {sorted(map(str, dtypes))}, but files of skvar "
            "hold tables of numbers; convert them to float."
        )
    values = table.to_numpy(None if dtypes else float)
    return {"data": values, "index": table.index, "columns": table.columns}


def _table(cls: type, data, index, columns):
    # A copy would have another order in memory.
    return cls(data, index, columns, copy=False)


def _tensor(cls: type, values):
    import torch

    return torch.from_numpy(values)


def _dtype(cls: type, name):
    return cls()


def _horizon_parts(horizon) -> dict:
    return {
        "values": horizon.to_pandas(),
        "is_relative": horizon.is_relative,
        "freq": horizon.freq,
    }


def _dtype_kind(cls: Any, name):
    return cls[name]


_OF_SCALER = {"mean_", "n_features_in_", "n_samples_seen_", "scale_", "var_"}


def _scaler(cls: type, **attributes):
    scaler = cls()
    if not attributes.keys() <= _OF_SCALER:
        raise ValueError("a scaler has other attributes")
    vars(scaler).update(attributes)
    return scaler


def _scaler_parts(scaler) -> dict:
    return {name: value for name, value in vars(scaler).items() if name in _OF_SCALER}


LIBRARIES = Kinds(
    {
        **{
            name: Kind("numpy", _scalar_parts, _scalar)
            for name in [
                "float16",
                "float32",
                "float64",
                "int8",
                "int16",
                "int32",
                "int64",
                "uint8",
                "uint16",
                "uint32",
                "uint64",
                "str_",
                "datetime64",
                "timedelta64",
            ]
        },
        **{
            f"{name}DType": Kind("numpy.dtypes", by_attributes("name"), _dtype)
            for name in [
                "Bool",
                "Float16",
                "Float32",
                "Float64",
                "Int8",
                "Int16",
                "Int32",
                "Int64",
                "UInt8",
                "UInt16",
                "UInt32",
                "UInt64",
            ]
        },
        "RandomState": Kind(
            "numpy.random", lambda x: {"state": x.get_state(False)}, _random_state
        ),
        "slice": Kind("builtins", by_attributes("start", "stop", "step"), _slice),
        **{
            name: Kind("pathlib", lambda x: {"path": str(x)}, _path)
            for name in ("PosixPath", "WindowsPath")
        },
        "date": Kind("datetime", by_attributes("year", "month", "day"), called),
        "time": Kind(
            "datetime",
            by_attributes("hour", "minute", "second", "microsecond"),
            called,
        ),
        "timedelta": Kind(
            "datetime", by_attributes("days", "seconds", "microseconds"), called
        ),
        **{
            name: Kind("pandas.tseries.offsets", _offset_parts, _offset)
            for name in _OFFSETS
            if hasattr(pd.tseries.offsets, name)
        },
        "Timestamp": Kind("pandas", _timestamp_parts, _timestamp),
        "Timedelta": Kind("pandas", _timedelta_parts, _timedelta),
        "Period": Kind(
            "pandas", lambda x: {"ordinal": x.ordinal, "step": x.freq}, _period
        ),
        "DatetimeIndex": Kind("pandas", _times_parts, _times),
        "TimedeltaIndex": Kind("pandas", _timedeltas_parts, _timedeltas),
        "PeriodIndex": Kind("pandas", _periods_parts, _periods),
        "RangeIndex": Kind(
            "pandas", by_attributes("start", "stop", "step", "name"), called
        ),
        "MultiIndex": Kind("pandas", _levels_parts, called),
        "Index": Kind("pandas", _index_parts, _index),
        "FrozenList": Kind(
            "pandas.core.indexes.frozen", lambda x: {"items": [*x]}, _names
        ),
        "DataFrame": Kind("pandas", _table_parts, _table),
        "Tensor": Kind("torch", lambda x: {"values": x.cpu().numpy()}, _tensor),
        "StandardScaler": Kind("sklearn.preprocessing", _scaler_parts, _scaler),
        "ForecastingHorizon": Kind("sktime.forecasting.base", _horizon_parts, called),
        "DtypeKind": Kind(
            "sktime.datatypes._dtypekind", by_attributes("name"), _dtype_kind
        ),
    }
)

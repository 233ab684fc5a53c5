"""What holds for any table, index, parameters and horizon.

In the suite a few examples of each property; ``python tests/test_properties.py 20000``
tries so many and prints what they were.
"""

import re
import sys
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from sktime.forecasting.base import ForecastingHorizon

from skvar import (
    AarenForecaster,
    InformerForecaster,
    ITransformerForecaster,
    LinearAttentionVAR,
    LinearTransformerForecaster,
    SAMoVARForecaster,
)

# How many examples there were of each kind.
COUNTS = Counter()

N_AHEAD = 30
NETWORK = {"n_heads": 2, "d_model": 4, "max_epochs": 1, "random_state": 0}
FREQS = [
    *["D", "h", "15min", "12h", "B", "W-SUN", "MS", "ME", "QS", "YE", "SMS", "BME"],
    *["36h", "2D", "WOM-2TUE", "bh"],
]
# An error is explained if it names what it is about, at its begin or as a parameter.
NAMED = re.compile(
    r"\b(y|X|Y|fh|lags|horizon|alpha|sp|calendar|coverage|levels?)\b|rows are too few"
    r"|too short for intervals|can be checked"
)


def tuples(*strategies):
    return st.tuples(*strategies)


@st.composite
def values_of(draw, n_rows, n_series):
    """Rows of ordinary, odd and extreme kinds."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    noise = rng.normal(size=(n_rows, n_series))
    kind = draw(
        st.sampled_from(
            [
                "noise",
                "walk",
                "season",
                "trend",
                "counts",
                "growth",
                "constant",
                "mixed",
            ]
        )
    )
    rows = np.arange(n_rows)[:, np.newaxis]
    made = {
        "noise": lambda: noise,
        "walk": lambda: noise.cumsum(axis=0),
        "season": lambda: np.sin(rows * np.pi / 6) * 5 + 0.3 * noise,
        "trend": lambda: 0.5 * rows + noise,
        "counts": lambda: rng.poisson(2, size=noise.shape).astype(float),
        "growth": lambda: 1.3 ** (rows % 200) * (1 + 0.01 * noise),
        "constant": lambda: np.full(noise.shape, rng.normal()),
        "mixed": lambda: (
            noise * np.array([1.0, 0.0, 1e-9])[:n_series] + [3.0, 1e6, 0.0][:n_series]
        ),
    }[kind]()
    if draw(st.integers(0, 3)) == 0:
        made = made * 10.0 ** draw(st.integers(-30, 30))
    COUNTS[f"values: {kind}"] += 1
    return made


@st.composite
def index_of(draw, n_rows):
    """Times of the rows and of those that follow."""
    kind = draw(
        st.sampled_from(["numbers", "small numbers", "dates", "zone", "periods"])
    )
    n_times = n_rows + N_AHEAD
    COUNTS[f"index: {kind}"] += 1
    if kind == "numbers":
        start = draw(st.integers(-100, 10**6))
        return pd.RangeIndex(start, start + n_times)
    if kind == "small numbers":
        return pd.Index(
            np.arange(n_times, dtype=draw(st.sampled_from(["uint8", "int8"])))
        )
    if kind == "periods":
        freq = draw(st.sampled_from(["M", "Q", "Y", "D", "h", "W"]))
        return pd.period_range("2001", periods=n_times, freq=freq)
    freq = draw(st.sampled_from(FREQS))
    zone = draw(st.sampled_from(["Europe/Berlin", "Australia/Lord_Howe", "UTC"]))
    start = draw(st.sampled_from(["2024-03-25", "2024-10-04", "2023-12-28"]))
    return pd.date_range(
        start, periods=n_times, freq=freq, tz=zone if kind == "zone" else None
    )


@st.composite
def forecasters(draw):
    """Closed forms, and now and then a small network."""
    lags = draw(st.sampled_from(["auto", "auto", 1, 2, 5]))
    sp = draw(st.sampled_from(["auto", 1, 4, [3, 12]]))
    kind = draw(st.integers(0, 19))
    if kind < 12:
        alpha = draw(st.sampled_from(["auto", "auto", 0.1]))
        return LinearAttentionVAR(lags, alpha=alpha, sp=sp, n_layers=0)
    if kind < 18:
        horizon = draw(st.integers(1, 4))
        path = draw(st.sampled_from(["auto", "ridge", "var"]))
        return SAMoVARForecaster(
            lags, horizon=horizon, sp=sp, n_layers=0, static_path=path
        )
    network = draw(
        st.sampled_from(
            [
                AarenForecaster,
                InformerForecaster,
                ITransformerForecaster,
                LinearTransformerForecaster,
                SAMoVARForecaster,
            ]
        )
    )
    return network(5, horizon=2, static_path=None, **NETWORK)


@dataclass
class Case:
    """A table with its forecaster, and the rows that follow."""

    forecaster: object
    values: np.ndarray
    index: pd.Index
    n_rows: int
    columns: list = field(default_factory=list)

    def table(self, first=0, last=None, values=None):
        rows = slice(first, self.n_rows if last is None else last)
        values = self.values if values is None else values
        return pd.DataFrame(values[rows], self.index[rows], self.columns)

    def fit(self, table=None):
        return self.forecaster.clone().fit(self.table() if table is None else table)


@st.composite
def cases(draw, least=1, most=70, n_series=None):
    """Tables that fit to forecast, as a rule."""
    n_rows = draw(st.integers(least, most))
    n_series = draw(st.integers(1, 3)) if n_series is None else n_series
    values = draw(values_of(n_rows + N_AHEAD, n_series))
    forecaster = draw(forecasters())
    COUNTS[f"forecaster: {type(forecaster).__name__}"] += 1
    return Case(forecaster, values, draw(index_of(n_rows)), n_rows, [*"abc"][:n_series])


def with_faults(draw, table):
    """The same table as people bring it, and whether it must be refused."""
    kind = draw(
        st.sampled_from(
            ["floats"] * 4
            + [
                "gaps",
                "gaps",
                "bool",
                "nullable",
                "objects",
                "Arrow",
                "series",
                "array",
            ]
            + ["inf", "text", "enormous", "irregular", "descending", "duplicates"]
        )
    )
    COUNTS[f"table: {kind}"] += 1
    first, n_rows = table.columns[0], len(table)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    if kind == "gaps":
        return table.mask(rng.random(table.shape) < 0.15), False
    if kind == "bool":
        return table.assign(**{first: table[first] > table[first].median()}), False
    if kind == "nullable":
        return table.astype("Float64").mask(rng.random(table.shape) < 0.05), False
    if kind == "Arrow":
        return table.astype("float64[pyarrow]"), False
    if kind == "objects":
        return table.astype(object).map(
            lambda value: Decimal(repr(float(value)))
        ), False
    if kind == "series":
        return table[first], False
    if kind == "array":
        return table.to_numpy(), False
    faulty = table.copy()
    if kind == "inf":
        faulty.iloc[n_rows // 2, 0] = np.inf
    elif kind == "text":
        faulty = table.assign(**{first: "some"})
    elif kind == "enormous":
        faulty.iloc[n_rows // 2, 0] = 1e200
    elif kind == "irregular" and n_rows > 3:
        faulty = table.drop(table.index[n_rows // 2])
    elif kind == "descending" and n_rows > 1:
        faulty = table[::-1]
    elif kind == "duplicates" and n_rows > 1:
        faulty = pd.concat([table, table[-1:]])
    else:
        return table, False
    return faulty, True


def outcome(call):
    """What a call returns, or None where it says by name what is wrong."""
    try:
        return call()
    except (ValueError, TypeError) as error:
        if not NAMED.search(str(error)):
            raise
        COUNTS[f"refused: {str(error)[:48]}"] += 1
        return None


@st.composite
def asked(draw, case):
    """A horizon as steps, and as users write it."""
    steps = sorted(draw(st.sets(st.integers(-3, N_AHEAD), min_size=1, max_size=4)))
    steps = [step for step in steps if step > -case.n_rows] or [1]
    times = case.index[np.array(steps) + case.n_rows - 1]
    kind = draw(st.sampled_from(["steps", "array", "horizon", "times"]))
    COUNTS[f"horizon: {kind}"] += 1
    if kind == "times":
        return steps, ForecastingHorizon(times, is_relative=False)
    if kind == "horizon":
        return steps, ForecastingHorizon(steps, is_relative=True)
    return steps, np.array(steps) if kind == "array" else steps


def any_table_is_forecast_or_refused(data):
    case = data.draw(cases())
    table, is_faulty = with_faults(data.draw, case.table())
    before = table.copy()
    steps, fh = data.draw(asked(case))
    if isinstance(table, np.ndarray) and isinstance(fh, ForecastingHorizon):
        fh = steps
    fitted = outcome(lambda: case.fit(table))
    if isinstance(table, np.ndarray):
        np.testing.assert_array_equal(table, before)
    else:
        assert table.equals(before)
        pd.testing.assert_index_equal(table.index, before.index)
    if fitted is None:
        return
    assert not is_faulty, "a faulty table was taken"
    forecast = outcome(lambda: fitted.predict(fh))
    if forecast is None:
        return
    assert np.isfinite(np.asarray(forecast, float)).all()
    n_series = 1 if isinstance(table, pd.Series) else len(case.columns)
    assert np.asarray(forecast).reshape(len(steps), -1).shape == (len(steps), n_series)
    if not isinstance(table, np.ndarray):
        times = case.index[np.array(steps) + case.n_rows - 1]
        assert (forecast.index == times).all()
        columns = [table.name] if isinstance(table, pd.Series) else [*table.columns]
        names = [forecast.name] if isinstance(table, pd.Series) else [*forecast.columns]
        assert names == columns
    COUNTS["forecast"] += 1


def quantiles_are_nested_and_hold_the_forecast(data):
    case = data.draw(cases(least=8))
    fitted = outcome(case.fit)
    if fitted is None:
        return
    steps = [1, 2, data.draw(st.integers(3, 8))]
    levels = [0.05, 0.25, 0.5, 0.75, 0.95]
    found = outcome(lambda: fitted.predict_quantiles(steps, alpha=levels))
    if found is None:
        return
    forecast = fitted.predict(steps).to_numpy()
    quantiles = found.to_numpy().reshape(len(steps), -1, len(levels))
    assert np.isfinite(quantiles).all()
    assert (np.diff(quantiles, axis=-1) >= 0).all()
    room = 1e-9 * np.abs(case.values).max()
    assert (quantiles[..., 1] <= forecast + room).all()
    assert (quantiles[..., 3] >= forecast - room).all()
    COUNTS["quantiles"] += 1


def refits_are_bit_identical(data):
    case = data.draw(cases(least=4))
    fitted = outcome(case.fit)
    if fitted is None:
        return
    np.random.default_rng().normal()
    again = case.fit().predict([1, 2, 5])
    assert fitted.predict([1, 2, 5]).equals(again)
    COUNTS["refitted"] += 1


def nothing_is_known_of_later_rows(data):
    case = data.draw(cases(least=20))
    fitted = outcome(case.fit)
    if fitted is None:
        return
    n_known = data.draw(st.integers(case.n_rows + 1, case.n_rows + 10))
    longer = case.table(last=case.n_rows + 15)
    other = longer.copy()
    other.iloc[n_known:] = 7 * other.iloc[n_known:] + np.abs(case.values).max()
    updated = [
        case.fit().update(table[case.n_rows :], update_params=False)
        for table in (longer, other)
    ]
    # In-sample forecasts are made of the rows before, also of the first changed one.
    steps = np.arange(-14, n_known - case.n_rows - 14)
    one, two = (forecaster.predict(steps) for forecaster in updated)
    assert one.equals(two)
    lags = fitted.network_.lags
    if n_known >= lags:
        rolled = [fitted.rolling_forecast(table) for table in (longer, other)]
        n_same = n_known - lags + 1
        np.testing.assert_array_equal(rolled[0][:n_same], rolled[1][:n_same])
    COUNTS["no look-ahead"] += 1


def updates_by_row_are_one_update(data):
    case = data.draw(cases(least=8))
    fitted = outcome(case.fit)
    if fitted is None:
        return
    n_new = data.draw(st.integers(1, 6))
    for row in range(case.n_rows, case.n_rows + n_new):
        fitted.update(case.table(row, row + 1), update_params=False)
    at_once = case.fit().update(
        case.table(case.n_rows, case.n_rows + n_new), update_params=False
    )
    one, two = fitted.predict([1, 3]), at_once.predict([1, 3])
    # A state that is carried is carried in parts of other lengths: float32 at worst.
    scale = np.abs(case.values).max()
    np.testing.assert_allclose(one / scale, two / scale, atol=1e-5)
    assert fitted.cutoff.equals(at_once.cutoff)
    COUNTS["updated"] += 1


def units_do_not_matter(data):
    case = data.draw(cases(least=12))
    assume(case.forecaster.n_layers == 0)
    varies = np.ptp(case.values, axis=0)
    assume((varies > 1e-3 * np.abs(case.values).max(axis=0)).all())
    fitted = outcome(case.fit)
    if fitted is None:
        return
    scale = 10.0 ** data.draw(st.integers(-12, 12))
    shift = data.draw(st.sampled_from([0.0, -3.0, 100.0])) * scale * varies
    table = case.table() * scale + shift
    other = case.fit(table).predict([1, 2, 6])
    ours = (other - shift) / scale
    one = fitted.predict([1, 2, 6])
    # Penalties are searched to about a thousandth; a hundred times the range is lost
    # to two digits.
    np.testing.assert_allclose(ours / varies, one / varies, atol=2e-3)
    COUNTS["other units"] += 1


def series_may_stand_in_any_order(data):
    case = data.draw(cases(least=12, n_series=3))
    assume(case.forecaster.n_layers == 0)
    fitted = outcome(case.fit)
    if fitted is None:
        return
    order = data.draw(st.permutations(case.columns))
    other = case.fit(case.table()[order]).predict([1, 2, 6])
    one = fitted.predict([1, 2, 6])
    scale = np.abs(case.values).max(axis=0)
    np.testing.assert_allclose(other[case.columns] / scale, one / scale, atol=2e-3)
    COUNTS["other order"] += 1


def instances_may_stand_in_any_order(data):
    n_rows = data.draw(st.integers(8, 40))
    lengths = data.draw(st.lists(st.integers(4, n_rows), min_size=2, max_size=4))
    case = data.draw(cases(least=n_rows, most=n_rows))
    tables = {
        f"i{i}": case.table(last=n, values=(i + 1) * case.values)
        for i, n in enumerate(lengths)
    }
    keys = data.draw(st.permutations([*tables]))
    panels = [pd.concat({key: tables[key] for key in some}) for some in (tables, keys)]
    fitted = outcome(lambda: case.fit(panels[0]))
    if fitted is None:
        return
    one, two = fitted.predict([1, 2]), case.fit(panels[1]).predict([1, 2])
    assert np.isfinite(one.to_numpy()).all()
    for key in keys:
        assert one.loc[key].equals(two.loc[key])
    COUNTS["panel"] += 1


PROPERTIES = [
    any_table_is_forecast_or_refused,
    quantiles_are_nested_and_hold_the_forecast,
    refits_are_bit_identical,
    nothing_is_known_of_later_rows,
    updates_by_row_are_one_update,
    units_do_not_matter,
    series_may_stand_in_any_order,
    instances_may_stand_in_any_order,
]
# Of ten examples, six are of the first property.
SHARES = [6] + [4 / 7] * 7


def tried(holds, n_examples, **options):
    """A property with so many examples."""
    options = {"deadline": None, "suppress_health_check": [*HealthCheck]} | options

    @settings(max_examples=n_examples, **options)
    @given(data=st.data())
    def run(data):
        with warnings.catch_warnings():
            # Advice to users, such as that a season is missed.
            warnings.simplefilter("ignore", UserWarning)
            holds(data)

    return run


@pytest.mark.parametrize("holds", PROPERTIES, ids=lambda holds: holds.__name__)
def test_it_holds_for_any_table(holds):
    tried(holds, 40 if holds is PROPERTIES[0] else 12, derandomize=True)()


def main(n_examples: int) -> None:
    """Try all properties, print failures and how many examples there were."""
    begin, failures = time.perf_counter(), 0
    for holds, share in zip(PROPERTIES, SHARES, strict=True):
        n = round(n_examples * share / 10)
        try:
            tried(holds, n, database=None, phases=[Phase.generate, Phase.shrink])()
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            failures += 1
            print(f"{holds.__name__} fails: {error!r}", *error.__notes__, sep="\n")
        print(f"{holds.__name__}: {n} examples", flush=True)
    for kind, count in sorted(COUNTS.items()):
        print(f"{count:7d}  {kind}")
    print(f"{failures} failures, {time.perf_counter() - begin:.0f} s")
    sys.exit(failures > 0)


if __name__ == "__main__":
    main(int(sys.argv[1]))

"""Time is counted in rows, whatever clocks do and whatever steps are called."""

import numpy as np
import pandas as pd
import pytest
from sktime.forecasting.base import ForecastingHorizon

from skvar import LinearAttentionVAR

VALUES = np.random.default_rng(0).normal(size=(130, 2)).cumsum(axis=0)
FORECASTER = LinearAttentionVAR(2, n_layers=0)
ZONES = ["Europe/Berlin", "Australia/Lord_Howe", "America/New_York"]
STARTS = ["2024-03-08", "2024-03-28", "2024-10-04", "2024-10-25", "2024-11-01"]
CLOCKS = [
    pd.date_range(start, periods=130, freq=freq, tz=zone)
    for zone in ZONES
    for start in STARTS
    for freq in ("15min", "h", "3h", "12h", "D", "24h")
]
FREQS = [
    *["BME", "BMS", "B", "C", "SME", "SMS", "WOM-2TUE", "QS", "QS-OCT", "3MS", "ME"],
    *["YE", "W-SUN", "2W", "BQE", "bh", "CBME"],
]
OFFSETS = [pd.date_range("1990-01-01", periods=130, freq=freq) for freq in FREQS]
PERIODS = [pd.period_range("1990", periods=130, freq=freq) for freq in "MQYDhW"]


def label(index):
    return f"{index.freqstr} {getattr(index, 'tz', '')} {index[0]}"


def fitted_to(index, n_rows=121, **fit):
    return FORECASTER.clone().fit(pd.DataFrame(VALUES[:n_rows], index[:n_rows]), **fit)


def assert_same(one, other, index):
    pd.testing.assert_index_equal(one.index, index, exact="equiv")
    pd.testing.assert_index_equal(other.index, index, exact="equiv")
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("index", [*CLOCKS, *OFFSETS, *PERIODS], ids=label)
def test_times_are_those_of_rows(index):
    by_number = FORECASTER.clone().fit(VALUES[:121])
    fitted = fitted_to(index, fh=index[121:124])
    assert fitted.horizon_ == 3
    expected = by_number.predict([1, 3, 6])
    for fh in ([1, 3, 6], index[[121, 123, 126]]):
        found = fitted.predict(fh)
        pd.testing.assert_index_equal(
            found.index, index[[121, 123, 126]], exact="equiv"
        )
        np.testing.assert_allclose(found, expected)
    within = fitted.predict(index[50:60])
    np.testing.assert_allclose(within, by_number.predict(np.arange(-70, -60)))
    assert_same(within, fitted.predict(np.arange(-70, -60)), index[50:60])
    assert_same(
        fitted.predict_interval(index[121:125]),
        fitted.predict_interval([1, 2, 3, 4]),
        index[121:125],
    )
    assert_same(fitted.predict_var(index[[122]]), fitted.predict_var([2]), index[[122]])
    paths = [
        fitted.sample_paths(fh, n_paths=3, random_state=0)
        for fh in (index[121:123], [1, 2])
    ]
    np.testing.assert_array_equal(*paths)
    truth = pd.DataFrame(VALUES[119:125], index[119:125])
    residuals = fitted.predict_residuals(truth)
    np.testing.assert_allclose(
        residuals, truth - fitted.predict(np.arange(-1, 5)).to_numpy()
    )
    # Under another label of the step, or none.
    later = index[121:126]
    if isinstance(later, pd.DatetimeIndex):
        later = pd.DatetimeIndex(later, freq=None)
    fitted.update(pd.DataFrame(VALUES[121:126], later), update_params=False)
    pd.testing.assert_index_equal(fitted.cutoff, index[[125]], exact="equiv")
    if isinstance(later, pd.DatetimeIndex):
        assert fitted.cutoff.freq == index.freq
    assert_same(fitted.predict(index[126:128]), fitted.predict([1, 2]), index[126:128])


@pytest.mark.parametrize(
    ("index", "spans", "steps"),
    [
        (pd.date_range("2024", periods=130, freq="min").as_unit("s"), "2min", 2),
        (pd.date_range("2024", periods=130, freq="D"), "3D", 3),
        (pd.date_range("2024-01-08", periods=130, freq="W-MON"), "14D", 2),
        # The clock goes forward within these days.
        (
            pd.date_range("2023-11-30", periods=130, freq="D", tz="Europe/Berlin"),
            "4D",
            4,
        ),
        (
            pd.date_range("2024-03-25 23:00", periods=130, freq="h", tz=ZONES[0]),
            "5h",
            5,
        ),
        (pd.period_range("2024", periods=130, freq="h"), "5h", 5),
    ],
)
def test_spans_of_time_are_steps(index, spans, steps):
    fitted = fitted_to(index)
    spans = pd.to_timedelta([spans]).as_unit("s")
    found = fitted.predict(spans)
    assert_same(found, fitted.predict([steps]), index[[120 + steps]])


def test_times_of_no_row_are_refused_by_name():
    days = pd.date_range("2024", periods=130, freq="D")
    fitted = fitted_to(days)
    for fh in (days[121:122] + pd.Timedelta("1h"), pd.to_timedelta(["30h"])):
        with pytest.raises(ValueError, match="no row has.*2024-05-0.*one step of D"):
            fitted.predict(fh)
    with pytest.raises(ValueError, match="fh has timestamps in time zone UTC, but"):
        fitted.predict(days[121:123].tz_localize("UTC"))
    with pytest.raises(ValueError, match="fh has spans of time, but .* integers"):
        FORECASTER.clone().fit(VALUES).predict(pd.to_timedelta(["1h"]))
    weeks = pd.date_range("2024-01-01", periods=130, freq="W-MON")
    with pytest.raises(ValueError, match="fh has times that no row has.*W-MON"):
        fitted_to(weeks).predict(weeks[121:123] + pd.Timedelta("1D"))


@pytest.mark.parametrize(
    ("start", "freq"),
    [("2000", "h"), ("2000", "ME"), ("2000-01-03", "bh"), ("3000", "D")],
)
def test_times_keep_their_unit(start, freq):
    seconds = pd.date_range(start, periods=130, freq=freq, unit="s")
    other = seconds.as_unit("ms" if start == "3000" else "ns")
    fitted = fitted_to(seconds)
    for found in (fitted.predict([1, 3]), fitted.predict(other[[121, 123]])):
        pd.testing.assert_index_equal(found.index, seconds[[121, 123]])
    by_blocks = FORECASTER.clone().fit_blocks(
        [
            pd.DataFrame(VALUES[:60], seconds[:60]),
            pd.DataFrame(VALUES[60:121], other[60:121]),
        ]
    )
    for forecaster in (fitted, by_blocks):
        rows = pd.DataFrame(VALUES[121:124], other[121:124])
        forecaster.update(rows, update_params=False)
        found = forecaster.predict([1, 2]).index
        pd.testing.assert_index_equal(found.as_unit("s"), seconds[124:126])


def test_steps_may_be_finer_than_times():
    times = pd.date_range("2000", periods=130, freq="500ms")
    fitted = fitted_to(times)
    row = pd.DataFrame(VALUES[121:122], times[121:122])
    whole = times[122:123].as_unit("s")
    fitted.update(row, update_params=False)
    fitted.update(pd.DataFrame(VALUES[122:123], whole), update_params=False)
    found = fitted.predict([1, 2]).index.as_unit("ms")
    pd.testing.assert_index_equal(found, times[123:125].as_unit("ms"))


def test_other_zones_name_the_same_times():
    hours = pd.date_range("2024-03-26", periods=130, freq="h", tz="Europe/Berlin")
    fitted = fitted_to(hours)
    found = fitted.predict(hours[121:125].tz_convert("Asia/Tokyo"))
    assert_same(found, fitted.predict([1, 2, 3, 4]), hours[121:125])


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32"])
def test_small_integers_do_not_wrap(dtype):
    index = pd.Index(np.arange(100), dtype=dtype)
    fitted = FORECASTER.clone().set_params(horizon=200)
    fitted.fit(pd.DataFrame(VALUES[:100], index))
    found = fitted.predict()
    assert found.index.tolist() == [*range(100, 300)]
    np.testing.assert_array_equal(found, fitted.predict(np.arange(1, 201)))
    absolute = fitted.predict(ForecastingHorizon([110, 290], is_relative=False))
    np.testing.assert_array_equal(absolute, found.loc[[110, 290]])


def test_calendar_effects_follow_the_clock():
    index = pd.date_range("2024-03-01", periods=24 * 34, freq="h", tz="Europe/Berlin")
    n_rows = 24 * 29
    rng = np.random.default_rng(0)
    effect = np.sin(2 * np.pi * index.hour / 24)
    table = pd.DataFrame({"load": effect + 0.1 * rng.normal(size=len(index))}, index)
    forecaster = LinearAttentionVAR(2, n_layers=0, calendar=["hour"])
    fitted = forecaster.fit(table[:n_rows])
    assert index[n_rows] < pd.Timestamp("2024-03-31", tz="Europe/Berlin")
    ahead = np.arange(1, len(index) - n_rows + 1)
    # The mean of each hour of 29 days, beside which that of the rest is 0.
    error = fitted.predict(ahead)["load"] - effect[n_rows:]
    assert np.sqrt(np.mean(error**2)) < 4 * 0.1 / np.sqrt(29)
    assert fitted.exog_coef_.shape[0] == 1


STEPS = [
    *["s", "5min", "15min", "30min", "h", "2h", "3h", "4h", "6h", "8h", "12h", "24h"],
    *["36h", "D", "2D", "3D", "7D", "W-SUN", "W-MON", "2W-WED", "B", "C", "bh", "cbh"],
    *["BMS", "BME", "CBMS", "CBME", "MS", "ME", "2MS", "SMS", "SME", "WOM-1MON"],
    *["QS", "QE", "QS-OCT", "3MS", "BQS", "BQE", "YS", "YE", "BYE-JUN"],
    pd.offsets.LastWeekOfMonth(weekday=6),
    pd.offsets.Easter(),
    pd.offsets.FY5253(weekday=4, startingMonth=12, variation="nearest"),
    pd.offsets.FY5253Quarter(weekday=4, startingMonth=12, qtr_with_extra_week=4),
    pd.offsets.CustomBusinessHour(start="09:30", end="16:00"),
    pd.offsets.CustomBusinessDay(holidays=["2024-04-01"]),
]


@pytest.mark.parametrize("freq", STEPS, ids=str)
def test_absolute_and_relative_horizons_agree(freq):
    """In every zone, whether clocks go forward or back within the horizon."""
    assert len(STEPS) >= 40
    expected = FORECASTER.clone().fit(VALUES[:121]).predict([1, 4, 9, 11])
    # Steps of days and more look at clocks in one way.
    zones = ["Europe/Berlin", "Australia/Lord_Howe", "America/Halifax"]
    number = STEPS.index(freq)
    for zone in zones if number < STEPS.index("D") else zones[number % 3 :][:1]:
        for change in ("2024-03-31", "2024-10-27"):
            day = pd.Timestamp(change, tz=zone)
            # Of such an index, the change lies between rows 121 and 130, if not before.
            index = pd.date_range(end=day, periods=126, freq=freq)
            index = pd.date_range(index[0], periods=140, freq=freq)
            asked = index[[121, 124, 129, 131]]
            fitted = fitted_to(index, fh=asked)
            assert fitted.horizon_ == 11
            by_time, by_step = fitted.predict(), fitted.predict([1, 4, 9, 11])
            assert_same(by_time, by_step, asked)
            np.testing.assert_allclose(by_time, expected)

"""CSV files as people have them: forms, times, gaps, and what is said of them."""

from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from skvar._data.reading import read_own
from skvar.benchmark.__main__ import main

DAYS = pd.date_range("2024-01-25", periods=20)
VALUES = np.column_stack([np.arange(20) + 0.25, -np.arange(20) / 8])


def written(path, separator=",", decimal=".", times="{:%Y-%m-%d}", **options):
    table = pd.DataFrame(VALUES, columns=["a", "b"])
    if times:
        table.insert(0, "date", [times.format(day) for day in DAYS])
    table.to_csv(path, sep=separator, decimal=decimal, **{"index": False, **options})
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mine.csv"


def read(path, **options):
    said = []
    return read_own(path, say=said.append, **options), said


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"header": False},
        {"separator": "\t"},
        {"separator": ";"},
        {"separator": ";", "decimal": ","},
        {"decimal": ","},
        {"times": "{:%d.%m.%Y}"},
        {"times": "{:%d/%m/%Y}"},
        {"times": "{:%m/%d/%Y}"},
        {"times": "{:%d %b %Y}"},
        {"times": "{:%b %d, %Y}"},
        {"times": "{:%Y-%m-%dT%H:%M:%S}"},
        {"times": "{:%d.%m.%Y %H:%M}"},
        {"encoding": "utf-8-sig"},
    ],
    ids=str,
)
def test_forms_of_files_are_found_out(form, path):
    table, _ = read(written(path, **form))
    np.testing.assert_array_equal(table, VALUES)
    pd.testing.assert_index_equal(table.index, DAYS, check_names=False)
    assert table.index.freq == "D"


@pytest.mark.parametrize("last", [False, True])
def test_times_may_stand_anywhere(last, path):
    table = pd.DataFrame(VALUES, columns=["a", "b"])
    table.insert(2 if last else 1, "when", DAYS)
    table.assign(station="north").to_csv(path, index=False)
    found, said = read(path)
    pd.testing.assert_index_equal(found.index, DAYS, check_names=False)
    np.testing.assert_array_equal(found, VALUES)
    assert said == [
        "Times are those of column 'when'.",
        "Ignored columns without numbers: station.",
    ]
    table.assign(written=DAYS[0]).to_csv(path, index=False)
    assert "irregular" not in str(read(path, time="when")[1])
    with pytest.raises(ValueError, match=r"no column 'then' among \['a'"):
        read(path, time="then")
    with pytest.raises(ValueError, match="'a', which begins with 0.25, holds neither"):
        read(path, time="a")


def test_columns_that_count_rows_are_no_series(path):
    table = pd.DataFrame(VALUES, columns=["a", "b"])
    for start in (0, 1, 1950):
        index = pd.RangeIndex(start, start + 20)
        table.set_index(index).to_csv(path)
        pd.testing.assert_index_equal(read(path)[0].index, index)
        table.set_index(index).to_csv(path, index_label="year")
        found, said = read(path)
        pd.testing.assert_index_equal(found.index, index)
        assert said == ["Column 'year' counts the rows, and is taken for their times."]
    table.set_index(pd.Index(VALUES[:, 0])).to_csv(path)
    found, said = read(path)
    np.testing.assert_array_equal(found, VALUES)
    assert "Left out, for it does not count the rows" in said[0]
    # A table may be nothing else.
    pd.DataFrame({"n": range(20)}).to_csv(path, index=False)
    assert read(path)[0].shape == (20, 1)


def test_the_order_of_days_and_months_is_not_guessed(path):
    months = pd.date_range("2024-01-01", periods=12, freq="MS")
    table = pd.DataFrame({"date": months.strftime("%d/%m/%Y"), "a": VALUES[:12, 0]})
    table.to_csv(path, index=False)
    with pytest.raises(ValueError, match=r"may have months first or days first: pass"):
        read(path)
    assert read(path, day_first=True)[0].index.freq == "MS"
    assert read(path, day_first=False)[0].index.freq == "D"


@pytest.mark.parametrize("start", ["2024-03-30", "2024-10-26"])
@pytest.mark.parametrize(
    ("form", "of"),
    [
        ("%Y-%m-%dT%H:%M:%S%z", "Europe/Berlin"),
        ("%Y-%m-%d %H:%M%z", "UTC"),
        ("%Y-%m-%d %H:%M", "Europe/Berlin"),
        ("%d.%m.%Y %H:%M", "Europe/Berlin"),
    ],
)
def test_times_are_taken_across_a_change_of_clocks(start, form, of, path):
    zone = ZoneInfo("Europe/Berlin")
    hours = pd.date_range(start, periods=48, freq="h", tz=zone)
    times = hours.tz_convert(of).strftime(form)
    pd.DataFrame({"time": times, "a": np.arange(48.0)}).to_csv(path, index=False)
    table, _ = read(path, zone=zone)
    pd.testing.assert_index_equal(table.index, hours, check_names=False)
    np.testing.assert_array_equal(table["a"], np.arange(48))
    if "%z" in form:
        # Without a zone, they are at least the same times.
        assert (read(path)[0].index == hours).all()


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (["2024-03-31 01:00", "2024-03-31 02:00"], "2024-03-31 02:00:00, a time that"),
        (["2024-03-31 01:00", "2024-03-31 03:00+02:00"], "without, such as 2024-03-31"),
    ],
)
def test_times_that_no_clock_shows_are_named(times, message, path):
    pd.DataFrame({"time": times, "a": [1, 2]}).to_csv(path, index=False)
    with pytest.raises(ValueError, match=message):
        read(path, zone=ZoneInfo("Europe/Berlin"))


def test_quarters_are_times(path):
    path.write_text("quarter,a\n2023Q3,1\n2023Q4,2\n2024Q1,4\n2024Q2,3\n")
    assert read(path)[0].index.equals(pd.date_range("2023-07-01", periods=4, freq="QS"))


def test_commas_are_not_guessed(path):
    path.write_text('a,b\n"1,500",1\n"2,250",2\n"3,125",4\n')
    with pytest.raises(ValueError, match="'1,500' may hold thousands or decimals"):
        read(path)
    assert read(path, decimal=",")[0]["a"].tolist() == [1.5, 2.25, 3.125]
    path.write_text("a;b\n1.234,5;1\n2,5;2\n")
    for options in ({}, {"decimal": ","}):
        with pytest.raises(ValueError, match=r"'a' is not numeric: it holds '1.234,5'"):
            read(path, **options)


def test_gaps_are_named_and_filled_if_asked(path):
    table = pd.DataFrame({"date": DAYS, "a": VALUES[:, 0], "b": VALUES[:, 1]})
    table.loc[[0, 4], "b"] = np.nan
    table.to_csv(path, index=False)
    with pytest.raises(
        ValueError, match=r"NaN \(no value\) in column\(s\) \['b'\].*fill"
    ):
        read(path)
    table.drop([7, 8]).to_csv(path, index=False)
    with pytest.raises(ValueError, match="irregular time index.*--fill takes the row"):
        read(path)
    found, said = read(path, gaps="fill")
    expected = VALUES.copy()
    expected[[0, 4], 1] = VALUES[[1, 3], 1]
    expected[7:9] = VALUES[6]
    np.testing.assert_array_equal(found, expected)
    assert "Filled with the values before them: 6" in said[-1]
    assert "rows that were missing altogether: 2." in said[-1]
    expected[[0, 4], 1] = np.nan
    expected[7:9] = np.nan
    found, _ = read(path, gaps="keep")
    np.testing.assert_array_equal(found, expected)
    assert found.index.equals(DAYS)
    months = pd.date_range("2024-01-01", periods=20, freq="MS")
    table.assign(date=months).drop([7, 8]).to_csv(path, index=False)
    assert read(path, gaps="fill")[0].index.equals(months)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("date,a\n2020-01-02,1\n2020-01-01,2\n", "not strictly increasing"),
        ("date,a\n2020-01-01,1\n2020-01-02,2\n2020-01-05,1\n", "irregular time index"),
        ("date,a\n2020-01-01,1\n2020-01-02,b\n2020-01-03,1\n", "'b' in row 2"),
        ("date,a\n2020-01-01,x\n2020-01-02,y\n", "no numbers"),
        ("date,a\n", "no rows"),
        ("date,a\n2020-01-01,1\n", "one row, which is too few"),
        ("", "No columns"),
        ("a,b\n1,2,3\n4,5,6\n", "hold more values than the first one"),
        ("a,b\n1,2\n3,4\n", "2 row(s), too few"),
    ],
)
def test_command_names_what_is_wrong_in_a_file(text, message, path, capsys):
    path.write_text(text)
    with pytest.raises(SystemExit):
        main(["--data", str(path), "--results", str(path.with_name("results.csv"))])
    printed = capsys.readouterr().err
    assert f"--data {path}: " in printed
    assert message in printed


def test_command_takes_options_and_prints_units(path, capsys, monkeypatch):
    monkeypatch.chdir(path.parent)
    written(path, ";", ",", "{:%d.%m.%Y}")
    options = ["--separator", ";", "--decimal", ",", "--time-column", "date"]
    options += ["--day-first", "--fill", "--horizons", "1", "--lags", "2"]
    main(["--data", "mine.csv", "--estimators", "last value", *options])
    printed = capsys.readouterr()
    assert "MSE, where the variance of each series in the training rows is 1" in (
        printed.out
    )
    assert "fit_seconds, of the first fit" in printed.out
    # How far it is, and how long it will take.
    assert "1/1 [" in printed.err

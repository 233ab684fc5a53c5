"""Reports: the same as the public methods say, on a page that is safe and usable."""

import html
import json
import os
import re
import shutil
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from sktime.datasets import load_macroeconomic

import skvar
from skvar import LinearAttentionVAR
from skvar.datasets import make_drifting_var
from skvar.report.__main__ import main
from skvar.report.page import number, percent

SECTIONS = (
    "data forecast backtest calibration matrices responses connectedness residuals"
)
HOSTILE = "<script>alert(1)</script>"
NAMES = [HOSTILE, "a&b\"c'\u2028</script>", "tbilrate"]
FH = range(1, 7)


@pytest.fixture(scope="module")
def economy():
    table = load_macroeconomic()[["infl", "unemp", "tbilrate"]]
    return table.set_axis(NAMES, axis=1)


@pytest.fixture(scope="module")
def forecaster(economy):
    return LinearAttentionVAR(lags=2, sp=4, n_layers=0).fit(economy, fh=FH)


@pytest.fixture(scope="module")
def tracking():
    """A forecaster whose matrices change."""
    table = make_drifting_var(400, 2, random_state=0).series
    options = {"tracking_rows": 60, "max_epochs": 1, "early_stopping": False}
    forecaster = LinearAttentionVAR(lags=1, random_state=0, **options)
    return forecaster.fit(table, fh=FH)


def content_of(forecaster, path, *tables, n_origins=4, **options):
    options["n_origins"] = n_origins
    forecaster.report(path / "report.json", *tables, random_state=0, **options)
    return json.loads((path / "report.json").read_text())


@pytest.fixture(scope="module")
def content(forecaster, tmp_path_factory):
    return content_of(forecaster, tmp_path_factory.mktemp("content"), n_origins=8)


@pytest.fixture(scope="module")
def page(forecaster, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    forecaster.report(path, n_origins=8, random_state=0)
    return path


def test_forecasts_are_those_of_the_forecaster(forecaster, economy, content):
    found, fh = content["forecast"], [*FH]
    np.testing.assert_allclose(np.transpose(found["mean"]), forecaster.predict(fh))
    ends = forecaster.predict_interval(fh, coverage=[0.5, 0.8, 0.95])
    for i, name in enumerate(NAMES):
        for k, coverage in enumerate((0.5, 0.8, 0.95)):
            for side in ("lower", "upper"):
                shown = found[side][k][i]
                np.testing.assert_allclose(shown, ends[name, coverage, side])
    assert found["times"][::5] == ["2009Q4", "2011Q1"]
    assert found["history"]["times"][-1] == "2009Q3"
    last = [values[-1] for values in found["history"]["values"]]
    np.testing.assert_array_equal(last, economy.iloc[-1])


def origins_of(found, economy):
    return economy.index.astype(str).get_indexer(found["origins"])


def test_backtest_is_of_rows_not_learned_from(forecaster, economy, content):
    found = content["backtest"]
    n_learned = found["n_learned"]
    assert found["refitted"]
    assert (n_learned, found["n_held_out"]) == (162, 41)
    origins = origins_of(found, economy)
    assert (origins[0], origins[-1], len(origins)) == (161, 196, 8)
    second = forecaster.clone().fit(economy[:n_learned], fh=FH)
    expected = second.rolling_forecast(economy)[origins - 1]
    np.testing.assert_allclose(
        np.swapaxes(found["forecasts"], 1, 2), expected, rtol=1e-6
    )
    truth = np.stack([economy[end + 1 : end + 7] for end in origins])
    last = np.stack([economy.iloc[[end] * 6] for end in origins])
    season = np.stack(
        [economy.iloc[[*range(end - 3, end + 1), end - 3, end - 2]] for end in origins]
    )
    naive = last, season
    errors = np.stack([expected, *naive]) - truth
    assert found["methods"] == ["LinearAttentionVAR", "last value", "seasonal naive"]
    mae, rmse = found["mean_absolute_error"], found["root_mean_squared_error"]
    np.testing.assert_allclose(mae, np.abs(errors).mean(axis=(1, 2)))
    np.testing.assert_allclose(rmse, np.sqrt((errors**2).mean(axis=(1, 2))))
    ratios = np.array(mae) / mae[1]
    np.testing.assert_allclose(
        found["relative_error"], np.prod(ratios, axis=1) ** (1 / 3)
    )
    scaled = np.abs(errors) / economy[:n_learned].std(ddof=0).to_numpy()
    np.testing.assert_allclose(found["error_by_step"], scaled.mean(axis=(1, 3)))
    shown = pd.DataFrame(np.transpose(found["truth"]["values"]), columns=NAMES)
    start = found["starts"][3]
    np.testing.assert_array_equal(shown[start : start + 6], truth[3])


def test_calibration_counts_intervals_that_held(forecaster, economy, content):
    found = content["calibration"]
    n_learned, origins = found["n_learned"], origins_of(content["backtest"], economy)
    second = forecaster.clone().fit(economy[:n_learned], fh=FH)
    later = economy[n_learned - 2 :]
    truth = np.stack([economy[end + 1 : end + 7] for end in origins])
    for coverage in (0.5, 0.9):
        ends = second.rolling_interval(later, coverage=coverage)
        ends = ends[origins - n_learned + 1]
        held = (ends[..., 0] <= truth) & (truth <= ends[..., 1])
        at = found["nominal"].index(coverage)
        assert found["observed"][at] == pytest.approx(held.mean())
        by_series = np.array(found["observed_by_series"])[:, at]
        np.testing.assert_allclose(by_series, held.mean(axis=(0, 1)))
    assert found["n_values"] == truth.size


def test_missing_values_are_no_test(economy, tmp_path):
    gap = economy.copy()
    gap.iloc[175:190, 0] = np.nan
    forecaster = LinearAttentionVAR(lags=2, n_layers=0).fit(gap[:150], fh=FH)
    content = content_of(forecaster, tmp_path, gap)
    found, origins = content["backtest"], origins_of(content["backtest"], gap)
    truth = np.stack([gap[end + 1 : end + 7] for end in origins])
    errors = np.swapaxes(found["forecasts"], 1, 2) - truth
    mae = np.nanmean(np.abs(errors), axis=(0, 1))
    np.testing.assert_allclose(found["mean_absolute_error"][0], mae)
    ends = forecaster.rolling_interval(gap[148:], coverage=0.9)[origins - 149]
    held = np.where(
        np.isnan(truth), np.nan, (ends[..., 0] <= truth) & (truth <= ends[..., 1])
    )
    found = content["calibration"]
    at = found["nominal"].index(0.9)
    assert found["observed"][at] == pytest.approx(np.nanmean(held))
    assert found["n_values"] == np.isfinite(truth).sum() < truth.size


def test_new_rows_are_the_test(economy, tmp_path):
    forecaster = LinearAttentionVAR(lags=2, n_layers=0).fit(economy[:150], fh=FH)
    before = forecaster.predict()
    for tables in ([economy], [economy[150:]]):
        found = content_of(forecaster, tmp_path, *tables)
        assert found["data"]["n_rows"] == 203
        backtest = found["backtest"]
        assert not backtest["refitted"]
        assert backtest["n_held_out"] == 53
        expected = forecaster.rolling_forecast(economy)
        expected = expected[origins_of(backtest, economy) - 1]
        np.testing.assert_allclose(
            np.swapaxes(backtest["forecasts"], 1, 2), expected, rtol=1e-6
        )
    pd.testing.assert_frame_equal(forecaster.predict(), before)
    array = LinearAttentionVAR(lags=2, n_layers=0).fit(economy.to_numpy()[:150], fh=FH)
    of_array = content_of(array, tmp_path, economy.to_numpy()[150:])
    np.testing.assert_allclose(
        of_array["backtest"]["forecasts"], backtest["forecasts"], rtol=1e-6
    )


def test_changed_rows_are_named(economy, tmp_path):
    forecaster = LinearAttentionVAR(lags=2, n_layers=0).fit(economy[:150], fh=FH)
    changed = economy[:152].copy()
    changed.iloc[[3, 7], 0] += 1
    changed.iloc[9, 1] = np.nan
    message = "3 of these rows differ from those that the model learned from"
    with pytest.warns(UserWarning, match=message):
        found = content_of(forecaster, tmp_path, changed)
    assert message in found["data"]["remarks"][0]
    with pytest.warns(UserWarning, match=message):
        forecaster.report(tmp_path / "report.html", changed, n_origins=2)
    page = (tmp_path / "report.html").read_text()
    assert page.count(message) == 2
    assert "Forecast errors of a second forecaster, fitted without the" in page


def test_rows_may_not_end_before_the_history(economy, tmp_path):
    forecaster = LinearAttentionVAR(lags=2, n_layers=0).fit(economy[:150], fh=FH)
    for end in (100, 149):
        last, now = economy.index[[end - 1, 149]]
        message = f"y ends at {last}, before the history, which ends at {now}; pass"
        with pytest.raises(ValueError, match=message):
            forecaster.report(tmp_path / "report.html", economy[:end])


def test_matrices_are_those_of_the_times(tracking, tmp_path):
    found = content_of(tracking, tmp_path, held_out=0)["matrices"]
    assert not found["is_static"]
    assert len(found["times"]) == 60
    assert found["times"][-1] == "399"
    for i in (0, 20, 59):
        var = tracking.var_coefficients(at=int(found["times"][i]))
        np.testing.assert_allclose(found["matrices"][i], var.matrices, rtol=1e-6)
        moves = np.array(found["typical_moves"])
        relative = np.array(found["matrices"][i]) * moves / moves[:, np.newaxis]
        np.testing.assert_allclose(relative, var.relative_matrices(), rtol=1e-6)
    drift = np.ptp(found["sum_of_lags"], axis=0)
    assert (drift > 0.1).any()


def test_a_static_var_has_one_set_of_matrices(forecaster, content):
    found = content["matrices"]
    assert found["is_static"]
    np.testing.assert_allclose(found["matrices"], [forecaster.coef_], rtol=1e-6)
    np.testing.assert_allclose(found["sum_of_lags"], [forecaster.coef_.sum(axis=0)])


def test_readings_are_those_of_the_matrices(forecaster, content):
    var = forecaster.var_coefficients()
    options = {"impact": "generalized", "bands": 0.9, "method": "posterior"}
    table = var.irf(12, **options, random_state=0)
    found = content["responses"]
    for r, response in enumerate(NAMES):
        for s, shock in enumerate(NAMES):
            part = table[(table["response"] == response) & (table["shock"] == shock)]
            for name in ("value", "lower", "upper"):
                np.testing.assert_allclose(found[name][r][s], part[name], rtol=1e-9)
    expected = var.connectedness(12)
    found = content["connectedness"]
    np.testing.assert_allclose(found["pairwise"], expected.pairwise)
    assert found["total"] == pytest.approx(expected.total)
    np.testing.assert_allclose(found["net"], expected.net)
    tests = pd.DataFrame(content["residuals"]["tests"]).set_index("test")
    np.testing.assert_allclose(tests, var.test_residuals())
    lag_1 = [errors.autocorr(1) for _, errors in var.residuals.items()]
    shown = [values[0] for values in content["residuals"]["autocorrelations"]]
    np.testing.assert_allclose(shown, lag_1, atol=0.02)


def test_settings_are_those_of_the_forecaster(forecaster, content):
    found = content["settings"]
    assert found["summary"] == forecaster.summary()
    parameters = forecaster.get_params(deep=False)
    del parameters["checkpoint"]
    assert found["parameters"] == parameters
    assert found["versions"]["skvar"] == skvar.__version__
    assert found["versions"]["numpy"] == np.__version__


def test_settings_hold_no_paths_and_no_addresses(us_change, tmp_path):
    forecaster = LinearAttentionVAR(lags=1, n_layers=0, sp=np.array([1, 4]))
    forecaster.set_params(checkpoint=tmp_path / "here", random_state=Stream(0))
    forecaster.fit(us_change[:40])
    text = json.dumps(content_of(forecaster, tmp_path, held_out=0))
    assert str(tmp_path) not in text
    parameters = json.loads(text)["settings"]["parameters"]
    assert parameters["random_state"] == "Stream"


class Stream(np.random.RandomState):
    """A parameter whose text holds its address."""


def test_a_second_forecaster_starts_where_the_first_did(economy, tmp_path):
    panel = pd.concat({"a": economy * 2, "b": economy + 1}, names=["series", "time"])
    options = {"lags": 2, "random_state": 0, "d_model": 4, "n_heads": 2}
    plain = LinearAttentionVAR(**options, max_epochs=1)
    pretrained = plain.clone().pretrain(panel, fh=FH)
    # Fitted once before, from which warm_start goes on, but no test may.
    warm = plain.clone().set_params(warm_start=True).fit(economy, fh=FH)
    forecasts = []
    for start, forecaster in ((plain, warm), (pretrained, pretrained.clone())):
        forecaster.fit(economy[:60], fh=FH)
        found = content_of(forecaster, tmp_path)["backtest"]
        assert found["pretrained"] == (start is pretrained)
        n_learned = found["n_learned"]
        second = start.clone().fit(economy[:n_learned], fh=FH)
        expected = second.rolling_forecast(economy[:60])
        expected = expected[origins_of(found, economy) - 1]
        forecasts.append(np.swapaxes(found["forecasts"], 1, 2))
        np.testing.assert_allclose(forecasts[-1], expected, rtol=1e-4)
    assert not np.allclose(*forecasts, rtol=1e-2)


def test_audit_finds_what_was_put_in(tmp_path):
    rng, months = (
        np.random.default_rng(0),
        pd.period_range("2001-01", periods=96, freq="M"),
    )
    table = pd.DataFrame(
        {
            "season": np.tile(np.arange(12.0) ** 2, 8) + rng.normal(size=96),
            "walk": rng.normal(size=96).cumsum(),
            "noise": rng.normal(size=96),
            "constant": 3.0,
        },
        months,
    )
    table.iloc[[5, 20, 21, 22, 95], 2] = np.nan
    table.iloc[92:, 1] = np.nan
    table.iloc[60] = np.nan
    forecaster = LinearAttentionVAR(lags=13, n_layers=0).fit(table, fh=FH)
    found = content_of(forecaster, tmp_path, held_out=0)["data"]
    assert (found["n_rows"], found["n_missing"], found["n_empty_rows"]) == (96, 13, 1)
    assert (found["first"], found["last"]) == ("2001-01", "2008-12")
    assert found["step"] == "month"
    assert found["seasons"] == [12]
    series = pd.DataFrame(found["series"]).set_index("name")
    assert series["n_missing"].tolist() == [1, 5, 6, 1]
    assert series["longest_gap"].tolist() == [1, 4, 3, 1]
    assert series["is_constant"].tolist() == [False, False, False, True]
    strong = [values[0] > 0.5 for values in series["season_strength"]]
    assert strong == [True, False, False, False]
    p = series["unit_root_p"]
    assert p["walk"] > 0.05 > p["noise"]
    assert np.isnan(p["constant"])
    np.testing.assert_allclose(series["mean"], table.mean())
    np.testing.assert_allclose(series["maximum"], table.max())


@pytest.mark.parametrize(
    ("freq", "words", "first"),
    [
        ("QS", "quarter", "2001-01-01"),
        ("15min", "15 minutes", "2001-01-01 00:00"),
        ("B", "working day", "2001-01-01"),
        ("YE", "year", "2001-12-31"),
        ("s", "second", "2001-01-01 00:00:00"),
        ("10ms", "10 milliseconds", "2001-01-01 00:00:00"),
        ("2BQE", "2BQE-DEC", "2001-03-30"),
        ("3bh", "3bh", "2001-01-01 09:00"),
    ],
)
def test_steps_and_times_are_words(freq, words, first, tmp_path):
    rows = pd.DataFrame(
        {"a": np.random.default_rng(0).normal(size=40)},
        pd.date_range("2001-01-01", periods=40, freq=freq),
    )
    forecaster = LinearAttentionVAR(lags=1, n_layers=0, sp=1).fit(rows)
    found = content_of(forecaster, tmp_path, held_out=0)["data"]
    assert found["step"] == words
    assert found["first"] == found["rows"]["times"][0] == first


@pytest.mark.parametrize("name", skvar.forecasting.__all__)
def test_every_forecaster_has_a_report(name, us_change, tmp_path):
    kind = getattr(skvar, name)
    forecaster = kind(**kind.get_test_params()[0]).fit(
        us_change.iloc[:60, :2], fh=[1, 2]
    )
    forecaster.report(tmp_path / "report.html", held_out=0)
    text = (tmp_path / "report.html").read_text()
    found = json.loads(Reader(text).text["script"][0])
    assert found["backtest"]["missing"] == "No rows were held out (held_out=0)."
    without_test = {*SECTIONS.split()} - {"backtest", "calibration"}
    given = {section for section in SECTIONS.split() if "missing" not in found[section]}
    assert given == without_test
    assert text.count("Not in this report") == 2


def test_many_series_are_tables_but_no_pairs(tmp_path):
    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 31)))
    forecaster = LinearAttentionVAR(lags=1, n_layers=0).fit(rows, fh=[1])
    forecaster.report(tmp_path / "report.html", held_out=0)
    text = (tmp_path / "report.html").read_text()
    found = json.loads(Reader(text).text["script"][0])
    for name in ("matrices", "responses", "connectedness"):
        assert "31 series" in found[name]["missing"]
    assert len(found["data"]["series"]) == len(found["forecast"]["mean"]) == 31
    assert "The pictures show the first 30 of 31 series." in text
    assert len(text) < 500_000


def test_rounding_errors_are_no_movement(strange, content_of_strange):
    series = content_of_strange["data"]["series"]
    constant = {one["name"] for one in series if one["is_constant"]}
    assert constant == {"zero", "large", "rounded"}
    assert strange["rounded"].nunique() == 3
    backtest = content_of_strange["backtest"]
    mae = np.array(backtest["mean_absolute_error"])[:, :2]
    ratio = np.sqrt((mae[0] / mae[1]).prod())
    assert backtest["relative_error"][0] == pytest.approx(ratio)
    assert backtest["not_compared"] == ["zero", "large", "rounded"]
    text = content_of_strange["page"].read_text()
    assert "It leaves out zero, large, rounded: an error of one" in text
    assert max(backtest["error_by_step"][1]) < 5
    found = content_of_strange["calibration"]
    assert [one[0] for one in found["observed_by_series"][2:]] == [None] * 3
    assert found["n_values"] == 8 + 7


@pytest.fixture(scope="module")
def strange():
    """Series that are constant, constant but for rounding, or not always known."""
    rng = np.random.default_rng(0)
    known, gaps = rng.uniform(1, 2, (2, 80))
    gaps[20:40] = gaps[79] = np.nan
    table = {"known": known, "gaps": gaps, "zero": 0.0, "large": 1e17}
    rounding = np.finfo(float).eps * rng.integers(3, size=80)
    return pd.DataFrame(table | {"rounded": 1 + rounding})


@pytest.fixture(scope="module")
def content_of_strange(strange, tmp_path_factory):
    forecaster = LinearAttentionVAR(lags=1, n_layers=0).fit(strange, fh=[1, 2])
    path = tmp_path_factory.mktemp("strange")
    forecaster.report(path / "report.html", n_origins=4, random_state=0)
    return content_of(forecaster, path) | {"page": path / "report.html"}


def test_few_residuals_leave_out_the_test_of_whiteness_alone(us_change, tmp_path):
    for n_rows, is_whiteness in ((22, True), (26, False)):
        table, lags = us_change.iloc[:n_rows, :1], 8 if is_whiteness else 14
        forecaster = LinearAttentionVAR(lags=lags, n_layers=0).fit(table, fh=[1])
        found = content_of(forecaster, tmp_path, held_out=0)["residuals"]
        assert found["n_rows"] == n_rows - lags
        errors = forecaster.var_coefficients().residuals.iloc[:, 0]
        p = [one["p_value"] for one in found["tests"]]
        assert (p[0] is not None) == is_whiteness
        assert p[1] == pytest.approx(scipy.stats.jarque_bera(errors).pvalue)


@pytest.fixture(scope="module")
def odd_names(tmp_path_factory):
    """A report on names of no or 300 letters, and on a series without values."""
    values = np.random.default_rng(0).normal(size=(40, 3))
    table = pd.DataFrame(values, columns=["", "n" * 300, "empty"])
    path = tmp_path_factory.mktemp("odd") / "report.html"
    forecaster = LinearAttentionVAR(lags=1, n_layers=0, sp=1).fit(table, fh=[1])
    table = table.assign(empty=np.nan)
    table.iloc[7] = np.nan
    with pytest.warns(UserWarning, match="40 of these rows differ"):
        forecaster.report(path, table, held_out=0)
    return path


def test_odd_names_and_empty_series_are_described(odd_names):
    reader = Reader(odd_names.read_text())
    found = json.loads(reader.text["script"][0])
    assert found["series"] == ["(no name)", "n" * 300, "empty"]
    assert [one["is_constant"] for one in found["data"]["series"]] == [False] * 3
    assert reader.text["td"].count("no values") == 1
    assert {"Minimum", "Maximum"} <= set(reader.text["th"])
    [text] = [one for one in reader.text["p"] if "no value at all" in one]
    assert "1 row has no value at all. The forecaster uses" in " ".join(text.split())


@pytest.mark.browser
def test_long_names_wrap(browser, odd_names):
    opened(browser, odd_names, 1280)
    widths = browser.execute_script(
        "return [...document.querySelectorAll('th')].map((th) => th.clientWidth)"
    )
    assert max(widths) < 500


def test_shares_have_no_negative_zero():
    assert [percent(value) for value in (-0.001, 0.0, -0.01)] == ["0%", "0%", "-1%"]


def test_a_series_may_end_in_a_constant(tmp_path):
    noise = np.random.default_rng(0).normal(size=(2300, 2))
    noise[300:, 0] = 0
    forecaster = LinearAttentionVAR(lags=1, n_layers=0).fit(pd.DataFrame(noise))
    [first, second] = content_of(forecaster, tmp_path, held_out=0)["data"]["series"]
    assert (first["is_constant"], first["unit_root_p"]) == (False, None)
    assert second["unit_root_p"] < 0.05


def test_faults_are_no_reason_to_leave_a_section_out(forecaster, tmp_path, monkeypatch):
    def broken(values, **options):
        raise ValueError("a fault of another package")

    monkeypatch.setattr("statsmodels.tsa.stattools.acf", broken)
    with pytest.raises(ValueError, match="a fault of another package"):
        forecaster.report(tmp_path / "report.html", held_out=0)
    assert not (tmp_path / "report.html").exists()


def test_few_rows_leave_sections_out(us_change, tmp_path):
    forecaster = LinearAttentionVAR(lags=2, n_layers=0).fit(us_change[:9], fh=FH)
    found = content_of(forecaster, tmp_path)
    assert found["data"]["n_rows"] == 9
    assert "few" in found["backtest"]["missing"]
    assert found["residuals"]["n_rows"] == 7
    assert "missing" not in found["matrices"]


def test_covariates_of_rows_ahead_are_needed(us_change, tmp_path):
    y, X = us_change[["Consumption"]], us_change[["Income", "Savings"]]
    forecaster = LinearAttentionVAR(lags=2, n_layers=0, past_covariates=["Savings"])
    forecaster.fit(y[:-8], X[:-8], fh=FH)
    found = content_of(forecaster, tmp_path)
    assert "Pass their rows from" in found["forecast"]["missing"]
    assert found["data"]["covariates"] == ["Savings", "Income"]
    assert "missing" not in found["backtest"]
    found = content_of(forecaster, tmp_path, None, X, held_out=0)
    expected = forecaster.predict([*FH], X[-8:])
    np.testing.assert_allclose(np.transpose(found["forecast"]["mean"]), expected)
    # With new rows of y and X.
    found = content_of(forecaster, tmp_path, y[:-4], X, steps=4, held_out=0)
    expected = forecaster.clone().fit(y[:-8], X[:-8], fh=FH)
    expected.update(y[-8:-4], X[-8:-4], update_params=False)
    expected = expected.predict([1, 2, 3, 4], X[-4:])
    np.testing.assert_allclose(np.transpose(found["forecast"]["mean"]), expected)


def test_panels_and_forgotten_rows_are_tested_on_new_rows(economy, tmp_path):
    parts = {"one": economy[:120], "two": economy[:100] + 1}
    panel = pd.concat(parts, names=["instance", "time"])
    forecaster = LinearAttentionVAR(lags=2, n_layers=0).fit(panel, fh=FH)
    with pytest.raises(ValueError, match=r"fitted to a panel; instance\(key\)"):
        forecaster.report(tmp_path / "report.html")
    one = forecaster.instance("one")
    found = content_of(one, tmp_path)
    assert "one instance of a panel" in found["backtest"]["missing"]
    assert "missing" not in content_of(one, tmp_path, economy)["backtest"]
    single = LinearAttentionVAR(lags=2, n_layers=0).fit(economy[:150], fh=FH)
    skvar.save(single, tmp_path / "model.skvar", history=False)
    short = skvar.load(tmp_path / "model.skvar")
    found = content_of(short, tmp_path)
    assert "does not hold the rows" in found["backtest"]["missing"]
    assert (found["data"]["n_rows"], found["data"]["n_fitted"]) == (2, 150)
    short.report(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "fitted to 150 rows. This report has the last 2 of them." in text
    assert "Not in this report, for the same reason as “Backtest”." in text
    # Earlier rows of y are part of the data.
    found = content_of(short, tmp_path, economy[:152])
    assert found["data"]["n_rows"] == 152
    assert found["backtest"]["refitted"]
    matrices, tests = found["matrices"]["matrices"], found["residuals"]["n_rows"]
    np.testing.assert_allclose(matrices, [single.coef_])
    assert tests == 150
    with pytest.raises(ValueError, match="1963Q4, before the history, which ends at"):
        short.report(tmp_path / "report.json", economy[:20])


def test_cautions_stand_in_their_section(us_change, tmp_path):
    months = pd.period_range("2001-01", periods=40, freq="M")
    table = us_change.iloc[:40, :1].set_axis(months)
    forecaster = LinearAttentionVAR(n_layers=0).fit(table, fh=FH)
    found = content_of(forecaster, tmp_path, held_out=0.5)
    assert "less than two seasons of 12" in found["backtest"]["remarks"][0]


def test_the_same_call_gives_the_same_file(forecaster, page, tmp_path):
    forecaster.report(tmp_path / "again.html", n_origins=8, random_state=0)
    assert (tmp_path / "again.html").read_bytes() == page.read_bytes()


def test_files_are_whole_or_left_alone(forecaster, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("before")
    # What is wrong is said before anything is computed.
    monkeypatch.setattr("skvar.report.writing.content", broken)
    with pytest.raises(ValueError, match="ends in neither .html"):
        forecaster.report(tmp_path / "report.pdf")
    with pytest.raises(FileNotFoundError, match="make it first"):
        forecaster.report(tmp_path / "nowhere" / "report.html")
    for name, value in {
        "steps": 0,
        "n_origins": 1,
        "held_out": 1,
        "coverage": 1,
    }.items():
        with pytest.raises(ValueError, match=name):
            forecaster.report(path, **{name: value})
    with pytest.raises(RuntimeError, match="broken"):
        forecaster.report(path)
    monkeypatch.undo()
    monkeypatch.setattr("skvar.report.writing.page", broken)
    with pytest.raises(RuntimeError, match="broken"):
        forecaster.report(path, held_out=0)
    assert path.read_text() == "before"
    monkeypatch.setattr("skvar.report.writing.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'skvar\[report\]'"):
        forecaster.report(path)
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]


def broken(content):
    raise RuntimeError("broken")


def test_verbose_shows_how_far_it_is(economy, tmp_path, capsys):
    forecaster = LinearAttentionVAR(lags=1, n_layers=0, verbose=1).fit(economy, fh=FH)
    capsys.readouterr()
    forecaster.report(tmp_path / "report.json", n_origins=2)
    assert re.search(
        "report: 100%.*backtest|backtest.*report: 100%", capsys.readouterr().err, re.S
    )


class Reader(HTMLParser):
    """Elements with their attributes, and the text of each kind of element."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text, self.open = [], {}, []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if self.open:
            self.text.setdefault(self.open[-1], []).append(data)


def test_names_are_text(page, content):
    text = page.read_text()
    reader = Reader(text)
    scripts = [attributes for tag, attributes in reader.elements if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "content"}, {}]
    assert set(NAMES) <= set(reader.text["th"])
    assert json.loads(reader.text["script"][0]) == content
    [embedded] = re.findall(r'id="content">(.*?)</script>', text, re.S)
    assert not set(embedded) & {"<", ">", "&", "\u2028", "\u2029"}


def test_a_page_loads_nothing(page):
    text = page.read_text()
    assert set(re.findall(r"https?://[^\s\"'<]+", text)) == {
        "http://www.w3.org/2000/svg"
    }
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|<iframe", text)
    for _, attributes in Reader(text).elements:
        href = attributes.get("href", "#")
        assert href == "data:," or href.startswith("#")
        assert "src" not in attributes
        assert not [name for name in attributes if name.startswith(("on", "style"))]
    [policy] = re.findall(r'Content-Security-Policy" content="(.*?)"', text)
    policy = re.sub(r"sha256-[\w+/=]{44}", "HASH", html.unescape(policy))
    assert policy == (
        "default-src 'none'; img-src data:; style-src 'HASH'; script-src 'HASH'; "
        "base-uri 'none'; form-action 'none'"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-0.0, "0"),
        (0.01234, "0.01234"),
        (0.99996, "1.000"),
        (999.96, "1,000"),
        (-1234567.8, "-1,234,568"),
        (100, "100"),
        (0.00012345, "1.23e-4"),
        (12345678, "1.23e+7"),
        (None, "n/a"),
    ],
)
def test_numbers_have_four_digits(value, text):
    assert number(value) == text


def test_tables_say_what_the_content_says(page, content):
    cells = [text.strip() for text in Reader(page.read_text()).text["td"]]
    mae = content["backtest"]["mean_absolute_error"]
    assert f"{mae[0][0]:.3f} ({mae[0][0] / mae[1][0]:.2f})" in cells
    assert f"{content['calibration']['observed'][4]:.0%}" in cells
    assert f"{content['connectedness']['pairwise'][0][1]:.0%}" in cells


def test_command_reads_model_and_table(economy, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    forecaster = LinearAttentionVAR(lags=2, n_layers=0).fit(economy[:150], fh=FH)
    skvar.save(forecaster, "model.skvar")
    table = economy.set_axis(economy.index.to_timestamp())
    table.drop(table.index[160]).to_csv("data.csv")
    main(["model.skvar", "data.csv", "-o", "report.json", "--held-out", "0.3"])
    assert "The report is in report.json." in capsys.readouterr().out
    found = json.loads(Path("report.json").read_text())
    gap = economy.copy()
    gap.iloc[160] = np.nan
    assert found == content_of(forecaster, tmp_path, gap, held_out=0.3, n_origins=20)
    assert found["data"]["n_empty_rows"] == 1
    main(["model.skvar", "--steps", "2", "--held-out", "0"])
    assert Path("report.html").read_text().startswith("<!doctype html>")
    for arguments, message in {
        ("nowhere.skvar",): "nowhere.skvar",
        ("model.skvar", "other.csv"): "has no columns",
        ("model.skvar", "-o", "report.pdf"): "ends in neither",
    }.items():
        table.iloc[:, :2].to_csv("other.csv")
        with pytest.raises(SystemExit):
            main([*arguments])
        assert message in capsys.readouterr().err


def test_command_takes_times_in_the_zone_of_the_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    hours = pd.date_range("2024-03-30", periods=60, freq="h", tz="Europe/Berlin")
    values = np.random.default_rng(0).integers(100, size=60)
    table = pd.DataFrame({"a": values}, hours)
    forecaster = LinearAttentionVAR(lags=1, n_layers=0, sp=1).fit(table[:-4], fh=[1])
    skvar.save(forecaster, "model.skvar")
    options = {"held_out": 0, "n_origins": 20}
    expected = content_of(forecaster, tmp_path, table, **options)
    assert expected["data"]["n_missing"] == 0
    for index in (hours.map(str), hours.tz_convert("UTC"), hours.tz_localize(None)):
        table.set_axis(index).to_csv("data.csv")
        main(["model.skvar", "data.csv", "-o", "found.json", "--held-out", "0"])
        assert json.loads(Path("found.json").read_text()) == expected


def test_command_refuses_what_is_no_forecaster(us_change, tmp_path, capsys):
    X, y = us_change[["Income"]].to_numpy(), us_change["Consumption"] > 0.7
    classifier = skvar.AarenClassifier(max_epochs=1, d_model=4, n_heads=2)
    skvar.save(classifier.fit(X[:20], y[:20]), tmp_path / "model.skvar")
    with pytest.raises(SystemExit):
        main([str(tmp_path / "model.skvar")])
    assert "holds an AarenClassifier; reports are" in capsys.readouterr().err


def test_command_takes_covariates_and_rows_ahead(us_change, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    y, X = us_change[["Consumption"]], us_change[["Income"]]
    forecaster = LinearAttentionVAR(lags=2, n_layers=0).fit(
        y[:-4], X[:-4], fh=[1, 2, 3, 4]
    )
    skvar.save(forecaster, "model.skvar")
    table = us_change[["Consumption", "Income", "Savings"]]
    table.iloc[-4:, 0] = np.nan
    table.set_axis(table.index.to_timestamp()).to_csv("data.csv")
    main(["model.skvar", "data.csv", "-o", "report.json", "--held-out", "0"])
    found = json.loads(Path("report.json").read_text())
    expected = forecaster.predict([1, 2, 3, 4], X[-4:])
    np.testing.assert_allclose(np.transpose(found["forecast"]["mean"]), expected)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Chromium, whose logs hold what went wrong and all that was asked for."""
    programs = shutil.which("chromium"), shutil.which("chromedriver")
    if not (all(programs) and find_spec("selenium")):
        missing = "Chromium, its driver or selenium is missing."
        if os.environ.get("SKVAR_BROWSER"):
            pytest.fail(missing)
        pytest.skip(missing)
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    profile = tmp_path_factory.mktemp("profile")
    for argument in (
        "headless=new",
        "no-sandbox",
        "disable-gpu",
        "disable-quic",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        f"user-data-dir={profile}",
    ):
        options.add_argument(f"--{argument}")
    options.set_capability(
        "goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"}
    )
    driver = webdriver.Chrome(options, webdriver.ChromeService(programs[1]))
    yield driver
    driver.quit()


def opened(browser, path, width=1280):
    """Open a page from its file, and return what it asked for beside itself."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get_log("performance")
    browser.get(path.as_uri())
    entries = [json.loads(one["message"]) for one in browser.get_log("performance")]
    requests = [
        one["message"]["params"]["request"]["url"]
        for one in entries
        if one["message"]["method"] == "Network.requestWillBeSent"
    ]
    return [url for url in requests if url not in (path.as_uri(), "data:,")]


@pytest.mark.browser
def test_a_browser_draws_the_page_and_asks_for_nothing(browser, page):
    for width in (1280, 360):
        assert opened(browser, page, width) == []
        assert browser.get_log("browser") == []
        # Nothing sticks out on a phone.
        widths = "const { scrollWidth, clientWidth } = document.documentElement;"
        shown, given = browser.execute_script(
            f"{widths} return [scrollWidth, clientWidth]"
        )
        assert shown == given
        drawn = browser.find_elements("css selector", "[data-draw] svg")
        # Five charts of each series, errors by step, and coverage.
        assert len(drawn) == 3 * 5 + 2
        titles = {text.text for text in browser.find_elements("css selector", ".title")}
        assert "tbilrate" in titles
        heads = browser.find_elements("css selector", "th")
        assert HOSTILE in {one.text for one in heads}
    # The background follows the scheme.
    colors = set()
    for scheme in ("light", "dark"):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        body = browser.find_element("css selector", "body")
        colors.add(body.value_of_css_property("background-color"))
    assert len(colors) == 2


@pytest.mark.browser
def test_keys_move_the_slider_and_with_it_the_matrix(browser, tracking, tmp_path):
    path = tmp_path / "report.html"
    tracking.report(path, held_out=0, random_state=0)
    found = content_of(tracking, tmp_path, held_out=0)["matrices"]
    assert opened(browser, path) == []
    slider = browser.find_element("css selector", "input[type=range]")
    moves = np.array(found["typical_moves"])

    def shown():
        cells = browser.find_elements("css selector", "[data-draw=matrices] td")
        return [float(one.text) for one in cells]

    def expected(i):
        # Rows respond: in units of their own typical moves.
        matrix = np.array(found["matrices"][i][0])
        return (matrix * moves / moves[:, np.newaxis]).ravel()

    np.testing.assert_allclose(shown(), expected(59), rtol=1e-2, atol=5e-4)
    for key, i in (("\ue011", 0), ("\ue014", 1), ("\ue010", 59)):
        slider.send_keys(key)
        np.testing.assert_allclose(shown(), expected(i), rtol=1e-2, atol=5e-4)
        assert slider.get_attribute("aria-valuetext") == found["times"][i]
    assert not np.allclose(expected(0), expected(59), rtol=0.1)
    assert browser.get_log("browser") == []
    assert "With the matrices after the last row, it is" in browser.page_source


@pytest.mark.browser
def test_tables_of_the_script_have_the_same_numbers(browser, page, content):
    opened(browser, page)
    found = content["responses"]
    cells = browser.execute_script(
        "const cells = document.querySelectorAll('[data-draw=responses] td');"
        "return [...cells].map((cell) => cell.firstChild.textContent);"
    )
    # By row after the shock, for each response to the first shock.
    values = np.array(found["value"])[:, 0].T.ravel()
    assert cells == [number(value) for value in values]


@pytest.mark.browser
def test_a_browser_draws_series_without_movement(browser, content_of_strange):
    opened(browser, content_of_strange["page"])
    assert browser.get_log("browser") == []
    for kind in ("data", "forecast", "backtest"):
        drawn = browser.find_elements("css selector", f"[data-draw={kind}] svg")
        assert len(drawn) == 5
    lines = browser.find_elements("css selector", "[data-draw=data] path.line")
    drawn = [one.get_attribute("d") for one in lines]
    assert not re.search("NaN|Infinity|undefined", "".join(drawn))
    # Two stretches around the gap, and level lines.
    assert [one.count("M") for one in drawn] == [1, 2, 1, 1, 1]
    for one in drawn[2:]:
        assert len(set(re.findall(r",([\d.]+)", one))) == 1


@pytest.mark.browser
def test_a_picture_that_fails_or_is_one_too_many_leaves_the_others(
    browser, page, tmp_path
):
    text = page.read_text().replace('"history":', '"lost":')
    text = text.replace('data-most-charts="30"', 'data-most-charts="2"')
    (tmp_path / "report.html").write_text(text)
    opened(browser, tmp_path / "report.html")
    [entry] = browser.get_log("browser")
    assert "TypeError" in entry["message"]
    assert not browser.find_elements("css selector", "[data-draw=forecast] svg")
    assert len(browser.find_elements("css selector", "[data-draw=residuals] svg")) == 2

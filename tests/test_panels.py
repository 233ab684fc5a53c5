"""One global model of panels and hierarchies, against tables taken one by one."""

import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.preprocessing import StandardScaler
from sktime.forecasting.model_evaluation import evaluate
from sktime.forecasting.model_selection import ForecastingGridSearchCV
from sktime.split import ExpandingWindowSplitter

from skvar import (
    AarenForecaster,
    LinearAttentionVAR,
    SAMoVARForecaster,
)
from skvar._forecasting import calibration
from skvar._forecasting.forecaster import state_of
from skvar._forecasting.intervals import Intervals
from skvar._forecasting.learning import significantly_better
from skvar.datasets import make_var

CLASSICAL = LinearAttentionVAR(2, horizon=2, n_layers=0)
TINY = {"n_layers": 1, "d_model": 4, "n_heads": 2, "max_epochs": 2, "random_state": 0}
FORECASTERS = {
    "classical": CLASSICAL,
    "dynamic": LinearAttentionVAR(2, horizon=2, **TINY),
    "samovar": SAMoVARForecaster(6, horizon=2, **TINY),
    "aaren": AarenForecaster(6, horizon=2, **TINY),
}


@pytest.fixture(params=FORECASTERS)
def forecaster(request):
    return FORECASTERS[request.param].clone()


def tables_of(lengths, keys="bacd", index=None):
    """Tables with levels and scales of their own."""
    tables = {}
    for i, (key, length) in enumerate(zip(keys, lengths, strict=False)):
        made = make_var(length, 2, random_state=i).series.to_numpy()
        times = pd.RangeIndex(length) if index is None else index[:length]
        tables[key] = pd.DataFrame(10.0**i * made + i, times, ["x", "y"])
    return tables


def joined(tables, names=("shop", "time")):
    return pd.concat(tables, names=list(names))


def rows_of(panel, *rows):
    return panel.groupby(level=0, sort=False).nth(slice(*rows))


def test_the_order_and_names_of_instances_do_not_matter(forecaster):
    tables = tables_of([60, 50, 60, 55])
    new_names = dict(zip("bacd", "wzyx", strict=True))
    permuted = {new_names[key]: tables[key] for key in "dcab"}
    found = []
    for panel in (joined(tables), joined(permuted)):
        fitted = forecaster.clone().fit(rows_of(panel, 0, 45))
        fitted.update(rows_of(panel, 45, 47), update_params=False)
        quiet = fitted.predict_quantiles([-3, 1, 4], alpha=[0.1, 0.9])
        fitted.update(rows_of(panel, 47, 50))
        found.append((quiet, fitted))
    for old, new in new_names.items():
        (before, first), (after, second) = found
        pd.testing.assert_frame_equal(before.loc[old], after.loc[new], check_exact=True)
        ahead = [one.predict([1, 5]) for one in (first, second)]
        np.testing.assert_array_equal(ahead[0].loc[old], ahead[1].loc[new])
        paths = [
            one.instance(key).sample_paths([1, 2], random_state=0)
            for one, key in [(first, old), (second, new)]
        ]
        np.testing.assert_array_equal(*paths)


def test_without_penalty_depth_zero_is_pooled_ols():
    tables = tables_of([40, 25, 30])
    fitted = LinearAttentionVAR(2, n_layers=0, alpha=1e-12).fit(joined(tables))
    inputs, outputs = [], []
    for table in tables.values():
        values = StandardScaler().fit_transform(table)
        inputs.append(
            np.hstack([values[1:-1], values[:-2], np.ones((len(values) - 2, 1))])
        )
        outputs.append(values[2:])
    coef = np.linalg.lstsq(np.concatenate(inputs), np.concatenate(outputs))[0]
    for key, table in tables.items():
        scaler = StandardScaler().fit(table)
        last = scaler.transform(table)[:-3:-1].ravel()
        expected = scaler.inverse_transform([np.append(last, 1.0) @ coef])
        np.testing.assert_allclose(fitted.instance(key).predict(table), expected)


def test_a_panel_of_one_instance_is_its_table(forecaster):
    table = tables_of([60])["b"]
    of_panel = forecaster.clone().fit(joined({"b": table}))
    of_table = forecaster.clone().fit(table)
    for name in ("predict", "predict_interval", "predict_var"):
        found, expected = (
            getattr(one, name)([-2, 1, 5]) for one in (of_panel, of_table)
        )
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("keys", ["bac", [3, 1, 2], [("n", 2), ("n", 1), ("s", 2)]])
def test_an_instance_is_the_forecaster_of_its_table(keys):
    tables = tables_of([60, 50, 55], keys)
    names = ["shop", "time"] if len(np.shape(keys)) < 2 else ["area", "shop", "time"]
    fitted = FORECASTERS["samovar"].clone().fit(joined(tables, names))
    for name in ("predict", "predict_interval", "predict_var"):
        of_panel = getattr(fitted, name)([-1, 1, 3])
        assert list(of_panel.index.names) == names
        for key in tables:
            found = getattr(fitted.instance(key), name)([-1, 1, 3])
            np.testing.assert_array_equal(
                found, of_panel[of_panel.index.droplevel(-1) == key]
            )
            assert found.index.tolist() == [58, 60, 62]
    one = fitted.instance(keys[0])
    assert one.device_ == fitted.device_
    assert one.coef_.shape == (6, 2, 2)
    np.testing.assert_allclose(one.predict(tables[keys[0]]), one.predict([1, 2]))
    for key in (None, "nowhere"):
        with pytest.raises(KeyError, match="is no instance"):
            fitted.instance(key)
    with pytest.raises(ValueError, match=r"instance\(key\)"):
        fitted.rolling_forecast(tables[keys[0]])
    with pytest.raises(KeyError, match="fitted to a single table"):
        FORECASTERS["samovar"].clone().fit(tables[keys[0]]).instance(keys[0])


@pytest.mark.usefixtures("calibration_alone")
def test_forecasts_refer_to_the_cutoff_that_all_share():
    tables = tables_of([60, 50, 55])
    fitted = CLASSICAL.clone().fit(joined(tables))
    ahead = fitted.predict([-7, 1, 3])
    assert ahead.loc["a"].index.tolist() == [52, 60, 62]
    for key in "bac":
        # What follows the own last row, by feeding forecasts back.
        scaler = StandardScaler().fit(tables[key])
        rows = list(scaler.transform(tables[key]))
        network = fitted.network_
        while len(rows) < 63:
            with torch.no_grad():
                rows.append(
                    network(torch.tensor(np.array(rows[-2:]))[None])[0, 0].numpy()
                )
        expected = scaler.inverse_transform(rows)[[60, 62]]
        np.testing.assert_allclose(ahead.loc[key].loc[[60, 62]], expected)
    tables = tables_of([400, 390, 395])
    fitted = CLASSICAL.clone().fit(joined(tables))
    widths = {}
    for key, step in [("b", 11), ("a", 1)]:
        bounds = fitted.predict_interval([step]).loc[key].to_numpy()[0]
        widths[key] = np.diff(bounds)[[0, 2]] / fitted.scaler_[key].scale_
    np.testing.assert_allclose(widths["a"], widths["b"])


@pytest.mark.usefixtures("calibration_alone")
def test_an_instance_that_ended_long_ago_takes_no_rows_from_the_others():
    times = pd.RangeIndex(300)
    tables = tables_of([60, 60, 60])
    for key in "ac":
        tables[key].index = times[-60:]
    tables["b"].index = times[:60]
    fitted = CLASSICAL.clone().fit(joined(tables))
    offsets = {}
    for key in "abc":
        one = fitted.instance(key)
        paths = one.sample_paths([3], n_paths=1, random_state=0)
        assert paths.shape == (1, 1, 2)
        bounds = one.predict_interval([3], coverage=[0.5, 0.9])
        offsets[key] = bounds.to_numpy().reshape(2, 4) / one.scaler_.scale_[:, None]
    calibration_ = state_of(fitted).calibration
    assert calibration_.model((60 - 2 - 2) // 4).n_train["a"] >= 30
    errors = calibration_.errors((60 - 2 - 2) // 4)
    # As wide as those of the farthest step that the block tells of.
    steps = errors.n_steps
    assert steps == (60 - 2 - 2) // 4
    quantiles = errors.quantiles(np.array([0.05, 0.25, 0.75, 0.95]))
    quantiles = quantiles * errors.spread.of_step
    expected = {"a": quantiles[:, 2], "b": quantiles[:, -1], "c": quantiles[:, 2]}
    for key, found in offsets.items():
        widths = found[:, [1, 3]] - found[:, [0, 2]]
        spread = np.sort(expected[key], axis=0)
        np.testing.assert_allclose(widths[:, 0], spread[2] - spread[1])
        np.testing.assert_allclose(widths[:, 1], spread[3] - spread[0])


def test_origins_of_all_instances_together_are_limited(monkeypatch):
    monkeypatch.setattr(calibration, "_MOST_ORIGINS", 10)
    fitted = CLASSICAL.clone().fit(joined(tables_of([200, 150, 100])))
    assert np.isfinite(fitted.predict_interval([1, 2])).all(axis=None)
    assert len(state_of(fitted).calibration.errors(2).standardised) == 9


def test_zero_shot_is_the_network_in_units_of_the_new_series(forecaster):
    tables = tables_of([60, 50, 55, 40])
    new = tables.pop("d")
    fitted = forecaster.fit(joined(tables))
    scaler = StandardScaler().fit(new)
    rows = scaler.transform(new)
    if not isinstance(forecaster, AarenForecaster):
        rows = rows[-fitted.network_.lags :]
    network = fitted.network_
    window = torch.tensor(
        rows[np.newaxis], dtype=network.state_dict().popitem()[1].dtype
    )
    with torch.no_grad():
        if isinstance(forecaster, AarenForecaster):
            expected = network.extend(window, None, n_last=1)[0][0, 0]
        else:
            first = network(window)
            more = network(torch.cat([window[:, 1:], first[:, :1]], dim=1))
            expected = torch.cat([first, more], dim=1)[0, :2]
    expected = scaler.inverse_transform(expected.double())
    found = fitted.predict(new)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)
    assert found.index.tolist() == [40, 41]
    panel = fitted.predict(joined({"d": new, "e": new[:30]}))
    pd.testing.assert_frame_equal(panel.loc["d"], found, check_names=False)
    assert panel.loc["e"].index.tolist() == [30, 31]


def test_every_container_trains_alike(tmp_path):
    tables = tables_of([50, 50, 50], range(3))
    cube = np.stack([table.to_numpy().T for table in tables.values()])
    np.save(tmp_path / "cube.npy", cube)
    mapped = np.load(tmp_path / "cube.npy", mmap_mode="r")
    expected = FORECASTERS["samovar"].clone().fit(joined(tables)).predict([1, 2])
    for panel in (cube, mapped):
        found = FORECASTERS["samovar"].clone().fit(panel).predict([1, 2])
        assert isinstance(found, np.ndarray)
        np.testing.assert_allclose(found[1], expected.loc[1].T, rtol=1e-12)
    found = FORECASTERS["samovar"].clone().fit([*tables.values()]).predict([1, 2])
    np.testing.assert_allclose(found[1], expected.loc[1], rtol=1e-12)
    single = FORECASTERS["samovar"].clone().fit(mapped[0].T)
    again = FORECASTERS["samovar"].clone().fit(cube[0].T)
    np.testing.assert_array_equal(single.predict([1]), again.predict([1]))


MEMORY = """
import sys
import numpy as np
from memory import give_back_at_once, peak_bytes
from skvar import SAMoVARForecaster

give_back_at_once()
forecaster = SAMoVARForecaster(
    192, horizon=48, token_length=192, d_model=4, n_heads=2, batch_size=512,
    max_epochs=1, retrain=False, static_path="ridge", alpha=0.1, random_state=0,
)
forecaster.fit(np.zeros((1, 1, 300)) + np.arange(300))
before = peak_bytes()
forecaster.fit(np.load(sys.argv[1], mmap_mode="r"))
print(peak_bytes() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells peaks of memory")
def test_windows_of_a_large_panel_are_never_in_memory_at_once(tmp_path):
    cube = np.random.default_rng(0).normal(size=(500, 1, 500)).cumsum(axis=2)
    np.save(tmp_path / "cube.npy", cube)
    benchmarks = Path(__file__).parents[1] / "benchmarks"
    run = subprocess.run(
        [sys.executable, "-c", MEMORY, tmp_path / "cube.npy"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(benchmarks)])},
        capture_output=True,
        text=True,
        check=True,
    )
    windows = 500 * (500 - 192 - 48 + 1) * (192 + 48) * 4
    assert int(run.stdout) < windows / 2


def test_arrays_continue_in_time():
    cube = np.stack([table.to_numpy().T for table in tables_of([60, 60, 60]).values()])
    fitted = CLASSICAL.clone().fit(cube[:2, :, :50])
    fitted.update(cube[:2, :, 50:55], update_params=False)
    assert fitted.cutoff[0] == 54
    fitted.update(cube[:, :, 55:60], update_params=False)
    assert fitted.cutoff[0] == 59
    assert fitted.predict([1]).shape == (3, 2, 1)
    again = fitted.instance(1).predict([1, 2])
    expected = fitted.instance(1).predict(pd.DataFrame(cube[1].T))
    np.testing.assert_allclose(again, expected)
    assert fitted.instance(2).predict([0, 1]).index.tolist() == [59, 60]
    with pytest.raises(ValueError, match="before the first row"):
        fitted.instance(2).predict([-5])


def test_update_takes_some_instances_and_new_ones():
    tables = tables_of([60, 60, 60])
    new = tables.pop("c")
    panel = joined(tables)
    fitted = CLASSICAL.clone().fit(rows_of(panel, 0, 50))
    weights = fitted.network_.state_dict()
    fitted.update(joined({"a": tables["a"][50:], "c": new}), update_params=False)
    assert all(
        torch.equal(weights[name], value)
        for name, value in fitted.network_.state_dict().items()
    )
    assert fitted.cutoff[0] == 59
    ahead, after = fitted.predict([1, 2]), fitted.predict(new)
    assert ahead.index.get_level_values(0).unique().tolist() == ["b", "a", "c"]
    np.testing.assert_allclose(ahead.loc["c"], after)
    late = fitted.instance("b").predict([1, 2])
    np.testing.assert_array_equal(ahead.loc["b"], late)
    # Older rows move the cutoff back, and forecasts see no more than them.
    fitted.update(tables["a"][40:45].pipe(lambda t: joined({"a": t})), None, False)
    back = fitted.instance("a")
    expected = back.rolling_forecast(tables["a"][:45])[-1]
    np.testing.assert_allclose(fitted.predict([1, 2]).loc["a"], expected)
    wide = fitted.predict_interval([1]).loc["c"]
    assert np.isfinite(wide).all(axis=None)


def test_instances_that_begin_after_the_cutoff_are_not_forecast():
    tables = tables_of([60, 60])
    tables["a"] = tables["a"][40:]
    fitted = CLASSICAL.clone().fit(joined(tables))
    fitted.update(joined({"b": tables["b"][30:35]}), update_params=False)
    with pytest.raises(ValueError, match="before the first row of instance 'a'"):
        fitted.predict([1])
    fitted.update(joined({"b": tables["b"][30:35]}))
    alone = CLASSICAL.clone().fit(tables["b"][:35])
    coef = fitted.instance("b").coef_
    assert coef.shape == alone.coef_.shape


def test_tables_and_panels_do_not_mix():
    tables = tables_of([60, 60])
    of_panel = CLASSICAL.clone().fit(joined(tables))
    of_table = CLASSICAL.clone().fit(tables["a"])
    before = of_panel.predict([1])
    three = joined({("n", "a"): tables["a"]}, ["area", "shop", "time"])
    for fitted, y in [
        (of_panel, tables["a"]),
        (of_panel, tables["a"].to_numpy()),
        (of_panel, three),
        (of_table, joined(tables)),
    ]:
        with pytest.raises(ValueError, match="level"):
            fitted.update(y)
    pd.testing.assert_frame_equal(of_panel.predict([1]), before)
    with pytest.raises(ValueError, match="before the history"):
        of_table.clone().fit(tables["a"][30:]).update(tables["a"][20:35])


@pytest.mark.parametrize("freq", ["MS", "B", "QS", "7h"])
def test_short_instances_have_the_step_of_the_others(freq):
    times = pd.DatetimeIndex([*pd.date_range("2000-01-03", periods=61, freq=freq)])
    tables = tables_of([2, 60, 1, 4], index=times)
    fitted = CLASSICAL.clone().fit(joined(tables))
    assert fitted.predict([1]).loc["a"].index.tolist() == [times[60]]
    tables["d"].index = times[[0, 1, 2, 4]]
    with pytest.raises(ValueError, match="instance 'd' of y has an irregular"):
        fitted.fit(joined(tables))
    tables["d"].index = times[:4] + pd.Timedelta(minutes=7) * np.arange(4)
    with pytest.raises(ValueError, match="different steps|irregular"):
        fitted.fit(joined(tables))


def test_instances_go_their_own_ways():
    tables = tables_of([60, 60, 60])
    panel = joined(tables)
    fitted = CLASSICAL.clone().fit(rows_of(panel, 0, 50))
    one = fitted.instance("a")
    before = fitted.predict_interval([1, 2])
    np.testing.assert_array_equal(one.predict_interval([1, 2]), before.loc["a"])
    one.update(tables["a"][50:] + 5, update_params=False)
    pd.testing.assert_frame_equal(fitted.predict_interval([1, 2]), before)
    shifted = one.predict_interval([1, 2])
    fitted.update(rows_of(panel, 50, 60), update_params=False)
    fresh = CLASSICAL.clone().fit(rows_of(panel, 0, 50))
    fresh.update(rows_of(panel, 50, 60), update_params=False)
    np.testing.assert_array_equal(
        fitted.predict_interval([1, 2]), fresh.predict_interval([1, 2])
    )
    fitted.update(rows_of(panel, 55, 60) + 1)
    pd.testing.assert_frame_equal(one.predict_interval([1, 2]), shifted)
    for same in (pickle.loads(pickle.dumps(one)), copy.deepcopy(one)):
        pd.testing.assert_frame_equal(same.predict_interval([1, 2]), shifted)
    one.update(tables["a"][55:])
    assert np.isfinite(one.predict_interval([1])).all(axis=None)
    assert one.clone().fit(tables["b"]).predict([1]).index.tolist() == [60]


def test_pretraining_is_kept_where_there_is_too_little_to_learn_from(forecaster):
    tables = tables_of([60, 60, 60, 60])
    new = tables.pop("d")
    pretrained = forecaster.clone().pretrain(joined(tables))
    weights = pretrained.pretrained_.network.state_dict()
    expected = forecaster.clone().fit(joined(tables)).network_.state_dict()
    assert all(torch.equal(weights[name], expected[name]) for name in weights)
    for one in (pretrained.clone(), copy.deepcopy(pretrained)):
        one.fit(new[:7])
        kept = one.network_.state_dict()
        assert all(torch.equal(weights[name], kept[name]) for name in weights)
        assert len(one.predict([1, 2])) == 2
    again = pretrained.clone().fit(new)
    np.testing.assert_array_equal(again.fit(new).predict([1]), again.predict([1]))
    assert again.predict_interval([1]).shape == (1, 4)
    with pytest.raises(TypeError, match="Panel"):
        forecaster.pretrain(new)


def test_fine_tuning_learns_what_is_new():
    def noise_around(matrix, n_rows, seed):
        rng, rows = np.random.default_rng(seed), [np.zeros(2)]
        for _ in range(n_rows - 1):
            rows.append(matrix @ rows[-1] + rng.normal(size=2))
        return pd.DataFrame(rows, columns=["x", "y"])

    matrix = np.array([[0.8, 0.0], [0.0, 0.8]])
    panel = joined({key: noise_around(matrix, 300, key) for key in range(3)})
    forecaster = LinearAttentionVAR(1, n_layers=0).pretrain(panel)
    before = forecaster.pretrained_.network
    other = forecaster.clone().fit(noise_around(-matrix, 400, 7))
    standard_error = np.sqrt((1 - 0.8**2) / 400)
    np.testing.assert_allclose(other.coef_[0], -matrix, atol=5 * standard_error)
    learned = before.matrices[0].numpy()
    np.testing.assert_allclose(learned, matrix, atol=5 * standard_error)


def test_warm_start_goes_from_panels_to_tables_and_back():
    tables = tables_of([60, 60, 60])
    fitted = FORECASTERS["samovar"].clone().set_params(warm_start=True)
    fitted.fit(joined(tables))
    scaler = fitted.scaler_["a"]
    assert fitted.fit(tables["a"]).predict([1]).shape == (1, 2)
    fitted.fit(joined(tables)).fit(joined({"a": tables["a"][:50]}))
    np.testing.assert_array_equal(fitted.scaler_["a"].mean_, scaler.mean_)


def test_covariates_of_one_instance():
    tables, known = tables_of([60, 60]), tables_of([70, 70])
    known = joined(
        {key: table.set_axis(["u", "v"], axis=1) for key, table in known.items()}
    )
    fitted = CLASSICAL.clone().fit(joined(tables), X=rows_of(known, 0, 60))
    future = rows_of(known, 60, 70)
    of_panel = fitted.predict_interval([1, 3], X=future)
    for key in tables:
        one = fitted.instance(key).predict_interval([1, 3], X=future.loc[key])
        np.testing.assert_array_equal(one, of_panel.loc[key])
        paths = fitted.instance(key).sample_paths([1, 3], X=future.loc[key], n_paths=3)
        assert paths.shape == (3, 2, 2)


def test_residuals_of_a_panel():
    tables = tables_of([60, 50])
    panel = joined(tables)
    fitted = CLASSICAL.clone().fit(panel)
    residuals = fitted.predict_residuals()
    pd.testing.assert_index_equal(residuals.index, panel.index)
    pd.testing.assert_frame_equal(fitted.predict_residuals(panel), residuals)
    for key, table in tables.items():
        member = fitted.instance(key)
        in_sample = member.predict(np.arange(-59, len(table) - 59))
        np.testing.assert_allclose(residuals.loc[key], table - in_sample)


# sktime's own composites warn of a coming default that ours already have.
@pytest.mark.filterwarnings("ignore:The default of config ``remember_data``")
def test_searches_and_evaluation():
    panel = joined(tables_of([60, 60]))
    cv = ExpandingWindowSplitter(fh=[1, 2], initial_window=40, step_length=10)
    options = {"strategy": "update", "error_score": "raise"}
    results = evaluate(CLASSICAL, cv, panel, **options)
    assert len(results) == 2
    assert np.isfinite(results.iloc[:, 0]).all()
    search = ForecastingGridSearchCV(CLASSICAL, cv, {"lags": [1, 3]}, **options)
    search.fit(panel)
    assert search.predict([1]).shape == (2, 2)


@pytest.mark.parametrize(
    ("gains", "horizon", "sure"),
    [
        ([1.0], 1, False),  # one window is no evidence
        ([0.9, 1.1], 1, True),
        ([-0.5, 0.9], 1, False),  # mean 0.2, standard error 0.70
        ([0.0, 2.0] * 8, 1, True),  # mean 1, standard error 0.26
        ([0.0, 2.0] * 8, 16, False),  # the windows of one horizon count as one: 1.03
        ([-1.0, -1.1], 1, False),
    ],
)
def test_gains_are_sure_beyond_their_standard_error(gains, horizon, sure):
    assert significantly_better(torch.tensor(gains), horizon) == sure


def test_updates_after_pretraining_keep_its_effect_and_calibration():
    tables = tables_of([60, 50, 40, 40])
    rng = np.random.default_rng(0)
    known = {key: pd.DataFrame({"k": rng.normal(size=60)}) for key in tables}
    moved = {
        key: table + 5 * np.outer(known[key]["k"][: len(table)], table.std())
        for key, table in tables.items()
    }
    new, X = moved.pop("d"), known.pop("d")
    panel = joined(moved)
    X_of_panel = joined({key: known[key][: len(moved[key])] for key in moved})
    forecaster = CLASSICAL.clone().pretrain(panel, X_of_panel).fit(new[:20], X)
    before = forecaster.exog_coef_
    assert np.abs(before[0]).min() > 1.0
    forecaster.update(new[20:22], X)
    np.testing.assert_array_equal(forecaster.exog_coef_, before)
    # Five rows are enough to calibrate what was pretrained.
    short = CLASSICAL.clone().pretrain(joined(tables_of([60, 50, 40]))).fit(new[:5])
    short.update(new[5:6])
    assert np.isfinite(short.predict_interval([1])).all(axis=None)


def test_calibration_does_not_depend_on_when_it_is_computed():
    tables = tables_of([60, 50, 40])
    first = {key: table[:-3] for key, table in tables.items()}
    fitted = LinearAttentionVAR(2, horizon=1, n_layers=0).fit(joined(first))
    fitted.predict_interval([1])
    last = joined({key: table[-3:] for key, table in tables.items()})
    fitted.update(last, update_params=False)
    loaded = pickle.loads(pickle.dumps(fitted))
    for key in tables:
        paths = [
            one.instance(key).sample_paths([1], n_paths=3, random_state=0)
            for one in (fitted, loaded)
        ]
        np.testing.assert_array_equal(*paths)


def test_a_cutoff_that_moved_back_asks_for_no_more_steps():
    fitted = CLASSICAL.clone().fit(joined(tables_of([60, 20])))
    back = joined({"b": tables_of([60])["b"][5:10]})
    fitted.update(back, update_params=False)
    # At row 9 both instances go on.
    assert Intervals(state_of(fitted), 1).n_steps == 2


def test_pretrained_series_are_known_by_name():
    table = tables_of([60])["b"]
    panel = joined(tables_of([60, 50]))
    pretrained = CLASSICAL.clone().pretrain(panel)
    with pytest.raises(ValueError, match=r"pretrained on \['x', 'y'\]; select these"):
        pretrained.clone().fit(table[["y", "x"]])
    with pytest.raises(ValueError, match=r"\['y', 'z'\].*pretrained on"):
        pretrained.clone().fit(table[["y", "x"]].set_axis(["y", "z"], axis=1))
    # Other names, and arrays, are other series of the same kinds.
    expected = pretrained.clone().fit(table).predict([1, 2]).to_numpy()
    for others in (table.set_axis(["u", "v"], axis=1), table.to_numpy()):
        found = np.asarray(pretrained.clone().fit(others).predict([1, 2]))
        np.testing.assert_array_equal(found, expected)


def test_warm_starts_keep_names_and_refuse_others():
    table = tables_of([60])["b"]
    fitted = CLASSICAL.clone().set_params(warm_start=True).fit(table)
    fitted.fit(table.to_numpy())
    assert fitted.feature_names_in_.tolist() == ["x", "y"]
    with pytest.raises(ValueError, match="columns"):
        fitted.fit(table[["y", "x"]])
    X = pd.DataFrame({"a": table["x"] ** 2, "b": 5000.0 + 1000 * table["y"]})
    fitted = CLASSICAL.clone().set_params(warm_start=True, past_covariates=["a"])
    fitted.fit(table, X)
    for names in (["b"], ["a", "b"], None):
        with pytest.raises(ValueError, match="covariates"):
            fitted.set_params(past_covariates=names).fit(table, X)

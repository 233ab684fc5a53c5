"""Tables of numbers of every kind are those of floats; others are refused by name."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler

from skvar import (
    AarenClassifier,
    AarenForecaster,
    InformerForecaster,
    ITransformerForecaster,
    LinearAttentionVAR,
    LinearAttentionVARRegressor,
    LinearTransformerForecaster,
    SAMoVARForecaster,
    rolling_score,
)
from skvar._data import units

INDEX = pd.date_range("2024", periods=130, freq="D")
WALK = np.random.default_rng(0).normal(size=(130, 2)).cumsum(axis=0).round(3)
FLOATS = pd.DataFrame({"load": WALK[:, 0], "open": (WALK[:, 1] > 0) * 1.0}, INDEX)
GAPPY = FLOATS.copy()
GAPPY.iloc[[5, 124], 1] = np.nan
FORECASTER = LinearAttentionVAR(2, n_layers=0, horizon=2)


def nullable(table, dtype):
    return table.astype({"load": "Float64", "open": dtype})


TABLES = {
    "bool": (FLOATS.astype({"open": bool}), FLOATS),
    "nullable bool": (nullable(FLOATS, "boolean"), FLOATS),
    "bool with NA": (nullable(GAPPY, "boolean"), GAPPY),
    "integers with NA": (nullable(GAPPY, "Int64"), GAPPY),
    "small integers": (nullable(FLOATS, "UInt8"), FLOATS),
    "Arrow": (
        GAPPY.astype({"load": "float64[pyarrow]", "open": "bool[pyarrow]"}),
        GAPPY,
    ),
    "decimals": (FLOATS.map(lambda value: Decimal(str(value))), FLOATS),
    "objects with None": (
        GAPPY.astype(object).where(GAPPY.notna(), None),
        GAPPY,
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_numbers_of_every_kind_are_floats(name):
    table, floats = TABLES[name]
    fitted, expected = (FORECASTER.clone().fit(t[:120]) for t in (table, floats))
    pd.testing.assert_frame_equal(fitted.predict(), expected.predict())
    known = pd.DataFrame({"x": WALK[:, 1]}, INDEX)
    by_table, by_floats = (
        LinearAttentionVAR(2, n_layers=0).fit(known[:120], X=t) for t in (table, floats)
    )
    pd.testing.assert_frame_equal(
        by_table.predict([1, 2], X=table), by_floats.predict([1, 2], X=floats)
    )
    for method in ("predict", "rolling_forecast", "rolling_interval"):
        found, right = (getattr(expected, method)(t[100:]) for t in (table, floats))
        np.testing.assert_array_equal(found, right)
    assert rolling_score(expected, table[90:]) == rolling_score(expected, floats[90:])
    pushed = expected.stream().push(table.iloc[124])
    np.testing.assert_array_equal(pushed, expected.stream().push(floats.iloc[124]))
    fitted.update(table[120:], update_params=False)
    expected.update(floats[120:], update_params=False)
    pd.testing.assert_frame_equal(fitted.predict(), expected.predict())
    panels = [pd.concat({"a": t, "b": t[10:]}, names=["i"]) for t in (table, floats)]
    found, right = (FORECASTER.clone().fit(panel).predict() for panel in panels)
    pd.testing.assert_frame_equal(found, right)


@pytest.mark.parametrize("n_columns", [1, 2, 7])
@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("order", ["C", "F"])
def test_units_are_those_of_scikit_learn(n_columns, gaps, order, monkeypatch):
    """To the bit, whatever the order in memory."""
    monkeypatch.setattr(units, "_AT_ONCE", 64)
    rng = np.random.default_rng(0)
    values = rng.normal(100, 10, (1000, n_columns))
    if gaps:
        values[rng.random(values.shape) < 0.2] = np.nan
    expected = StandardScaler().fit(values)
    found = units.units_of(np.asarray(values, order=order))
    for name in ("mean_", "n_features_in_", "n_samples_seen_"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    np.testing.assert_array_equal(found.scale_, np.sqrt(expected.var_))


@pytest.mark.parametrize(
    "column",
    [
        pd.Categorical((WALK[:, 1] > 0) * 1),
        INDEX,
        INDEX - INDEX[0],
        ["shut"] * 130,
        WALK[:, 1] + 1j,
        pd.Series([*WALK[:129, 1], "1.0"], INDEX, dtype=object),
    ],
    ids=["category", "dates", "spans", "words", "complex", "a word among numbers"],
)
def test_others_are_refused_by_name(column):
    table = FLOATS.assign(open=column)
    with pytest.raises(TypeError, match="y has a column that is not numeric: 'open'"):
        FORECASTER.clone().fit(table)
    fitted = FORECASTER.clone().fit(FLOATS[:120])
    with pytest.raises(TypeError, match="not numeric: 'open'"):
        fitted.rolling_forecast(table)
    with pytest.raises(TypeError, match="not numeric: 'open'"):
        fitted.update(table[120:])
    with pytest.raises(TypeError, match="X has a column that is not numeric: 'open'"):
        FORECASTER.clone().fit(FLOATS[["load"]], X=table)


def test_enormous_values_are_refused_and_large_ones_are_not():
    fitted = FORECASTER.clone().fit(FLOATS[["load"]])
    for size in (1e30, 1e100, 1e148):
        large = FORECASTER.clone().fit(size * FLOATS[["load"]])
        np.testing.assert_allclose(large.predict() / size, fitted.predict())
        spread = large.predict_interval([1, 2]) / size
        np.testing.assert_allclose(spread, fitted.predict_interval([1, 2]))
    with pytest.raises(ValueError, match=r"y holds values beyond 1e\+150.*'load'"):
        FORECASTER.clone().fit(1e154 * FLOATS[["load"]])
    with pytest.raises(ValueError, match=r"beyond 1e\+150 in column\(s\) \['load'\]"):
        fitted.update(FLOATS[["load"]].iloc[-1:] * 1e160)


def test_instances_without_a_label_are_refused():
    panel = pd.concat({"a": FLOATS, np.nan: FLOATS}, names=["shop"])
    with pytest.raises(ValueError, match=r"without a label \(NaN\).*\['shop'\]"):
        FORECASTER.clone().fit(panel)
    known = pd.concat({"a": FLOATS, "b": FLOATS}, names=["shop"])
    fitted = FORECASTER.clone().fit(known)
    with pytest.raises(ValueError, match=r"without a label \(NaN\).*\['shop'\]"):
        fitted.predict(panel)


SMALL = {"lags": 6, "n_heads": 2, "d_model": 8, "max_epochs": 1, "random_state": 0}
NETWORK = {"horizon": 3, "static_path": None, **SMALL}
FORECASTERS = {
    "closed form": LinearAttentionVAR(2, n_layers=0),
    "attention": LinearAttentionVAR(**SMALL),
    "tracking": LinearAttentionVAR(tracking_rows=9, early_stopping=False, **SMALL),
    "var in float32": SAMoVARForecaster(horizon=3, static_path="var", **SMALL),
    "samovar": SAMoVARForecaster(**NETWORK),
    "aaren": AarenForecaster(**NETWORK),
    "aaren beside a VAR": AarenForecaster(horizon=3, static_path="var", **SMALL),
    "linear transformer": LinearTransformerForecaster(**NETWORK),
    "itransformer": ITransformerForecaster(**NETWORK),
    "informer": InformerForecaster(**NETWORK),
}


@pytest.mark.parametrize("name", FORECASTERS)
def test_what_is_finite_stays_finite(name):
    """At horizons where growth leaves the range of floats, and after any outlier."""
    growth = pd.DataFrame({"up": 1.5 ** np.arange(130), "walk": WALK[:, 1]})
    fitted = FORECASTERS[name].clone().fit(growth)
    assert np.isfinite(fitted.predict(np.arange(1, 2001)).to_numpy()).all()
    fitted = FORECASTERS[name].clone().fit(WALK)
    for size in (1e39, 1e150):
        outlier = np.array([[size, 0.0]])
        stream = fitted.stream()
        assert np.isfinite([stream.push(row) for row in (*outlier, *WALK[:3])]).all()
        table = np.concatenate([WALK, outlier])
        assert np.isfinite(fitted.predict(table)).all()
        assert np.isfinite(fitted.var_matrices(table)).all()
        window = table[-fitted.network_.lags :]
        assert np.isfinite(fitted.var_matrices(window)).all()
        longer = fitted.clone().fit(WALK).update(outlier, update_params=False)
        assert np.isfinite(longer.predict([1, 300])).all()
        assert np.isfinite(longer.predict_interval([1, 3])).all(axis=None)


@pytest.mark.parametrize("estimator", [LinearAttentionVAR, LinearAttentionVARRegressor])
def test_enormous_rows_of_streams_and_regressors_are_refused(estimator):
    fitted = estimator(2, n_layers=0).fit(FLOATS)
    with pytest.raises(ValueError, match=r"row holds values beyond .*\['open'\]"):
        fitted.stream().push([0.0, -1e151])
    table = FLOATS * [1e152, 1]
    with pytest.raises(ValueError, match=r"values beyond .*\['load'\]"):
        fitted.predict(table)
    with pytest.raises(ValueError, match=r"values beyond .*\['load'\]"):
        estimator(2, n_layers=0).fit(table)


def test_enormous_targets_and_series_to_classify_are_refused():
    with pytest.raises(ValueError, match=r"y holds values beyond .*\[0\]"):
        LinearAttentionVARRegressor(2, n_layers=0).fit(WALK, 1e155 * WALK[:, 0])
    X = np.random.default_rng(0).normal(size=(8, 1, 12))
    X[3, 0, 5] = 1e151
    with pytest.raises(ValueError, match=r"X holds values beyond"):
        AarenClassifier().fit(X, np.arange(8) % 2)

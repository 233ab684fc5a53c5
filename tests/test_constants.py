"""Series that do not vary, in tables, in panels, and until they move."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from skvar import (
    AarenForecaster,
    InformerForecaster,
    ITransformerForecaster,
    LinearAttentionVAR,
    LinearAttentionVARRegressor,
    LinearTransformerForecaster,
    SAMoVARForecaster,
    SAMoVARRegressor,
)

SMALL = {"d_model": 8, "n_heads": 2, "max_epochs": 2, "random_state": 0}
NETWORK = {"lags": 12, "horizon": 3, "static_path": None, **SMALL}
FORECASTERS = {
    "defaults": LinearAttentionVAR(),
    "two lags": LinearAttentionVAR(2, n_layers=0),
    "attention": LinearAttentionVAR(4, **SMALL),
    "static path": SAMoVARForecaster(6, n_layers=0, horizon=3),
    "samovar": SAMoVARForecaster(**NETWORK),
    "aaren": AarenForecaster(**NETWORK),
    "linear transformer": LinearTransformerForecaster(**NETWORK),
    "itransformer": ITransformerForecaster(**NETWORK),
    "informer": InformerForecaster(**NETWORK),
}
WALKS = np.random.default_rng(0).normal(size=(200, 2)).cumsum(axis=0)
LATER = np.random.default_rng(1).normal(size=(300, 3)).cumsum(axis=0)


@pytest.fixture(params=FORECASTERS)
def forecaster(request):
    return FORECASTERS[request.param].clone()


def between(value):
    """A table with a constant between two walks."""
    return pd.DataFrame({"a": WALKS[:, 0], "c": value, "b": WALKS[:, 1]})


def assert_constant(fitted, column, value):
    steps = [1, 2, 3]
    assert (fitted.predict(steps)[column] == value).all()
    assert (fitted.predict_interval(steps, coverage=0.9)[column] == value).all(
        axis=None
    )
    assert (fitted.predict_var(steps)[column] == 0).all()


# A mean of tenths is no tenth, to the last digit.
@pytest.mark.parametrize("value", [0.1, 0.0, -1e9])
def test_a_constant_is_forecast_by_itself(forecaster, value):
    fitted = forecaster.fit(between(value))
    assert_constant(fitted, "c", value)
    paths = fitted.sample_paths([1, 2, 3], n_paths=5, random_state=0)
    assert (paths[..., 1] == value).all()
    # It is neither a cause nor an effect.
    assert not fitted.coef_[:, 1].any()
    assert not fitted.coef_[:, :, 1].any()
    assert fitted.intercept_[1] == value


def test_a_table_may_be_nothing_but_a_constant(forecaster):
    fitted = forecaster.fit(pd.DataFrame({"c": np.full(200, 0.1)}))
    assert_constant(fitted, "c", 0.1)


def test_an_instance_of_a_panel_may_be_constant(forecaster):
    """Whatever the size of others, whose intervals take no account of it."""
    tables = {
        key: pd.DataFrame({"x": 1e-4 * WALKS[:, i]}) for i, key in enumerate("ab")
    }
    alone = forecaster.clone().fit(pd.concat(tables))
    tables["c"] = pd.DataFrame({"x": np.full(200, 0.1)})
    # Numbers that differ by rounding are those of a constant.
    tables["d"] = pd.DataFrame({"x": 1e-4 + 1e-20 * WALKS[:, 0]})
    tables["e"] = pd.DataFrame({"x": 1e-20 * WALKS[:, 0]})
    fitted = forecaster.fit(pd.concat(tables))
    assert_constant(fitted.instance("c"), "x", 0.1)
    for key, value in {"d": 1e-4, "e": 0.0}.items():
        one = fitted.instance(key)
        np.testing.assert_allclose(one.predict([1, 2])["x"], value, atol=1e-18)
        assert (one.predict_var([1, 2])["x"] == 0).all()
    one, other = (
        np.diff(each.instance("a").predict_interval([1], coverage=0.8))[0, 0]
        for each in (fitted, alone)
    )
    assert one == pytest.approx(other, rel=0.5)


def test_intervals_of_few_rows_take_no_account_of_constants():
    """Of which all errors are 0."""
    tables = {
        key: pd.DataFrame({"x": WALKS[:20, i], "y": WALKS[::-1][:20, i]})
        for i, key in enumerate("ab")
    }
    alone = LinearAttentionVAR().fit(pd.concat(tables))
    for i in range(6):
        tables[f"c{i}"] = pd.DataFrame({"x": np.full(20, 0.1), "y": -1e3})
    beside = LinearAttentionVAR().fit(pd.concat(tables))
    one, other = (
        each.predict_interval([1, 4], coverage=0.8).loc["a"] for each in (alone, beside)
    )
    # Neither the model nor its errors know of these.
    pd.testing.assert_frame_equal(one, other)
    # Where one of two series is constant, the errors of that one alone do not count.
    noise = np.random.default_rng(0).normal(size=(20, 8))
    half = {
        f"d{i}": pd.DataFrame({"x": np.full(20, 0.1), "y": noise[:, i]})
        for i in range(4)
    }
    partly = LinearAttentionVAR(2, n_layers=0).fit(pd.concat(tables | half))
    ends = partly.predict_interval([1, 6], coverage=0.3)["x"]
    widths = np.diff(ends.loc[["a", "b"]].to_numpy()).ravel()
    assert (widths > 0.2).all()


def test_one_row_is_no_constant(forecaster):
    """It is taken to vary as other instances do."""
    tables = {
        key: pd.DataFrame({"x": scale * WALKS[:, 0]})
        for key, scale in {"a": 1.0, "b": 2.0, "c": 30.0}.items()
    }
    tables["new"] = pd.DataFrame({"x": [4.0]}, index=[199])
    fitted = forecaster.fit(pd.concat(tables))
    assert fitted.scaler_["new"].scale_ == fitted.scaler_["b"].scale_
    assert fitted.scaler_["new"].mean_ == 4
    ends = fitted.predict_interval([1], coverage=0.9).loc["new"].to_numpy()[0]
    assert ends[1] > ends[0]


def test_a_series_of_much_smaller_instances_is_not_taken_for_a_constant(forecaster):
    tables = {
        key: pd.DataFrame({"x": scale * WALKS[:, 0]})
        for key, scale in {"small": 1e-9, "large": 1.0}.items()
    }
    fitted = forecaster.fit(pd.concat(tables))
    small = fitted.instance("small").predict([1, 2, 3])
    large = fitted.instance("large").predict([1, 2, 3])
    np.testing.assert_allclose(1e9 * small, large, rtol=1e-6)


def test_small_changes_of_large_numbers_are_changes():
    """Down to some thousand times what a float can tell from the level."""
    fitted = LinearAttentionVAR(2, n_layers=0).fit(pd.DataFrame(1e9 + 1e-3 * WALKS))
    expected = LinearAttentionVAR(2, n_layers=0).fit(pd.DataFrame(WALKS))
    ours = (fitted.predict([1, 2, 3]) - 1e9) / 1e-3
    # Steps between floats are 1.2e-7 here, some ten thousandth of a unit.
    np.testing.assert_allclose(ours, expected.predict([1, 2, 3]), atol=2e-3)


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_a_constant_that_moves_is_not_trusted_and_then_learned(forecaster, unit):
    before = between(0.1) * unit
    rows = (LATER + before.iloc[-1].to_numpy() / unit) * unit
    moving = pd.DataFrame(rows, range(200, 500), before.columns)
    fitted = forecaster.fit(before).update(moving, update_params=False)
    assert (fitted.predict([1])["c"] == 0.1 * unit).all()
    lower, upper = fitted.predict_interval([1], coverage=0.9)["c"].to_numpy()[0] / unit
    assert 1 < upper - lower < 40
    # Others do not see what the model has not learned.
    alone = FORECASTERS["two lags"].clone().fit(before)
    others = moving.assign(c=0.1 * unit)
    ends = [
        alone.clone().fit(before).update(table, update_params=False).predict([1, 2])
        for table in (moving, others)
    ]
    pd.testing.assert_frame_equal(*ends)
    fitted.update(moving.iloc[-1:])
    assert (fitted.predict([1])["c"] != 0.1 * unit).all()
    assert fitted.coef_[:, 1].any()
    # In units that it has now.
    scale = fitted.scaler_.scale_[1] / unit
    assert 0.5 < scale / LATER[:, 1].std() < 2


@pytest.mark.parametrize(
    "regressor",
    [LinearAttentionVARRegressor(n_layers=0), SAMoVARRegressor(6, **SMALL)],
    ids=["var", "samovar"],
)
def test_a_constant_target_of_a_regressor_is_predicted_by_itself(regressor):
    y = np.column_stack([WALKS[:, 0], np.full(200, 0.1)])
    fitted = clone(regressor).fit(WALKS, y)
    np.testing.assert_array_equal(fitted.predict(WALKS)[:, 1], 0.1)
    fitted = clone(regressor).fit(between(0.1))
    np.testing.assert_array_equal(fitted.predict(between(0.1))[:, 1], 0.1)


@pytest.mark.parametrize("constant", [0, 1], ids=["series", "target"])
def test_a_constant_of_the_first_rows_is_learned_from_further_ones(constant):
    """As by one fit, up to the penalty, which depends on units."""
    X, y = WALKS.copy(), WALKS[:, :1] + 0.5 * WALKS[:, 1:]
    (X if constant == 0 else y)[:60, 0] = 0.1
    regressor = LinearAttentionVARRegressor(2, n_layers=0, alpha=1e-9)
    in_parts = clone(regressor).fit(X[:60], y[:60]).partial_fit(X[60:], y[60:])
    at_once = clone(regressor).fit(X, y)
    np.testing.assert_allclose(in_parts.predict(X), at_once.predict(X), atol=1e-4)

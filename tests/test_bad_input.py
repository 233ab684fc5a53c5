"""Bad input is named, with a remedy, and leaves a fitted forecaster as it was."""

import copy

import numpy as np
import pandas as pd
import pytest

import skvar
from skvar import (
    AarenForecaster,
    InformerForecaster,
    ITransformerForecaster,
    LinearAttentionVAR,
    LinearTransformerForecaster,
    SAMoVARForecaster,
)

LINEAR = LinearAttentionVAR(2, horizon=4, max_epochs=1, d_model=8, random_state=0)
SAMOVAR = SAMoVARForecaster(8, horizon=4, n_layers=1, max_epochs=1, random_state=0)
AAREN = AarenForecaster(8, horizon=4, n_layers=1, max_epochs=1, random_state=0)


@pytest.fixture(scope="module")
def copy_of_fitted(us_change):
    """Of forecasters that are fitted once."""
    fitted = {}

    def fit(forecaster):
        if id(forecaster) not in fitted:
            fitted[id(forecaster)] = forecaster.clone().fit(us_change)
        return copy.deepcopy(fitted[id(forecaster)])

    return fit


def with_value(table, value):
    table = table.copy()
    table.iloc[7, 2] = value
    return table


def irregular(table):
    table = table.to_timestamp()
    return table.drop(table.index[50])


BAD_TABLES = {
    "inf": (lambda t: with_value(t, np.inf), ValueError, "y holds inf.*Production"),
    "nan": (lambda t: t.assign(Income=np.nan), ValueError, "y has no value.*Income"),
    "text": (lambda t: t.assign(text="a"), TypeError, "not numeric: 'text'"),
    "complex": (lambda t: t * 1j, TypeError, "not numeric: 'Consumption'"),
    "duplicate columns": (
        lambda t: t.set_axis([*"abcdd"], axis=1),
        ValueError,
        r"y has duplicate columns \['d'\]",
    ),
    "irregular": (irregular, ValueError, "y has an irregular time index.*asfreq"),
    "gap in integers": (
        lambda t: t.reset_index(drop=True).drop(index=50),
        ValueError,
        "y has an irregular time index",
    ),
    "duplicate times": (
        lambda t: t.set_axis([*t.index[:-1], t.index[-2]]),
        ValueError,
        "not strictly increasing.*drop duplicate times",
    ),
    "unsorted": (lambda t: t.iloc[::-1], ValueError, r"not strictly.*sort_index\(\)"),
    "steps of five": (
        lambda t: t.set_axis(range(0, 5 * len(t), 5)),
        ValueError,
        r"irregular.*reset_index\(drop=True\)",
    ),
    "float index": (
        lambda t: t.set_axis(np.arange(len(t)) / 2),
        ValueError,
        "time index of dtype float64",
    ),
    "empty": (lambda t: t.iloc[:0], ValueError, "y is empty"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
@pytest.mark.parametrize("forecaster", [LINEAR, SAMOVAR, AAREN])
def test_bad_tables_in_fit(forecaster, case, us_change, copy_of_fitted):
    make, error, message = BAD_TABLES[case]
    fitted = copy_of_fitted(forecaster)
    before = fitted.predict([1, 2, 3, 7])
    with pytest.raises(error, match=message):
        fitted.fit(make(us_change))
    pd.testing.assert_frame_equal(
        fitted.predict([1, 2, 3, 7]), before, check_exact=True
    )
    with pytest.raises(error, match=message):
        forecaster.clone().fit(make(us_change))


BAD_PARAMETERS = [
    ({"lags": 0}, "lags"),
    ({"lags": 2.5}, "lags"),
    ({"lags": 180}, "187 rows are too few for lags=180.*early_stopping=False"),
    ({"lags": 187, "early_stopping": False}, "187 rows are too few.*lower lags"),
    ({"horizon": 0}, "horizon"),
    ({"n_layers": -1}, "n_layers"),
    ({"n_layers": True}, "n_layers=True must be an integer, not a bool"),
    ({"n_heads": True}, "n_heads=True must be an integer, not a bool"),
    ({"horizon": True}, "horizon=True must be an integer, not a bool"),
    ({"max_epochs": -1}, "max_epochs"),
    ({"learning_rate": -0.1}, "learning_rate"),
    ({"dropout": 1.0}, "dropout"),
    ({"validation_fraction": 1.2}, "validation_fraction"),
    ({"alpha": -1}, "alpha=-1 is not in the range"),
    ({"alpha": "least"}, "alpha must be a number or 'auto', not 'least'"),
    ({"alpha": np.nan}, "alpha=nan is not in the range"),
    ({"learning_rate": np.inf}, "learning_rate=inf is not in the range"),
    ({"d_model": 2.5}, "d_model"),
    ({"device": "abacus"}, "device='abacus' is not available here; use 'auto'"),
    ({"random_state": "seed"}, "seed"),
]
BAD_NETWORK_PARAMETERS = [
    ({"n_heads": 3, "d_model": 32}, "n_heads=3 does not divide d_model=32"),
    ({"static_path": "linear"}, "static_path must be 'auto', 'ridge', 'var' or None"),
    ({"n_layers": 0, "static_path": None}, "n_layers=0 leaves only the static path"),
    ({"token_length": 0}, "token_length"),
    ({"d_model": None}, "d_model"),
    ({"retrain": "no"}, "retrain"),
]
BAD_SAMOVAR_PARAMETERS = [
    ({"centre_on": "middle"}, "centre_on must be"),
    ({"predictor": "magic"}, "predictor must be"),
    ({"scaled_attention": 1.0}, "scaled_attention"),
]


SMALL = {"lags": 8, "horizon": 4, "n_layers": 1, "max_epochs": 1, "random_state": 0}
BAD_COMPARATORS = [
    (LinearTransformerForecaster(**SMALL), {"token_length": 0}, "token_length"),
    (ITransformerForecaster(**SMALL), {"d_ff": 0}, "d_ff"),
    (ITransformerForecaster(**SMALL), {"d_ff": True}, "d_ff=True must be an integer"),
    (ITransformerForecaster(**SMALL), {"n_heads": 3}, "n_heads=3 does not divide"),
    (InformerForecaster(**SMALL), {"d_ff": 2.5}, "d_ff"),
    (InformerForecaster(**SMALL), {"lags": 1}, "lags=1 must be at least 2"),
    (InformerForecaster(**SMALL), {"factor": 0}, "factor"),
    (InformerForecaster(**SMALL), {"label_len": 0}, "label_len"),
    (InformerForecaster(**SMALL), {"label_len": 9}, "label_len=9 exceeds lags=8"),
]


@pytest.mark.parametrize(
    ("forecaster", "parameters", "message"),
    [(f, *case) for f in (LINEAR, SAMOVAR, AAREN) for case in BAD_PARAMETERS]
    + [(f, *case) for f in (SAMOVAR, AAREN) for case in BAD_NETWORK_PARAMETERS]
    + [(SAMOVAR, *case) for case in BAD_SAMOVAR_PARAMETERS]
    + BAD_COMPARATORS,
)
def test_bad_parameters(forecaster, parameters, message, us_change, copy_of_fitted):
    fitted = copy_of_fitted(forecaster)
    before = fitted.predict([1, 2])
    for name, value in parameters.items():
        setattr(fitted, name, value)
    with pytest.raises((ValueError, TypeError), match=message):
        fitted.fit(us_change)
    pd.testing.assert_frame_equal(fitted.predict([1, 2]), before, check_exact=True)


@pytest.fixture(
    scope="module", params=[LINEAR, SAMOVAR, AAREN], ids=["linear", "samovar", "aaren"]
)
def fitted(request, us_change):
    return request.param.clone().fit(us_change)


def test_bad_history(fitted, us_change):
    cases = [
        (us_change.iloc[-1:], f"has 1 row.*windows of {fitted.lags}"),
        (us_change[["Income", *us_change.columns.drop("Income")]], "in this order"),
        (us_change.drop(columns="Income"), "has 4 column.*fitted on 5"),
        (us_change.rename(columns={"Income": "Wage"}), "Wage.*select these"),
        (with_value(us_change, np.inf), "holds inf"),
        (us_change.to_numpy()[:, :3], "has 3 column"),
        (us_change.iloc[::4], "irregular"),
        (us_change.to_timestamp(), "timestamps as time index.*periods of Q-DEC"),
        (us_change.reset_index(drop=True), "integers as time index"),
    ]
    for table, message in cases:
        with pytest.raises(ValueError, match=message):
            fitted.predict(table)
        with pytest.raises(ValueError, match=message):
            fitted.var_matrices(table)


def test_horizon_zero_rows_before_the_history(fitted, us_change):
    with pytest.raises(ValueError, match="before the first row"):
        fitted.predict([-len(us_change)])
    with pytest.raises(ValueError, match="fh|horizon"):
        fitted.predict([])


def test_gap_in_update(fitted, us_change):
    forecaster = fitted.clone().fit(us_change[:150])
    before = forecaster.predict([1, 2])
    with pytest.raises(ValueError, match="2007Q3 on are missing"):
        forecaster.update(us_change[152:])
    wrong = us_change[150:].rename(columns={"Income": "Wage"})
    with pytest.raises(ValueError, match="Wage"):
        forecaster.update(wrong)
    with pytest.raises(ValueError, match="y has timestamps as time index"):
        forecaster.update(us_change[150:].to_timestamp())
    with pytest.raises(ValueError, match="holds inf"):
        forecaster.update(with_value(us_change[140:], np.inf))
    assert forecaster.cutoff[0] == us_change.index[149]
    pd.testing.assert_frame_equal(forecaster.predict([1, 2]), before, check_exact=True)
    forecaster.update(us_change[150:])
    assert forecaster.cutoff[0] == us_change.index[-1]


def test_unfitted(us_change):
    for forecaster in (LINEAR.clone(), SAMOVAR.clone(), AAREN.clone()):
        with pytest.raises(ValueError, match="fitted"):
            forecaster.predict(us_change)
        assert not hasattr(forecaster, "coef_")


def test_rolling_score_needs_one_window(fitted, us_change):
    rows = fitted.lags + 3
    with pytest.raises(ValueError, match=r"larger test_size in TimeSeriesSplit"):
        skvar.rolling_score(fitted, us_change[:rows])


def test_rolling_score_checks_every_row_and_the_estimator(fitted, us_change):
    with pytest.raises(ValueError, match="Y holds inf"):
        skvar.rolling_score(fitted, with_value(us_change[::-1], np.inf)[::-1])
    with pytest.raises(ValueError, match="Y has an irregular time index"):
        skvar.rolling_score(fitted, pd.concat([us_change[:100], us_change[110:112]]))
    with pytest.raises(ValueError, match="fitted"):
        skvar.rolling_score(fitted.clone(), us_change)
    with pytest.raises(TypeError, match="not a str"):
        skvar.rolling_score("forecaster", us_change)


def test_ols_without_a_unique_solution_names_alpha(us_change):
    forecaster = LinearAttentionVAR(2, n_layers=0, alpha=0.0)
    for table in (us_change.assign(constant=1.0), us_change[:8]):
        with pytest.raises(ValueError, match=r"alpha=0\.0.*Raise alpha or drop series"):
            forecaster.fit(table)


def test_panels_answer_by_instance(us_change):
    panel = pd.concat({"a": us_change, "b": us_change}, names=["place", "time"])
    forecaster = LINEAR.clone().fit(panel, fh=[1])
    assert len(forecaster.predict()) == 2
    for ask in (
        lambda: forecaster.stream(),
        lambda: forecaster.var_matrices(us_change),
        lambda: forecaster.rolling_forecast(us_change),
        lambda: forecaster.coef_,
    ):
        with pytest.raises(ValueError, match=r"instance\(key\) is"):
            ask()
    with pytest.raises(KeyError, match="no instance; there are .*'a', 'b'"):
        forecaster.instance("c")
    with pytest.raises(ValueError, match="panel.*MultiIndex"):
        LINEAR.clone().fit(us_change).rolling_forecast(panel)

"""Effects of covariates against statsmodels, the truth and what must not matter."""

import functools
import pickle
from dataclasses import replace

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sktime.forecasting.model_evaluation import evaluate
from sktime.split import ExpandingWindowSplitter
from statsmodels.regression.linear_model import OLS

from skvar import (
    AarenForecaster,
    InformerForecaster,
    ITransformerForecaster,
    LinearAttentionVAR,
    LinearTransformerForecaster,
    SAMoVARForecaster,
    rolling_score,
)
from skvar._closed_form import covariates as _covariates
from skvar._closed_form.covariates import (
    apply_effect,
    calendar_features,
    covariate_effect,
)
from skvar._forecasting.forecaster import state_of


def autoregression(rng, n_rows, n_series, coefs):
    """Series of which each follows its own first-order autoregression."""
    values = rng.normal(size=(n_rows, n_series))
    for t in range(1, n_rows):
        values[t] += coefs * values[t - 1]
    return values


def true_effect(n_targets=2):
    """At once on the first target, and three rows later on all."""
    effect = np.zeros((4, n_targets, 2))
    effect[0, 0, 0], effect[3, :, 1] = 1.0, -0.7
    return effect


@pytest.fixture(scope="module")
def simulated():
    rng = np.random.default_rng(0)
    covariates = autoregression(rng, 2000, 2, 0.5)
    rest = autoregression(rng, 2000, 2, np.array([0.6, 1.0]))
    return rest + apply_effect(true_effect(), covariates), covariates


def test_effect_is_that_of_generalised_least_squares(simulated):
    """Given the filter that whitens the rest, the errors are those of its formula."""
    effect = covariate_effect([simulated[0]], [simulated[1]])
    _, covariates = simulated
    for j, coef in enumerate([0.6, 1.0]):
        filtered = covariates[1:] - coef * covariates[:-1]
        # The largest of a few errors, in standard errors of unit shocks.
        tolerance = 4 / np.sqrt((filtered**2).sum(axis=0)).min()
        np.testing.assert_allclose(effect[:4, j], true_effect()[:, j], atol=tolerance)
        assert not effect[4:, j].any()


def test_filtered_effect_is_ols_of_filtered_rows(simulated):
    series, covariates = simulated[0][:, :1], simulated[1]
    weight = np.array([0.4, 0.6])
    effect = _covariates._filtered_effect(
        [series], [covariates], weight, np.ones((4, covariates.shape[1]), dtype=bool)
    )
    y, x = (
        values[2:] - 0.4 * values[:-2] - 0.6 * values[1:-1]
        for values in (series[:, 0], covariates)
    )
    lags = np.stack([x[3 - lag : len(x) - lag] for lag in range(4)], axis=1)
    chosen = effect[:, 0] != 0
    assert chosen[0, 0]
    assert chosen[3, 1]
    assert chosen.sum() < 4
    design = np.column_stack([np.ones(len(lags)), lags[:, chosen]])
    expected = OLS(y[3:], design).fit().params[1:]
    np.testing.assert_allclose(effect[:, 0][chosen], expected, rtol=1e-8)


def test_selection_follows_its_criterion():
    """Orthogonal inputs: the best of all sets is that of the largest gains."""
    count, shares = 500, np.array([0.002, 0.3, 0.01, 0.05, 0.001])
    covariance = np.eye(6)
    covariance[-1, :-1] = covariance[:-1, -1] = np.sqrt(shares)
    order = np.argsort(-shares)
    explained = np.append(0, shares[order].cumsum())
    fit = -(count - np.arange(1, 6) - 1) * np.diff(np.log(1 - explained))
    scores = np.append(0, (fit - 3 - 2 * np.log(5 / np.arange(1, 6))).cumsum())
    chosen = _covariates._select(covariance, count)
    np.testing.assert_array_equal(chosen, order[: scores.argmax()])
    assert 0 < len(chosen) < 5
    # No more than a coefficient for ten rows.
    assert len(_covariates._select(covariance, 29)) <= 2
    covariance[-1, :-1] = covariance[:-1, -1] = np.sqrt(0.19)
    assert len(_covariates._select(covariance, 49)) == 4


def test_collinear_inputs_count_once():
    pairs = np.kron(np.eye(3), np.ones((2, 2)))
    assert _covariates._n_directions(pairs, 100) == 3
    assert _covariates._n_directions(4 * np.eye(6), 100) == 6
    # Three rows span no more than two directions, of however many inputs.
    assert _covariates._n_directions(pairs, 4) == 6


@pytest.mark.parametrize("coef", [0.0, 0.6, 1.0])
def test_noise_has_little_effect(coef):
    """On average over tables, less than two per cent of a shock's variance."""
    rng, sizes = np.random.default_rng(1), []
    for _ in range(10):
        series = autoregression(rng, 500, 1, coef)
        noise = autoregression(rng, 500, 10, 0.95)
        effect = covariate_effect([series], [noise])
        sizes.append(np.diff(apply_effect(effect, noise), axis=0).var())
    assert np.mean(sizes) < 0.02


def test_a_cycle_of_covariates_is_theirs():
    """A filter that removes it first would leave covariates nothing to explain."""
    rng = np.random.default_rng(2)
    hours = pd.date_range("2024-01-01", periods=600, freq="h")
    features = calendar_features(hours, ["hour"]).to_numpy()
    cycle = 3 * np.sin(2 * np.pi * np.arange(600) / 24)[:, np.newaxis]
    series = cycle + autoregression(rng, 600, 1, 0.5)
    found = apply_effect(covariate_effect([series], [features]), features)
    # Two coefficients whose variance is that of the rest's spectrum at the cycle.
    spectrum = 1 / abs(1 - 0.5 * np.exp(2j * np.pi / 24)) ** 2
    error = (found - cycle - (found - cycle).mean()).var()
    assert error < 4 * 2 * spectrum / 600


@settings(max_examples=10, deadline=None)
@given(shift=st.floats(-3, 3), seed=st.integers(0, 100))
def test_levels_and_order_do_not_matter(simulated, shift, seed):
    series, covariates = (values[:400] for values in simulated)
    effect = covariate_effect([series], [covariates])
    rng = np.random.default_rng(seed)
    rows, columns = rng.permutation(2), rng.permutation(2)
    moved = covariate_effect(
        [series[:, rows] + shift], [covariates[:, columns] - shift]
    )
    np.testing.assert_allclose(moved, effect[:, rows][:, :, columns], atol=1e-8)


@given(
    n_lags=st.integers(1, 5),
    n_rows=st.integers(1, 8),
    seed=st.integers(0, 100),
    data=st.data(),
)
@settings(max_examples=50, deadline=None)
def test_apply_effect(n_lags, n_rows, seed, data):
    """By the sum spelled out, which depends on the present and the past alone."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(n_lags, 2, 3))
    covariates = rng.normal(size=(n_rows, 3))
    effect = apply_effect(weights, covariates)
    for t in range(n_rows):
        expected = sum(weights[k] @ covariates[max(t - k, 0)] for k in range(n_lags))
        np.testing.assert_allclose(effect[t], expected, atol=1e-12)
    now = data.draw(st.integers(1, n_rows))
    covariates[now:] += 1
    np.testing.assert_array_equal(apply_effect(weights, covariates)[:now], effect[:now])


def test_segments_are_not_joined(simulated):
    """Another level after a gap is no effect, and short segments are left out."""
    cuts = [(0, 900), (900, 905), (905, 2000)]
    series = [simulated[0][a:b] + 100 * a for a, b in cuts]
    covariates = [simulated[1][a:b] - a for a, b in cuts]
    effect = covariate_effect(series, covariates)
    np.testing.assert_allclose(effect[:4], true_effect(), atol=0.15)


@pytest.mark.parametrize(
    ("n_rows", "covariates"),
    [
        (1, lambda rng: rng.normal(size=(1, 2))),
        (2, lambda rng: rng.normal(size=(2, 2))),
        (10, lambda rng: rng.normal(size=(10, 40))),
        (60, lambda rng: rng.normal(size=(60, 100))),
        (60, lambda rng: rng.normal(size=(60, 600))),
        (200, lambda rng: np.ones((200, 2)) / 3),
        (200, lambda rng: np.linspace(-1, 1, 200)[:, np.newaxis]),
    ],
)
def test_nothing_to_learn(n_rows, covariates):
    rng = np.random.default_rng(3)
    series, covariates = rng.normal(size=(n_rows, 2)), covariates(rng)
    effect = covariate_effect([series], [covariates])
    assert effect.shape == (1, 2, covariates.shape[1])
    assert not effect.any()


def test_constant_series_and_collinear_covariates(simulated):
    series, covariates = simulated
    assert not covariate_effect([0 * series], [covariates]).any()
    twice = np.hstack([covariates, covariates @ [[1, 2], [3, 4]]])
    found = apply_effect(covariate_effect([series], [twice]), twice)
    error = found - apply_effect(true_effect(), covariates)
    assert np.diff(error, axis=0).std() < 0.1


def test_effect_without_a_rest():
    """An exact effect is found exactly."""
    rng = np.random.default_rng(4)
    covariates = rng.normal(size=(300, 2))
    series = apply_effect(true_effect(), covariates)
    effect = covariate_effect([series[4:]], [covariates[4:]])
    np.testing.assert_allclose(effect[:4], true_effect(), atol=1e-6)


NAMES = [
    *_covariates._CATEGORIES,
    *_covariates._CYCLES,
    *_covariates._FLAGS,
]


@pytest.mark.parametrize("freq", ["min", "h", "D", "B", "W", "MS", "QS", "YS"])
def test_calendar_columns_are_stable(freq):
    dates = pd.date_range("2023-03-30 22:00", periods=50, freq=freq, tz="Europe/Paris")
    whole = calendar_features(dates, NAMES)
    pd.testing.assert_frame_equal(calendar_features(dates[7:8], NAMES), whole[7:8])
    assert whole.index is dates
    assert (whole.abs() <= 1).all(axis=None)


@pytest.mark.parametrize(
    ("name", "freq", "n_values"),
    [
        ("hour", "h", 24),
        ("dayofweek", "D", 7),
        ("month", "MS", 12),
        ("quarter", "QS", 4),
    ],
)
def test_any_profile_is_linear_in_categories(name, freq, n_values):
    """With a constant, features span the indicators of all values."""
    dates = pd.date_range("2024-01-01", periods=3 * n_values, freq=freq)
    features = calendar_features(dates, [name])
    assert features.shape[1] == n_values - 1
    design = np.column_stack([np.ones(len(dates)), features])
    assert np.linalg.matrix_rank(design) == n_values
    np.testing.assert_allclose(design[:n_values], design[n_values : 2 * n_values])


def test_calendar_values():
    dates = pd.DatetimeIndex(["2024-02-29 06:15", "2024-03-02 18:00"])
    names = ["is_month_end", "is_weekend", "hour", "minute", "day", "dayofyear"]
    features = calendar_features(dates, names)
    assert features["is_month_end"].tolist() == [1, 0]
    assert features["is_weekend"].tolist() == [0, 1]
    for column, expected in {
        "hour_sin1": [1, -1],
        "hour_cos2": [-1, -1],
        "minute_sin1": [1, 0],
        "day_cos1": np.cos(2 * np.pi * np.array([28 / 29, 1 / 31])),
        "dayofyear_sin3": np.sin(6 * np.pi * np.array([59, 61]) / 366),
    }.items():
        np.testing.assert_allclose(features[column], expected, atol=1e-12)


def test_periods_count_from_their_start():
    periods = pd.period_range("2024Q1", periods=6, freq="Q")
    features = calendar_features(periods, NAMES)
    starts = calendar_features(periods.to_timestamp(), NAMES)
    pd.testing.assert_frame_equal(features, starts.set_axis(periods))


def test_calendar_flags_ignore_the_freq_of_the_index():
    """The last business day of June 2024 is not the last day."""
    fridays = pd.date_range("2024-06-28", periods=1, freq="BME")
    assert not calendar_features(fridays, ["is_month_end"]).any(axis=None)


def test_calendar_errors():
    dates = pd.date_range("2024-01-01", periods=2)
    with pytest.raises(ValueError, match=r"\['weekday'\]; choose from \['hour', "):
        calendar_features(dates, ["hour", "weekday"])
    with pytest.raises(ValueError, match="need dates, but the time index is of dtype"):
        calendar_features(pd.RangeIndex(2), ["hour"])


SMALL = {
    "horizon": 3,
    "n_layers": 1,
    "n_heads": 2,
    "d_model": 8,
    "max_epochs": 1,
    "random_state": 0,
}
CLASSICAL = LinearAttentionVAR(2, horizon=3, n_layers=0)
FORECASTERS = {
    "classical": CLASSICAL,
    "dynamic": LinearAttentionVAR(2, tracking_rows=6, early_stopping=False, **SMALL),
    "samovar": SAMoVARForecaster(6, **SMALL),
    "aaren": AarenForecaster(6, **SMALL),
    "linear transformer": LinearTransformerForecaster(6, **SMALL),
    "itransformer": ITransformerForecaster(6, **SMALL),
    "informer": InformerForecaster(6, **SMALL),
}

N_ROWS, SCALES = 200, np.array([1.0, 50.0])


def tables(seed=0, n_rows=N_ROWS):
    """Series in units of their own, and covariates known 20 rows beyond their end."""
    rng = np.random.default_rng(seed)
    index = pd.date_range("2024-01-01", periods=n_rows + 20, freq="D")
    covariates = autoregression(rng, n_rows + 20, 3, 0.5) * [1, 10, 1] + 3
    X = pd.DataFrame(covariates, index, ["k", "l", "p"])
    rest = autoregression(rng, n_rows, 2, np.array([0.5, 0.8]))
    rest[:, 0] += 2 * X["k"][:n_rows] - 1.5 * X["k"].shift(2).bfill()[:n_rows]
    rest[:, 1] -= 0.2 * X["l"][:n_rows]
    return pd.DataFrame(rest * SCALES, index[:n_rows], ["a", "b"]), X


Y, X = tables()
KNOWN = X[["k", "l"]]
TRUE = np.zeros((3, 2, 2))
TRUE[[0, 2], 0, 0], TRUE[0, 1, 1] = [2, -1.5], -0.2 * 50


@pytest.fixture(scope="module", params=FORECASTERS)
def fitted(request):
    return FORECASTERS[request.param].clone().fit(Y, X=KNOWN)


def effect_by_hand(forecaster, X):
    """The sum over lags of a table of covariates in original units."""
    values = X.to_numpy() - KNOWN[:N_ROWS].mean().to_numpy()
    effect = np.zeros((len(X), 2))
    for t in range(len(X)):
        for lag, weight in enumerate(forecaster.exog_coef_):
            effect[t] += weight @ values[max(t - lag, 0)]
    return effect


def assert_close(ours, theirs, atol=1e-4):
    """Up to float32, in units of the series."""
    np.testing.assert_allclose(ours / SCALES, np.asarray(theirs) / SCALES, atol=atol)


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_exog_coef_is_the_truth_in_original_units(share):
    """Within standard errors of least squares given the filter of the rest."""
    y, X = tables(seed=1, n_rows=1500)
    # Not in the order of the series that they act on.
    X = X[["l", "k"]]
    missing = np.random.default_rng(2).random(y.shape) < share
    forecaster = CLASSICAL.clone().fit(y.mask(missing), X=X)
    assert forecaster.exog_coef_[3:].any() == 0
    found = forecaster.exog_coef_[:3] / SCALES[:, np.newaxis]
    for j, coef in enumerate([0.5, 0.8]):
        filtered = X - coef * X.shift(1)
        errors = 1 / np.sqrt((filtered**2).sum() - filtered.mean() ** 2 * len(X))
        # A row is of use with the one before it; the largest of twelve errors.
        errors *= 4 / (1 - share)
        gap = np.abs(found[:, j] - TRUE[:, j, ::-1] / SCALES[j])
        assert (gap <= errors.to_numpy()).all()


def test_without_covariates_there_is_no_effect():
    forecaster = CLASSICAL.clone().fit(Y)
    assert forecaster.exog_coef_.shape == (1, 2, 0)
    with_X = forecaster.predict([1, 2], X=KNOWN)
    pd.testing.assert_frame_equal(with_X, forecaster.predict([1, 2]))


def test_forecaster_is_one_of_the_rest_plus_the_effect():
    """The network sees the series less the effect; forecasts get it back.

    Units are those of the series as they are, so only what does not depend on units,
    least squares, is the same; and the effect is one of the same row, known from the
    first one on.
    """
    alone = LinearAttentionVAR(2, n_layers=0, alpha=0.0)
    y, X = Y[["b"]], KNOWN[["l"]]
    forecaster = alone.clone().fit(y, X=X)
    assert forecaster.exog_coef_.shape == (1, 1, 1)
    effect = (X["l"] * forecaster.exog_coef_.item()).to_frame("b")
    rest = alone.clone().fit(y - effect[:N_ROWS])
    np.testing.assert_allclose(forecaster.coef_, rest.coef_, atol=1e-8)
    steps = [-3, 0, 1, 2, 9]
    expected = rest.predict(steps) + effect.iloc[N_ROWS - 1 + np.array(steps)]
    ours = forecaster.predict(steps, X=X)
    pd.testing.assert_frame_equal(ours, expected, check_freq=False)
    np.testing.assert_allclose(forecaster.sigma_u_, rest.sigma_u_)


def test_networks_forecast_the_rest(fitted):
    """On tables: the forecast without covariates of the rest, plus the effect."""
    y, X = tables(seed=3)
    X = X[["k", "l"]]
    effect = effect_by_hand(fitted, X)
    ours = fitted.rolling_forecast(y, X=X)
    state = state_of(fitted)
    bare = replace(
        state,
        model=replace(state.model, effect=None),
        history=replace(
            state.history, schema=replace(state.history.schema, features=None)
        ),
    )
    rest = y - effect[:N_ROWS]
    # Effects of rows before the first one are not known.
    for lag, weight in enumerate(fitted.exog_coef_):
        rest[:lag] = rest[:lag].mask(np.tile(weight.any(axis=1), (lag, 1)))
    batches = bare.single.rolling(bare.frame(rest, "rest"), rest.index, None)
    theirs = np.concatenate(list(batches))
    first = np.arange(fitted.network_.lags, N_ROWS + 1)
    theirs = theirs + effect[first[:, np.newaxis] + np.arange(3)]
    assert_close(ours, theirs)
    assert_close(fitted.predict(y, X=X), ours[-1])
    pd.testing.assert_index_equal(fitted.predict(y, X=X).index, X.index[N_ROWS:][:3])
    # The history of its own.
    expected = fitted.rolling_forecast(Y, X=KNOWN)[-1]
    assert_close(fitted.predict([1, 2, 3], X=KNOWN), expected)


def test_updates_follow_covariates(fitted):
    forecaster = fitted.clone().fit(Y[:150], X=KNOWN)
    expected = forecaster.rolling_forecast(Y, X=KNOWN)[-1]
    forecaster.update(Y[150:], X=KNOWN, update_params=False)
    assert_close(forecaster.predict([1, 2, 3], X=KNOWN), expected)


def test_updates_learn_the_effect_anew():
    """As a fit to all rows does, up to the choice of lags in other units."""
    forecaster = CLASSICAL.clone().fit(Y[:150], X=KNOWN).update(Y[150:], X=KNOWN)
    expected = CLASSICAL.clone().fit(Y, X=KNOWN).exog_coef_
    before = CLASSICAL.clone().fit(Y[:150], X=KNOWN).exog_coef_
    np.testing.assert_allclose(forecaster.exog_coef_, expected, rtol=0.01)
    assert np.abs(before[:3] - expected[:3]).max() > 0.01


def test_predict_takes_the_rows_ahead_from_any_table():
    forecaster = CLASSICAL.clone().set_params(past_covariates=["p"]).fit(Y, X=X)
    expected = forecaster.predict([1, 2, 3], X=KNOWN)
    for some in (X, X[["l", "p", "k"]], KNOWN[N_ROWS:][:3]):
        pd.testing.assert_frame_equal(forecaster.predict([1, 2, 3], X=some), expected)


def test_arrays_and_series():
    expected = CLASSICAL.clone().fit(Y, X=KNOWN).predict([1, 2, 3], X=KNOWN)
    y, X = Y.to_numpy(), KNOWN.to_numpy()
    by_array = CLASSICAL.clone().fit(y, X=X[:N_ROWS])
    np.testing.assert_allclose(by_array.predict([1, 2, 3], X=X[N_ROWS:]), expected)
    np.testing.assert_allclose(by_array.predict(y, X=X), expected)
    np.testing.assert_allclose(by_array.rolling_forecast(y, X=X)[-1], expected)
    longer = CLASSICAL.clone().fit(y[:150], X=X[:150])
    longer.update(y[150:], X=X[150:N_ROWS])
    assert longer.predict([1, 2], X=X[N_ROWS:]).shape == (2, 2)
    by_series = CLASSICAL.clone().fit(Y, X=KNOWN["k"])
    by_frame = CLASSICAL.clone().fit(Y, X=KNOWN[["k"]])
    for fh in ([1, 2], Y):
        pd.testing.assert_frame_equal(
            by_series.predict(fh, X=KNOWN["k"]), by_frame.predict(fh, X=KNOWN[["k"]])
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda X: None,
            r"X is missing.*\['k', 'l'\]. Pass their rows",
        ),
        (lambda X: X[["k"]], r"lacks \['l'\]"),
        (lambda X: X.assign(m=1.0), r"\['m'\] are new"),
        (lambda X: X.drop(X.index[N_ROWS + 1]), "lacks 1 row.*first at 2024-07-20"),
        (lambda X: X[:N_ROWS], "lacks 3 row"),
        (lambda X: X.reset_index(drop=True), "lacks .* row"),
        (lambda X: X.to_period("D"), "lacks .* row"),
        (lambda X: X.tz_localize("UTC"), "lacks .* row"),
        (lambda X: X.assign(k=np.inf), r"X holds inf in column\(s\) \['k'\]"),
        (lambda X: pd.concat([X[:-1], X[-2:]]), "duplicate times"),
    ],
)
def test_covariates_that_do_not_fit(change, message):
    forecaster = CLASSICAL.clone().fit(Y, X=KNOWN)
    before = forecaster.predict([1, 2, 3], X=KNOWN)
    for fh in ([1, 2, 3], Y):
        with pytest.raises(ValueError, match=message):
            forecaster.predict(fh, X=change(KNOWN))
    pd.testing.assert_frame_equal(forecaster.predict([1, 2, 3], X=KNOWN), before)


def test_text_is_no_covariate():
    with pytest.raises(TypeError, match="X has a column that is not numeric: 'k'"):
        CLASSICAL.clone().fit(Y, X=KNOWN.assign(k="a"))


def test_covariates_in_fit_and_update_that_do_not_fit():
    with pytest.raises(ValueError, match=r"X has no value in column\(s\) \['k'\]"):
        CLASSICAL.clone().fit(Y, X=KNOWN.assign(k=np.nan))
    forecaster = CLASSICAL.clone().fit(Y[:150], X=KNOWN)
    with pytest.raises(ValueError, match="X is missing"):
        forecaster.update(Y[150:])
    with pytest.raises(ValueError, match=r"\['p'\] are new"):
        forecaster.update(Y[150:], X=X)
    assert forecaster.cutoff[0] == Y.index[149]
    panel = pd.concat({"u": Y, "v": Y}, names=["i", "t"])
    with pytest.raises(ValueError, match="y is a panel, but X a single table"):
        CLASSICAL.clone().fit(panel, X=KNOWN)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"past_covariates": "p"}, TypeError, "past_covariates='p' must be a list"),
        ({"calendar": "month"}, TypeError, "calendar='month' must be a list"),
        ({"calendar": 3}, TypeError, "calendar=3 must be a list"),
        ({"past_covariates": ["z"]}, ValueError, r"\['z'\], which X does not have"),
        ({"past_covariates": ["a"]}, ValueError, r"\['a'\], but y has series of these"),
        ({"calendar": ["weekday"]}, ValueError, r"unknown calendar.*\['weekday'\]"),
    ],
)
def test_bad_names(parameters, error, message):
    forecaster = CLASSICAL.clone().set_params(**parameters)
    with pytest.raises(error, match=message):
        forecaster.fit(Y, X=X.assign(a=1.0))


def test_past_covariates_are_series_that_are_not_shown(fitted):
    """As in a fit to a table that has them as series."""
    forecaster = fitted.clone().set_params(past_covariates=["p"]).fit(Y, X=X[["p"]])
    table = pd.concat([Y, X[["p"]][:N_ROWS]], axis=1)
    joint = fitted.clone().fit(table)
    assert list(forecaster.feature_names_in_) == ["a", "b", "p"]
    assert forecaster.n_features_in_ == 3
    assert forecaster.coef_.shape[1:] == (3, 3)
    np.testing.assert_allclose(forecaster.coef_, joint.coef_, atol=1e-6)
    ours, theirs = (f.predict([-2, 0, 1, 2, 5]) for f in (forecaster, joint))
    pd.testing.assert_frame_equal(ours, theirs[["a", "b"]])
    rolled = joint.rolling_forecast(table)[..., :2]
    np.testing.assert_array_equal(forecaster.rolling_forecast(table), rolled)
    # The shape of the errors of a series is drawn to that of all series shown.
    pd.testing.assert_frame_equal(
        forecaster.predict_var([1, 2]), joint.predict_var([1, 2])[["a", "b"]]
    )
    row = table.iloc[-1]
    np.testing.assert_array_equal(
        forecaster.stream().push(row), joint.stream().push(row)[:, :2]
    )
    residuals = forecaster.predict_residuals()
    pd.testing.assert_frame_equal(residuals, joint.predict_residuals()[["a", "b"]])


def test_past_covariates_of_a_table_may_come_in_X():
    forecaster = CLASSICAL.clone().set_params(past_covariates=["p"]).fit(Y, X=X)
    table, past = pd.concat([Y, X[["p"]][:N_ROWS]], axis=1), X.drop(columns="p")
    for method in ("predict", "rolling_forecast", "rolling_interval"):
        found = getattr(forecaster, method)(Y, X=X)
        np.testing.assert_array_equal(found, getattr(forecaster, method)(table, X=past))
    panel, covariates = (
        pd.concat({"u": some, "v": some}, names=["i", "t"]) for some in (Y, X)
    )
    of_panel = forecaster.clone().fit(panel, X=covariates)
    expected = of_panel.predict(table, X=past)
    pd.testing.assert_frame_equal(of_panel.predict(Y, X=X), expected)
    with pytest.raises(ValueError, match=r"lacks \['p'\]"):
        forecaster.predict(Y, X=past)


@given(step=st.integers(1, 3), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_forecasts_know_covariates_up_to_their_time(step, seed):
    forecaster = fitted_to_gaps()
    rng, later = np.random.default_rng(seed), X.copy()
    later.iloc[N_ROWS + step :] = rng.normal(size=(20 - step, 3))
    ours, theirs = (forecaster.predict([1, 2, 3], X=some) for some in (X, later))
    pd.testing.assert_frame_equal(ours[:step], theirs[:step])


@given(cut=st.integers(20, 50), share=st.sampled_from([0, 0.5, 1]))
@settings(max_examples=20, deadline=None)
def test_forecasts_know_nothing_of_later_series(cut, share):
    """Neither of y nor of past covariates."""
    forecaster = fitted_to_gaps()
    rng = np.random.default_rng(cut)
    table = pd.concat([Y, X[["p"]][:N_ROWS]], axis=1)[:60]
    changed = table.copy()
    changed[cut:] = rng.normal(size=(60 - cut, 3))
    changed[cut:] = changed[cut:].mask(rng.random((60 - cut, 3)) < share)
    before = cut - forecaster.network_.lags + 1
    ours, theirs = (
        forecaster.rolling_forecast(t, X=X)[:before] for t in (table, changed)
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-8)


@functools.cache
def fitted_to_gaps():
    missing = np.random.default_rng(5).random(X.shape) < 0.2
    parameters = {"past_covariates": ["p"], "calendar": ["dayofweek"]}
    forecaster = CLASSICAL.clone().set_params(**parameters)
    return forecaster.fit(Y.mask(missing[:N_ROWS, :2]), X=X.mask(missing))


def test_gaps_of_known_covariates_are_their_last_value():
    gaps = KNOWN.copy()
    gaps.iloc[40:45, 0] = gaps.iloc[N_ROWS - 1 : N_ROWS + 2, 1] = np.nan
    forecaster, filled = (
        CLASSICAL.clone().fit(Y, X=some) for some in (gaps, gaps.ffill())
    )
    steps = [-160, -158, 0, 1, 2, 3]
    # Their units differ by those of a few values more.
    ours, theirs = (
        f.predict(steps, X=some)
        for f, some in ((forecaster, gaps), (filled, gaps.ffill()))
    )
    assert_close(ours, theirs, 1e-3)


def test_waves_of_a_cycle_in_X():
    """Their lags are collinear: whichever act, the first rows are no outliers."""
    t, rng = np.arange(220), np.random.default_rng(8)
    waves = {
        f"{f.__name__}{k}": f(2 * np.pi * k * t / 12)
        for k in (1, 2)
        for f in (np.sin, np.cos)
    }
    X = pd.DataFrame(waves)
    cycle = 10 * X.to_numpy() @ [[1.0], [0.5], [-1.0], [0.3]]
    y = pd.DataFrame(cycle[:200] + 0.1 * rng.normal(size=(200, 1)), columns=["a"])
    forecaster = CLASSICAL.clone().fit(y, X=X)
    # A variance of 200 normal errors.
    assert forecaster.sigma_u_.item() == pytest.approx(0.01, rel=4 * np.sqrt(2 / 200))
    # Four waves, a mean and two lags of what 200 rows tell of 0.1.
    expected = pytest.approx(cycle[200:203, 0], abs=4 * 0.1 * np.sqrt(7 / 200))
    ahead = forecaster.predict([1, 2, 3], X=X)
    assert ahead["a"].tolist() == expected
    # A short table needs earlier rows of X.
    np.testing.assert_allclose(forecaster.predict(y[-2:], X=X), ahead)


def test_calendar_needs_no_X():
    """A weekly profile is found, and forecast also where X ends."""
    profile = 10.0 * (Y.index.dayofweek == 2)
    rng = np.random.default_rng(8)
    y = pd.DataFrame({"a": profile + 0.1 * rng.normal(size=N_ROWS)}, Y.index)
    forecaster = CLASSICAL.clone().set_params(calendar=["dayofweek"]).fit(y)
    fh = range(1, 15)
    days = forecaster.predict(fh).index.dayofweek
    # Errors of seven means of 28 days, and the spread of a mean.
    np.testing.assert_allclose(
        forecaster.predict(fh)["a"], 10.0 * (days == 2), atol=4 * 0.1 / np.sqrt(28)
    )
    # A cycle acts in its own row.
    assert len(forecaster.exog_coef_) == 1
    matrices = forecaster.var_coefficients()
    pd.testing.assert_series_equal(matrices.history["a"], y["a"], check_freq=False)
    effect = forecaster.exog_coef_[0, 0] @ matrices.terms.table.iloc[-N_ROWS:].T
    rest = y["a"] - effect.to_numpy()
    assert (rest - rest.mean()).abs().max() < 5 * 0.1
    bare, with_X = (
        forecaster.rolling_forecast(y),
        forecaster.rolling_forecast(y, X=KNOWN[:N_ROWS]),
    )
    assert np.isfinite(bare).all()
    np.testing.assert_array_equal(bare, with_X)
    named = CLASSICAL.clone().set_params(calendar=["dayofweek", "is_weekend"])
    X_named = KNOWN.rename(columns={"k": "is_weekend"})
    named.fit(y, X=X_named)
    assert named.predict_interval([1, 2], X=X_named).shape == (2, 2)
    assert named.exog_coef_.shape[2] == 2 + 6 + 1
    for index in (Y.index.to_period("D"), Y.index.tz_localize("Europe/Paris")):
        other = forecaster.clone().fit(y.set_axis(index))
        np.testing.assert_allclose(other.predict(fh), forecaster.predict(fh))
    with pytest.raises(ValueError, match="need dates"):
        forecaster.clone().fit(y.reset_index(drop=True))


def test_rolling_forecasts_end_where_covariates_do():
    forecaster = CLASSICAL.clone().fit(Y, X=KNOWN)
    whole = forecaster.rolling_forecast(Y, X=KNOWN)
    gap = forecaster.rolling_forecast(Y, X=KNOWN.drop(KNOWN.index[N_ROWS + 1]))
    unknown = np.isnan(gap).all(axis=2)
    expected = np.zeros_like(unknown)
    expected[-1, 1:] = expected[-2, 2:] = True
    np.testing.assert_array_equal(unknown, expected)
    np.testing.assert_array_equal(gap[~unknown], whole[~unknown])


def test_instances_of_panels_have_covariates_of_their_own():
    other, X_other = tables(seed=7)
    panel = pd.concat({"u": Y, "v": other}, names=["i", "t"])
    covariates = pd.concat({"u": KNOWN, "v": X_other[["k", "l"]]}, names=["i", "t"])
    forecaster = CLASSICAL.clone().fit(panel, X=covariates)
    ours = forecaster.predict([1, 2, 3], X=covariates)
    for lacking in (KNOWN, covariates.loc[["u"]]):
        with pytest.raises(ValueError, match="instance '[uv]' of X is missing"):
            forecaster.predict([1, 2, 3], X=lacking)
    for key, table, X_of in (("u", Y, KNOWN), ("v", other, X_other[["k", "l"]])):
        instance = forecaster.instance(key)
        expected = instance.predict([1, 2, 3], X=X_of)
        of_panel = ours.loc[key].rename_axis(None)
        pd.testing.assert_frame_equal(of_panel, expected, check_freq=False)
        assert_close(instance.rolling_forecast(table, X=X_of)[-1], expected)
        gap = np.abs(instance.exog_coef_[:3] - TRUE) / SCALES[:, np.newaxis]
        assert gap.max() < 0.3
    pd.testing.assert_frame_equal(
        forecaster.predict(panel, X=covariates), ours, check_freq=False
    )
    tuned = CLASSICAL.clone().pretrain(panel, X=covariates).fit(Y[:40], X=KNOWN)
    weights = [state_of(one).model.effect.weights for one in (tuned, forecaster)]
    np.testing.assert_array_equal(*weights)
    with pytest.raises(ValueError, match="X is missing"):
        tuned.clone().fit(Y[:40])


def test_effects_count_as_parameters():
    bare, fitted = CLASSICAL.clone().fit(Y), CLASSICAL.clone().fit(Y, X=KNOWN)
    n_effects = np.count_nonzero(fitted.exog_coef_)
    assert n_effects > 0
    assert fitted.n_parameters_ == bare.n_parameters_ + n_effects


def test_matrices_that_need_covariates_say_so():
    forecaster = CLASSICAL.clone().fit(Y, X=KNOWN)
    for ask in (
        lambda: forecaster.var_matrices(Y),
        lambda: forecaster.var_coefficients(Y),
        lambda: forecaster.compare_with_ols(Y),
    ):
        with pytest.raises(ValueError, match=r"Y alone is not enough.*\['k', 'l'\]"):
            ask()
    with pytest.raises(ValueError, match="A stream has no known covariates"):
        forecaster.stream()
    with pytest.raises(ValueError, match="X is missing"):
        forecaster.rolling_forecast(Y)
    found = forecaster.var_coefficients()
    pd.testing.assert_frame_equal(found.history, Y, check_freq=False)
    assert_close(
        found.forecast(3, X=KNOWN), forecaster.predict([1, 2, 3], X=KNOWN), 1e-8
    )
    errors = forecaster.predict_residuals()[2:] / forecaster.scaler_.scale_
    comparison = forecaster.compare_with_ols().loc["LinearAttentionVAR"]
    assert comparison["mse"] == pytest.approx(np.square(errors).to_numpy().mean())


@pytest.mark.parametrize("pretrained", [False, True])
def test_bootstraps_simulate_the_rest(pretrained):
    parameters = {"past_covariates": ["p"], "calendar": ["dayofweek"], "alpha": 0.0}
    forecaster = CLASSICAL.clone().set_params(**parameters)
    if pretrained:
        panel, covariates = (
            pd.concat({"u": some, "v": some}, names=["i", "t"]) for some in (Y, X)
        )
        forecaster = forecaster.pretrain(panel, X=covariates)
    estimate = forecaster.fit(Y, X=X).var_coefficients()
    bands = estimate.irf(2, bands=0.9, n_draws=4, random_state=0)
    assert bands.notna().all(axis=None)
    assert set(bands["response"]) == {"a", "b", "p"}


def test_searches_and_pipelines_pass_covariates_on():
    """With the score that sums over windows by hand."""
    forecaster = CLASSICAL.clone().set_params(past_covariates=["p"])
    search = GridSearchCV(
        make_pipeline(StandardScaler().set_output(transform="pandas"), forecaster),
        {"linearattentionvar__alpha": [0.1]},
        cv=TimeSeriesSplit(2),
        scoring=rolling_score,
        error_score="raise",
    ).fit(Y, X[:N_ROWS])
    expected = []
    for train, test in TimeSeriesSplit(2).split(Y):
        y, truth = Y.iloc[train], Y.iloc[test]
        mean, scale = y.mean(), y.std(ddof=0)
        alone = forecaster.clone().set_params(alpha=0.1).fit((y - mean) / scale, X=X)
        table = pd.concat([(truth - mean) / scale, X[["p"]].iloc[test]], axis=1)
        forecasts = alone.rolling_forecast(table, X=X.iloc[test])
        forecasts = forecasts * scale.to_numpy() + mean.to_numpy()
        windows = np.lib.stride_tricks.sliding_window_view(truth[2:], 3, axis=0)
        errors = forecasts[: len(windows)] - windows.swapaxes(1, 2)
        expected.append(-np.square(errors).mean())
    assert search.best_score_ == pytest.approx(np.mean(expected))


def test_protocols_keep_covariates(fitted, tmp_path):
    expected = fitted.predict([1, 2, 3], X=KNOWN)
    joblib.dump(fitted, tmp_path / "fitted")
    for other in (
        pickle.loads(pickle.dumps(fitted)),
        joblib.load(tmp_path / "fitted"),
        fitted.clone().fit(Y, X=KNOWN),
    ):
        pd.testing.assert_frame_equal(other.predict([1, 2, 3], X=KNOWN), expected)


def test_sktime_evaluates_with_covariates():
    """What is known makes forecasts better."""
    cv = ExpandingWindowSplitter([1, 2, 3], initial_window=150, step_length=15)
    errors = [
        evaluate(CLASSICAL.clone(), cv, Y[["a"]], X=some, error_score="raise")
        for some in (KNOWN[:N_ROWS], None)
    ]
    ours, bare = (table.filter(like="test_").to_numpy().mean() for table in errors)
    assert ours < bare

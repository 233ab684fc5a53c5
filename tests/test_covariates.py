"""Effects of covariates against statsmodels, the truth and what must not matter."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.regression.linear_model import OLS

from skvar import _covariates
from skvar._covariates import apply_effect, calendar_features, covariate_effect


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
    effect = _covariates._filtered_effect([series], [covariates], weight, 4)
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

"""Exponential smoothing as an autoregression, against statsmodels."""

from dataclasses import replace

import numpy as np
import pytest
from statsmodels.tsa.exponential_smoothing.ets import ETSModel

from skvar._closed_form import smoothing
from skvar._closed_form.error_correction import choose_form, error_correction_var
from skvar._closed_form.smoothing import Smoothing, exponential_smoothing
from skvar.datasets import make_var


@pytest.fixture
def one(monkeypatch):
    """Leave one element of the grid, and next to no prior of first states."""

    def leave(level, trend, damping, season):
        monkeypatch.setattr(smoothing, "_LEVELS", (level,))
        monkeypatch.setattr(smoothing, "_TRENDS", ((trend, damping),))
        monkeypatch.setattr(smoothing, "_SEASONS", (season,))
        for prior in ("_FIRST_LEVEL", "_FIRST_TREND", "_FIRST_SEASON"):
            monkeypatch.setattr(smoothing, prior, 1e-7)

    return leave


def rows(n_rows, season, seed=0):
    rng = np.random.default_rng(seed)
    pattern = np.tile(rng.normal(size=season), n_rows // season + 1)[:n_rows]
    walk = 0.3 * rng.normal(size=n_rows).cumsum()
    return pattern + walk + 0.5 * rng.normal(size=n_rows)


def of_statsmodels(values, level, trend, damping, season, m):
    """Errors from first states of zero, and what each first state adds; (n, 1 + k)."""
    parameters = [level, level * trend, (1 - level) * season, damping]
    n_states = 2 + m

    def errors(states, data):
        model = ETSModel(
            data,
            error="add",
            trend="add",
            damped_trend=True,
            seasonal="add",
            seasonal_periods=m,
            initialization_method="known",
            initial_level=states[0],
            initial_trend=states[1],
            # statsmodels takes the seasons in their order.
            initial_seasonal=states[2:],
        )
        return data - model.smooth(parameters).fittedvalues

    zero = errors(np.zeros(n_states), values)
    added = [errors(state, values) - zero for state in np.eye(n_states)]
    return np.column_stack([zero, *added])


PARAMETERS = [(0.3, 0.2, 0.9, 0.4), (0.8, 0.05, 0.98, 0.05), (0.1, 0.5, 0.85, 0.9)]


@pytest.mark.parametrize("parameters", PARAMETERS)
def test_errors_are_those_of_statsmodels(parameters, one):
    one(*parameters)
    values, m = rows(40, 4), 4
    columns = of_statsmodels(values, *parameters, m)
    targets, inputs = columns[:, 0], -columns[:, 1:]
    expected = []
    for row in range(len(values)):
        others = np.arange(len(values)) != row
        # A level and seasons are one too many: the shortest of the solutions.
        states = np.linalg.lstsq(inputs[others], targets[others], rcond=1e-9)[0]
        expected.append(targets[row] - inputs[row] @ states)
    found = Smoothing(m, np.ones((1, 1))).errors(values[:, np.newaxis])
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("parameters", PARAMETERS)
def test_weights_forecast_what_statsmodels_does(parameters, one):
    one(*parameters)
    values, m = rows(33, 4), 4
    # The error of a next row of zero is the forecast but for its sign.
    columns = of_statsmodels(np.append(values, 0.0), *parameters, m)
    targets, inputs = columns[:, 0], -columns[:, 1:]
    states = np.linalg.lstsq(inputs[:-1], targets[:-1], rcond=1e-9)[0]
    forecast = inputs[-1] @ states - targets[-1]
    weights = Smoothing(m, np.ones((1, 1))).weights(len(values))
    assert weights[:, 0] @ values[::-1] == pytest.approx(forecast, abs=1e-4)
    assert weights.sum() == pytest.approx(1)


def test_shares_are_those_of_the_marginal_likelihood(monkeypatch):
    values, m, n = rows(30, 4), 4, 30
    grid = (0.3, 0.2, 0.9, 0.4), (0.8, 0.2, 0.9, 0.4)
    monkeypatch.setattr(smoothing, "_LEVELS", (0.3, 0.8))
    monkeypatch.setattr(smoothing, "_TRENDS", ((0.2, 0.9),))
    monkeypatch.setattr(smoothing, "_SEASONS", (0.4,))
    logs = []
    for parameters in grid:
        # Less their first value, as levels begin there.
        columns = of_statsmodels(values - values[0], *parameters, m)
        targets, inputs = columns[:, 0], -columns[:, 1:]
        # Precisions of the first level, trend and seasons, in those of the errors.
        prior = np.diag([1e4, 1.0, *[100.0] * m])
        covariance = np.eye(n) + inputs @ prior @ inputs.T
        fit = targets @ np.linalg.solve(covariance, targets)
        logs.append(-np.linalg.slogdet(covariance)[1] / 2 - n / 2 * np.log(fit))
    shares = exponential_smoothing([values[:, np.newaxis]], m).shares[:, 0]
    expected = 1 / (1 + np.exp(logs[1] - logs[0]))
    assert 0.01 < expected < 0.99
    assert shares[0] == pytest.approx(expected, rel=1e-6)


def test_series_have_their_own_parameters():
    rng = np.random.default_rng(0)
    walk, noise = rng.normal(size=300).cumsum(), rng.normal(size=300)
    values = np.column_stack([walk, noise])
    weights = exponential_smoothing([values], 1).weights(40)
    # The last value of a random walk is its best forecast; the mean of noise is.
    assert weights[0, 0] > 0.9
    assert np.abs(weights[:, 1] - 1 / 40).max() < 0.05


@pytest.mark.parametrize("season", [1, 4])
def test_lines_and_repeating_seasons_are_continued(season):
    pattern = np.arange(73) % season % 3
    values = pattern[:72] + 0.5 * np.arange(72) + 7.0
    noise = 0.01 * np.random.default_rng(0).normal(size=72)
    weights = exponential_smoothing([(values + noise)[:, np.newaxis]], season)
    forecast = weights.weights(48)[:, 0] @ values[:-49:-1]
    assert forecast == pytest.approx(pattern[72] + 36 + 7, abs=0.2)


def test_many_parameters_and_segments_come_in_parts(monkeypatch):
    values = np.column_stack([rows(90, 4), rows(90, 4, 1)])
    segments = [values[:50], values[50:]]
    whole = exponential_smoothing(segments, 4)
    expected = whole.weights(24), whole.errors(values)
    monkeypatch.setattr(smoothing, "_CHUNK", 900)
    parts = exponential_smoothing(segments, 4)
    np.testing.assert_allclose(parts.shares, whole.shares)
    np.testing.assert_allclose(parts.weights(24), expected[0])
    np.testing.assert_allclose(parts.errors(values), expected[1])


def test_a_constant_is_forecast_by_itself():
    smoothed = exponential_smoothing([np.zeros((30, 1))], 1)
    assert smoothed.weights(12)[:, 0] @ np.full(12, 3.0) == pytest.approx(3)


def test_static_vars_are_left_alone():
    table = make_var(120, 3, spectral_radius=0.8, random_state=0).series.to_numpy()
    form = choose_form([table])
    assert not form.smoothed_rows
    assert form.rows < 24


def test_the_mean_with_smoothing_is_one_var():
    rng = np.random.default_rng(1)
    # A level that wanders under noise: smoothing is right.
    values = rng.normal(size=(150, 2)).cumsum(axis=0) / 4 + rng.normal(size=(150, 2))
    form = choose_form([values])
    assert form.smoothed_rows == form.rows == 24
    matrices, intercept, _ = error_correction_var([values], form)
    without = replace(form, smoothed_rows=0)
    alone, of_alone, _ = error_correction_var([values], without)
    scale = np.sqrt(np.square(np.diff(values, axis=0)).mean(axis=0))
    smoothed = exponential_smoothing([values / scale], 1).weights(24)
    expected = 0.4 * smoothed[:, np.newaxis] * np.eye(2)
    expected[: len(alone)] += 0.6 * alone
    np.testing.assert_allclose(matrices, expected, atol=1e-9)
    np.testing.assert_allclose(intercept, 0.6 * of_alone, atol=1e-9)

"""How large errors are by step and time of the season, and intervals that know it."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from sklearn.isotonic import IsotonicRegression

from skvar import AarenForecaster, LinearAttentionVAR, SAMoVARForecaster
from skvar._closed_form.conformal import CalibrationErrors
from skvar._closed_form.spread import Spread, credible_factors


def errors_at(rng, n_origins, sizes, first=0):
    """Normal errors (n_origins, n_steps, n_series) and the rows that they belong to."""
    n_steps = len(sizes(np.zeros((1, 1), int))[0])
    rows = first + np.arange(n_origins)[:, np.newaxis] + np.arange(1, n_steps + 1)
    scales = sizes(rows)
    return scales * rng.normal(size=scales.shape), rows


def by_step_and_hour(rows):
    """Scales (..., 3, 2): a step counts as its number, noon four times as midnight."""
    steps = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
    hour = 1 + 0.6 * np.sin(2 * np.pi * np.asarray(rows)[..., np.newaxis] / 24)
    return steps * np.broadcast_to(hour, (*hour.shape[:-2], 3, 1))


def test_scales_by_step_and_season_are_found():
    rng = np.random.default_rng(0)
    errors, rows = errors_at(rng, 4800, by_step_and_hour, first=7)
    errors[rng.random(errors.shape) < 0.1] = np.nan
    spread = Spread.estimate(errors, rows, [24])
    later = 5000 + np.arange(24)[:, np.newaxis] + np.arange(1, 4)
    mean_size = np.sqrt(2 / np.pi)
    found = spread.at(later) / (mean_size * by_step_and_hour(later))
    # Three errors of each of 200 days for a time of the day, each |e| with a standard
    # deviation of 0.76 of its mean; four standard errors, and what is drawn to 1.
    np.testing.assert_allclose(found, 1, atol=4 * 0.76 / np.sqrt(0.9 * 600) + 0.02)
    whole = errors_at(rng, 4800, by_step_and_hour)
    of_errors = CalibrationErrors.of(whole[0], 4800, whole[1], [24])
    np.testing.assert_allclose(
        of_errors.quantiles(np.array([0.1, 0.5, 0.9]))[:, 0, 0] * mean_size,
        scipy.stats.norm.ppf([0.1, 0.5, 0.9]),
        atol=0.06,
    )


def test_noise_has_no_season():
    seen = 0
    for seed in range(100):
        errors, rows = errors_at(
            np.random.default_rng(seed), 600, lambda rows: np.ones((*rows.shape, 2))
        )
        factors = Spread.estimate(errors, rows, [4]).of_phase[4]
        seen += (np.ptp(factors, axis=0) > 0).sum()
    # One in twenty, and four standard deviations of so many.
    assert seen <= 200 * 0.05 + 4 * np.sqrt(200 * 0.05 * 0.95)


def test_factors_are_credible_means():
    rng = np.random.default_rng(1)
    phases, n_days = np.tile(np.arange(3), 40), 40
    found = np.array([1.0, 2.0, 6.0])[phases] * rng.gamma(3.0, 1 / 3, 120)
    factors = credible_factors(found[:, np.newaxis], np.ones((120, 1)), phases, 3)
    ratios = found.reshape(n_days, 3)
    means = ratios.mean(axis=0)
    # Where all weigh the same, it is one less the limit of F over F.
    within = (ratios / means).var(axis=0, ddof=1).mean()
    logs = np.log(means)
    f = n_days * logs.var(ddof=1) / within
    credibility = 1 - scipy.stats.f.ppf(0.95, 2, 117) / f
    expected = np.exp(credibility * (logs - logs.mean()))
    np.testing.assert_allclose(factors[:, 0], expected / expected.mean())


def test_scales_do_not_fall_with_the_step():
    errors, _ = errors_at(
        np.random.default_rng(0), 40, lambda rows: np.ones((*rows.shape, 9))[..., :2]
    )
    errors = np.random.default_rng(0).normal(size=(40, 9, 2))
    spread = Spread.estimate(errors, None, [])
    sizes = np.abs(errors).mean(axis=0)
    for series in range(2):
        expected = IsotonicRegression().fit_transform(np.arange(9), sizes[:, series])
        np.testing.assert_allclose(spread.of_step[:, series], expected)


def test_scales_of_nothing_are_one_and_quiet_times_have_some():
    rows = np.arange(240)[:, np.newaxis]
    errors = np.zeros((240, 1, 2))
    errors[rows[:, 0] % 4 == 1, 0, 1] = 1.0
    spread = Spread.estimate(errors, rows, [4])
    np.testing.assert_array_equal(spread.at(rows)[..., 0], 1.0)
    at_times = spread.at(rows[:4])[:, 0, 1]
    # A hundredth of the mean, and what then is left of it for the others.
    np.testing.assert_allclose(at_times / at_times[1], [0.0025, 1, 0.0025, 0.0025])
    np.testing.assert_allclose(at_times.sum(), 1)
    quantiles = CalibrationErrors.of(errors, 240, rows, [4]).quantiles(np.array([0.9]))
    assert quantiles[0, 0, 0] == 0
    few = Spread.estimate(errors[:39], rows[:39], [4])
    assert not few.of_phase


def panels_at_night(n_days=80):
    """Hourly output of two solar panels: a random day, and nothing at night."""
    rng = np.random.default_rng(3)
    hour = np.arange(24 * n_days) % 24
    sun = np.maximum(np.sin(2 * np.pi * (hour - 6) / 24), 0.0)
    clouds = rng.gamma(4.0, 0.25, size=(24 * n_days, 2))
    index = pd.date_range("2024-03-01", periods=24 * n_days, freq="h", name="time")
    return pd.DataFrame(sun[:, np.newaxis] * clouds, index, ["roof", "field"])


@pytest.mark.parametrize(
    "forecaster",
    [
        LinearAttentionVAR(horizon=24),
        SAMoVARForecaster(48, n_layers=0, horizon=24),
    ],
)
def test_a_solar_panel_has_no_spread_at_night(forecaster):
    table = panels_at_night()
    fitted = forecaster.clone().fit(table[: -24 * 10])
    later = table[-24 * 10 - fitted.lags_ :]
    ends = fitted.rolling_interval(later, coverage=0.8)[:-24]
    truth = np.lib.stride_tricks.sliding_window_view(later[fitted.lags_ :], 24, axis=0)
    truth = truth.swapaxes(1, 2)
    # An array has no times.
    plain = fitted.rolling_interval(later.to_numpy(), coverage=0.8)[:-24]
    origins = np.arange(len(ends))[:, np.newaxis] + np.arange(24)
    hours = later.index.hour.to_numpy()[fitted.lags_ :][origins]
    width = np.diff(ends, axis=-1)[..., 0]
    night, noon = width[(hours < 5) | (hours > 19)], width[(hours > 10) & (hours < 14)]
    assert night.mean() < noon.mean() / 10
    held = (ends[..., 0] <= truth) & (truth <= ends[..., 1])
    assert width.mean() < np.diff(plain, axis=-1).mean()
    # Ten days: a standard deviation of 0.4 for each, if hours of a day went together.
    assert abs(held[(hours > 7) & (hours < 17)].mean() - 0.8) < 0.4 / np.sqrt(10)
    intervals = fitted.predict_interval(np.arange(1, 25), coverage=0.8)
    widths = intervals.to_numpy().reshape(24, 2, 2)
    widths = np.diff(widths, axis=2)[..., 0]
    # From midnight on.
    assert widths[0:4].max() < widths[11:13].min() / 5
    paths = fitted.sample_paths(np.arange(1, 25), n_paths=50, random_state=0)
    variances = fitted.predict_var(np.arange(1, 25)).to_numpy()
    assert paths.std(axis=0)[:4].max() < paths.std(axis=0)[11:13].min() / 5
    assert variances[:4].max() < variances[11:13].min() / 25


@pytest.mark.usefixtures("calibration_alone")
@pytest.mark.parametrize(
    "forecaster",
    [
        LinearAttentionVAR(3, horizon=5, alpha=1.0),
        SAMoVARForecaster(30, n_layers=0, horizon=5),
        AarenForecaster(
            6, horizon=5, n_layers=1, d_model=4, n_heads=2, max_epochs=1, random_state=0
        ),
    ],
)
def test_streams_have_the_intervals_of_updates(forecaster):
    table = panels_at_night(20)
    table.iloc[-9, 0] = np.nan
    n_learned = len(table) - 40
    fitted = forecaster.clone().fit(table[:n_learned])
    fitted.update(table[n_learned : n_learned + 12], update_params=False)
    stream = fitted.stream(coverage=0.7)
    for row in range(n_learned + 12, len(table)):
        forecast, interval = stream.push(table.iloc[row])
        fitted.update(table[row : row + 1], update_params=False)
        assert interval.shape == (5, 2, 2)
        expected = fitted.predict_interval(range(1, 6), coverage=0.7).to_numpy()
        np.testing.assert_allclose(interval.reshape(5, 4), expected, atol=1e-5)
        expected = fitted.predict(range(1, 6)).to_numpy()
        np.testing.assert_allclose(forecast, expected, atol=1e-5)
    for wrong, error in ((1.0, ValueError), ("most", TypeError)):
        with pytest.raises(error, match="coverage"):
            fitted.stream(coverage=wrong)


def test_instances_of_a_panel_share_the_season_whenever_they_begin():
    table = panels_at_night()
    parts = {"a": table[:-5], "b": table[7:-5] * 3, "c": table[11:-5]}
    panel = pd.concat(parts, names=["plant"])
    fitted = SAMoVARForecaster(48, n_layers=0, horizon=24).fit(panel)
    intervals = fitted.predict_interval(np.arange(1, 25), coverage=0.8)
    hours = intervals.loc["a"].index.hour
    for plant in parts:
        widths = np.diff(intervals.loc[plant].to_numpy().reshape(24, 2, 2), axis=2)
        at_night = widths[(hours < 4) | (hours > 20)]
        assert at_night.mean() < widths[(hours > 10) & (hours < 14)].mean() / 5

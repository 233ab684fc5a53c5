"""Intervals, quantiles and paths against calibration and tracking by hand."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch

from skvar import (
    AarenForecaster,
    InformerForecaster,
    ITransformerForecaster,
    LinearAttentionVAR,
    LinearTransformerForecaster,
    SAMoVARForecaster,
)
from skvar._closed_form.conformal import Tracked, error_quantiles
from skvar._forecasting.forecaster import state_of
from skvar._training import inference

pytestmark = pytest.mark.usefixtures("calibration_alone")

CLASSICAL = LinearAttentionVAR(2, horizon=3, n_layers=0)
TINY = {"n_layers": 1, "d_model": 4, "n_heads": 2, "max_epochs": 2, "random_state": 0}
FORECASTERS = {
    "classical": CLASSICAL,
    "dynamic": LinearAttentionVAR(2, horizon=3, **TINY),
    "samovar": SAMoVARForecaster(6, horizon=3, **TINY),
    "linear transformer": LinearTransformerForecaster(6, horizon=3, **TINY),
    "itransformer": ITransformerForecaster(6, horizon=3, **TINY),
    "informer": InformerForecaster(6, horizon=3, **TINY),
    "aaren": AarenForecaster(6, horizon=3, static_path=None, **TINY),
}


@pytest.fixture(scope="module", params=FORECASTERS)
def forecaster(request):
    return FORECASTERS[request.param].clone()


def naive_errors(forecaster, table, origins, n_steps):
    """Truth minus forecast (n_origins, n_steps, n_series), one update at a time."""
    errors = np.full((len(origins), n_steps, table.shape[1]), np.nan)
    forecaster = copy.deepcopy(forecaster)
    for error, origin in zip(errors, origins, strict=True):
        forecaster.update(table[: origin + 1], update_params=False)
        forecasts = forecaster.predict(range(1, n_steps + 1)).to_numpy()
        truth = table.to_numpy()[origin + 1 :][:n_steps]
        error[: len(truth)] = truth - forecasts[: len(truth)]
    return errors


def calibration_errors(forecaster, table, n_steps):
    """Errors on the last block of a forecaster that was fitted to the rows before."""
    n_rows = len(table)
    block = max(round(0.15 * n_rows), 2 * n_steps)
    second = forecaster.clone().fit(table[: n_rows - block])
    origins = range(n_rows - block - 1, n_rows - 1)
    return naive_errors(second, table, origins, n_steps)


def quantiles_of(errors, levels):
    """Of each step and series: by rank within the errors, Student's beyond them."""
    found = np.empty((len(levels), *errors.shape[1:]))
    for place in np.ndindex(errors.shape[1:]):
        known = errors[(slice(None), *place)]
        known = np.sort(known[np.isfinite(known)])
        n = len(known)
        ranks = np.arange(1, n + 1) / (n + 1)
        inside = np.interp(levels, ranks, known)
        student = scipy.stats.t.ppf(levels, n) * np.sqrt(np.square(known).mean())
        lower = np.where(
            levels < ranks[0] - 1e-12, np.minimum(student, known[0]), inside
        )
        upper = np.maximum(student, known[-1])
        found[(slice(None), *place)] = np.where(
            levels > ranks[-1] + 1e-12, upper, lower
        )
    return found


def scales_of(errors):
    """Mean absolute errors (n_steps, n_series), made to rise with the step."""
    sizes = np.nanmean(np.abs(errors), axis=0)
    found = np.empty_like(sizes)
    for step in range(len(sizes)):
        # The largest least mean of what lies around a step.
        found[step] = [
            max(
                min(column[i : j + 1].mean() for j in range(step, len(sizes)))
                for i in range(step + 1)
            )
            for column in sizes.T
        ]
    return found


def calibrated(errors, levels, n_rows):
    """Quantiles (n_levels, n_steps, n_series) over scales, of errors without a season.

    Of steps 1, 2 to 3, 4 to 7 together; of a series, with those of all series.
    """
    found, errors = [], errors / scales_of(errors)
    for steps in (slice(0, 1), slice(1, 3), slice(3, 7)):
        part = errors[:, steps]
        n, width, n_series = part.shape
        if not width:
            break
        last = min(steps.stop, errors.shape[1])
        weight = n_rows / (n_rows + 50 * last)
        groups = [part[..., i] for i in range(n_series)] + [part]
        quantiles = []
        for group in groups:
            known = group[np.isfinite(group)]
            # As many count as there are origins.
            n = len(known) / width
            ranks = np.arange(1, len(known) + 1) / (len(known) + 1)
            plain = np.interp(levels, ranks, np.sort(known))
            student = np.sqrt(np.square(known).mean()) * scipy.stats.t.ppf(levels, n)
            low, high = levels * (n + 1) < 1 - 1e-9, (1 - levels) * (n + 1) < 1 - 1e-9
            inside = np.where(low, np.minimum(plain, student), plain)
            quantiles.append(np.where(high, np.maximum(inside, student), inside))
        own = np.stack(quantiles[:-1], axis=1)
        mixed = weight * own + (1 - weight) * quantiles[-1][:, np.newaxis]
        found += [mixed] * width
    return np.stack(found, axis=1)


def test_quantiles_of_exchangeable_errors():
    errors = np.random.default_rng(0).normal(size=(19, 2, 3))
    levels = np.arange(1, 20) / 20
    found = error_quantiles(errors, levels)
    np.testing.assert_allclose(found, np.sort(errors, axis=0))
    levels = np.array([0.07, 0.31, 0.83])
    with_gaps = np.concatenate([errors, np.full((5, 2, 3), np.nan)])
    found = error_quantiles(with_gaps, levels)
    np.testing.assert_allclose(found, quantiles_of(errors, levels))
    far = np.array([1e-4, 0.04, 0.96, 1 - 1e-4])
    found = error_quantiles(errors, far)
    np.testing.assert_allclose(found, quantiles_of(errors, far))
    assert (found[0] < errors.min(axis=0)).all()
    with pytest.raises(ValueError, match="No error is known"):
        error_quantiles(np.full((3, 1, 1), np.nan), levels)


def naive_track(start, errors, levels, scale):
    quantiles, squares = start.copy(), scale**2
    for error in errors:
        for step, series in np.ndindex(scale.shape):
            if np.isfinite(error[step, series]):
                new = error[step, series] ** 2
                kept = 0.995 if squares[step, series] else 0.0
                squares[step, series] = kept * squares[step, series] + (1 - kept) * new
                below = error[step, series] <= quantiles[:, step, series]
                moved = 0.02 * np.sqrt(squares[step, series]) * (levels - below)
                quantiles[:, step, series] += moved
    return quantiles


def test_tracked_quantiles_are_those_by_hand():
    rng = np.random.default_rng(0)
    errors = rng.standard_cauchy(size=(400, 2, 3)).cumsum(axis=0)
    errors[rng.random(errors.shape) < 0.1] = np.nan
    levels, scale = np.array([0.1, 0.5, 0.9]), rng.random((2, 3))
    start = rng.normal(size=(3, 2, 3))
    # One that was quiet so far.
    scale[:, 2] = start[:, :, 2] = 0
    steps = list(Tracked(start, scale**2, levels).along(errors))
    assert len(steps) == 401
    expected = naive_track(start, errors, levels, scale)
    np.testing.assert_allclose(steps[-1].quantiles, expected)


def test_tracked_quantiles_come_to_their_levels_from_nothing():
    errors = 100 * np.random.default_rng(0).normal(size=(3000, 1, 1))
    levels = np.array([0.1, 0.9])
    # Nothing was wrong on the quiet rows that calibrate.
    quiet = Tracked(np.zeros((2, 1, 1)), np.zeros((1, 1)), levels)
    *_, last = quiet.along(errors)
    expected = 100 * scipy.stats.norm.ppf(levels)
    # Quantiles wander by about the root of the rate, 0.02.
    found = last.quantiles.ravel()
    np.testing.assert_allclose(found, expected, atol=100 * np.sqrt(0.02))


@pytest.mark.parametrize("n_steps", [3, 5])
def test_intervals_hold_errors_on_rows_that_were_not_learned(
    forecaster, n_steps, us_change
):
    table = us_change.iloc[:60, :2]
    errors = calibration_errors(forecaster, table, n_steps)
    fitted = forecaster.clone().fit(table)
    fh = list(range(1, n_steps + 1))
    forecasts, intervals = fitted.predict(fh), fitted.predict_interval(fh, coverage=0.6)
    found = calibrated(errors, np.array([0.2, 0.8]), len(errors))
    lower, upper = found * scales_of(errors)
    # Whatever the errors, the interval holds the forecast.
    for bound, offsets in [("lower", lower.clip(max=0)), ("upper", upper.clip(min=0))]:
        found = intervals.xs(bound, axis=1, level=2).droplevel(1, axis=1)
        np.testing.assert_allclose(found - forecasts, offsets, rtol=1e-3, atol=1e-4)
    variances = fitted.predict_var(fh)
    expected = np.nanmean(np.square(errors), axis=0)
    np.testing.assert_allclose(variances, expected, rtol=1e-3)
    with pytest.raises(NotImplementedError, match="sample_paths"):
        fitted.predict_var(fh, cov=True)


def test_the_second_forecaster_never_sees_the_calibration_block(us_change):
    table = us_change.iloc[:100, :3]
    changed = table.copy()
    changed.iloc[85:] += 10 * np.random.default_rng(0).normal(size=(15, 3))
    changed.iloc[90, 1] = np.nan
    seconds = []
    for rows in (table, changed):
        fitted = FORECASTERS["dynamic"].clone().fit(rows)
        fitted.predict_interval([1])
        seconds.append(state_of(fitted).calibration.model(3))
    assert seconds[0].n_train == {None: 85}
    np.testing.assert_array_equal(*(second.scalers[None].mean_ for second in seconds))
    weights = [second.model.network.state_dict() for second in seconds]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_missing_values_of_the_block_are_filled_by_weights_learned_before(us_change):
    table = us_change.iloc[:100, :2].copy()
    table.iloc[88:92] = np.nan
    block_changed = table.copy()
    block_changed.iloc[93:] *= -50.0
    weights = []
    for rows in (table, block_changed):
        fitted = LinearAttentionVAR(2, n_layers=0).fit(rows)
        fitted.predict_interval([1])
        weights.append(state_of(fitted).calibration.model(1).model.fill_weights)
    np.testing.assert_array_equal(*weights)


def test_update_recalibrates_without_fitting(forecaster, us_change, monkeypatch):
    table, n_learned, levels = us_change.iloc[:90, :2], 70, np.array([0.1, 0.9])
    fitted = forecaster.clone().fit(table[:n_learned])
    errors = calibration_errors(forecaster, table[:n_learned], 3)
    later = naive_errors(fitted, table, range(n_learned - 1, len(table) - 1), 3)
    fitted.predict_interval([1])
    monkeypatch.setattr(type(fitted), "_fit", None)
    for row in range(n_learned, len(table)):
        fitted.update(table[row : row + 1], update_params=False)
        intervals = fitted.predict_interval([1, 2, 3], coverage=0.8)
    scales = scales_of(errors)
    squares = np.nanmean(np.square(errors / scales), axis=0)
    start = calibrated(errors, levels, len(errors))
    offsets = naive_track(start, later / scales, levels, np.sqrt(squares))
    offsets = np.stack([offsets[0].clip(max=0), offsets[1].clip(min=0)]) * scales
    assert np.abs(offsets - start).max() > 0.02
    for bound, offset in zip(["lower", "upper"], offsets, strict=True):
        found = intervals.xs(bound, axis=1, level=2).droplevel(1, axis=1)
        found = found - fitted.predict([1, 2, 3])
        np.testing.assert_allclose(found, offset, rtol=1e-3, atol=1e-4)


def test_rolling_intervals_are_those_of_updates(us_change):
    table, n_learned = us_change.iloc[:90, :2], 70
    fitted = CLASSICAL.clone().fit(table[:n_learned])
    rolled = fitted.rolling_interval(table[n_learned - 2 :], coverage=0.7)
    assert rolled.shape == (21, 3, 2, 2)
    for row in range(n_learned, len(table) + 1):
        fitted.update(table[:row], update_params=False)
        expected = fitted.predict_interval([1, 2, 3], coverage=0.7)
        found = rolled[row - n_learned].reshape(3, 4)
        np.testing.assert_allclose(found, expected)
    for coverage in (0, 1, 1.2):
        with pytest.raises(ValueError, match="between 0 and 1"):
            fitted.rolling_interval(table, coverage=coverage)


def test_revised_rows_calibrate_anew_and_repeated_ones_do_not(us_change):
    table = us_change.iloc[:70, :2]
    fitted = CLASSICAL.clone().fit(table[:60])
    before = fitted.predict_interval([1])
    model = state_of(fitted).calibration.model(3)
    fitted.update(table[50:65], update_params=False)
    fitted.update(table[40:60], update_params=False)
    pd.testing.assert_frame_equal(fitted.predict_interval([1]), before)
    assert state_of(fitted).calibration.model(3) is model
    revised = table[:60].copy()
    revised.iloc[50:] *= 3.0
    fitted.update(revised[50:], update_params=False)
    second = calibration_errors(CLASSICAL, revised, 3)
    offsets = (
        fitted.predict_quantiles([1], alpha=[0.5]) - fitted.predict([1]).to_numpy()
    )
    np.testing.assert_allclose(
        offsets, (calibrated(second, np.array([0.5]), 9) * scales_of(second))[0, :1]
    )


def test_coverage_of_the_next_row_is_nominal():
    rng = np.random.default_rng(0)
    inside = []
    for _ in range(60):
        values = rng.normal(size=(81, 5))
        fitted = LinearAttentionVAR(1, n_layers=0, alpha=10.0).fit(values[:80])
        bounds = np.ravel(fitted.predict_interval([1], coverage=0.8)).reshape(5, 2)
        inside.append((bounds[:, 0] <= values[80]) & (values[80] <= bounds[:, 1]))
    # Four standard deviations of the share of so many independent trials.
    assert abs(np.mean(inside) - 0.8) < 4 * np.sqrt(0.8 * 0.2 / 300)


def test_intervals_of_noise_are_its_quantiles():
    values = np.random.default_rng(0).laplace(size=(4000, 2))
    fitted = LinearAttentionVAR(1, n_layers=0, alpha=10.0).fit(values)
    lower, upper = np.ravel(fitted.predict_interval([1], coverage=0.8)).reshape(2, 2).T
    density = scipy.stats.laplace.pdf(scipy.stats.laplace.ppf(0.9))
    # The variance of a sample quantile, of 600 rows that calibrate.
    spread = np.sqrt(0.1 * 0.9 / 600) / density
    np.testing.assert_allclose(upper, scipy.stats.laplace.ppf(0.9), atol=4 * spread)
    np.testing.assert_allclose(lower, scipy.stats.laplace.ppf(0.1), atol=4 * spread)


def test_paths_are_forecasts_plus_errors_of_one_origin(us_change):
    table = us_change.iloc[:60, :3]
    fitted = CLASSICAL.clone().fit(table)
    paths = fitted.sample_paths([1, 3], n_paths=500, random_state=0)
    assert paths.shape == (500, 2, 3)
    drawn = (paths - fitted.predict([1, 3]).to_numpy()).reshape(500, 6)
    errors = calibration_errors(CLASSICAL, table, 3)[:, [0, 2]].reshape(-1, 6)
    errors = errors[np.isfinite(errors).all(axis=1)]
    assert len(errors) == 9 - 2
    distances = np.abs(drawn[:, np.newaxis] - errors).max(axis=2)
    np.testing.assert_allclose(distances.min(axis=1), 0, atol=1e-6)
    counts = np.bincount(distances.argmin(axis=1), minlength=7)
    assert scipy.stats.chisquare(counts).pvalue > 1e-4
    again = fitted.sample_paths([1, 3], n_paths=500, random_state=0)
    np.testing.assert_array_equal(again, paths)
    with pytest.raises(ValueError, match="paths begin after"):
        fitted.sample_paths([0, 1])


def test_paths_keep_the_correlation_of_series():
    covariance = np.array([[1.0, -0.9], [-0.9, 1.0]])
    values = np.random.default_rng(0).multivariate_normal([0, 0], covariance, 2000)
    fitted = LinearAttentionVAR(1, n_layers=0, alpha=10.0).fit(values)
    paths = fitted.sample_paths([1], n_paths=1000, random_state=0)
    found = np.corrcoef(paths[:, 0].T)[0, 1]
    # The standard error of a correlation, of 300 errors and of 1000 paths.
    assert abs(found + 0.9) < 4 * (1 - 0.9**2) * np.sqrt(1 / 300 + 1 / 1000)


def test_asking_changes_nothing(forecaster, us_change):
    table = us_change.iloc[:70, :2]
    fitted = forecaster.clone().fit(table)
    before = fitted.predict([-1, 1, 5]), fitted.coef_
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = fitted.predict_interval([1, 2])
    fitted.sample_paths([1], n_paths=2, random_state=0)
    assert torch.equal(torch.get_rng_state(), states[0])
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002
    pd.testing.assert_frame_equal(fitted.predict([-1, 1, 5]), before[0])
    np.testing.assert_array_equal(fitted.coef_, before[1])
    fitted.predict_interval(range(1, 9))
    later = fitted.predict_interval([1, 2])
    pd.testing.assert_frame_equal(later, first)
    for same in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        pd.testing.assert_frame_equal(same.predict_interval([1, 2]), first)
    fresh = forecaster.clone().fit(table)
    with ThreadPoolExecutor(2) as pool:
        for same in pool.map(lambda _: fresh.predict_interval([1, 2]), range(3)):
            pd.testing.assert_frame_equal(same, first)


def test_parameters_changed_after_fit_do_not_calibrate(us_change):
    table = us_change.iloc[:70, :2]
    seeded = FORECASTERS["dynamic"].clone()
    seeded.set_params(random_state=np.random.RandomState(0))
    fitted, other = (copy.deepcopy(seeded).fit(table) for _ in range(2))
    fitted.lags, fitted.validation_fraction = 5, 0.5
    pd.testing.assert_frame_equal(
        fitted.predict_interval([1]), other.predict_interval([1])
    )
    drawn = fitted.random_state.randint(1000), other.random_state.randint(1000)
    assert drawn[0] == drawn[1]


def test_quantiles_rise_and_mixed_horizons_agree(forecaster, us_change):
    table = us_change.iloc[:90, :2]
    fitted = forecaster.clone().fit(table[:80])
    fitted.update(table[80:], update_params=False)
    fh, alpha = [-40, 0, 1, 3, 7], [0.9, 0.01, 0.5, 0.25, 0.99]
    found = fitted.predict_quantiles(fh, alpha=alpha)
    assert found.columns.tolist() == [(name, a) for name in table for a in alpha]
    for name in table:
        assert (np.diff(found[name][sorted(alpha)], axis=1) >= 0).all()
    short = fitted.predict_quantiles([-40, 0, 1], alpha=alpha)
    offsets = short - np.repeat(fitted.predict([-40, 0, 1]).to_numpy(), 5, axis=1)
    # In-sample forecasts are one step ahead.
    np.testing.assert_allclose(offsets.iloc[:2], offsets.iloc[[2, 2]], atol=1e-5)
    for coverage in (-0.1, 1.2, 0.0):
        with pytest.raises(ValueError, match=r"open interval \(0, 1\)"):
            fitted.predict_interval([1], coverage=coverage)


@pytest.mark.parametrize("name", ["classical", "samovar", "aaren"])
def test_histories_too_short_say_so_and_still_forecast(name, us_change):
    forecaster = FORECASTERS[name].clone()
    least = forecaster.lags + 3
    table = us_change.iloc[:, :2]
    fitted = forecaster.set_params(early_stopping=False).fit(table[:least])
    for ask in (fitted.predict_interval, fitted.predict_var, fitted.sample_paths):
        with pytest.raises(ValueError, match="too short for intervals.*Pass more rows"):
            ask([1, 2])
    assert len(fitted.predict([1, 2])) == 2
    fitted.fit(table[: least + 3])
    assert np.isfinite(fitted.predict_interval([1, 2, 3])).all(axis=None)


def test_constant_and_missing_series(us_change):
    table = us_change.iloc[:80, :3].copy()
    table.iloc[:, 1] = 7.0
    table.iloc[[20, 21, 60, 70], 2] = np.nan
    for name in ("classical", "samovar", "aaren"):
        fitted = FORECASTERS[name].clone().fit(table)
        fitted.update(us_change.iloc[80:82, :3] * [1, 0, 1] + [0, 7, 0], None, False)
        intervals = fitted.predict_interval([-3, 1, 5])
        assert np.isfinite(intervals).all(axis=None)
        np.testing.assert_allclose(intervals.iloc[:, 2:4], 7.0, atol=1e-3)
        assert np.isfinite(fitted.sample_paths([1, 5], n_paths=5)).all()
        residuals = fitted.predict_residuals()
        assert residuals.isna().sum().tolist() == [0, 0, 4]


@pytest.mark.parametrize("kind", ["series", "frame", "array"])
def test_residuals_are_truth_minus_forecast(kind, us_change):
    table = us_change.iloc[:60, :2]
    if kind == "series":
        table = table.iloc[:, 0]
    elif kind == "array":
        table = table.to_numpy()
    fitted = CLASSICAL.clone().fit(table)
    residuals = fitted.predict_residuals()
    assert type(residuals) is type(table)
    expected = table - fitted.predict(np.arange(-59, 1))
    np.testing.assert_allclose(residuals, expected)


@pytest.mark.parametrize("block", [2**13, 7])
@pytest.mark.parametrize("static_path", [None, "auto"])
def test_aaren_forecasts_after_many_origins(static_path, block, us_change, monkeypatch):
    monkeypatch.setattr(inference, "_BLOCK", block)
    forecaster = AarenForecaster(6, horizon=3, static_path=static_path, **TINY)
    fitted = forecaster.fit(us_change.iloc[:60, :2])
    member, network = state_of(fitted).single, fitted.network_
    values = member.residual.values
    for ends in (np.arange(-1, 60), np.array([3, 9, 10, 33, 59])):
        found = member.forecasts_after(ends, 8)
        for end, forecasts in zip(ends, found, strict=True):
            rows = np.zeros((1, 2)) if end < 0 else values[: end + 1]
            path = torch.tensor(rows, dtype=torch.float32)
            while len(path) < len(rows) + 8:
                with torch.no_grad():
                    ahead, _ = network.extend(path.unsqueeze(0), None, n_last=1)
                path = torch.cat([path, ahead[0, 0]])
            expected = member.in_units(path[len(rows) :][:8].numpy())
            np.testing.assert_allclose(forecasts, expected, rtol=1e-4, atol=1e-5)

"""Direct regressions against scikit-learn's on explicit windows."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from skvar._closed_form.direct import (
    _ALPHAS,
    _PULLS,
    DirectRidge,
    choose_direct_ridges,
    direct_errors,
    leave_blocks_out,
    ridge_direct,
    window_products,
)


def windows_of(values, width):
    """Windows (n_windows, n_series, width) of a table."""
    return np.lib.stride_tricks.sliding_window_view(values, width, axis=0)


@given(
    n_rows=st.integers(1, 30),
    lags=st.integers(1, 6),
    steps=st.sets(st.integers(0, 5), min_size=1),
    n_groups=st.integers(1, 3),
    n_series=st.integers(1, 3),
)
@settings(max_examples=200, deadline=None)
def test_products_are_those_of_windows(n_rows, lags, steps, n_groups, n_series):
    steps = np.array(sorted(steps))
    width = lags + steps[-1] + 1
    rng = np.random.default_rng(n_rows)
    values = rng.normal(size=(width + n_rows, n_groups, n_series)) + 3
    past, cross, squares = window_products(values, lags, steps)
    windows = windows_of(values, width)
    before, after = windows[..., :lags], windows[..., lags + steps]
    expected = np.einsum("ngci,ngcj->cij", before, before)
    np.testing.assert_allclose(past, expected, rtol=1e-11)
    expected = np.einsum("ngci,ngcj->cij", before, after)
    np.testing.assert_allclose(cross, expected, rtol=1e-11)
    np.testing.assert_allclose(squares, np.square(after).sum(axis=(0, 1)), rtol=1e-11)


def centred(segments, lags, horizon):
    """Windows less their last row, (n_windows, n_series, lags + horizon)."""
    long = [values for values in segments if len(values) >= lags + horizon]
    windows = np.concatenate([windows_of(values, lags + horizon) for values in long])
    return windows - windows[..., lags - 1 : lags]


def sklearns_direct(segments, lags, horizon, ridges):
    """Maps from windows to forecasts by scikit-learn, whose penalty knows no ages."""
    windows = centred(segments, lags, horizon)
    n_series = windows.shape[1]
    maps = np.zeros((n_series, horizon, lags))
    for one in ridges:
        maps[..., lags - one.lags :] += of_windows(windows[..., lags - one.lags :], one)
    return maps / len(ridges)


def of_windows(windows, ridge):
    """Those (n_series, horizon, ridge.lags) of one regression."""
    lags, n_series = ridge.lags, windows.shape[1]
    if lags == 1:
        return np.ones((n_series, windows.shape[2] - 1, 1))
    ages = np.arange(lags - 1, 0, -1.0)
    root = np.sqrt(ages / ages.mean())

    def coefficients(some, alpha, towards):
        inputs, targets = some[:, : lags - 1] / root, some[:, lags:]
        regression = Ridge(alpha=alpha * len(some), fit_intercept=False)
        offset = some[:, : lags - 1] @ towards.T
        return towards + regression.fit(inputs, targets - offset).coef_ / root

    zeros = np.zeros((windows.shape[2] - lags, lags - 1))
    pooled = zeros
    if math.isfinite(ridge.alpha):
        pooled = coefficients(windows.reshape(-1, windows.shape[2]), ridge.alpha, zeros)
    found = np.broadcast_to(pooled, (n_series, *pooled.shape))
    if math.isfinite(ridge.pull):
        found = np.array(
            [coefficients(windows[:, j], ridge.pull, pooled) for j in range(n_series)]
        )
    return np.concatenate([found, 1 - found.sum(axis=2, keepdims=True)], axis=2)


@pytest.mark.parametrize("pull", [math.inf, 0.05, 3.0])
def test_direct_regressions_are_sklearns(pull):
    rng = np.random.default_rng(3)
    segments = [rng.normal(size=(n, 4)).cumsum(axis=0) for n in (150, 5, 80, 80)]
    ridges = [DirectRidge(10, 0.1, pull)]
    ours = ridge_direct(segments, 10, 3, ridges)
    assert len(ours) == (1 if math.isinf(pull) else 4)
    theirs = sklearns_direct(segments, 10, 3, ridges)
    np.testing.assert_allclose(np.broadcast_to(ours, theirs.shape), theirs, atol=1e-9)
    np.testing.assert_allclose(ours.sum(axis=2), 1.0)


def test_a_mean_of_direct_regressions_is_that_of_sklearns():
    rng = np.random.default_rng(3)
    segments = [rng.normal(size=(n, 4)).cumsum(axis=0) for n in (150, 80)]
    ridges = [DirectRidge(9, 0.2), DirectRidge(4, 0.1, 0.3), DirectRidge(2, 3.0, 1.0)]
    ours = ridge_direct(segments, 9, 3, ridges)
    np.testing.assert_allclose(ours, sklearns_direct(segments, 9, 3, ridges), atol=1e-9)


def test_a_pull_is_between_no_matrix_of_its_own_and_nothing_shared():
    values = np.random.default_rng(3).normal(size=(150, 4)).cumsum(axis=0)
    shared, near, far = (
        ridge_direct([values], 10, 3, [DirectRidge(10, 0.1, pull)])
        for pull in (math.inf, 1e6, 0.1)
    )
    np.testing.assert_allclose(near, np.broadcast_to(shared, near.shape), atol=1e-4)
    alone = [
        ridge_direct([values[:, [j]]], 10, 3, [DirectRidge(10, 0.1)]) for j in range(4)
    ]
    nothing_shared = ridge_direct([values], 10, 3, [DirectRidge(10, 1e12, 0.1)])
    np.testing.assert_allclose(nothing_shared, np.concatenate(alone), atol=1e-8)
    assert np.abs(far - shared).max() > 0.01


def test_errors_are_those_of_windows():
    values = np.random.default_rng(3).normal(size=(150, 4)).cumsum(axis=0)
    [weights] = ridge_direct([values], 10, 3, [DirectRidge(10, 0.1)])
    windows = windows_of(values, 13)
    error = np.square(windows[..., :10] @ weights.T - windows[..., 10:]).mean()
    assert direct_errors([values], [weights]) == [pytest.approx(error)]


def test_a_window_of_one_row_repeats_it():
    values = np.random.default_rng(3).normal(size=(50, 2))
    ridges, _ = choose_direct_ridges([values], 1, 2)
    np.testing.assert_array_equal(ridge_direct([values], 1, 2, ridges), 1.0)


@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=4),
    lags=st.integers(1, 9),
    horizon=st.integers(1, 5),
    order=st.integers(1, 9),
)
@settings(max_examples=200, deadline=None)
def test_blocks_left_out(lengths, lags, horizon, order):
    order = min(order, lags)
    rows = np.split(np.arange(sum(lengths)), np.cumsum(lengths)[:-1])
    held_before = np.array([], dtype=int)
    for training, held_out in leave_blocks_out(rows, lags, horizon, order):
        forecast = [row for part in training for row in part[order:]]
        held = np.concatenate([part[lags:] for part in held_out])
        # Nothing that is held out is forecast in training, nothing comes twice.
        assert not set(forecast) & set(held)
        assert len(forecast) == len(set(forecast))
        assert not set(held_before) & set(held)
        held_before = np.concatenate([held_before, held])
        for part in (*training, *held_out):
            assert (np.diff(part) == 1).all()
    n_futures = sum(max(0, n - lags) for n in lengths)
    if len(lengths) == 1 and n_futures >= 10 * horizon:
        np.testing.assert_array_equal(held_before, rows[0][lags:])


def unlike_series(n_rows, n_series, seed=0):
    """Autoregressions whose coefficients differ."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n_rows, n_series))
    own = np.linspace(-0.9, 0.9, n_series)
    for row in range(3, n_rows):
        values[row] += own * values[row - 3]
    return values


def test_what_is_chosen_is_chosen_by_explicit_windows():
    values = unlike_series(200, 3).cumsum(axis=0)
    lags, horizon, looks_back = 8, 2, [8, 4, 2]
    size = np.square(centred([values], lags, 1)[..., :lags]).mean()
    blocks = [(fit, out) for fit, [out] in leave_blocks_out([values], lags, horizon)]
    assert len(blocks) == 5

    def errors_of(ridge):
        errors = []
        for training, held_out in blocks:
            maps = sklearns_direct(training, lags, horizon, [ridge])
            windows = windows_of(held_out, lags + horizon)
            ahead = np.einsum("chl,ncl->nch", maps, windows[..., :lags])
            errors.append(np.square(ahead - windows[..., lags:]).mean())
        return np.array(errors)

    def error_of(ridge):
        return errors_of(ridge).mean()

    def chosen(ridges):
        best = min(ridges, key=error_of)
        gains = errors_of(ridges[-1]) - errors_of(best)
        # 84.13 % of Student's distribution with 4 degrees of freedom lie below 1.1417.
        bound = 1.1417 * gains.std(ddof=1) / np.sqrt(5)
        return best if gains.mean() > bound else ridges[-1]

    sizes = [np.square(centred(x, lags, 2)[..., :lags]).mean() for x, _ in blocks]
    pulls = [*(_PULLS * np.mean(sizes)), math.inf]
    expected, errors, shared_errors = [], [], []
    for n in looks_back:
        alphas = [*(_ALPHAS * size), math.inf]
        best = chosen([DirectRidge(n, alpha) for alpha in alphas])
        shared_errors.append(error_of(best))
        own = [replace(best, pull=pull) for pull in pulls]
        walks = math.isinf(best.alpha)
        expected.append(chosen(own) if walks else min(own, key=error_of))
        errors.append(error_of(expected[-1]))
    kept = np.flatnonzero(np.array(errors) <= 1.05 * min(errors))
    assert 0 < len(kept) < len(looks_back)
    found, error = choose_direct_ridges([values], lags, horizon)
    assert [one.lags for one in found] == [looks_back[i] for i in kept]
    for one, i in zip(found, kept, strict=True):
        assert one.alpha == pytest.approx(expected[i].alpha)
        assert one.pull == pytest.approx(expected[i].pull)
        assert math.isfinite(one.pull)
    assert error == pytest.approx(np.mean([errors[i] for i in kept]))
    alone, error = choose_direct_ridges([values], lags, horizon, with_own=False)
    assert {one.pull for one in alone} == {math.inf}
    of_alone = [shared_errors[looks_back.index(one.lags)] for one in alone]
    assert error == pytest.approx(np.mean(of_alone))
    [given], error = choose_direct_ridges(
        [values], lags, horizon, [0.5], with_own=False
    )
    assert given == DirectRidge(lags, 0.5)
    assert error == pytest.approx(error_of(given))


def test_pulls_of_long_horizons_are_chosen_by_sixteen_steps():
    values, lags, horizon, alpha = unlike_series(400, 3), 4, 31, 0.5
    steps = np.arange(0, 31, 2)
    blocks = [(fit, out) for fit, [out] in leave_blocks_out([values], lags, horizon)]
    sizes = [np.square(centred(x, lags, horizon)[..., :lags]).mean() for x, _ in blocks]
    pulls, errors = [*(_PULLS * np.mean(sizes)), math.inf], []
    for pull in pulls:
        found = []
        for training, held_out in blocks:
            ridge = DirectRidge(lags, alpha, pull)
            maps = sklearns_direct(training, lags, horizon, [ridge])
            windows = windows_of(held_out, lags + horizon)
            ahead = np.einsum("chl,ncl->nch", maps, windows[..., :lags])
            missed = np.square(ahead - windows[..., lags:])[..., steps]
            found.append(missed.mean())
        errors.append(np.mean(found))
    [chosen], error = choose_direct_ridges([values], lags, horizon, [alpha])
    assert chosen.pull == pytest.approx(pulls[np.argmin(errors)])
    alone = choose_direct_ridges([values], lags, horizon, [alpha], with_own=False)[1]
    assert error == pytest.approx(alone * min(errors) / errors[-1])
    assert min(errors) < 0.99 * errors[-1]


def test_series_that_are_alike_share_a_matrix():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(400, 6))
    for row in range(3, 400):
        values[row] += 0.6 * values[row - 3]
    ridges, _ = choose_direct_ridges([values], 12, 4)
    assert all(one.pull > 1 for one in ridges)


def test_too_few_rows_to_choose():
    values = np.random.default_rng(7).normal(size=(9, 2))
    ridges, error = choose_direct_ridges([values], 6, 2)
    assert error == 0.0
    last = np.eye(6)[[[5, 5]]]
    np.testing.assert_allclose(ridge_direct([values], 6, 2, ridges), last, atol=0.1)


def test_penalty_of_slow_series_is_small():
    slow = np.sin(2 * np.pi * np.arange(5000) / 3000)[:, np.newaxis]
    ridges, error = choose_direct_ridges([slow], 24, 24)
    last = np.square(slow[24:] - slow[:-24]).mean()
    assert ridges[0].alpha < 1e-4
    assert error < 1e-3 * last


def test_memory_is_that_of_a_few_series(monkeypatch):
    """Moments of all at once would be too many numbers."""
    values = np.random.default_rng(1).normal(size=(90, 7)).cumsum(axis=0)
    ridges = [DirectRidge(6, 0.1, 0.2), DirectRidge(2, 0.1)]
    expected = ridge_direct([values], 6, 2, ridges)
    chosen = choose_direct_ridges([values], 6, 2)
    monkeypatch.setattr("skvar._closed_form.direct._MOST_NUMBERS", 100)
    found = ridge_direct([values], 6, 2, ridges)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    again = choose_direct_ridges([values], 6, 2)
    assert again[0] == chosen[0]
    assert again[1] == pytest.approx(chosen[1])

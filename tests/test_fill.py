"""Filled values against a loop over entries, closed forms and the arrow of time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skvar._closed_form.direct import choose_direct_ridges, ridge_direct
from skvar._closed_form.fill import fill, fill_weights


def fill_entry_by_entry(values, weights):
    """Every missing entry from the ``order`` entries before it, one by one."""
    filled = values.copy()
    for series in filled.T:
        for row in range(len(series)):
            if np.isnan(series[row]):
                first = 0.0 if row == 0 else series[0]
                past = [*np.repeat(first, len(weights)), *series[:row]]
                past = past[len(past) - len(weights) :]
                guess = sum(w * x for w, x in zip(weights, past, strict=True))
                series[row] = max(min(guess, max(past)), min(past))
    return filled


def with_gaps(values, share, seed=0):
    missing = np.random.default_rng(seed).random(values.shape) < share
    return np.where(missing, np.nan, values)


tables = {
    "n_rows": st.integers(1, 30),
    "n_series": st.integers(1, 3),
    "order": st.integers(1, 6),
    "share": st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]),
    "seed": st.integers(0, 99),
}


@given(**tables)
@settings(max_examples=100, deadline=None)
def test_fill_is_a_loop_over_entries(n_rows, n_series, order, share, seed):
    rng = np.random.default_rng(seed)
    values = with_gaps(rng.normal(size=(n_rows, n_series)), share, seed)
    before, weights = values.copy(), rng.normal(size=order)
    filled = fill(values, weights)
    np.testing.assert_array_equal(values, before)
    np.testing.assert_allclose(filled, fill_entry_by_entry(values, weights), atol=1e-12)
    seen = ~np.isnan(values)
    np.testing.assert_array_equal(filled[seen], values[seen])


@given(**tables, cut=st.integers(0, 29))
@settings(max_examples=100, deadline=None)
def test_fills_know_nothing_of_later_rows(n_rows, n_series, order, share, seed, cut):
    rng = np.random.default_rng(seed)
    values = with_gaps(rng.normal(size=(n_rows, n_series)), share, seed)
    weights, later = rng.normal(size=order), values.copy()
    later[cut:] = with_gaps(rng.normal(size=later[cut:].shape), 0.5, seed + 1)
    ours, theirs = fill(values, weights)[:cut], fill(later, weights)[:cut]
    np.testing.assert_array_equal(ours, theirs)


def test_fills_go_on_from_filled_rows():
    values = with_gaps(np.random.default_rng(0).normal(size=(60, 2)), 0.4)
    weights = np.array([0.3, -0.4, 1.1])
    whole = fill(values, weights)
    rest = fill(np.concatenate([whole[20:23], values[23:]]), weights)
    np.testing.assert_allclose(rest, whole[20:], atol=1e-12)


def test_leading_trailing_and_endless_gaps():
    values = np.array(
        [
            [np.nan, 1.0, np.nan],
            [np.nan, np.nan, np.nan],
            [2.0, np.nan, np.nan],
            [np.nan] * 3,
        ]
    )
    expected = [[0.0, 1.0, 0.0], [0.0, 1.0, 0.0], [2.0, 1.0, 0.0], [2.0, 1.0, 0.0]]
    np.testing.assert_array_equal(fill(values, np.ones(1)), expected)
    np.testing.assert_array_equal(
        fill(values[2:, :1], np.array([0.5, 0.5])), [[2.0], [2.0]]
    )


def test_fills_do_not_explode():
    values = np.concatenate([[[1.0], [2.0], [4.0]], np.full((5000, 1), np.nan)])
    assert fill(values, np.array([-1.0, 2.0])).max() == 4.0
    assert fill(values, np.array([0.0, 0.0, -2.0])).min() == 1.0


def test_weights_without_gaps_are_those_of_the_ridge():
    rng = np.random.default_rng(1)
    segments = [rng.normal(size=(n, 2)).cumsum(axis=0) for n in (80, 3, 50)]
    ridges, _ = choose_direct_ridges(segments, 5, 1, with_own=False)
    expected = ridge_direct(segments, 5, 1, ridges)[0, 0]
    np.testing.assert_array_equal(fill_weights(segments, 5), expected)


def test_weights_are_estimated_on_their_own_fills():
    segments = [with_gaps(np.random.default_rng(2).normal(size=(90, 2)), 0.3)]
    weights = np.ones(1)
    for _ in range(2):
        filled = [fill(values, weights) for values in segments]
        ridges, _ = choose_direct_ridges(filled, 4, 1, with_own=False)
        weights = ridge_direct(filled, 4, 1, ridges)[0, 0]
    np.testing.assert_allclose(fill_weights(segments, 4), weights, atol=1e-12)


@pytest.mark.parametrize("block", [1, 12, 48])
def test_a_cycle_is_filled(block):
    time = np.arange(960)
    phases = np.array([0.0, 1.0, 2.0])
    truth = np.sin(2 * np.pi * time[:, np.newaxis] / 24 + phases)
    rng = np.random.default_rng(3)
    missing = np.repeat(rng.random((960 // block, 3)) < 0.3, block, axis=0)
    values = np.where(missing, np.nan, truth + 0.1 * rng.normal(size=truth.shape))
    weights = fill_weights([values[:600]], 48)
    assert weights.sum() == pytest.approx(1)
    missing[:48] = False
    ours, last = (
        np.square(fill(values, w) - truth)[missing].mean() for w in (weights, [1.0])
    )
    assert ours < 0.1 * last


@pytest.mark.parametrize(("lengths", "order"), [([1], 1), ([2, 1], 1), ([3], 2)])
def test_weights_of_few_rows(lengths, order):
    segments = [np.arange(float(n))[:, np.newaxis] for n in lengths]
    weights = fill_weights(segments, 6)
    assert weights.shape == (order,)
    assert weights.sum() == pytest.approx(1)


def test_series_that_are_never_observed_leave_the_weights():
    values = with_gaps(np.random.default_rng(4).normal(size=(200, 2)), 0.2)
    alone = fill_weights([values], 6)
    never = np.column_stack([values, np.full(200, np.nan)])
    np.testing.assert_allclose(fill_weights([never], 6), alone, atol=1e-12)
    assert (fill(never, alone)[:, 2] == 0).all()
    last = fill_weights([np.full((30, 2), np.nan)], 4)
    np.testing.assert_allclose(last, [0, 0, 0, 1], atol=1e-12)

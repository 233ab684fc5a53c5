"""Closed forms against statsmodels, scikit-learn and plain window tables."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from statsmodels.tsa.api import VAR

from skvar._ridge import ridge_direct, ridge_var, window_moments


def window_table(values, width):
    """Every window of every group as a row, oldest time first."""
    windows = np.lib.stride_tricks.sliding_window_view(values, width, axis=0)
    return windows.transpose(0, 1, 3, 2).reshape(-1, width * values.shape[2])


@given(
    n_rows=st.integers(1, 20),
    width=st.integers(1, 8),
    groups=st.integers(1, 3),
    variables=st.integers(1, 3),
)
@settings(max_examples=50, deadline=None)
def test_window_moments(n_rows, width, groups, variables):
    n_rows = max(n_rows, width)
    values = np.random.default_rng(0).normal(size=(n_rows, groups, variables))
    table = window_table(values, width)
    second, first, count = window_moments(values, width)
    assert count == len(table)
    np.testing.assert_allclose(second, table.T @ table, atol=1e-12)
    np.testing.assert_allclose(first, table.sum(axis=0), atol=1e-12)


@pytest.mark.parametrize("order", [1, 4])
def test_ridge_var_without_penalty_is_ols(order):
    values = np.random.default_rng(1).normal(size=(300, 4)).cumsum(axis=0) * 0.1
    values = values - 0.5 * np.roll(values, 1, axis=0)
    ols = VAR(values).fit(order, trend="c")
    matrices, intercept = ridge_var([values], order, alpha=1e-12)
    np.testing.assert_allclose(matrices, ols.coefs, atol=1e-6)
    np.testing.assert_allclose(intercept, ols.intercept, atol=1e-6)


def test_ridge_var_penalty_is_sklearns_per_row():
    values = np.random.default_rng(2).normal(size=(200, 3))
    table = window_table(values[:, np.newaxis], 3)
    ridge = Ridge(alpha=0.3 * len(table)).fit(table[:, :6], table[:, 6:])
    matrices, intercept = ridge_var([values], 2, alpha=0.3)
    oldest_first = matrices[::-1].transpose(1, 0, 2).reshape(3, 6)
    np.testing.assert_allclose(oldest_first, ridge.coef_, atol=1e-10)
    np.testing.assert_allclose(intercept, ridge.intercept_, atol=1e-10)


def test_ridge_direct_is_sklearns_on_centred_windows():
    values = np.random.default_rng(3).normal(size=(150, 4)).cumsum(axis=0)
    lags, horizon = 10, 3
    table = window_table(values[..., np.newaxis], lags + horizon)
    table = table - table[:, :lags].mean(axis=1, keepdims=True)
    ridge = Ridge(alpha=0.1 * len(table), fit_intercept=False)
    ridge.fit(table[:, :lags], table[:, lags:])
    ours = ridge_direct([values], lags, horizon, alpha=0.1)
    np.testing.assert_allclose(ours, ridge.coef_, atol=1e-9)


def test_ridge_pools_segments_and_separates_targets():
    rng = np.random.default_rng(4)
    segments = [rng.normal(size=(n, 5)) for n in (30, 2, 50)]
    table = np.concatenate(
        [window_table(part[:, np.newaxis], 3) for part in (segments[0], segments[2])]
    )
    inputs = [0, 1, 2, 5, 6, 7]
    ridge = Ridge(alpha=0.2 * len(table)).fit(table[:, inputs], table[:, 13:])
    matrices, intercept = ridge_var(segments, 2, alpha=0.2, n_inputs=3)
    oldest_first = matrices[::-1].transpose(1, 0, 2).reshape(2, 6)
    np.testing.assert_allclose(oldest_first, ridge.coef_, atol=1e-10)
    np.testing.assert_allclose(intercept, ridge.intercept_, atol=1e-10)

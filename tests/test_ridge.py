"""Closed forms against statsmodels, scikit-learn and plain window tables."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from statsmodels.tsa.api import VAR

from skvar._closed_form import ridge
from skvar._closed_form.ridge import pooled, window_moments
from skvar._closed_form.ridge_var import choose_var_alpha, ridge_var, ridge_var_draws


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


def test_long_tables_are_summed_one_by_one(monkeypatch):
    tables, sizes = [*np.random.default_rng(0).normal(size=(3, 40, 1, 2))], []

    def sums(table):
        sizes.append(table.shape)
        return window_moments(table, 3)

    together = pooled(tables, 3, sums)
    monkeypatch.setattr(ridge, "_LONG", 79)
    for one, other in zip(pooled(tables, 3, sums), together, strict=True):
        np.testing.assert_allclose(one, other)
    assert sizes == [(40, 3, 2), *[(40, 1, 2)] * 3]


@pytest.mark.parametrize("order", [1, 4])
def test_ridge_var_without_penalty_is_ols(order):
    values = np.random.default_rng(1).normal(size=(300, 4)).cumsum(axis=0) * 0.1
    values = values - 0.5 * np.roll(values, 1, axis=0)
    ols = VAR(values).fit(order, trend="c")
    matrices, intercept, _ = ridge_var([values], order, alpha=1e-12)
    np.testing.assert_allclose(matrices, ols.coefs, atol=1e-6)
    np.testing.assert_allclose(intercept, ols.intercept, atol=1e-6)


def sklearns_var(segments, order, alpha, n_inputs=None):
    """Matrices and intercept by scikit-learn, whose penalty knows no lags."""
    n_columns = segments[0].shape[1]
    n_inputs = n_inputs or n_columns
    rows = [
        window_table(part[:, np.newaxis], order + 1)
        for part in segments
        if len(part) > order
    ]
    table = np.concatenate(rows).reshape(-1, order + 1, n_columns)
    lag = np.arange(order, 0, -1)[:, np.newaxis]
    inputs = (table[:, :order, :n_inputs] / lag).reshape(len(table), -1)
    first = n_inputs if n_inputs < n_columns else 0
    ridge = Ridge(alpha=alpha * len(table)).fit(inputs, table[:, -1, first:])
    matrices = ridge.coef_.reshape(-1, order, n_inputs) / lag
    return matrices[:, ::-1].transpose(1, 0, 2), ridge.intercept_


# Windows are fewer than the lagged values in them, or more.
@pytest.mark.parametrize("n_rows", [7, 8, 200])
def test_ridge_var_penalty_is_sklearns_per_row(n_rows):
    values = np.random.default_rng(2).normal(size=(n_rows, 3))
    for ours, theirs in zip(
        ridge_var([values], 2, alpha=0.3)[:2],
        sklearns_var([values], 2, alpha=0.3),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-10)


def test_least_squares_on_fewer_windows_than_coefficients():
    values = np.random.default_rng(0).normal(size=(20, 5))
    with pytest.raises(ValueError, match="there are fewer rows than coefficients"):
        ridge_var([values], 4, alpha=0.0)


def test_collinear_series_are_named_as_the_reason():
    values = np.random.default_rng(0).normal(size=(50, 1))
    with pytest.raises(ValueError, match="alpha=0.0 leaves the regression without"):
        ridge_var([np.hstack([values, values])], 1, alpha=0.0)


def autoregressive(n_rows, n_series, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n_rows, n_series))
    for row in range(1, n_rows):
        values[row] += 0.4 * values[row - 1]
    return values


def equation(values, series, order=2):
    """Windows less their mean, newest row first, by the root penalty, and a target."""
    n = len(values) - order
    lags = range(1, order + 1)
    lagged = np.hstack([values[order - lag : order - lag + n] / lag for lag in lags])
    target = values[order:, series]
    return lagged - lagged.mean(axis=0), target - target.mean()


@pytest.mark.parametrize("n_rows", [5, 14])
def test_evidence_is_the_density_of_the_rows(n_rows):
    # Integrated over coefficients it is a multivariate t, all but for the intercept.
    values = autoregressive(n_rows, 2)
    n = len(values) - 2

    def expected(alpha):
        total = 0.0
        for series in range(2):
            inputs, target = equation(values, series)
            contrasts = np.linalg.svd(np.ones((1, n)))[2][1:]
            inputs, target = contrasts @ inputs, contrasts @ target
            covariance = np.eye(n - 1) + inputs @ inputs.T / (n * alpha)
            fit = target @ np.linalg.solve(covariance, target)
            determinant = np.linalg.slogdet(covariance)[1]
            total -= determinant / 2 + (n - 1) / 2 * np.log(fit)
        return total

    found = [
        ridge_var([values], 2, alpha)[2].log_evidence for alpha in (0.01, 0.3, 10.0)
    ]
    expected = [expected(alpha) for alpha in (0.01, 0.3, 10.0)]
    np.testing.assert_allclose(np.diff(found), np.diff(expected))


def test_chosen_penalty_of_a_var_has_the_largest_evidence():
    values = autoregressive(80, 3)
    chosen = choose_var_alpha([values], 2)
    assert 1e-5 < chosen < 100
    best = ridge_var([values], 2, chosen)[2].log_evidence
    for factor in (0.1, 1 / 1.26, 1.26, 10):
        assert ridge_var([values], 2, factor * chosen)[2].log_evidence < best


@pytest.mark.parametrize(("n_rows", "alpha"), [(80, 0.0), (80, 0.3), (5, 0.3)])
def test_coefficients_count_by_the_trace_of_the_hat(n_rows, alpha):
    values = autoregressive(n_rows, 2)
    lagged, _ = equation(values, 0)
    penalty = (n_rows - 2) * alpha * np.eye(4)
    hat = lagged @ np.linalg.solve(lagged.T @ lagged + penalty, lagged.T)
    evidence = ridge_var([values], 2, alpha)[2]
    assert evidence.n_coefficients == pytest.approx(1 + np.trace(hat))
    assert evidence.n_rows == n_rows - 2
    assert np.isnan(evidence.log_evidence) == (alpha == 0)


@pytest.mark.parametrize(("n_rows", "order"), [(60, 2), (22, 8)])
def test_draws_have_the_moments_of_the_posterior(n_rows, order):
    values, alpha, n_draws = autoregressive(n_rows, 2), 0.2, 40_000
    rng = np.random.default_rng(0)
    matrices, intercepts, covariances = ridge_var_draws(
        [values], order, alpha, n_draws, rng
    )
    mean, intercept, _ = ridge_var([values], order, alpha)
    n, n_lagged = n_rows - order, 2 * order
    by_equation = matrices.transpose(0, 2, 1, 3).reshape(n_draws, 2, n_lagged)
    inputs = [equation(values, series, order) for series in range(2)]
    lagged, targets = inputs[0][0], np.column_stack([x[1] for x in inputs])
    lag = np.repeat(np.arange(1.0, order + 1), 2)
    gram = lagged.T @ lagged + n * alpha * np.eye(n_lagged)
    hat = lagged @ np.linalg.solve(gram, lagged.T)
    spread = np.linalg.inv(gram) / np.outer(lag, lag)
    # The mean of an inverse Wishart distribution with n - 1 degrees of freedom.
    expected = targets.T @ (targets - hat @ targets) / (n - 1 - 2 - 1)
    error = 5 / np.sqrt(n_draws)
    scale = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(
        covariances.mean(axis=0) / np.outer(scale, scale),
        expected / np.outer(scale, scale),
        atol=error,
    )
    # Of the coefficients, and of the intercept, whose windows are away from 0.
    size = np.sqrt(expected.max() * spread.max())
    np.testing.assert_allclose(matrices.mean(axis=0), mean, atol=size * error)
    np.testing.assert_allclose(intercepts.mean(axis=0), intercept, atol=error)
    # At the mean of the windows, only the intercept of centred inputs is drawn.
    lags = range(1, order + 1)
    rows = np.hstack([values[order - k : n_rows - k].mean(axis=0) for k in lags])
    fitted = intercepts + by_equation @ rows
    np.testing.assert_allclose(fitted.var(axis=0) * n, np.diag(expected), rtol=0.06)
    for i in range(2):
        for j in range(2):
            product = (by_equation[:, i] - by_equation[:, i].mean(axis=0)).T @ (
                by_equation[:, j] - by_equation[:, j].mean(axis=0)
            )
            np.testing.assert_allclose(
                product / n_draws,
                spread * expected[i, j],
                atol=2 * size**2 * error,
            )


def test_penalty_vanishes_with_more_rows():
    rng = np.random.default_rng(1)
    matrix = np.array([[0.5, 0.2], [-0.3, 0.4]])
    alphas = []
    for n_rows in (200, 2000, 20000):
        values = rng.normal(size=(n_rows, 2))
        for row in range(1, n_rows):
            values[row] += matrix @ values[row - 1]
        alphas.append(choose_var_alpha([values], 1))
    # As one over the rows.
    assert alphas[2] < 0.05 * alphas[0]


def test_too_few_rows_to_choose():
    values = np.random.default_rng(7).normal(size=(9, 2))
    assert choose_var_alpha([values[:3]], 2) == pytest.approx(1000)


@pytest.mark.parametrize("n_rows", [(30, 2, 50), (5, 2, 4)])
def test_ridge_pools_segments_and_separates_targets(n_rows):
    rng = np.random.default_rng(4)
    segments = [rng.normal(size=(n, 5)) for n in n_rows]
    for ours, theirs in zip(
        ridge_var(segments, 2, alpha=0.2, n_inputs=3)[:2],
        sklearns_var(segments, 2, alpha=0.2, n_inputs=3),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-10)


@pytest.mark.parametrize(
    ("alpha", "n_rows", "share"),
    [(0.0, (120, 80, 2), 0.7), (0.3, (120, 80, 2), 0.7), (0.3, (5, 4, 2), 0.8)],
)
def test_filled_targets_have_no_say(alpha, n_rows, share):
    """Each target by normal equations of the windows that have it."""
    rng = np.random.default_rng(12)
    segments = [rng.normal(size=(n, 3)).cumsum(axis=0) * 0.3 for n in n_rows]
    observed = [rng.random(values.shape) < share for values in segments]
    matrices, intercept, _ = ridge_var(segments, 2, alpha, observed=observed)
    design = np.concatenate(
        [np.hstack([np.ones((len(v) - 2, 1)), v[1:-1], v[:-2]]) for v in segments]
    )
    target, seen = (
        np.concatenate([part[2:] for part in parts]) for parts in (segments, observed)
    )
    penalty = len(design) * alpha * np.diag([0, 1, 1, 1, 4, 4, 4])
    for j, rows in enumerate(seen.T):
        inputs = design[rows]
        coef = np.linalg.solve(inputs.T @ inputs + penalty, inputs.T @ target[rows, j])
        np.testing.assert_allclose(np.hstack(matrices)[j], coef[1:], atol=1e-4)
        assert intercept[j] == pytest.approx(coef[0], abs=1e-4)

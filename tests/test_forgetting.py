"""Tracked matrices against least squares written out and a textbook Kalman filter."""

import numpy as np
import pytest
import torch

from skvar import LinearAttentionVAR
from skvar._closed_form.forgetting import (
    DIRECTION_PENALTY,
    NEVER,
    Tracking,
    choose_tracking,
    discount,
    discounted_moments,
    movement,
    tracked_drift,
)
from skvar._networks.linear_attention_var import MatrixTracker
from skvar._var.estimation import moving_covariance
from skvar.datasets import make_drifting_var, make_var

RNG = np.random.default_rng(0)
ERRORS, LAGGED = RNG.normal(size=(60, 2)), RNG.normal(size=(60, 3))
DIRECTIONS, CENTRE = RNG.normal(size=(2, 2, 3)), RNG.normal(size=(2, 3))


def joint_regression(rows, weights, penalty, directions):
    """Mean and covariance of entries of D (2 x 3) and z, by normal equations."""
    n_free = 6
    precision = np.diag([penalty] * n_free + [DIRECTION_PENALTY] * len(directions))
    right = np.zeros(len(precision))
    for weight, error, x in zip(weights, ERRORS[rows], LAGGED[rows], strict=True):
        design = np.hstack(
            [np.kron(np.eye(2), x), *(m @ x[:, None] for m in directions)]
        )
        precision = precision + weight * design.T @ design
        right = right + weight * design.T @ error
    covariance = np.linalg.inv(precision)
    spread = np.hstack([np.eye(6), directions.reshape(len(directions), 6).T])
    total = spread @ (covariance @ right), spread @ covariance @ spread.T
    return total[0].reshape(2, 3), total[1]


@pytest.mark.parametrize("n_directions", [0, 1, 2])
def test_drift_is_the_weighted_regression_of_the_errors(n_directions):
    weights, firsts = discount(0.9, 20), np.array([0, 7, 40])
    moments = discounted_moments(ERRORS, LAGGED, firsts, weights)
    found = tracked_drift(*moments, Tracking(0.9, 2.0, n_directions), DIRECTIONS)
    for first, one in zip(firsts, found, strict=True):
        rows = slice(first, first + 20)
        expected, _ = joint_regression(rows, weights, 2.0, DIRECTIONS[:n_directions])
        np.testing.assert_allclose(one, expected, atol=1e-10)


def test_forgetting_is_a_kalman_filter_whose_information_decays():
    decay, n_rows = 0.95, 60
    # The prior decays as well, until nothing is left of it.
    state, covariance = np.zeros((3, 2)), np.eye(3) / 1e-8
    for error, x in zip(ERRORS, LAGGED, strict=True):
        gain = covariance @ x / (1 + x @ covariance @ x)
        state = state + np.outer(gain, error - x @ state)
        covariance = (covariance - np.outer(gain, x @ covariance)) / decay
    moments = discounted_moments(ERRORS, LAGGED, np.array([0]), discount(decay, n_rows))
    [drift] = tracked_drift(*moments, Tracking(decay, 1e-12, 0), DIRECTIONS)
    np.testing.assert_allclose(drift, state.T, atol=1e-7)
    [gram] = moments[0]
    np.testing.assert_allclose(np.linalg.inv(gram), covariance, atol=1e-7)


@pytest.fixture
def tracker():
    """A tracker at a closed form, and the errors in series' units that it takes."""
    factor = np.array([[2.0, 0.0], [0.5, 1.5]])
    tracker = MatrixTracker(20, 3, 2, 3).double()
    centre, uncertainty = CENTRE, np.diag([0.1, 0.2, 0.3])
    parts = (torch.from_numpy(x) for x in (DIRECTIONS, factor, centre, uncertainty))
    tracker.start_at(0.9, 2.0, DIRECTION_PENALTY, *parts)
    errors = (ERRORS + LAGGED @ CENTRE.T) @ factor.T
    rows = [x[None, :20] for x in (errors, LAGGED)]
    seen = np.arange(20)[None] >= 4
    return tracker, factor, [torch.from_numpy(x) for x in (*rows, seen)]


def test_a_new_network_already_is_the_filter(tracker):
    tracker, factor, rows = tracker
    weights = discount(0.9, 20) * (np.arange(20) >= 4)
    expected, _ = joint_regression(slice(0, 20), weights, 2.0, DIRECTIONS)
    found = tracker(*rows)[0].detach().numpy()
    np.testing.assert_allclose(found, factor @ (CENTRE + expected), atol=1e-6)


def test_draws_have_the_covariance_of_the_regression(tracker):
    tracker, factor, rows = tracker
    weights = discount(0.9, 20) * (np.arange(20) >= 4)
    tracker.uncertainty.zero_()
    _, covariance = joint_regression(slice(0, 20), weights, 2.0, DIRECTIONS)
    # Deviations are linear in the normal numbers: one of each makes the covariance.
    along = torch.eye(9)[:, :3].double()
    free = torch.eye(9)[:, 3:].double().reshape(9, 2, 3)
    moves = tracker.deviations(*rows, along, free).detach().numpy().reshape(9, 6)
    both = np.kron(factor, np.eye(3))
    np.testing.assert_allclose(moves.T @ moves, both @ covariance @ both.T, atol=1e-6)


def test_what_is_not_known_of_the_static_var_widens_the_draws(tracker):
    tracker, _, rows = tracker
    tracker.first_directions.zero_()
    rows[2] = torch.zeros_like(rows[2])  # no row tells anything
    free = torch.eye(6).double().reshape(6, 2, 3)
    moves = tracker.deviations(*rows, torch.zeros(6, 3).double(), free)
    moves = moves.detach().numpy().reshape(6, 6)
    prior = np.diag([0.5 + 0.1, 0.5 + 0.2, 0.5 + 0.3])
    factor = np.array([[2.0, 0.0], [0.5, 1.5]])
    expected = np.kron(factor @ factor.T, prior)
    np.testing.assert_allclose(moves.T @ moves, expected, atol=1e-6)


def folds_of(values):
    """Errors of least squares of each half on both halves."""
    lagged, after = values[:-1], values[1:]
    half = len(after) // 2
    parts = slice(0, half), slice(half, None)
    folds = []
    for fitted, others in (parts, parts[::-1]):
        coef = np.linalg.lstsq(lagged[fitted], after[fitted], rcond=None)[0]
        folds.append(
            [[(after[x] - lagged[x] @ coef, lagged[x])] for x in (fitted, others)]
        )
    return folds


def test_evidence_tells_walks_from_swings_and_from_what_stands_still():
    walk = make_drifting_var(2500, kind="random_walk", step=0.02, random_state=0)
    swing = make_drifting_var(2500, 3, period=800, random_state=1)
    still = make_var(2500, random_state=0)
    chosen = [
        choose_tracking(folds_of(made.series.to_numpy()), 128, 2)
        for made in (walk, swing, still)
    ]
    assert chosen[0].penalty <= 10
    assert chosen[1].penalty == NEVER
    assert chosen[1].n_directions
    assert chosen[2] is None


def test_directions_are_those_in_which_matrices_move():
    made = make_drifting_var(3000, 3, period=1000, random_state=1)
    lagged, after = made.series.to_numpy()[:-1], made.series.to_numpy()[1:]
    errors = after - lagged @ made.matrices[:, 0].mean(axis=0).T
    found = movement([(errors, lagged)], 128, 1)
    truth = (made.matrices[0] - made.matrices[500])[0].ravel()
    along = (found.factor @ found.directions[0]).ravel()
    cosine = along @ truth / np.linalg.norm(along) / np.linalg.norm(truth)
    assert abs(cosine) > 0.95
    assert np.abs(found.factor - np.eye(3)).max() < 0.15


def test_covariance_of_errors_follows_their_size():
    sizes = np.repeat([1.0, 3.0], 300)[:, np.newaxis]
    errors = sizes * np.random.default_rng(0).normal(size=(600, 2))
    errors[100] = np.nan
    start = 5 * np.eye(2)
    candidates = []
    for decay in (0.9, 0.94, 0.97, 0.98, 0.99, 0.995):
        found, score = start, 0.0
        for error in np.delete(errors, 100, axis=0):
            score -= np.linalg.slogdet(found)[1] + error @ np.linalg.solve(found, error)
            found = decay * found + (1 - decay) * np.outer(error, error)
        candidates.append((score, found))
    expected = max(candidates, key=lambda one: one[0])[1]
    np.testing.assert_allclose(moving_covariance(errors, start), expected, atol=1e-8)
    still = np.random.default_rng(1).normal(size=(600, 2))
    np.testing.assert_array_equal(moving_covariance(still, np.eye(2)), np.eye(2))
    np.testing.assert_array_equal(moving_covariance(still[:0], start), start)


def test_where_nothing_moves_the_posterior_is_that_of_the_static_var():
    still = make_var(600, 2, random_state=0).series
    options = {"alpha": 0.01, "max_epochs": 0, "random_state": 0}
    found, expected = (
        LinearAttentionVAR(1, tracking_rows=n_rows, **options)
        .fit(still)
        .var_coefficients()
        .draws(3, random_state=0)
        for n_rows in (64, 0)
    )
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-10)


def test_matrices_at_a_date_have_bands():
    made = make_drifting_var(1500, 2, kind="random_walk", step=0.02, random_state=0)
    values = made.series * [1.0, 10.0]
    forecaster = LinearAttentionVAR(
        1, tracking_rows=128, max_epochs=0, random_state=0
    ).fit(values)
    assert forecaster.network_weight_ == 1
    truth, held = made.matrices * [[1, 0.1], [10, 1]], []
    for row in range(200, 1499, 60):
        var = forecaster.var_coefficients(at=row)
        matrices, _, covariances = var.draws(400, random_state=0)
        low, high = np.quantile(matrices, [0.05, 0.95], axis=0)
        held.append((low <= truth[row + 1]) & (truth[row + 1] <= high))
        error = matrices.mean(axis=0) - var.matrices
        assert (np.abs(error) < 0.25 * matrices.std(axis=0)).all()
        np.testing.assert_array_equal(covariances[0], var.sigma_u)
    # 88 entries, of which neighbours in time are hardly correlated.
    assert 0.8 < np.mean(held) < 0.98
    table = var.irf(3, bands=0.9, n_draws=200, random_state=0)
    assert (table["lower"] <= table["upper"]).all()
    assert (table["lower"] < table["upper"]).any()
    assert forecaster.var_coefficients().posterior is None

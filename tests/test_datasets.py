"""Simulated series obey the matrices that they come with."""

import numpy as np
import pytest
from statsmodels.tsa.api import VAR
from statsmodels.tsa.vector_ar.var_model import VARProcess

from skvar.datasets import (
    make_drifting_var,
    make_switching_var,
    make_var,
    make_var_tasks,
)

MAKERS = {
    "static": lambda **k: make_var(order=2, **k),
    "sparse": lambda **k: make_var(n_series=6, density=0.2, **k),
    "structural": lambda **k: make_var(shock_correlation=0.6, intercept=[1, 2, 3], **k),
    "markov": lambda **k: make_switching_var(n_regimes=3, persistence=0.9, **k),
    "threshold": lambda **k: make_switching_var(switch="threshold", order=2, **k),
    "season": lambda **k: make_switching_var(switch="season", n_regimes=4, **k),
    "drift": lambda **k: make_drifting_var(period=100, order=2, **k),
}


@pytest.mark.parametrize("name", MAKERS)
def test_rows_follow_from_the_rows_before(name):
    made = MAKERS[name](n_rows=400, noise=0.5, random_state=0)
    values, order = made.series.to_numpy(), made.matrices.shape[1]
    for t in (order, 57, 399):
        expected = made.intercept + sum(
            made.matrices[t, lag] @ values[t - 1 - lag] for lag in range(order)
        )
        np.testing.assert_allclose(made.mean.iloc[t], expected)
    shocks = (made.series - made.mean).to_numpy()
    np.testing.assert_allclose(made.impact @ made.impact.T, made.sigma_u)
    assert (np.triu(made.impact, 1) == 0).all()
    # The error of a variance or covariance over 400 draws is at most 0.07 variances.
    assert np.abs(np.cov(shocks.T) - made.sigma_u).max() < 4 * 0.07 * 0.25


@pytest.mark.parametrize("name", MAKERS)
def test_seeds_decide(name):
    one, same, other = (
        MAKERS[name](n_rows=50, random_state=seed).series for seed in (0, 0, 1)
    )
    assert one.equals(same)
    assert not one.equals(other)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_spectral_radius_is_the_one_asked_for(order):
    made = make_var(10, 4, order, spectral_radius=0.7, random_state=0)
    poles = VARProcess(made.matrices[0], made.intercept, made.sigma_u)
    assert poles.is_stable()
    companion = np.zeros((4 * order, 4 * order))
    companion[:4] = np.hstack(made.matrices[0])
    companion[4:, :-4] = np.eye(4 * order - 4)
    assert np.abs(np.linalg.eigvals(companion)).max() == pytest.approx(0.7)


def test_drift_stays_below_the_radius_and_returns():
    made = make_drifting_var(401, 3, period=200, spectral_radius=0.9, random_state=2)
    radii = np.abs(np.linalg.eigvals(made.matrices[:, 0])).max(axis=1)
    # The largest is found on 129 points of the way.
    assert 0.89 < radii.max() < 0.901
    np.testing.assert_allclose(made.matrices[:201], made.matrices[200:])
    assert np.abs(made.matrices[0] - made.matrices[100]).max() > 0.1


def test_sparse_networks_have_zeros_at_every_lag():
    made = make_var(10, 30, 3, density=0.1, random_state=0)
    linked = made.matrices[0] != 0
    assert (linked == linked[0]).all()
    assert linked[0].diagonal().all()
    off_diagonal = linked[0][~np.eye(30, dtype=bool)]
    # 870 draws with probability 0.1: standard deviation 0.01.
    assert abs(off_diagonal.mean() - 0.1) < 0.04


def test_regimes_switch_as_asked_for():
    markov = make_switching_var(5000, n_regimes=3, persistence=0.95, random_state=0)
    stays = (np.diff(markov.regimes) == 0).mean()
    assert abs(stays - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 5000)
    assert set(markov.regimes) == {0, 1, 2}
    starts = [
        make_switching_var(1, 1, persistence=0.9999, random_state=seed).regimes[0]
        for seed in range(100)
    ]
    assert 0.3 < np.mean(starts) < 0.7
    threshold = make_switching_var(500, switch="threshold", random_state=0)
    first = threshold.series["y0"].to_numpy()
    assert (threshold.regimes[1:] == (first[:-1] > 0)).all()
    season = make_switching_var(9, switch="season", n_regimes=4, random_state=0)
    assert list(season.regimes) == [0, 1, 2, 3, 0, 1, 2, 3, 0]
    for made in (markov, threshold):
        np.testing.assert_array_equal(
            made.matrices[10] == made.matrices[11],
            made.regimes[10] == made.regimes[11],
        )


def test_static_var_is_what_least_squares_finds():
    made = make_var(20_000, 3, 2, intercept=[1, 0, -1], random_state=0)
    fit = VAR(made.series).fit(2)
    z = (
        fit.params.to_numpy()[1:].reshape(2, 3, 3).swapaxes(1, 2) - made.matrices[0]
    ) / (fit.stderr.to_numpy()[1:].reshape(2, 3, 3).swapaxes(1, 2))
    assert np.abs(z).max() < 4


def test_tasks_draw_their_orders():
    tasks = make_var_tasks(40, 30, orders=(3, 4), random_state=0)
    assert {task.matrices.shape[1] for task in tasks} == {3, 4}
    assert {task.series.shape for task in tasks} == {(30, 2)}
    assert not np.allclose(tasks[0].matrices[0][0], tasks[1].matrices[0][0])
    assert tasks[0].sigma_u[0, 0] == pytest.approx(0.05**2)


@pytest.mark.parametrize(
    ("make", "arguments", "named"),
    [
        (make_var, {"n_rows": 0}, "n_rows"),
        (make_var, {"order": 1.5}, "order"),
        (make_var, {"spectral_radius": 1}, "spectral_radius"),
        (make_var, {"density": 2}, "density"),
        (make_var, {"noise": 0}, "noise"),
        (make_var, {"shock_correlation": 1}, "shock_correlation"),
        (make_var, {"intercept": [1, 2]}, "intercept"),
        (make_switching_var, {"switch": "coin"}, "switch"),
        (make_switching_var, {"persistence": 1.2}, "persistence"),
        (make_switching_var, {"n_regimes": 0}, "n_regimes"),
        (make_drifting_var, {"period": 0}, "period"),
        (make_var_tasks, {"n_tasks": 0}, "n_tasks"),
        (make_var_tasks, {"orders": ()}, "orders"),
    ],
)
def test_bad_arguments_are_named(make, arguments, named):
    with pytest.raises((ValueError, TypeError), match=named):
        make(**arguments)

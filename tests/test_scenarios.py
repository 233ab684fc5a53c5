"""Forecasts under conditions, against Kalman smoothing, formulas and brute force."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import multivariate_normal, norm
from statsmodels.tsa.api import VARMAX

from skvar import LinearAttentionVAR, VARCoefficients

MATRICES = np.array(
    [
        [[0.5, 0.1, 0.0], [0.2, 0.4, 0.1], [0.0, 0.3, 0.9]],
        [[0.1, 0.0, 0.0], [0.0, -0.2, 0.1], [0.1, 0.0, 0.0]],
    ]
)
INTERCEPT = np.array([1.0, 2.0, 3.0])
ROOT = np.array([[1.0, 0.0, 0.0], [0.5, 0.8, 0.0], [0.2, -0.3, 0.5]])
NAMES = ["output", "prices", "rate"]
QUARTERS = pd.period_range("2000Q1", periods=20, freq="Q")
HISTORY = pd.DataFrame(
    np.random.default_rng(0).normal([8, 5, 20], size=(20, 3)), QUARTERS, NAMES
)
STEPS = 5
VAR = VARCoefficients(MATRICES, INTERCEPT, ROOT @ ROOT.T, history=HISTORY)
AHEAD = VAR.forecast(STEPS)


def table(cells, index=range(1, STEPS + 1)):
    """Conditions from {(position, name): cell}."""
    columns = list(dict.fromkeys(name for _, name in cells))
    frame = pd.DataFrame(np.nan, list(index), columns, dtype=object)
    for (position, name), cell in cells.items():
        frame.at[index[position - 1], name] = cell
    return frame


def joint(var, steps):
    """Mean and covariance of the stacked rows ahead: the equations of all, solved."""
    n = len(var.names)
    equations, constant = np.eye(steps * n), np.tile(var.intercept, steps)
    for row in range(steps):
        at = slice(row * n, (row + 1) * n)
        for lag, matrix in enumerate(var.matrices, start=1):
            if lag <= row:
                equations[at, (row - lag) * n : (row - lag + 1) * n] = -matrix
            else:
                constant[at] += matrix @ var.history.to_numpy()[row - lag]
    inverse = np.linalg.inv(equations)
    shocks = np.kron(np.eye(steps), var.sigma_u)
    return inverse @ constant, inverse @ shocks @ inverse.T


def places(conditions):
    return [3 * (position - 1) + NAMES.index(name) for position, name in conditions]


def deviations(var, steps, **options):
    ends = var.forecast_interval(steps, 0.9, method="known", **options)
    lower, upper = (ends.xs(side, axis=1, level=2) for side in ("lower", "upper"))
    return ((upper - lower) / (2 * norm.ppf(0.95))).to_numpy()


VALUES = {(1, "rate"): 25.0, (2, "output"): 6.0, (4, "rate"): 24.5, (4, "prices"): 4.0}


def test_moments_are_those_of_a_kalman_smoother():
    rows = np.vstack([HISTORY, np.full((STEPS, 3), np.nan)])
    for (position, name), value in VALUES.items():
        rows[19 + position, NAMES.index(name)] = value
    parameters = [INTERCEPT, np.hstack(MATRICES).ravel(), ROOT[np.tril_indices(3)]]
    smoothed = VARMAX(rows, order=(2, 0), trend="c").smooth(np.concatenate(parameters))
    found = VAR.forecast(STEPS, given=table(VALUES))
    expected = smoothed.smoothed_state[:3, -STEPS:].T
    np.testing.assert_allclose(found, expected, atol=1e-8)
    variances = np.einsum("iit->ti", smoothed.smoothed_state_cov[:3, :3, -STEPS:])
    spread = deviations(VAR, STEPS, given=table(VALUES))
    np.testing.assert_allclose(spread**2, variances, atol=1e-8)


def test_covariance_is_that_of_conditioning():
    """What one more value does to a forecast is a covariance over a variance."""
    mean, covariance = joint(VAR, STEPS)
    fixed = places(VALUES)
    free = [i for i in range(15) if i not in fixed]
    gain = np.linalg.solve(covariance[np.ix_(fixed, fixed)], covariance[fixed]).T
    mean = mean + gain @ (np.array(list(VALUES.values())) - mean[fixed])
    covariance = covariance - gain @ covariance[fixed]
    found = VAR.forecast(STEPS, given=table(VALUES))
    np.testing.assert_allclose(found, mean.reshape(STEPS, 3), atol=1e-8)
    spread = deviations(VAR, STEPS, given=table(VALUES)).ravel()
    for place in free:
        cell = (place // 3 + 1, NAMES[place % 3])
        value = found.iloc[place // 3, place % 3] + 1
        moved = VAR.forecast(STEPS, given=table(VALUES | {cell: value})) - found
        implied = moved.to_numpy().ravel() * spread[place] ** 2
        np.testing.assert_allclose(implied, covariance[place], atol=1e-8)


def test_paths_have_these_moments_and_hold_the_values():
    mean, covariance = joint(VAR, STEPS)
    free = VAR.sample_paths(STEPS, 4000, random_state=0).to_numpy().reshape(4000, 15)
    # Errors of means and of products are normal: five of their deviations at most.
    deviation = np.sqrt(np.diag(covariance))
    errors = (free.mean(axis=0) - mean) / deviation * np.sqrt(4000)
    assert np.abs(errors).max() < 5
    errors = (np.cov(free.T) - covariance) / np.outer(deviation, deviation)
    assert np.abs(errors).max() < 5 * np.sqrt(2 / 4000)
    paths = VAR.sample_paths(STEPS, 4000, given=table(VALUES), random_state=0)
    assert list(paths.columns) == NAMES
    assert paths.index.names == ["path", "time"]
    assert (paths.loc[7].index == AHEAD.index).all()
    rows = paths.to_numpy().reshape(4000, 15)
    fixed = places(VALUES)
    assert (rows[:, fixed] == list(VALUES.values())).all()
    spread = deviations(VAR, STEPS, given=table(VALUES)).ravel()
    expected = VAR.forecast(STEPS, given=table(VALUES)).to_numpy().ravel()
    others = [i for i in range(15) if i not in fixed]
    errors = (rows.mean(axis=0) - expected)[others] / spread[others] * np.sqrt(4000)
    assert np.abs(errors).max() < 5
    np.testing.assert_allclose(rows.std(axis=0), spread, rtol=5 / np.sqrt(8000))
    again = VAR.sample_paths(STEPS, 4000, given=table(VALUES), random_state=0)
    pd.testing.assert_frame_equal(paths, again)


RANGES = {
    (1, "rate"): (AHEAD["rate"].iloc[0], None),
    (2, "rate"): pd.Interval(AHEAD["rate"].iloc[1] - 0.2, AHEAD["rate"].iloc[1] + 0.4),
    (3, "rate"): (-np.inf, AHEAD["rate"].iloc[2] + 0.3),
    (3, "output"): (AHEAD["output"].iloc[2] + 0.5, AHEAD["output"].iloc[2] + 1.5),
    (4, "prices"): AHEAD["prices"].iloc[3] + 1,
}


@pytest.fixture(scope="module")
def rejected():
    """Paths that keep the ranges, of many drawn under the one value."""
    mean, covariance = joint(VAR, STEPS)
    [place] = places([(4, "prices")])
    gain = covariance[:, place] / covariance[place, place]
    mean = mean + gain * (RANGES[4, "prices"] - mean[place])
    covariance = covariance - np.outer(gain, covariance[place])
    normal = multivariate_normal(mean, covariance, allow_singular=True)
    rows = normal.rvs(200_000, random_state=1).reshape(-1, STEPS, 3)
    output, rate = (
        rows[..., 0] - AHEAD["output"].values,
        rows[..., 2] - AHEAD["rate"].values,
    )
    kept = (rate[:, 0] > 0) & (np.abs(rate[:, 1] - 0.1) < 0.3) & (rate[:, 2] < 0.3)
    return rows[kept & (np.abs(output[:, 2] - 1) < 0.5)].reshape(-1, 15)


def test_ranges_are_those_of_rejection(rejected):
    assert len(rejected) > 4000
    paths = VAR.sample_paths(STEPS, 4000, given=table(RANGES), random_state=0)
    rows = paths.to_numpy().reshape(4000, 15)
    spread = np.where(rejected.std(axis=0) > 1e-6, rejected.std(axis=0), 1.0)
    error = spread * np.sqrt(1 / 4000 + 1 / len(rejected))
    assert (np.abs(rows.mean(axis=0) - rejected.mean(axis=0)) < 5 * error).all()
    products = [np.cov((some / spread).T) for some in (rows, rejected)]
    assert np.abs(np.subtract(*products)).max() < 0.2
    mean = VAR.forecast(STEPS, given=table(RANGES), random_state=0, n_draws=4000)
    errors = np.abs(mean.to_numpy().ravel() - rejected.mean(axis=0))
    assert (errors < 5 * error).all()
    ends = VAR.forecast_interval(STEPS, [0.5, 0.9], given=table(RANGES), random_state=0)
    found = ends.to_numpy().reshape(15, 4).T
    expected = np.quantile(rejected, [0.25, 0.75, 0.05, 0.95], axis=0)
    assert np.abs((found - expected) / spread).max() < 0.15
    # Ranges hold in every path, not only on average.
    lowest, highest = rows.min(axis=0), rows.max(axis=0)
    for place, (cell, asked) in zip(places(RANGES), RANGES.items(), strict=True):
        if cell == (2, "rate"):
            assert asked.left <= lowest[place] < highest[place] <= asked.right
        elif cell == (1, "rate"):
            assert lowest[place] >= asked[0]


@pytest.mark.parametrize("low", [6.0, -7.0, 50.0])
def test_ranges_far_from_the_forecast(low):
    """A walk kept up there: integrals over a grid, step by step."""
    walk = VARCoefficients(
        [[[1.0]]], [0.0], [[1.0]], history=pd.DataFrame({"level": [0.0]})
    )
    high, steps = low + 1, 6
    grid, width = np.linspace(low, high, 401, retstep=True)
    ends = np.where((grid == low) | (grid == high), 0.5, 1.0) * width
    moves = norm.pdf(grid - grid[:, np.newaxis])
    start = norm.logpdf(grid)
    before, after = [np.exp(start - start.max())], [np.ones(401)]
    for _ in range(steps - 1):
        before.append((before[-1] * ends) @ moves)
        after.append(moves @ (after[-1] * ends))
    weights = np.array(before) * np.array(after[::-1]) * ends
    weights /= weights.sum(axis=1, keepdims=True)
    mean = weights @ grid
    deviation = np.sqrt(weights @ grid**2 - mean**2)
    kept = pd.DataFrame({"level": [(low, high)] * steps}, index=range(1, steps + 1))
    paths = walk.sample_paths(steps, 4000, given=kept, random_state=0)
    rows = paths.to_numpy().reshape(4000, steps)
    assert np.abs((rows.mean(axis=0) - mean) / deviation).max() < 5 / np.sqrt(4000)
    np.testing.assert_allclose(rows.std(axis=0), deviation, rtol=0.06)
    assert len(np.unique(rows[:, 2])) > 3990


# A posterior of three equally likely VAR(1) of one series, each drawn over and over.
DRAWS = np.array([[0.9, 0.0, 1.0], [0.5, 1.0, 2.0], [0.1, -1.0, 0.5]])


def posterior(n_draws, rng):
    phi, intercept, variance = DRAWS[np.arange(n_draws) % 3].T
    return (
        phi.reshape(-1, 1, 1, 1),
        intercept.reshape(-1, 1),
        variance.reshape(-1, 1, 1),
    )


UNSURE = VARCoefficients(
    [[[0.5]]],
    [0.0],
    [[1.0]],
    posterior=posterior,
    alpha=1.0,
    history=pd.DataFrame({"a": [2.0]}),
)


def normals(phi, intercept, variance):
    """Mean and covariance of two rows after a 2."""
    first = intercept + 2 * phi
    return [first, intercept + phi * first], variance * np.array(
        [[1, phi], [phi, 1 + phi**2]]
    )


def test_draws_count_by_the_density_of_what_is_given():
    value = 2.5
    weights, parts = [], []
    for draw in DRAWS:
        mean, covariance = normals(*draw)
        second = norm(mean[1], np.sqrt(covariance[1, 1]))
        weights.append(second.pdf(value))
        gain = covariance[0, 1] / covariance[1, 1]
        deviation = np.sqrt(covariance[0, 0] - gain * covariance[0, 1])
        parts.append(norm(mean[0] + gain * (value - mean[1]), deviation))
    weights = np.array(weights) / np.sum(weights)
    assert max(weights) > 2 * min(weights)

    def share(x):
        return weights @ [part.cdf(x) for part in parts]

    expected = [brentq(lambda x, p=p: share(x) - p, -20, 20) for p in (0.1, 0.9)]
    ahead = pd.DataFrame({"a": [value]}, index=[2])
    found = UNSURE.forecast_interval(2, 0.8, given=ahead, n_draws=6)
    np.testing.assert_allclose(found.iloc[0], expected, atol=1e-8)
    assert (found.iloc[1] == value).all()
    paths = UNSURE.sample_paths(2, 6000, given=ahead, random_state=0)["a"].unstack()
    below = (paths.iloc[:, [0]].to_numpy() < expected).mean(axis=0)
    np.testing.assert_allclose(below, [0.1, 0.9], atol=5 * 0.3 / np.sqrt(6000))


def test_draws_count_by_the_probability_of_ranges():
    low, high = 1.5, 2.0
    rng, kept = np.random.default_rng(1), []
    for draw in DRAWS:
        rows = rng.multivariate_normal(*normals(*draw), size=60_000)
        kept.append(rows[(rows[:, 1] > low) & (rows[:, 1] < high)])
    expected = np.concatenate(kept)
    ahead = pd.DataFrame({"a": [(low, high)]}, index=[2])
    paths = UNSURE.sample_paths(2, 6000, given=ahead, random_state=0, n_draws=6000)
    rows = paths.to_numpy().reshape(6000, 2)
    error = expected.std(axis=0) * np.sqrt(1 / 6000 + 1 / len(expected))
    assert (np.abs(rows.mean(axis=0) - expected.mean(axis=0)) < 5 * error).all()
    found = UNSURE.forecast_interval(2, 0.8, given=ahead, n_draws=6000, random_state=0)
    ends = np.quantile(expected, [0.1, 0.9], axis=0)
    np.testing.assert_allclose(found, ends.T, atol=0.1)


def test_few_draws_that_count_are_reported(us_change):
    var = LinearAttentionVAR(1, n_layers=0).fit(us_change).var_coefficients()
    far = pd.DataFrame({"Income": [60.0]}, index=[1])
    for ask in (var.forecast_interval, var.sample_paths):
        with pytest.warns(UserWarning, match="draws count.*n_draws") as told:
            ask(2, given=far, random_state=0)
        assert told[0].filename == __file__
    with pytest.raises(TypeError, match=r"Forecasts know no option \['draws'\]"):
        var.forecast_interval(2, draws=3)


values = st.floats(-3, 3, allow_nan=False)
cells = st.dictionaries(
    st.tuples(st.integers(1, STEPS), st.sampled_from(NAMES)), values, max_size=8
)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(cells, st.permutations(NAMES), st.permutations(range(STEPS)))
def test_conditions_hold_and_never_raise_the_variance(offsets, columns, rows):
    spread = deviations(VAR, STEPS)
    asked = {}
    for place, cell in zip(places(offsets), offsets, strict=True):
        row, series = divmod(place, 3)
        asked[cell] = AHEAD.iloc[row, series] + offsets[cell] * spread[row, series]
    conditions = table(asked)
    found = VAR.forecast(STEPS, given=conditions)
    for (position, name), value in asked.items():
        assert found[name].iloc[position - 1] == value
    reduced = deviations(VAR, STEPS, given=conditions)
    assert (reduced <= spread + 1e-9).all()
    order = [name for name in columns if name in conditions]
    shuffled = conditions[order].iloc[list(rows)]
    again = VAR.forecast(STEPS, given=shuffled)
    np.testing.assert_allclose(again, found, rtol=1e-10)
    path = {cell: AHEAD[cell[1]].iloc[cell[0] - 1] for cell in asked}
    same = VAR.forecast(STEPS, given=table(path))
    np.testing.assert_allclose(same, AHEAD, rtol=1e-10)


@pytest.mark.parametrize("method", ["known", "posterior", "bootstrap"])
def test_no_condition_is_no_scenario(method, us_change):
    forecaster = LinearAttentionVAR(2, n_layers=0, alpha=0).fit(us_change)
    var, then = forecaster.var_coefficients(), us_change.index[-1] + 2
    options = {"method": method, "n_draws": 20, "random_state": 0}
    nothing = {"Income": [np.nan, None], "Savings": [(None, np.inf), pd.NA]}
    free, same = (
        var.forecast_interval(3, given=given, **options)
        for given in (None, pd.DataFrame(nothing, index=[2, 3]))
    )
    pd.testing.assert_frame_equal(free, same)
    income = pd.DataFrame({"Income": [2.0]}, index=[then])
    ends = var.forecast_interval(3, [0.9, 0.5], given=income, **options)
    assert list(ends.columns[:4]) == [
        ("Consumption", coverage, side)
        for coverage in (0.9, 0.5)
        for side in ("lower", "upper")
    ]
    assert (ends["Income"].loc[then] == 2).all()
    assert (ends["Savings", 0.9, "lower"] < ends["Savings", 0.5, "lower"]).all()
    paths = var.sample_paths(3, 7, given=income, **options)
    assert (paths["Income"].xs(then, level="time") == 2).all()


def test_rows_are_times_or_positions():
    times = pd.DataFrame({"rate": [25.0, (24, 26)]}, index=AHEAD.index[[1, 3]])
    positions = times.set_axis([2, 4])
    found = VAR.forecast(STEPS, given=times, random_state=0)
    pd.testing.assert_frame_equal(
        found, VAR.forecast(STEPS, given=positions, random_state=0)
    )
    intervals = pd.DataFrame({"rate": pd.IntervalIndex.from_tuples([(24, 26)])}, [4])
    pairs = pd.DataFrame({"rate": [[24, 26]]}, [4])
    one, other = (
        VAR.sample_paths(STEPS, 5, given=given, random_state=0)
        for given in (intervals, pairs)
    )
    pd.testing.assert_frame_equal(one, other)


def test_matrices_of_one_time_have_scenarios(us_change):
    forecaster = LinearAttentionVAR(
        2, max_epochs=2, early_stopping=False, random_state=0
    ).fit(us_change)
    at = us_change.index[100]
    var, bare = forecaster.var_coefficients(at=at), forecaster.var_coefficients()
    income = pd.DataFrame({"Income": [2.0]}, index=[1])
    found = var.forecast(2, given=income)
    # Errors of one row go together by their covariance.
    gain = var.sigma_u[:, 1] / var.sigma_u[1, 1]
    ahead = var.forecast(1).iloc[0]
    expected = ahead + gain * (2 - ahead["Income"])
    np.testing.assert_allclose(found.iloc[0], expected, atol=1e-9)
    assert found.attrs["label"] == var.label
    assert not np.allclose(found, bare.forecast(2, given=income))


SUM = np.array([[1.0, 0, 0], [0, 1, 0], [1, 1, 0]])


def determined():
    """Two series, their sum, and a constant."""
    matrix, sigma_u = np.zeros((4, 4)), np.zeros((4, 4))
    matrix[:3, :3], sigma_u[:3, :3] = 0.5 * SUM, SUM @ SUM.T
    matrix[3, 3] = 1.0
    rows = pd.DataFrame(
        {"a": [1.0, 2], "b": [3.0, 1], "both": [4.0, 3], "one": [1.0, 1]}
    )
    return VARCoefficients([matrix], np.zeros(4), sigma_u, history=rows)


def test_what_others_imply_is_no_condition():
    var = determined()
    two = pd.DataFrame({"a": [1.5], "b": [0.5]}, index=[3])
    expected = var.forecast(3, given=two)
    assert expected.loc[3, "both"] == pytest.approx(2.0, abs=1e-12)
    for more in ({"both": 2.0}, {"one": 1.0}, {"one": [(0, 2)]}, {"both": [(1, 3)]}):
        implied = var.forecast(3, given=two.assign(**more))
        np.testing.assert_allclose(implied, expected, atol=1e-12)
        paths = var.sample_paths(3, 4, given=two.assign(**more), random_state=0)
        np.testing.assert_allclose(paths["one"], 1.0, rtol=1e-12)
        np.testing.assert_allclose(paths["a"] + paths["b"], paths["both"], atol=1e-12)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"a": 1.0, "b": 1.0, "both": 2.5}, "'both' at 3 .* 2.5, .* values imply 2"),
        ({"a": 1.0, "b": 1.0, "both": [(3, 4)]}, "'both' at 3 .*from 3 to 4.*imply 2"),
        ({"one": 1.5}, "'one' at 3 .*no variance and is 1"),
        ({"one": [(2, None)]}, "'one' at 3 .*from 2 to inf.*no variance"),
        ({"a": [(0, 1)], "b": [(0, 1)], "both": [(0, 1)]}, "determine others"),
        ({"a": [(2, 1)]}, "'a' at 3 .*from 2.0 to 1.0; swap"),
        ({"a": [(2, 1, 3)]}, r"a range is a pair"),
        ({"a": np.inf}, "'a' at 3 is inf"),
        ({"c": 1.0}, r"columns \['c'\].*choose from \['a', 'b', 'both', 'one'\]"),
    ],
)
def test_conditions_that_cannot_hold_are_named(asked, message):
    given = pd.DataFrame(asked, index=[3])
    with pytest.raises(ValueError, match=f"given.*{message}"):
        determined().forecast(3, given=given)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"a": 1.0}, TypeError, "DataFrame.*dict"),
        (pd.DataFrame({"a": ["1.0"]}, [1]), TypeError, "'a' at 2 holds '1.0'"),
        (
            pd.DataFrame({"a": [1.0]}, [0]),
            ValueError,
            r"rows \[0\].*from 2 to 4.*1 to 3",
        ),
        (pd.DataFrame({"a": [1.0]}, [5]), ValueError, r"rows \[5\]"),
        (pd.DataFrame({"a": [1.0]}, ["2"]), ValueError, r"rows \['2'\]"),
        (pd.DataFrame({"a": [1, 2]}, [1, 1]), ValueError, r"duplicate rows \[1\]"),
        (pd.DataFrame([[1, 2]], [1], ["a", "a"]), ValueError, "duplicate columns"),
    ],
)
def test_tables_that_are_no_conditions_say_so(given, error, message):
    with pytest.raises(error, match=message):
        determined().forecast(3, given=given)


def test_other_arguments_are_checked():
    with pytest.raises(ValueError, match="n_draws == 0"):
        VAR.forecast(2, n_draws=0)
    with pytest.raises(ValueError, match="n_paths == 0"):
        VAR.sample_paths(2, 0)
    for coverage in ([], [0.5, 0.5], [0.9, 1.2], 0.0):
        with pytest.raises(ValueError, match="coverage"):
            VAR.forecast_interval(2, coverage)
    with pytest.raises(TypeError, match="n_drawn"):
        VAR.sample_paths(2, n_drawn=3)


def test_picture_has_the_scenario_beside_the_baseline():
    kept = AHEAD["rate"].iloc[2] + np.array([0, 1])
    cells = {(1, "rate"): 21.0, (2, "output"): (None, 9.0), (3, "rate"): tuple(kept)}
    given = table(cells)
    axes = VAR.plot_forecast(STEPS, given=given, random_state=0)
    found = VAR.forecast(STEPS, given=given, random_state=0)
    for panel, name in zip(axes, NAMES, strict=True):
        _, path, baseline = panel.lines[:3]
        np.testing.assert_array_equal(path.get_ydata()[1:], found[name])
        np.testing.assert_array_equal(baseline.get_ydata()[1:], AHEAD[name])
        assert baseline.get_linestyle() == "--"
    [bound], _, [value] = (panel.lines[3:] for panel in axes)
    assert bound.get_xydata()[:, 1] == 9
    assert value.get_xydata()[:, 1] == 21
    assert value.get_xdata() == axes[2].lines[2].get_xdata()[1]
    *bands, bar = axes[2].collections
    assert len(bands) == 3
    assert bar.get_segments()[0][:, 1].tolist() == kept.tolist()
    [legend] = axes[0].figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == [
        *["observed", "forecast", "95% interval", "80% interval", "50% interval"],
        *["forecast without conditions", "given upper bound", "given value"],
        "given range",
    ]
    free = VAR.plot_forecast(STEPS, given=given.iloc[:0], coverage=0.9)
    assert [len(panel.lines) for panel in free] == [3, 3, 3]
    pairs = pd.MultiIndex.from_product([["north", "south"], ["load"]])
    var = VARCoefficients(
        [0.5 * np.eye(2)],
        np.zeros(2),
        np.eye(2),
        history=pd.DataFrame([[1.0, 2.0]], columns=pairs),
    )
    north = pd.DataFrame([[(1, 2)]], [1], pairs[:1])
    [first, second] = var.plot_forecast(2, given=north, random_state=0)
    assert len(first.collections) == len(second.collections) + 1
    plt.close("all")

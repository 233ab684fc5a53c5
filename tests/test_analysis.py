"""VARCoefficients against statsmodels, closed forms and simulations."""

from functools import partial

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sktime.exceptions import NotFittedError
from statsmodels.stats.diagnostic import acorr_ljungbox
from statsmodels.tsa.api import VAR
from statsmodels.tsa.vector_ar.var_model import VARProcess

from skvar import LinearAttentionVAR, SAMoVARForecaster, VARCoefficients
from skvar._var.estimation import least_squares, one_step_errors
from skvar.datasets import make_var
from skvar.identification import Proxy

NAMES = ["Consumption", "Income", "Production", "Savings", "Unemployment"]


@pytest.fixture(scope="module")
def ols(us_change):
    return VAR(us_change).fit(3, trend="c")


@pytest.fixture(scope="module")
def var(ols, us_change):
    return VARCoefficients(ols.coefs, ols.intercept, ols.sigma_u, history=us_change)


def cube(table, value):
    """(n_horizons, n_responses, n_shocks) from a tidy table."""
    wide = table.pivot(index="horizon", columns=["response", "shock"], values=value)
    order = pd.MultiIndex.from_product([NAMES, NAMES])
    return wide[order].to_numpy().reshape(-1, 5, 5)


def test_impulse_responses_are_those_of_statsmodels(var, ols):
    theirs = ols.irf(12)
    for options, expected in [
        ({}, theirs.irfs),
        ({"impact": "cholesky"}, theirs.orth_irfs),
        ({"cumulative": True}, theirs.cum_effects),
        ({"impact": "cholesky", "cumulative": True}, theirs.orth_cum_effects),
    ]:
        responses = cube(var.irf(12, **options), "value")
        np.testing.assert_allclose(responses, expected, atol=1e-8)


def test_variance_decomposition_is_that_of_statsmodels(var, ols):
    shares = var.fevd(12)
    np.testing.assert_allclose(
        cube(shares, "share").swapaxes(0, 1), ols.fevd(12).decomp, atol=1e-8
    )
    sums = shares.groupby(["horizon", "response"])["share"].sum()
    np.testing.assert_allclose(sums, 1, rtol=1e-12)


def test_roots_and_long_run_effects_are_those_of_statsmodels(var, ols):
    np.testing.assert_allclose(np.abs(var.roots), np.abs(ols.roots), rtol=1e-8)
    assert var.is_stable() == ols.is_stable()
    np.testing.assert_allclose(var.long_run_effects(), ols.long_run_effects())
    endless = var.irf(400, cumulative=True)
    np.testing.assert_allclose(
        cube(endless, "value")[-1], var.long_run_effects(), atol=1e-8
    )


def test_forecasts_and_intervals_are_those_of_statsmodels(var, ols, us_change):
    middle, lower, upper = ols.forecast_interval(us_change.to_numpy()[-3:], 8, 0.2)
    np.testing.assert_allclose(var.forecast(8), middle)
    intervals = var.forecast_interval(8, 0.8)
    assert list(intervals.columns[:2]) == [
        ("Consumption", 0.8, "lower"),
        ("Consumption", 0.8, "upper"),
    ]
    np.testing.assert_allclose(intervals.xs("lower", axis=1, level=2), lower)
    np.testing.assert_allclose(intervals.xs("upper", axis=1, level=2), upper)
    assert list(intervals.index) == list(us_change.index[-1] + np.arange(1, 9))


def test_residual_tests_are_those_of_statsmodels(var, ols):
    np.testing.assert_allclose(var.residuals, ols.resid)
    tests = var.test_residuals(8)
    for name, theirs in [
        ("whiteness", ols.test_whiteness(8)),
        ("normality", ols.test_normality()),
    ]:
        expected = theirs.test_statistic, theirs.df, theirs.pvalue
        np.testing.assert_allclose(tests.loc[name], expected)


def test_decomposition_sums_to_the_history(var, us_change):
    for impact in ("cholesky", None):
        parts = var.historical_decomposition(impact=impact)
        total = parts.groupby(["time", "response"])["value"].sum().unstack()[NAMES]
        np.testing.assert_allclose(total, us_change.iloc[3:], atol=1e-12)
        by_shock = parts.pivot(
            index="time", columns=["shock", "response"], values="value"
        )
        # What had come without shocks: the forecast from the first rows.
        one_step = var.intercept + np.einsum(
            "loi,li->o", var.matrices, us_change.to_numpy()[2::-1]
        )
        np.testing.assert_allclose(by_shock["baseline"][NAMES].iloc[0], one_step)
    # A series' own error is all that moves it in the first row without orthogonality.
    first = by_shock.iloc[0]["Income"][NAMES]
    assert (first.drop("Income").abs() < 1e-12).all()
    assert first["Income"] == pytest.approx(var.residuals["Income"].iloc[0])


def test_relative_matrices_and_connectedness_are_free_of_units(us_change):
    units = np.array([1.0, 100.0, 0.01, 7.0, 3.0])
    table = us_change * units
    one, other = (
        LinearAttentionVAR(2, n_layers=0).fit(data).var_coefficients()
        for data in (us_change, table)
    )
    np.testing.assert_allclose(one.relative_matrices(), other.relative_matrices())
    np.testing.assert_allclose(
        one.connectedness(5).pairwise, other.connectedness(5).pairwise
    )


def test_frames_and_text_bear_the_names(var):
    table = var.to_frame().set_index(["lag", "response", "cause"])["value"]
    assert table[2, "Income", "Savings"] == var.matrices[1, 1, 3]
    assert len(table) == 75
    text = var.summary(max_lags=2)
    assert "order 3" in text
    assert "1 more lag" in text
    assert all(name in text for name in NAMES)


def test_text_of_a_series_without_errors():
    """Its correlations are not defined, those of others are."""
    covariance = np.array([[4.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    matrices = [np.diag([0.5, 0.5, 0.0])]
    text = VARCoefficients(matrices, np.zeros(3), covariance).summary()
    *_, first, second, constant = (line.split()[1:] for line in text.splitlines())
    assert [first, second] == [["1", "0.5", "NaN"], ["0.5", "1", "NaN"]]
    assert constant == ["NaN"] * 3


def test_bands_hold_whatever_the_number_of_jobs(var):
    options = {"bands": 0.9, "n_draws": 20, "random_state": 3}
    alone = var.irf(4, **options)
    together = var.irf(4, **options, n_jobs=2)
    pd.testing.assert_frame_equal(alone, together)
    assert (alone["lower"] <= alone["upper"]).all()
    assert alone.attrs["coverage"] == 0.9
    narrow = var.irf(4, **options | {"bands": 0.5})
    inner = (alone["lower"] <= narrow["lower"]) & (narrow["upper"] <= alone["upper"])
    assert inner.all()
    blocks = var.irf(4, **options, block_length=8)
    assert not np.allclose(blocks["upper"], alone["upper"])


class Recorder:
    """A refit that keeps what it is given."""

    def __init__(self, order):
        self.order, self.tables, self.estimates = order, [], []

    def __call__(self, table, seed):
        self.tables.append(table)
        self.estimates.append(least_squares(table, seed, order=self.order))
        return self.estimates[-1]


@pytest.mark.parametrize("block_length", [1, 7])
def test_simulated_series_have_shocks_in_blocks(ols, us_change, block_length):
    recorder = Recorder(3)
    var = VARCoefficients(
        ols.coefs,
        ols.intercept,
        ols.sigma_u,
        history=us_change,
        refit=recorder,
        n_rows=101,
    )
    var.irf(1, bands=0.9, n_draws=5, block_length=block_length, random_state=0)
    errors = ols.resid.to_numpy() * np.sqrt(184 / (184 - 16))
    blocks = np.lib.stride_tricks.sliding_window_view(errors, block_length, axis=0)
    blocks = (blocks - blocks.mean(axis=0)).swapaxes(1, 2)
    starts = np.lib.stride_tricks.sliding_window_view(us_change, 3, axis=0)
    for table in recorder.tables:
        assert table.shape == (101, 5)
        assert (starts.swapaxes(1, 2) == table[:3]).all(axis=(1, 2)).any()
        shocks = one_step_errors(table, ols.coefs, ols.intercept)
        for begin in range(0, 98 - block_length, block_length):
            drawn = shocks[begin : begin + block_length]
            assert np.isclose(blocks, drawn, atol=1e-9).all(axis=(1, 2)).any()


def test_refits_have_the_covariance_of_the_model():
    made = make_var(120, 3, 4, spectral_radius=0.6, random_state=0)
    theirs = VAR(made.series).fit(4)
    recorder = Recorder(4)
    var = VARCoefficients(
        theirs.coefs,
        theirs.intercept,
        theirs.sigma_u,
        history=made.series,
        refit=recorder,
    )
    bands = var.irf(0, impact="cholesky", bands=0.9, n_draws=200, random_state=0)
    ratios = [np.trace(one[2]) / np.trace(theirs.sigma_u) for one in recorder.estimates]
    # Without corrections for 13 coefficients this is 0.79.
    standard_error = np.std(ratios) / np.sqrt(200)
    assert abs(np.mean(ratios) - 1) < 4 * standard_error < 0.05
    roots = [np.linalg.cholesky(one[2]).ravel() for one in recorder.estimates]
    bias = np.mean(roots, axis=0) - np.linalg.cholesky(theirs.sigma_u).ravel()
    upper = np.quantile(roots, 0.95, axis=0) - 2 * bias
    np.testing.assert_allclose(bands["upper"], upper, atol=1e-12)


def test_bands_say_that_the_forecaster_is_biased(us_change):
    bands = {"bands": 0.9, "n_draws": 40, "random_state": 0, "method": "bootstrap"}
    free = LinearAttentionVAR(2, n_layers=0, alpha=0).fit(us_change)
    free.var_coefficients().irf(4, **bands)
    shrunk = LinearAttentionVAR(2, n_layers=0, alpha=3).fit(us_change)
    var = shrunk.var_coefficients()
    for ask in (var.irf, var.plot_irf):
        with pytest.warns(UserWarning, match=r"cover .*alpha=3.*alpha=0") as told:
            ask(4, **bands)
        assert told[0].filename == __file__
    with pytest.raises(TypeError, match=r"Bands know no option \['centre'\]"):
        var.fevd(4, centre=False)


def test_residuals_of_known_matrices_have_all_degrees_of_freedom(ols, us_change):
    var = VARCoefficients(
        ols.coefs, ols.intercept, ols.sigma_u, history=us_change, df_model=0
    )
    tests = var.test_residuals(8)
    assert tests.loc["whiteness", "df"] == 25 * 8
    statistic = ols.test_whiteness(8).test_statistic
    assert tests.loc["whiteness", "statistic"] == pytest.approx(statistic)
    known = LinearAttentionVAR(3, n_layers=0, alpha=0).fit(us_change[:120])
    assert known.var_coefficients().df_model == pytest.approx(16)
    assert known.var_coefficients(us_change[120:]).df_model == 0
    assert known.var_coefficients(us_change[120:]).n_rows == 120


@pytest.mark.parametrize("mean", [0.0, 1e4, 1e8])
def test_least_squares_far_from_zero(mean):
    made = make_var(300, 2, random_state=0)
    table = made.series.to_numpy() * [1, 1e-3] + mean * np.array([1, 1e-3])
    theirs = VAR(made.series).fit(2)
    matrices, _, sigma_u = least_squares(table, 0, order=2)
    units = np.array([[1, 1e3], [1e-3, 1]])
    # Means of 1e8 leave eight digits of the series.
    np.testing.assert_allclose(matrices, theirs.coefs * units, rtol=1e-5)
    np.testing.assert_allclose(
        sigma_u, theirs.sigma_u * np.outer([1, 1e-3], [1, 1e-3]), rtol=1e-5
    )


def test_single_series_can_be_analysed():
    series = make_var(200, 1, random_state=0).series["y0"]
    forecaster = LinearAttentionVAR(1, n_layers=0, alpha=0).fit(series)
    assert forecaster.compare_with_ols(series)["matrix_distance"].max() < 1e-10
    var = forecaster.var_coefficients()
    tests = var.test_residuals()
    box = acorr_ljungbox(var.residuals["y0"], [11], boxpierce=True, model_df=1)
    np.testing.assert_allclose(
        tests.loc["whiteness", ["statistic", "p_value"]],
        box[["bp_stat", "bp_pvalue"]].iloc[0],
    )
    assert len(var.irf(3, bands=0.9, n_draws=5, random_state=0)) == 4


@pytest.fixture(scope="module")
def shrunk(us_change):
    return LinearAttentionVAR(2, n_layers=0).fit(us_change).var_coefficients()


def test_bands_are_percentiles_of_the_posterior(shrunk):
    table = shrunk.irf(6, impact="cholesky", bands=0.8, n_draws=500, random_state=1)
    matrices, intercepts, covariances = shrunk.draws(500, random_state=1)
    found = [
        VARProcess(a, c, s).orth_ma_rep(6)
        for a, c, s in zip(matrices, intercepts, covariances, strict=True)
    ]
    ends = np.quantile(found, [0.1, 0.9], axis=0)
    for side, expected in zip(("lower", "upper"), ends, strict=True):
        np.testing.assert_allclose(table[side], expected.ravel(), atol=1e-10)
    assert table.attrs["coverage"] == 0.8


def test_draws_are_around_the_estimate_in_its_units(us_change):
    units = np.array([1.0, 1000.0, 0.01, 1.0, 10.0])
    forecaster = LinearAttentionVAR(2, n_layers=0)
    var, other = (
        forecaster.fit(table).var_coefficients()
        for table in (us_change, us_change * units)
    )
    draws, others = (x.draws(4000, random_state=0) for x in (var, other))
    error = draws[0].std(axis=0)
    mean = draws[0].mean(axis=0)
    assert (np.abs(mean - var.matrices) < 5 * error / np.sqrt(4000)).all()
    relative = units / units[:, np.newaxis]
    np.testing.assert_allclose(others[0] * relative, draws[0], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(others[1] / units, draws[1], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(
        others[2] / np.outer(units, units), draws[2], rtol=1e-6, atol=1e-8
    )
    # Jeffreys' prior: 187 - 2 - 1 degrees of freedom, the mean of an inverse Wishart.
    ratio = np.diag(draws[2].mean(axis=0)) / np.diag(var.sigma_u)
    np.testing.assert_allclose(ratio, 1, atol=0.1)


def test_shares_and_long_run_effects_have_bands(shrunk, var):
    shares = shrunk.fevd(4, bands=0.9, n_draws=300, random_state=0)
    found = []
    for draw in zip(*shrunk.draws(300, random_state=0), strict=True):
        by_shock = np.square(VARProcess(*draw).orth_ma_rep(3)).cumsum(axis=0)
        found.append(by_shock / by_shock.sum(axis=2, keepdims=True))
    ends = np.quantile(found, [0.05, 0.95], axis=0)
    for side, expected in zip(("lower", "upper"), ends, strict=True):
        np.testing.assert_allclose(shares[side], expected.ravel(), atol=1e-10)
    effects = shrunk.long_run_effects(bands=0.9, n_draws=300, random_state=0)
    expected = shrunk.long_run_effects().to_numpy().ravel()
    np.testing.assert_allclose(effects["value"], expected)
    matrices = shrunk.draws(300, random_state=0)[0]
    found = np.array([np.linalg.inv(np.eye(5) - a.sum(axis=0)) for a in matrices])
    stable = [VARProcess(a, np.zeros(5), np.eye(5)).is_stable() for a in matrices]
    lower = np.quantile(found[stable], 0.05, axis=0).ravel()
    np.testing.assert_allclose(effects["lower"], lower)
    simulated = var.fevd(2, bands=0.9, n_draws=3, random_state=0)
    assert (simulated["lower"] <= simulated["upper"]).all()


def test_long_run_effects_are_those_of_stable_draws():
    sizes = np.array([0.5, 0.6, 1.1, 0.7, 1.0])

    def posterior(n_draws, rng):
        matrices = sizes[:n_draws].reshape(-1, 1, 1, 1)
        return matrices, np.zeros((len(matrices), 1)), np.ones((len(matrices), 1, 1))

    known = [[[0.6]]], [0.0], [[1.0]]
    var = VARCoefficients(*known, alpha=1.0, posterior=posterior)
    bands = var.long_run_effects(bands=0.9, n_draws=5)
    expected = np.quantile(1 / (1 - sizes[[0, 1, 3]]), [0.05, 0.95])
    np.testing.assert_allclose(bands[["lower", "upper"]].to_numpy()[0], expected)
    sizes += 1
    with pytest.raises(ValueError, match="none is stable"):
        var.long_run_effects(bands=0.9, n_draws=5)


def test_intervals_of_a_posterior_are_those_of_simulated_futures(shrunk, us_change):
    interval = shrunk.forecast_interval(3, 0.8, n_draws=4000, random_state=0)
    rng = np.random.default_rng(5)
    paths = []
    for a, c, s in zip(*shrunk.draws(4000, random_state=0), strict=True):
        rows = [*us_change.to_numpy()[-2:]]
        for shock in rng.multivariate_normal(np.zeros(5), s, size=3):
            rows.append(c + a[0] @ rows[-1] + a[1] @ rows[-2] + shock)
        paths.append(rows[2:])
    ends = np.quantile(paths, [0.1, 0.9], axis=0)
    found = interval.to_numpy().reshape(3, 5, 2)
    width = ends[1] - ends[0]
    # Standard errors of a quantile of 4000 paths, in widths of the interval: 0.011.
    np.testing.assert_allclose(found[..., 0] / width, ends[0] / width, atol=0.05)
    np.testing.assert_allclose(found[..., 1] / width, ends[1] / width, atol=0.05)
    known = shrunk.forecast_interval(3, 0.8, method="known").to_numpy()
    known = known.reshape(3, 5, 2)
    assert (np.diff(found) > np.diff(known)).mean() > 0.8


def test_what_has_no_posterior_says_so(var):
    with pytest.raises(ValueError, match="no posterior.*bootstrap.*n_layers=0"):
        var.irf(2, bands=0.9, method="posterior")
    with pytest.raises(ValueError, match="no posterior"):
        var.draws(10)
    with pytest.raises(ValueError, match="n_draws == 0"):
        var.irf(2, bands=0.9, n_draws=0)
    with pytest.raises(ValueError, match="method must be one of"):
        var.irf(2, bands=0.9, method="gibbs")
    with pytest.raises(ValueError, match="method must be one of.*known"):
        var.forecast_interval(2, method="gibbs")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"method": "gibbs"}, ValueError, "method must be one of.*'gibbs'"),
        ({"bands": 90}, ValueError, r"bands=90 is not in the range \(0, 1\)"),
        ({"n_draws": 1}, ValueError, "n_draws == 1"),
        ({"n_draws": "many"}, TypeError, "n_draws must be an instance of"),
        ({"block_length": 0}, ValueError, "block_length == 0"),
        ({"block_length": 2.5}, TypeError, "block_length must be an instance of"),
        ({"n_jobs": 0}, ValueError, "n_jobs=0.*pass None, a number"),
        ({"n_jobs": "all"}, TypeError, "n_jobs must be an instance of"),
        ({"random_state": "seed"}, ValueError, "'seed' cannot be used to seed"),
    ],
)
def test_options_are_checked_also_without_bands(options, error, message, var):
    for ask in (var.irf, var.fevd, var.long_run_effects):
        with pytest.raises(error, match=message):
            ask(**options)
    if "bands" not in options:
        for ask in (var.granger_causality, var.lag_exclusion):
            with pytest.raises(error, match=message):
                ask(**options)
        for ask in (var.forecast_interval, var.sample_paths):
            with pytest.raises(error, match=message):
                ask(2, **options)


def test_blocks_of_a_bootstrap_are_refused_by_other_methods(shrunk, var):
    remedy = "Pass method='bootstrap', or leave block_length out"
    for ask, method in [
        (partial(shrunk.irf, bands=0.9), "posterior"),
        (shrunk.irf, "posterior"),
        (shrunk.lag_exclusion, "posterior"),
        (partial(shrunk.sample_paths, 2), "posterior"),
        (partial(var.forecast_interval, 2), "known"),
        (var.granger_causality, "least squares"),
    ]:
        with pytest.raises(ValueError, match=f"block_length=3.*{method}.*{remedy}"):
            ask(block_length=3)
    assert len(var.irf(1, block_length=3)) == len(shrunk.irf(1, n_jobs=2)) == 50


def test_only_a_proxy_needs_errors(ols, us_change):
    """These rows are just enough to forecast from, and one less than an error needs."""
    short = VARCoefficients(
        ols.coefs, ols.intercept, ols.sigma_u, history=us_change[:3]
    )
    responses = cube(short.irf(4, impact="cholesky"), "value")
    np.testing.assert_allclose(responses, ols.irf(4).orth_irfs, atol=1e-8)
    with pytest.raises(ValueError, match=r"3 row\(s\), too few.*at least 4"):
        short.irf(4, impact=Proxy(us_change["Income"]))


@pytest.mark.parametrize("lags", ["auto", 2])
def test_constants_and_sums_have_a_posterior(lags, us_change):
    table = us_change.assign(one=1.0, both=us_change["Income"] + us_change["Savings"])
    fitted = LinearAttentionVAR(lags, n_layers=0).fit(table)
    bands = fitted.var_coefficients().irf(2, bands=0.9, n_draws=50, random_state=0)
    assert np.isfinite(bands[["lower", "upper"]].to_numpy()).all()


def test_error_variance_does_not_jump_with_the_rows(us_change):
    errors = [
        np.trace(LinearAttentionVAR(4, n_layers=0).fit(us_change[:n]).sigma_u_)
        for n in range(22, 34)
    ]
    assert max(np.divide(errors[1:], errors[:-1])) < 2
    assert min(np.divide(errors[1:], errors[:-1])) > 0.5


def test_bands_are_as_wide_as_the_sampling_error():
    def estimate(seed):
        made = make_var(400, 2, random_state=seed, spectral_radius=0.6)
        return made, VAR(made.series).fit(1)

    made, first = estimate(0)
    rng = np.random.default_rng(0)
    responses = []
    for _ in range(300):
        values = np.zeros((450, 2))
        for t in range(1, 450):
            values[t] = made.matrices[0, 0] @ values[t - 1] + rng.normal(size=2)
        responses.append(VAR(values[50:]).fit(1).irf(2).irfs[1:])
    truth = np.quantile(responses, 0.95, axis=0) - np.quantile(responses, 0.05, axis=0)
    var = VARCoefficients(
        first.coefs, first.intercept, first.sigma_u, history=made.series
    )
    bands = var.irf(2, bands=0.9, n_draws=300, random_state=0)
    widths = (bands["upper"] - bands["lower"]).to_numpy().reshape(3, 2, 2)[1:]
    # Each width is 10 % off, from quantiles of 300 draws, and so is the truth; errors
    # of the eight entries go together.
    assert abs((widths / truth).mean() - 1) < 0.2


@pytest.fixture(scope="module")
def dynamic(us_change):
    return LinearAttentionVAR(
        2, max_epochs=3, early_stopping=False, random_state=0
    ).fit(us_change)


def test_forecaster_hands_over_its_matrices(dynamic, us_change):
    average = dynamic.var_coefficients()
    np.testing.assert_allclose(average.matrices, dynamic.coef_)
    np.testing.assert_allclose(average.intercept, dynamic.intercept_)
    np.testing.assert_allclose(average.sigma_u, dynamic.sigma_u_)
    assert average.names == NAMES
    assert average.label == "average over 185 windows, 1970Q2 to 2016Q2"
    in_sample = dynamic.predict(np.arange(-len(us_change) + 3, 1))
    np.testing.assert_allclose(
        average.residuals, us_change.iloc[2:] - in_sample, atol=1e-5
    )
    at = us_change.index[100]
    single = dynamic.var_coefficients(at=at)
    every = dynamic.var_matrices(us_change)
    np.testing.assert_allclose(single.matrices, every[99], rtol=1e-4, atol=1e-5)
    assert single.label == "window ending 1995Q1"
    assert single.irf(2).attrs["label"] == single.label
    # With the matrices of the last window the next row is the forecaster's.
    last = dynamic.var_coefficients(at=us_change.index[-1])
    np.testing.assert_allclose(last.forecast(1), dynamic.predict([1]), rtol=1e-4)
    short = dynamic.var_coefficients(us_change.iloc[-2:])
    np.testing.assert_allclose(short.matrices, last.matrices, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(short.sigma_u, dynamic.sigma_u_)
    with pytest.raises(ValueError, match="at="):
        dynamic.var_coefficients(at=us_change.index[0])
    for unknown in ("yesterday", [1, 2], slice(3), "2005", [], slice(None, "1970Q1")):
        with pytest.raises(ValueError, match="at="):
            dynamic.var_coefficients(at=unknown)


def test_matrices_of_several_times_are_those_of_each(dynamic, us_change):
    times = us_change.index[[100, 3, 150]]
    path = dynamic.var_coefficients(at=times)
    assert list(path.index) == list(times)
    for time, var in path.items():
        alone = dynamic.var_coefficients(at=time)
        assert var.label == alone.label
        np.testing.assert_allclose(var.matrices, alone.matrices, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(var.forecast(2), alone.forecast(2), rtol=1e-4)
    totals = path.map(lambda var: var.connectedness(4).total)
    assert totals.between(0, 1).all()
    whole = dynamic.var_coefficients(at=slice(None))
    assert list(whole.index) == list(us_change.index[1:])
    some = dynamic.var_coefficients(at=slice("1990Q2", "1990Q4"))
    assert list(map(str, some.index)) == ["1990Q2", "1990Q3", "1990Q4"]


def test_classical_forecaster_is_a_var_of_statsmodels(us_change):
    forecaster = LinearAttentionVAR(3, n_layers=0, alpha=0).fit(us_change)
    theirs = VAR(us_change).fit(3, trend="c")
    np.testing.assert_allclose(forecaster.sigma_u_, theirs.sigma_u, rtol=1e-8)
    ours = forecaster.var_coefficients()
    assert ours.label == "static matrices"
    irf = cube(ours.irf(10, impact="cholesky"), "value")
    np.testing.assert_allclose(irf, theirs.irf(10).orth_irfs, atol=1e-8)
    comparison = forecaster.compare_with_ols(us_change)
    assert comparison["matrix_distance"].max() < 1e-8
    mae = np.abs(theirs.resid / us_change.std(ddof=0)).to_numpy().mean()
    np.testing.assert_allclose(comparison["mae"], mae)
    mse = np.square(theirs.resid / us_change.std(ddof=0)).to_numpy().mean()
    np.testing.assert_allclose(comparison["mse"], mse)
    np.testing.assert_allclose(
        comparison["largest_eigenvalue"], 1 / np.abs(theirs.roots).min()
    )


def test_comparison_sees_the_difference(dynamic, us_change):
    table = dynamic.compare_with_ols(us_change)
    assert list(table.index) == ["LinearAttentionVAR", "OLS VAR(2)"]
    assert table["matrix_distance"].iloc[0] > 0.1
    assert table["matrix_distance"].iloc[1] == 0
    errors = dynamic.var_coefficients().residuals / us_change.std(ddof=0)
    assert table["mse"].iloc[0] == pytest.approx(np.square(errors).to_numpy().mean())
    with pytest.raises(ValueError, match="no row after its first 2"):
        dynamic.compare_with_ols(us_change.iloc[:2])
    wide = LinearAttentionVAR(40, n_layers=0).fit(us_change)
    with pytest.raises(ValueError, match="order 40 has no unique solution"):
        wide.compare_with_ols(us_change)
    with pytest.raises(NotFittedError):
        dynamic.clone().compare_with_ols(us_change)


def test_bootstrap_fits_the_forecaster_anew(us_change):
    forecaster = LinearAttentionVAR(1, max_epochs=1, early_stopping=False).fit(
        us_change
    )
    var = forecaster.var_coefficients()
    values = us_change.to_numpy()
    one, same, other = (var.refit(values, seed)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0
    expected = forecaster.clone().set_params(random_state=0).fit(values).coef_
    np.testing.assert_array_equal(one, expected)


def test_refits_keep_the_horizon(us_change):
    forecaster = SAMoVARForecaster(6, max_epochs=1, early_stopping=False, n_layers=1)
    refit = forecaster.fit(us_change, fh=[1, 2, 3]).var_coefficients().refit
    values = us_change.to_numpy()
    again = forecaster.clone().set_params(random_state=4).fit(values, fh=[1, 2, 3])
    np.testing.assert_array_equal(refit(values, 4)[0], again.coef_)


def test_forecasts_keep_the_step_of_the_forecaster(us_change):
    table = us_change.set_axis(pd.date_range("2000-01-31", periods=187, freq="ME"))
    table.index = pd.DatetimeIndex(list(table.index))
    forecaster = LinearAttentionVAR(1, n_layers=0, horizon=3).fit(table)
    for known in (table, table[:2], table[:1]):
        ahead = forecaster.var_coefficients(known).forecast(3)
        assert list(ahead.index) == list(forecaster.predict(known).index)


def test_average_of_many_windows():
    table = make_var(1500, 2, random_state=0).series
    forecaster = SAMoVARForecaster(4, n_layers=0, static_path="ridge").fit(table)
    var = forecaster.var_coefficients()
    assert var.label == "static matrices"
    np.testing.assert_array_equal(var.matrices, forecaster.coef_)
    np.testing.assert_array_equal(var.sigma_u, forecaster.sigma_u_)
    errors = table[4:] - forecaster.predict(np.arange(-1495, 1))
    np.testing.assert_allclose(var.sigma_u, errors.T @ errors / len(errors), rtol=1e-8)


@pytest.mark.parametrize("seed", range(4))
def test_samovar_is_never_taken_for_stable(seed):
    table = make_var(300, 3, random_state=seed).series
    forecaster = SAMoVARForecaster(4, n_layers=0, static_path="ridge").fit(table)
    var = forecaster.var_coefficients()
    assert not var.is_stable()
    assert not forecaster.compare_with_ols()["stable"].iloc[0]
    with pytest.raises(ValueError, match="not stable"):
        var.long_run_effects()


def test_a_root_at_the_precision_of_networks_is_a_unit_root():
    for largest, stable in [(1 - 1e-8, False), (1 - 1e-5, True)]:
        var = VARCoefficients([largest * np.eye(2)], [0, 0], np.eye(2))
        assert var.is_stable() == stable


def test_pictures_show_the_tables(var):
    with plt.rc_context():
        image = var.plot_matrices().images[0]
        np.testing.assert_array_equal(
            image.get_array(), np.hstack(var.relative_matrices())
        )
        image = var.plot_matrices(relative=False, max_lags=2).images[0]
        np.testing.assert_array_equal(image.get_array(), np.hstack(var.matrices[:2]))
        line = var.plot_irf(4, impact="cholesky")[2, 1].lines[0]
        expected = cube(var.irf(4, impact="cholesky"), "value")[:, 2, 1]
        np.testing.assert_array_equal(line.get_ydata(), expected)
        assert len(var.plot_fevd(4)) == 5
        assert len(var.plot_decomposition()) == 5
        assert len(var.plot_forecast(4)) == 5
        assert var.plot_connectedness().texts
    plt.close("all")


def test_samovar_has_a_unit_root(us_change):
    # Windows are centred: a constant added to a series is added to its forecast.
    forecaster = SAMoVARForecaster(
        6, max_epochs=1, static_path="ridge", random_state=0
    ).fit(us_change)
    effects = forecaster.coef_.sum(axis=0)
    np.testing.assert_allclose(effects, np.eye(5), atol=1e-3 * np.abs(effects).max())


def test_bad_input_is_named(var, us_change):
    matrices, intercept, sigma_u = var.matrices, var.intercept, var.sigma_u
    for wrong, message in [
        ((matrices[0], intercept, sigma_u), "matrices has shape"),
        ((matrices[:, :2], intercept, sigma_u), "matrices has shape"),
        ((matrices, intercept[:2], sigma_u), "intercept has shape"),
        ((matrices, intercept, sigma_u[:2]), "sigma_u has shape"),
        ((matrices, intercept, np.triu(sigma_u)), "not symmetric"),
    ]:
        with pytest.raises(ValueError, match=message):
            VARCoefficients(*wrong)
    for names in (["a"], list("aabcd")):
        with pytest.raises(ValueError, match="names"):
            VARCoefficients(matrices, intercept, sigma_u, names=names)
    with pytest.raises(ValueError, match="in this order"):
        VARCoefficients(
            matrices, intercept, sigma_u, names=NAMES[::-1], history=us_change
        )
    for position in range(3):
        broken = [matrices.copy(), intercept.copy(), sigma_u.copy()]
        broken[position].flat[0] = np.nan
        with pytest.raises(ValueError, match="NaN"):
            VARCoefficients(*broken)
    with pytest.raises(ValueError, match="residuals has 2"):
        VARCoefficients(matrices, intercept, sigma_u, residuals=np.ones((9, 2)))
    with pytest.raises(ValueError, match="baseline"):
        VARCoefficients(
            matrices, intercept, sigma_u, names=[*NAMES[:4], "baseline"]
        ).historical_decomposition()
    exact = VARCoefficients(matrices, intercept, sigma_u, history=us_change[:3])
    assert len(exact.forecast(2)) == 2
    with pytest.raises(ValueError, match="block_length"):
        var.irf(2, bands=0.9, block_length=100)
    bare = VARCoefficients(matrices, intercept, sigma_u)
    assert bare.names == ["y0", "y1", "y2", "y3", "y4"]
    for needs_history in (
        lambda: bare.forecast(1),
        lambda: bare.irf(2, bands=0.9),
        bare.historical_decomposition,
        bare.test_residuals,
    ):
        with pytest.raises(ValueError, match="history"):
            needs_history()
    with pytest.raises(ValueError, match="bands"):
        var.irf(2, bands=90)
    with pytest.raises(ValueError, match="n_lags"):
        var.test_residuals(3)
    explosive = VARCoefficients(20 * matrices, intercept, sigma_u, history=us_change)
    with pytest.raises(ValueError, match="not stable"):
        explosive.long_run_effects()
    with pytest.raises(ValueError, match="unstable"):
        explosive.irf(2, bands=0.9, n_draws=2)
    singular = VARCoefficients(matrices, intercept, np.ones((5, 5)))
    with pytest.raises(ValueError, match="positive definite"):
        singular.irf(2, impact="cholesky")

"""VARCoefficients against statsmodels, closed forms and simulations."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.tsa.api import VAR

from skvar import LinearAttentionVAR, SAMoVARForecaster, VARCoefficients
from skvar.datasets import make_var

NAMES = ["Consumption", "Income", "Production", "Savings", "Unemployment"]


@pytest.fixture(scope="module")
def ols(us_change):
    return VAR(us_change).fit(3, trend="c")


@pytest.fixture(scope="module")
def var(ols, us_change):
    return VARCoefficients(ols.coefs, ols.intercept, ols.sigma_u, history=us_change)


def cube(table, value):
    """(n_horizons, n_responses, n_impulses) from a tidy table."""
    wide = table.pivot(index="horizon", columns=["response", "impulse"], values=value)
    order = pd.MultiIndex.from_product([NAMES, NAMES])
    return wide[order].to_numpy().reshape(-1, 5, 5)


def test_impulse_responses_are_those_of_statsmodels(var, ols):
    theirs = ols.irf(12)
    for options, expected in [
        ({}, theirs.irfs),
        ({"orth": True}, theirs.orth_irfs),
        ({"cumulative": True}, theirs.cum_effects),
        ({"orth": True, "cumulative": True}, theirs.orth_cum_effects),
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
    for orth in (True, False):
        parts = var.historical_decomposition(orth=orth)
        total = parts.groupby(["time", "response"])["value"].sum().unstack()[NAMES]
        np.testing.assert_allclose(total, us_change.iloc[3:], atol=1e-12)
        by_component = parts.pivot(
            index="time", columns=["component", "response"], values="value"
        )
        # What had come without shocks: the forecast from the first rows.
        one_step = var.intercept + np.einsum(
            "loi,li->o", var.matrices, us_change.to_numpy()[2::-1]
        )
        np.testing.assert_allclose(by_component["baseline"][NAMES].iloc[0], one_step)
    # A series' own error is all that moves it in the first row without orthogonality.
    first = by_component.iloc[0]["Income"][NAMES]
    assert (first.drop("Income").abs() < 1e-12).all()
    assert first["Income"] == pytest.approx(var.residuals["Income"].iloc[0])


def test_influence_is_free_of_units(us_change):
    units = np.array([1.0, 100.0, 0.01, 7.0, 3.0])
    table = us_change * units
    one, other = (
        LinearAttentionVAR(2, n_layers=0).fit(data).var_coefficients()
        for data in (us_change, table)
    )
    np.testing.assert_allclose(one.influence(), other.influence())
    coefs = VARCoefficients(
        [np.diag([0.5, 0.0]), np.diag([0.0, 0.2])], [0, 0], np.eye(2)
    )
    np.testing.assert_allclose(coefs.influence(), np.diag([0.5, 0.2]))


def test_frames_and_text_bear_the_names(var):
    table = var.to_frame().set_index(["lag", "response", "cause"])["value"]
    assert table[2, "Income", "Savings"] == var.matrices[1, 1, 3]
    assert len(table) == 75
    text = var.summary(max_lags=2)
    assert "order 3" in text
    assert "1 more lag" in text
    assert all(name in text for name in NAMES)


def test_bands_hold_whatever_the_number_of_jobs(var):
    options = {"bands": 0.9, "n_boot": 20, "random_state": 3}
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
    bands = var.irf(2, bands=0.9, n_boot=300, random_state=0)
    widths = (bands["upper"] - bands["lower"]).to_numpy().reshape(3, 2, 2)[1:]
    # Quantiles of 300 draws are about 10 % off, and so is the error of the estimate.
    np.testing.assert_allclose(widths, truth, rtol=0.4)


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
    with pytest.raises(ValueError, match="at="):
        dynamic.var_coefficients(at="yesterday")


def test_classical_forecaster_is_a_var_of_statsmodels(us_change):
    forecaster = LinearAttentionVAR(3, n_layers=0, alpha=0).fit(us_change)
    theirs = VAR(us_change).fit(3, trend="c")
    np.testing.assert_allclose(forecaster.sigma_u_, theirs.sigma_u_mle, rtol=1e-8)
    impact = np.linalg.cholesky(theirs.sigma_u_mle)
    ours = forecaster.var_coefficients()
    irf = cube(ours.irf(10, orth=True), "value")
    np.testing.assert_allclose(irf, theirs.irf(10, impact).orth_irfs, atol=1e-8)
    comparison = forecaster.compare_with_ols(us_change)
    assert comparison["matrix_distance"].max() < 1e-8
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
    with pytest.raises(ValueError, match="history"):
        wide.compare_with_ols(us_change)


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


def test_samovar_has_a_unit_root(us_change):
    # Windows are centred: a constant added to a series is added to its forecast.
    forecaster = SAMoVARForecaster(6, max_epochs=1, random_state=0).fit(us_change)
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
    with pytest.raises(ValueError, match="names"):
        VARCoefficients(matrices, intercept, sigma_u, names=["a"])
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
        explosive.irf(2, bands=0.9, n_boot=2)
    singular = VARCoefficients(matrices, intercept, np.ones((5, 5)))
    with pytest.raises(ValueError, match="positive definite"):
        singular.irf(2, orth=True)

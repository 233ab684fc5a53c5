"""Tests of VARs, choice of the order and models of statsmodels, against statsmodels."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.diagnostic import (
    breaks_cusumolsresid,
    breaks_hansen,
)
from statsmodels.tsa.api import SVAR, VAR, VECM
from statsmodels.tsa.tsatools import duplication_matrix
from statsmodels.tsa.vector_ar.vecm import coint_johansen, select_coint_rank

import skvar
from skvar import LinearAttentionVAR, VARCoefficients, cointegration, select_lags
from skvar._var.diagnostics import Regression, clark_west, nyblom_p_value
from skvar.datasets import make_drifting_var, make_var

NAMES = ["Consumption", "Income", "Production", "Savings", "Unemployment"]


@pytest.fixture(scope="module")
def ols(us_change):
    return VAR(us_change).fit(3, trend="c")


@pytest.fixture(scope="module")
def var(ols):
    return VARCoefficients.from_statsmodels(ols)


@pytest.fixture(scope="module")
def shrunk(us_change):
    return LinearAttentionVAR(2, n_layers=0).fit(us_change).var_coefficients()


# Granger causality and lags


def test_granger_causality_is_that_of_statsmodels(var, ols):
    table = var.granger_causality()
    assert table.attrs == {"label": "VAR of statsmodels", "method": "least squares"}
    assert len(table) == 20
    for row in table.itertuples():
        theirs = ols.test_causality(row.response, row.cause, kind="f")
        found = row.statistic, row.p_value, (row.df, row.df_error)
        assert found[2] == theirs.df
        np.testing.assert_allclose(
            found[:2], (theirs.test_statistic, theirs.pvalue), rtol=1e-8
        )


@pytest.mark.parametrize(
    ("caused", "causing"),
    [("Income", ["Savings", "Production"]), (NAMES[:2], NAMES[2:])],
)
def test_granger_causality_of_groups(var, ols, caused, causing):
    [row] = var.granger_causality(caused=caused, causing=causing).itertuples()
    theirs = ols.test_causality(caused, causing, kind="f")
    assert row.statistic == pytest.approx(theirs.test_statistic, rel=1e-8)
    assert row.p_value == pytest.approx(theirs.pvalue, rel=1e-8)
    assert row.cause == ", ".join(causing)
    alone = var.granger_causality(caused=caused)
    of_caused = {caused} if isinstance(caused, str) else set(caused)
    assert list(alone["cause"]) == [n for n in NAMES if n not in of_caused]


def test_instantaneous_causality_is_that_of_statsmodels(var, ols):
    table = var.instantaneous_causality()
    for row in table.itertuples():
        theirs = ols.test_inst_causality(row.cause)
        assert row.df == theirs.df
        assert row.statistic == pytest.approx(theirs.test_statistic, rel=1e-8)
        assert row.p_value == pytest.approx(theirs.pvalue, rel=1e-8)


def test_instantaneous_causality_of_groups_is_the_formula(var, ols):
    """Lütkepohl (2005, 3.6.11); statsmodels fails on groups of two."""
    sigma_u = np.asarray(ols.sigma_u)
    pairs = [(i, j) for i in (1, 2) for j in (0, 3, 4)]
    rows, columns = np.tril_indices(5)
    by_column = np.lexsort((rows, columns))
    entries = list(zip(rows[by_column], columns[by_column], strict=True))
    chosen = np.zeros((6, 15))
    for k, (i, j) in enumerate(pairs):
        chosen[k, entries.index((max(i, j), min(i, j)))] = 1
    half = chosen @ np.linalg.pinv(duplication_matrix(5))
    spread = 2 * half @ np.kron(sigma_u, sigma_u) @ half.T
    values = np.array([sigma_u[pair] for pair in pairs])
    [row] = var.instantaneous_causality(causing=NAMES[1:3]).itertuples()
    expected = ols.nobs * values @ np.linalg.solve(spread, values)
    assert row.statistic == pytest.approx(expected, rel=1e-8)
    assert (row.cause, row.df) == ("Income, Production", 6)


def test_lag_exclusion_is_the_wald_formula(var, ols):
    table = var.lag_exclusion().set_index(["lag", "response"])
    params, cov = ols.params.to_numpy().ravel(), ols.cov_params()
    # Rows of params: the constant, then lag 1 of each series; columns respond.
    place = np.arange(16 * 5).reshape(16, 5)
    for lag in (1, 2, 3):
        block = place[1 + 5 * (lag - 1) : 1 + 5 * lag]
        used = {name: block[:, [i]].ravel() for i, name in enumerate(NAMES)}
        for name, some in {**used, "all": block.ravel()}.items():
            wald = params[some] @ np.linalg.solve(
                np.asarray(cov)[np.ix_(some, some)], params[some]
            )
            row = table.loc[lag, name]
            assert row["statistic"] == pytest.approx(wald / len(some), rel=1e-8)
            assert (row["df"], row["df_error"]) == (len(some), 5 * ols.df_resid)
            tail = scipy.stats.f.sf(wald / len(some), len(some), 5 * ols.df_resid)
            assert row["p_value"] == pytest.approx(tail, rel=1e-8)


def test_least_squares_are_found_whoever_estimated_them(us_change, ols):
    """In units of any size; the closed form without penalty is one of them."""
    units = np.array([1.0, 1e4, 1e-3, 1.0, 10.0])
    fitted = LinearAttentionVAR(3, n_layers=0, alpha=0).fit(us_change * units + 7)
    table = fitted.var_coefficients().granger_causality()
    assert table.attrs["method"] == "least squares"
    theirs = ols.test_causality("Consumption", "Income", kind="f")
    assert table["statistic"][0] == pytest.approx(theirs.test_statistic, rel=1e-6)


def test_posterior_is_the_block_of_its_draws(shrunk):
    table = shrunk.granger_causality(
        caused="Income", causing=NAMES[2:], n_draws=3000, random_state=1
    )
    assert table.attrs["method"] == "posterior"
    drawn = shrunk.draws(3000, random_state=1)[0][:, :, 1, 2:].reshape(3000, -1)
    mean, cov = drawn.mean(axis=0), np.cov(drawn.T)
    statistic = mean @ np.linalg.solve(cov, mean) * (3000 - 6) / (6 * 2999)
    [row] = table.itertuples()
    assert row.statistic == pytest.approx(statistic, rel=1e-8)
    assert (row.df, row.df_error) == (6, 2994)
    assert row.p_value == pytest.approx(scipy.stats.f.sf(statistic, 6, 2994))


def test_a_flat_posterior_agrees_with_least_squares(us_change):
    fitted = LinearAttentionVAR(2, n_layers=0, alpha=0).fit(us_change)
    var = fitted.var_coefficients()
    exact = var.granger_causality()["statistic"]
    drawn = var.granger_causality(method="posterior", n_draws=20_000, random_state=0)
    np.testing.assert_allclose(drawn["statistic"], exact, rtol=0.1, atol=0.1)


def test_what_a_form_leaves_out_is_not_tested(us_change):
    fitted = LinearAttentionVAR(n_layers=0).fit(
        us_change[["Savings", "Income"]].cumsum()
    )
    var = fitted.var_coefficients()
    assert not var.matrices[:, 0, 1].any()
    table = var.granger_causality(random_state=0)
    assert table["df"].tolist() == [0, 0]
    assert table["p_value"].isna().all()


def test_coefficients_that_others_determine_count_once():
    """A level and two changes of another series are all lags of it in this form."""
    table = make_var(300, 3, 2, random_state=0).series.cumsum()
    var = LinearAttentionVAR(n_layers=0).fit(table).var_coefficients()
    assert var.order > 3
    tests = var.granger_causality(random_state=0)
    assert (tests["df"] == 3).all()
    assert tests["p_value"].notna().all()
    strongest = tests.loc[tests["statistic"].idxmax()]
    # The truth is 1.09 in the first lag.
    assert (strongest["response"], strongest["cause"]) == ("y0", "y2")


def test_bootstrap_tests_what_has_no_posterior():
    """A VECM knows no F test; the truth has no path from the first series."""
    rng = np.random.default_rng(0)
    walk = rng.normal(size=(300, 1)).cumsum(axis=0)
    table = np.hstack([walk + rng.normal(size=(300, 1)), walk])
    results = VECM(table, k_ar_diff=1, coint_rank=1, deterministic="co").fit()
    var = VARCoefficients.from_statsmodels(results)
    options = {"n_draws": 100, "random_state": 0}
    tests = var.granger_causality(**options).set_index(["response", "cause"])
    assert tests.attrs["method"] == "bootstrap"
    assert tests.loc[("y1", "y2"), "p_value"] < 0.001
    assert tests.loc[("y2", "y1"), "p_value"] > 0.05


def test_tests_of_other_matrices_are_refused(var, us_change):
    other = VARCoefficients(
        0.9 * var.matrices, var.intercept, var.sigma_u, history=us_change
    )
    for test in (other.granger_causality, other.lag_exclusion, other.test_constancy):
        with pytest.raises(ValueError, match="not those of least squares"):
            test()
    with pytest.raises(ValueError, match="no posterior"):
        var.granger_causality(method="posterior")
    with pytest.raises(ValueError, match="method must be one of"):
        var.granger_causality(method="guess")
    bare = VARCoefficients(var.matrices, var.intercept, var.sigma_u)
    with pytest.raises(ValueError, match="no history"):
        bare.granger_causality()
    for wrong in ({"caused": "GDP"}, {"causing": []}, {"causing": ["Income"] * 2}):
        with pytest.raises(ValueError, match="does not name different series"):
            var.granger_causality(**wrong)
    with pytest.raises(ValueError, match="no pair"):
        var.granger_causality(caused="Income", causing=["Income", "Savings"])
    with pytest.raises(TypeError, match="Tests know no option"):
        var.granger_causality(draws=3)
    with pytest.raises(ValueError, match="all series"):
        var.instantaneous_causality(causing=NAMES)
    with pytest.raises(ValueError, match='called "all"'):
        VARCoefficients([np.eye(1)], [0], [[1]], names=["all"]).lag_exclusion()


def test_too_few_draws_are_named(shrunk):
    with pytest.raises(ValueError, match="n_draws of more than 50"):
        shrunk.lag_exclusion(n_draws=50)


# errors


def test_whiteness_can_be_adjusted(var, ols):
    row = var.test_residuals(8, adjusted=True).loc["whiteness"]
    theirs = ols.test_whiteness(8, adjusted=True)
    assert row["statistic"] == pytest.approx(theirs.test_statistic, rel=1e-10)


def test_arch_test_is_the_auxiliary_regression(var, ols):
    errors = ols.resid.to_numpy() - ols.resid.to_numpy().mean(axis=0)
    one, other = np.tril_indices(5)
    products = errors[:, one] * errors[:, other]
    for n_lags in (1, 2):
        past = np.hstack([products[n_lags - k : -k] for k in range(1, n_lags + 1)])
        design = np.column_stack([np.ones(len(past)), past])
        left = np.column_stack(
            [OLS(target, design).fit().resid for target in products[n_lags:].T]
        )
        whole = products[n_lags:] - products[n_lags:].mean(axis=0)
        share = np.trace(left.T @ left @ np.linalg.inv(whole.T @ whole))
        row = var.test_residuals(arch_lags=n_lags).loc["arch"]
        # Lütkepohl (2005), (16.5.3): half of T K (K + 1) R^2.
        square = 1 - 2 / (5 * 6) * share
        expected = len(past) * 5 * 6 / 2 * square
        assert row["statistic"] == pytest.approx(expected, rel=1e-8)
        assert row["df"] == n_lags * 15**2
        tail = scipy.stats.chi2.sf(expected, row["df"])
        assert row["p_value"] == pytest.approx(tail, rel=1e-8)


def test_tests_of_residuals_do_not_depend_on_units(var, us_change):
    units = 10.0 ** np.array([9, -9, 0, 3, -3])
    others = VARCoefficients(
        var.matrices,
        var.intercept,
        var.sigma_u,
        history=us_change,
        residuals=var.residuals * units,
    )
    pd.testing.assert_frame_equal(others.test_residuals(), var.test_residuals())


def test_arch_test_of_one_series_is_that_of_engle():
    series = make_var(200, 1, random_state=0).series
    var = LinearAttentionVAR(1, n_layers=0, alpha=0).fit(series).var_coefficients()
    errors = var.residuals["y0"].to_numpy()
    squares = np.square(errors - errors.mean())
    past = np.column_stack([squares[3 - lag : -lag] for lag in (1, 2, 3)])
    square = (
        OLS(squares[3:], np.column_stack([np.ones(len(past)), past])).fit().rsquared
    )
    row = var.test_residuals(arch_lags=3).loc["arch"]
    assert row["statistic"] == pytest.approx(len(past) * square, rel=1e-8)
    assert var.test_residuals().loc["arch", "df"] == 5


def test_arch_test_needs_rows(var):
    few = VARCoefficients(
        var.matrices, var.intercept, var.sigma_u, residuals=var.residuals[:30]
    )
    row = few.test_residuals().loc["arch"]
    assert row["df"] == 0
    assert np.isnan(row["p_value"])
    with pytest.raises(ValueError, match="arch_lags=1"):
        few.test_residuals(arch_lags=1)


# constancy


def test_constancy_is_that_of_statsmodels(var, us_change):
    table = var.test_constancy().set_index(["response", "test"])
    rows = us_change.to_numpy()
    past = np.hstack([rows[3 - k : -k] for k in (1, 2, 3)])
    design = np.column_stack([np.ones(len(past)), past])
    for i, name in enumerate(NAMES):
        fitted = OLS(rows[3:, i], design).fit()
        statistic, p_value, _ = breaks_cusumolsresid(fitted.resid, ddof=16)
        row = table.loc[name, "cusum"]
        np.testing.assert_allclose(row["statistic"], statistic, rtol=1e-8)
        np.testing.assert_allclose(row["p_value"], p_value, rtol=1e-8)
        # Hansen's statistic without the variance of the errors.
        scores = design * fitted.resid[:, np.newaxis]
        sums = scores.cumsum(axis=0)
        weight = np.linalg.inv(len(scores) * scores.T @ scores)
        row = table.loc[name, "nyblom"]
        expected = sum(one @ weight @ one for one in sums)
        assert row["statistic"] == pytest.approx(expected, rel=1e-8)
        assert row["df"] == 16
        assert row["p_value"] == pytest.approx(nyblom_p_value(expected, 16))


def test_p_values_of_nyblom_are_those_of_its_tables():
    # Cramér and von Mises, then Hansen (1992) as statsmodels has him.
    for statistic, tail in [(0.46136, 0.05), (0.74346, 0.01), (1.16786, 0.001)]:
        assert nyblom_p_value(statistic, 1) == pytest.approx(tail, rel=1e-4)
    rng = np.random.default_rng(0)
    fitted = OLS(rng.normal(size=30), rng.normal(size=(30, 2))).fit()
    for n_inputs, critical in breaks_hansen(fitted)[1]:
        assert nyblom_p_value(critical, int(n_inputs) + 1) == pytest.approx(
            0.05, abs=0.003
        )
    assert nyblom_p_value(1e-4, 3) == pytest.approx(1, abs=1e-4)
    assert 0 <= nyblom_p_value(50.0, 3) < 1e-5


def test_constancy_has_its_size_and_sees_a_drift():
    static = [make_var(200, 2, random_state=seed).series for seed in range(40)]
    shares = (
        pd.concat(
            [
                VARCoefficients.from_statsmodels(VAR(table).fit(1)).test_constancy()
                for table in static
            ]
        )
        .groupby("test")["p_value"]
        .apply(lambda p: (p < 0.1).mean())
    )
    # 80 equations: a standard error of 0.034; the tests are a little cautious.
    assert shares.between(0.01, 0.2).all()
    drifting = make_drifting_var(1000, 2, random_state=0).series
    table = VARCoefficients.from_statsmodels(VAR(drifting).fit(1)).test_constancy()
    of_matrices = table[table["test"] == "nyblom"]["p_value"]
    assert of_matrices.max() < 1e-4


# models of statsmodels


def dates(table):
    return table.set_axis(pd.period_range("2000-01", periods=len(table), freq="M"))


@pytest.mark.parametrize("trend", ["c", "n"])
def test_a_var_comes_over(trend):
    table = dates(make_var(150, 3, 2, intercept=1.0, random_state=0).series)
    theirs = VAR(table).fit(2, trend=trend)
    var = VARCoefficients.from_statsmodels(theirs)
    np.testing.assert_allclose(var.forecast(5), theirs.forecast(table.to_numpy(), 5))
    assert var.forecast(1).index[0] == pd.Period("2012-07", "M")
    np.testing.assert_allclose(var.residuals, theirs.resid, atol=1e-10)
    np.testing.assert_allclose(
        var.roots[np.lexsort((var.roots.imag, np.abs(var.roots)))],
        theirs.roots[np.lexsort((theirs.roots.imag, np.abs(theirs.roots)))],
    )
    np.testing.assert_allclose(
        var.irf(6, cumulative=True)["value"],
        theirs.irf(6).cum_effects.ravel(),
        atol=1e-8,
    )
    shares = var.fevd(4)["share"].to_numpy().reshape(4, 3, 3)
    np.testing.assert_allclose(shares.swapaxes(0, 1), theirs.fevd(4).decomp, atol=1e-8)
    assert var.df_model == theirs.df_model
    again = var.refit(table.to_numpy(), 0)
    for mine, other in zip(
        again, (theirs.coefs, theirs.intercept, theirs.sigma_u), strict=True
    ):
        np.testing.assert_allclose(mine, other, atol=1e-8)


@pytest.mark.parametrize("deterministic", ["n", "co", "ci"])
@pytest.mark.parametrize("k_ar_diff", [0, 2])
def test_a_vecm_comes_over_in_levels(deterministic, k_ar_diff):
    table = dates(make_var(150, 3, 2, intercept=0.5, random_state=0).series.cumsum())
    model = VECM(table, k_ar_diff=k_ar_diff, coint_rank=1, deterministic=deterministic)
    theirs = model.fit()
    var = VARCoefficients.from_statsmodels(theirs)
    assert var.order == k_ar_diff + 1
    np.testing.assert_allclose(var.forecast(5), theirs.predict(5), rtol=1e-8)
    np.testing.assert_allclose(
        var.irf(5)["value"], theirs.irf(5).irfs.ravel(), atol=1e-8
    )
    own = VARCoefficients(
        var.matrices, var.intercept, var.sigma_u, history=table
    ).residuals
    np.testing.assert_allclose(var.residuals, own, atol=1e-8)
    again = var.refit(table.to_numpy(), 0)
    np.testing.assert_allclose(again[0], var.matrices, atol=1e-8)


def test_models_of_statsmodels_come_back_from_files(tmp_path, us_change):
    table = us_change.iloc[:, :2]
    for results in (
        VAR(table).fit(2, trend="n"),
        VECM(table, deterministic="ci").fit(),
    ):
        var = VARCoefficients.from_statsmodels(results)
        skvar.save(var, tmp_path / "var.skvar")
        found = skvar.load(tmp_path / "var.skvar")
        assert found.refit == var.refit
        pd.testing.assert_frame_equal(found.forecast(2), var.forecast(2))


def test_an_svar_comes_over_in_its_reduced_form(us_change):
    table = us_change.iloc[:, :2]
    model = SVAR(table, svar_type="A", A=np.array([[1, 0], ["E", 1]]))
    theirs = model.fit(maxlags=2)
    var = VARCoefficients.from_statsmodels(theirs)
    assert var.label == "SVAR of statsmodels"
    np.testing.assert_allclose(
        var.forecast(3), VAR(table).fit(2).forecast(table.to_numpy(), 3)
    )
    np.testing.assert_allclose(var.irf(4)["value"], theirs.irf(4).irfs.ravel())


def test_what_cannot_be_carried_is_refused(us_change):
    table = us_change.iloc[:, :2]
    rng = np.random.default_rng(0)
    extra = rng.normal(size=(len(table), 1))
    for results, words in [
        (VAR(table).fit(1, trend="ct"), "trends.*trend='c'"),
        (VAR(table, exog=extra).fit(1), "exogenous"),
        (VAR(table).fit(0), "without lags"),
        (VECM(table, deterministic="lo").fit(), "trends"),
        (VECM(table, seasons=4).fit(), "seasonal"),
        (VECM(table, exog=extra).fit(), "exogenous"),
    ]:
        with pytest.raises(ValueError, match=words):
            VARCoefficients.from_statsmodels(results)
    with pytest.raises(TypeError, match="not OLSResults"):
        VARCoefficients.from_statsmodels(OLS(extra, extra).fit())


# lags


def test_criteria_are_those_of_statsmodels(us_change):
    units = [1.0, 1e3, 1e-3, 1.0, 1.0]
    table = us_change * units + 100
    choice = select_lags(table, 6)
    theirs = VAR(table).select_order(6)
    for name in ("aic", "bic", "hqic"):
        np.testing.assert_allclose(choice[name], theirs.ics[name], atol=1e-8)
        assert choice.attrs["best"][name] == theirs.selected_orders[name]
    assert choice["lags"].tolist() == list(range(7))
    assert len(select_lags(us_change)) - 1 == round(12 * 1.87**0.25)


def test_criteria_with_seasons_are_those_of_dummies():
    table = make_var(120, 2, random_state=0).series
    table += np.tile([3.0, 0.0, -2.0, 1.0], 30)[:, np.newaxis]
    dummies = np.eye(4)[np.arange(120) % 4][:, 1:]
    choice = select_lags(table, 5, sp=4)
    theirs = VAR(table, exog=dummies).select_order(5)
    for name in ("aic", "bic", "hqic"):
        np.testing.assert_allclose(choice[name], theirs.ics[name], atol=1e-8)
    rows = ((table - table.mean()) / table.std(ddof=0)).to_numpy()
    errors = []
    for start, stop in pairwise(np.linspace(120 - 38, 120, 5).round().astype(int)):
        means = np.stack([rows[k:start:4].mean(axis=0) for k in range(4)])
        left = rows - np.tile(means, (30, 1))
        errors.append(left[start:stop] - left[5:start].mean(axis=0))
    expected = np.square(np.concatenate(errors)).mean()
    assert choice["error"][0] == pytest.approx(expected, rel=1e-10)
    # Without them, lags have to carry the season.
    assert choice.attrs["best"]["bic"] == 1
    assert select_lags(table, 5).attrs["best"]["bic"] > 1
    assert choice["error"][1] < select_lags(table, 5)["error"][1]


def test_log_evidence_is_the_marginal_likelihood():
    """Of normal coefficients and errors, written out for one series."""
    series = make_var(60, 1, random_state=0).series["y0"].to_numpy()
    choice = select_lags(series, 3)
    rows = (series - series.mean()) / series.std()

    def centred(columns):
        return columns - columns.mean(axis=0)

    targets = centred(rows[3:])
    expected = [-56 / 2 * np.log(targets @ targets)]
    for order in (1, 2, 3):
        past = [rows[3 - lag : 60 - lag] for lag in range(1, order + 1)]
        past = centred(np.column_stack(past))
        of_alphas = []
        for alpha in np.logspace(-6, 3, 91):
            prior = np.diag(1 / (57 * alpha * np.arange(1, order + 1) ** 2))
            spread = np.eye(57) + past @ prior @ past.T
            size = targets @ np.linalg.solve(spread, targets)
            log_det = np.linalg.slogdet(spread)[1]
            of_alphas.append(-log_det / 2 - 56 / 2 * np.log(size))
        expected.append(max(of_alphas))
    found = choice["log_evidence"].to_numpy()
    np.testing.assert_allclose(found - found[0], np.subtract(expected, expected[0]))


def test_error_is_that_of_the_ridge_forecaster(us_change):
    """Fitted before each of four blocks, to rows of the same units."""
    table = (us_change - us_change.mean()) / us_change.std(ddof=0)
    choice = select_lags(us_change, 2)
    begin = 187 - round(185 / 3)
    edges = np.linspace(begin, 187, 5).round().astype(int)
    errors = []
    for start, stop in pairwise(edges):
        fitted = LinearAttentionVAR(2, n_layers=0).fit(table[:start])
        rows = table[start - 2 : stop].to_numpy()
        ahead = fitted.intercept_ + sum(
            rows[2 - lag : -lag] @ fitted.coef_[lag - 1].T for lag in (1, 2)
        )
        errors.append(rows[2:] - ahead)
    expected = np.square(np.concatenate(errors)).mean()
    # The forecaster standardises each time anew.
    assert choice["error"][2] == pytest.approx(expected, rel=0.01)
    means = [table[:start].iloc[2:].mean() for start in edges[:-1]]
    none = [
        table[start:stop] - mean
        for start, stop, mean in zip(edges[:-1], edges[1:], means, strict=True)
    ]
    assert choice["error"][0] == pytest.approx(np.square(np.concatenate(none)).mean())


def test_choices_find_the_order():
    made = make_var(3000, 2, 3, random_state=1)
    choice = select_lags(made.series, 6)
    best = choice.attrs["best"]
    assert best["bic"] == best["hqic"] == 3
    assert best["log_evidence"] >= 3
    assert best["aic"] >= 3
    # The truth has a third of the rows to be forecast.
    truth = (made.series - made.mean)[-999:] / made.series.std(ddof=0)
    assert choice["error"][3] == pytest.approx((truth**2).mean(axis=None), rel=0.01)


def test_lags_that_rows_do_not_allow(us_change):
    with pytest.raises(ValueError, match="take at most 30"):
        select_lags(us_change, 31)
    select_lags(us_change.iloc[:, :1], 5)
    assert select_lags(us_change, 30).notna().all(axis=None)
    for table, options, words in [
        (us_change[:6], {}, "too few for one lag"),
        (us_change, {"sp": 100}, "less than two"),
        (us_change.assign(one=1.0), {}, "constant or collinear"),
        (us_change.assign(sum=us_change.sum(axis=1)), {}, "constant or collinear"),
        (us_change.mask(us_change > 3), {}, "NaN"),
    ]:
        with pytest.raises(ValueError, match=words):
            select_lags(table, **options)


# cointegration


@pytest.mark.parametrize(("trend", "order"), [("n", -1), ("c", 0), ("ct", 1)])
def test_cointegration_is_that_of_statsmodels(trend, order):
    rng = np.random.default_rng(1)
    walks = rng.normal(size=(150, 2)).cumsum(axis=0)
    table = np.column_stack([walks, walks.sum(axis=1) + rng.normal(size=150)])
    found = cointegration(table, 3, trend=trend)
    theirs = coint_johansen(table, order, 2)
    for test, statistics, critical, method in [
        ("trace", theirs.lr1, theirs.cvt, "trace"),
        ("max_eigenvalue", theirs.lr2, theirs.cvm, "maxeig"),
    ]:
        rows = found[found["test"] == test].set_index("rank")
        np.testing.assert_allclose(rows["statistic"], statistics, rtol=1e-8)
        columns = ["critical_90", "critical_95", "critical_99"]
        np.testing.assert_allclose(rows[columns], critical)
        rank = select_coint_rank(table, order, 2, method=method).rank
        assert found.attrs["rank"][test] == rank
    var = VARCoefficients.from_statsmodels(VAR(table).fit(3))
    same = var.cointegration(trend=trend)
    pd.testing.assert_frame_equal(same, found)
    assert same.attrs["rank"] == found.attrs["rank"]


def test_rank_is_that_of_statsmodels_where_levels_of_a_test_differ():
    rng = np.random.default_rng(0)
    between = 0
    for _ in range(10):
        shocks = rng.normal(size=(120, 2))
        table = np.column_stack([shocks[:, 0].cumsum(), np.zeros(120)])
        for t in range(1, 120):
            table[t, 1] = 0.85 * table[t - 1, 1] + shocks[t, 1]
        found = cointegration(table, 2)
        for method, test in [("trace", "trace"), ("maxeig", "max_eigenvalue")]:
            ranks = [
                select_coint_rank(table, 0, 1, method=method, signif=signif).rank
                for signif in (0.01, 0.05, 0.1)
            ]
            assert found.attrs["rank"][test] == ranks[1]
            between += ranks[0] != ranks[1]
    assert between


def test_cointegration_needs_its_table(us_change):
    for table, options, words in [
        (us_change, {"lags": 1, "trend": "ctt"}, "trend must be"),
        (us_change.iloc[:, :1], {"lags": 1}, "2 to 12"),
        (us_change[:20], {"lags": 4}, "lower lags"),
    ]:
        with pytest.raises(ValueError, match=words):
            cointegration(table, **options)


# what changes


def test_clark_and_west_have_their_size():
    """Against forecasts by regressors that are useless, estimated on other rows."""
    rng = np.random.default_rng(0)
    rejected = []
    for _ in range(300):
        inputs, target = rng.normal(size=(500, 3)), rng.normal(size=500)
        coef = np.linalg.lstsq(inputs[:400], target[:400], rcond=None)[0]
        static = target[400:, np.newaxis]
        dynamic = static - inputs[400:, :] @ coef[:, np.newaxis]
        rejected.append(clark_west(static, dynamic)[1] < 0.1)
    # A standard error of 0.017, and a test that Clark and West find to be cautious.
    assert 0.03 < np.mean(rejected) < 0.15
    useful = static - 0.3 * inputs[400:, :1]
    signal = static + inputs[400:, :1] * 0.5
    assert clark_west(signal, signal - inputs[400:, :1] * 0.5)[1] < 1e-4
    assert clark_west(static, static) == (0.0, 1.0)
    gain = (2 * static * (static - useful))[:, 0]
    centred = gain - gain.mean()
    variance = centred @ centred / 100
    for lag in range(1, 5):
        variance += 2 * (1 - lag / 5) * centred[lag:] @ centred[:-lag] / 100
    expected = gain.mean() / np.sqrt(variance / 99)
    assert clark_west(static, useful)[0] == pytest.approx(expected, rel=1e-8)


@pytest.fixture(scope="module")
def drifting():
    return make_drifting_var(1300, 2, period=600, random_state=2).series


@pytest.fixture(scope="module")
def tracking(drifting):
    forecaster = LinearAttentionVAR(1, tracking_rows=64, max_epochs=6, random_state=0)
    return forecaster.fit(drifting[:1000])


def test_a_drift_is_no_static_var(tracking, drifting):
    for table in (tracking.test_dynamics(), tracking.test_dynamics(drifting[1000:])):
        assert list(table["response"]) == ["y0", "y1", "all"]
        row = table.set_index("response").loc["all"]
        assert row["p_value"] < 0.01
        assert row["mse_dynamic"] < row["mse_static"]
        assert row["mse_static"] == pytest.approx(table["mse_static"][:2].mean())


def test_errors_of_the_test_are_those_of_both_models(tracking, drifting):
    later = drifting[1000:]
    table = tracking.test_dynamics(later)
    assert table.attrs["n_rows"] == 300 - 65
    static = LinearAttentionVAR(1, n_layers=0).fit(drifting[:1000])
    rows = later.to_numpy()
    ahead = static.intercept_ + rows[64:-1] @ static.coef_[0].T
    # What early stopping holds out has no part in the units.
    scale = drifting[:850].std(ddof=0).to_numpy()
    errors = (rows[65:] - ahead) / scale
    matrices, intercepts = tracking.var_matrices(later, return_intercept=True)
    changing = np.einsum("toi,ti->to", matrices[:-1, 0], rows[64:-1])
    of_dynamic = (rows[65:] - changing - intercepts[:-1]) / scale
    found = table.set_index("response")[["mse_static", "mse_dynamic"]]
    np.testing.assert_allclose(found.iloc[:2, 0], np.square(errors).mean(axis=0))
    np.testing.assert_allclose(
        found.iloc[:2, 1], np.square(of_dynamic).mean(axis=0), rtol=1e-4
    )
    statistic, _ = clark_west(errors, of_dynamic)
    assert table["statistic"][2] == pytest.approx(statistic, rel=1e-3)


def test_a_static_var_is_not_rejected():
    table = make_var(400, 2, random_state=0).series
    fitted = LinearAttentionVAR(1, max_epochs=2, random_state=0).fit(table)
    found = fitted.test_dynamics()
    assert found["p_value"].tolist() == [1.0, 1.0, 1.0]
    assert (found["mse_static"] == found["mse_dynamic"]).all()
    assert fitted.test_dynamics(table[:100])["p_value"].tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(ValueError, match="n_layers=0"):
        LinearAttentionVAR(1, n_layers=0).fit(table).test_dynamics()
    with pytest.raises(ValueError, match="rows that were not learned from"):
        fitted.test_dynamics(table[:20])
    named = table.rename(columns={"y0": "all"})
    with pytest.raises(ValueError, match='called "all"'):
        LinearAttentionVAR(1, max_epochs=1).fit(named).test_dynamics()


# summary


def test_summary_has_the_numbers_of_statsmodels(var, ols):
    text = var.summary(max_lags=1)
    for words in (
        "Rows: 187",
        "least squares with intercept",
        f"Log-likelihood: {ols.llf:.6g}",
        f"AIC {ols.aic:.6g}, BIC {ols.bic:.6g}, HQIC {ols.hqic:.6g}",
        "standard errors in parentheses",
        f"{ols.coefs[0, 1, 2]:.4g} ({ols.stderr.iloc[3, 1]:.2g})",
        "2 more lags",
    ):
        assert words in text


def test_likelihood_and_errors_are_those_of_statsmodels(us_change):
    table = us_change * [1.0, 10.0, 0.1, 1.0, 1.0]
    theirs = VAR(table).fit(3)
    regression = Regression.of(table.to_numpy(), 3)
    found = regression.criteria()
    expected = [theirs.llf, theirs.aic, theirs.bic, theirs.hqic]
    np.testing.assert_allclose(list(found.values()), expected, rtol=1e-8)
    stderr = theirs.stderr.to_numpy()[1:].reshape(3, 5, 5).swapaxes(1, 2)
    np.testing.assert_allclose(regression.standard_errors(), stderr, rtol=1e-8)


def test_summary_of_a_posterior_has_its_deviations(shrunk):
    text = shrunk.summary(max_lags=1)
    assert "closed form with a posterior" in text
    assert f"Penalty: {shrunk.alpha:.3g} per row" in text
    assert "AIC" not in text
    deviation = shrunk.draws(500, random_state=0)[0].std(axis=0)[0, 1, 2]
    assert f"{shrunk.matrices[0, 1, 2]:.4g} ({deviation:.2g})" in text


def test_summary_leaves_out_what_is_not_known(var):
    text = VARCoefficients(var.matrices, var.intercept, var.sigma_u).summary()
    for word in ("Rows", "Estimator", "Log-likelihood", "Penalty", "(0."):
        assert word not in text

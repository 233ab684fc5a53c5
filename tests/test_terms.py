"""Trends, dummies and covariates inside a VAR, against statsmodels and by hand."""

import io

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.tsa.api import VAR

import skvar
from skvar import LinearAttentionVAR, SAMoVARForecaster, VARCoefficients
from skvar.analysis import Terms

N_ROWS, N_AHEAD = 100, 6
TIMES = pd.period_range("1995Q1", periods=N_ROWS + N_AHEAD, freq="Q")
PAST, FUTURE = TIMES[:N_ROWS], TIMES[N_ROWS:]


def tables():
    """Two series with a trend that an oil price and a reform move."""
    rng = np.random.default_rng(0)
    oil = 50 + 5 * rng.normal(size=len(TIMES)).cumsum()
    reform = np.arange(len(TIMES)) >= 60
    X = pd.DataFrame({"oil": oil, "reform": reform.astype(float)}, TIMES)
    values = rng.normal(size=(N_ROWS, 2))
    for t in range(1, N_ROWS):
        values[t] += [0.5 * values[t - 1, 0] + 0.2 * values[t - 1, 1], 0.4 * t / 10]
        values[t] += [0.03 * oil[t - 1], 2 * reform[t]]
    return pd.DataFrame(values, PAST, ["gdp", "cpi"]), X


Y, X = tables()


def panel(y):
    return pd.concat({"u": y, "v": y}, names=["i", "t"])


def static(**parameters):
    return LinearAttentionVAR(2, n_layers=0, alpha=0, **parameters)


def regressors(y, X, *, trend, season=1, lags=0, order=2, n_rows=None):
    """Of every row from the first one that has all: a design written out."""
    n_rows = n_rows or len(y)
    rows = []
    for t in range(max(order, lags), n_rows):
        row = [1.0, t + 1.0][: {"n": 0, "c": 1, "ct": 2}[trend]]
        row += [float(t % season == s) for s in range(int(trend != "n"), season)]
        for lag in range(lags + 1):
            row += list(X.iloc[t - lag]) if X is not None else []
        rows.append(row + [z for lag in range(1, order + 1) for z in y[t - lag]])
    return np.array(rows)


@pytest.mark.parametrize("trend", ["n", "c", "ct"])
def test_terms_are_those_of_statsmodels(trend):
    forecaster = static(trend=trend, covariate_lags=0).fit(Y, X=X)
    expected = VAR(Y, exog=X.loc[PAST]).fit(2, trend=trend)
    np.testing.assert_allclose(forecaster.coef_, expected.coefs, atol=1e-8)
    np.testing.assert_allclose(forecaster.sigma_u_, expected.sigma_u, atol=1e-8)
    intercept = expected.params.loc["const"] if trend != "n" else 0.0
    np.testing.assert_allclose(
        forecaster.intercept_, np.zeros(2) + intercept, atol=1e-8
    )
    terms = expected.params.loc[["oil", "reform", *["trend"] * (trend == "ct")]]
    np.testing.assert_allclose(forecaster.exog_coef_[0].T, terms, atol=1e-8)
    assert [*forecaster.covariates_.index] == [*terms.index]
    recent, later = Y.to_numpy()[-2:], X.loc[FUTURE]
    ahead = expected.forecast(recent, N_AHEAD, exog_future=later.to_numpy())
    np.testing.assert_allclose(
        forecaster.predict(range(1, 7), X=later), ahead, atol=1e-8
    )
    matrices = forecaster.var_coefficients()
    assert matrices.df_model == expected.df_model
    interval = matrices.forecast_interval(N_AHEAD, 0.8, X=later, method="known")
    _, *ends = expected.forecast_interval(
        recent, N_AHEAD, alpha=0.2, exog_future=later.to_numpy()
    )
    np.testing.assert_allclose(
        interval.to_numpy().reshape(N_AHEAD, 2, 2), np.stack(ends, axis=2), atol=1e-8
    )


@pytest.mark.parametrize(
    ("trend", "lags"), [("ct", 0), ("c", 1), ("n", 1), ("c", 4)], ids=str
)
def test_seasonal_dummies_and_lags_are_those_of_ols(trend, lags):
    """Also where the covariates reach back farther than the VAR."""
    forecaster = static(trend=trend, seasonal=True, covariate_lags=lags)
    forecaster.fit(Y, X=X)
    sizes = {"trend": trend, "season": 4, "lags": lags}
    values = Y.to_numpy()
    design, first = regressors(values, X, **sizes), max(2, lags)
    expected = [OLS(values[first:, j], design).fit() for j in range(2)]
    params = np.stack([one.params for one in expected])
    matrices = np.stack(np.split(params[:, -4:], 2, axis=1))
    np.testing.assert_allclose(forecaster.coef_, matrices, atol=1e-8)
    errors = np.stack([one.resid for one in expected], axis=1)
    sigma_u = errors.T @ errors / expected[0].df_resid
    np.testing.assert_allclose(forecaster.sigma_u_, sigma_u, atol=1e-8)
    of_x = params[:, -4 - 2 * (lags + 1) : -4].reshape(2, lags + 1, 2).swapaxes(0, 1)
    np.testing.assert_allclose(forecaster.exog_coef_[..., :2], of_x, atol=1e-8)
    n_constants = int(trend != "n")
    of_time = params[:, n_constants : -4 - 2 * (lags + 1)]
    np.testing.assert_allclose(forecaster.exog_coef_[0, :, 2:], of_time, atol=1e-8)
    rows = list(values)
    for t in range(N_ROWS, N_ROWS + N_AHEAD):
        rows.append(params @ regressors(rows, X, n_rows=t + 1, **sizes)[-1])
    later = X.loc[FUTURE]
    ahead = forecaster.predict(range(1, 7), X=later)
    np.testing.assert_allclose(ahead, rows[N_ROWS:], atol=1e-8)
    residuals = forecaster.predict_residuals()
    np.testing.assert_allclose(residuals[first:], errors, atol=1e-8)


KINDS = {
    "ordered": static(trend="ct", seasonal=True, covariate_lags=1),
    "reaching back": static(covariate_lags=4),
    "with the calendar": static(calendar=["quarter"], covariate_lags=0),
    "penalised": LinearAttentionVAR(3, n_layers=0, trend="ct", covariate_lags=0),
    "selected": static(),
    "selected beside a trend": static(trend="ct", calendar=["quarter"]),
    "automatic": LinearAttentionVAR(n_layers=0, calendar=["quarter"]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_matrices_carry_the_terms(kind):
    """The same forecasts as the forecaster, and parts that sum to the history."""
    forecaster = KINDS[kind].clone().fit(Y, X=X)
    matrices, later = forecaster.var_coefficients(), X.loc[FUTURE]
    ahead = forecaster.predict(range(1, 7), X=later)
    pd.testing.assert_frame_equal(
        matrices.forecast(N_AHEAD, X=later), ahead, check_freq=False, atol=1e-9, rtol=0
    )
    np.testing.assert_allclose(
        matrices.forecast(N_AHEAD, X=later[matrices.terms.covariates].to_numpy()), ahead
    )
    parts = matrices.historical_decomposition()
    sums = parts.groupby(["time", "response"])["value"].sum().unstack()[Y.columns]
    np.testing.assert_allclose(sums, Y.loc[sums.index], atol=1e-8)
    assert len(sums) >= N_ROWS - max(forecaster.lags_, 4)


def test_other_forecasters_carry_the_effect():
    """And the forecasters of instances of a panel."""
    samovar = SAMoVARForecaster(6, n_layers=0, static_path="var").fit(Y, X=X)
    pair, covariates = panel(Y), pd.concat({"u": X, "v": X}, names=["i", "t"])
    instance = LinearAttentionVAR(2, n_layers=0).fit(pair, X=covariates).instance("v")
    for forecaster in (samovar, instance):
        later = X.loc[FUTURE]
        found = forecaster.var_coefficients().forecast(N_AHEAD, later)
        expected = forecaster.predict(range(1, 7), X=later)
        np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("cumulative", [False, True])
@pytest.mark.parametrize("kind", ["ordered", "selected", "automatic"])
def test_multipliers_are_differences_of_forecasts(kind, cumulative):
    """Of two forecasts, with and without a unit more of a covariate."""
    forecaster = KINDS[kind].clone().fit(Y, X=X)
    matrices, later = forecaster.var_coefficients(), X.loc[FUTURE]
    found = matrices.multipliers(N_AHEAD - 1, cumulative=cumulative)
    assert [*found] == ["horizon", "response", "covariate", "value"]
    found = found.set_index(["covariate", "horizon", "response"])["value"]
    base = forecaster.predict(range(1, 7), X=later)
    for name in X:
        moved = later.copy()
        moved.iloc[: None if cumulative else 1, moved.columns.get_loc(name)] += 1
        difference = forecaster.predict(range(1, 7), X=moved) - base
        np.testing.assert_allclose(
            found[name].unstack()[Y.columns], difference, atol=1e-9
        )


def test_cumulated_multipliers_end_at_the_long_run():
    matrices = static(covariate_lags=1).fit(Y, X=X).var_coefficients()
    last = matrices.multipliers(400, cumulative=True).query("horizon == 400")
    total = matrices.long_run_multipliers()
    assert [*total] == ["response", "covariate", "value"]
    np.testing.assert_allclose(total["value"], last["value"], atol=1e-8)


def widths_of_least_squares():
    """Of intervals of 90 per cent for the coefficients of the covariates."""
    result = VAR(Y, exog=X.loc[PAST]).fit(2)
    errors = result.stderr.loc[["oil", "reform"]].T.to_numpy().ravel()
    return 2 * stats.t.ppf(0.95, result.df_resid) * errors


def test_bands_of_multipliers_are_those_of_least_squares():
    """At horizon 0 they are coefficients, whose posterior is Student's t."""
    matrices = static(covariate_lags=0).fit(Y, X=X).var_coefficients()
    options = {"bands": 0.9, "random_state": 0}
    bands = matrices.multipliers(0, method="posterior", n_draws=4000, **options)
    width, expected = bands["upper"] - bands["lower"], widths_of_least_squares()
    # Quantiles of 4000 draws err by 2 per cent, and 8 rows are those of coefficients.
    np.testing.assert_allclose(width / expected, 1, atol=0.1)


def test_terms_of_other_matrices():
    """Estimated by statsmodels and handed over."""
    result = VAR(Y, exog=X.loc[PAST]).fit(2)
    params = result.params.loc[["oil", "reform"]].to_numpy()
    matrices = VARCoefficients(
        result.coefs,
        result.params.loc["const"],
        result.sigma_u,
        history=Y,
        terms=Terms(params.T[np.newaxis], X.loc[PAST]),
    )
    later = X.loc[FUTURE].to_numpy()
    expected = result.forecast(Y.to_numpy()[-2:], N_AHEAD, exog_future=later)
    np.testing.assert_allclose(matrices.forecast(N_AHEAD, later), expected)
    np.testing.assert_allclose(matrices.residuals, result.resid, atol=1e-10)
    assert matrices.df_model == result.df_model
    again = matrices.refit(Y.to_numpy(), 0)
    parts = (
        result.coefs,
        result.params.loc["const"],
        result.sigma_u,
        params.T[np.newaxis],
    )
    for ours, theirs in zip(again, parts, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-8)
    options = {"bands": 0.9, "random_state": 0}
    bands = matrices.multipliers(0, n_draws=200, **options)
    width = bands["upper"] - bands["lower"]
    # Quantiles of 200 draws err by 10 per cent.
    np.testing.assert_allclose(width / widths_of_least_squares(), 1, atol=0.35)
    pd.testing.assert_frame_equal(
        matrices.multipliers(0, n_draws=200, **options), bands
    )


def test_bootstraps_estimate_terms_anew():
    """By forecasters too, also for what needs no terms."""
    options = {"bands": 0.9, "n_draws": 9, "random_state": 0, "method": "bootstrap"}
    for kind in ("ordered", "reaching back", "selected"):
        matrices = KINDS[kind].clone().fit(Y, X=X).var_coefficients()
        parts = matrices.refit(matrices.history.to_numpy(), 0)
        np.testing.assert_allclose(parts[0], matrices.matrices, atol=1e-8)
        np.testing.assert_allclose(parts[3], matrices.terms.coefficients, atol=1e-8)
    matrices = KINDS["ordered"].clone().fit(Y, X=X).var_coefficients()
    for table in (matrices.multipliers(1, **options), matrices.irf(1, **options)):
        assert (table["lower"] <= table["upper"]).all()


def test_replicates_may_have_other_lags_of_covariates():
    """As each chooses its own."""
    matrices = KINDS["selected"].clone().fit(Y, X=X).var_coefficients()
    history, own = matrices.history.to_numpy(), matrices.refit
    lags = []

    def refit(table, seed):
        *parts, coefficients = own(history, seed)
        more = seed % 3
        lags.append(len(coefficients) + more)
        return *parts, np.pad(coefficients, [(0, more), (0, 0), (0, 0)])

    matrices.refit = refit
    options = {"n_draws": 9, "random_state": 0, "method": "bootstrap"}
    table = matrices.multipliers(6, bands=0.9, **options)
    assert len({*lags}) > 1
    for side in ("lower", "upper"):
        np.testing.assert_allclose(table[side], table["value"], atol=1e-8)
    later = X.loc[FUTURE]
    found = matrices.forecast_interval(N_AHEAD, X=later, **options)
    known = matrices.forecast_interval(N_AHEAD, X=later, method="known")
    np.testing.assert_allclose(found, known, atol=1e-6)


def test_a_var_without_any_term_is_its_rows():
    """With a history, residuals and bands, though no column acts."""
    matrices = static(trend="n").fit(Y).var_coefficients()
    parts = matrices.historical_decomposition().groupby(["time", "response"])["value"]
    total = parts.sum().unstack()[Y.columns]
    np.testing.assert_allclose(total, Y[2:], atol=1e-8)
    bands = matrices.irf(1, bands=0.9, method="bootstrap", n_draws=5, random_state=0)
    assert (bands["lower"] <= bands["upper"]).all()


ATTENTION = LinearAttentionVAR(
    2,
    trend="ct",
    covariate_lags=1,
    max_epochs=3,
    early_stopping=False,
    random_state=0,
)


def test_attention_models_add_terms_at_every_step():
    """Forecasts are those after their own rows, appended one by one."""
    forecaster, later = ATTENTION.clone().fit(Y, X=X.loc[PAST]), X.loc[FUTURE]
    assert forecaster.network_weight_ == 1
    ahead = forecaster.predict(range(1, 7), X=later)
    matrices = forecaster.var_coefficients(at=PAST[-1])
    np.testing.assert_allclose(matrices.forecast(1, X=later), ahead[:1], rtol=1e-5)
    for time in FUTURE[:3]:
        row = forecaster.predict([1], X=later)
        np.testing.assert_allclose(row, ahead.loc[[time]], rtol=1e-5)
        forecaster.update(row, X=later.loc[[time]], update_params=False)


def test_attention_learns_what_terms_leave():
    """Before training it is the VAR with terms, which early stopping may keep."""
    parameters = {"trend": "ct", "covariate_lags": 1, "seasonal": True, "alpha": 0}
    plain = LinearAttentionVAR(2, n_layers=0, **parameters).fit(Y, X=X)
    untrained = LinearAttentionVAR(2, max_epochs=0, random_state=0, **parameters)
    untrained.fit(Y, X=X)
    later = X.loc[FUTURE]
    np.testing.assert_allclose(
        untrained.predict(range(1, 7), X=later),
        plain.predict(range(1, 7), X=later),
        rtol=1e-5,
    )
    # The loss before training is that of the errors, in standardised units.
    trained = ATTENTION.clone().set_params(learning_rate=0.0, max_epochs=1).fit(Y, X=X)
    errors = trained.predict_residuals()[2:] / trained.scaler_.scale_
    loss = np.square(errors.to_numpy()).mean()
    # Epochs average batches of 64 and 34 windows.
    assert trained.loss_curve_[0] == pytest.approx(loss, rel=0.2)


def test_tables_and_later_rows_go_on_with_the_terms():
    """With the trend and the place in the season that their times have."""
    forecaster = static(trend="ct", seasonal=True, covariate_lags=1)
    forecaster.fit(Y[:80], X=X, fh=[1, 2])
    expected = forecaster.rolling_forecast(Y, X=X)
    np.testing.assert_allclose(forecaster.predict(Y[10:61], X=X), expected[60 - 1])
    later = forecaster.clone().fit(Y[:80], X=X, fh=[1, 2])
    later.update(Y[80:], X=X.loc[PAST], update_params=False)
    np.testing.assert_allclose(later.predict([1, 2], X=X.loc[FUTURE]), expected[-1])
    interval = later.predict_interval([1, 2], X=X.loc[FUTURE], coverage=0.9)
    assert np.isfinite(interval).all(axis=None)
    # Forecasts that were looked at before are not kept without terms of later rows.
    step_by_step = forecaster.clone().fit(Y[:80], X=X, fh=[1, 2])
    for rows in (Y[80:90], Y[90:]):
        step_by_step.update(rows, X=X.loc[rows.index], update_params=False)
        again = step_by_step.predict_interval([1, 2], X=X, coverage=0.9)
    pd.testing.assert_frame_equal(again, interval)
    fresh = static(trend="ct", seasonal=True, covariate_lags=1).fit(Y, X=X)
    later.update(Y[80:], X=X.loc[PAST])
    np.testing.assert_allclose(later.coef_, fresh.coef_, atol=1e-9)
    gap = forecaster.rolling_forecast(Y, X=X.drop(FUTURE[1]))[-1]
    np.testing.assert_array_equal(np.isnan(gap), [[False, False], [True, True]])
    # Covariates of the rows that act on the forecasts suffice.
    np.testing.assert_allclose(forecaster.predict(Y, X=X[N_ROWS - 1 :]), expected[-1])
    with pytest.raises(ValueError, match="X lacks 1 row.*2020Q2"):
        forecaster.predict(Y, X=X.drop(FUTURE[1]))
    with pytest.raises(ValueError, match="an array have no times"):
        forecaster.predict(Y.to_numpy(), X=X)


@pytest.mark.parametrize("history", [True, False])
def test_files_keep_the_terms(history):
    forecaster = static(trend="ct", seasonal=True, covariate_lags=4).fit(Y, X=X)
    for one, forecast in (
        (forecaster, lambda x: x.predict(range(1, 7), X=X.loc[FUTURE])),
        (forecaster.var_coefficients(), lambda x: x.multipliers(3)),
    ):
        file = io.BytesIO()
        skvar.save(one, file, history=history)
        file.seek(0)
        pd.testing.assert_frame_equal(forecast(skvar.load(file)), forecast(one))


def test_what_acts_is_said():
    ordered = static(trend="ct", seasonal=True, covariate_lags=1).fit(Y, X=X)
    expected = (
        "terms         constant, trend, dummies of a season of 4 rows, "
        "oil, reform at lags 0 to 1"
    )
    assert expected in ordered.summary()
    assert ordered.covariates_.loc["oil"].tolist() == ["0, 1", "0, 1"]
    noise = pd.DataFrame({"noise": np.random.default_rng(1).normal(size=N_ROWS)}, PAST)
    driver = noise.rename(columns={"noise": "driver"}).iloc[::-1].set_axis(PAST)
    moved = Y.add(5 * driver["driver"], axis=0)
    selected = LinearAttentionVAR(2, n_layers=0)
    selected.fit(moved, X=pd.concat([noise, driver], axis=1))
    assert "covariates    selected: driver; left out: noise" in selected.summary()
    assert selected.covariates_.loc["noise"].tolist() == ["", ""]
    assert (selected.covariates_.loc["driver"] == "0").all()


GAPPY = Y.mask(np.eye(*Y.shape, dtype=bool))


@pytest.mark.parametrize(
    ("parameters", "y", "covariates", "message"),
    [
        ({"trend": "ctt"}, Y, None, "trend must be 'n', 'c' or 'ct', not 'ctt'"),
        ({"covariate_lags": "all"}, Y, X, "covariate_lags must be a number or 'auto'"),
        ({"covariate_lags": -1}, Y, X, "covariate_lags == -1, must be >= 0"),
        ({"trend": "ct", "lags": "auto"}, Y, None, "Pass lags as a number"),
        ({"trend": "ct", "tracking_rows": 9}, Y, None, "pass tracking_rows=0"),
        ({"seasonal": True, "sp": [4, 8]}, Y, None, "seasonal=True needs one season"),
        ({"trend": "ct"}, panel(Y), None, "y is a panel. Fit to one instance"),
        ({"trend": "ct"}, GAPPY, None, "y has missing values in .*; fill them"),
        (
            {"covariate_lags": 0},
            Y,
            X.mask(X.iloc[5, 0] == X),
            "missing values in .'oil'",
        ),
        ({"covariate_lags": 0}, Y, X.assign(one=1.0), "terms .'one'. are 0, constant"),
    ],
)
def test_bad_orders_say_what_to_do(parameters, y, covariates, message):
    forecaster = static().set_params(**parameters)
    with pytest.raises(ValueError, match=message):
        forecaster.fit(y, X=covariates)


def test_missing_covariates_say_so():
    matrices = static(covariate_lags=1).fit(Y, X=X).var_coefficients()
    with pytest.raises(
        ValueError, match=r"X is missing: .*\['oil', 'reform'\].*2020Q1"
    ):
        matrices.forecast(2)
    with pytest.raises(ValueError, match=r"X lacks the covariates \['oil'\]"):
        matrices.forecast_interval(2, X=X[["reform"]])
    with pytest.raises(ValueError, match="X lacks values at 1 .* 2020Q2"):
        matrices.forecast(2, X=X[: N_ROWS + 1])
    with pytest.raises(ValueError, match=r"X has shape \(2, 1\); pass \(2, 2\)"):
        matrices.forecast(2, X=np.ones((2, 1)))
    bare = static().fit(Y).var_coefficients()
    with pytest.raises(ValueError, match="no covariates, and so no multipliers"):
        bare.multipliers()
    with pytest.raises(ValueError, match="leave X out"):
        bare.forecast(2, X=X)
    with pytest.raises(TypeError, match=r"pass skvar\.analysis\.Terms"):
        VARCoefficients([[[0.5]]], [0], [[1]], terms=X)
    with pytest.raises(ValueError, match="act on the 3 rows of the history"):
        VARCoefficients(
            [[[0.5]]],
            [0],
            [[1]],
            history=Y[["gdp"]][:3],
            terms=Terms([[[1.0]]], X[["oil"]][:1]),
        ).historical_decomposition()


def test_scenarios_shocks_and_several_times_stand_beside_terms():
    forecaster = LinearAttentionVAR(2, n_layers=0, trend="ct", covariate_lags=1).fit(
        Y, X=X
    )
    var = forecaster.var_coefficients()
    future = X.loc[FUTURE]
    free = var.forecast(N_AHEAD, future)
    same = var.forecast(N_AHEAD, future, given=free[["gdp"]])
    np.testing.assert_allclose(same, free, rtol=1e-10)
    # What a value moves does not depend on what the terms bring.
    plain = VARCoefficients(var.matrices, var.intercept, var.sigma_u, history=Y)
    moved = [
        one.forecast(N_AHEAD, *args, given=path[["gdp"]][:1] + 1) - path
        for one, args, path in [
            (var, [future], free),
            (plain, [], plain.forecast(N_AHEAD)),
        ]
    ]
    np.testing.assert_allclose(*moved, atol=1e-10)
    paths = var.sample_paths(N_AHEAD, 4000, X=future, method="known", random_state=0)
    mean = paths.groupby("time").mean()
    spread = paths.groupby("time").std() / np.sqrt(4000)
    assert (np.abs(mean - free) < 5 * spread).all(axis=None)
    parts = var.historical_decomposition(impact="cholesky", order=["cpi", "gdp"])
    total = parts.groupby(["time", "response"])["value"].sum().unstack()
    np.testing.assert_allclose(total[["gdp", "cpi"]], Y[2:], atol=1e-8)
    responses = var.irf(3, impact="generalized", bands=0.9, n_draws=50, random_state=0)
    assert responses["value"].between(responses["lower"], responses["upper"]).all()
    last = forecaster.var_coefficients(at=[PAST[-1], PAST[50]]).iloc[0]
    np.testing.assert_allclose(last.forecast(N_AHEAD, future), free)

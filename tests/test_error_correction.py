"""The closed form for levels and seasons: against statsmodels, integrals and itself."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import dblquad
from statsmodels.api import OLS
from statsmodels.tsa.api import VAR

from skvar import (
    AarenForecaster,
    LinearAttentionVAR,
    SAMoVARForecaster,
    datasets,
)
from skvar._closed_form import error_correction
from skvar._closed_form.error_correction import (
    choose_form,
    error_correction_draws,
    error_correction_var,
)
from skvar._closed_form.form import Form
from skvar._closed_form.growth import restrained
from skvar._closed_form.simulation import error_paths
from skvar._data.seasons import season_strength, seasons_of


def random_walks(n_rows, n_series, seed=0):
    return np.random.default_rng(seed).normal(size=(n_rows, n_series)).cumsum(axis=0)


def with_season(n_rows, season, n_series=1, seed=0, noise=0.2):
    rng = np.random.default_rng(seed)
    pattern = rng.normal(size=(season, n_series))
    repeated = np.tile(pattern, (n_rows // season + 1, 1))[:n_rows]
    walk = 0.1 * rng.normal(size=(n_rows, n_series)).cumsum(axis=0)
    return repeated + walk + noise * rng.normal(size=(n_rows, n_series))


@pytest.fixture
def fixed(monkeypatch):
    """Set penalties, of rows that all count the same."""

    def fix(**penalties):
        expected = {kind.replace("_", " "): x for kind, x in penalties.items()}
        monkeypatch.setattr(error_correction, "_EXPECTED", expected)
        monkeypatch.setattr(error_correction, "_BEGIN", 1.0)
        monkeypatch.setattr(error_correction, "_PER_ROW", ())
        monkeypatch.setattr(error_correction, "_SPREAD", 1e-9)
        monkeypatch.setattr(error_correction, "_PASSES", 0)

    return fix


@st.composite
def forms(draw):
    n_seasons = draw(st.integers(0, 2))
    seasons = sorted(draw(st.sets(st.integers(2, 7), min_size=n_seasons, max_size=2)))
    return Form(
        draw(st.integers(1, 4)),
        None,
        tuple(draw(st.sets(st.integers(2, 6), max_size=2))),
        tuple(seasons),
        tuple(draw(st.integers(1, 3)) for _ in seasons),
        bool(seasons) and draw(st.booleans()),
    )


@settings(max_examples=60, deadline=None)
@given(form=forms(), extra=st.integers(0, 9))
def test_weights_of_a_window_are_its_functions(form, extra):
    values = random_walks(form.rows + extra, 2)
    expected = np.einsum("fr,rs->sf", form.weights, values[-form.rows :])
    # Early rows average fewer seasons; whole windows do not depend on what is before.
    np.testing.assert_allclose(form.functions(values)[-1], expected, atol=1e-10)


@pytest.mark.parametrize("n_series", [1, 3])
def test_without_penalties_it_is_least_squares_on_levels(n_series, fixed):
    fixed(level=1e-9, lag=1e-9, cross_level=1e-9, cross_lag=1e-9)
    values = random_walks(200, n_series)
    form = Form(2, 2 if n_series > 1 else None)
    matrices, intercept, _ = error_correction_var([values], form)
    exog = np.column_stack(
        [np.ones(197), *(values[3 - lag : 200 - lag] for lag in (1, 2, 3))]
    )
    if n_series > 1:
        params = VAR(values).fit(3, trend="c").params
    else:
        params = np.linalg.lstsq(exog, values[3:], rcond=None)[0]
    np.testing.assert_allclose(intercept, params[0], atol=1e-6)
    found = matrices.transpose(0, 2, 1).reshape(-1, n_series)
    np.testing.assert_allclose(found, params[1:], atol=1e-6)


def test_penalised_levels_leave_a_var_in_differences(fixed):
    fixed(level=1e12, lag=1e-9, cross_level=1e12, cross_lag=1e-9)
    values = random_walks(150, 2) + 0.3 * np.arange(150)[:, np.newaxis]
    matrices, intercept, _ = error_correction_var([values], Form(1, 1))
    expected = VAR(np.diff(values, axis=0)).fit(1, trend="c")
    # Row 1 has no change before it: statsmodels begins at the same row.
    np.testing.assert_allclose(intercept, expected.intercept, atol=1e-6)
    np.testing.assert_allclose(matrices[1], -expected.coefs[0], atol=1e-6)
    np.testing.assert_allclose(matrices.sum(axis=0), np.eye(2), atol=1e-9)


def test_penalised_changes_of_others_leave_series_by_themselves(fixed):
    fixed(level=1e-9, lag=1e-9, cross_level=1e14, cross_lag=1e14)
    values = random_walks(150, 2)
    together, _, _ = error_correction_var([values], Form(1, 1))
    for i in range(2):
        alone, _, _ = error_correction_var([values[:, [i]]], Form(1))
        np.testing.assert_allclose(together[:, i, i], alone[:, 0, 0], atol=1e-6)
        np.testing.assert_allclose(together[:, i, 1 - i], 0, atol=1e-6)


def test_penalised_seasons_leave_the_change_of_a_year_ago(fixed):
    fixed(level=1e12, lag=1e12, season=1e12)
    values = with_season(96, 12)
    form = Form(1, seasons=(12,), n_seasons=(1,))
    matrices, intercept, _ = error_correction_var([values], form)
    expected = np.zeros(form.rows)
    # The level, and the change twelve rows before.
    expected[[0, 11, 12]] = 1, 1, -1
    np.testing.assert_allclose(matrices[:, 0, 0], expected, atol=1e-9)
    changes = np.diff(values[:, 0])
    assert intercept[0] == pytest.approx(np.mean(changes[12:] - changes[:-12]))


def test_evidence_is_the_integral_over_what_is_estimated(fixed):
    penalty = 3.0
    fixed(level=penalty, lag=penalty)

    def parts(seed):
        values = random_walks(9, 1, seed)
        evidence = error_correction_var([values], Form(1))[2]
        scale = np.sqrt(np.square(np.diff(values[:, 0])).mean())
        x = (values[:, 0] - values[:, 0].mean()) / scale
        changes = np.diff(x)
        inputs = np.column_stack([x[1:-1], changes[:-1]])
        inputs, target = inputs - inputs.mean(axis=0), changes[1:] - changes[1:].mean()
        n = len(target)

        def density(level, lag):
            # Over the variance, with the prior v^-1.5 and a flat one of the intercept:
            # a gamma integral, whose constants no data change. Those of the prior of
            # the coefficients raise its power by one.
            errors = target - inputs @ [level, lag]
            squares = errors @ errors + penalty * (level**2 + lag**2)
            return (squares + 0.0) ** (-(n + 2) / 2)

        total, _ = dblquad(density, -6, 6, -6, 6, epsabs=0, epsrel=1e-7)
        return evidence.log_evidence, np.log(total)

    found, integrals = np.transpose([parts(seed) for seed in range(4)])
    np.testing.assert_allclose(np.diff(found), np.diff(integrals), atol=1e-4)


def test_draws_have_the_moments_of_the_posterior(fixed):
    fixed(level=3.0, lag=3.0)
    values, n_draws = random_walks(60, 1), 20_000
    matrices, intercepts, covariances = error_correction_draws(
        [values], Form(1), None, n_draws, np.random.default_rng(0)
    )
    mean, intercept, evidence = error_correction_var([values], Form(1))
    scale = np.sqrt(np.square(np.diff(values[:, 0])).mean())
    x = (values[:, 0] - values[:, 0].mean()) / scale
    changes = np.diff(x)
    inputs = np.column_stack([x[1:-1], changes[:-1]])
    inputs, target = inputs - inputs.mean(axis=0), changes[1:] - changes[1:].mean()
    gram = inputs.T @ inputs + 3 * np.eye(2)
    coef = np.linalg.solve(gram, inputs.T @ target)
    n, kept = 58, 1 + 2 - np.trace(np.linalg.solve(gram, 3 * np.eye(2)))
    assert evidence.n_coefficients == pytest.approx(kept, rel=1e-3)
    errors = np.square(target - inputs @ coef).sum()
    # Means of inverse Wishart distributions with n - 1 degrees of freedom.
    expected = scale**2 * errors * n / (n - kept) / (n - 3)
    assert covariances.mean() == pytest.approx(expected, rel=0.01)
    variance = (target @ target - target @ inputs @ coef) / (n - 3)
    # Level, and change, are in the matrices of lags 1 and 2.
    drawn = np.column_stack([matrices.sum(axis=1)[:, 0, 0] - 1, -matrices[:, 1, 0, 0]])
    np.testing.assert_allclose(drawn.mean(axis=0), coef, atol=0.002)
    np.testing.assert_allclose(
        np.cov(drawn.T), variance * np.linalg.inv(gram), rtol=0.06
    )
    np.testing.assert_allclose(matrices.mean(axis=0), mean, atol=0.005)
    # At the mean of the rows before, only the intercept of centred inputs is drawn.
    rows = np.array([values[1:-1].mean(), values[:-2].mean()])
    fitted = intercepts[:, 0] + matrices[:, :, 0, 0] @ rows
    assert fitted.var() == pytest.approx(scale**2 * variance / n, rel=0.06)
    error = 5 * intercepts.std() / np.sqrt(n_draws)
    assert intercepts.mean() == pytest.approx(intercept[0], abs=error)


def test_equations_are_drawn_as_their_errors_are_correlated():
    rng = np.random.default_rng(0)
    shocks = rng.normal(size=(120, 2)) @ [[1, 0.9], [0, 0.44]]
    draws = error_correction_draws([shocks.cumsum(axis=0)], Form(1), None, 4000, rng)
    of_lags = draws[0][:, 1, [0, 1], [0, 1]]
    # Inputs of the equations are as correlated, so that coefficients are less so.
    assert 0.6 < np.corrcoef(of_lags.T)[0, 1] < 0.95
    correlations = draws[2][:, 0, 1] / np.sqrt(draws[2][:, 0, 0] * draws[2][:, 1, 1])
    assert correlations.mean() == pytest.approx(0.9, abs=0.05)


def test_smoothing_is_drawn_by_its_shares():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(80, 1)).cumsum(axis=0) / 4 + rng.normal(size=(80, 1))
    form = choose_form([values])
    assert form.smoothed_rows
    matrices = error_correction_draws([values], form, None, 4000, rng)[0]
    expected = error_correction_var([values], form)[0]
    error = matrices.std(axis=0) / np.sqrt(4000)
    assert (np.abs(matrices.mean(axis=0) - expected) < 5 * error + 1e-9).all()


@pytest.mark.parametrize("slope", [-1e-3, 1.0, 1e6])
def test_units_do_not_matter(slope):
    values = with_season(120, 12, n_series=2)
    units = np.array([slope, 2.0])
    forms = [choose_form([table], [12]) for table in (values, values * units + 5)]
    assert forms[0] == forms[1]
    plain, _, evidence = error_correction_var([values], forms[0])
    scaled, intercept, same = error_correction_var([values * units + 5], forms[0])
    assert same.log_evidence == pytest.approx(evidence.log_evidence, abs=1e-4)
    expected = plain * units[:, np.newaxis] / units
    np.testing.assert_allclose(scaled, expected, rtol=1e-3, atol=1e-4 * abs(slope))
    assert np.isfinite(intercept).all()


@pytest.mark.parametrize("season", [4, 7, 12, 24])
def test_seasons_are_found_where_they_are(season):
    for seed in range(3):
        values = with_season(8 * season + 20, season, seed=seed)
        assert choose_form([values], [season]).seasons == (season,)
        walk = random_walks(20 * season + 20, 1, seed)
        assert choose_form([walk], [season]).seasons == ()


def test_two_seasons_of_an_hourly_table():
    hours = np.arange(24 * 7 * 6)
    rng = np.random.default_rng(0)
    day, week = rng.normal(size=24), 2 * rng.normal(size=7)
    values = (day[hours % 24] + week[hours // 24 % 7])[:, np.newaxis]
    values = values + 0.1 * rng.normal(size=values.shape)
    form = choose_form([values], [24, 168])
    assert form.seasons == (24, 168)
    forecaster = LinearAttentionVAR(sp=[24, 168], n_layers=0)
    forecasts = forecaster.fit(values[:-48]).predict(np.arange(1, 49))
    # Means of a few weeks add to the noise of the rows themselves.
    assert np.sqrt(np.square(forecasts - values[-48:]).mean()) < 0.2
    assert forecaster.sp_ == [24, 168]


def test_what_repeats_is_repeated():
    pattern = np.random.default_rng(0).normal(size=12)
    values = np.tile(pattern, 8) + 0.25 * np.arange(96)
    forecaster = LinearAttentionVAR(sp=12, n_layers=0).fit(values[:84])
    found = forecaster.predict(np.arange(1, 13)).ravel()
    np.testing.assert_allclose(found, values[84:], atol=0.05)


def test_outliers_count_less(fixed):
    fixed(level=1e12, lag=1e12)
    changes = 0.5 + np.random.default_rng(0).normal(size=(200, 1))
    changes[100] = 60
    drifts = []
    for passes in (0, 3):
        error_correction._PASSES = passes
        drifts.append(error_correction_var([changes.cumsum(axis=0)], Form(1))[1][0])
    used = np.delete(changes, [0, 1, 100])
    assert drifts[0] == pytest.approx(changes[2:].mean())
    # A weighted mean of the others, and next to nothing of the outlier.
    assert drifts[1] == pytest.approx(used.mean(), abs=0.1)
    assert drifts[0] - used.mean() > 0.25


def test_rows_that_are_filled_do_not_respond():
    values = random_walks(120, 2)
    wrong = np.vstack([values, [[1e3, -1e3]]])
    observed = np.ones_like(wrong, dtype=bool)
    observed[-1] = False
    form = Form(1, 1)
    found = error_correction_var([wrong], form, [observed])
    expected = error_correction_var([values], form)
    np.testing.assert_allclose(found[0], expected[0], atol=1e-9)
    np.testing.assert_allclose(found[1], expected[1], atol=1e-9)


def test_segments_are_regressed_by_themselves():
    values = random_walks(160, 2)
    far = values[80:] + 1e4
    form = Form(2, 1)
    matrices, _, evidence = error_correction_var([values[:80], far], form)
    assert evidence.n_rows == 160 - 2 * form.first
    # A jump of 1e4 in one table would leave nothing of the lags.
    assert np.abs(matrices[0] - np.eye(2)).max() < 0.5


def test_many_rows_come_in_chunks(monkeypatch):
    values = with_season(300, 12, n_series=2)
    form = Form(3, 1, (4,), (12,), (3,), True)
    whole = error_correction_var([values], form)
    monkeypatch.setattr(error_correction, "_CHUNK", 37)
    parts = error_correction_var([values], form)
    np.testing.assert_allclose(parts[0], whole[0], atol=1e-6)
    np.testing.assert_allclose(parts[1], whole[1], atol=1e-6)


# What grows.


def impulse(matrices, n_steps):
    past = np.zeros((len(matrices), *matrices.shape[1:]))
    past[0] = np.eye(matrices.shape[1])
    for _ in range(n_steps):
        new = np.einsum("lij,ljk->ik", matrices, past)
        past = np.concatenate([new[np.newaxis], past[:-1]])
    return np.abs(past[0]).max()


def test_an_explosive_var_is_restrained():
    rows = random_walks(200, 2)
    matrices = np.array([[[1.05, 0.0], [0.1, 0.9]]])
    found, intercept = restrained(matrices, np.zeros(2), [rows])
    assert impulse(found, 200) < 10 < impulse(matrices, 200)
    # One factor for all roots, and a mean error of zero.
    ratio = found[0][matrices[0] != 0] / matrices[0][matrices[0] != 0]
    np.testing.assert_allclose(ratio, ratio[0])
    errors = rows[1:] - rows[:-1] @ found[0].T - intercept
    np.testing.assert_allclose(errors.mean(axis=0), 0, atol=1e-12)


def test_trends_and_growth_of_the_rows_are_kept():
    rows = random_walks(200, 1)
    trend = np.array([[[2.0]], [[-1.0]]])
    assert restrained(trend, np.zeros(1), [rows])[0] is trend
    grown = 1.05 ** np.arange(200.0)[:, np.newaxis]
    growth = np.array([[[1.05]]])
    assert restrained(growth, np.zeros(1), [grown])[0] is growth
    faster = np.array([[[1.2]]])
    assert restrained(faster, np.zeros(1), [grown])[0][0, 0, 0] < 1.07


def test_exponential_growth_is_forecast():
    values = 1.05 ** np.arange(120.0)
    found = LinearAttentionVAR(n_layers=0).fit(values[:100]).predict(np.arange(1, 21))
    np.testing.assert_allclose(found.ravel(), values[100:], rtol=0.05)


@pytest.mark.parametrize("seed", range(3))
def test_forecasts_far_ahead_stay_plausible(seed):
    values = random_walks(150, 3, seed)
    forecaster = LinearAttentionVAR(n_layers=0).fit(values)
    far = forecaster.predict(np.arange(1, 301))
    assert np.abs(far).max() < 20 * np.abs(values).max()
    fixed_lags = LinearAttentionVAR(lags=8, n_layers=0).fit(values[:40])
    assert (
        np.abs(fixed_lags.predict(np.arange(1, 301))).max() < 100 * np.abs(values).max()
    )


# The estimators.


@pytest.mark.parametrize(
    ("freq", "seasons"),
    [
        ("MS", (12,)),
        ("ME", (12,)),
        ("QS", (4,)),
        ("YS", ()),
        ("W", (52,)),
        ("D", (7,)),
        ("B", (5,)),
        ("h", (24, 168)),
        ("30min", (48, 336)),
        ("2MS", (6,)),
    ],
)
def test_seasons_of_a_frequency(freq, seasons):
    step = pd.tseries.frequencies.to_offset(freq)
    assert seasons_of("auto", step) == seasons
    assert seasons_of([168, 24, 1], step) == (24, 168)
    assert seasons_of(1, step) == ()
    assert seasons_of("auto", 1) == ()


def test_strength_of_a_season():
    assert season_strength([with_season(240, 12, noise=0.0)], 12) > 0.9
    assert season_strength([random_walks(240, 2)], 12) < 0.3
    assert season_strength([with_season(20, 12)], 12) == 0
    rows = with_season(240, 12, noise=0.5)
    places = np.eye(12)[np.arange(239) % 12]
    expected = OLS(np.diff(rows[:, 0]), places).fit().rsquared_adj
    assert season_strength([rows], 12) == pytest.approx(expected)


def test_no_season_is_found_by_chance():
    """In few rows whose mean at each place explains much of their changes."""
    noise = np.random.default_rng(0).normal(size=(500, 24, 2))
    assert max(season_strength([table], 7) for table in noise) == 0


def monthly(values, **names):
    index = pd.period_range("2000-01", periods=len(values), freq="M")
    return pd.DataFrame(values, index, **names)


@pytest.mark.parametrize(
    "forecaster",
    [
        LinearAttentionVAR(random_state=0),
        SAMoVARForecaster(random_state=0),
        AarenForecaster(random_state=0),
    ],
    ids=lambda forecaster: type(forecaster).__name__,
)
def test_defaults_say_what_they_did(forecaster):
    table = monthly(with_season(150, 12, n_series=2), columns=["sales", "visits"])
    forecaster = forecaster.clone().fit(table, fh=np.arange(1, 13))
    assert forecaster.sp_ == 12
    assert 12 < forecaster.lags_ < 150
    assert forecaster.network_weight_ == 0
    assert forecaster.evidence_.n_rows > 100
    assert set(forecaster.evidence_.penalties) >= {"level", "lag", "season"}
    text = forecaster.summary()
    assert text.splitlines()[0] == type(forecaster).__name__
    for part in ("150 of 2 series", "12 rows", f"{forecaster.lags_}\n", "not trained"):
        assert part in text
    history = table.iloc[-forecaster.lags_ :]
    if type(forecaster) is LinearAttentionVAR:
        matrices, intercept = forecaster.coef_, forecaster.intercept_
        newest_first = history.to_numpy()[::-1]
        expected = intercept + np.einsum("lij,lj->i", matrices, newest_first)
        np.testing.assert_allclose(forecaster.predict([1]), [expected], rtol=1e-5)
        assert len(matrices) == forecaster.lags_


@settings(max_examples=25, deadline=None)
@given(
    n_rows=st.integers(3, 40),
    n_series=st.integers(1, 3),
    season=st.sampled_from([1, 4, 12]),
    horizon=st.integers(1, 8),
)
def test_few_rows_are_enough(n_rows, n_series, season, horizon):
    values = random_walks(n_rows, n_series)
    for forecaster in (
        LinearAttentionVAR(sp=season, horizon=horizon),
        SAMoVARForecaster(sp=season, horizon=horizon),
    ):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".* less than two seasons")
            forecasts = forecaster.fit(values).predict()
        assert forecasts.shape == (horizon, n_series)
        assert np.isfinite(forecasts).all()


def test_a_season_that_is_left_out_is_told():
    table = monthly(with_season(120, 12, noise=0.05))
    with pytest.warns(UserWarning, match="lags=4 is less than a season of 12 rows"):
        LinearAttentionVAR(lags=4, n_layers=0).fit(table)
    with pytest.warns(UserWarning, match="20 rows are less than two seasons of 12"):
        LinearAttentionVAR(n_layers=0).fit(table[:20])
    with pytest.warns(UserWarning, match="120 rows are less than two seasons of 168"):
        LinearAttentionVAR(sp=np.array([12, 168]), n_layers=0).fit(table)
    for forecaster in (
        LinearAttentionVAR(lags=13, n_layers=0),
        LinearAttentionVAR(lags=4, sp=1, n_layers=0),
        LinearAttentionVAR(sp=[12], n_layers=0),
        LinearAttentionVAR(n_layers=0),
    ):
        forecaster.fit(table)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"lags": "many"}, "lags must be an integer or 'auto', not 'many'"),
        ({"sp": "yearly"}, "sp must be 'auto', an integer or a list, not 'yearly'"),
        ({"sp": 0}, "sp"),
        ({"sp": [12, 2.5]}, "sp"),
        ({"sp": []}, "sp=\\[\\] names no season"),
    ],
)
def test_wrong_lags_and_seasons(parameters, message):
    with pytest.raises((ValueError, TypeError), match=message):
        LinearAttentionVAR(**parameters).fit(random_walks(50, 1))


@pytest.mark.parametrize("method", ["predict", "predict_var", "predict_interval"])
def test_the_horizon_is_that_of_the_parameter_where_none_was_given(method):
    values = random_walks(60, 2)
    forecaster = LinearAttentionVAR(horizon=5, n_layers=0).fit(values)
    assert len(getattr(forecaster, method)()) == 5
    with pytest.raises(ValueError, match="fh"):
        LinearAttentionVAR(n_layers=0).fit(values).predict()


@pytest.mark.slow
def test_updates_on_static_data_do_not_spoil_the_model():
    """Twelve updates of a row each, against a fit to all rows."""
    ratios = []
    for seed in range(10):
        made = datasets.make_var(812, 3, random_state=seed).series
        updated = LinearAttentionVAR(random_state=seed).fit(made[:300])
        for i in range(300, 312):
            updated.update(made[i : i + 1])
        fresh = LinearAttentionVAR(random_state=seed).fit(made[:312])
        errors = []
        for forecaster in (updated, fresh):
            forecasts = forecaster.rolling_forecast(made[280:-1])[:, 0]
            errors.append(np.square(forecasts - made[-len(forecasts) :]).mean())
        ratios.append(errors[0] / errors[1])
    assert np.mean(ratios) < 1.02


# Intervals on few rows.


def test_error_paths_have_the_variances_of_the_var():
    matrices = np.array([[[0.7, 0.2], [0.0, 0.5]], [[-0.2, 0.0], [0.3, 0.1]]])
    rng = np.random.default_rng(0)
    covariance = np.array([[1.0, 0.5], [0.5, 2.0]])
    shocks = rng.multivariate_normal(np.zeros(2), covariance, size=4000)
    paths = error_paths(matrices, shocks, 6, 40_000)
    responses, sums = [np.eye(2)], []
    for _ in range(6):
        newest = responses[::-1]
        sums.append(sum(x @ (shocks.T @ shocks / 4000) @ x.T for x in responses))
        responses.append(sum(a @ x for a, x in zip(matrices, newest, strict=False)))
    # Standard errors of variances of 40,000 paths are below one percent.
    np.testing.assert_allclose(
        np.einsum("phi,phj->hij", paths, paths) / len(paths), sums, rtol=0.05, atol=0.05
    )
    np.testing.assert_allclose(paths.mean(axis=0), 0, atol=1e-12)


@pytest.mark.parametrize("forecaster", [LinearAttentionVAR, SAMoVARForecaster])
def test_intervals_of_few_rows_hold_the_next_rows(forecaster):
    """Against paths of the true process: 90 % intervals of 80 rows, 4 steps ahead."""
    made = datasets.make_var(
        80 * 40, 2, random_state=0, spectral_radius=0.7
    ).series.to_numpy()
    held = []
    for table in made.reshape(40, 80, 2):
        fitted = forecaster(horizon=4, random_state=0).fit(table[:76])
        ends = fitted.predict_interval(coverage=0.9).to_numpy().reshape(4, 2, 2)
        held.append((ends[..., 0] <= table[76:]) & (table[76:] <= ends[..., 1]))
    # 320 of them, about 160 of which are independent: two standard errors are 5 %.
    assert np.mean(held) == pytest.approx(0.9, abs=0.05)


def test_intervals_are_around_the_forecast_and_follow_new_rows():
    values = random_walks(90, 2)
    forecaster = LinearAttentionVAR(horizon=6).fit(values[:80])
    middle = forecaster.predict_quantiles(alpha=[0.5]).to_numpy()
    np.testing.assert_allclose(middle, forecaster.predict(), atol=0.05)
    before = forecaster.predict_interval(coverage=0.8)
    again = forecaster.predict_interval(coverage=0.8)
    pd.testing.assert_frame_equal(before, again)
    shocked = values[80:] + np.linspace(0, 60, 10)[:, np.newaxis]
    forecaster.update(shocked, update_params=False)
    after = forecaster.predict_interval(coverage=0.8)
    widths = [np.diff(x.to_numpy().reshape(6, 2, 2))[0].mean() for x in (before, after)]
    assert widths[1] > widths[0]


@pytest.mark.parametrize("coupled", [False, True])
def test_wide_tables_are_restrained_as_narrow_ones_are(coupled):
    """Whether or not series have a part in each other."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 60))
    matrices = np.zeros((2, 60, 60))
    matrices[0] = np.diag(np.linspace(0.3, 1.2, 60))
    if coupled:
        basis = np.linalg.qr(rng.normal(size=(60, 60)))[0]
        matrices = basis @ matrices @ basis.T
    shrunk, _ = restrained(matrices, np.zeros(60), [rows])
    factor = shrunk[0, 0, 0] / matrices[0, 0, 0]
    np.testing.assert_allclose(shrunk[0], matrices[0] * factor, atol=1e-12)
    # The root of the size of responses, in the second half of the steps to the first.
    powers = np.linspace(0.3, 1.2, 60)[:, np.newaxis] * factor
    powers = np.square(powers ** np.arange(1, 201)).sum(axis=0)
    ratio = np.sqrt(powers[100:].sum() / powers[:100].sum())
    # Some random impulses stand for all: their sum is off by a few percent.
    assert ratio == pytest.approx(3.0, rel=0.1 if coupled else 1e-3)
    alone, _ = restrained(np.eye(60)[np.newaxis] * 0.9, np.zeros(60), [rows])
    np.testing.assert_array_equal(alone[0], np.eye(60) * 0.9)

"""Forecasters on tables with gaps, against filled ones and loops over what is seen."""

import copy
import functools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skvar import (
    AarenForecaster,
    InformerForecaster,
    ITransformerForecaster,
    LinearAttentionVAR,
    LinearTransformerForecaster,
    SAMoVARForecaster,
    rolling_score,
)
from skvar._closed_form.fill import fill, fill_weights
from skvar._forecasting.forecaster import state_of
from skvar._forecasting.history import History, Schema
from skvar._forecasting.state import ForecasterState
from skvar._var.estimation import covariance

# Forecasters warn that the scaler leaves forecasts in its own units.
scaled_before = pytest.mark.filterwarnings("ignore:Every series has mean 0")

SMALL = {
    "horizon": 3,
    "n_layers": 1,
    "n_heads": 2,
    "d_model": 8,
    "max_epochs": 1,
    "random_state": 0,
}
FORECASTERS = {
    "classical": LinearAttentionVAR(2, horizon=3, n_layers=0),
    "tracking_rows": LinearAttentionVAR(
        2, tracking_rows=6, early_stopping=False, **SMALL
    ),
    "samovar": SAMoVARForecaster(6, **SMALL),
    "aaren": AarenForecaster(6, **SMALL),
    "linear transformer": LinearTransformerForecaster(6, **SMALL),
    "itransformer": ITransformerForecaster(6, **SMALL),
    "informer": InformerForecaster(6, **SMALL),
}


def autoregressions(n_rows, seed=0):
    """Three series in units of their own, the second of which follows the first."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n_rows, 3))
    for t in range(1, n_rows):
        values[t] += 0.6 * values[t - 1]
        values[t, 1] += 0.4 * values[t - 1, 0]
    index = pd.date_range("2024-01-01", periods=n_rows, freq="D")
    return pd.DataFrame(values * [1, 10, 100] + 5, index, [*"abc"])


def with_gaps(table, share=0.2, seed=0):
    missing = np.random.default_rng(seed).random(table.shape) < share
    return table.mask(missing)


WHOLE = autoregressions(150)
TABLE = with_gaps(WHOLE)
# The first row that is held out.
SPLIT = len(TABLE) - round(0.15 * len(TABLE))


@functools.cache
def fitted_once(name):
    """Shared by tests, which must not change it."""
    return FORECASTERS[name].clone().fit(TABLE)


@pytest.fixture(params=FORECASTERS)
def fitted(request):
    return fitted_once(request.param)


def filled_by_hand(forecaster, table, learned=TABLE):
    """A table in original units whose gaps are filled as those of rows learned from."""
    mean, scale = forecaster.scaler_.mean_, forecaster.scaler_.scale_
    history = ((learned - mean) / scale).to_numpy()
    weights = fill_weights([history], forecaster.lags)
    filled = fill(((table - mean) / scale).to_numpy(), weights)
    return pd.DataFrame(filled * scale + mean, table.index, table.columns)


def assert_close(ours, theirs, atol=1e-4):
    """Up to float32, in units of the series."""
    scale = [1, 10, 100]
    np.testing.assert_allclose(ours / scale, np.asarray(theirs) / scale, atol=atol)


def test_forecasts_of_gaps_are_those_of_filled_tables(fitted):
    later = with_gaps(autoregressions(40, seed=1), 0.4)
    later.iloc[:3] = np.nan
    later.iloc[20:30] = np.nan
    filled = filled_by_hand(fitted, later)
    assert filled.notna().all(axis=None)
    expected = fitted.rolling_forecast(filled)
    assert_close(fitted.rolling_forecast(later), expected)
    assert_close(fitted.predict(later), expected[-1])
    assert_close(fitted.var_matrices(later), fitted.var_matrices(filled))


def test_units_are_those_of_observed_values_that_are_not_held_out(fitted):
    holds_out = fitted.early_stopping and fitted.n_layers
    seen = TABLE[:SPLIT] if holds_out else TABLE
    np.testing.assert_allclose(fitted.scaler_.mean_, np.nanmean(seen, axis=0))
    np.testing.assert_allclose(fitted.scaler_.scale_, np.nanstd(seen, axis=0))


@pytest.mark.parametrize("name", ["samovar", "aaren", "itransformer"])
def test_rows_held_out_decide_on_nothing_but_when_training_stops(name):
    """Neither on units nor on fills nor on effects of covariates."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=len(TABLE)), TABLE.index, ["x"])
    other = TABLE.copy()
    other.iloc[SPLIT:] = 100 * TABLE.iloc[SPLIT:] ** 2
    forecaster = FORECASTERS[name].clone().set_params(static_path=None)
    curves, scores = set(), set()
    for table in (TABLE, other):
        fitted = forecaster.clone().fit(table, X)
        curves.add(tuple(fitted.loss_curve_))
        scores.add(tuple(fitted.validation_scores_))
    assert len(curves) == 1
    assert len(scores) == 2


def masked_errors(forecaster, filled, first, stop, horizon):
    """Mean squared errors over observed entries in futures that begin in some rows.

    All together and window by window, in standardised units.
    """
    scale, sums, counts = forecaster.scaler_.scale_, [], []
    lags = forecaster.network_.lags
    forecasts = forecaster.rolling_forecast(filled)[:, :horizon]
    for start in range(first, stop - horizon + 1):
        truth = TABLE.to_numpy()[start : start + horizon]
        squares = np.square((forecasts[start - lags] - truth) / scale)
        sums.append(np.nansum(squares))
        counts.append(np.isfinite(squares).sum())
    return sum(sums) / sum(counts), np.divide(sums, counts).mean()


@pytest.mark.parametrize(
    "forecaster",
    [
        LinearAttentionVAR(2, **SMALL),
        ITransformerForecaster(6, static_path=None, dropout=0.0, **SMALL),
        InformerForecaster(6, static_path=None, dropout=0.0, **SMALL),
    ],
    ids=["linear", "itransformer", "informer"],
)
def test_losses_and_scores_are_over_observed_entries(forecaster):
    """Of a network that stands still, in a batch that holds all windows."""
    still = forecaster.clone().set_params(learning_rate=0.0, batch_size=1000)
    horizon = 1 if isinstance(still, LinearAttentionVAR) else 3
    still.fit(TABLE)
    filled = filled_by_hand(still, TABLE, TABLE[:SPLIT])
    _, score = masked_errors(still, filled, SPLIT, len(TABLE), horizon)
    if horizon == 3:
        assert -still.validation_scores_[0] == pytest.approx(score, rel=1e-4)
        loss, _ = masked_errors(still, filled, still.lags, SPLIT, horizon)
        assert still.loss_curve_[0] == pytest.approx(loss, rel=1e-4)
    # Closed forms are solved anew after training; without validation they are not.
    still.set_params(early_stopping=False).fit(TABLE)
    filled = filled_by_hand(still, TABLE)
    loss, _ = masked_errors(still, filled, still.lags, len(TABLE), horizon)
    assert still.loss_curve_[0] == pytest.approx(loss, rel=1e-4)


def test_filled_values_do_not_respond_in_a_var():
    """Normal equations of least squares on the rows that have a target."""
    forecaster = LinearAttentionVAR(2, n_layers=0, alpha=0.0).fit(TABLE)
    filled = filled_by_hand(forecaster, TABLE).to_numpy()
    design = np.hstack([filled[1:-1], filled[:-2], np.ones((len(filled) - 2, 1))])
    for j, name in enumerate(TABLE):
        target = TABLE[name].to_numpy()[2:]
        seen = np.isfinite(target)
        coef = np.linalg.lstsq(design[seen], target[seen], rcond=None)[0]
        unit = forecaster.scaler_.scale_ / forecaster.scaler_.scale_[j]
        ours = np.hstack(forecaster.coef_)[j] * np.tile(unit, 2)
        np.testing.assert_allclose(ours, coef[:-1] * np.tile(unit, 2), atol=1e-4)


@pytest.mark.parametrize("history", [WHOLE, TABLE], ids=["whole", "gaps"])
@pytest.mark.parametrize("name", FORECASTERS)
def test_streams_updates_and_tables_agree(name, history):
    forecaster = FORECASTERS[name].clone().fit(history)
    later = with_gaps(autoregressions(162, seed=2), 0.4)[150:]
    later.iloc[3:6] = np.nan
    expected = forecaster.rolling_forecast(pd.concat([history, later]))[-len(later) :]
    stream, updated = forecaster.stream(), copy.deepcopy(forecaster)
    for i, row in enumerate(later.to_numpy()):
        assert_close(stream.push(row), expected[i])
        updated.update(later[i : i + 1], update_params=False)
        assert_close(updated.predict([1, 2, 3]), expected[i])


def test_fills_follow_the_rows_learned_from():
    """Also where later rows, which are other, came before the first gap."""
    forecaster = LinearAttentionVAR(2, horizon=3, n_layers=0).fit(WHOLE)
    longer = autoregressions(300)
    longer[150::2] *= -3
    longer.iloc[-1] = np.nan
    expected = copy.deepcopy(forecaster).rolling_forecast(longer)[-1]
    forecaster.update(longer[150:], update_params=False)
    assert_close(forecaster.predict([1, 2, 3]), expected, 1e-8)


def test_streams_do_not_follow_updates():
    forecaster = LinearAttentionVAR(2, n_layers=0).fit(WHOLE)
    stream, apart = forecaster.stream(), copy.deepcopy(forecaster).stream()
    forecaster.update(WHOLE[::-1].set_axis(WHOLE.index), update_params=False)
    row = np.array([1.0, np.nan, np.nan])
    np.testing.assert_array_equal(stream.push(row), apart.push(row))


def test_updates_learn_like_fits():
    """Closed forms and fills know nothing of when rows came."""
    expected = LinearAttentionVAR(2, n_layers=0).fit(TABLE)
    specification = state_of(expected).model.specification
    schema, units = Schema.of(TABLE, None, None, None), {None: expected.scaler_}
    history, end = History.start(schema, TABLE[:100], None), TABLE.index[99]
    updated = ForecasterState.learned(specification, history, end, units=units)
    updated = updated.append(TABLE[100:], None, TABLE.index[-1])
    updated = updated.learn_again(specification).single
    found, rows = updated.average_matrices[0], len(TABLE) + np.arange(2)
    np.testing.assert_allclose(found, expected.coef_, rtol=1e-8)
    ahead = updated.forecast_rows(rows, None)
    np.testing.assert_allclose(ahead, expected.predict([1, 2]))


@pytest.mark.parametrize("name", ["tracking_rows", "samovar", "aaren", "itransformer"])
@given(cut=st.integers(10, 29), share=st.sampled_from([0.0, 0.5, 1.0]))
@settings(max_examples=10, deadline=None)
def test_forecasts_know_nothing_of_later_rows(name, cut, share):
    forecaster = fitted_once(name)
    table = with_gaps(autoregressions(30, seed=3), 0.3)
    changed = table.copy()
    changed[cut:] = with_gaps(autoregressions(30 - cut, seed=4), share).to_numpy()
    n_before = cut - forecaster.network_.lags + 1
    ours, theirs = (forecaster.rolling_forecast(t)[:n_before] for t in (table, changed))
    assert_close(ours, theirs, 1e-5)


def test_residuals_are_missing_where_values_are(fitted):
    residuals = fitted.predict_residuals()
    assert residuals.isna().equals(TABLE.isna())
    rolled = fitted.rolling_forecast(filled_by_hand(fitted, TABLE))[:-1, 0]
    expected = TABLE[fitted.network_.lags :] - rolled
    known = expected.notna().to_numpy()
    ours = residuals[fitted.network_.lags :].to_numpy() / [1, 10, 100]
    theirs = expected.to_numpy() / [1, 10, 100]
    np.testing.assert_allclose(ours[known], theirs[known], atol=1e-4)


@pytest.mark.parametrize("name", ["classical", "samovar"])
def test_sigma_u_is_over_pairs_of_observed_errors(name):
    forecaster = fitted_once(name)
    lags = forecaster.lags
    filled = filled_by_hand(forecaster, TABLE)
    errors = TABLE[lags:] - forecaster.rolling_forecast(filled)[:-1, 0]
    expected = np.empty((3, 3))
    for i, j in np.ndindex(3, 3):
        products = errors.iloc[:, i] * errors.iloc[:, j]
        expected[i, j] = products.dropna().mean()
    n_coef = forecaster.evidence_.n_coefficients if name == "classical" else 0
    expected *= len(errors) / (len(errors) - n_coef)
    np.testing.assert_allclose(forecaster.sigma_u_, expected, rtol=1e-3)
    estimate = forecaster.var_coefficients()
    np.testing.assert_array_equal(estimate.sigma_u, forecaster.sigma_u_)
    assert estimate.irf(4, impact="cholesky").notna().all(axis=None)


def test_comparison_is_over_observed_entries():
    forecaster, later = fitted_once("classical"), with_gaps(autoregressions(60, 5))
    rolled = forecaster.rolling_forecast(filled_by_hand(forecaster, later))[:-1, 0]
    errors = ((later[2:] - rolled) / forecaster.scaler_.scale_).to_numpy()
    row = forecaster.compare_with_ols(later).loc["LinearAttentionVAR"]
    assert row["mse"] == pytest.approx(np.nanmean(errors**2))
    assert row["mae"] == pytest.approx(np.nanmean(np.abs(errors)))


def test_token_matrices_of_gaps_are_those_of_filled_tables():
    forecaster, later = fitted_once("samovar"), with_gaps(autoregressions(12, 6))
    filled = filled_by_hand(forecaster, later)
    ours, theirs = (forecaster.token_var_matrices(table) for table in (later, filled))
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    paths = [
        forecaster.influence_paths(table, n_strongest=1) for table in (later, filled)
    ]
    pd.testing.assert_frame_equal(*paths, rtol=1e-3)


def loop_score(forecaster, truth, filled):
    squares, forecasts = [], forecaster.rolling_forecast(filled)
    for i in range(len(truth) - forecaster.network_.lags - 2):
        start = i + forecaster.network_.lags
        squares.append(np.square(truth[start : start + 3] - forecasts[i]))
    return -np.nanmean(squares)


@scaled_before
def test_rolling_score_is_over_observed_entries():
    forecaster, later = fitted_once("classical"), with_gaps(autoregressions(60, 7))
    expected = loop_score(
        forecaster, later.to_numpy(), filled_by_hand(forecaster, later)
    )
    assert rolling_score(forecaster, later) == pytest.approx(expected)
    pipeline = make_pipeline(StandardScaler(), FORECASTERS["classical"].clone())
    pipeline.fit(TABLE)
    assert rolling_score(pipeline, later) == pytest.approx(expected)
    later[2:] = np.nan
    with pytest.raises(ValueError, match="Y has no value after its first window"):
        rolling_score(forecaster, later)


@pytest.mark.parametrize("name", FORECASTERS)
def test_stretches_without_values(name):
    """At the start, in the middle, at the end, and all but one value."""
    table = WHOLE.copy()
    table.iloc[:60, 0] = table.iloc[60:110, 1] = np.nan
    table.iloc[1:, 2] = np.nan
    table.iloc[140:] = np.nan
    forecaster = FORECASTERS[name].clone().fit(table)
    assert np.isfinite(forecaster.predict([-140, 0, 1, 7])).all(axis=None)
    assert np.isfinite(forecaster.rolling_forecast(table)).all()


def test_errors():
    forecaster = LinearAttentionVAR(2, n_layers=0)
    with pytest.raises(ValueError, match=r"y has no value in column\(s\) \['b'\]"):
        forecaster.fit(WHOLE.assign(b=np.nan))
    panel = pd.concat({"u": WHOLE, "v": WHOLE.assign(c=np.nan)}, names=["i", "t"])
    with pytest.raises(ValueError, match=r"instance 'v' of y has no value.*\['c'\]"):
        forecaster.fit(panel)
    with pytest.raises(ValueError, match=r"y holds inf.*\['a'\].*NaN where they are"):
        forecaster.fit(TABLE.assign(a=np.inf))
    forecaster.fit(TABLE)
    with pytest.raises(ValueError, match="row holds inf"):
        forecaster.stream().push([np.inf, 0, np.nan])
    with pytest.raises(ValueError, match="Y holds inf"):
        forecaster.rolling_forecast(TABLE.assign(a=-np.inf))


def test_rows_without_values_move_the_cutoff(fitted):
    forecaster = copy.deepcopy(fitted)
    later = pd.DataFrame(
        np.nan, pd.date_range(TABLE.index[-1], periods=5, freq="D")[1:], TABLE.columns
    )
    forecaster.update(later, update_params=False)
    assert forecaster.cutoff[0] == later.index[-1]
    longer = filled_by_hand(fitted, pd.concat([TABLE, later]))
    assert_close(forecaster.predict([1, 2, 3]), fitted.predict(longer))


def test_nothing_is_held_out_where_nothing_was_observed():
    table = WHOLE.copy()
    table[SPLIT:] = np.nan
    still = ITransformerForecaster(6, static_path=None, **SMALL)
    blind = still.clone().set_params(early_stopping=False).fit(table)
    still.fit(table)
    assert still.validation_scores_ == []
    np.testing.assert_array_equal(still.loss_curve_, blind.loss_curve_)
    pd.testing.assert_frame_equal(still.predict([1, 2]), blind.predict([1, 2]))
    # What has a closed form is left with that.
    linear = LinearAttentionVAR(2, **SMALL).fit(table)
    classical = LinearAttentionVAR(2, n_layers=0).fit(table)
    np.testing.assert_allclose(linear.coef_, classical.coef_, atol=1e-4)
    assert SAMoVARForecaster(6, **SMALL).fit(table).network_.static_only
    # One value is enough to score.
    table.iloc[-1, 0] = 5.0
    scores = still.fit(table).validation_scores_
    assert len(scores) == 2
    assert np.isfinite(scores).all()


def test_panels_are_filled_with_one_set_of_weights():
    """Instances of the same content are filled alike, whatever the others are."""
    other = autoregressions(80, seed=8)
    panel = pd.concat({"u": TABLE, "v": other}, names=["i", "t"])
    forecaster = LinearAttentionVAR(2, horizon=3, n_layers=0).fit(panel)
    units = {key: (t.mean(), t.std(ddof=0)) for key, t in (("u", TABLE), ("v", other))}
    rows = [
        ((table - units[key][0]) / units[key][1]).to_numpy()
        for key, table in (("u", TABLE), ("v", other))
    ]
    mean, scale = (part.to_numpy() for part in units["u"])
    ours = forecaster.instance("u").rolling_forecast(TABLE)
    assert_close(forecaster.predict([1, 2, 3]).loc["u"], ours[-1])
    # Blocks left out depend on the order of instances, which content decides.
    errors = []
    for weights in (fill_weights(rows, 2), fill_weights(rows[::-1], 2)):
        filled = fill(rows[0], weights) * scale + mean
        expected = forecaster.instance("u").rolling_forecast(filled)
        errors.append(np.abs((ours - expected) / scale).max())
    assert min(errors) < 1e-8
    backwards = LinearAttentionVAR(2, horizon=3, n_layers=0).fit(panel.loc[["v", "u"]])
    again = backwards.predict([1, 2, 3]).loc[["u", "v"]]
    pd.testing.assert_frame_equal(again, forecaster.predict([1, 2, 3]))


def test_covariance_of_pairs_that_contradict_each_other_is_one():
    rng = np.random.default_rng(0)
    pairs = {(0, 1): 1.0, (1, 2): 1.0, (0, 2): -1.0}
    errors = np.full((300, 3), np.nan)
    for start, ((i, j), sign) in zip((0, 100, 200), pairs.items(), strict=True):
        errors[start : start + 100, i] = rng.normal(size=100)
        errors[start : start + 100, j] = sign * errors[start : start + 100, i]
    products = np.nanmean(errors[:, :, np.newaxis] * errors[:, np.newaxis], axis=0)
    assert np.linalg.eigvalsh(products)[0] < -0.5
    nearest = covariance(errors, 0)
    gap = nearest - products
    # The nearest in the norm of Frobenius leaves what it took away at a right angle.
    assert np.linalg.eigvalsh(nearest)[0] > -1e-12
    assert abs(np.sum(gap * nearest)) < 1e-9

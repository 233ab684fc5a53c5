"""What the forecasters compute, on real and simulated data."""

import pickle
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from contracts import ABOUT_TIMES, checks_of_sktime
from scipy.signal import lfilter
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from sktime.datasets import load_macroeconomic
from sktime.forecasting.base import ForecastingHorizon
from sktime.utils.estimator_checks import check_estimator
from statsmodels.tsa.api import VAR

from skvar import (
    AarenForecaster,
    InformerForecaster,
    ITransformerForecaster,
    LinearAttentionVAR,
    LinearTransformerForecaster,
    SAMoVARForecaster,
    rolling_score,
)
from skvar._forecasting.forecaster import state_of
from skvar._models.estimation import BesideStaticPath
from skvar._models.families import SAMoVARSpecification
from skvar._models.rows import Rows
from skvar._training import inference
from skvar.datasets import make_drifting_var, make_switching_var, make_var
from skvar.nn import SAMoVAR, StaticPath

CPU = torch.device("cpu")


FAMILIES = [
    LinearAttentionVAR,
    SAMoVARForecaster,
    AarenForecaster,
    InformerForecaster,
    ITransformerForecaster,
    LinearTransformerForecaster,
]


# sktime's own code meets this deprecation of pandas.
@pytest.mark.filterwarnings("ignore:Sorting by default when concatenating")
@pytest.mark.filterwarnings("ignore:Forecasters' predict_proba requires skpro")
@pytest.mark.parametrize(
    ("obj", "test_name"), list(checks_of_sktime(FAMILIES, in_full=FAMILIES[:1]))
)
def test_sktime_contract(obj, test_name):
    if test_name in ABOUT_TIMES:
        # No network knows of them.
        obj = obj(3, n_layers=0)
    elif obj in FAMILIES[3:]:
        # They differ from the others by their networks alone.
        obj = obj(**obj.get_test_params()[0])
    check_estimator(obj, tests_to_run=test_name, raise_exceptions=True, verbose=False)


def test_families_without_layers_are_one(us_change):
    expected = SMALL["static"].clone().fit(us_change).predict()
    for family in FAMILIES[1:]:
        forecaster = family(8, horizon=4, n_layers=0, static_path="auto")
        found = forecaster.fit(us_change).predict()
        pd.testing.assert_frame_equal(found, expected, check_exact=True)


SMALL = {
    "classical": LinearAttentionVAR(2, horizon=4, n_layers=0),
    "dynamic": LinearAttentionVAR(2, horizon=4, max_epochs=3, random_state=0),
    "static": SAMoVARForecaster(8, horizon=4, n_layers=0),
    "samovar": SAMoVARForecaster(
        8, horizon=4, n_layers=2, d_model=16, max_epochs=2, random_state=0
    ),
    "linear transformer": LinearTransformerForecaster(
        8, horizon=4, d_model=16, max_epochs=2, random_state=0
    ),
    "itransformer": ITransformerForecaster(
        8, horizon=4, d_model=16, max_epochs=2, random_state=0
    ),
    "informer": InformerForecaster(  # 3 of 8 queries attend
        8, horizon=4, factor=1, d_model=16, max_epochs=2, random_state=0
    ),
    "aaren": AarenForecaster(
        8, horizon=4, d_model=16, max_epochs=2, static_path=None, random_state=0
    ),
    "mixed aaren": AarenForecaster(
        8,
        horizon=4,
        token_length=3,
        n_layers=1,
        d_model=16,
        max_epochs=2,
        early_stopping=False,
        random_state=0,
    ),
}


@pytest.fixture(scope="module", params=SMALL)
def fitted(request, us_change):
    return SMALL[request.param].clone().fit(us_change)


def simulate(matrices, n_rows, seed, sign_series=None, burn=200):
    """VAR with unit shocks; ``sign_series`` flips the matrices with its last sign."""
    rng = np.random.default_rng(seed)
    order, n_series = len(matrices), matrices[0].shape[0]
    values = np.zeros((n_rows + burn, n_series))
    for t in range(order, len(values)):
        mean = sum(matrices[lag] @ values[t - 1 - lag] for lag in range(order))
        if sign_series is not None:
            mean = mean * np.sign(values[t - 1, sign_series])
        values[t] = mean + rng.normal(size=n_series)
    return values[burn:]


def one_step_errors(forecaster, train, test):
    """Mean squared one-step test errors of OLS, by statsmodels, and a forecaster."""
    lags = forecaster.lags
    ols = VAR(train).fit(lags, trend="c")
    table = np.concatenate([train[-lags:], test])
    windows = np.lib.stride_tricks.sliding_window_view(table[:-1], lags, axis=0)
    forecasts = ols.intercept + np.einsum(
        "loi,wil->wo", ols.coefs, windows[..., ::-1], optimize=True
    )
    ours = -rolling_score(forecaster.fit(train), table)
    return np.square(forecasts - test).mean(), ours


@pytest.mark.parametrize("alpha", [0.0, 1e-12])
@pytest.mark.parametrize("levels", [False, True])
def test_without_penalty_depth_zero_is_ols(alpha, levels, us_change):
    table = us_change
    if levels:
        table = load_macroeconomic()[["realgdp", "realcons", "realinv", "cpi"]]
    ols = VAR(table).fit(3, trend="c")
    ours = LinearAttentionVAR(3, n_layers=0, alpha=alpha).fit(table)
    np.testing.assert_allclose(ours.coef_, ols.coefs, atol=1e-6)
    np.testing.assert_allclose(ours.intercept_, ols.intercept, rtol=1e-6, atol=1e-6)
    steps = ours.predict(fh=range(1, 9))
    expected = ols.forecast(table.to_numpy()[-3:], 8)
    np.testing.assert_allclose(steps, expected, rtol=1e-6, atol=1e-6)


def test_static_var_is_learned_as_well_as_by_ols():
    rng = np.random.default_rng(0)
    matrices = [0.5 * np.eye(5) + 0.1 * rng.normal(size=(5, 5)), 0.2 * np.eye(5)]
    values = simulate(matrices, 8000, seed=1)
    train, test = values[:3000], values[3000:]
    ols, ours = one_step_errors(LinearAttentionVAR(2, random_state=0), train, test)
    assert ours <= 1.01 * ols


def test_sign_switching_var_is_learned_better_than_by_ols():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(3, 3))
    matrix *= 0.9 / np.linalg.norm(matrix, 2)
    values = simulate([matrix], 11_000, seed=1, sign_series=0)
    train, test = values[:6000], values[6000:]
    ols, ours = one_step_errors(LinearAttentionVAR(1, random_state=0), train, test)
    assert ours <= 0.82 * ols


def rolling_ols(values, rows, window):
    """One-step forecasts of rows from least squares on the window before each."""
    forecasts = []
    for row in rows:
        past = values[row - window - 1 : row]
        lagged = np.column_stack([past[:-1], np.ones(window)])
        coef = np.linalg.lstsq(lagged, past[1:], rcond=None)[0]
        forecasts.append(values[row - 1] @ coef[:-1] + coef[-1])
    return np.stack(forecasts)


@pytest.mark.parametrize("kind", ["drift", "markov"])
def test_moving_matrices_are_followed_better_than_by_rolling_ols(kind):
    if kind == "drift":
        made = make_drifting_var(4500, period=2000, random_state=1)
    else:
        made = make_switching_var(4500, persistence=0.99, random_state=1)
    values = made.series.to_numpy()
    forecaster = LinearAttentionVAR(1, tracking_rows=256, max_epochs=10, random_state=0)
    forecaster.fit(values[:3000])
    table = values[3000 - forecaster.network_.lags : -1]
    forecasts = forecaster.rolling_forecast(table)[:, 0]
    rows = range(3000, 4500)
    rolled = [rolling_ols(values, rows, window) for window in (50, 100, 150, 200)]

    def gap(forecasts):
        """What is lost against the oracle."""
        errors = np.square(forecasts - values[3000:]).mean()
        return errors - np.square(made.mean[3000:] - values[3000:]).to_numpy().mean()

    assert gap(forecasts) < 0.7 * min(map(gap, rolled))
    matrices = forecaster.var_matrices(table)[:, 0]
    static = VAR(values[:3000]).fit(1).coefs[0]
    distance, distance_of_ols = (
        np.linalg.norm(one - made.matrices[3000:, 0], axis=(1, 2)).mean()
        for one in (matrices, static)
    )
    assert distance < 0.5 * distance_of_ols


def test_tracked_rows_are_part_of_the_window(us_change):
    forecaster = LinearAttentionVAR(
        2,
        tracking_rows=10,
        horizon=3,
        max_epochs=2,
        early_stopping=False,
        random_state=0,
    ).fit(us_change)
    assert forecaster.coef_.shape == (2, 5, 5)
    matrices, offsets = forecaster.var_matrices(us_change, return_intercept=True)
    assert len(matrices) == len(us_change) - 11
    values = us_change.to_numpy()
    recent = np.stack([values[11:], values[10:-1]], axis=1)
    rebuilt = offsets + np.einsum("wloi,wli->wo", matrices, recent)
    forecasts = forecaster.rolling_forecast(us_change)[:, 0]
    assert (np.abs(rebuilt - forecasts) / np.abs(values).max(axis=0)).max() < 1e-5
    ahead = forecaster.predict(us_change)
    pd.testing.assert_frame_equal(ahead, forecaster.predict(us_change[-12:]))
    stream = forecaster.stream()
    pushed = stream.push(us_change.iloc[-1].to_numpy())
    longer = np.concatenate([us_change, us_change[-1:]])
    np.testing.assert_allclose(pushed, forecaster.predict(longer), rtol=1e-5)
    with pytest.raises(ValueError, match="windows of 12"):
        forecaster.predict(us_change[:11])
    with pytest.raises(ValueError, match="tracking_rows=200"):
        forecaster.clone().set_params(tracking_rows=200).fit(us_change)
    with pytest.raises(ValueError, match="tracking_rows"):
        forecaster.clone().set_params(tracking_rows=-1).fit(us_change)
    classical = (
        forecaster.clone().set_params(tracking_rows=200, n_layers=0).fit(us_change)
    )
    expected = LinearAttentionVAR(2, n_layers=0).fit(us_change).coef_
    np.testing.assert_array_equal(classical.coef_, expected)


def test_outliers_do_not_own_the_matrices():
    values = (
        make_drifting_var(1500, period=500, random_state=0).series.to_numpy().copy()
    )
    forecaster = LinearAttentionVAR(
        1, tracking_rows=100, max_epochs=5, early_stopping=False, random_state=0
    ).fit(values)
    usual = np.abs(forecaster.var_matrices(values)).max()
    values[1400] *= 1e6
    assert np.abs(forecaster.var_matrices(values)).max() < 3 * usual


@pytest.mark.parametrize("n_steps", range(1, 41))
def test_any_number_of_steps_trains(n_steps):
    values = np.random.default_rng(0).normal(size=(n_steps + 1, 2))
    forecaster = LinearAttentionVAR(
        1, max_epochs=1, batch_size=1, d_model=2, n_heads=1, early_stopping=False
    )
    forecaster.set_params(alpha=0.1, random_state=0).fit(values)
    assert len(forecaster.loss_curve_) == 1


def test_forecast_is_intercept_plus_matrices_for_every_window(us_change):
    for lags, n_layers in [(1, 1), (4, 1), (4, 2)]:
        forecaster = LinearAttentionVAR(
            lags, n_layers=n_layers, max_epochs=4, early_stopping=False, random_state=0
        )
        forecaster.fit(us_change)
        matrices, intercepts = forecaster.var_matrices(us_change, return_intercept=True)
        windows = np.lib.stride_tricks.sliding_window_view(us_change, lags, axis=0)
        newest_first = windows[..., ::-1]
        rebuilt = intercepts + np.einsum("wloi,wil->wo", matrices, newest_first)
        forecasts = forecaster.rolling_forecast(us_change)[:, 0]
        scale = np.abs(us_change.to_numpy()).max(axis=0)
        assert (np.abs(rebuilt - forecasts) / scale).max() < 1e-5
        assert np.ptp(matrices, axis=0).max() > 1e-3
        np.testing.assert_allclose(matrices[:-1].mean(axis=0), forecaster.coef_)
        np.testing.assert_allclose(intercepts[:-1].mean(axis=0), forecaster.intercept_)


@pytest.mark.parametrize(
    "name",
    [
        "samovar",
        "linear transformer",
        "itransformer",
        "informer",
        "aaren",
        "mixed aaren",
    ],
)
def test_coef_is_the_average_finite_difference(name, us_change):
    forecaster = SMALL[name].clone().fit(us_change)
    # In double precision steps may be so small that Informer's forecasts do not jump:
    # they do where another query begins to attend.
    forecaster.network_.double()
    windows = np.lib.stride_tricks.sliding_window_view(us_change[:-1], 8, axis=0)
    windows = windows.swapaxes(1, 2)
    step = 1e-6 * us_change.std().to_numpy()
    slopes = np.zeros((8, 5, 5))
    for window in windows[::40]:
        for lag in range(8):
            for cause in range(5):
                ends = []
                for sign in (-1, 1):
                    nudged = window.copy()
                    nudged[7 - lag, cause] += sign * step[cause]
                    ends.append(forecaster.predict(nudged)[0])
                slopes[lag, :, cause] += (ends[1] - ends[0]) / (2 * step[cause])
    slopes /= len(windows[::40])
    all_matrices = forecaster.var_matrices(us_change[:-1])
    matrices = all_matrices[::40].mean(axis=0)
    relative = us_change.std().to_numpy() / us_change.std().to_numpy()[:, np.newaxis]
    assert np.abs((matrices - slopes) * relative).max() < 1e-7
    np.testing.assert_allclose(all_matrices.mean(axis=0), forecaster.coef_, rtol=1e-6)


def test_mixed_horizons_agree_with_single_ones(fitted, us_change):
    fh = [-30, -1, 0, 1, 4, 5, 9]
    together = fitted.predict(fh)
    assert list(together.index) == [us_change.index[-1] + step for step in fh]
    for step in fh:
        single = fitted.predict([step])
        np.testing.assert_allclose(
            single, together.loc[single.index], rtol=1e-5, atol=1e-6
        )
    absolute = ForecastingHorizon(together.index, is_relative=False)
    pd.testing.assert_frame_equal(fitted.predict(absolute), together)


def test_in_sample_forecasts_see_the_past_only(fitted, us_change):
    lags = fitted.lags
    in_sample = fitted.predict(np.arange(-len(us_change) + 1, 1))
    assert np.isfinite(in_sample.to_numpy()).all()
    rolled = fitted.rolling_forecast(us_change)[:-1, 0]
    np.testing.assert_allclose(in_sample[lags:], rolled, rtol=1e-4, atol=1e-5)
    # The first row has no past: no later value may show through.
    start = in_sample.iloc[0]
    changed = fitted.clone().fit(us_change)
    state_of(changed).single.residual.values[:] += 1.0
    first_row = changed.predict([-len(us_change) + 1]).iloc[0]
    np.testing.assert_allclose(first_row, start, rtol=1e-5)


def test_recursion_continues_the_window(fitted, us_change):
    long = fitted.predict(range(1, 13))
    for n_known in (4, 8):
        extended = pd.concat([us_change, long.iloc[:n_known]])
        again = fitted.predict(extended)
        expected = long.iloc[n_known : n_known + 4]
        np.testing.assert_allclose(again, expected, rtol=1e-4, atol=1e-5)


def test_predict_after_a_table_keeps_the_container(fitted, us_change):
    expected = fitted.predict(range(1, 5))
    pd.testing.assert_frame_equal(fitted.predict(us_change), expected)
    values = fitted.predict(us_change.to_numpy())
    assert isinstance(values, np.ndarray)
    np.testing.assert_allclose(values, expected)
    shorter = fitted.predict(us_change.iloc[-20:])
    if isinstance(fitted, AarenForecaster):
        assert not np.allclose(shorter, expected)  # it sees all rows
        pd.testing.assert_index_equal(shorter.index, expected.index)
    else:
        pd.testing.assert_frame_equal(shorter, expected)


@pytest.mark.parametrize("kind", ["range", "datetime", "period", "array"])
def test_univariate_and_index_kinds(kind, us_change):
    series = us_change["Consumption"]
    if kind == "range":
        series = series.reset_index(drop=True)
    elif kind == "datetime":
        series = series.to_timestamp()
    elif kind == "array":
        series = series.to_numpy()
    forecaster = LinearAttentionVAR(2, n_layers=0, horizon=3).fit(series)
    ahead = forecaster.predict([1, 2, 3])
    after = forecaster.predict(series if kind != "array" else series.reshape(-1, 1))
    assert type(ahead) is type(series)
    if kind == "array":
        np.testing.assert_allclose(np.ravel(ahead), np.ravel(after))
    else:
        pd.testing.assert_series_equal(ahead, after, check_freq=False)


def test_update_without_parameters_moves_the_window(fitted, us_change):
    forecaster = fitted.clone().fit(us_change[:150])
    before = {k: v.clone() for k, v in forecaster.network_.state_dict().items()}
    forecaster.update(us_change[150:170], update_params=False)
    after = forecaster.network_.state_dict()
    assert all((before[name] == after[name]).all() for name in before)
    assert forecaster.cutoff[0] == us_change.index[169]
    expected = forecaster.predict(us_change[:170])
    pd.testing.assert_frame_equal(forecaster.predict(range(1, 5)), expected)


def test_update_with_parameters_learns_from_all_rows(us_change):
    forecaster = LinearAttentionVAR(2, n_layers=0, alpha=1e-10).fit(us_change[:100])
    forecaster.update(us_change[100:])
    ols = VAR(us_change).fit(2, trend="c")
    np.testing.assert_allclose(forecaster.coef_, ols.coefs, atol=1e-5)

    forecaster = SMALL["dynamic"].clone().set_params(early_stopping=False)
    forecaster.fit(us_change[:150])
    first = forecaster.loss_curve_[0]
    forecaster.update(us_change[150:])
    assert forecaster.loss_curve_[0] < first
    assert forecaster.n_features_in_ == 5


def test_update_replaces_revised_rows(us_change):
    forecaster = SMALL["classical"].clone().fit(us_change)
    revised = us_change.iloc[-3:] + 1.0
    forecaster.update(revised, update_params=False)
    table = pd.concat([us_change.iloc[:-3], revised])
    pd.testing.assert_frame_equal(
        forecaster.predict(range(1, 5)), forecaster.predict(table)
    )


def test_update_with_arrays_continues_in_time(us_change):
    values = us_change.to_numpy()
    forecaster = SMALL["classical"].clone().fit(values[:150])
    forecaster.update(values[150:160], update_params=False)
    forecaster.update(values[160:161], update_params=False)
    assert forecaster.cutoff[0] == 160
    np.testing.assert_allclose(
        forecaster.predict(range(1, 5)), forecaster.predict(values[:161])
    )
    assert isinstance(forecaster.predict([1]), np.ndarray)


def test_horizon_comes_from_fh_unless_given(us_change):
    forecaster = SMALL["static"].clone().set_params(horizon=None)
    assert forecaster.clone().fit(us_change).horizon_ == 1
    assert forecaster.clone().fit(us_change, fh=[2, 6]).horizon_ == 6
    assert forecaster.clone().fit(us_change, fh=[-3, 0]).horizon_ == 1
    absolute = ForecastingHorizon(us_change.index[-1:] + 3, is_relative=False)
    assert forecaster.clone().fit(us_change, fh=absolute).horizon_ == 3


def test_rolling_score_is_the_mean_over_all_windows(fitted, us_change):
    table = us_change.iloc[100:]
    errors = [
        (fitted.predict(table.iloc[:end]) - table.iloc[end : end + 4]).to_numpy()
        for end in range(fitted.lags, len(table) - 3)
    ]
    expected = -np.mean(np.square(errors))
    assert rolling_score(fitted, table) == pytest.approx(expected, rel=1e-5)
    assert rolling_score(fitted, table.to_numpy()) == pytest.approx(expected, rel=1e-5)


def test_mix_is_no_worse_than_the_static_path_on_held_out_rows(us_change, monkeypatch):
    seen = []
    fit_static_weight = StaticPath.fit_static_weight

    def spy(self, batches, stride):
        [(window, target)] = list(batches)
        fit_static_weight(self, [(window, target)], stride)
        seen.extend(
            (forecast - target).square().mean().item()
            for forecast in (self(window), self.static(window))
        )

    monkeypatch.setattr(StaticPath, "fit_static_weight", spy)
    SMALL["samovar"].clone().fit(us_change)
    mix, static = seen
    assert mix < 0.9999 * static


def random_walks(n_rows, seed):
    return np.random.default_rng(seed).normal(size=(n_rows, 3)).cumsum(axis=0)


@pytest.mark.parametrize("seed", range(3))
def test_static_path_suits_the_data(seed):
    forecaster = SAMoVARForecaster(12, horizon=6, n_layers=0)
    walks = random_walks(1500, seed)
    assert not forecaster.fit(walks).network_.is_var
    # The forecast of a random walk is its last value.
    last = walks[:300] / walks.std(axis=0)
    error = (
        forecaster.rolling_forecast(walks[:300]) / walks.std(axis=0)
        - last[11:, np.newaxis]
    )
    assert np.abs(error).max() < 0.1
    stationary = make_var(400, 3, spectral_radius=0.5, random_state=seed).series
    assert forecaster.fit(stationary).network_.is_var
    var = forecaster.network_.var
    for kind in ("ridge", "var"):
        forecaster.set_params(static_path=kind).fit(walks)
        assert forecaster.network_.is_var == (kind == "var")
    assert len(var.matrices) == 4


@pytest.mark.parametrize("lags", [24, 48])
def test_static_path_of_short_random_walks_is_the_ridge(lags):
    chosen = [
        SAMoVARForecaster(lags, horizon=4, n_layers=0)
        .fit(np.random.default_rng(seed).normal(size=(114, 6)).cumsum(axis=0))
        .network_.is_var.item()
        for seed in range(10)
    ]
    assert sum(chosen) <= 2


def test_error_of_a_var_is_that_of_explicit_windows(us_change):
    forecaster = SAMoVARForecaster(10, horizon=3, n_layers=0).fit(us_change)
    values = StandardScaler().fit_transform(us_change)
    errors = []
    for begin, end in [(10, 45), (45, 81), (81, 116), (116, 152), (152, 187)]:
        # A window forecasts its last row; rows begin to end are forecast by none.
        kept = [row for row in range(4, 187) if not begin <= row < end]
        lagged = np.array([values[row - np.arange(1, 5)].ravel() for row in kept])
        weight = np.repeat(np.arange(1, 5), 5)
        ridge = Ridge(alpha=0.2 * len(kept)).fit(lagged / weight, values[kept])
        for first in range(begin, end - 2):
            rows = list(values[first - 4 : first])
            for _ in range(3):
                past = np.concatenate(rows[:-5:-1]) / weight
                rows.append(ridge.predict(past[np.newaxis])[0])
            ahead = np.array(rows[4:])
            errors.append((begin, np.square(ahead - values[first : first + 3]).mean()))
    blocks = pd.DataFrame(errors).groupby(0).mean()
    specification = state_of(forecaster).model.specification
    estimation = BesideStaticPath(specification, Rows([values]), CPU, None, True)
    found = estimation.var_error(forecaster.network_.var, alpha=0.2)
    assert found == pytest.approx(blocks[1].mean())


def test_explosive_vars_and_tables_without_blocks_leave_the_ridge():
    rows = np.arange(60.0)[:, np.newaxis]
    explosive = 1.1**rows + 0.01 * np.random.default_rng(0).normal(size=(60, 1))
    forecaster = SAMoVARForecaster(6, horizon=2, n_layers=0)
    assert not forecaster.fit(explosive).network_.is_var
    assert forecaster.set_params(static_path="var").fit(explosive).network_.is_var
    short = np.random.default_rng(0).normal(size=(24, 4)).cumsum(axis=0)
    forecaster = SAMoVARForecaster(8, horizon=8, n_layers=0)
    assert not forecaster.fit(short).network_.is_var


def test_a_refit_that_diverges_leaves_the_first_training(us_change, monkeypatch):
    forecaster = SAMoVARForecaster(
        6, horizon=2, static_path=None, max_epochs=3, random_state=0
    )
    expected = forecaster.clone().set_params(retrain=False).fit(us_change).predict([1])
    losses, calls = SAMoVAR.losses, []

    def breaks(self, window, target):
        calls.append(len(window))
        found = losses(self, window, target)
        # 3 epochs of 154 training windows, in batches of 32.
        return found if len(calls) <= 15 else {"loss": np.nan * found["loss_forecast"]}

    monkeypatch.setattr(SAMoVAR, "losses", breaks)
    with pytest.warns(ConvergenceWarning, match="diverged"):
        forecaster.fit(us_change)
    assert len(calls) > 15
    pd.testing.assert_frame_equal(forecaster.predict([1]), expected)


def test_warm_start_obeys_centre_and_share(us_change):
    forecaster = SAMoVARForecaster(
        6, horizon=3, max_epochs=1, warm_start=True, centre_on="token", random_state=0
    ).fit(us_change)
    forecaster.set_params(centre_on="last", early_stopping=False).fit(us_change)
    assert forecaster.network_.network.centre[-1] == 1.0
    assert forecaster.network_.static_weight == 0.5


def test_windows_are_centred_where_the_future_is():
    forecaster = SAMoVARForecaster(12, horizon=3, max_epochs=1, random_state=0)
    centre = forecaster.fit(random_walks(300, 0)).network_.network.centre
    assert centre.tolist() == [0, 0, 1]
    noise = np.random.default_rng(0).normal(size=(300, 2))
    centre = forecaster.fit(noise).network_.network.centre
    assert centre.tolist() == pytest.approx([1 / 3] * 3)
    for name, expected in [("last", 1), ("token", 1 / 3)]:
        centre = (
            forecaster.set_params(centre_on=name).fit(noise).network_.network.centre
        )
        assert centre[-1] == pytest.approx(expected)


def test_refit_trains_on_all_rows_for_as_long(us_change):
    # One batch and no dropout: the order of windows does not matter.
    plain = SAMoVARForecaster(
        6,
        horizon=2,
        dropout=0.0,
        batch_size=1000,
        d_model=16,
        static_path=None,
        alpha=0.1,
        max_epochs=20,
        random_state=0,
    )
    # The rows held out have the units of the others.
    n_trained = len(us_change) - round(0.15 * len(us_change))
    units = StandardScaler().fit(us_change[:n_trained])
    last = StandardScaler().fit_transform(us_change[n_trained:])
    us_change = us_change.copy()
    us_change.iloc[n_trained:] = units.inverse_transform(last)
    refitted = plain.clone().fit(us_change)
    assert refitted.best_epoch_ > 0
    on_all = plain.clone().set_params(
        early_stopping=False, max_epochs=refitted.best_epoch_
    )
    on_all.fit(us_change)
    kept = plain.clone().set_params(retrain=False).fit(us_change)
    window = torch.randn(100, 6, 5)

    expected = on_all.network_(window)
    # AdamW's first steps are as long for gradients that are nothing but rounding.
    off = (refitted.network_(window) - expected).std()
    assert off < 0.1 * (kept.network_(window) - expected).std()


# 27 batches of 32 windows make one epoch of 850. Of 862 series, an epoch of 928 windows
# has 232 steps of 4.
@pytest.mark.parametrize(
    ("n_rows", "n_series", "epochs"),
    [(1000, 3, 12), (60, 3, 20), (20000, 3, 2), (20000, 862, 2), (400, 862, 4)],
)
def test_default_epochs_make_300_steps(n_rows, n_series, epochs):
    parameters = SAMoVARForecaster(4).get_params(deep=False)
    specification = SAMoVARSpecification.from_parameters(parameters)
    assert specification.epochs(round(0.85 * n_rows), n_series) == epochs


def test_closed_form_is_kept_on_few_rows(us_change):
    # The 8 held-out rows of 40 hold one stretch of the horizon: no evidence.
    forecaster = SAMoVARForecaster(8, horizon=8, random_state=0)
    assert forecaster.fit(us_change[:40]).network_.static_weight == 1.0


def test_random_walks_are_forecast_without_a_network():
    walks = np.random.default_rng(0).normal(size=(600, 3)).cumsum(axis=0)
    forecaster = SAMoVARForecaster(12, horizon=24, random_state=0).fit(walks)
    assert forecaster.network_weight_ == 0.0
    assert forecaster.loss_curve_ == []
    last = np.broadcast_to(walks[-1], (24, 3))
    np.testing.assert_allclose(forecaster.predict(range(1, 25)), last, atol=1e-5)
    assert "the last value: no penalty errs less" in forecaster.summary()


def test_an_untrained_network_has_no_part_in_the_mix(us_change):
    forecaster = SAMoVARForecaster(8, horizon=2, max_epochs=0, random_state=0)
    assert forecaster.fit(us_change).network_weight_ == 0.0


def test_summary_names_every_regression_of_the_mean():
    rng = np.random.default_rng(1)
    table = lfilter([1], [1, -0.8], rng.normal(size=(400, 2)), axis=0)
    forecaster = SAMoVARForecaster(
        16, horizon=2, static_path="ridge", n_layers=0, random_state=0
    )
    text = forecaster.fit(table).summary()
    lags = re.findall(r"^ +of (\d+) rows +alpha [\d.e+-]+, ", text, re.MULTILINE)
    assert f"mean of {len(lags)} direct ridges" in text
    assert len(lags) > 1
    assert set(lags) <= {"16", "8", "4", "2"}


@pytest.mark.parametrize(
    ("lags", "horizon", "sp", "rows"),
    [
        # One pass where a horizon is short.
        (48, 3, 12, 3),
        # A fourteenth of the lags, as a part or multiple of a season.
        (720, 96, 24, 48),
        (720, 96, 144, 48),
        (1344, 192, 96, 96),
        (720, 96, 1, 51),
        # At most four passes, at least four tokens.
        (720, 720, 24, 168),
        (40, 40, 7, 7),
        # Rather out of step with the season than a row in each token.
        (24, 10, 7, 6),
    ],
)
def test_default_tokens_suit_lags_horizon_and_season(lags, horizon, sp, rows):
    parameters = SAMoVARForecaster(lags, horizon=horizon, sp=sp).get_params(deep=False)
    specification = SAMoVARSpecification.from_parameters(parameters)
    table = Rows([np.zeros((lags + horizon, 1))])
    assert specification.with_lags(table, (sp,)).token_length == rows


def test_flat_series_keep_coef_bounded():
    rng = np.random.default_rng(0)
    table = np.column_stack(
        [np.where(rng.random(150) < 0.05, 5.0, 0.0), rng.normal(size=150)]
    )
    forecaster = SAMoVARForecaster(8, horizon=3, max_epochs=2, random_state=0)
    forecaster.fit(table)
    matrices = forecaster.var_matrices(table)
    flat = [i for i in range(len(matrices)) if np.ptp(table[i : i + 8, 0]) == 0]
    assert len(flat) > 10
    # Shifting the series by a thousandth of its spread moves no forecast by more.
    assert np.abs(matrices[flat]).max() < 10


@pytest.fixture
def etth1(reference_dir):
    """20 months of 30 days, standardised by the first 12; the last 4 are for tests."""
    table = pd.read_csv(reference_dir / "data" / "ETTh1.csv", index_col=0)
    values = table.to_numpy()[: 20 * 720]
    train = values[: 12 * 720]
    return (values - train.mean(axis=0)) / train.std(axis=0)


# The papers' protocol standardises the table.
@pytest.mark.filterwarnings("ignore:Every series has mean 0")
def test_etth1_closed_form_reaches_the_reference(etth1):
    forecaster = SAMoVARForecaster(720, horizon=96, n_layers=0, alpha=0.1)
    forecaster.fit(etth1[: 12 * 720])
    score = rolling_score(forecaster, etth1[16 * 720 - 720 :])
    # 0.3705 with every second training window, centred on their means.
    assert -score == pytest.approx(0.3705, abs=0.003)


def no_freq(table, freq):
    dates = pd.date_range("2000-01-31", periods=len(table), freq=freq)
    return table.set_axis(pd.DatetimeIndex(list(dates)))


@pytest.mark.parametrize("freq", ["ME", "QS", "B", "7h"])
def test_times_without_a_freq_keep_the_step_of_fit(freq, us_change):
    table = no_freq(us_change, freq)
    expected = table.index[150:153]
    forecaster = SMALL["classical"].clone().set_params(horizon=3)
    forecaster.fit(table[:140])
    for row in range(140, 150):
        forecaster.update(table[row : row + 1], update_params=False)
    ahead = forecaster.predict([1, 2, 3])
    assert list(ahead.index) == list(expected)
    after = forecaster.predict(table[148:150])
    assert list(after.index) == list(expected)
    np.testing.assert_allclose(after, ahead)
    absolute = ForecastingHorizon(expected[:1], is_relative=False)
    np.testing.assert_allclose(forecaster.predict(absolute), ahead[:1])


def test_coef_does_not_depend_on_when_it_is_read(us_change):
    trained = SMALL["dynamic"].clone().set_params(early_stopping=False)
    early, late = (trained.clone().fit(us_change[:150]) for _ in range(2))
    before = early.coef_
    for forecaster in (early, late):
        forecaster.update(us_change[150:], update_params=False)
    np.testing.assert_array_equal(early.coef_, late.coef_)
    assert np.abs(early.coef_ - before).max() > 0


def test_warm_start_takes_a_new_horizon_or_says_why_not(us_change):
    linear = SMALL["dynamic"].clone().set_params(warm_start=True).fit(us_change)
    assert len(linear.set_params(horizon=6).fit(us_change).predict(us_change)) == 6
    samovar = SMALL["samovar"].clone().set_params(warm_start=True).fit(us_change)
    with pytest.raises(ValueError, match="put lags, horizon"):
        samovar.set_params(horizon=6).fit(us_change)


@pytest.mark.parametrize("name", ["factor", "label_len", "d_ff"])
def test_warm_start_with_another_size_of_informer_says_why_not(name, us_change):
    informer = SMALL["informer"].clone().set_params(warm_start=True).fit(us_change)
    with pytest.raises(ValueError, match="put lags, .* sets a size of the network"):
        informer.set_params(**{name: 3}).fit(us_change)


def test_parameters_of_the_comparators_reach_their_networks(us_change):
    def network(name, **parameters):
        return SMALL[name].clone().set_params(**parameters).fit(us_change).network_

    informer = network("informer", factor=2, label_len=3, d_ff=24)
    assert informer.label_len == 3
    # 8 rows of history; 3 of them and the horizon of 4 in the decoder: ln 7 = 1.95.
    assert informer.encoder[0].self_attention.sample.shape == (8, 6)
    assert informer.decoder[0].self_attention.sample.shape == (7, 4)
    assert informer.decoder[0].self_attention.n_top == 4
    for layer in (informer.encoder[0], informer.decoder[0]):
        assert layer.expand.weight.shape == (24, 16)
    default = network("informer")
    assert default.label_len == 4
    assert default.encoder[0].expand.weight.shape == (64, 16)
    itransformer = network("itransformer", d_ff=24)
    assert itransformer.layers[0].linear1.weight.shape == (24, 16)
    linear = network("linear transformer", token_length=3)
    assert linear.tokens.main.weight.shape == (16, 3)


def test_parameters_changed_after_fit_wait_for_the_next_fit(us_change):
    for name in ("dynamic", "samovar"):
        forecaster = SMALL[name].clone().fit(us_change)
        before, coef = forecaster.predict([-1, 1, 9]), forecaster.coef_
        forecaster.lags, forecaster.horizon = 3, 2
        forecaster = pickle.loads(pickle.dumps(forecaster))  # drops what is cached
        pd.testing.assert_frame_equal(forecaster.predict([-1, 1, 9]), before)
        np.testing.assert_array_equal(forecaster.coef_, coef)
        assert len(forecaster.predict(us_change)) == 4
        assert rolling_score(forecaster, us_change) < 0


def test_context_of_torch_and_sklearn_does_not_matter(us_change):
    for forecaster in (SMALL["dynamic"], SMALL["samovar"]):
        expected = forecaster.clone().fit(us_change)
        with torch.no_grad(), sklearn.config_context(transform_output="pandas"):
            first = forecaster.clone().fit(us_change)
        with torch.inference_mode():
            second = forecaster.clone().fit(us_change)
            coef = second.coef_
        torch.set_default_dtype(torch.float64)
        try:
            third = forecaster.clone().fit(us_change)
            assert third.coef_.shape == coef.shape
        finally:
            torch.set_default_dtype(torch.float32)
        for other in (first, second):
            pd.testing.assert_frame_equal(other.predict([1]), expected.predict([1]))
            np.testing.assert_allclose(other.coef_, expected.coef_)


def test_threads_do_not_mix_their_seeds(us_change):
    def forecast(_):
        return SMALL["samovar"].clone().fit(us_change).predict([1, 2])

    before = torch.get_rng_state()
    with ThreadPoolExecutor(3) as pool:
        first, *others = pool.map(forecast, range(6))
    assert torch.equal(torch.get_rng_state(), before)
    for other in others:
        pd.testing.assert_frame_equal(other, first, check_exact=True)


AARENS = [SMALL["aaren"], SMALL["mixed aaren"]]


@pytest.mark.parametrize("forecaster", AARENS, ids=["alone", "mixed"])
def test_aaren_streams_what_it_predicts(forecaster, us_change, monkeypatch):
    monkeypatch.setattr(inference, "_BLOCK", 3 * 5)  # three rows at once
    forecaster = forecaster.clone().fit(us_change[:100])
    stream = forecaster.stream()
    for t in range(100, 160):
        pushed = stream.push(us_change.iloc[t])
        if t in (100, 101, 130, 159):
            expected = forecaster.predict(us_change[: t + 1])
            np.testing.assert_allclose(pushed, expected, rtol=1e-4, atol=1e-5)
    # The first row of the history still counts: the state is not a window of rows.
    moved = us_change.copy()
    moved.iloc[0] += 10 * us_change.std()
    ahead = forecaster.predict(moved[:20])
    assert not np.allclose(ahead, forecaster.predict(us_change[:20]), rtol=1e-3)
    with pytest.raises(ValueError, match="windows of 8; pass at least 8 rows"):
        forecaster.predict(us_change[:7])


@pytest.mark.parametrize("forecaster", AARENS, ids=["alone", "mixed"])
def test_aarens_stream_keeps_a_constant_state(forecaster, us_change):
    forecaster = forecaster.clone().fit(us_change)
    stream, rng = forecaster.stream(), np.random.default_rng(0)
    sizes = set()
    for t in range(600):
        stream.push(rng.normal(size=5))
        if t % 50 == 25:
            sizes.add(len(pickle.dumps(stream._state)))
    assert len(sizes) == 1


def test_aaren_sees_a_long_history_block_by_block(monkeypatch):
    monkeypatch.setattr(inference, "_BLOCK", 3 * 1024)
    values = random_walks(3000, 0)
    forecaster = SMALL["mixed aaren"].clone().fit(values[:2990])
    before = forecaster.predict(range(1, 5)), forecaster.stream()
    fitted_on = values[:2990]
    np.testing.assert_allclose(
        before[0], forecaster.rolling_forecast(fitted_on)[-1], atol=1e-4
    )
    for row in values[2990:]:
        pushed = before[1].push(row)
    np.testing.assert_allclose(pushed, forecaster.predict(values), atol=1e-4)
    in_sample = forecaster.predict([-2989, -2988, -1900, -1, 0])
    expected = forecaster.rolling_forecast(fitted_on)[[1089 - 8, 2988 - 8, 2989 - 8], 0]
    np.testing.assert_allclose(in_sample[2:], expected, atol=1e-4)
    network, scaler = forecaster.network_, forecaster.scaler_
    rows = torch.from_numpy(scaler.transform(values)).float()
    rolled = forecaster.rolling_forecast(values)
    assert rolled.shape == (2993, 4, 3)
    with torch.no_grad():
        for end in (8, 1024, 1025, 2100, 3000):
            window = rows[end - 8 : end].unsqueeze(0)
            expected = torch.lerp(
                network.network(rows[:end].unsqueeze(0)),
                network.static(window),
                network.static_weight,
            )
            expected = scaler.inverse_transform(expected[0].double())
            np.testing.assert_allclose(rolled[end - 8], expected, atol=1e-4)
    ahead = forecaster.predict(values)
    np.testing.assert_allclose(ahead, rolled[-1], atol=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Every series has mean 0")
def test_aaren_needs_no_static_path_on_etth1(etth1):
    forecaster = AarenForecaster(
        512, horizon=336, static_path=None, retrain=False, max_epochs=1, random_state=0
    ).fit(etth1[: 12 * 720])
    test = etth1[16 * 720 - 512 :]
    truth = np.lib.stride_tricks.sliding_window_view(test[512:], 336, axis=0)
    errors = forecaster.rolling_forecast(test[:-336]) - truth.swapaxes(1, 2)
    assert np.square(errors).mean() <= 0.50
    assert np.abs(errors).mean() <= 0.48

"""The regressors in scikit-learn's protocol."""

import copy
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    TimeSeriesSplit,
    cross_val_score,
    learning_curve,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skvar import (
    LinearAttentionVAR,
    LinearAttentionVARRegressor,
    SAMoVARForecaster,
    SAMoVARRegressor,
)
from skvar.datasets import make_drifting_var, make_var

ORDER = "rows are time steps: a prediction sees the rows before its own"


def expected_failures(estimator):
    if estimator.lags == 1:
        return {}
    return {
        "check_methods_sample_order_invariance": ORDER,
        "check_methods_subset_invariance": ORDER,
    }


@parametrize_with_checks(
    [
        estimator
        for lags in (1, 6)
        for estimator in (
            LinearAttentionVARRegressor(lags, d_model=8, max_epochs=2),
            SAMoVARRegressor(lags, d_model=8, n_heads=2, max_epochs=2),
        )
    ],
    expected_failed_checks=expected_failures,
)
# Checks with few rows pass y of one row, whose R squared is not defined.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_sklearn_contract(estimator, check):
    check(estimator)


REGRESSORS = {
    "linear": LinearAttentionVARRegressor(3, d_model=8, max_epochs=3, random_state=0),
    "samovar": SAMoVARRegressor(
        4, n_layers=1, d_model=8, n_heads=2, max_epochs=3, random_state=0
    ),
}


@pytest.fixture(params=REGRESSORS)
def regressor(request):
    return sklearn.clone(REGRESSORS[request.param])


@pytest.fixture(scope="module")
def data(us_change):
    """Four series and a target whose scale is far from theirs."""
    return us_change.drop(columns="Income"), 1000 * us_change["Income"] + 5000


def test_predictions_are_in_the_units_of_y(regressor, data):
    X, y = data
    predicted = regressor.fit(X, y).predict(X)
    assert predicted.shape == y.shape
    assert r2_score(y, predicted) > 0.3
    for scaler in (StandardScaler(), MinMaxScaler()):
        scaled = make_pipeline(scaler, sklearn.clone(regressor)).fit(X, y)
        np.testing.assert_allclose(scaled.predict(X), predicted, rtol=1e-3)


def test_depth_zero_is_ridge_on_the_window(data):
    X, y = data
    model = LinearAttentionVARRegressor(3, n_layers=0, alpha=0.05).fit(X, y)
    z = ((X - X.mean()) / X.std(ddof=0)).to_numpy()
    # A penalty of l ** 2 is one on l times the coefficient.
    lag = np.repeat([1, 2, 3], 4)
    table = np.column_stack([z[2:], z[1:-1], z[:-2]]) / lag
    target = ((y - y.mean()) / y.std(ddof=0)).to_numpy()[2:]
    ridge = Ridge(alpha=0.05 * len(table)).fit(table, target)
    expected = ridge.predict(table) * y.std(ddof=0) + y.mean()
    np.testing.assert_allclose(model.predict(X)[2:], expected, rtol=1e-9)
    scale = y.std(ddof=0) / X.std(ddof=0).to_numpy()
    matrices = (ridge.coef_ / lag).reshape(3, 1, 4) * scale
    np.testing.assert_allclose(model.coef_, matrices, rtol=1e-8)


def test_without_y_it_is_the_forecaster(us_change):
    pairs = [
        (
            LinearAttentionVARRegressor(3, max_epochs=3, d_model=8, random_state=1),
            LinearAttentionVAR(3, max_epochs=3, d_model=8, random_state=1),
        ),
        (
            SAMoVARRegressor(6, max_epochs=2, d_model=16, random_state=1),
            SAMoVARForecaster(6, max_epochs=2, d_model=16, random_state=1),
        ),
    ]
    for regressor, forecaster in pairs:
        regressor.fit(us_change)
        forecaster.fit(us_change)
        lags = regressor.lags
        theirs = forecaster.rolling_forecast(us_change)[:, 0]
        ours = regressor.predict(us_change)[lags - 1 :]
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
        ahead = forecaster.predict(range(1, 6))
        np.testing.assert_allclose(
            regressor.forecast(us_change, 5), ahead, rtol=1e-5, atol=1e-5
        )
        np.testing.assert_allclose(regressor.coef_, forecaster.coef_, atol=1e-5)
        np.testing.assert_allclose(
            regressor.intercept_, forecaster.intercept_, atol=1e-5
        )
        expected = r2_score(us_change[1:], regressor.predict(us_change)[:-1])
        assert regressor.score(us_change) == pytest.approx(expected)


@pytest.mark.parametrize("n_layers", [0, 1, 2])
@pytest.mark.parametrize("with_y", [True, False])
def test_matrices_rebuild_every_prediction(n_layers, with_y, data):
    X, y = data
    model = LinearAttentionVARRegressor(
        3, n_layers=n_layers, max_epochs=3, early_stopping=False, random_state=0
    )
    model.fit(X, np.column_stack([y, -y]) if with_y else None)
    matrices, intercepts = model.var_matrices(X, return_intercept=True)
    windows = np.lib.stride_tricks.sliding_window_view(X, 3, axis=0)[..., ::-1]
    rebuilt = intercepts + np.einsum("wloi,wil->wo", matrices, windows)
    predicted = model.predict(X)[2:]
    scale = np.abs(predicted).max(axis=0)
    assert (np.abs(rebuilt - predicted) / scale).max() < 1e-5
    assert (np.ptp(matrices, axis=0).max() > 1e-3) == (n_layers > 0)
    seen = slice(None) if with_y else slice(-1)
    np.testing.assert_allclose(model.coef_, matrices[seen].mean(axis=0))
    with pytest.raises(ValueError, match="read-only"):
        model.coef_[0] = 0.0


def test_samovar_matrices_with_y_are_finite_differences(data):
    X, y = (table.to_numpy() for table in data)
    model = REGRESSORS["samovar"]
    model = sklearn.clone(model).set_params(early_stopping=False).fit(X, y)
    window, step = X[50:54], 2e-3 * X.std(axis=0)
    matrices = model.var_matrices(window)[0]
    for lag in range(4):
        for cause in range(4):
            nudge = np.zeros_like(window)
            nudge[3 - lag, cause] = step[cause]
            ends = [model.predict(window + sign * nudge)[-1] for sign in (1, -1)]
            slope = (ends[0] - ends[1]) / (2 * step[cause])
            # Forecasts round to a few 1e-7 of the spread of y.
            bound = 5e-4 * y.std() / X[:, cause].std()
            assert abs(matrices[lag, 0, cause] - slope) < bound


def test_column_transformer(regressor, data):
    X, y = data
    columns = ColumnTransformer(
        [("scale", StandardScaler(), ["Consumption", "Production"])],
        remainder="passthrough",
    )
    pipeline = make_pipeline(columns, regressor).fit(X, y)
    assert np.isfinite(pipeline.predict(X)).all()
    assert pipeline.score(X, y) > 0.3


def test_pca(regressor, data):
    X, y = data
    pipeline = make_pipeline(StandardScaler(), PCA(2), regressor).fit(X, y)
    assert pipeline.predict(X).shape == y.shape
    assert pipeline[-1].n_features_in_ == 2


def test_transformed_target(regressor, data):
    X, y = data
    quantiles = QuantileTransformer(n_quantiles=50, output_distribution="normal")
    model = TransformedTargetRegressor(regressor, transformer=quantiles)
    assert model.fit(X, y).score(X, y) > 0.3


def test_cross_val_score(regressor, data):
    X, y = data
    scores = cross_val_score(regressor, X, y, cv=TimeSeriesSplit(3))
    assert np.isfinite(scores).all()
    linear = LinearAttentionVARRegressor(1, n_layers=0, alpha=0.0)
    np.testing.assert_allclose(
        cross_val_score(linear, X, y, cv=TimeSeriesSplit(3)),
        cross_val_score(LinearRegression(), X, y, cv=TimeSeriesSplit(3)),
    )
    assert np.isfinite(cross_val_score(regressor, X, cv=TimeSeriesSplit(3))).all()


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("with_y", [True, False])
def test_grid_search(regressor, data, n_jobs, with_y):
    X, y = data
    grid = {"lags": [2, 4], "n_layers": [0, 1]}
    search = GridSearchCV(regressor, grid, cv=TimeSeriesSplit(2), n_jobs=n_jobs)
    search.fit(X, y if with_y else None)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict(X).shape == (y.shape if with_y else X.shape)


def test_halving_search(data):
    X, y = data
    search = HalvingGridSearchCV(
        LinearAttentionVARRegressor(random_state=0, d_model=8),
        {"lags": [1, 2], "n_layers": [0, 1]},
        cv=TimeSeriesSplit(2),
        resource="max_epochs",
        max_resources=4,
        random_state=0,
    )
    search.fit(X, y)
    assert np.isfinite(search.best_score_)


def test_permutation_importance(regressor, data):
    X, y = data
    X = X.assign(noise=np.random.default_rng(0).normal(size=len(X)))
    regressor.fit(X, y)
    found = permutation_importance(regressor, X, y, n_repeats=3, random_state=0)
    importance = dict(zip(X, found.importances_mean, strict=True))
    assert importance["Savings"] > importance["noise"]


def test_learning_curve(regressor, data):
    X, y = data
    _, train, test = learning_curve(
        regressor, X, y, cv=TimeSeriesSplit(2), train_sizes=[0.5, 1.0]
    )
    assert np.isfinite(train).all()
    assert np.isfinite(test).all()


def test_several_targets(regressor, data):
    X, y = data
    both = np.column_stack([y, X["Savings"].shift(1, fill_value=0.0)])
    predicted = regressor.fit(X, both).predict(X)
    assert predicted.shape == both.shape
    # The second target is a row of the window.
    assert r2_score(both[5:, 1], predicted[5:, 1]) > 0.8


def test_joblib_in_a_fresh_process(data, tmp_path):
    X, y = data
    fitted = {name: sklearn.clone(one).fit(X, y) for name, one in REGRESSORS.items()}
    joblib.dump(fitted, tmp_path / "models.joblib")
    joblib.dump(X, tmp_path / "X.joblib")
    code = (
        "import joblib, numpy, pathlib, sys\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "X = joblib.load(folder / 'X.joblib')\n"
        "for name, model in joblib.load(folder / 'models.joblib').items():\n"
        "    numpy.save(folder / f'{name}.npy', model.predict(X))\n"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True)
    for name, regressor in fitted.items():
        loaded = np.load(tmp_path / f"{name}.npy")
        np.testing.assert_array_equal(loaded, regressor.predict(X))


def test_html_repr(regressor, data):
    assert type(regressor).__name__ in regressor.fit(*data)._repr_html_()


def test_feature_names_and_dtype(regressor, data):
    X, y = data
    regressor.fit(X, y)
    assert list(regressor.feature_names_in_) == list(X)
    with pytest.raises(ValueError, match="feature names"):
        regressor.predict(X.rename(columns={"Savings": "Debt"}))
    single = X.to_numpy(np.float32)
    regressor.fit(single, y.to_numpy(np.float32))
    assert regressor.predict(single).dtype == np.float32
    assert regressor.predict(single.astype(float)).dtype == np.float64


def test_segments_do_not_mix(regressor, data):
    X, y = data
    X, y = X.to_numpy(), y.to_numpy()
    parts = {"b": slice(0, 70), "a": slice(70, 120), "c": slice(120, None)}
    labels = np.concatenate([[k] * len(X[s]) for k, s in parts.items()])
    regressor.fit(X, y, segments=labels)
    together = regressor.predict(X, segments=labels)
    for part in parts.values():
        np.testing.assert_allclose(regressor.predict(X[part]), together[part], 1e-6)
    assert np.abs(regressor.predict(X) - together).max() > 0
    # Interleaved rows of the same series are the same series.
    order = np.argsort(np.arange(len(X)) % 3, kind="stable")
    names = labels[order]
    rows = np.concatenate([np.flatnonzero(labels == name) for name in "abc"])
    spots = np.concatenate([np.flatnonzero(names == name) for name in "abc"])
    shuffled = np.empty_like(X)
    shuffled[spots] = X[rows]
    np.testing.assert_allclose(
        regressor.predict(shuffled, segments=names)[spots], together[rows], 1e-6
    )
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        regressor.predict(X, segments=labels[:-1])
    days = np.datetime64("2024-01-01", "ns") + np.arange(3).astype("m8[D]")
    as_days = days[np.searchsorted(["a", "b", "c"], labels)]
    np.testing.assert_array_equal(regressor.predict(X, segments=as_days), together)
    for missing in (np.nan, None):
        bad = labels.astype(object)
        bad[3] = missing
        for ask in (
            lambda: regressor.predict(X, segments=bad),  # noqa: B023
            lambda: sklearn.clone(regressor).fit(X, y, segments=bad),  # noqa: B023
        ):
            with pytest.raises(ValueError, match="segments holds missing labels"):
                ask()


def test_segments_of_one_row_teach_nothing_without_y(data):
    X = data[0].to_numpy()
    model = LinearAttentionVARRegressor(2, n_layers=0)
    with pytest.raises(ValueError, match="No segment has two rows"):
        model.fit(X, segments=np.arange(len(X)))
    labels = np.r_[0, np.ones(len(X) - 1)]
    with_one = model.fit(X, segments=labels).predict(X[1:])
    # Scaling sees the first row as well, the regression does not.
    model.set_params(alpha=0.0)
    with_one = model.fit(X, segments=labels).predict(X[1:])
    np.testing.assert_allclose(with_one, model.fit(X[1:]).predict(X[1:]), rtol=1e-8)


def test_segments_pool_in_the_closed_form(data):
    X, y = data
    labels = np.repeat([0, 1], [100, len(X) - 100])
    model = LinearAttentionVARRegressor(2, n_layers=0, alpha=0.0)
    model.fit(X, y, segments=labels)
    x = X.to_numpy()
    rows = np.array([t for t in range(1, len(x)) if t != 100])
    table = np.column_stack([np.ones(len(rows)), x[rows], x[rows - 1]])
    ols = np.linalg.lstsq(table, y.to_numpy()[rows], rcond=None)[0]
    np.testing.assert_allclose(model.predict(X, segments=labels)[rows], table @ ols)


def test_metadata_routing_of_segments(regressor, data):
    X, y = data
    labels = np.arange(len(X)) // 60
    with sklearn.config_context(enable_metadata_routing=True):
        routed = (
            regressor.set_fit_request(segments=True)
            .set_score_request(segments=True)
            .set_predict_request(segments=True)
        )
        pipeline = make_pipeline(StandardScaler(), routed)
        pipeline.fit(X, y, segments=labels)
        direct = sklearn.clone(regressor).fit(X, y, segments=labels)
        np.testing.assert_allclose(
            pipeline.predict(X, segments=labels),
            direct.predict(X, segments=labels),
            rtol=1e-3,
        )
        cv = TimeSeriesSplit(2)
        search = GridSearchCV(routed, {"lags": [2]}, cv=cv)
        search.fit(X, y, segments=labels)
        by_hand = []
        for past, future in cv.split(X):
            model = sklearn.clone(regressor).set_params(lags=2)
            model.fit(X.iloc[past], y.iloc[past], segments=labels[past])
            score = model.score(X.iloc[future], y.iloc[future], segments=labels[future])
            by_hand.append(score)
        assert search.best_score_ == pytest.approx(np.mean(by_hand), rel=1e-5)


def test_partial_fit_goes_on(data):
    X, y = data
    whole = LinearAttentionVARRegressor(2, n_layers=0, alpha=0.0).fit(X, y)
    piecewise = sklearn.clone(whole)
    for begin in range(0, len(X), 50):
        rows = slice(begin, begin + 50)
        piecewise.partial_fit(X[rows], y[rows])
    np.testing.assert_allclose(piecewise.predict(X), whole.predict(X), rtol=1e-6)
    row_by_row = sklearn.clone(whole).fit(X[:-3])
    for t in range(len(X) - 3, len(X)):
        row_by_row.partial_fit(X[t : t + 1])
    expected = sklearn.clone(whole).fit(X).predict(X)
    np.testing.assert_allclose(row_by_row.predict(X), expected, rtol=1e-6, atol=1e-9)
    model = sklearn.clone(REGRESSORS["linear"]).set_params(early_stopping=False)
    first = model.fit(X[:150], y[:150]).loss_curve_[0]
    assert model.partial_fit(X[150:], y[150:]).loss_curve_[0] < first


@pytest.mark.parametrize("n_layers", [0, 1])
def test_going_on_needs_the_same_columns_and_targets(n_layers, data):
    X, y = (table.to_numpy() for table in data)
    model = LinearAttentionVARRegressor(
        2,
        n_layers=n_layers,
        max_epochs=1,
        warm_start=True,
        random_state=0,
        early_stopping=False,
    )
    model.fit(X, np.column_stack([y, y]))
    before = model.predict(X)
    for go_on in (model.fit, model.partial_fit):
        for target in (y, None, y.reshape(-1, 1), np.column_stack([y, y, y])):
            with pytest.raises(ValueError, match=r"2 target\(s\).*pass the same"):
                go_on(X, target)
        for columns in (slice(1), slice(2)):
            with pytest.raises(ValueError, match="features"):
                go_on(X[:, columns], np.column_stack([y, y]))
    np.testing.assert_array_equal(model.predict(X), before)
    # A fit of no epochs goes on from the weights and stays there.
    model.set_params(max_epochs=0).fit(X, np.column_stack([y, y]))
    np.testing.assert_allclose(model.predict(X), before, rtol=1e-6)
    cold = sklearn.clone(model).fit(X, np.column_stack([y, y])).predict(X)
    assert n_layers == 0 or np.abs(cold - before).max() > 1.0


@pytest.mark.parametrize("n_rows", [1, 2, 3, 5])
def test_few_rows_fit(regressor, data, n_rows):
    X, y = (table[:n_rows] for table in data)
    assert np.isfinite(regressor.fit(X, y).predict(X)).all()
    if n_rows > 1:
        assert regressor.fit(X).predict(X).shape == X.shape


def test_forecast_needs_a_fit_without_y(regressor, data):
    X, y = data
    with pytest.raises(ValueError, match="fit it with y=None"):
        regressor.fit(X, y).forecast(X, 3)
    with pytest.raises(ValueError, match="pass y to score it"):
        regressor.score(X)
    regressor.fit(X)
    with pytest.raises(ValueError, match="steps"):
        regressor.forecast(X, 0)
    with pytest.raises(TypeError, match="steps"):
        regressor.forecast(X, 2.5)
    with pytest.raises(ValueError, match=r"has 1 row.*pass at least"):
        regressor.var_matrices(X[:1])


def test_parameters_changed_after_fit_wait_for_the_next_fit(regressor, data):
    X, y = (table[:4] for table in data)
    regressor.fit(X, y)
    before = regressor.predict(X)
    regressor.set_params(lags=1)
    np.testing.assert_array_equal(regressor.predict(X), before)
    assert regressor.coef_.shape[0] == regressor.network_.lags


def test_single_precision_features_keep_a_large_target(data):
    X, y = (table.to_numpy() for table in data)
    model = LinearAttentionVARRegressor(2, n_layers=0).fit(X.astype("f4"), y + 1.7e9)
    assert model.score(X.astype("f4"), y + 1.7e9) > 0.3


def test_failed_fit_leaves_the_regressor(regressor, data):
    X, y = data
    before = regressor.fit(X, y).predict(X)
    with pytest.raises(ValueError, match="NaN"):
        regressor.fit(X.where(X > 0), y)
    with pytest.raises(ValueError, match="dropout=2"):
        regressor.set_params(dropout=2.0).fit(X, y)
    np.testing.assert_array_equal(regressor.predict(X), before)


def test_streams_equal_predict(regressor, data):
    X, y = data
    for target in (y, None, np.column_stack([y, y])):
        predicted = regressor.fit(X, target).predict(X)
        stream = regressor.stream()
        pushed = np.array([stream.push(row) for row in X.to_numpy()[:40]])
        np.testing.assert_allclose(pushed, predicted[:40], rtol=1e-5, atol=1e-5)


def test_streams_are_snapshots_that_pickle(regressor, data):
    X, y = (table.to_numpy() for table in data)
    expected = regressor.fit(X, y).predict(X[:12])
    stream = regressor.stream()
    for row in X[:10]:
        stream.push(row)
    twins = [stream, copy.copy(stream), pickle.loads(pickle.dumps(stream))]
    regressor.set_params(lags=1).fit(X[:, :2], -y)
    for twin in twins:
        twin.push(X[10])
        assert twin.push(X[11]) == pytest.approx(expected[11], rel=1e-5)


@pytest.mark.parametrize(
    "forecaster",
    [
        LinearAttentionVAR(3, horizon=4, max_epochs=2, random_state=0),
        SAMoVARForecaster(8, horizon=4, n_layers=1, max_epochs=2, random_state=0),
    ],
    ids=lambda f: type(f).__name__,
)
def test_forecaster_streams_continue_the_history(forecaster, us_change):
    forecaster = forecaster.clone().fit(us_change[:150])
    stream = forecaster.stream()
    for end in range(151, 165):
        pushed = stream.push(us_change.iloc[end - 1])
        expected = forecaster.predict(us_change[:end])
        np.testing.assert_allclose(pushed, expected, rtol=1e-5, atol=1e-5)
    assert forecaster.cutoff[0] == us_change.index[149]
    for row, message in (
        ([1.0, 2.0], r"shape \(2,\)"),
        ([np.inf] * 5, "row holds inf"),
        (["a"] * 5, "row is not numeric"),
        (us_change.iloc[0][::-1], "put them in this order"),
    ):
        with pytest.raises(ValueError, match=message):
            stream.push(row)
    again = stream.push(us_change.iloc[164])
    np.testing.assert_allclose(
        again, forecaster.predict(us_change[:165]), rtol=1e-5, atol=1e-5
    )


def test_tracking_does_not_learn_from_rows_that_are_not_there():
    table = make_var(300, 2, intercept=5.0, random_state=7).series.to_numpy()
    segments = np.repeat(np.arange(5), 60)
    regressor = LinearAttentionVARRegressor(1, alpha=0.0, random_state=0)
    expected = regressor.fit(table, segments=segments).coef_
    tracking = clone(regressor).set_params(tracking_rows=150)
    np.testing.assert_allclose(
        tracking.fit(table, segments=segments).coef_, expected, atol=1e-5
    )
    assert tracking.best_epoch_ == 0


def test_tracking_in_a_regressor_of_a_target():
    values = make_drifting_var(700, 3, random_state=0).series.to_numpy()
    X, y = values[:, :2], values[:, 2]
    regressor = LinearAttentionVARRegressor(
        1, tracking_rows=64, max_epochs=4, early_stopping=False, random_state=0
    ).fit(X, y)
    matrices, offsets = regressor.var_matrices(X, return_intercept=True)
    assert matrices.shape == (700 - 64, 1, 1, 2)
    rebuilt = offsets[:, 0] + np.einsum("wi,wi->w", matrices[:, 0, 0], X[64:])
    predicted = regressor.predict(X)
    np.testing.assert_allclose(rebuilt, predicted[64:], atol=1e-5)
    stream = regressor.stream()
    pushed = [stream.push(row) for row in X[:80]]
    np.testing.assert_allclose(pushed, predicted[:80], atol=1e-5)


@pytest.mark.parametrize("lags", [4, 24])
def test_short_segments_are_not_filled_up_for_a_var(lags):
    rng = np.random.default_rng(0)
    noise, segments = rng.normal(size=(400, 2)), np.repeat(np.arange(50), 8)
    regressor = SAMoVARRegressor(lags, n_layers=0, static_path="var")
    coef = regressor.fit(noise, segments=segments).coef_
    # White noise: copies of rows would look like persistence.
    assert np.abs(coef[0]).max() < 0.1

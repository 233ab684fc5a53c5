"""The forecasters inside scikit-learn and sktime, on real data."""

import copy
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    Normalizer,
    StandardScaler,
)
from sktime.forecasting.compose import TransformedTargetForecaster
from sktime.forecasting.model_evaluation import evaluate
from sktime.forecasting.model_selection import ForecastingGridSearchCV
from sktime.performance_metrics.forecasting import MeanSquaredError
from sktime.split import ExpandingWindowSplitter, SlidingWindowSplitter
from sktime.transformations.series.detrend import Detrender

import skvar
from skvar import AarenForecaster, LinearAttentionVAR, SAMoVARForecaster

# Forecasters warn that the scaler leaves forecasts in its own units.
scaled_before = pytest.mark.filterwarnings("ignore:Every series has mean 0")

# sktime's own composites warn of a coming default that ours already have.
pytestmark = pytest.mark.filterwarnings(
    "ignore:The default of config ``remember_data``:FutureWarning"
)

FORECASTERS = {
    "linear_attention_var": LinearAttentionVAR(
        2, horizon=4, max_epochs=2, d_model=8, random_state=0
    ),
    "samovar": SAMoVARForecaster(
        8, horizon=4, n_layers=1, d_model=8, max_epochs=2, random_state=0
    ),
    "aaren": AarenForecaster(
        8, horizon=4, n_layers=1, d_model=8, max_epochs=2, random_state=0
    ),
}


@pytest.fixture(params=FORECASTERS)
def forecaster(request):
    return FORECASTERS[request.param].clone()


@scaled_before
def test_sklearn_pipeline(forecaster, us_change):
    pipeline = make_pipeline(StandardScaler(), forecaster).fit(us_change)
    scaled = pipeline.predict(us_change.iloc[-20:])
    assert scaled.shape == (4, 5)
    direct = forecaster.clone().fit(us_change).predict(us_change.iloc[-20:])
    # Series are standardised inside as well: scaling before changes units alone.
    restored = pipeline[:-1].inverse_transform(scaled)
    np.testing.assert_allclose(restored, direct, rtol=1e-3, atol=1e-3)
    assert "Pipeline" in pipeline._repr_html_()
    assert type(forecaster).__name__ in pipeline._repr_html_()
    frames = make_pipeline(StandardScaler().set_output(transform="pandas"), forecaster)
    assert list(frames.fit(us_change).predict(us_change).columns) == list(us_change)


@scaled_before
def test_sklearn_grid_search_over_lags_and_depth(us_change):
    pipeline = make_pipeline(
        StandardScaler(),
        SAMoVARForecaster(horizon=4, d_model=8, max_epochs=1, random_state=0),
    )
    grid = {
        "samovarforecaster__lags": [4, 8],
        "samovarforecaster__n_layers": [0, 1, 2],
    }
    search = GridSearchCV(
        pipeline, grid, cv=TimeSeriesSplit(3), scoring=skvar.rolling_score
    )
    search.fit(us_change)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_score_ < 0
    assert search.predict(us_change).shape == (4, 5)
    search = GridSearchCV(
        LinearAttentionVAR(horizon=4, max_epochs=1, d_model=8, random_state=0),
        {"lags": [1, 2], "n_layers": [0, 1, 2]},
        cv=TimeSeriesSplit(3),
        scoring=skvar.rolling_score,
        n_jobs=2,
    )
    search.fit(us_change)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@scaled_before
def test_rolling_score_of_pipelines(us_change):
    plain = LinearAttentionVAR(2, horizon=4, n_layers=0, alpha=1e-8).fit(us_change)
    expected = skvar.rolling_score(plain, us_change)
    for scaler in (StandardScaler(), MinMaxScaler(), PCA(whiten=True)):
        pipeline = make_pipeline(scaler, plain.clone()).fit(us_change)
        # OLS does not depend on units or on the basis of the series.
        score = skvar.rolling_score(pipeline, us_change)
        assert score == pytest.approx(expected, rel=1e-3)
    nested = make_pipeline(StandardScaler(), make_pipeline(PCA(), plain.clone()))
    score = skvar.rolling_score(nested.fit(us_change), us_change)
    assert score == pytest.approx(expected, rel=1e-3)


@scaled_before
@pytest.mark.parametrize(
    "transformer",
    [Normalizer(), FunctionTransformer(np.tanh), SimpleImputer()],
    ids=lambda t: type(t).__name__,
)
def test_rolling_score_of_what_cannot_be_inverted(transformer, us_change):
    plain, us_change = (
        LinearAttentionVAR(2, horizon=4, n_layers=0),
        us_change.to_numpy(),
    )
    scaled = make_pipeline(StandardScaler(), transformer, plain.clone())
    pipeline = make_pipeline(transformer, plain.clone()).fit(us_change)
    name = type(transformer).__name__
    for one in (scaled.fit(us_change), pipeline):
        with pytest.raises(ValueError, match=f"back through .*{name}.*by_scale=True"):
            skvar.rolling_score(one, us_change)
    seen = sklearn.clone(transformer).fit_transform(us_change)
    expected = skvar.rolling_score(plain.clone().fit(seen), seen, by_scale=True)
    found = skvar.rolling_score(pipeline, us_change, by_scale=True)
    assert found == pytest.approx(expected)


def test_rolling_score_of_fewer_components(us_change):
    pipeline = make_pipeline(PCA(2), LinearAttentionVAR(2, horizon=3, n_layers=0))
    table = us_change.to_numpy()
    pipeline.fit(table)
    forecaster, components = pipeline[-1], pipeline[:-1].transform(table)
    lags = forecaster.lags_
    squares = []
    for end in range(lags, len(table) - 2):
        forecast = forecaster.predict(components[end - lags : end])
        restored = pipeline[:-1].inverse_transform(forecast)
        squares.append(np.square(restored - table[end : end + 3]))
    found = skvar.rolling_score(pipeline, table)
    assert found == pytest.approx(-np.mean(squares), rel=1e-6)


def test_rolling_score_by_scale_ignores_units(us_change):
    plain = LinearAttentionVAR(2, horizon=2, n_layers=0)
    units = us_change * [1, 1e3, 1, 1e-3, 1]
    scores = [
        skvar.rolling_score(plain.clone().fit(table), table, by_scale=True)
        for table in (us_change, units)
    ]
    assert scores[0] == pytest.approx(scores[1], rel=1e-3)


@pytest.mark.parametrize(
    ("splitter", "window"),
    [
        (ExpandingWindowSplitter, {"initial_window": 120}),
        (SlidingWindowSplitter, {"window_length": 120}),
    ],
)
@pytest.mark.parametrize("strategy", ["refit", "update", "no-update_params"])
def test_sktime_evaluate(forecaster, splitter, window, strategy, us_change):
    cv = splitter(fh=[1, 2, 3, 4], step_length=20, **window)
    results = evaluate(
        forecaster=forecaster,
        cv=cv,
        y=us_change,
        strategy=strategy,
        scoring=MeanSquaredError(square_root=True),
        error_score="raise",
    )
    assert len(results) == 4
    assert np.isfinite(results["test_MeanSquaredError"]).all()


def test_sktime_evaluate_in_parallel_is_the_same(forecaster, us_change):
    cv = ExpandingWindowSplitter(fh=[1, 2, 3, 4], initial_window=120, step_length=30)
    scores = [
        evaluate(
            forecaster=forecaster,
            cv=cv,
            y=us_change,
            scoring=MeanSquaredError(),
            error_score="raise",
            backend=backend,
            backend_params={"n_jobs": 2} if backend else None,
        )["test_MeanSquaredError"]
        for backend in (None, "loky")
    ]
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-5)


def test_sktime_grid_search(us_change):
    cv = ExpandingWindowSplitter(fh=[1, 2], initial_window=140, step_length=20)
    for forecaster in FORECASTERS.values():
        search = ForecastingGridSearchCV(
            forecaster.clone().set_params(horizon=None, max_epochs=1),
            cv,
            {"lags": [2, 4], "n_layers": [0, 1]},
            scoring=MeanSquaredError(),
            error_score="raise",
        )
        search.fit(us_change, fh=[1, 2])
        assert search.predict().shape == (2, 5)


def test_sktime_pipeline(forecaster, us_change):
    pipeline = TransformedTargetForecaster([Detrender(), forecaster])
    forecast = pipeline.fit(us_change, fh=[1, 2, 3]).predict()
    assert forecast.shape == (3, 5)
    assert list(forecast.columns) == list(us_change.columns)


def test_joblib_round_trip_in_a_fresh_process(us_change, tmp_path):
    fitted = {name: forecaster.clone() for name, forecaster in FORECASTERS.items()}
    for forecaster in fitted.values():
        forecaster.fit(us_change, fh=[1, 2, 3, 4, 5])
        forecaster.coef_  # noqa: B018 - a cached average must travel as well
    joblib.dump(fitted, tmp_path / "forecasters.joblib", compress=3)
    joblib.dump(us_change, tmp_path / "table.joblib")
    code = (
        "import joblib, sys, pathlib\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "forecasters = joblib.load(folder / 'forecasters.joblib')\n"
        "table = joblib.load(folder / 'table.joblib')\n"
        "for name, forecaster in forecasters.items():\n"
        "    forecaster.predict().to_pickle(folder / f'{name} ahead')\n"
        "    forecaster.predict(table).to_pickle(folder / f'{name} after')\n"
        "    forecaster.update(table.iloc[-1:], update_params=False)\n"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True)
    for name, forecaster in fitted.items():
        ahead, after = (
            pd.read_pickle(tmp_path / f"{name} {when}", compression=None)
            for when in ("ahead", "after")
        )
        pd.testing.assert_frame_equal(ahead, forecaster.predict(), check_exact=True)
        pd.testing.assert_frame_equal(
            after, forecaster.predict(us_change), check_exact=True
        )


def test_joblib_memory_map(forecaster, us_change, tmp_path):
    expected = forecaster.fit(us_change).predict([-3, 1])
    joblib.dump(forecaster, tmp_path / "forecaster.joblib")
    mapped = joblib.load(tmp_path / "forecaster.joblib", mmap_mode="r")
    pd.testing.assert_frame_equal(mapped.predict([-3, 1]), expected)
    np.testing.assert_allclose(mapped.coef_, forecaster.coef_)
    mapped.update(us_change[-1:])


def test_clone_and_deepcopy(forecaster, us_change):
    forecaster.fit(us_change)
    for clone in (sklearn.clone(forecaster), forecaster.clone()):
        assert not clone.is_fitted
        assert clone.get_params() == forecaster.get_params()
    twin = copy.deepcopy(forecaster)
    pd.testing.assert_frame_equal(
        twin.predict([1, 2]), forecaster.predict([1, 2]), check_exact=True
    )
    twin.update(us_change.iloc[-1:] + 5, update_params=True)
    assert twin.network_ is not forecaster.network_


def test_fitted_params(forecaster, us_change):
    params = forecaster.fit(us_change).get_fitted_params()
    names = {"coef", "intercept", "loss_curve", "validation_scores", "n_epochs"}
    assert names | {"network", "device", "feature_names_in"} <= set(params)
    assert params["coef"].shape == (forecaster.lags, 5, 5)


def test_read_only_tables(forecaster, us_change):
    values = us_change.to_numpy().copy()
    values.flags.writeable = False
    assert forecaster.fit(values).predict(values).shape == (4, 5)

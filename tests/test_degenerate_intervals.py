"""Intervals of series that are quiet, constant, short or hardly observed."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from skvar import AarenForecaster, LinearAttentionVAR, SAMoVARForecaster
from skvar._forecasting.forecaster import state_of

FORECASTERS = {
    "automatic": LinearAttentionVAR(random_state=0),
    "four lags": LinearAttentionVAR(4, n_layers=0),
    "samovar": SAMoVARForecaster(horizon=3, n_layers=0),
    "network": AarenForecaster(
        6,
        horizon=3,
        static_path=None,
        d_model=4,
        n_heads=2,
        max_epochs=2,
        random_state=0,
    ),
}


def noise(n_rows, n_series=2, seed=0):
    return np.random.default_rng(seed).normal(size=(n_rows, n_series))


def quiet(n_rows, n_quiet):
    values = noise(n_rows).cumsum(axis=0)
    values[-n_quiet:, 0] = values[-n_quiet, 0]
    return values


def observed(values, start, stop):
    values = values.copy()
    values[:start, 0] = values[stop:, 0] = np.nan
    return values


TABLES = {
    "quiet": quiet(200, 60),
    "quiet for long": quiet(600, 120),
    "constant": np.column_stack([np.ones(150), noise(150, 1)]),
    "begins in the middle": observed(noise(200), 120, 200),
    "ends in the middle": observed(noise(200), 0, 90),
    "one value": observed(noise(200), 50, 51),
    "twelve rows": noise(12),
}


# A network needs a window, a horizon and rows held out: twelve rows are too few.
CASES = [
    case for case in product(FORECASTERS, TABLES) if case != ("network", "twelve rows")
]


@pytest.mark.parametrize(("name", "table"), CASES)
def test_intervals_hold_the_forecast(name, table):
    fitted = FORECASTERS[name].clone().fit(pd.DataFrame(TABLES[table]), fh=[1, 2, 3])
    forecast = fitted.predict().to_numpy()
    ends = fitted.predict_interval(coverage=[0.5, 0.9]).to_numpy().reshape(3, 2, 2, 2)
    assert np.isfinite(ends).all()
    assert (ends[..., 0] <= forecast[..., np.newaxis] + 1e-9).all()
    assert (ends[..., 1] >= forecast[..., np.newaxis] - 1e-9).all()
    # Nested, and about as wide as the last rows vary, not a hundred times.
    assert (np.diff(ends[:, :, 0]) <= np.diff(ends[:, :, 1]) + 1e-9).all()
    assert np.diff(ends).max() < 40
    paths = fitted.sample_paths(n_paths=20, random_state=0)
    assert np.isfinite(paths).all()


def test_intervals_of_a_series_that_awakes_grow():
    fitted = FORECASTERS["network"].clone().fit(pd.DataFrame(TABLES["quiet for long"]))
    values = TABLES["quiet for long"][-1] + noise(400, seed=1).cumsum(axis=0)
    awake = pd.DataFrame(values, index=range(600, 1000))
    before = fitted.predict_interval([1], coverage=0.9).to_numpy()[0]
    fitted.update(awake, update_params=False)
    after = fitted.predict_interval([1], coverage=0.9).to_numpy()[0]
    assert before[1] - before[0] < 0.1
    assert 1 < after[1] - after[0] < 10


@pytest.mark.parametrize("name", ["four lags", "network"])
def test_series_whose_forecasts_were_never_checked_are_named(name):
    table = pd.DataFrame(observed(noise(200), 0, 2)).rename(columns={0: "gone"})
    fitted = FORECASTERS[name].clone().fit(table, fh=[1])
    assert fitted.predict().notna().all(axis=None)
    with pytest.raises(ValueError, match=r"No forecast of \['gone'\] can be checked"):
        fitted.predict_interval()


def test_partly_known_origins_make_paths():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(noise(900, 3)).mask(rng.random((900, 3)) < 0.1)
    fitted = FORECASTERS["network"].clone().fit(table, fh=range(1, 9))
    paths = fitted.sample_paths(n_paths=500, random_state=0).reshape(500, -1)
    # Of 128 origins that calibrate 0.9 ** 24 are known in full: ten.
    assert len(np.unique(paths.round(9), axis=0)) > 80


@pytest.mark.usefixtures("calibration_alone")
def test_a_series_that_begins_late_is_calibrated_on_fewer_rows():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(400, 2)), columns=["late", "whole"])
    table.loc[:349, "late"] = np.nan
    forecaster = SAMoVARForecaster(12, horizon=2, n_layers=0, static_path="ridge")
    fitted = forecaster.clone().fit(table)
    # As many of its values are learned from as are forecast.
    assert state_of(fitted).calibration.model(2).n_train == {None: 375}
    widths = np.diff(fitted.predict_interval([1, 2], coverage=0.8).to_numpy())[:, ::2]
    # Of 25 errors of each series: four standard errors of a quantile.
    expected = 2 * scipy.stats.norm.ppf(0.9)
    spread = 4 * np.sqrt(0.1 * 0.9 / 25) / scipy.stats.norm.pdf(expected / 2)
    np.testing.assert_allclose(widths, expected, atol=spread)
    table.loc[:397, "late"] = np.nan
    with pytest.raises(ValueError, match=r"forecast of \['late'\] can be checked"):
        forecaster.clone().fit(table).predict_interval([1, 2])

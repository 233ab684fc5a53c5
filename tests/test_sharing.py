"""Estimators shared by threads, forked and pickled."""

import copy
import io
import os
import pickle
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import torch

from skvar import (
    AarenClassifier,
    AarenForecaster,
    LinearAttentionVAR,
    LinearAttentionVARRegressor,
    SAMoVARForecaster,
)
from skvar._protocols.locks import Lock
from skvar.datasets import make_var

TABLE = make_var(400, 3, random_state=0).series
CLASSICAL = LinearAttentionVAR(2, horizon=2, n_layers=0)
FORECASTERS = {
    "classical": CLASSICAL,
    "dynamic": LinearAttentionVAR(2, horizon=2, max_epochs=2, random_state=0),
    "samovar": SAMoVARForecaster(6, horizon=2, d_model=8, max_epochs=2, random_state=0),
    "aaren": AarenForecaster(6, horizon=2, d_model=8, max_epochs=2, random_state=0),
}


@pytest.fixture
def switching_often():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


def test_no_update_is_lost_beside_calls_that_fail(switching_often):
    """Updates from two threads, in any order, and reads beside them."""
    forecaster = CLASSICAL.clone().fit(TABLE[:150], fh=[1])
    first, last = forecaster.cutoff[0], TABLE.index[349]
    todo, stop, wrong = iter(range(150, 350)), threading.Event(), []
    handing_out = threading.Lock()

    def update():
        while True:
            with handing_out:  # the order of rows, but not the updates, is ours
                row = next(todo, None)
                if row is None:
                    return
                forecaster.update(TABLE[row : row + 1], update_params=False)

    def fails(call):
        with pytest.raises((ValueError, TypeError)):
            call()

    def read():
        calls = [
            lambda: fails(lambda: forecaster.predict([-1000])),
            lambda: fails(lambda: forecaster.predict(TABLE[:1])),
            lambda: fails(lambda: forecaster.update(TABLE[:3] * np.inf)),
            lambda: fails(lambda: forecaster.update(TABLE["y0"])),
            lambda: forecaster.predict([1, 2]),
            lambda: forecaster.predict_interval([1]),
            lambda: forecaster.coef_,
            lambda: forecaster.rolling_forecast(TABLE[:20]),
        ]
        while not stop.is_set():
            for call in calls:
                try:
                    call()
                except BaseException as error:
                    wrong.append(error)

    readers = [threading.Thread(target=read) for _ in range(6)]
    writers = [threading.Thread(target=update) for _ in range(2)]
    for thread in readers + writers:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    for thread in readers:
        thread.join()
    assert not wrong
    assert first < forecaster.cutoff[0] == last
    expected = CLASSICAL.clone().fit(TABLE[:150])
    expected.update(TABLE[150:350], update_params=False)
    pd.testing.assert_frame_equal(forecaster.predict([1]), expected.predict([1]))


@pytest.mark.parametrize("name", ["dynamic", "samovar"])
def test_what_threads_read_is_what_one_of_the_fits_left(name, switching_often):
    """Each result is of one fit, never of the state between two."""
    forecaster, parts = FORECASTERS[name].clone(), (TABLE[:120], TABLE[200:330])
    known = []
    for part in parts:
        alone = forecaster.clone().fit(part, fh=[1, 2])
        known.append(
            (alone.predict(), alone.predict_interval([2]), alone.coef_, alone.sigma_u_)
        )
    forecaster.fit(parts[0], fh=[1, 2])

    def fit(_):
        for part in parts[::-1]:
            forecaster.fit(part, fh=[1, 2])

    def read(_):
        return (
            forecaster.predict([1, 2]),
            forecaster.predict_interval([2]),
            forecaster.coef_,
            forecaster.sigma_u_,
        )

    def is_of_one(found, expected):
        return any(np.array_equal(found, one) for one in expected)

    with ThreadPoolExecutor(4) as pool:
        fits = pool.map(fit, range(2))
        reads = list(pool.map(read, range(12)))
        list(fits)
    for found in reads:
        for i, part in enumerate(found):
            assert is_of_one(part, [results[i] for results in known])


def test_horizons_of_threads_do_not_cross(switching_often):
    forecaster = CLASSICAL.clone().fit(TABLE)

    def steps(n):
        fh = [1 + n % 7, 9 + n % 5]
        return fh, forecaster.predict(fh).index - TABLE.index[-1]

    with ThreadPoolExecutor(8) as pool:
        for fh, found in pool.map(steps, range(400)):
            assert found.tolist() == fh


def test_a_failed_call_changes_nothing():
    forecaster = CLASSICAL.clone().fit(TABLE[:100], fh=[1, 2])
    before = dict(vars(forecaster))
    for call in (
        lambda: forecaster.fit(TABLE[:2]),
        lambda: forecaster.update(TABLE[150:160]),
        lambda: forecaster.pretrain(TABLE),
        lambda: forecaster.predict([-500]),
        lambda: forecaster.update_predict_single(TABLE[300:], fh=[1]),
    ):
        with pytest.raises((ValueError, TypeError)):
            call()
        now = vars(forecaster)
        assert all(now[name] is value for name, value in before.items())
    regressor = LinearAttentionVARRegressor(2, n_layers=0).fit(TABLE)
    before = dict(vars(regressor))
    with pytest.raises(ValueError, match="feature names"):
        regressor.partial_fit(TABLE.rename(columns={"y0": "other"}))
    with pytest.raises(ValueError, match="NaN"):
        regressor.fit(TABLE[["y0"]] * np.nan)
    assert all(vars(regressor)[name] is value for name, value in before.items())


def test_a_refused_update_leaves_the_container():
    series = TABLE["y0"].rename("mine")
    forecaster = CLASSICAL.clone().fit(series[:100])
    gap = series[150:151].to_frame()
    with pytest.raises(ValueError, match="missing"):
        forecaster.update(gap)
    assert forecaster.predict([1]).name == "mine"
    assert forecaster.predict_residuals().name == "mine"


def test_parameters_set_during_a_fit_stay(monkeypatch):
    forecaster = LinearAttentionVAR(2, max_epochs=1, random_state=0)
    train = torch.nn.Module.train

    def set_meanwhile(self, mode=True):
        forecaster.set_params(lags=5)
        return train(self, mode)

    monkeypatch.setattr(torch.nn.Module, "train", set_meanwhile)
    forecaster.fit(TABLE)
    assert forecaster.lags == 5
    assert len(forecaster.coef_) == 2


def size_of(thing):
    file = io.BytesIO()
    joblib.dump(thing, file)
    return file.tell()


def weights_of(forecaster):
    return sum(x.nbytes for x in forecaster.network_.state_dict().values())


@pytest.mark.parametrize("name", FORECASTERS)
def test_files_hold_the_table_once(name):
    """And the weights, those of the calibration model as well, whatever was read."""
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(800, 8)))
    table.index = pd.date_range("2024-01-01", periods=800, freq="h")
    forecaster = FORECASTERS[name].clone().fit(table[:790])
    most = 1.3 * size_of(table) + weights_of(forecaster)
    assert size_of(forecaster) <= most
    before = forecaster.predict_interval([1, 2])
    most += weights_of(forecaster)
    reads = (
        lambda: forecaster.coef_,
        lambda: forecaster.sigma_u_,
        lambda: forecaster.var_coefficients(),
        lambda: forecaster.predict([-100, 1]),
        lambda: forecaster.predict_residuals(),
        lambda: forecaster.update(table[790:], update_params=False).predict([1]),
        lambda: forecaster.predict_interval([1, 2]),
    )
    for read in reads:
        read()
        assert size_of(forecaster) <= most
    fresh = FORECASTERS[name].clone().fit(table[:790])
    found = pickle.loads(pickle.dumps(fresh)).predict_interval([1, 2])
    pd.testing.assert_frame_equal(found, before, check_exact=True)


@pytest.mark.parametrize("name", FORECASTERS)
def test_streams_do_not_carry_the_history(name):
    lengths = {}
    for n_rows in (100, 400):
        stream = FORECASTERS[name].clone().fit(TABLE[:n_rows]).stream()
        for row in TABLE.to_numpy()[:5]:
            stream.push(row)
        stream.push([np.nan, 1.0, np.nan])
        lengths[n_rows] = len(pickle.dumps(stream))
    # Closed forms and fills look back as far as the rows of a window.
    assert lengths[400] <= lengths[100] + 200


def test_what_is_cached_dies_with_the_history():
    forecaster = CLASSICAL.clone().fit(TABLE[:100])
    values = forecaster.coef_, forecaster.sigma_u_, forecaster.predict([0, 1])
    forecaster.update(TABLE[100:200])
    expected = CLASSICAL.clone().fit(TABLE[:100])
    expected = expected.update(TABLE[100:200])
    for found, old, new in zip(
        (forecaster.coef_, forecaster.sigma_u_, forecaster.predict([0, 1])),
        values,
        (expected.coef_, expected.sigma_u_, expected.predict([0, 1])),
        strict=True,
    ):
        assert not np.array_equal(found, old)
        np.testing.assert_array_equal(found, new)


def test_locks_are_not_shared_with_copies():
    lock = Lock()
    with lock:
        for other in (copy.deepcopy(lock), pickle.loads(pickle.dumps(lock))):
            thread = threading.Thread(target=other.__enter__)
            thread.start()
            thread.join(10)
            assert not thread.is_alive()


forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def in_child(function, seconds=120):
    """Exit code of a forked child, which is killed where it hangs."""
    child = os.fork()
    if not child:
        try:
            function()
            os._exit(0)
        except BaseException:
            os._exit(1)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return "hangs"


FORK = """
import os, sys, threading, time, warnings
warnings.simplefilter("ignore")
import torch
torch.set_num_threads(2)
from test_sharing import CLASSICAL, FORECASTERS, TABLE, in_child

shared = FORECASTERS["dynamic"].clone().fit(TABLE)
stop = threading.Event()

def fit_for_ever():
    while not stop.is_set():
        shared.fit(TABLE)
        shared.predict_interval([1])
        FORECASTERS["samovar"].clone().fit(TABLE)

threads = [threading.Thread(target=fit_for_ever) for _ in range(2)]
for thread in threads:
    thread.start()

def child():
    shared.predict([1])
    shared.fit(TABLE[:100]).predict_interval([1])
    for name in ("classical", "samovar"):
        FORECASTERS[name].clone().fit(TABLE[:100]).predict([1])

found = []
for pause in (0.0, 0.05, 0.2, 0.5, 1.0):
    time.sleep(pause)
    found.append(in_child(child, seconds=60))
stop.set()
for thread in threads:
    thread.join()
assert found == [0] * 5, found
"""


@pytest.mark.slow
@forks
def test_a_child_forked_during_a_fit_can_fit(tmp_path):
    tests = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{tests.parent}{os.pathsep}{tests}"}
    environment.pop("OMP_NUM_THREADS", None)
    (tmp_path / "fork.py").write_text(FORK)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "fork.py")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_classifiers_are_shared_like_forecasters(switching_often):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(12, 2, 20)), np.repeat(["a", "b"], 6)
    X[6:] += 1.0
    classifier = AarenClassifier(max_epochs=2, d_model=8, random_state=0).fit(X, y)
    expected = classifier.predict_proba(X)

    def use(i):
        if i % 4 == 0:
            classifier.fit(X, y)
        return classifier.predict_proba(X)

    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(use, range(16)):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("method", ["fit_predict", "fit_predict_proba"])
def test_classifiers_that_fit_and_predict_are_fitted(method):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(8, 1, 12)), np.array(["a", "b"] * 4)
    classifier = AarenClassifier(max_epochs=1, d_model=8, random_state=0)
    getattr(classifier, method)(X, y)
    assert classifier.is_fitted
    classifier.predict(X)


def test_copies_are_made_while_intervals_are_computed(switching_often):
    forecaster = CLASSICAL.clone().fit(TABLE[:300])

    def use(i):
        if i % 2:
            return len(pickle.dumps(forecaster))
        return forecaster.predict_interval([1 + i])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(use, range(60)))


def test_tables_may_be_changed_after_they_were_passed():
    rng = np.random.default_rng(0)
    rows, covariates = (pd.DataFrame(rng.normal(size=(60, 2))) for _ in range(2))
    covariates = covariates.add_prefix("x")
    forecaster = SAMoVARForecaster(3, n_layers=0, static_path="ridge")

    def forecast(change):
        y, X = rows.copy(), covariates.copy()
        first, last = y[:40].copy(), y[40:41].copy()
        fitted = forecaster.clone().fit(first, X=X[:40], fh=[1])
        change(first)
        fitted.update(last, X=X[40:41], update_params=False)
        change(last)
        fitted.update(y[41:42], X=X[41:42], update_params=False)
        return fitted.predict(X=X[42:43])

    def ruin(table):
        table.iloc[-1] = 1000.0

    pd.testing.assert_frame_equal(forecast(ruin), forecast(lambda table: None))

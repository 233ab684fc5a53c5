"""Fits that are interrupted or killed: what is kept, and how they go on."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.signal import lfilter
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sktime.datasets import load_unit_test

from skvar import (
    AarenClassifier,
    AarenForecaster,
    LinearAttentionVAR,
    SAMoVARForecaster,
    SAMoVARRegressor,
    rolling_score,
)

TABLE = lfilter([1], [1, -0.8], np.random.default_rng(0).normal(size=(400, 2)), axis=0)
TINY = {"d_model": 8, "n_heads": 2, "max_epochs": 6, "random_state": 0}
NETWORKS = {
    "samovar": SAMoVARForecaster(8, horizon=2, dropout=0.2, **TINY),
    "alone": SAMoVARForecaster(8, horizon=2, static_path=None, **TINY),
    "aaren": AarenForecaster(8, horizon=2, early_stopping=False, **TINY),
    "linear attention": LinearAttentionVAR(8, **TINY),
}


@pytest.fixture
def interrupted(monkeypatch):
    """Raise as Ctrl-C does, at a step of the optimiser; count the steps."""
    step, steps = torch.optim.AdamW.step, []

    def at(number):
        def counted(self, *args, **kwargs):
            steps.append(1)
            if len(steps) == number:
                raise KeyboardInterrupt
            return step(self, *args, **kwargs)

        monkeypatch.setattr(torch.optim.AdamW, "step", counted)
        steps.clear()
        return steps

    return at


@pytest.fixture
def every_epoch(monkeypatch):
    """Checkpoints of each epoch, however short."""
    monkeypatch.setattr("skvar._training.checkpoint._SECONDS", 0.0)


@pytest.mark.parametrize("name", NETWORKS)
def test_an_interrupted_fit_leaves_the_forecaster_as_it_was(name, interrupted):
    forecaster = NETWORKS[name].clone()
    interrupted(5)
    with pytest.raises(KeyboardInterrupt):
        forecaster.fit(TABLE)
    assert not forecaster.is_fitted
    forecaster.fit(TABLE)
    before = forecaster.predict([1, 2, 3])
    interrupted(5)
    with pytest.raises(KeyboardInterrupt):
        forecaster.fit(TABLE[:300])
    np.testing.assert_array_equal(forecaster.predict([1, 2, 3]), before)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_best_network_so_far_may_be_kept(name, interrupted):
    """As if it had been trained for so many epochs."""
    forecaster = NETWORKS[name].clone().set_params(on_interrupt="keep_best")
    steps = interrupted(25)
    with pytest.warns(ConvergenceWarning, match="interrupted after epoch . of 6"):
        forecaster.fit(TABLE)
    assert 1 <= forecaster.n_epochs_ <= 5
    assert forecaster.best_epoch_ <= forecaster.n_epochs_
    scores = forecaster.validation_scores_
    if scores:
        assert len(scores) == forecaster.n_epochs_ + 1
    assert np.isfinite(forecaster.predict([1, 2, 3])).all()
    # Nothing is trained after the interruption.
    assert len(steps) == 25


def test_intervals_are_not_those_of_an_interrupted_fit(interrupted):
    forecaster = NETWORKS["samovar"].clone().set_params(on_interrupt="keep_best")
    forecaster.fit(TABLE)
    interrupted(5)
    with pytest.raises(KeyboardInterrupt):
        forecaster.predict_interval([1])
    assert np.isfinite(forecaster.predict_interval([1])).all(axis=None)


def test_on_interrupt_is_checked():
    with pytest.raises(ValueError, match="on_interrupt must be"):
        SAMoVARForecaster(on_interrupt="keep").fit(TABLE)


@pytest.mark.parametrize("at", [5, 25, 70])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_fit_goes_on(name, at, interrupted, every_epoch, tmp_path):
    """To the same result, without the epochs that are done."""
    unbroken = NETWORKS[name].clone()
    steps = interrupted(10**9)
    unbroken.fit(TABLE)
    n_steps = len(steps)
    forecaster = NETWORKS[name].clone().set_params(checkpoint=tmp_path / "new")
    steps = interrupted(at)
    if at <= n_steps:
        with pytest.raises(KeyboardInterrupt):
            forecaster.fit(TABLE)
    else:
        forecaster.fit(TABLE)
    steps = interrupted(10**9)
    forecaster.fit(TABLE)
    one_epoch = 13
    assert len(steps) <= n_steps - min(at, n_steps) + one_epoch
    fh = [1, 2, 3]
    np.testing.assert_array_equal(forecaster.predict(fh), unbroken.predict(fh))
    assert forecaster.loss_curve_ == unbroken.loss_curve_
    assert forecaster.validation_scores_ == unbroken.validation_scores_
    assert forecaster.best_epoch_ == unbroken.best_epoch_
    steps = interrupted(10**9)
    forecaster.fit(TABLE)
    assert not steps


@pytest.mark.parametrize(
    "change",
    [
        {"scaled_attention": False},
        {"learning_rate": 0.01},
        {"random_state": 1},
        {"max_epochs": 5},
        {"dropout": 0.1},
        {"centre_on": "last"},
    ],
    ids=str,
)
def test_another_fit_does_not_go_on_from_it(change, tmp_path):
    options = {"static_path": None, "retrain": False, "dropout": 0.2, **TINY}
    one = SAMoVARForecaster(8, centre_on="token", checkpoint=tmp_path, **options)
    one.fit(TABLE)
    other = one.clone().set_params(**change).fit(TABLE)
    fresh = other.clone().set_params(checkpoint=None).fit(TABLE)
    np.testing.assert_array_equal(other.predict([1]), fresh.predict([1]))
    other = one.clone().fit(TABLE[1:])
    fresh = other.clone().set_params(checkpoint=None).fit(TABLE[1:])
    np.testing.assert_array_equal(other.predict([1]), fresh.predict([1]))


def test_regressors_and_classifiers_go_on(interrupted, every_epoch, tmp_path):
    series, labels = load_unit_test(split="train", return_X_y=True)
    for estimator, X, y in (
        (SAMoVARRegressor(8, checkpoint=tmp_path, **TINY), TABLE, TABLE[:, 0]),
        (AarenClassifier(checkpoint=tmp_path, **TINY), series, labels),
    ):
        interrupted(4)
        with pytest.raises(KeyboardInterrupt):
            estimator.fit(X, y)
        interrupted(10**9)
        whole = type(estimator)(**estimator.get_params() | {"checkpoint": None})
        expected = whole.fit(X, y)
        predict = "predict_proba" if y is labels else "predict"
        found = getattr(estimator.fit(X, y), predict)(X)
        np.testing.assert_array_equal(found, getattr(expected, predict)(X))


def test_searches_go_on(interrupted, every_epoch, tmp_path):
    forecaster = NETWORKS["samovar"].clone().set_params(checkpoint=tmp_path)
    search = GridSearchCV(
        forecaster,
        {"lags": [6, 8]},
        scoring=rolling_score,
        cv=TimeSeriesSplit(2),
        error_score="raise",
    )
    interrupted(60)
    with pytest.raises(KeyboardInterrupt):
        search.fit(TABLE)
    search.fit(TABLE)
    steps = interrupted(10**9)
    search.fit(TABLE)
    assert not steps


def test_a_checkpoint_needs_a_seed(tmp_path):
    with pytest.raises(ValueError, match="checkpoint needs a random_state"):
        SAMoVARForecaster(checkpoint=tmp_path).fit(TABLE)


def test_a_damaged_checkpoint_is_named(tmp_path):
    forecaster = NETWORKS["alone"].clone().set_params(checkpoint=tmp_path)
    forecaster.fit(TABLE)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ValueError, match="Delete it to train from the beginning"):
        forecaster.fit(TABLE)


def test_a_killed_fit_goes_on():
    script = Path(__file__).parents[1] / "benchmarks/reliability.py"
    command = [sys.executable, script, "fits", "--number", "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr

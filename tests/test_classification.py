"""The classifier in sktime's protocol, on real data and against definitions."""

import copy

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from contracts import checks_of_sktime
from sklearn.model_selection import GridSearchCV, cross_val_score
from sktime.classification.compose import ClassifierPipeline
from sktime.datasets import (
    load_basic_motions,
    load_italy_power_demand,
    load_japanese_vowels,
    load_unit_test,
)
from sktime.exceptions import NotFittedError
from sktime.transformations.series.exponent import ExponentTransformer
from sktime.utils.estimator_checks import check_estimator

from skvar import AarenClassifier
from skvar._data.panel import Panel
from skvar.nn import AarenForClassification


@pytest.mark.parametrize(
    ("obj", "test_name"), list(checks_of_sktime([AarenClassifier], in_full=[]))
)
def test_sktime_contract(obj, test_name):
    check_estimator(obj, tests_to_run=test_name, raise_exceptions=True, verbose=False)


SMALL = AarenClassifier(d_model=16, max_epochs=5, random_state=0)


def make_series(n_series=20, seed=0):
    """Series of unequal lengths, of two classes by their frequency."""
    rng = np.random.default_rng(seed)
    labels = np.array(["slow", "fast"])[np.arange(n_series) % 2]
    series = []
    for label in labels:
        t = np.arange(rng.integers(5, 30))
        wave = np.sin((0.3 if label == "slow" else 1.2) * t + rng.uniform(0, 6))
        rows = np.stack([wave, rng.normal(size=len(t))], axis=1)
        series.append(pd.DataFrame(rows, columns=["wave", "noise"]))
    return series, labels


@pytest.fixture(scope="module")
def data():
    return make_series()


@pytest.fixture(scope="module")
def fitted(data):
    return SMALL.clone().fit(*data)


def test_units_are_those_of_series_that_are_not_held_out():
    X, y = np.random.default_rng(0).normal(size=(20, 1, 12)), np.arange(20) % 2
    classifier = AarenClassifier(max_epochs=1, validation_fraction=0.2, random_state=0)
    for early_stopping, n_seen in ((True, 16), (False, 20)):
        classifier.set_params(early_stopping=early_stopping)
        assert classifier.fit(X, y).scaler_.n_samples_seen_ == n_seen * 12


@pytest.mark.parametrize(
    ("load", "max_epochs", "least"),
    [
        # What 1-NN with dynamic time warping reaches (docs/aaren.md), less 0.03: after
        # the epochs of the default settings, or a third of them.
        (load_basic_motions, 80, 0.945),
        (load_italy_power_demand, None, 0.92),
        (load_japanese_vowels, 18, 0.919),
    ],
)
@pytest.mark.slow
def test_accuracy(load, max_epochs, least):
    train, test = (load(split=split, return_X_y=True) for split in ("train", "test"))
    classifier = AarenClassifier(max_epochs=max_epochs, random_state=0)
    assert classifier.fit(*train).score(*test) >= least


def test_probabilities_after_every_row(fitted, data):
    series, _ = data
    rolling = fitted.rolling_predict_proba(series)
    lengths = [len(x) for x in series]
    assert rolling.shape == (20, max(lengths), 2)
    for i, length in enumerate(lengths):
        assert np.isnan(rolling[i, length:]).all()
        np.testing.assert_allclose(rolling[i, :length].sum(axis=-1), 1)
        for t in (0, length // 2, length - 1):
            beginning = fitted.predict_proba([series[i][: t + 1]])[0]
            np.testing.assert_allclose(beginning, rolling[i, t], atol=1e-5)
        stream = fitted.stream()
        pushed = [stream.push(row) for row in series[i].to_numpy()]
        np.testing.assert_allclose(pushed, rolling[i, :length], atol=1e-5)
    np.testing.assert_array_equal(
        fitted.predict(series), fitted.classes_[fitted.predict_proba(series).argmax(1)]
    )


def test_a_series_does_not_see_the_others(fitted, data):
    series, _ = data
    together = fitted.predict_proba(series)
    alone = [fitted.predict_proba([x])[0] for x in series]
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_long_streams_stay_constant_and_finite(fitted):
    def size(state):
        if torch.is_tensor(state):
            return state.untyped_storage().nbytes()
        return sum(map(size, state)) if isinstance(state, tuple) else 0

    stream, rng = fitted.stream(), np.random.default_rng(0)
    sizes = []
    for _ in range(1000):
        assert np.isfinite(stream.push(rng.normal(size=2))).all()
        sizes.append(size(stream._state))
    assert len(set(sizes)) == 1
    other = copy.deepcopy(stream)
    row = rng.normal(size=2)
    np.testing.assert_array_equal(stream.push(row), other.push(row))


def test_containers_agree():
    X, y = load_unit_test(split="train", return_X_y=True)
    fitted = SMALL.clone().fit(X, y)
    array = np.stack([np.stack(list(row)) for row in X.to_numpy()])
    expected = fitted.predict_proba(X)
    np.testing.assert_allclose(fitted.predict_proba(array), expected, atol=1e-6)
    again = SMALL.clone().fit(array, y)
    np.testing.assert_array_equal(again.predict_proba(array), expected)


def test_sktime_pipeline(data):
    pipeline = ClassifierPipeline(SMALL.clone(), [ExponentTransformer(3)])
    assert pipeline.fit(*data).predict(data[0]).shape == (20,)


def test_sklearns_tools(data):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 2, 12)), np.repeat(["a", "b"], 20)
    X[y == "b", 0] += 2
    assert cross_val_score(SMALL, X, y, cv=2).mean() > 0.8
    search = GridSearchCV(SMALL, {"token_length": [2, 4]}, cv=2).fit(X, y)
    assert search.predict_proba(X).shape == (40, 2)


def test_outliers_do_not_make_nan(fitted, data):
    spoilt = [x.copy() for x in data[0]]
    spoilt[0].iloc[1, 0] = 1e38
    assert np.isfinite(fitted.predict_proba(spoilt)).all()
    stream = fitted.stream()
    stream.push([1e38, -1e38])
    assert np.isfinite(stream.push([0.0, 0.0])).all()


def test_joblib_round_trip(fitted, data, tmp_path):
    joblib.dump(fitted, tmp_path / "classifier.joblib")
    loaded = joblib.load(tmp_path / "classifier.joblib")
    np.testing.assert_array_equal(
        loaded.predict_proba(data[0]), fitted.predict_proba(data[0])
    )


def test_fit_is_bit_identical_and_leaves_global_state(fitted, data):
    torch.rand(3)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    again = SMALL.clone().fit(*data)
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()  # noqa: NPY002
    np.testing.assert_array_equal(
        again.predict_proba(data[0]), fitted.predict_proba(data[0])
    )
    other = SMALL.clone().set_params(random_state=1).fit(*data)
    assert not np.allclose(other.predict_proba(data[0]), fitted.predict_proba(data[0]))


def test_early_stopping_keeps_the_best_epoch(data):
    classifier = SMALL.clone().set_params(
        early_stopping=True, max_epochs=60, n_iter_no_change=3, learning_rate=0.05
    )
    classifier.fit(*data)
    scores = classifier.validation_scores_
    assert len(scores) == classifier.n_epochs_ + 1
    assert scores[classifier.best_epoch_] == max(scores)
    assert classifier.n_epochs_ == min(60, classifier.best_epoch_ + 3)


def test_losses_are_cross_entropies():
    torch.manual_seed(0)
    network = AarenForClassification(longest=9, n_series=2, n_classes=3, dropout=0.0)
    rows, lengths = torch.randn(4, 9, 2), torch.tensor([9, 1, 5, 9])
    labels = torch.tensor([0, 2, 1, 0])
    every, last = [], []
    for series, length, label in zip(rows, lengths, labels, strict=True):
        for t in range(1, length + 1):
            scores = network(series[None, :t], torch.tensor([t]))
            every.append(-scores.log_softmax(-1)[0, label])
        last.append(every[-1])
    losses = network.losses(rows, lengths, labels)
    assert torch.isclose(losses["loss_every"], torch.stack(every).mean(), atol=1e-5)
    assert torch.isclose(losses["loss_last"], torch.stack(last).mean(), atol=1e-5)


def test_batches_hold_every_series_once():
    series = [np.full((n, 1), n) for n in (3, 1, 4, 2, 5)]
    panel = Panel(series, np.arange(5))
    seen = {}
    for rows, lengths, labels in panel.batches(2, generator=torch.Generator()):
        assert rows.shape[1] == lengths.max()
        for row, length, label in zip(rows, lengths, labels, strict=True):
            assert (row[:length] == length).all()
            assert (row[length:] == 0).all()
            seen[int(label)] = int(length)
    assert seen == dict(enumerate((3, 1, 4, 2, 5)))


def holding(value):
    series, labels = make_series()
    series[3].iloc[2, 1] = value
    return series, labels


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: holding(np.inf), "X holds NaN or inf"),
        (lambda: holding(np.nan), "missing values|NaN"),
        (lambda: (make_series()[0], np.arange(20)), "early_stopping=False"),
    ],
    ids=["inf", "nan", "a class of one"],
)
def test_bad_data_leave_the_classifier_as_it_was(make, message, fitted, data):
    classifier = copy.deepcopy(fitted)
    classifier.early_stopping = True
    expected = fitted.predict_proba(data[0])
    with pytest.raises(ValueError, match=message):
        classifier.fit(*make())
    np.testing.assert_array_equal(classifier.predict_proba(data[0]), expected)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"token_length": 0}, "token_length"),
        ({"early_stopping": "no"}, "early_stopping"),
        ({"n_layers": 0}, "n_layers"),
        ({"n_heads": 3}, "n_heads=3 does not divide d_model=16"),
        ({"d_model": 2.5}, "d_model"),
        ({"dropout": 1.0}, "dropout"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"max_epochs": -1}, "max_epochs"),
        ({"batch_size": 0}, "batch_size"),
        ({"validation_fraction": 1.5}, "validation_fraction"),
        ({"device": "abacus"}, "device='abacus'"),
    ],
)
def test_bad_parameters(parameters, message, data):
    with pytest.raises((ValueError, TypeError), match=message):
        SMALL.clone().set_params(**parameters).fit(*data)


def test_other_columns_and_rows_are_named(fitted, data):
    series = [x[["wave"]] for x in data[0]]
    mixed, other = list(data[0]), list(data[0])
    mixed[3] = series[3]
    other[2] = other[2][["noise", "wave"]]
    calls = (fitted.predict, fitted.rolling_predict_proba)
    for call in (*calls, lambda X: SMALL.clone().fit(X, data[1])):
        for X, number in ((mixed, 3), (other, 2)):
            with pytest.raises(ValueError, match=f"Series {number} of X has the col"):
                call(X)
    for call in calls:
        with pytest.raises(ValueError, match="Series 0 of X has the columns"):
            call(series)
    with pytest.raises(ValueError, match="row names"):
        fitted.stream().push(data[0][0].iloc[0][["noise", "wave"]])
    with pytest.raises(ValueError, match="row holds NaN"):
        fitted.stream().push([0.0, np.nan])
    with pytest.raises(ValueError, match=r"of shape \(2,\)"):
        fitted.stream().push([0.0])


def test_before_fit_and_with_one_class(data):
    for call in (SMALL.clone().stream, lambda: SMALL.clone().device_):
        with pytest.raises(NotFittedError):
            call()
    with pytest.warns(UserWarning, match="only single label"):
        alone = SMALL.clone().fit(data[0], np.repeat("a", 20))
    assert (alone.predict(data[0]) == "a").all()
    for call in (alone.stream, lambda: alone.rolling_predict_proba(data[0])):
        with pytest.raises(ValueError, match="All labels in fit were 'a'"):
            call()
    assert not hasattr(alone, "device_")

"""Engines that users have: loky, Dask and Ray under joblib, processes of a launcher."""

import os
import pickle
import signal
import subprocess
import sys
from functools import partial

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from joblib.externals.loky.process_executor import TerminatedWorkerError
from joblib.parallel import register_parallel_backend
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sktime.forecasting.model_evaluation import evaluate
from sktime.split import ExpandingWindowSplitter
from statsmodels.tsa.api import VAR

from skvar import (
    LinearAttentionVAR,
    SAMoVARForecaster,
    VARCoefficients,
    data_parallel,
    rolling_score,
)
from skvar.benchmark import benchmark
from skvar.datasets import SplitSeries, make_var

pytestmark = [
    pytest.mark.distributed,
    # sktime announces a default of its next version.
    pytest.mark.filterwarnings("ignore:The default of config:FutureWarning"),
    # Engines leave sockets to be closed as they end.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
TABLE = make_var(200, 3, random_state=0).series
NETWORK = LinearAttentionVAR(2, horizon=2, max_epochs=2, random_state=0)
CLASSICAL = LinearAttentionVAR(2, horizon=2, n_layers=0)


# Of one kind in all tests, to share workers; arrays of a kilobyte are not copied.
LOKY = partial(joblib.parallel_config, "loky", n_jobs=2, max_nbytes=1000)


@pytest.fixture(params=["loky", "dask", "ray"])
def engine(request):
    """What a user writes around a call."""
    if request.param == "loky":
        return LOKY
    request.getfixturevalue(
        {"dask": "dask_client", "ray": "ray_started"}[request.param]
    )
    return partial(joblib.parallel_config, request.param, n_jobs=2)


def search(scoring=rolling_score, table=TABLE):
    """A search of four settings, with a network and without."""
    return GridSearchCV(
        NETWORK,
        {"lags": [1, 2], "n_layers": [0, 1]},
        cv=TimeSeriesSplit(2),
        scoring=scoring,
        refit=False,
        error_score="raise",
    ).fit(table)


@pytest.mark.parametrize("engine", ["loky", "dask"], indirect=True)
def test_a_search_is_that_of_one_process(engine):
    """And each worker takes one of two processors, and none of the threads here."""

    def score_and_threads(estimator, Y, y=None):
        score = rolling_score(estimator, Y, y)
        return {"score": score, "threads": torch.get_num_threads()}

    threads = torch.get_num_threads()
    with engine():
        found = search(score_and_threads).cv_results_
    assert torch.get_num_threads() == threads
    expected = search().cv_results_["mean_test_score"]
    np.testing.assert_array_equal(found["mean_test_score"], expected)
    assert (found["mean_test_threads"] == 1).all()


def test_a_bootstrap_is_that_of_one_process(engine):
    """Also where an engine gives no results before the last."""
    fitted = VAR(TABLE).fit(2)
    known = VARCoefficients(
        fitted.coefs, fitted.intercept, fitted.sigma_u, history=TABLE
    )

    def bands(**options):
        return known.irf(
            4, bands=0.9, n_draws=6, block_length=3, random_state=0, **options
        )

    expected = bands()
    with engine():
        pd.testing.assert_frame_equal(bands(n_jobs=2), expected, check_exact=True)


def test_tasks_of_a_bootstrap_share_their_tables():
    """Engines send an argument once: only a few bytes are of one task alone."""
    tasks = []

    class Recording(joblib._parallel_backends.ThreadingBackend):
        def submit(self, func, callback=None):
            tasks.extend(func.items)
            return super().submit(func, callback)

    register_parallel_backend("recording", Recording)
    table = make_var(5000, 3, random_state=0).series
    known = CLASSICAL.clone().fit(table).var_coefficients()
    with joblib.parallel_config("recording", n_jobs=2):
        known.irf(2, bands=0.9, method="bootstrap", n_draws=4, random_state=0)
    assert len(tasks) == 4
    functions, arguments, _ = zip(*tasks, strict=True)
    assert len(pickle.dumps(functions[0])) < 1000
    for same in zip(*arguments, strict=True):
        one = same[0]
        assert all(other is one for other in same) or len(pickle.dumps(one)) < 5000


def test_backtests_are_those_of_one_process(dask_client):
    folds = ExpandingWindowSplitter(fh=[1, 2], initial_window=150, step_length=20)

    def errors(**options):
        table = evaluate(NETWORK.clone(), folds, TABLE, **options)
        return table["test_MeanAbsolutePercentageError"].tolist()

    assert errors(backend="dask") == errors(backend=None)


def test_a_benchmark_is_that_of_one_process(dask_client):
    data = SplitSeries("simulated", TABLE, 120, 150, 190, season=4)

    def errors():
        table = benchmark({"a": CLASSICAL, "b": NETWORK}, data, 2, seeds=0, verbose=0)
        return table[["estimator", "MSE", "MAE"]]

    expected = errors()
    with joblib.parallel_config("dask"):
        pd.testing.assert_frame_equal(errors(), expected, check_exact=True)


def test_training_is_silent_where_print_is_another(monkeypatch, capsys):
    """As Ray makes it, while skorch tells by print whether it is to be silent."""
    monkeypatch.setattr("builtins.print", lambda *args, **kwargs: None)
    NETWORK.clone().fit(TABLE)
    assert capsys.readouterr().out == ""


def killing_once(mark):
    """A scorer that kills the first worker that comes to it."""
    here = os.getpid()

    def score(estimator, Y, y=None):
        if os.getpid() != here and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return rolling_score(estimator, Y, y)

    return score


def test_dask_does_again_what_a_killed_worker_did(dask_client, tmp_path):
    """Where more than one worker holds the table."""
    # Numbers of the rows of longer folds are sent to one worker alone.
    table = TABLE[:150]
    expected = search(table=table).cv_results_["mean_test_score"]
    with joblib.parallel_config("dask", scatter=[table]):
        found = search(killing_once(tmp_path / "killed"), table).cv_results_
    assert (tmp_path / "killed").exists()
    np.testing.assert_array_equal(found["mean_test_score"], expected)


def test_loky_tells_of_a_killed_worker(tmp_path):
    with (
        LOKY(),
        pytest.raises(TerminatedWorkerError),
    ):
        search(killing_once(tmp_path / "killed"))


LAUNCHED = """
import contextlib, io, os, pickle, signal, sys
import torch
from skvar import LinearAttentionVAR, SAMoVARForecaster, data_parallel
folder = sys.argv[1]
with open(f"{folder}/estimators.pickle", "rb") as file:
    estimators, table = pickle.load(file)
torch.distributed.init_process_group("gloo")
rank = torch.distributed.get_rank()
shown, found = io.StringIO(), {}
with data_parallel(), contextlib.redirect_stderr(shown):
    for name, estimator in estimators.items():
        estimator.set_params(checkpoint=f"{folder}/{name}-{rank}", verbose=1)
        estimator.fit(table)
        curves = estimator.loss_curve_, estimator.validation_scores_
        found[name] = *curves, estimator.best_epoch_, estimator.predict([1, 2])
    try:
        estimator.clone().set_params(random_state=rank).fit(table)
    except ValueError as error:
        found["error"] = str(error)
estimator.set_params(checkpoint=None)
found["alone"] = estimator.clone().set_params(random_state=rank).fit(table).n_epochs_
found["shown"] = shown.getvalue()
with open(f"{folder}/{rank}.pickle", "wb") as file:
    pickle.dump(found, file)
step = torch.optim.AdamW.step
def killed(self, *args, **kwargs):
    if rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, *args, **kwargs)
torch.optim.AdamW.step = killed
with data_parallel():
    estimator.clone().fit(table)
open(f"{folder}/survived", "w").close()
"""
# Parts of 100, 100 and 1 window; an early stop; attention over tokens.
SHARED = {
    "unequal": LinearAttentionVAR(
        2, max_epochs=2, early_stopping=False, batch_size=50, random_state=0
    ),
    "stopped": LinearAttentionVAR(
        2,
        max_epochs=20,
        n_iter_no_change=2,
        learning_rate=0.03,
        batch_size=16,
        random_state=0,
    ),
    "samovar": SAMoVARForecaster(
        6,
        horizon=2,
        d_model=8,
        dropout=0.0,
        static_path=None,
        max_epochs=2,
        batch_size=16,
        random_state=0,
    ),
}


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    """What two processes of torchrun found, until one of them is killed."""
    folder = tmp_path_factory.mktemp("launched")
    (folder / "script.py").write_text(LAUNCHED)
    table = make_var(203, 3, random_state=0).series
    with open(folder / "estimators.pickle", "wb") as file:
        pickle.dump((SHARED, table), file)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    ended = subprocess.run(
        [*command, "--nproc-per-node=2", folder / "script.py", folder],
        capture_output=True,
        text=True,
        timeout=300,
    )
    results = []
    for rank in (0, 1):
        assert (folder / f"{rank}.pickle").exists(), ended.stderr
        results.append(pickle.loads((folder / f"{rank}.pickle").read_bytes()))
    return results, folder, table, ended


@pytest.mark.parametrize("name", SHARED)
def test_two_processes_train_as_one_with_twice_the_batch(name, launched):
    results, _, table, _ = launched
    losses, scores, best_epoch, forecasts = results[0][name]
    alone = SHARED[name].clone()
    alone.set_params(batch_size=2 * alone.batch_size).fit(table)
    np.testing.assert_allclose(losses, alone.loss_curve_, atol=1e-5)
    np.testing.assert_allclose(scores, alone.validation_scores_, atol=1e-5)
    assert best_epoch == alone.best_epoch_
    np.testing.assert_allclose(forecasts, alone.predict([1, 2]), atol=1e-4)
    assert results[1][name][:3] == (losses, scores, best_epoch)
    pd.testing.assert_frame_equal(results[1][name][3], forecasts, check_exact=True)


def test_processes_stop_early_together(launched):
    (first, second), *_ = launched
    assert len(first["stopped"][0]) == len(second["stopped"][0]) < 20


def test_the_first_process_alone_writes_and_shows(launched):
    (first, second), folder, *_ = launched
    for name in SHARED:
        assert list((folder / f"{name}-0").iterdir())
        assert not (folder / f"{name}-1").exists()
    assert "fit: " in first["shown"]
    assert second["shown"] == ""


def test_processes_must_begin_alike(launched):
    for found in launched[0]:
        assert "another training than process 0" in found["error"]
        # Without the block, each trains alone.
        assert found["alone"] > 0


def test_a_killed_process_ends_the_training(launched):
    _, folder, _, ended = launched
    assert ended.returncode != 0
    assert not (folder / "survived").exists()


def test_processes_that_do_not_know_each_other_are_told(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RuntimeError, match="which are not connected"), data_parallel():
        pass


def test_a_block_without_a_launcher_changes_nothing():
    expected = NETWORK.clone().fit(TABLE).loss_curve_
    with data_parallel():
        assert NETWORK.clone().fit(TABLE).loss_curve_ == expected

"""Fits to tables that are read block by block, here and by workers, against `fit`."""

import os
import pickle
import signal
import subprocess
import sys
import textwrap
from functools import partial, reduce
from operator import add
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joblib.parallel import register_parallel_backend

import skvar
from skvar import (
    AarenForecaster,
    ITransformerForecaster,
    LinearAttentionVAR,
    SAMoVARForecaster,
)
from skvar._closed_form.ridge_var import error_products, path_error
from skvar._closed_form.sums import SummedTable, Sums
from skvar._data.blocks import blocks_of, read
from skvar._forecasting import from_blocks

pytestmark = pytest.mark.distributed

EXACT = {"rtol": 1e-10, "atol": 1e-10}
VAR = LinearAttentionVAR(lags=2, n_layers=0)
DIRECT = SAMoVARForecaster(lags=6, horizon=3, n_layers=0, static_path="ridge")


def table(n_rows=400, n_series=3, seed=0):
    """A stationary VAR in units of different sizes, far from zero."""
    rng = np.random.default_rng(seed)
    shocks, rows = rng.normal(size=(n_rows, n_series)), np.zeros((n_rows, n_series))
    for t in range(1, n_rows):
        rows[t] = 0.6 * rows[t - 1] + 0.2 * np.roll(rows[t - 1], 1) + shocks[t]
    index = pd.date_range("2024-01-01", periods=n_rows, freq="h")
    scale = 10.0 ** np.arange(n_series)
    return pd.DataFrame(rows * scale + 50 * scale, index, [*"abcdefgh"[:n_series]])


def in_blocks(rows, sizes):
    """Consecutive parts of about such sizes, over and over."""
    parts, first = [], 0
    while first < len(rows):
        size = sizes[len(parts) % len(sizes)]
        parts.append(rows[first : first + size])
        first += size
    return parts


def assert_same(found, expected):
    """The same coefficients, forecasts and intervals."""
    assert found.alpha_ == pytest.approx(expected.alpha_, rel=1e-10)
    scale = np.sqrt(np.diag(found.scaler_.var_))
    units = [np.linalg.pinv(scale) @ f.coef_ @ scale for f in (found, expected)]
    np.testing.assert_allclose(*units, **EXACT)
    offsets = [(f.intercept_ / scale.diagonal()) for f in (found, expected)]
    np.testing.assert_allclose(*offsets, **EXACT)
    steps = [*range(1, expected.horizon_ + 1)]
    for name in ("predict", "predict_interval", "predict_var"):
        pd.testing.assert_frame_equal(
            *(getattr(f, name)(steps) for f in (found, expected)),
            rtol=1e-10,
            check_freq=False,
        )


# sums


@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    n_own=st.integers(1, 6),
    n_pairs=st.integers(0, 5),
    offset=st.sampled_from([0.0, 1e3]),
)
@settings(max_examples=60, deadline=None)
def test_sums_join_to_those_of_all_rows(sizes, n_own, n_pairs, offset):
    rows = np.random.default_rng(sum(sizes)).normal(size=(sum(sizes), 2)) + offset
    parts = np.split(rows, np.cumsum(sizes)[:-1])
    parts = [Sums.of(part, n_own, n_pairs) for part in parts]
    for found in (reduce(add, parts), reduce(lambda b, a: a + b, parts[::-1])):
        deviations = rows - rows.mean(axis=0)
        np.testing.assert_allclose(found.mean, rows.mean(axis=0), 1e-14, 1e-14)
        for lag in range(n_own):
            early, late = deviations[: len(rows) - lag], deviations[lag:]
            expected = (early * late).sum(axis=0) if lag < len(rows) else 0.0
            np.testing.assert_allclose(found.own[lag], expected, atol=1e-9)
        for lag in range(min(n_pairs, len(rows))):
            expected = deviations[: len(rows) - lag].T @ deviations[lag:]
            np.testing.assert_allclose(found.pairs[lag], expected, atol=1e-9)
    assert found.n_rows == len(rows)


def test_sums_lose_no_digits_where_blocks_have_other_levels():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(900, 1)) + np.repeat([0.0, 1e6, 3e6], 300)[:, np.newaxis]
    found = reduce(add, [Sums.of(part, 2, 0) for part in np.split(rows, 30)])
    wide = rows.astype(np.longdouble)
    wide = wide - wide.mean(axis=0)
    expected = [float((wide * wide).sum()), float((wide[1:] * wide[:-1]).sum())]
    np.testing.assert_allclose(found.own[:, 0], expected, rtol=1e-14)


def test_summed_tables_are_cut_where_their_stretches_end():
    rows = table(30).to_numpy()
    cut = SummedTable([Sums.of(part, 2, 0) for part in np.split(rows, [10, 25])], 3)
    assert cut.shape == (30, 3)
    assert len(cut[10:]) == 20
    assert len(cut[:0]) == 0
    changes = np.square(np.diff(rows[10:25], axis=0)).sum(axis=0)
    np.testing.assert_allclose(cut[10:25].squared_changes(), changes, rtol=1e-11)
    with pytest.raises(ValueError, match="not summed by themselves"):
        cut[:11]


@pytest.mark.parametrize("n_steps", [1, 4])
def test_errors_of_a_var_are_those_of_its_forecasts(n_steps):
    rng = np.random.default_rng(0)
    rows, order = table(90).to_numpy() / [1, 10, 100], 2
    matrices, intercept = rng.normal(size=(order, 3, 3)) / 5, rng.normal(size=3)
    tables = [rows[:40], rows[40:44], rows[44:]]
    summed = [SummedTable([Sums.of(x, 1, order + n_steps)], 3) for x in tables]
    squares, products = [], np.zeros((3, 3))
    for part in tables:
        for end in range(order, len(part) - n_steps + 1):
            path = [*part[end - order : end]]
            for _ in range(n_steps):
                path.append(intercept + matrices[0] @ path[-1] + matrices[1] @ path[-2])
            errors = part[end : end + n_steps] - path[order:]
            squares.append(np.square(errors).mean())
            products += np.outer(errors[0], errors[0])
    found = path_error(summed, matrices, intercept, n_steps)
    assert found == pytest.approx(np.mean(squares), rel=1e-10)
    if n_steps == 1:
        found = sum(error_products(x, matrices, intercept) for x in summed)
        np.testing.assert_allclose(found, products, rtol=1e-10)


# fits


@given(sizes=st.lists(st.integers(1, 70), min_size=1, max_size=4))
@settings(max_examples=8, deadline=None)
def test_blocks_may_have_any_size(sizes):
    rows, expected = table(150), VAR.clone().fit(table(150))
    found = VAR.clone().fit_blocks([rows[:0], *in_blocks(rows, sizes)])
    np.testing.assert_allclose(found.coef_, expected.coef_, **EXACT)
    np.testing.assert_allclose(found.intercept_, expected.intercept_, **EXACT)
    assert found.predict([1]).index.equals(expected.predict([1]).index)


@pytest.mark.parametrize(
    "forecaster",
    [
        VAR,
        LinearAttentionVAR(lags=1, n_layers=0, alpha=0.3, horizon=4),
        DIRECT,
        SAMoVARForecaster(lags=6, horizon=3, n_layers=0, static_path="var"),
        SAMoVARForecaster(lags=6, horizon=3, n_layers=0),
        SAMoVARForecaster(
            lags=6, horizon=3, n_layers=0, static_path="ridge", alpha=2.0
        ),
    ],
    ids=["var", "var with alpha", "direct", "static var", "auto", "direct with alpha"],
)
def test_fits_are_those_of_the_whole_table(forecaster):
    rows = table(1000)
    expected = forecaster.clone().fit(rows)
    found = forecaster.clone().fit_blocks(in_blocks(rows, [137, 1, 290]))
    assert_same(found, expected)
    if expected.evidence_ is not None:
        np.testing.assert_allclose(found.sigma_u_, expected.sigma_u_, rtol=1e-10)
        assert found.log_evidence_ == pytest.approx(expected.log_evidence_)
    # What comes later, also with gaps, and through a file.
    later = table(1010)[1000:].copy()
    later.iloc[3:5, 1] = np.nan
    for one in (found, expected):
        one.update(later, update_params=False)
    assert_same(found, expected)
    assert found.summary() == expected.summary()


@pytest.mark.parametrize(
    "rows",
    [
        np.exp(0.15 * np.arange(60))[:, np.newaxis] + table(60).to_numpy() / 100,
        np.column_stack([np.full(200, 0.1), table(200).to_numpy()]),
        table(200).to_numpy() + 1e7 * np.arange(200)[:, np.newaxis],
    ],
    ids=["explosive", "constant", "trend"],
)
def test_rows_that_are_hard_to_sum(rows):
    for forecaster in (VAR, DIRECT):
        expected = forecaster.clone().fit(rows).predict([1, 2])
        found = forecaster.clone().fit_blocks(in_blocks(rows, [11])).predict([1, 2])
        np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_many_series_have_no_products_between_them(monkeypatch):
    for module in (
        "_models.families",
        "_models.estimation",
        "_forecasting.from_blocks",
    ):
        monkeypatch.setattr(f"skvar.{module}.VAR_INPUTS", 2)
    forecaster = SAMoVARForecaster(lags=3, horizon=2, n_layers=0)
    expected = forecaster.clone().fit(table())
    assert_same(forecaster.fit_blocks(in_blocks(table(), [25])), expected)
    assert "ridge" in forecaster.summary()


def test_posteriors_and_files_come_from_sums(tmp_path):
    rows = table()
    expected = VAR.clone().fit(rows)
    found = VAR.clone().fit_blocks(in_blocks(rows, [64]))
    skvar.save(found, tmp_path / "fitted.zip")
    recent = rows[-50:]
    for one in (found, skvar.load(tmp_path / "fitted.zip")):
        assert_same(one, expected)
        draws = [
            f.var_coefficients(recent).draws(20, random_state=0)
            for f in (one, expected)
        ]
        for part, other in zip(*draws, strict=True):
            np.testing.assert_allclose(part, other, rtol=1e-6, atol=1e-8)


SMALL = {"n_heads": 2, "d_model": 8, "max_epochs": 2, "random_state": 0, "horizon": 3}
NETWORKS = {
    "var": LinearAttentionVAR(lags=2, tracking_rows=4, **SMALL),
    "beside static path": SAMoVARForecaster(lags=8, **SMALL),
    "alone": SAMoVARForecaster(lags=8, static_path=None, early_stopping=False, **SMALL),
    "once": ITransformerForecaster(lags=8, static_path="ridge", retrain=False, **SMALL),
}


@pytest.mark.parametrize("forecaster", NETWORKS.values(), ids=NETWORKS)
def test_networks_train_on_all_windows_of_a_short_table(forecaster):
    rows = table(700)
    expected = forecaster.clone().fit(rows)
    found = forecaster.clone().fit_blocks(in_blocks(rows, [137, 1, 290]))
    assert found.loss_curve_ == pytest.approx(expected.loss_curve_, rel=1e-5)
    assert found.best_epoch_ == expected.best_epoch_
    np.testing.assert_allclose(found.coef_, expected.coef_, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.sigma_u_, expected.sigma_u_, rtol=1e-4)
    forecasts = [f.predict([1, 2, 3]) for f in (found, expected)]
    pd.testing.assert_frame_equal(*forecasts, rtol=1e-5, check_freq=False)
    if found.network_weight_:
        ends = [f.predict_interval([1, 2, 3]) for f in (found, expected)]
        pd.testing.assert_frame_equal(*ends, rtol=1e-5, check_freq=False)


def test_networks_train_on_a_sample_of_a_long_table():
    rows = table(1500)
    forecaster = NETWORKS["beside static path"].clone().set_params(max_epochs=1)
    found, again = (
        forecaster.clone().fit_blocks(in_blocks(rows, [size]), max_windows=200)
        for size in (700, 101)
    )
    assert found.loss_curve_ == pytest.approx(again.loss_curve_, rel=1e-6)
    assert found.loss_curve_ != forecaster.clone().fit(rows).loss_curve_
    # The closed form beside the network is that of all rows.
    whole = forecaster.clone().set_params(n_layers=0).fit(rows)
    static = found.network_.matrices.double().numpy()
    np.testing.assert_allclose(static, whole.network_.matrices.numpy(), atol=2e-6)


# sources


def sources(folder):
    """Ways to hold one table."""
    import dask.array
    import dask.dataframe
    import pyarrow.dataset
    import zarr

    rows = table()
    values = rows.to_numpy()
    np.save(folder / "rows.npy", np.ascontiguousarray(values))
    np.save(folder / "columns.npy", np.asfortranarray(values))
    stored = zarr.open(
        str(folder / "rows.zarr"),
        mode="w",
        shape=values.shape,
        chunks=(64, 2),
        dtype="f8",
    )
    stored[:] = values
    parquet = folder / "parquet"
    parquet.mkdir()
    for i, part in enumerate(in_blocks(rows, [150])):
        part.to_parquet(parquet / f"{i}.parquet", row_group_size=40)
    return {
        "array": values,
        "frame": rows,
        "npy": folder / "rows.npy",
        "npy by columns": folder / "columns.npy",
        "memmap": np.load(folder / "rows.npy", mmap_mode="r"),
        "zarr": stored,
        "parquet": parquet,
        "parquet file": str(parquet / "0.parquet"),
        "pyarrow": pyarrow.dataset.dataset(parquet),
        "dask array": dask.array.from_array(values, chunks=(120, 2)),
        "dask frame": dask.dataframe.from_pandas(rows, npartitions=3),
        "list": in_blocks(rows, [130]),
        "functions": [
            partial(pd.read_parquet, parquet / f"{i}.parquet") for i in range(3)
        ],
        "function": lambda: iter(in_blocks(values, [99])),
    }


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    """One table, held in many ways."""
    return sources(tmp_path_factory.mktemp("blocks"))


@pytest.fixture(scope="module")
def expected():
    """The fit to the whole table."""
    return VAR.clone().fit(table())


def check(source, expected, engine=None):
    """A fit of a source is that to the table, up to the labels of rows."""
    found = VAR.clone().fit_blocks(source, engine=engine)
    np.testing.assert_allclose(found.coef_, expected.coef_, **EXACT)
    ends = [f.predict_interval([1]).to_numpy() for f in (found, expected)]
    np.testing.assert_allclose(*ends, rtol=1e-10)
    return found


@pytest.mark.parametrize(
    "name",
    [
        "array",
        "frame",
        "npy",
        "npy by columns",
        "memmap",
        "zarr",
        "parquet",
        "pyarrow",
        "dask array",
        "dask frame",
        "list",
        "functions",
        "function",
    ],
)
def test_sources(held, expected, name, monkeypatch):
    monkeypatch.setattr("skvar._data.blocks._BYTES", 2_000)
    found = check(held[name], expected)
    labelled = name in (
        "frame",
        "parquet",
        "pyarrow",
        "dask frame",
        "list",
        "functions",
    )
    [time] = found.predict([1]).index
    assert time == (table(401).index[-1] if labelled else 400)
    names = [*table()] if labelled else [0, 1, 2]
    assert [*found.feature_names_in_] == names


def test_parts_of_memmaps_and_of_files(held):
    rows = table()[:150]
    part = VAR.clone().fit_blocks(held["parquet file"]).coef_
    np.testing.assert_allclose(part, VAR.clone().fit(rows).coef_, **EXACT)
    part = VAR.clone().fit_blocks(held["memmap"][100:300]).coef_
    np.testing.assert_allclose(part, VAR.clone().fit(table()[100:300]).coef_, **EXACT)


def test_iterators_are_read_once(expected):
    parts = in_blocks(table(), [130])
    found = VAR.clone().fit_blocks(iter(parts), n_rows=400)
    np.testing.assert_allclose(found.coef_, expected.coef_, **EXACT)
    with pytest.raises(ValueError, match="pass n_rows"):
        VAR.clone().fit_blocks(iter(parts))
    with pytest.raises(ValueError, match="have 400 rows, not n_rows=300"):
        VAR.clone().fit_blocks(iter(parts), n_rows=300)
    with pytest.raises(ValueError, match="a list of functions"):
        VAR.clone().fit_blocks(iter(parts), n_rows=400, engine="dask")


# refusals


def with_gap():
    """A table with a missing value."""
    rows = table()
    rows.iloc[200, 1] = np.nan
    return rows


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        (in_blocks(with_gap(), [150]), "begins at row 150 holds NaN in column.*'b'"),
        (in_blocks(table(), [150])[::2], "follow each other in time"),
        (
            [table()[:200], table()[200:][["b", "a", "c"]]],
            "same ones, in the same order",
        ),
        ([table()[:200], table()[200:].to_numpy()], "columns"),
        (
            [table()[:200], table()[200:].reset_index(drop=True)],
            "others have none",
        ),
        (table(4), "too few"),
        ([table()[:0]], "no rows"),
    ],
    ids=["gap", "order", "columns", "names", "times", "few", "none"],
)
def test_blocks_that_do_not_fit(blocks, message):
    forecaster = LinearAttentionVAR(lags=4, n_layers=0)
    with pytest.raises(ValueError, match=message):
        forecaster.fit_blocks(blocks)
    assert not forecaster.is_fitted


@pytest.mark.parametrize(
    ("forecaster", "arguments", "message"),
    [
        (AarenForecaster(lags=2), {}, "n_layers=0: a recurrent network"),
        (LinearAttentionVAR(n_layers=0), {}, "a number of lags"),
        (VAR.clone().set_params(calendar=["hour"]), {}, "no covariates"),
        (VAR, {"fh": table().index[-1:]}, "numbers of steps"),
        (VAR, {"engine": "spark"}, "engine='spark' is not one of"),
    ],
    ids=["network", "lags", "covariates", "times", "engine"],
)
def test_what_blocks_do_not_tell(forecaster, arguments, message):
    with pytest.raises(ValueError, match=message):
        forecaster.clone().fit_blocks(table(), **arguments)


def test_what_has_no_blocks():
    with pytest.raises(TypeError, match="block by block"):
        VAR.clone().fit_blocks(3.0)
    warm = VAR.clone().set_params(warm_start=True).fit_blocks(table())
    with pytest.raises(ValueError, match="begins anew"):
        warm.fit_blocks(table())
    with pytest.raises(ValueError, match="max_windows"):
        VAR.clone().fit_blocks(table(), max_windows=0)


@pytest.mark.parametrize(
    "call",
    [
        lambda fitted: fitted.update(table(410)[400:]),
        lambda fitted: fitted.predict([-100]),
        lambda fitted: fitted.predict_residuals(),
        lambda fitted: fitted.var_coefficients(),
        lambda fitted: fitted.predict_interval([9]),
    ],
)
def test_what_needs_the_rows_says_so(call):
    fitted = VAR.clone().fit_blocks(table())
    with pytest.raises(ValueError, match="fit_blocks"):
        call(fitted)
    direct = DIRECT.clone().fit_blocks(table())
    with pytest.raises(ValueError, match="fit_blocks does not keep"):
        _ = direct.sigma_u_


# engines


def fragile_blocks(folder):
    """Blocks of which one kills the first worker that reads it."""
    parts = in_blocks(table().to_numpy(), [80])
    mark = str(folder / "killed")

    def fragile(rows, mark, kills):
        if kills and not os.path.exists(mark):
            open(mark, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return rows

    return [partial(fragile, rows, mark, i == 2) for i, rows in enumerate(parts)]


@pytest.mark.parametrize("kind", ["npy", "parquet"])
def test_workers_may_have_another_directory(kind, held, tmp_path, monkeypatch):
    monkeypatch.chdir(Path(held[kind]).parent)
    tasks = [*blocks_of(Path(held[kind]).name).read()]
    monkeypatch.chdir(tmp_path)
    assert sum(map(len, map(read, tasks))) == 400


def test_joblib(held, expected):
    with joblib.parallel_config("loky", n_jobs=2):
        check(held["parquet"], expected, "joblib")


def test_pools_of_joblib_that_give_all_results_at_the_end(held, expected):
    class Pool(joblib._parallel_backends.ThreadingBackend):
        supports_return_generator = False

    register_parallel_backend("pool", Pool)
    with joblib.parallel_config("pool", n_jobs=2):
        check(held["parquet"], expected, "joblib")


def test_dask(dask_client, held, expected, tmp_path):
    for name in ("npy", "zarr", "parquet", "dask array", "dask frame"):
        check(held[name], expected, "dask" if name == "npy" else None)
    check(fragile_blocks(tmp_path), expected, "dask")
    assert (tmp_path / "killed").exists()


def test_ray(ray_started, held, expected, tmp_path):
    check(held["parquet"], expected, "ray")
    check(fragile_blocks(tmp_path), expected, "ray")
    assert (tmp_path / "killed").exists()


def test_messages_have_the_size_that_costs_are_reckoned_with(monkeypatch):
    """benchmarks/cost_model.py predicts what is sent between machines from it."""
    sizes, n_rows, n_series, lags = [], 4000, 60, 3
    of_block = from_blocks.summarise

    def summarise(*task):
        summary = of_block(*task)
        sizes.append((len(pickle.dumps(summary)), len(summary.sums)))
        return summary

    monkeypatch.setattr(from_blocks, "summarise", summarise)
    rows = table(n_rows, n_series=4).to_numpy().repeat(15, axis=1)
    rows += np.random.default_rng(0).normal(size=rows.shape)
    blocks = in_blocks(rows, [500])
    LinearAttentionVAR(lags, n_layers=0, alpha=0.0).fit_blocks(blocks)
    script = f"""
        from cost_model import ClosedForm
        fit = ClosedForm({n_rows}, {n_series}, {lags})
        print(fit.message)
    """
    benchmarks = Path(__file__).parents[1] / "benchmarks"
    said = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(benchmarks)])},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    inner = [size for size, n_stretches in sizes if n_stretches == 1]
    assert len(sizes) == 8
    # Sums of single series, names and times are the rest.
    np.testing.assert_allclose(min(inner), float(said), rtol=0.1)


def test_a_table_of_more_than_the_memory(tmp_path):
    """200 MB in 160 MB of address space beside what the imports take."""
    path, rng = tmp_path / "rows.npy", np.random.default_rng(0)
    stored = np.lib.format.open_memmap(path, "w+", "f8", (500_000, 50))
    for start in range(0, 500_000, 100_000):
        stored[start : start + 100_000] = rng.normal(size=(100_000, 50))
    for start in range(0, 500_000, 100_000):
        rows = stored[start : start + 100_000]
        rows[1:] += 0.5 * rows[:-1]
    script = """
        import resource, sys
        import numpy as np
        from skvar import LinearAttentionVAR
        LinearAttentionVAR(lags=1, n_layers=0).fit(np.random.rand(50, 2))
        [used] = [x for x in open("/proc/self/status") if x.startswith("VmSize")]
        limit = int(used.split()[1]) * 1024 + 160 * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        found = LinearAttentionVAR(lags=1, n_layers=0, alpha=0.0)
        found.fit_blocks(sys.argv[1])
        np.save(sys.argv[2], found.coef_[0])
    """
    found = tmp_path / "coef.npy"
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), path, found], check=True
    )
    gram, cross = np.zeros((51, 51)), np.zeros((51, 50))
    for start in range(0, 499_999, 50_000):
        rows = np.array(stored[start : start + 50_001])
        past = np.column_stack([np.ones(len(rows) - 1), rows[:-1]])
        gram, cross = gram + past.T @ past, cross + past.T @ rows[1:]
    expected = np.linalg.solve(gram, cross)[1:].T
    np.testing.assert_allclose(np.load(found), expected, **EXACT)

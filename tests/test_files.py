"""Files: what is loaded is what was saved, and whatever else is refused."""

import copy
import datetime
import functools
import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sktime.base
from sklearn import config_context
from sklearn.preprocessing import StandardScaler
from sktime.datasets import load_unit_test

import skvar
from skvar import (
    AarenClassifier,
    AarenForecaster,
    InformerForecaster,
    ITransformerForecaster,
    LinearAttentionVAR,
    LinearAttentionVARRegressor,
    LinearTransformerForecaster,
    SAMoVARForecaster,
    SAMoVARRegressor,
    VARCoefficients,
    load,
    save,
)
from skvar.datasets import make_drifting_var

GOLDEN = Path(__file__).parent / "golden"
TIMES = pd.date_range("2024-01-01", periods=260, freq="D", tz="Europe/Berlin")
SEASON = 3 * np.sin(2 * np.pi * np.arange(260) / 7)[:, np.newaxis]
WALKS = np.random.default_rng(0).normal(size=(260, 2)).cumsum(axis=0) + SEASON
COVARIATES = pd.DataFrame(np.random.default_rng(1).normal(size=(260, 1)), TIMES, ["x"])

TINY = {"lags": 8, "max_epochs": 2, "d_model": 8, "n_heads": 2, "random_state": 0}
FORECASTERS = {
    "closed form": LinearAttentionVAR(horizon=3, n_layers=0),
    "linear attention": LinearAttentionVAR(horizon=3, **TINY),
    "samovar": SAMoVARForecaster(horizon=3, **TINY),
    "aaren": AarenForecaster(horizon=3, static_path=None, **TINY),
    "mixed aaren": AarenForecaster(horizon=3, **TINY),
    "informer": InformerForecaster(horizon=3, n_layers=2, **TINY),
    "itransformer": ITransformerForecaster(horizon=3, **TINY),
    "linear transformer": LinearTransformerForecaster(horizon=3, **TINY),
}


def table(n_rows=200, *, gaps=False):
    rows = pd.DataFrame(WALKS, TIMES, ["a", "b"])
    if gaps:
        rows = rows.mask(np.random.default_rng(2).random(rows.shape) < 0.05)
    return rows[:n_rows]


def saved(estimator, **options):
    file = io.BytesIO()
    save(estimator, file, **options)
    return file.getvalue()


def loaded(estimator, **options):
    """What comes back, which makes the same file again."""
    data = saved(estimator, **options)
    found = load(io.BytesIO(data))
    assert type(found) is type(estimator)
    assert saved(found, **options) == data
    return found


def assert_same(one, other):
    pd.testing.assert_frame_equal(one, other, check_exact=True)


def assert_same_forecasts(one, other, rtol=0.0, **covariates):
    fh = [1, 2, 3]
    for predict in ("predict", "predict_interval"):
        both = [getattr(f, predict)(fh, **covariates) for f in (one, other)]
        if not rtol:
            assert_same(*both)
        pd.testing.assert_frame_equal(*both, rtol=rtol)


# Networks sum in float32, and batches of other sizes in another order.
ROUNDING = 1e-4


@pytest.fixture(scope="module", params=FORECASTERS)
def fitted(request):
    return FORECASTERS[request.param].clone().fit(table(gaps=True))


def test_forecasters_come_back(fitted):
    found = loaded(fitted)
    assert_same_forecasts(found, fitted)
    np.testing.assert_array_equal(found.coef_, fitted.coef_)
    np.testing.assert_array_equal(found.sigma_u_, fitted.sigma_u_)
    assert found.get_params() == fitted.get_params()
    assert found.loss_curve_ == fitted.loss_curve_
    assert found.summary() == fitted.summary()
    assert repr(found) == repr(fitted)
    # With the calibration model that intervals made.
    assert_same_forecasts(loaded(fitted), fitted)
    later = table(220)[200:]
    both = [copy.deepcopy(fitted).update(later), found.update(later)]
    assert_same(*(f.predict([1, 5]) for f in both))


def test_forecasters_come_back_without_their_history(fitted):
    found = loaded(fitted, history=False)
    assert_same_forecasts(found, fitted, ROUNDING)
    np.testing.assert_array_equal(found.coef_, fitted.coef_)
    np.testing.assert_array_equal(found.sigma_u_, fitted.sigma_u_)
    assert found.summary() == fitted.summary()
    whole = copy.deepcopy(fitted)
    for row in range(200, 212):
        for forecaster in (found, whole):
            forecaster.update(table(260, gaps=True)[row : row + 1], update_params=False)
        assert_same_forecasts(found, whole, ROUNDING)
    within = [f.predict([-5, 0]) for f in (found, whole)]
    pd.testing.assert_frame_equal(*within, rtol=ROUNDING)
    assert_same_forecasts(loaded(found, history=False), whole, ROUNDING)
    ends = [f.rolling_interval(table()[-90:]) for f in (found, whole)]
    np.testing.assert_allclose(*ends, rtol=ROUNDING)
    streams = [f.stream(coverage=0.8) for f in (found, whole)]
    for row in WALKS[212:220]:
        ends = [stream.push(row)[1] for stream in streams]
        np.testing.assert_allclose(*ends, rtol=ROUNDING)


@pytest.mark.parametrize(
    "call",
    [
        lambda forecaster: forecaster.predict([-100]),
        lambda forecaster: forecaster.update(table(210)[200:]),
        lambda forecaster: forecaster.predict_interval([30]),
        lambda forecaster: forecaster.var_coefficients(),
        lambda forecaster: forecaster.compare_with_ols(table()),
        lambda forecaster: forecaster.predict_residuals(),
    ],
    ids=["in-sample", "update", "many steps", "analysis", "least squares", "residuals"],
)
def test_what_needs_the_history_says_so(call):
    whole = LinearAttentionVAR(3, horizon=3, n_layers=0, sp=1).fit(table())
    call(copy.deepcopy(whole))
    with pytest.raises(ValueError, match="saved with history=False"):
        call(loaded(whole, history=False))


def test_too_few_rows_for_intervals_are_so_without_history():
    short = LinearAttentionVAR(2, n_layers=0).fit(np.arange(5.0) ** 2)
    found = loaded(short, history=False)
    assert found.predict([1]) == short.predict([1])


@pytest.mark.parametrize("history", [True, False])
def test_covariates_come_back(history):
    fitted = SAMoVARForecaster(horizon=3, calendar=["month"], **TINY)
    fitted.fit(table(), X=COVARIATES[:200])
    later, rtol = {"X": COVARIATES[200:]}, 0.0 if history else ROUNDING
    found = loaded(fitted, history=history)
    assert_same_forecasts(found, fitted, rtol, **later)
    np.testing.assert_array_equal(found.exog_coef_, fitted.exog_coef_)
    for forecaster in (found, fitted):
        rows = {"X": COVARIATES[200:210], "update_params": False}
        forecaster.update(table(210)[200:], **rows)
    assert_same_forecasts(found, fitted, rtol, X=COVARIATES[210:])


@pytest.mark.parametrize("history", [True, False])
def test_panels_come_back(history):
    panel = pd.concat({"i": table(80), "j": table(60), "k": table(3)})
    fitted = AarenForecaster(horizon=2, **TINY).fit(panel)
    found, rtol = loaded(fitted, history=history), 0.0 if history else ROUNDING
    assert_same_forecasts(found, fitted, rtol)
    assert_same_forecasts(found.instance("j"), fitted.instance("j"), rtol)
    if not history:
        with pytest.raises(ValueError, match="saved with history=False"):
            _ = found.instance("j").coef_


def test_pretrained_forecasters_come_back():
    panel = pd.concat({"i": table(), "j": table(150)})
    pretrained = SAMoVARForecaster(horizon=2, **TINY).pretrain(panel)
    found = loaded(pretrained)
    assert not found.is_fitted
    assert_same_forecasts(found.fit(table()), pretrained.clone().fit(table()))
    assert_same_forecasts(loaded(found), found)


@pytest.mark.parametrize("name", FORECASTERS)
def test_unfitted_forecasters_come_back(name):
    found = loaded(FORECASTERS[name])
    assert found.get_params() == FORECASTERS[name].get_params()
    assert not found.is_fitted


@pytest.mark.parametrize("history", [True, False])
@pytest.mark.parametrize(
    "regressor",
    [LinearAttentionVARRegressor(3, n_layers=0), SAMoVARRegressor(**TINY)],
    ids=["var", "samovar"],
)
def test_regressors_come_back(regressor, history):
    X, y = table(), WALKS[:200, :1].sum(axis=1)
    for target in (None, y):
        fitted = copy.deepcopy(regressor).fit(X, target)
        found = loaded(fitted, history=history)
        np.testing.assert_array_equal(found.predict(X), fitted.predict(X))
        np.testing.assert_array_equal(found.coef_, fitted.coef_)
        stream = loaded(fitted.stream())
        np.testing.assert_array_equal(stream.push(X.iloc[0]), found.predict(X[:1])[0])
    if history:
        np.testing.assert_array_equal(
            found.partial_fit(X, y).predict(X), fitted.partial_fit(X, y).predict(X)
        )
    else:
        with pytest.raises(ValueError, match="saved with history=False"):
            found.partial_fit(X, y)


def test_requests_for_metadata_come_back():
    with config_context(enable_metadata_routing=True):
        regressor = SAMoVARRegressor().set_fit_request(segments=True)
        found = loaded(regressor)
        assert found.get_metadata_routing().fit.requests == {"segments": True}


def test_classifiers_come_back():
    X, y = load_unit_test(split="train", return_X_y=True)
    fitted = AarenClassifier(max_epochs=1, d_model=8, random_state=0).fit(X, y)
    found = loaded(fitted)
    np.testing.assert_array_equal(found.predict_proba(X), fitted.predict_proba(X))
    assert found.predict(X).tolist() == fitted.predict(X).tolist()
    streams = fitted.stream(), loaded(fitted.stream())
    for stream in streams:
        stream.push([0.5])
    later = loaded(streams[0])
    np.testing.assert_array_equal(later.push([1.0]), streams[1].push([1.0]))


def test_streams_come_back(fitted):
    stream = fitted.stream(coverage=0.8)
    for row in WALKS[200:205]:
        stream.push(row)
    found = loaded(stream)
    for row in WALKS[205:210]:
        for one, other in zip(stream.push(row), found.push(row), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["closed form", "linear attention"])
def test_matrices_come_back(name):
    fitted = FORECASTERS[name].clone().fit(table())
    var = fitted.var_coefficients()
    found = loaded(var)
    options = {"bands": 0.9, "n_draws": 5, "random_state": 0}
    assert_same(found.irf(4, **options), var.irf(4, **options))
    assert_same(found.forecast(3), var.forecast(3))
    assert found.summary() == var.summary()
    alone = loaded(var, history=False)
    assert_same(alone.irf(4), var.irf(4))
    assert alone.history is None


def test_matrices_at_a_date_come_back_with_their_posterior():
    walk = {"kind": "random_walk", "step": 0.02, "random_state": 0}
    options = {"tracking_rows": 128, "max_epochs": 0, "random_state": 0}
    fitted = LinearAttentionVAR(1, **options).fit(
        make_drifting_var(1500, 2, **walk).series
    )
    assert fitted.network_weight_ == 1
    var = fitted.var_coefficients(at=1400)
    found = loaded(var)
    for before, after in zip(
        var.draws(3, random_state=0), found.draws(3, random_state=0), strict=True
    ):
        np.testing.assert_array_equal(after, before)


def test_matrices_of_others_come_back():
    rng = np.random.default_rng(0)
    history = pd.DataFrame(rng.normal(size=(50, 2)), columns=["a", ("b", 1)])
    var = VARCoefficients([0.5 * np.eye(2)], [0, 1], np.eye(2), history=history)
    found = loaded(var)
    assert found.names == ["a", ("b", 1)]
    options = {"bands": 0.9, "n_draws": 5, "random_state": 0}
    assert_same(found.irf(4, **options), var.irf(4, **options))
    for refit in (lambda table, seed: None, functools.partial(print, "refitted")):
        with pytest.raises(ValueError, match="refit"):
            saved(VARCoefficients([np.eye(1)], [0], [[1]], refit=refit))


def steps_from(first, freq, **options):
    return pd.date_range(first, periods=200, freq=freq, **options)


offsets = pd.offsets
LABELS = [
    pd.RangeIndex(5, 205),
    pd.Index(np.arange(200, dtype="int32")),
    pd.period_range("2000", periods=200, freq="M"),
    steps_from("2000", "QS-FEB", name="quarter"),
    steps_from("2000", "30min", tz="UTC"),
    steps_from("2000", "h", tz="+05:30", unit="s"),
    pd.DatetimeIndex(steps_from("2000", "B"), freq=None),
    steps_from("2000", offsets.CustomBusinessHour(start="8:00")),
    steps_from("2000", offsets.CustomBusinessMonthEnd(holidays=["2001-05-31"])),
    steps_from("2000", pd.DateOffset(weeks=1, days=1)),
    steps_from("1990", offsets.LastWeekOfMonth(weekday=6)),
    steps_from("1700", offsets.Easter()),
    steps_from("1700", offsets.FY5253(weekday=4, variation="last")),
]


@pytest.mark.parametrize("index", LABELS, ids=lambda index: str(index[1]))
def test_times_come_back(index):
    fitted = LinearAttentionVAR(2, n_layers=0).fit(pd.Series(WALKS[:200, 0], index))
    found = loaded(fitted)
    forecasts = [f.predict([-1, 1, 2]) for f in (found, fitted)]
    pd.testing.assert_series_equal(*forecasts, check_freq=True)
    assert found.cutoff.equals(fitted.cutoff)
    for name in ("freq", "unit", "tz"):
        assert getattr(found.cutoff, name, 0) == getattr(fitted.cutoff, name, 0)


@pytest.mark.parametrize(
    "columns",
    [[0, 1], ["a", "b"], ["a", 1], [("a", 1), ("b", 2)], pd.Index([1.5, 2.0])],
    ids=str,
)
def test_names_come_back(columns):
    names = (
        columns
        if isinstance(columns, pd.Index)
        else pd.Index(columns, tupleize_cols=False)
    )
    y = pd.DataFrame(WALKS[:100], columns=names)
    found = loaded(LinearAttentionVAR(2, n_layers=0).fit(y))
    assert [*found.feature_names_in_] == [*names]


@pytest.mark.parametrize(
    "labels",
    [
        [pd.Timestamp("2020-01-01"), pd.Timestamp("2020-01-02")],
        [
            pd.Timestamp("2020-01-01", tz="Europe/Berlin"),
            pd.Timestamp("2020-01-02", tz="UTC"),
        ],
        [pd.Period("2020Q1"), pd.Period("2020Q2")],
        [pd.Timedelta("1h"), pd.Timedelta("2h")],
        [datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)],
        [("a", 1), ("b", 2)],
        [1.5, np.float32(2.5)],
        [True, False],
    ],
    ids=str,
)
def test_labels_come_back(labels):
    panel = pd.concat(dict(zip(labels, [table(40), table(60)], strict=True)))
    fitted = LinearAttentionVAR(2, n_layers=0, sp=1).fit(panel)
    found = loaded(fitted)
    assert_same_forecasts(found, fitted)
    assert [*found.scaler_] == [*fitted.scaler_]


def test_constant_zones_come_back():
    offset = datetime.timezone(datetime.timedelta(hours=2))
    fitted = LinearAttentionVAR(2, n_layers=0, sp=1)
    forecasts = fitted.fit(table(60).tz_convert(offset)).predict([1])
    assert_same(loaded(fitted).predict([1]), forecasts)


def test_random_states_come_back():
    state = np.random.RandomState(3)
    found = loaded(SAMoVARForecaster(**TINY | {"random_state": state}))
    expected = copy.deepcopy(state).rand(3)
    np.testing.assert_array_equal(found.random_state.rand(3), expected)


def test_paths_come_back(tmp_path):
    forecaster = SAMoVARForecaster(checkpoint=tmp_path, random_state=0)
    assert loaded(forecaster).checkpoint == tmp_path


def test_two_fits_make_the_same_file():
    one, other = (saved(SAMoVARForecaster(**TINY).fit(table())) for _ in range(2))
    assert one == other


def test_members_are_plain(tmp_path):
    save(FORECASTERS["samovar"].clone().fit(table()), tmp_path / "model.skvar")
    with zipfile.ZipFile(tmp_path / "model.skvar") as archive:
        names = archive.namelist()
        assert names == ["document.json", "arrays.safetensors", "SHA256SUMS"]
        document = json.loads(archive.read("document.json"))
    assert document["class"] == "SAMoVARForecaster"
    assert document["versions"]["skvar"] == skvar.__version__


# refusals


def test_what_files_do_not_hold_is_refused(tmp_path):
    class Own(LinearAttentionVAR):
        pass

    path = tmp_path / "model.skvar"
    fitted = FORECASTERS["closed form"].clone().fit(table())
    fitted.note = object()
    for estimator, message in [
        (StandardScaler(), "StandardScaler is no estimator of skvar"),
        (Own(), "Own is no estimator of skvar"),
        (LinearAttentionVAR(lags=object()), "parameters.lags is of the class .*object"),
        (fitted, "attributes .'note'."),
    ]:
        with pytest.raises(ValueError, match=message):
            save(estimator, path)
    assert not [*tmp_path.iterdir()]


def rewritten(data, change, compression=zipfile.ZIP_STORED):
    """A file with a changed document, whose checksums are right."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    document = json.loads(members["document.json"])
    change(document)
    members["document.json"] = json.dumps(document).encode()
    members.pop("SHA256SUMS")
    sums = [f"{hashlib.sha256(x).hexdigest()}  {name}\n" for name, x in members.items()]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, x in {**members, "SHA256SUMS": "".join(sums)}.items():
            archive.writestr(name, x)
    return file.getvalue()


def of_kind(document, kind):
    return next(content for name, content in document["nodes"] if name == kind)


def doubled(number):
    """Lists that hold the last one twice: a few nodes for any number of values."""
    return [["list", [[number + i - 1]] * 2] for i in range(60)]


def as_fitted(document, value):
    kinds = [content for kind, content in document["nodes"] if kind == "dict"]
    [pair] = [pair for items in kinds for pair in items if pair[0] == "_fitted"]
    pair[1] = value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(format=2), "is of format 2.*reads format 1"),
        (lambda d: d.update(more=1), "names .*more"),
        (lambda d: d.update({"class": "SAMoVARForecaster"}), "LinearAttentionVAR"),
        (lambda d: d["nodes"].append(["list", []]), "it holds a list"),
        (lambda d: d["nodes"].append(["system", {}]), "KeyError"),
        (lambda d: of_kind(d, "Schema").update(step=[-1]), "a reference is no number"),
        (lambda d: of_kind(d, "Schema").update(step={}), "a value is no object"),
        (lambda d: of_kind(d, "Day").update(n=10**9), "an offset has 1000000000 steps"),
        (lambda d: d["nodes"].extend(doubled(len(d["nodes"]))), "without bound"),
        (lambda d: as_fitted(d, [0]), "an estimator holds a dict"),
        (lambda d: of_kind(d, "Form").update(own_lags="1"), "own_lags of Form"),
        (lambda d: of_kind(d, "Form").update(more=1), "more"),
        (lambda d: of_kind(d, "FittedModel").pop("sizes"), "has the fields"),
        (
            lambda d: of_kind(d, "LinearAttentionVARSpecification").update(lags=10**12),
            "too large for its weights",
        ),
        (
            lambda d: of_kind(d, "LinearAttentionVARSpecification").update(lags=3),
            "weights are not those",
        ),
        (
            lambda d: of_kind(d, "LinearAttentionVARSpecification").update(dropout=-1),
            "dropout=-1",
        ),
    ],
)
def test_forged_files_are_refused(change, message):
    data = saved(FORECASTERS["closed form"].clone().fit(table()))
    load(io.BytesIO(rewritten(data, lambda document: None)))
    with pytest.raises(ValueError, match=message):
        load(io.BytesIO(rewritten(data, change)))


def test_directories_are_small():
    """Each entry would take far more memory than its bytes."""
    data = saved(LinearAttentionVAR())
    crowd = io.BytesIO(data)
    with zipfile.ZipFile(crowd, "a") as archive:
        for number in range(60):
            archive.writestr(f"{number}", b"")
    commented = io.BytesIO(data)
    with zipfile.ZipFile(commented, "a") as archive:
        archive.comment = b"of another"
    # A second directory, for files of more than 4 GB.
    locator = b"PK\x06\x07" + bytes(16)
    for found, message in [
        (crowd, "too many members"),
        (commented, "without a comment"),
        (io.BytesIO(data[:-22] + locator + data[-22:]), "too many members"),
        (io.BytesIO(data[-22:]), "cannot be loaded"),
    ]:
        with pytest.raises(ValueError, match=message):
            load(found)


def test_members_are_not_compressed():
    data = saved(LinearAttentionVAR())
    with pytest.raises(ValueError, match="'document.json' is compressed"):
        load(io.BytesIO(rewritten(data, lambda document: None, zipfile.ZIP_DEFLATED)))


@pytest.mark.parametrize("at", [100, 2000, -300, -30])
def test_damaged_files_are_refused(at, tmp_path):
    data = bytearray(saved(FORECASTERS["closed form"].clone().fit(table())))
    data[at] ^= 1
    path = tmp_path / "model.skvar"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f"{path} cannot be loaded: it is damaged"):
        load(path)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "model.skvar"
    for data in (b"", pickle.dumps(FORECASTERS["closed form"]), b"PK" * 100):
        path.write_bytes(data)
        with pytest.raises(ValueError, match="cannot be loaded"):
            load(path)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "other")
    with pytest.raises(IsADirectoryError):
        save(FORECASTERS["closed form"], tmp_path)
    with pytest.raises(FileNotFoundError, match="make it first"):
        save(FORECASTERS["closed form"], tmp_path / "nowhere" / "model.skvar")


def test_mutated_files_do_no_harm():
    """A few of those of the script, which tries 100,000."""
    script = Path(__file__).parents[1] / "benchmarks/reliability.py"
    command = [sys.executable, script, "files", "--number", "400"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "400 files" in done.stdout


# atomic writes


@pytest.mark.parametrize(
    "function", ["os.fsync", "os.replace", "zipfile.ZipFile.writestr"]
)
def test_a_failed_save_leaves_the_earlier_file(function, tmp_path, monkeypatch):
    path = tmp_path / "model.skvar"
    save(FORECASTERS["closed form"], path)
    before = path.read_bytes()

    def fail(*args, **kwargs):
        raise OSError("no space left on the device")

    with monkeypatch.context() as patched:
        patched.setattr(function, fail)
        with pytest.raises(OSError, match="no space"):
            save(FORECASTERS["samovar"], path)
    assert path.read_bytes() == before
    assert [*tmp_path.iterdir()] == [path]


def test_a_killed_save_leaves_the_earlier_file(tmp_path):
    script = Path(__file__).parents[1] / "benchmarks/reliability.py"
    command = [sys.executable, script, "saves", "--number", "2"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(os.name != "posix", reason="modes and links are those of POSIX")
def test_files_keep_their_mode_and_links(tmp_path):
    path, link = tmp_path / "model.skvar", tmp_path / "link"
    link.symlink_to(path)
    save(FORECASTERS["closed form"], link)
    path.chmod(0o640)
    save(FORECASTERS["closed form"], link)
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640


# sktime and pickles


def test_sktime_saves_such_files(tmp_path):
    fitted = FORECASTERS["closed form"].clone().fit(table())
    fitted.save(tmp_path / "model").close()
    for found in (
        LinearAttentionVAR.load_from_path(tmp_path / "model"),
        LinearAttentionVAR.load_from_path(tmp_path / "model.zip"),
        load(tmp_path / "model.zip"),
        sktime.base.load(str(tmp_path / "model")),
        sktime.base.load(fitted.save()),
    ):
        assert_same_forecasts(found, fitted)
    with pytest.raises(ValueError, match="serialization_format='pickle'"):
        fitted.save(tmp_path / "other", serialization_format="pickle")
    with pytest.raises(ValueError, match="cannot be loaded"):
        LinearAttentionVAR.load_from_serial(pickle.dumps(fitted))


def test_other_pickles_are_warned_of(monkeypatch):
    fitted = FORECASTERS["closed form"].clone().fit(table())
    data = pickle.dumps(fitted)
    here = skvar._files.versions.versions()
    monkeypatch.setattr(
        "skvar._files.versions.versions", lambda: {**here, "skvar": "9.0", "torch": "9"}
    )
    with pytest.warns(UserWarning, match="pickled with skvar 0.*, torch 2") as caught:
        found = pickle.loads(data)
    assert "here are skvar 9.0, torch 9" in str(caught[0].message)
    assert_same_forecasts(found, fitted)
    monkeypatch.setattr("skvar._files.versions._PARTS", 2)
    with pytest.raises(ValueError, match="It cannot be loaded here"):
        pickle.loads(data)


# files of earlier versions


def examples():
    """Of each kind of estimator, whose files of every format are kept."""
    tiny = TINY | {"d_model": 4}
    panel = pd.concat({"i": table(60), "j": table(40)})
    closed = LinearAttentionVAR(2, horizon=2, n_layers=0, sp=1)
    return {
        "closed_form": closed.fit(table(60, gaps=True), X=COVARIATES[:60]),
        "network": SAMoVARForecaster(horizon=2, **tiny).fit(table(60)),
        "panel": closed.clone().fit(panel),
        "regressor": SAMoVARRegressor(**tiny).fit(table(60)),
    }


def example_forecasts(name, estimator):
    if name == "regressor":
        return estimator.predict(table(60))
    X = COVARIATES[60:] if name == "closed_form" else None
    return estimator.predict([1, 2, 3], X=X).to_numpy()


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("format_*/*.skvar")), ids=str)
def test_files_of_earlier_formats_are_loaded(path):
    """They were made by ``python tests/test_files.py FORMAT``."""
    expected = np.load(path.with_suffix(".npy"))
    found = example_forecasts(path.stem, load(path))
    # Other processors and libraries sum float32 in another order.
    np.testing.assert_allclose(found, expected, rtol=ROUNDING)


def test_there_are_files_of_the_present_format():
    file = io.BytesIO(saved(LinearAttentionVAR()))
    with zipfile.ZipFile(file) as archive:
        present = json.loads(archive.read("document.json"))["format"]
    for number in range(1, present + 1):
        assert len([*GOLDEN.glob(f"format_{number}/*.skvar")]) == len(EXAMPLES)


EXAMPLES = ["closed_form", "network", "panel", "regressor"]

if __name__ == "__main__":
    folder = GOLDEN / f"format_{int(sys.argv[1])}"
    folder.mkdir()
    for name, estimator in examples().items():
        save(estimator, folder / f"{name}.skvar")
        np.save(folder / f"{name}.npy", example_forecasts(name, estimator))

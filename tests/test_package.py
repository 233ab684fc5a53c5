"""The house: lazy names, one-way imports, documented surface, a demo that runs."""

import ast
import contextlib
import inspect
import io
import os
import pkgutil
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from numpydoc.validate import validate

import skvar
import skvar.benchmark
import skvar.datasets
import skvar.forecasting
import skvar.nn
import skvar.plots
from skvar.benchmark import read_results
from skvar.benchmark.__main__ import markdown

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "skvar"

# Which rooms and modules each one may import from the package, besides `_typing`.
MAY_IMPORT = {
    "_typing": set(),
    "_attention": set(),
    "_files": set(),
    "_parallel": set(),
    "_data": {"_parallel"},
    "_protocols": {"_files"},
    "plots": set(),
    "report": {"_data", "_files", "files"},
    "_closed_form": {"_data"},
    "_networks": {"_attention"},
    "_training": {"_data", "_files", "_networks"},
    "_var": {
        "_attention",
        "_closed_form",
        "_data",
        "_networks",
        "_parallel",
        "_training",
        "plots",
    },
    "_models": {"_closed_form", "_data", "_networks", "_training", "_var"},
    "_forecasting": {
        "_closed_form",
        "_data",
        "_models",
        "_networks",
        "_protocols",
        "_training",
        "_var",
        "report",
    },
    "forecasting": {"_forecasting", "_models"},
    "regression": {"_data", "_models", "_protocols", "_training", "_var"},
    "classification": {"_data", "_models", "_protocols", "_training"},
    "analysis": {"_var"},
    "files": {"_files"},
    "coefficients": {"_var"},
    "identification": {"_var"},
    "nn": {"_attention", "_networks"},
    "scoring": {"_data", "_forecasting"},
    "training": {"_training"},
    "datasets": {"_data"},
    "benchmark": {"_data", "_parallel", "_var", "datasets", "forecasting", "plots"},
    "__init__": {
        "analysis",
        "benchmark",
        "classification",
        "datasets",
        "files",
        "forecasting",
        "identification",
        "nn",
        "plots",
        "regression",
        "scoring",
        "training",
    },
}


def imports_of(path):
    """Top-level modules of the package that a file imports."""
    package = ["skvar", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            kept = package[: len(package) + 1 - node.level] if node.level else []
            base = [*kept, *(node.module.split(".") if node.module else [])]
            names = [".".join([*base, alias.name]) for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "skvar" and len(parts) > 1:
                yield parts[1]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.stem)
def test_imports_run_one_way(path):
    home = path.relative_to(PACKAGE).with_suffix("").parts[0]
    assert home in MAY_IMPORT, f"say in MAY_IMPORT what {home} may import"
    assert set(imports_of(path)) - {home, "_typing"} <= MAY_IMPORT[home]


def test_the_import_rules_have_no_circle():
    floors, left = set(), dict(MAY_IMPORT)
    while left:
        ready = {home for home, needs in left.items() if needs <= floors}
        assert ready, f"a circle among {sorted(left)}"
        floors |= ready
        left = {home: needs for home, needs in left.items() if home not in ready}


def assigned_attributes(path):
    """Names of attributes that a file assigns, of whatever object."""
    for node in ast.walk(ast.parse(path.read_text())):
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        for target in targets if isinstance(node, ast.stmt) else ():
            for part in ast.walk(target) if target is not None else ():
                if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store):
                    yield part.attr


def test_one_module_writes_each_attribute_of_a_forecaster():
    """Hyper-parameters apart, which every family assigns in its constructor."""
    writers = defaultdict(set)
    parameters = set()
    for name in skvar.forecasting.__all__:
        parameters |= set(getattr(skvar, name)().get_params(deep=False))
    for room in ("_forecasting", "_protocols", "forecasting"):
        for path in (PACKAGE / room).glob("*.py"):
            for name in assigned_attributes(path):
                writers[name].add(path.name)
    assert {"_fitted", "_fh", "_cutoff"} <= writers.keys()
    shared = {name for name, files in writers.items() if len(files) > 1}
    assert shared <= parameters


@pytest.mark.parametrize("name", skvar.forecasting.__all__)
def test_forecasters_hold_their_parts(name):
    classes = getattr(skvar, name).__mro__
    assert len([c for c in classes if c.__module__.startswith("skvar")]) <= 5


def test_import_is_lazy():
    code = (
        "import sys, skvar; dir(skvar); skvar.__version__\n"
        "heavy = {'torch', 'sktime', 'sklearn', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "skvar.SAMoVARForecaster, skvar.nn.SAMoVAR\n"
        "assert {'torch', 'sktime'} <= set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_public_names_resolve():
    for name in skvar.__all__:
        assert getattr(skvar, name) is not None
        assert name in dir(skvar)
    with pytest.raises(AttributeError, match="no attribute 'Oracle'"):
        skvar.Oracle  # noqa: B018


PUBLIC = [
    "skvar.AarenForecaster",
    "skvar.ITransformerForecaster",
    "skvar.InformerForecaster",
    "skvar.LinearAttentionVAR",
    "skvar.LinearTransformerForecaster",
    "skvar.SAMoVARForecaster",
    "skvar.cointegration",
    "skvar.data_parallel",
    "skvar.rolling_score",
    "skvar.select_lags",
    *(
        f"skvar.{forecaster}.{method}"
        for forecaster in ("AarenForecaster", "LinearAttentionVAR", "SAMoVARForecaster")
        for method in (
            "fit",
            "fit_blocks",
            "pretrain",
            "predict",
            "predict_residuals",
            "sample_paths",
            "instance",
            "update",
            "reset",
            "rolling_forecast",
            "rolling_interval",
            "report",
            "var_matrices",
            "var_coefficients",
            "compare_with_ols",
            "get_test_params",
            "coef_",
            "intercept_",
            "sigma_u_",
            "exog_coef_",
            "n_parameters_",
            "stream",
        )
    ),
    "skvar.LinearAttentionVAR.test_dynamics",
    "skvar.SAMoVARForecaster.token_var_matrices",
    "skvar.SAMoVARForecaster.influence_paths",
    "skvar.VARCoefficients",
    *(
        f"skvar.VARCoefficients.{name}"
        for name in dir(skvar.VARCoefficients)
        if not name.startswith("_")
    ),
    *(
        f"{home}.{name}"
        for home in ("skvar.analysis.Terms", "skvar._var.connectedness.Connectedness")
        for name, thing in vars(pkgutil.resolve_name(home)).items()
        if not name.startswith("_") and thing is not None
    ),
    "skvar.analysis.Terms",
    "skvar._var.connectedness.Connectedness",
    *(
        f"skvar.{module.__name__.split('.')[1]}.{name}"
        for module in (skvar.benchmark, skvar.datasets, skvar.plots)
        for name, thing in vars(module).items()
        if getattr(thing, "__module__", "").startswith(module.__name__)
        and not name.startswith("_")
    ),
    "skvar.AarenClassifier",
    *(
        f"skvar.AarenClassifier.{method}"
        for method in ("fit", "rolling_predict_proba", "stream", "get_test_params")
    ),
    "skvar.LinearAttentionVARRegressor",
    "skvar.SAMoVARRegressor",
    *(
        f"skvar.SAMoVARRegressor.{method}"
        for method in (
            "fit",
            "partial_fit",
            "predict",
            "forecast",
            "score",
            "stream",
            "coef_",
            "intercept_",
        )
    ),
    "skvar._models.stream.Stream",
    "skvar._models.stream.Stream.push",
    *(f"skvar.identification.{name}" for name in skvar.identification.__all__),
    *(f"skvar.nn.{name}" for name in skvar.nn.__all__),
    "skvar.nn.Aaren.forward",
    "skvar.nn.AarenForClassification.extend",
    "skvar.nn.AarenForForecasting.extend",
    "skvar.nn.ITransformer.from_reference",
    "skvar.nn.Informer.from_reference",
    "skvar.nn.LinearTransformer.from_reference",
    "skvar.nn.SAMoVAR.from_reference",
]
# Left to the writer: mood and length of the summary, extended summary, See Also,
# Examples everywhere, descriptions that begin in lower case or are missing in Returns.
OPTIONAL = {"SS05", "SS06", "ES01", "SA01", "EX01", "RT03", "PR08"}


@pytest.mark.parametrize("name", PUBLIC)
def test_docstrings_are_numpydoc(name):
    problems = [p for p in validate(name)["errors"] if p[0] not in OPTIONAL]
    assert not problems


@pytest.mark.parametrize("name", PUBLIC)
def test_public_signatures_have_types(name):
    thing = pkgutil.resolve_name(name)
    thing = thing.fget if isinstance(thing, property) else thing
    if not callable(thing):
        return
    signature = inspect.signature(thing)
    found = {p.name: p.annotation for p in signature.parameters.values()}
    found.pop("self", None)
    if not isinstance(thing, type):
        found["return"] = signature.return_annotation
    assert not [name for name, hint in found.items() if hint is signature.empty]


def test_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    names = {}
    for block in blocks:
        exec(block, names)
    assert names["search"].predict(names["table"]).shape == (4, 5)


def run_page(name):
    """Run the blocks of a page; one of text right after a block is what that prints."""
    page, names = (ROOT / "docs" / name).read_text(), {}
    blocks = r"```python\n(.*?)```(?:\n+```text\n(.*?)```)?"
    for code, shown in re.findall(blocks, page, re.S):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, names)
        # pandas fills lines up with spaces, which pages leave out.
        lines = [line.rstrip() for line in printed.getvalue().splitlines()]
        assert lines == shown.splitlines()


PAGES = [
    "start.md",
    "choosing.md",
    "coming_from.md",
    "matrices.md",
    "intervals.md",
    "scenarios.md",
    "covariates.md",
    "streaming.md",
    "panels.md",
    "gpu.md",
    "saving.md",
    "architecture.md",
    "benchmarks.md",
    "aaren.md",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_pages_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page(name)


def test_tables_of_boards_are_those_of_the_file():
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    results = read_results(ROOT / "docs" / "boards.csv")
    assert set(results["protocol"]) == {"train-only"}
    for _, some in results.groupby("data"):
        assert markdown(some, "MSE") in page


@pytest.mark.parametrize("name", ["etth1", "exchange"])
def test_tables_of_benchmarks_are_those_of_the_files(name):
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    results = read_results(ROOT / "docs" / f"{name}.csv")
    depth = results["estimator"].str.contains("n_layers")
    horizons = results.groupby("estimator")["horizon"].transform("nunique")
    main = results[~depth & (horizons == horizons.max())]
    assert markdown(main, "MSE") in page
    assert markdown(main, "MAE") in page
    if depth.any():
        one_layer = "SAMoVARForecaster(static_path=None)", "LinearTransformerForecaster"
        compared = depth | results["estimator"].isin(one_layer)
        assert markdown(results[compared & (results["horizon"] == 96)], "MSE") in page


EXAMPLES = {
    "plot_01_forecast.py": (["season        12 rows", "tbilrate"], 2),
    "plot_02_matrices.py": (["OLS VAR(1)", "realcons"], 2),
    "plot_03_events.py": (["of the way from Poisson to the truth"], 1),
    "plot_04_policy.py": (["Requested and obtained"], 1),
    "plot_05_textbook.py": (["1.59"], 1),
    "plot_06_economy.py": (["of all rotations", "2010Q4"], 4),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_demo_runs(name, tmp_path):
    words, n_pictures = EXAMPLES[name]
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "MPLBACKEND": "Agg"},
    )
    assert all(word in done.stdout for word in words)
    pictures = list(tmp_path.glob("*.png"))
    assert len(pictures) == n_pictures
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)

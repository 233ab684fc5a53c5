"""The house: lazy names, one-way imports, tables of files, a demo that runs."""

import ast
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

import skvar
import skvar.forecasting
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
    "_commands": {"_data"},
    "_protocols": {"_files"},
    "plots": set(),
    "report": {"_commands", "_data", "_files", "_var", "files"},
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
    "analysis": {"_closed_form", "_var"},
    "files": {"_files"},
    "coefficients": {"_var"},
    "identification": {"_var"},
    "nn": {"_attention", "_networks"},
    "scoring": {"_data", "_forecasting"},
    "streaming": {"_models"},
    "training": {"_training"},
    "datasets": {"_data"},
    "benchmark": {
        "_commands",
        "_data",
        "_parallel",
        "_var",
        "datasets",
        "forecasting",
        "plots",
    },
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

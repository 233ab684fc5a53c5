"""The house: lazy names, one-way imports, documented surface, a demo that runs."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from numpydoc.validate import validate

import skvar
import skvar.benchmark
import skvar.datasets
import skvar.nn
import skvar.plots
from skvar.benchmark import read_results
from skvar.benchmark.__main__ import markdown

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "skvar"

# Which modules each module may import from the package.
MAY_IMPORT = {
    "_windows": set(),
    "_tables": set(),
    "_ridge": set(),
    "_fill": {"_ridge"},
    "_attention": set(),
    "_networks": {"_attention"},
    "_panel": set(),
    "_inference": {"_networks", "_windows"},
    "_training": {"_inference"},
    "_estimator": {"_inference", "_training"},
    "coefficients": {"_attention", "_inference", "_networks"},
    "datasets": {"_tables"},
    "plots": set(),
    "_var_algebra": {"_ridge"},
    "_var_plots": {"plots"},
    "analysis": {"_tables", "_var_algebra", "_var_plots"},
    "_model": {
        "_estimator",
        "_inference",
        "_tables",
        "_training",
        "_windows",
        "coefficients",
    },
    "_recipes": {
        "_inference",
        "_model",
        "_networks",
        "_ridge",
        "_training",
        "_var_algebra",
        "_windows",
        "coefficients",
    },
    "_stream": set(),
    "_covariates": {"_ridge", "_tables"},
    "_conformal": set(),
    "_history": {"_covariates", "_fill", "_model", "_tables", "_windows"},
    "_uncertainty": {"_conformal", "_tables", "_windows"},
    "_forecaster": {
        "_estimator",
        "_history",
        "_inference",
        "_model",
        "_stream",
        "_tables",
        "_training",
        "_uncertainty",
        "_windows",
    },
    "_regressor": {"_model", "_stream", "_tables", "_windows"},
    "_inspection": {
        "_inference",
        "_model",
        "_networks",
        "_var_algebra",
        "_windows",
        "analysis",
        "coefficients",
    },
    "forecasting": {"_forecaster", "_inspection", "_recipes"},
    "regression": {"_recipes", "_regressor"},
    "classification": {
        "_estimator",
        "_inference",
        "_networks",
        "_panel",
        "_stream",
        "_tables",
        "_training",
    },
    "nn": {"_attention", "_networks"},
    "scoring": {"_forecaster", "_tables"},
    "benchmark": {
        "_tables",
        "_var_algebra",
        "datasets",
        "forecasting",
        "plots",
    },
    "__init__": {
        "analysis",
        "benchmark",
        "classification",
        "datasets",
        "forecasting",
        "nn",
        "plots",
        "regression",
        "scoring",
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
    assert set(imports_of(path)) - {home} <= MAY_IMPORT[home]


def test_the_import_rules_have_no_circle():
    floors, left = set(), dict(MAY_IMPORT)
    while left:
        ready = {home for home, needs in left.items() if needs <= floors}
        assert ready, f"a circle among {sorted(left)}"
        floors |= ready
        left = {home: needs for home, needs in left.items() if home not in ready}


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
    "skvar.rolling_score",
    *(
        f"skvar.{forecaster}.{method}"
        for forecaster in ("AarenForecaster", "LinearAttentionVAR", "SAMoVARForecaster")
        for method in (
            "fit",
            "pretrain",
            "predict",
            "predict_residuals",
            "sample_paths",
            "instance",
            "update",
            "reset",
            "rolling_forecast",
            "rolling_interval",
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
    "skvar.SAMoVARForecaster.token_var_matrices",
    "skvar.SAMoVARForecaster.influence_paths",
    "skvar.VARCoefficients",
    *(
        f"skvar.VARCoefficients.{name}"
        for name in dir(skvar.VARCoefficients)
        if not name.startswith("_")
    ),
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
    "skvar._stream.Stream",
    "skvar._stream.Stream.push",
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


def test_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    names = {}
    for block in blocks:
        exec(block, names)
    assert names["search"].predict(names["table"]).shape == (4, 5)


def run_page(name):
    page = (ROOT / "docs" / name).read_text()
    names = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.S):
        exec(block, names)
    return names


def test_pages_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = run_page("analysis.md")
    assert names["crisis"].label == "window ending 2008Q4"
    names = run_page("aaren.md")
    assert names["counts"] == {"Transformer": 49_984, "Aaren": 49_984 + 64}
    assert names["probabilities"].shape == (4,)
    names = run_page("practice.md")
    assert names["paths"].shape == (500, 4, 3)
    assert len(names["store"].predict()) == 3
    names = run_page("benchmarks.md")
    assert names["errors"].shape == (6, 3)


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
    "plot_01_forecast.py": (["LinearAttentionVAR", "Consumption"], 1),
    "plot_02_matrices.py": (["OLS VAR(1)", "realcons"], 2),
    "plot_03_events.py": (["of the way from Poisson to the truth"], 1),
    "plot_04_policy.py": (["Requested and obtained"], 1),
}


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

"""What is read: README, pages of the site, API reference, docstrings."""

import contextlib
import importlib
import inspect
import io
import pkgutil
import re
from inspect import signature
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from numpydoc.validate import validate
from sklearn.base import RegressorMixin
from sklearn.utils._testing import assert_docstring_consistency

import skvar
from skvar._forecasting.forecaster import Forecaster

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
FENCE = re.compile(
    r"^```(?P<language>\w+)(?P<mark>.*)\n(?P<body>(?s:.*?))^```$", re.MULTILINE
)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_code_of_pages_runs(page, tmp_path, monkeypatch):
    """In order and in one namespace, without blocks that begin ```python no-run.

    A block of text right after a block of code shows what that prints.
    """
    monkeypatch.chdir(tmp_path)
    text = (ROOT / page).read_text()
    names, printed, end = {"__name__": "page"}, None, 0
    for block in FENCE.finditer(text):
        between = text[end : block.start()].strip()
        if block["language"] == "text" and printed is not None and not between:
            assert block["body"].splitlines() == printed
        printed, end = None, block.end()
        if block["language"] == "python" and "no-run" not in block["mark"]:
            line = text.count("\n", 0, block.start("body"))
            code = compile("\n" * line + block["body"], ROOT / page, "exec")
            with contextlib.redirect_stdout(io.StringIO()) as output:
                exec(code, names)
            # pandas fills lines up with spaces, which pages leave out.
            printed = [line.rstrip() for line in output.getvalue().splitlines()]
            plt.close("all")


@pytest.mark.parametrize("page", PAGES)
def test_names_that_pages_give_are_there(page):
    """Private ones too: pages say where in the code each equation is."""
    for name in re.findall(r"`(skvar\.[\w.]+)`", (ROOT / page).read_text()):
        pkgutil.resolve_name(name)


@pytest.mark.parametrize("page", PAGES)
def test_scripts_that_pages_name_are_there(page):
    scripts = re.findall(
        r"\b(?:benchmarks|examples)/\w+\.\w+", (ROOT / page).read_text()
    )
    assert [name for name in scripts if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_of_the_repository_lead_to_files(page):
    """Those between pages of the site are checked where it is built."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text())
    assert [link for link in links if not (ROOT / link).is_file()] == []


MODULES = [
    importlib.import_module(f"skvar.{module.name}")
    for module in pkgutil.iter_modules(skvar.__path__)
    if not module.name.startswith("_")
]
# Each thing once, by the name that comes first.
PUBLIC = {
    getattr(module, name): f"{module.__name__}.{name}"
    for module in reversed([skvar, *MODULES])
    for name in module.__all__
    if not inspect.ismodule(getattr(module, name))
}


def members(thing):
    """Names of the public methods and properties of a class that are written here."""
    names = [name for name in dir(thing) if inspect.isclass(thing) and name[0] != "_"]
    for name in names:
        member = inspect.getattr_static(thing, name)
        function = getattr(member, "__func__", getattr(member, "fget", member))
        home = getattr(function, "__module__", None) or ""
        if inspect.isfunction(function) and home.startswith("skvar"):
            yield name


ENTRY = re.compile(
    r"^\.\. (?:current)?module:: (?P<module>\S+)$|^   (?P<name>[\w.]+)$", re.MULTILINE
)


def test_every_public_name_is_in_the_reference():
    listed = []
    for page in set((ROOT / "docs/api").glob("*.rst")) - {ROOT / "docs/api/index.rst"}:
        module = None
        for entry in ENTRY.finditer(page.read_text()):
            module = entry["module"] or module
            if entry["name"]:
                listed.append(f"{module}.{entry['name']}")
    assert sorted(listed) == sorted(PUBLIC.values())


# Left to the writer: mood and length of the summary, extended summary, See Also,
# Examples everywhere, descriptions that begin in lower case or are missing in Returns.
OPTIONAL = {"SS05", "SS06", "ES01", "SA01", "EX01", "RT03", "PR08"}
# What methods take and give, where one line says it.
SECTIONS = {"PR01", "RT01", "YD01"}


@pytest.mark.parametrize("thing", PUBLIC, ids=PUBLIC.values())
def test_docstrings_are_numpydoc(thing):
    """Methods of networks, shocks, baselines and reports may have a line alone."""
    path = PUBLIC[thing]
    rooms = "skvar.nn.", "skvar.identification.", "skvar.benchmark.", "skvar.report."
    brief = path.startswith(rooms)
    allowed = OPTIONAL | SECTIONS if brief else OPTIONAL
    assert [
        error for error in validate(path)["errors"] if error[0] not in OPTIONAL
    ] == []
    for member in members(thing):
        errors = validate(f"{path}.{member}")["errors"]
        assert [(member, error) for error in errors if error[0] not in allowed] == []


@pytest.mark.parametrize("thing", PUBLIC, ids=PUBLIC.values())
def test_public_signatures_have_types(thing):
    things = [(PUBLIC[thing], thing)]
    things += [(name, inspect.getattr_static(thing, name)) for name in members(thing)]
    for name, member in things:
        function = getattr(member, "__func__", getattr(member, "fget", member))
        if not callable(function):
            continue
        found = signature(function)
        hints = {p.name: p.annotation for p in found.parameters.values()}
        for first in ("self", "cls"):
            hints.pop(first, None)
        if not inspect.isclass(function):
            hints["return"] = found.return_annotation
        assert [(name, x) for x, hint in hints.items() if hint is found.empty] == []


# Columns of README's table of capabilities, and what tells them.
CAPABILITIES = {
    "several series": lambda x: x.get_tag("capability:multivariate"),
    "covariates": lambda x: x.get_tag("capability:exogenous"),
    "missing values": lambda x: x.get_tag("capability:missing_values"),
    "intervals": lambda x: x.get_tag("capability:pred_int"),
    "panels": lambda x: "pd-multiindex" in x.get_tag("y_inner_mtype"),
    "streams": lambda x: hasattr(x, "stream"),
    "VAR matrices": lambda x: hasattr(x, "var_matrices"),
}


def test_capabilities_in_readme_are_those_of_the_tags():
    lines = (ROOT / "README.md").read_text().splitlines()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines
        if line.startswith("| ")
    ]
    columns, *rows = rows
    said = {row[0].strip("`"): dict(zip(columns, row, strict=True)) for row in rows}
    estimators = {*ESTIMATORS, skvar.AarenClassifier}
    assert set(said) == {estimator.__name__ for estimator in estimators}
    for estimator in FORECASTERS:
        for column, has in CAPABILITIES.items():
            is_said = said[estimator.__name__][column] == "yes"
            assert is_said == has(estimator()), (estimator, column)


ESTIMATORS = [thing for thing in PUBLIC if hasattr(thing, "_specification")]
FORECASTERS = [thing for thing in ESTIMATORS if issubclass(thing, Forecaster)]
# Groups of estimators that describe a parameter or attribute alike, but for these.
ALIKE = {
    "estimators": (
        ESTIMATORS,
        "batch_size d_model early_stopping max_epochs n_heads n_layers random_state "
        "validation_fraction weight_decay",
        "best_epoch_ feature_names_in_ loss_curve_ n_features_in_ network_ scaler_ "
        "validation_scores_",
    ),
    "regressors": (
        [thing for thing in ESTIMATORS if issubclass(thing, RegressorMixin)],
        "alpha batch_size d_model early_stopping lags max_epochs n_heads n_layers "
        "weight_decay",
        "alpha_ best_epoch_ coef_",
    ),
    "forecasters": (
        FORECASTERS,
        "alpha batch_size d_model early_stopping horizon lags max_epochs n_heads "
        "n_layers random_state validation_fraction weight_decay",
        "alpha_ best_epoch_ coef_ covariates_ exog_coef_ horizon_ intercept_ "
        "loss_curve_ network_ sigma_u_ validation_scores_",
    ),
    "forecasters with a static path": (
        [
            thing
            for thing in FORECASTERS
            if "static_path" in signature(thing).parameters
        ],
        "lags n_layers random_state static_path token_length",
        "coef_ loss_curve_ network_",
    ),
}
DEFAULTS_DIFFER = "dropout", "learning_rate", "n_iter_no_change"


@pytest.mark.filterwarnings("ignore:Checking was skipped")
@pytest.mark.parametrize("group", ALIKE)
def test_estimators_describe_alike_what_they_share(group):
    estimators, parameters, attributes = ALIKE[group]
    assert_docstring_consistency(
        estimators,
        include_params=True,
        exclude_params=parameters.split(),
        include_attrs=True,
        exclude_attrs=attributes.split(),
        ignore_types=DEFAULTS_DIFFER,
    )

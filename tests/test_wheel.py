"""The package as it is shipped: built, installed where nothing else of it is, used."""

import re
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import skvar

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def run(*command, cwd):
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert not done.returncode, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel, made from what the source distribution holds."""
    folder = tmp_path_factory.mktemp("dist")
    run(
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "-t",
        "sdist",
        "-d",
        folder,
        cwd=ROOT,
    )
    [source] = folder.glob("*.tar.gz")
    offline = ["--no-index", "--no-deps", "--no-build-isolation"]
    run(sys.executable, "-m", "pip", "wheel", *offline, source, cwd=folder)
    [wheel] = folder.glob("*.whl")
    return wheel


def test_wheel_holds_the_package_and_nothing_else(built):
    package = ROOT / "skvar"
    files = {
        path.relative_to(ROOT).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    names = set(zipfile.ZipFile(built).namelist())
    about = {name for name in names if name.split("/")[0].endswith(".dist-info")}
    assert names - about == files
    assert "skvar/py.typed" in names
    assert any(name.endswith("/LICENSE") for name in about)


def test_metadata_is_that_of_the_project(built):
    archive = zipfile.ZipFile(built)
    [name] = [name for name in archive.namelist() if name.endswith("/METADATA")]
    metadata = message_from_bytes(archive.read(name))
    assert metadata["Name"] == "skvar"
    assert metadata["Version"] == skvar.__version__
    versions = SpecifierSet(metadata["Requires-Python"])
    assert versions == SpecifierSet(PROJECT["requires-python"])
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert "Typing :: Typed" in metadata.get_all("Classifier")
    assert metadata.get_payload().startswith("# skvar")
    extras = PROJECT["optional-dependencies"]
    assert set(metadata.get_all("Provides-Extra")) == set(extras)
    found = [Requirement(text) for text in metadata.get_all("Requires-Dist")]
    plain = {str(one) for one in found if one.marker is None}
    assert plain == {str(Requirement(text)) for text in PROJECT["dependencies"]}


USE = """
import sys, warnings
import skvar
assert skvar.__file__.startswith(sys.prefix), skvar.__file__
table = skvar.datasets.make_var(60, 2, random_state=0).series
forecaster = skvar.LinearAttentionVAR(lags=2, n_layers=0).fit(table, fh=[1, 2])
skvar.save(forecaster, "model.skvar")
loaded = skvar.load("model.skvar")
assert (loaded.predict() == forecaster.predict()).all(axis=None)
print(skvar.__version__, loaded.predict().shape)
"""


def test_installed_wheel_fits_and_saves(built, tmp_path):
    environment = tmp_path / "environment"
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=tmp_path)
    folder = "Scripts" if sys.platform == "win32" else "bin"
    python = environment / folder / "python"
    # What skvar needs, but no editable skvar: a path file in a path file is not read.
    [site] = environment.glob("**/site-packages")
    others = [path for path in sys.path if re.search(r"(site|dist)-packages$", path)]
    (site / "others.pth").write_text("\n".join(others))
    offline = ["--no-index", "--no-deps"]
    pip = [sys.executable, "-m", "pip", "--python", python]
    run(*pip, "install", *offline, built, cwd=tmp_path)
    used = run(python, "-I", "-c", USE, cwd=tmp_path)
    assert used.split() == [skvar.__version__, "(2,", "2)"]

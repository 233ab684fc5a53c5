"""Versions that files and pickles were made with."""

import platform
import warnings
from functools import cache
from importlib.metadata import version

import skvar

# Of the parts that estimators are made of: another one does not work.
_PARTS = 1

_KEY = "_versions"
_LIBRARIES = ("numpy", "pandas", "scikit-learn", "sktime", "torch")


@cache
def versions() -> dict[str, str]:
    """Of what an estimator depends on, by name."""
    # Builds for a GPU and without one read each other's pickles.
    found = {name: version(name).partition("+")[0] for name in _LIBRARIES}
    python = ".".join(platform.python_version_tuple()[:2])
    return {"skvar": skvar.__version__, **found, "python": python}


def with_versions(state: dict) -> dict:
    """The state of an estimator as its pickles hold it."""
    return {**state, _KEY: (_PARTS, versions())}


def without_versions(state: dict, name: str) -> dict:
    """The state in a pickle of an estimator, with a warning if it is of other versions.

    Raises
    ------
    ValueError
        If it has other parts.
    """
    state = dict(state)
    parts, made_with = state.pop(_KEY, (None, {}))
    here = versions()
    if parts == _PARTS and made_with == here:
        return state
    others = [key for key in here if made_with.get(key) != here[key]]
    then = ", ".join(f"{key} {made_with.get(key, 'unknown')}" for key in others)
    now = ", ".join(f"{key} {here[key]}" for key in others)
    message = f"This {name} was pickled with {then}, but here are {now}."
    if parts != _PARTS:
        raise ValueError(
            f"{message} It cannot be loaded here. Load it with these versions, and "
            "move it by skvar.save and skvar.load, or fit anew."
        )
    warnings.warn(
        f"{message} Results may differ, or fail later: a pickle is made for the very "
        "versions. skvar.save and skvar.load move estimators to others.",
        stacklevel=3,
    )
    return state

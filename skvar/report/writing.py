"""Reports as files."""

import json
from importlib.util import find_spec
from pathlib import Path

from .._files.archive import checked_place, replacing
from .._typing import PathLike
from .content import content
from .page import page
from .subject import Subject


def write_report(subject: Subject, path: PathLike) -> None:
    """Write a report to a file, whole or not at all.

    Parameters
    ----------
    subject : Subject
        What it is about.
    path : str or Path
        Ends in ".html" for a page, or in ".json" for its content.

    Raises
    ------
    ValueError
        If the path has another ending.
    OSError
        If there is no such directory, or the path is one.
    ImportError
        If jinja2 or statsmodels is not installed.
    """
    ending = Path(path).suffix.lower()
    if ending not in (".html", ".json"):
        raise ValueError(
            f"path={str(path)!r} ends in neither .html, for a page, nor .json, for its "
            "content."
        )
    # Missed now rather than after minutes.
    checked_place(path)
    for name in ("jinja2", "statsmodels"):
        if not find_spec(name):
            raise ImportError(f"{name} is missing: pip install 'skvar[report]'.")
    found = content(subject)
    text = page(found) if ending == ".html" else json.dumps(found, allow_nan=False)
    with replacing(path) as file:
        file.write(text.encode())

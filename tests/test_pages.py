"""What pages say about the code."""

import pkgutil
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


PAGES = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_in_pages_are_there(page):
    # mathematics.md and architecture.md say where in the code each equation is.
    for name in re.findall(r"`(skvar\.[\w.]+)`", page.read_text()):
        pkgutil.resolve_name(name)

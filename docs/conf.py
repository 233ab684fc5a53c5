"""The site: ``make docs`` builds it in docs/_build/html, without the network."""

import re
from pathlib import PurePosixPath

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util import logging

import skvar

logger = logging.getLogger(__name__)

project = "skvar"
author = copyright = "skvar developers"
version = release = skvar.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build"]

# A reference in single backticks that leads nowhere is a warning, and so an error.
# Those to other packages stay text, since their inventories are on the network.
default_role = "py:obj"
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r"(np|numpy|pd|pandas|sklearn|sktime|torch)\..*")]

# Docstrings say types with their shapes and units.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
maximum_signature_line_length = 88
numpydoc_show_class_members = False
toc_object_entries_show_parents = "hide"

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "backreferences_dir": "gallery/backreferences",
    "doc_module": ("skvar",),
    "reference_url": {"skvar": None},
    "within_subsection_order": "FileNameSortKey",
    "image_srcset": ["2x"],
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
}

copybutton_exclude = ".linenos, .gp, .go"

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = "skvar"
html_static_path = ["_static"]
html_css_files = ["skvar.css"]
html_show_sourcelink = False
html_sidebars = {"start": []}
html_theme_options = {
    "logo": {"text": "skvar"},
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
}


def lead_to_pages(app, docname, source):
    """Turn links to files of the repository, which work there, to pages of the site."""
    up = "../" * len(PurePosixPath(docname).parent.parts)
    for target, page in (
        (r"\.\./examples/(\w+)\.py", r"gallery/\1.rst"),
        (r"\.\./examples/", "gallery/index.rst"),
        (r"\.\./README\.md", "index.md"),
        (r"(\.\./)?CHANGELOG\.md", "changelog.md"),
        (r"\.\./CONTRIBUTING\.md", "contributing.md"),
        (r"\.\./benchmarks/NOTES\.md", "notes.md"),
    ):
        source[0] = re.sub(rf"\]\({target}\)", rf"]({up}{page})", source[0])


def leave_to_others(app, what, name, member, skip, options):
    """Skip methods that other packages bring; the pages of the API name some."""
    home = getattr(getattr(member, "fget", member), "__module__", None)
    return True if home and not home.startswith("skvar") else None


def write_formula(translator, node):
    """Write MathML, which browsers show without a script from the network."""
    display = "block" if isinstance(node, nodes.math_block) else "inline"
    formula = convert(node.astext(), display=display)
    if ">\\" in formula:
        logger.warning("unknown command in %s", node.astext(), location=node)
    translator.body.append(formula)
    raise nodes.SkipNode


def setup(app):
    """Read pages as they are to be linked, and classes without what they inherit."""
    app.add_html_math_renderer("mathml", (write_formula, None), (write_formula, None))
    app.connect("source-read", lead_to_pages)
    app.connect("autodoc-skip-member", leave_to_others)

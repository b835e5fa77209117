"""The documentation as a site, for Sphinx: `make docs`. Pages are those of the repository, links as they are there."""

import re
from pathlib import Path

HEADER = Path(__file__).resolve().parents[1] / "include/diffeo.h"

project = "Diffeo"
author = "the Diffeo developers"
copyright = f"{author}, MIT licence"
(version,) = re.findall(r'^#define DIFFEO_VERSION_STRING "(.*)"', HEADER.read_text(encoding="utf-8"), re.MULTILINE)

# Sources begin at the root of the repository, so that a link out of docs/ leads to a page, or to a copy of the file.
root_doc = "docs/index"
include_patterns = ["*.md", "docs/**.md", "bindings/python/README.md", "examples/README.md"]
exclude_patterns = [".*", "build", "dist"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]
myst_heading_anchors = 4  # so that links to headings are those of GitHub

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # signatures are long without, and docstrings say what arguments are
autodoc_mock_imports = ["torch", "jax", "jaxlib", "sklearn", "dask"]  # there or not, pages are the same
default_role = "code"
numpydoc_show_class_members = False  # autodoc does

html_theme = "furo"
html_title = f"Diffeo {version}"
html_extra_path = ["site"]
html_static_path = ["static"]
html_css_files = ["wide.css"]
html_copy_source = html_show_sphinx = html_use_index = html_domain_indices = False


def anchors(app, name, source):
    """Anchors of GitHub's pages become those of MyST, which checks what leads to them."""
    source[0] = re.sub(r'^<a id="(\w+)"></a>$', r"(\1)=", source[0], flags=re.MULTILINE)


def setup(app):
    """Called by Sphinx."""
    app.connect("source-read", anchors)

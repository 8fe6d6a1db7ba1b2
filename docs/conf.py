"""How the documentation is built: ``sphinx-build -W docs docs/_build/html``. Needs no network."""

import loyaltykit

project = "loyaltykit"
author = "the loyaltykit contributors"
project_copyright = "the loyaltykit contributors"
version = release = loyaltykit.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "examples"]
templates_path = ["_templates"]

# MyST: headings can be linked to as page.md#heading.
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# Reference pages: one a module, made from the lists in reference/index.md, and one that says where each name of the
# package is described.
autosummary_generate = True
autosummary_context = {"home": loyaltykit._HOME}
autodoc_default_options = {"members": True, "undoc-members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
napoleon_numpy_docstring = False
# A name that a package gathers from its modules is described in both places, and a link may lead to either.
suppress_warnings = ["ref.python"]
default_role = "py:obj"  # `name` in a docstring leads to the name's page where there is one

html_theme = "furo"
html_title = f"loyaltykit {version}"
html_copy_source = False


def drop_alias(app, what, name, obj, options, lines):
    """Leave out what Python itself says of the fields of a named tuple: it only repeats their place."""
    if lines and lines[0].startswith("Alias for field number"):
        lines.clear()


def setup(app):
    """Connect the above."""
    app.connect("autodoc-process-docstring", drop_alias)

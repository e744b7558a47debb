"""Sphinx: ``./run tox -e docs`` writes docs/_build/html."""

from importlib.metadata import version as version_of

project = "pytest-execo"
version = release = version_of(project)
copyright = "the pytest-execo authors"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"pytest-execo {release}"

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
# The text of the front door's names stands where they live.
autodoc_default_options = {"members": True, "inherited-members": False, "show-inheritance": True}

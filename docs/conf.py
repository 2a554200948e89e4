"""How Sphinx builds the documentation; `tox -e docs` runs it."""

from buildbot_http_status_push import __version__

project = "buildbot-http-status-push"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"{project} {release}"

myst_heading_anchors = 3

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"

# The signatures name types of Buildbot, Twisted and attrs, whose own documentation is elsewhere.
nitpick_ignore_regex = [("py:.*", r"(?!buildbot_http_status_push\.signing).*")]

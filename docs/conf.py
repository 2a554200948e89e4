"""How Sphinx builds the documentation; `tox -e docs` runs it."""

import re

from sphinx.application import Sphinx

from buildbot_http_status_push import __version__

project = "buildbot-http-status-push"
release = __version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"{project} {release}"

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"

# The signatures name types of Buildbot, Twisted and attrs, whose own documentation is elsewhere.
nitpick_ignore_regex = [("py:.*", r"(?!buildbot_http_status_push\.signing).*")]

HTML_ONLY = re.compile(r"^<!-- HTML only$(.*?)^-->$", re.MULTILINE | re.DOTALL)
"""What a repository's page cannot show, such as included files."""


def show_html_only(_: Sphinx, __: str, source: list[str]) -> None:
    """Take the comment marks off the parts that only HTML pages have."""
    source[0] = HTML_ONLY.sub(r"\1", source[0])


def setup(app: Sphinx) -> None:
    """Hook into Sphinx."""
    app.connect("source-read", show_html_only)

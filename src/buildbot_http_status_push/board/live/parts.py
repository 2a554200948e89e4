"""The pieces of pages that change live, each one element; pages are put together of the same.

What a script must know of them is told in ``templates/_parts.html``.
"""

from __future__ import annotations

from attrs import define, field
from jinja2 import Environment

from buildbot_http_status_push.board.model import Build, Builder
from buildbot_http_status_push.board.pages.templating import environment


@define(eq=False)
class Parts:
    """The macros of ``_parts.html``.

    Args:
        environment: Where the templates are.
    """

    _environment: Environment = field(factory=environment)

    def red(self, builder: Builder, now: float) -> str:
        """Return a builder whose last conclusive build is bad, for the region ``red``.

        Args:
            builder: The builder.
            now: Seconds since the epoch.
        """
        return self._make("red", builder, now)

    def running(self, build: Build, builder: Builder, now: float) -> str:
        """Return a build that runs, for the region ``running``.

        Args:
            build: The build.
            builder: Its builder.
            now: Seconds since the epoch.
        """
        return self._make("running", build, builder, now)

    def row(self, builder: Builder, now: float) -> str:
        """Return a builder for the region ``rows``, the list of all builders.

        Args:
            builder: The builder.
            now: Seconds since the epoch.
        """
        return self._make("row", builder, now)

    def grid_row(self, builder: Builder, now: float) -> str:
        """Return a builder for the region ``grid``.

        Args:
            builder: The builder.
            now: Seconds since the epoch.
        """
        return self._make("grid_row", builder, now)

    def _make(self, macro: str, *arguments: object) -> str:
        macros = self._environment.get_template("_parts.html").module
        return str(getattr(macros, macro)(*arguments)).strip()

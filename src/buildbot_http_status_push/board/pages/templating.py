"""Jinja2 for the pages: the templates, compiled once, and the words they use.

Everything is escaped unless one of this package's own functions has made it.
"""

from __future__ import annotations

import hashlib
from functools import cache, partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from buildbot_http_status_push.board.failures.grouping import first_bad
from buildbot_http_status_push.board.failures.lines import Excerpt, excerpts_of
from buildbot_http_status_push.board.failures.words import words_of
from buildbot_http_status_push.board.incidents.words import ended, headline, whereabouts
from buildbot_http_status_push.board.model import GOOD, Builder, FailedBuild
from buildbot_http_status_push.board.pages import charts, wording
from buildbot_http_status_push.board.pages.grid import new_tests
from buildbot_http_status_push.board.test_results import words
from buildbot_http_status_push.board.verdicts.revision import KINDS, progress
from buildbot_http_status_push.results import result_word

MISSING_AFTER = 600
"""Seconds after which a worker that is not connected is called missing; Buildbot waits an hour."""
FIRST = ("_page.html", "overview.html")
"""What is compiled before the first page is asked for: that takes longer than to read and fill it.
"""
ALIKE = 500
"""Characters of two lines that are compared."""
FOLDER = Path(__file__).parent
STATIC = FOLDER / "static"
"""Where the files are that pages refer to."""


@cache
def environment(root: str) -> Environment:
    """Return the environment of all templates, those of the overview compiled.

    Args:
        root: The path that the board's own addresses begin with, with a slash at the end.
    """
    made = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    for function in (
        wording.word, wording.symbol, wording.span, wording.ago, wording.utc, wording.iso,
        wording.short_revision, wording.test_address, wording.person,
        wording.halves, wording.result_symbol,
        first_bad, words_of, excerpts_with, charts.days, charts.strip, charts.runs_strip,
        charts.cells, charts.cell, new_tests, charts.durations, result_word, bad_in_a_row,
        headline, whereabouts, ended,
    ):  # fmt: skip
        made.filters[function.__name__] = function
    made.filters["test_words"] = words.words_of
    made.globals["due"] = wording.due
    made.globals["root"] = root
    made.globals["static"] = partial(static, root)
    made.globals["progress"] = progress
    made.globals["kinds"] = KINDS
    made.globals["missing_after"] = MISSING_AFTER
    made.globals["parts"] = made.get_template("_parts.html").module
    for name in FIRST:
        made.get_template(name)
    return made


def bad_in_a_row(builder: Builder) -> int:
    """Count the bad builds since the last good one, as far as the recent builds reach."""
    count = 0
    for build in builder.recent:
        if build.results in GOOD and build.judges:
            break
        count += build.is_bad and build.judges
    return count


def excerpts_with(found: FailedBuild) -> list[Excerpt]:
    """Return the excerpts of a build in which its reason is."""
    reason = found.reason
    if reason is None or found.body is None:
        return []
    return [
        each
        for each in excerpts_of(found.body)
        if (each.rule, each.step) == (reason.rule, reason.step)
        # Of a long line not all is kept.
        and any(line.text[:ALIKE] == reason.text[:ALIKE] for line in each.lines)
    ]


def static(root: str, name: str) -> str:
    """Return a file's address, which changes with what is in it.

    Args:
        root: The path that the board's own addresses begin with.
        name: The file's name in ``STATIC``.
    """
    return f"{root}static/{name}?v={version(name)}"


@cache
def version(name: str) -> str:
    """Return what is different for different contents of a file in ``STATIC``."""
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]

"""The failing lines and failed tests of a body, bounded.

Pure: takes what JSON gives and trusts none of it. Must not know what is kept of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

from buildbot_http_status_push.board.changes import MOST, NAME, objects, text, web_address
from buildbot_http_status_push.board.model import Reason
from buildbot_http_status_push.excerpts.signature import LINE_MOST, signature

EXCERPTS = 30
"""How many excerpts of a body are read."""
LINES = 60
"""How many lines of an excerpt are read."""
LINE = LINE_MOST
"""Characters of a line that are kept: as many as its signature is made of."""
REASONS = 50
"""How many failing lines of a build, and how many failed tests, are kept."""
WORD = re.compile(r"[^\W\d_]{2}")
"""What is in each line that says something: a progress of dots and letters does not."""
AROUND = re.compile(r"_{3,} |={3,} (?:FAILURES|ERRORS) =|> |\s{0,40}(?:async )?def \w")
"""Lines of pytest beside the one that says what failed: headings and the test's source."""
TEST = "test"
"""The rule of failed tests."""


@frozen(kw_only=True)
class Line:
    """A line of a log.

    Args:
        number: Its number in the log, from 1, None where that is not known.
        text: The line.
        is_matched: Whether it says why the step failed.
    """

    number: int | None
    text: str
    is_matched: bool


@frozen(kw_only=True)
class Excerpt:
    """A part of a failed step's log.

    Args:
        step: The step's name.
        log: The log's name.
        url: The log in Buildbot (http or https only), where that is known.
        rule: What chose the lines.
        lines: The lines.
        is_cut: Whether lines that say why were left out.
    """

    step: str
    log: str
    url: str | None
    rule: str
    lines: tuple[Line, ...]
    is_cut: bool


@frozen
class FailedLine:
    """A line that says why a step failed, or a failed test.

    Args:
        rule: What chose it, ``test`` for a test.
        step: The name of the step, of a test its suite.
        text: The line, of a test its name.
    """

    rule: str
    step: str
    text: str


def excerpts_of(body: Mapping[str, Any]) -> tuple[Excerpt, ...]:
    """Return the excerpts of a build's logs."""
    every = map(_excerpt, objects(body.get("excerpts")))
    return tuple(each for _, each in zip(range(EXCERPTS), every, strict=False))


def failed_of(body: Mapping[str, Any]) -> tuple[tuple[FailedLine, ...], bool]:
    """Return what says why a build failed.

    Returns:
        The matched lines, then the failed tests, each once; and whether any were left out.
    """
    excerpts = excerpts_of(body)
    found = dict.fromkeys(
        FailedLine(each.rule, each.step, line.text)
        for each in excerpts
        for line in each.lines
        if line.is_matched and WORD.search(line.text) and not AROUND.match(line.text)
    )
    tests = body.get("tests")
    results: Mapping[str, Any] = tests if isinstance(tests, dict) else {}
    failed = dict.fromkeys(_failed_tests(results))
    is_cut = (
        any(each.is_cut for each in excerpts)
        or max(len(found), len(failed)) > REASONS
        or bool(results.get("omitted"))
    )
    return (*[*found][:REASONS], *[*failed][:REASONS]), is_cut


def reason_of(failed: FailedLine) -> Reason:
    """Return a failing line with what identifies it from one run to the next."""
    return Reason(
        signature=signature(failed.rule, failed.step, failed.text),
        rule=failed.rule,
        step=failed.step,
        text=failed.text,
    )


def _excerpt(value: Mapping[str, Any]) -> Excerpt:
    first, matched, lines = value.get("first_line"), value.get("matched"), value.get("lines")
    given = matched[:LINES] if isinstance(matched, list) else []
    chosen = {each for each in given if _is_number(each)}
    begin = first if _is_number(first) else None
    return Excerpt(
        step=text(value.get("step"), NAME) or "step",
        log=text(value.get("log"), NAME) or "log",
        url=web_address(value.get("url")),
        rule=text(value.get("rule"), NAME) or "line",
        lines=tuple(
            Line(
                number=None if begin is None else begin + place,
                text=each[:LINE] if isinstance(each, str) else "",
                is_matched=place in chosen,
            )
            for place, each in enumerate((lines if isinstance(lines, list) else [])[:LINES])
        ),
        is_cut=value.get("cut") is True,
    )


def _failed_tests(results: Mapping[str, Any]) -> Iterator[FailedLine]:
    for each in objects(results.get("failures")):
        name = text(each.get("name"))
        if name:
            yield FailedLine(TEST, text(each.get("suite"), NAME) or "", name[:LINE])


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST

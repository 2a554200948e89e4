"""What a page's address says to show: an address's query to a filter and back, and what fits it.

Pure: knows no database and no template. The script in the browser asks the same of builders.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, urlencode

from attrs import evolve, frozen

from buildbot_http_status_push.board.model import Build, Builder, Filter
from buildbot_http_status_push.results import RESULTS

SINGLE = ("builder", "master", "project", "branch", "worker", "owner")
"""What is given at most once; tags and results may be given several times."""


@frozen
class Chip:
    """One thing that a filter asks for.

    Args:
        name: What it is about.
        value: What is wanted.
        without: The query of the same page without it.
    """

    name: str
    value: str
    without: str


def from_query(query: str) -> Filter:
    """Read a filter from an address.

    Args:
        query: What stands after ``?``; whatever is no filter is left alone.

    Raises:
        ValueError: If a result is none of Buildbot's.
    """
    given = parse_qs(query)
    single = {name: given[name][-1].strip() or None for name in SINGLE if name in given}
    return Filter(
        **single,
        tags=frozenset(each for each in map(str.strip, given.get("tag", ())) if each),
        results=frozenset(_result(each) for each in given.get("result", ())),
    )


def _result(word: str) -> int:
    if word not in RESULTS:
        raise ValueError(f"result={word!r} is no result: one of {', '.join(RESULTS)} would be")
    return RESULTS.index(word)


def to_query(chosen: Filter) -> str:
    """Write a filter for an address, always in the same order.

    Args:
        chosen: The filter.

    Returns:
        What to write after ``?``; empty where everything is shown.
    """
    return urlencode([(name, value) for name, value, _ in _parts(chosen)])


def chips(chosen: Filter) -> tuple[Chip, ...]:
    """Return all that a filter asks for, each with the way to ask no longer for it."""
    return tuple(Chip(name, value, to_query(rest)) for name, value, rest in _parts(chosen))


def _parts(chosen: Filter) -> Iterator[tuple[str, str, Filter]]:
    for name in SINGLE:
        cleared: dict[str, Any] = {name: None}
        if value := getattr(chosen, name):
            yield name, value, evolve(chosen, **cleared)
    for tag in sorted(chosen.tags):
        yield "tag", tag, evolve(chosen, tags=chosen.tags - {tag})
    for code in sorted(chosen.results):
        yield "result", RESULTS[code], evolve(chosen, results=chosen.results - {code})


def fits_builder(chosen: Filter, builder: Builder) -> bool:
    """Tell whether a builder is to be shown, as far as it is not about single builds.

    Args:
        chosen: The filter.
        builder: The builder.
    """
    return (
        (chosen.builder is None or name_fits(chosen.builder, builder.name))
        and chosen.tags.issubset(builder.tags)
        and chosen.master in (None, builder.master.name)
        and chosen.project in (None, builder.project)
    )


def fits_build(chosen: Filter, build: Build) -> bool:
    """Tell whether a build is to be shown, as far as it is about single builds.

    Args:
        chosen: The filter.
        build: The build.
    """
    return (
        chosen.branch in (None, build.branch)
        and chosen.worker in (None, build.worker)
        and chosen.owner in (None, build.owner)
        and (not chosen.results or build.results in chosen.results)
    )


def name_fits(wanted: str, name: str) -> bool:
    """Tell whether a builder's name is what was asked for; capitals don't matter.

    Args:
        wanted: A glob, where ``*`` stands for any text and ``?`` for any character; without
            either it is enough that the name has it somewhere.
        name: The builder's name.
    """
    return _pattern(wanted).fullmatch(name) is not None


@lru_cache(maxsize=256)
def _pattern(wanted: str) -> re.Pattern[str]:
    is_glob = "*" in wanted or "?" in wanted
    glob = wanted if is_glob else f"*{wanted}*"
    expression = "".join({"*": ".*", "?": "."}.get(each, re.escape(each)) for each in glob)
    return re.compile(expression, re.IGNORECASE | re.DOTALL)

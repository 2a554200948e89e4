"""What a page's address says to show: an address's query to a filter and back, and what fits it.

Pure: knows no database and no template. The script in the browser asks the same of builders.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import parse_qs, urlencode

from attrs import frozen

from buildbot_http_status_push.board.model import Build, Builder, Filter
from buildbot_http_status_push.board.storable import storable
from buildbot_http_status_push.results import RESULTS

SINGLE = ("builder", "master", "project", "branch", "worker", "owner")
"""What is given at most once; tags and results may be given several times."""
MOST_PARAMETERS = 50
"""How many parameters an address may have: more tags than this no builder has."""
MOST_QUERY = 8_000
"""How many bytes there may be of them."""
MOST_VALUE = 500
"""How many characters one of them may have: no name on the board is longer."""


@frozen
class Chip:
    """One thing that a filter asks for."""

    name: str
    value: str


def from_query(query: str) -> Filter:
    """Read a filter from an address.

    Raises:
        ValueError: If a result is none of Buildbot's, or a value is longer than any name.
    """
    given = parse_qs(query)
    for name in (*SINGLE, "tag", "result"):
        if any(len(each) > MOST_VALUE for each in given.get(name, ())):
            raise ValueError(f"{name} has more than {MOST_VALUE} characters, as no name has")
    single = {name: storable(given[name][-1].strip()) or None for name in SINGLE if name in given}
    return Filter(
        **single,
        tags=frozenset(storable(each) for each in map(str.strip, given.get("tag", ())) if each),
        results=frozenset(_result(each) for each in given.get("result", ())),
    )


def _result(word: str) -> int:
    if word not in RESULTS:
        raise ValueError(f"result={word!r} is no result: one of {', '.join(RESULTS)} would be")
    return RESULTS.index(word)


def to_query(chosen: Filter) -> str:
    """Write a filter for an address, always in the same order."""
    return urlencode([(each.name, each.value) for each in chips(chosen)])


def chips(chosen: Filter) -> tuple[Chip, ...]:
    """Return all that a filter asks for, always in the same order."""
    return tuple(_parts(chosen))


def _parts(chosen: Filter) -> Iterator[Chip]:
    for name in SINGLE:
        if value := getattr(chosen, name):
            yield Chip(name, value)
    yield from (Chip("tag", tag) for tag in sorted(chosen.tags))
    yield from (Chip("result", RESULTS[code]) for code in sorted(chosen.results))


def fits_builder(chosen: Filter, builder: Builder) -> bool:
    """Return whether a builder is to be shown, as far as it is not about single builds."""
    return (
        (chosen.builder is None or name_fits(chosen.builder, builder.name))
        and chosen.tags.issubset(builder.tags)
        and chosen.master in (None, builder.master.name)
        and chosen.project in (None, builder.project)
    )


def fits_build(chosen: Filter, build: Build) -> bool:
    """Return whether a build is to be shown, as far as it is about single builds."""
    return (
        (chosen.branch in (None, build.branch) or chosen.branch in build.branches)
        and chosen.worker in (None, build.worker)
        and (chosen.owner in (None, build.owner) or is_person(build.owner, chosen.owner))
        and (not chosen.results or build.results in chosen.results)
    )


def is_person(owner: str | None, name: str | None) -> bool:
    """Return whether an owner with a mail address has this name."""
    return owner is not None and owner.startswith(f"{name} <")


def name_fits(wanted: str, name: str) -> bool:
    """Return whether a builder's name is what was asked for; capitals don't matter.

    Args:
        wanted: A glob, where ``*`` stands for any text and ``?`` for any character; without
            either it is enough that the name has it somewhere.
        name: The builder's name.
    """
    first, *more = _segments(wanted)
    found = first.match(name)
    # Each segment matches texts of one length only, so its first match leaves most of the name.
    for segment in more:
        if found is None:
            return False
        found = segment.search(name, found.end())
    return found is not None


@lru_cache(maxsize=256)
def _segments(wanted: str) -> tuple[re.Pattern[str], ...]:
    """Compile what stands between the stars of a glob, the last segment up to the name's end.

    One expression for the whole glob would try all ways to divide a name among its stars.
    """
    is_glob = "*" in wanted or "?" in wanted
    glob = wanted if is_glob else f"*{wanted}*"
    segments = [
        "".join("." if each == "?" else re.escape(each) for each in segment)
        for segment in glob.split("*")
    ]
    segments[-1] += r"\Z"
    return tuple(re.compile(each, re.IGNORECASE | re.DOTALL) for each in segments)

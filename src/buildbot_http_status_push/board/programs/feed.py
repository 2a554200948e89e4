"""``feed.atom``: failures and recoveries, and nothing else, for feed readers (RFC 4287). Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from heapq import nlargest
from xml.etree import ElementTree

from attrs import frozen

from buildbot_http_status_push.board.cluster.quiet import Quiet
from buildbot_http_status_push.board.failures.words import words_of
from buildbot_http_status_push.board.filters import fits_build
from buildbot_http_status_push.board.http.documents import Document
from buildbot_http_status_push.board.model import RECENT, Build, Builder, Filter, Master, Memory
from buildbot_http_status_push.board.pages.wording import iso
from buildbot_http_status_push.board.programs.xml_text import xml
from buildbot_http_status_push.results import result_word

ATOM = "http://www.w3.org/2005/Atom"
ATOM_TYPE = "application/atom+xml; charset=utf-8"
LINE = 300
"""Characters of a failing line in an entry."""
ENTRIES = 50
"""How many builds the feed has at most."""


@frozen
class StateChange:
    """A build with which a builder turned red or green.

    Args:
        build: The build.
        recovered: Whether it turned green.
    """

    build: Build
    recovered: bool


def state_changes(builds: Iterable[Build], *, is_from_begin: bool) -> list[StateChange]:
    """Find where a builder's state changed.

    Args:
        builds: One builder's builds in their order, oldest first. Builds that leave open whether
            the code is good are passed over.
        is_from_begin: Whether there were none before. If there were, what the first one changed
            is not known; else a bad first build is news, and a good one is not.

    Returns:
        The builds that changed it, oldest first.
    """
    found: list[StateChange] = []
    was_bad = False if is_from_begin else None
    for build in builds:
        if not (build.is_conclusive and build.judges):
            continue
        if was_bad is not None and build.is_bad != was_bad:
            found.append(StateChange(build, recovered=was_bad))
        was_bad = build.is_bad
    return found


def news(builders: Iterable[Builder], chosen: Filter) -> Iterator[list[StateChange]]:
    """Return the latest state changes of the builders so far, newest first, in steps of one."""
    found: list[StateChange] = []
    for builder in builders:
        found += _of_builder(builder, chosen)
        found = nlargest(ENTRIES, found, key=lambda each: (_ended(each.build), each.build.id))
        yield found


def _of_builder(builder: Builder, chosen: Filter) -> list[StateChange]:
    seen = [build for build in reversed(builder.recent) if fits_build(chosen, build)]
    found = state_changes(seen, is_from_begin=len(builder.recent) < RECENT)
    first = builder.first_bad
    # It may have been red for longer than its recent builds show.
    is_older = first is not None and first.id not in {build.id for build in seen}
    if first is not None and is_older and fits_build(chosen, first):
        return [StateChange(first, recovered=False), *found]
    return found


def feed(
    found: Sequence[StateChange],
    address: str,
    itself: str,
    epoch: str,
    memories: Mapping[int, Memory],
    masters: Collection[Master],
    quiet: Sequence[Quiet] = (),
) -> Document:
    """Make the feed.

    Args:
        found: The entries, newest first.
        address: The board's own address, with a slash at the end.
        itself: The feed's own address.
        epoch: Names the board's store: its builds' numbers mean something within it only.
        memories: What is remembered of why builds are bad, by their number.
        masters: All masters; of several each entry's is named.
        quiet: The builders that have gone quiet.
    """
    of = {each.id: f" ({each.name})" for each in masters} if len(masters) > 1 else {}
    root = ElementTree.Element("feed", {"xmlns": ATOM})
    _add(root, "id", f"urn:buildbot-http-status-push:board:{epoch}")
    _add(root, "title", "Failures and recoveries")
    times = [*(_ended(each.build) for each in found), *(each.noticed_at for each in quiet)]
    _add(root, "updated", iso(max(times, default=0)))
    link(root, itself, "self", "application/atom+xml")
    link(root, address, "alternate", "text/html")
    author = ElementTree.SubElement(root, "author")
    _add(author, "name", "Buildbot")
    for each in quiet:
        _quiet_entry(root, each, of.get(each.builder.master.id, ""), address, epoch)
    for change in found:
        memory = memories.get(change.build.id, Memory())
        _entry(root, change, of.get(change.build.master, ""), address, epoch, memory)
    return Document(body=xml(root), content_type=ATOM_TYPE)


def _quiet_entry(
    root: ElementTree.Element, found: Quiet, of: str, address: str, epoch: str
) -> None:
    builder = found.builder
    entry = ElementTree.SubElement(root, "entry")
    name = f"quiet:{builder.id}:{found.noticed_at}"
    _add(entry, "id", f"urn:buildbot-http-status-push:board:{epoch}:{name}")
    _add(entry, "title", f"{builder.name}{of}: quiet")
    _add(entry, "updated", iso(found.noticed_at))
    link(entry, f"{address}builders/{builder.id}", "alternate", "text/html")
    _add(entry, "summary", f"Quiet for {found.words(found.noticed_at)}")


def _entry(
    root: ElementTree.Element,
    change: StateChange,
    of: str,
    address: str,
    epoch: str,
    memory: Memory,
) -> None:
    build = change.build
    entry = ElementTree.SubElement(root, "entry")
    _add(entry, "id", f"urn:buildbot-http-status-push:board:{epoch}:build:{build.id}")
    _add(entry, "title", _title(change, of))
    _add(entry, "updated", iso(_ended(build)))
    link(entry, f"{address}builds/{build.id}", "alternate", "text/html")
    _add(entry, "summary", _summary(build, memory))


def _title(change: StateChange, of: str) -> str:
    word = "recovered" if change.recovered else result_word(change.build.results)
    return f"{change.build.builder_name}{of} #{change.build.number}: {word}"


def _summary(build: Build, memory: Memory) -> str:
    facts = {"branch": build.branch, "revision": build.revision, "worker": build.worker}
    told = [f"{name} {value}" for name, value in facts.items() if value]
    said = ", ".join([build.state_string or result_word(build.results), *told])
    lines = [f"{each.step}: {each.text[:LINE]}" for each in memory.reasons[:1]]
    return "\n".join([said, *lines, *filter(None, [", ".join(words_of(memory))])])


def _ended(build: Build) -> int:
    return build.started_at if build.complete_at is None else build.complete_at


def _add(parent: ElementTree.Element, name: str, text: str) -> None:
    ElementTree.SubElement(parent, name).text = text


def link(parent: ElementTree.Element, href: str, relation: str, kind: str) -> None:
    """Add a link to a feed or to an entry."""
    ElementTree.SubElement(parent, "link", {"href": href, "rel": relation, "type": kind})

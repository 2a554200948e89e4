"""What a message says of a build, whatever service gets it, and which builds have no message.

Knows the build as ``report`` hands it out. Must not know any service's markup.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from typing import Any, ClassVar

from attrs import field, frozen

from buildbot_http_status_push.durations import duration
from buildbot_http_status_push.formats.text import clip, plural
from buildbot_http_status_push.redaction import one_line
from buildbot_http_status_push.results import BAD, GOOD, RESULTS, result_word

START, BROKEN, RECOVERY = "start", "broken", "recovery"
OCCASIONS = (START, *RESULTS, BROKEN, RECOVERY)
DEFAULT_OCCASIONS = ("failure", "exception", RECOVERY)
CHANGES_SHOWN = 5

NO_COMMENT = "(no comment)"

WORD = re.compile(r'[^\s<>()\[\],;"]+')
AROUND_ADDRESSES = re.compile(r"<[^<>]*>|\(\s*\)|\[\s*\]|\"")
IN_PARENTHESES = re.compile(r"\(([^()]*)\)")

NAME_MOST, STATE_MOST, SUBJECT_MOST, AUTHOR_MOST, REVISION_MOST = 100, 200, 120, 60, 12
"""Characters of what comes from outsiders: enough to read, and far from any service's limit."""

LINE_MOST = 300
"""Characters of a failing line."""

GREEN, YELLOW, RED, PURPLE, GREY, BLUE = (
    *(0x2E8540, 0xE6A817, 0xC62828),
    *(0x8E44AD, 0x7F8C8D, 0x2F6FBA),
)
COLOURS = {
    START: BLUE,
    "success": GREEN,
    RECOVERY: GREEN,
    BROKEN: RED,
    "warnings": YELLOW,
    "failure": RED,
    "exception": PURPLE,
    "cancelled": GREY,
    "skipped": GREY,
    "retry": GREY,
}
WORDS = {
    START: "started",
    "success": "succeeded",
    RECOVERY: "recovered",
    BROKEN: "broke",
    "warnings": "succeeded with warnings",
    "failure": "failed",
    "exception": "ended with an exception",
    "cancelled": "was cancelled",
    "skipped": "was skipped",
    "retry": "is to be built again",
}


@frozen
class Change:
    """One change that a build has built.

    Args:
        subject: The first line of its comment.
        author: The author's name, without the mail address.
        revision: The revision, shortened.
        url: Where it can be looked at, None where it is unknown.
    """

    subject: str
    author: str
    revision: str
    url: str | None


@frozen
class News:
    """What is said of a build, in plain texts that are not yet fit for any service's markup.

    Args:
        occasion: One of ``OCCASIONS``.
        title: The builder's name and the build's number.
        url: The build's page.
        state: What the build says of itself.
        facts: Labels and values, such as the branch.
        changes: The latest changes.
        left_out: How many more changes there are.
    """

    occasion: str
    title: str
    url: str | None
    state: str
    facts: tuple[tuple[str, str], ...]
    changes: tuple[Change, ...]
    left_out: int

    @property
    def word(self) -> str:
        """What became of the build."""
        return WORDS[self.occasion]

    @property
    def colour(self) -> int:
        """The occasion's colour: red, green and blue in a byte each."""
        return COLOURS[self.occasion]

    @property
    def more(self) -> str | None:
        """How many more changes there are, in words; None if there are none."""
        return f"and {plural(self.left_out, 'more change')}" if self.left_out else None


def _occasions(value: Collection[str] | str) -> tuple[str, ...] | str:
    return value if isinstance(value, str) else tuple(value)


@frozen
class Format(ABC):
    """Makes the message that a service takes of a build: what ``format_fn=`` is given.

    Args:
        on: What to report: ``start``, Buildbot's words for results, ``broken`` and ``recovery``.
            ``broken`` is the first failure or exception after a success (with or without
            warnings), ``recovery`` the first success after a failure or an exception, among the
            builds of the same builder and branch. Other results count for neither.
    """

    service: ClassVar[str]

    on: Collection[str] = field(default=DEFAULT_OCCASIONS, converter=_occasions)

    def __call__(self, build: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the message, None without one.

        Args:
            build: The build as the default generator makes it.
        """
        found = occasion(build, self.on)
        return None if found is None else self.message(read(build, found))

    def compares(self, build: Mapping[str, Any]) -> bool:
        """Return whether the build before this one decides if there is a message."""
        results = build.get("results")
        return (RECOVERY in self.on and results in GOOD) or (BROKEN in self.on and results in BAD)

    def has_message(self, build: Mapping[str, Any]) -> bool:
        """Return whether there is a message."""
        return occasion(build, self.on) is not None

    def faults(self) -> Iterator[str]:
        """Yield every fault of what it was given."""
        if isinstance(self.on, str) or not self.on:
            yield f"on is {self.on!r}: write a tuple of names, such as on=('failure', 'recovery')"
            return
        for each in self.on:
            if each not in OCCASIONS:
                yield f"on holds {each!r}: known are {', '.join(OCCASIONS)}"

    @abstractmethod
    def message(self, news: News) -> dict[str, Any]:
        """Return what the service takes."""


def occasion(build: Mapping[str, Any], on: Collection[str]) -> str | None:
    """Return what to say of a build, None where that is nothing.

    Args:
        build: The build, with ``compared_build`` or ``prev_build`` where that is needed.
        on: What to report.
    """
    if not build.get("complete"):
        return START if START in on else None
    results, before = build.get("results"), _before(build).get("results")
    if RECOVERY in on and results in GOOD and before in BAD:
        return RECOVERY
    if BROKEN in on and results in BAD and before in GOOD:
        return BROKEN
    word = result_word(results)
    return word if word in on else None


def _before(build: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the build to compare with: in a function of the user's own, the previous one."""
    return build.get("compared_build" if "compared_build" in build else "prev_build") or {}


def read(build: Mapping[str, Any], found: str) -> News:
    """Return what is said of a build.

    Args:
        build: The build as the default generator makes it, with ``changes`` and
            ``compared_build`` where there are any.
        found: The occasion.
    """
    changes = list(build.get("changes") or ())
    name = clip((build.get("builder") or {}).get("name"), NAME_MOST)
    return News(
        occasion=found,
        title=f"{name} #{build.get('number')}",
        url=build.get("url"),
        state="" if found == START else clip(build.get("state_string"), STATE_MOST),
        facts=tuple(_facts(build, found)),
        changes=tuple(_change(each) for each in changes[:CHANGES_SHOWN]),
        left_out=max(len(changes) - CHANGES_SHOWN, 0),
    )


def _facts(build: Mapping[str, Any], found: str) -> Iterator[tuple[str, str]]:
    stamps = (build.get("buildset") or {}).get("sourcestamps") or ()
    stamp: Mapping[str, Any] = next(iter(stamps), {})
    if branch := clip(stamp.get("branch"), NAME_MOST):
        yield "Branch", branch
    revision = _short(stamp.get("revision"))
    if revision and not build.get("changes"):
        yield "Revision", revision
    if build.get("complete_at") and build.get("started_at"):
        yield "Duration", duration((build["complete_at"] - build["started_at"]).total_seconds())
    if why := _why(build):
        yield "Why", why
    if found in (BROKEN, RECOVERY):
        before = _before(build)
        yield "Before", f"#{before['number']} {WORDS[result_word(before['results'])]}"


def _why(build: Mapping[str, Any]) -> str:
    """Return the step and the first line that says why it failed, where excerpts were asked for."""
    for excerpt in build.get("excerpts") or ():
        for place in excerpt["matched"]:
            return f"{clip(excerpt['step'], NAME_MOST)}: {clip(excerpt['lines'][place], LINE_MOST)}"
    return ""


def _change(change: Mapping[str, Any]) -> Change:
    return Change(
        subject=clip((change.get("comments") or "").strip().partition("\n")[0], SUBJECT_MOST),
        author=clip(_name_of(change.get("author") or ""), AUTHOR_MOST),
        revision=_short(change.get("revision")),
        url=change.get("revlink") or None,
    )


def _short(revision: str | None) -> str:
    return one_line(revision or "")[:REVISION_MOST]


def _name_of(author: str) -> str:
    """Leave out mail addresses: a chat is read by more people than a repository."""
    names = (_name(each) for each in re.split("[,;]", author))
    return ", ".join(name for name in names if name)


def _name(written: str) -> str:
    """Return the name beside an address, or what is before the address's @ where that is all."""
    addresses: list[str] = [word for word in WORD.findall(written) if _is_address(word)]
    beside = WORD.sub(lambda word: " " if _is_address(word[0]) else word[0], written)
    name = " ".join(AROUND_ADDRESSES.sub(" ", beside).split()).strip("<>[]")
    if in_parentheses := IN_PARENTHESES.fullmatch(name):
        name = str(in_parentheses[1])
    if name or not addresses:
        return name or written.strip("<> ")
    return addresses[0].strip("@").partition("@")[0]


def _is_address(word: str) -> bool:
    return "@" in word.strip("@")

"""What has changed since a builder was good, and which of it may be at fault. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from attrs import evolve, frozen

from buildbot_http_status_push.board.incidents.events import Code, EndedBuild
from buildbot_http_status_push.board.incidents.incident import ChangeRange, Place, Suspects
from buildbot_http_status_push.board.model import SUSPECTS

MOST_IDS = 1000
"""How many changes of a range are kept: the newest."""
MOST_SHOWN = 30
"""Of how many of them more is kept than their ids."""


@frozen(kw_only=True)
class LastGood:
    """The last good build of a builder and branch.

    Args:
        at: When it began, in seconds since the epoch, 0 where there was none.
        code: What it built.
        newest: The highest id of a change that was built well, -1 where none is known.
    """

    at: int = 0
    code: Code = ()
    newest: int = -1


def range_of(ended: EndedBuild, good: LastGood) -> ChangeRange:
    """Return what has changed at a builder that has become bad."""
    build = ended.build
    began = ChangeRange(good_at=good.at, bad_at=build.started_at, code=ended.code)
    if not good.at:
        return began  # Buildbot sends every change that there is
    changes = ended.changes
    ids = sorted(each for each in changes.ids if each > good.newest)
    shown = tuple(each for each in changes.shown if each.id is None or each.id > good.newest)[
        -MOST_SHOWN:
    ]
    is_same = bool(ended.code) and ended.code == good.code
    count = max(len(ids) + changes.count - len(changes.ids), len(shown))
    return ChangeRange(
        good_at=good.at,
        bad_at=build.started_at,
        code=ended.code,
        ids=frozenset(ids[-MOST_IDS:]) if ids or is_same else None,
        shown=() if is_same else shown,
        count=0 if is_same else count or None,
    )


def since_good(changed: ChangeRange, good: EndedBuild) -> ChangeRange:
    """Return what is left of a range after a good build of older code that ended after it.

    Of several codebases the ids of changes do not say which of them were in that build.
    """
    if len(changed.code) != 1 or len(good.build.sources) != 1:
        return changed
    [source], ids = good.build.sources, changed.ids or frozenset()
    built, is_same = source.change, source.codebase == changed.code[0][0]
    if built is None or not is_same or built not in ids or changed.count != len(ids):
        return changed
    left = frozenset(each for each in ids if each > built)
    shown = tuple(each for each in changed.shown if each.id in left)
    return evolve(changed, ids=left, shown=shown, count=len(left)) if left else changed


def overlap(one: ChangeRange, other: ChangeRange) -> bool:
    """Return whether a change may be in both: of a builder that was never good any may."""
    if not one.good_at or not other.good_at:
        return True
    if one.ids is not None and other.ids is not None:
        return bool(one.ids & other.ids) or not (one.ids or other.ids)
    return one.good_at < other.bad_at and other.good_at < one.bad_at


def share_changes(one: ChangeRange, other: ChangeRange) -> bool:
    """Return whether a change, or the code where no changes are known, is in both for certain."""
    if not one.good_at or not other.good_at:
        return False
    if one.ids is None or other.ids is None:
        return bool(one.code) and one.code == other.code
    return bool(one.ids & other.ids)


def common_ids(places: Iterable[Place]) -> frozenset[int]:
    """Return the ids of the changes that are in all ranges; none where one's are not known."""
    ranges = [each for each in _counted(places) if not each.is_unchanged]
    known = [each.ids for each in ranges if each.ids is not None]
    return frozenset.intersection(*known) if 0 < len(known) == len(ranges) else frozenset()


def suspects_of(places: Collection[Place]) -> Suspects:
    """Return the changes that are in all ranges; in the smallest where none is in all."""
    counted = _counted(places)
    ranges = [each for each in counted if not each.is_unchanged]
    if not ranges:
        return Suspects(count=0, is_unchanged=True) if counted else Suspects()
    smallest = min(ranges, key=lambda each: each.count or 0)
    common = common_ids(places)
    if not common:
        changes, count = smallest.shown, smallest.count
    else:
        changes = tuple(each for each in smallest.shown if each.id in common)
        count = max(len(common), len(changes))
    return Suspects(changes=changes if count == len(changes) <= SUSPECTS else (), count=count)


def _counted(places: Iterable[Place]) -> list[ChangeRange]:
    return [each.changes for each in places if each.was_good and each.changes.count is not None]

"""From builds that ended to incidents: the rules, and nothing else. Pure.

Builds come in the order in which they reached the board. Times are the builds' own, or when a
build reached the board if it claims to have ended later, so that the same history makes the same
incidents however late it is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator

from attrs import define, evolve, field, frozen

from buildbot_http_status_push.board.incidents.events import EndedBuild
from buildbot_http_status_push.board.incidents.incident import (
    ADDED,
    AGAIN,
    CHANGED,
    CLOSED,
    COVERED,
    FAILURE,
    INFRASTRUCTURE,
    JOINED,
    NO_RESULTS,
    OPENED,
    OVER,
    RAN,
    REMOVED,
    REOPENED,
    Incident,
    IncidentReason,
    Place,
    Step,
    Suspects,
)
from buildbot_http_status_push.board.incidents.ranges import (
    LastGood,
    common_ids,
    overlap,
    range_of,
    share_changes,
    since_good,
    suspects_of,
)
from buildbot_http_status_push.board.judgements import Reached, place
from buildbot_http_status_push.board.model import GOOD

Key = tuple[int, str]

SETTLE = {FAILURE: 600, NO_RESULTS: 600, INFRASTRUCTURE: 3600}
"""Seconds for which an incident of each kind must be over everywhere before it is closed."""
EXCEPTIONS = 3
"""After this many exceptions in a row a builder has no results."""
SHARED_BY = 3
"""From this many builders on it is their worker, their source or their master that is at fault."""
TOGETHER = 3600
"""Seconds within which these must have become bad."""
MOST_PARENTS = 5000
"""Of how many triggering builds is known which bad ones they have triggered."""
MOST_REASONS = 50
"""How many reasons of an incident are kept."""


@frozen(kw_only=True)
class Attempt:
    """A build that ended in an exception.

    Args:
        ended: The place that it makes.
        reasons: What it says.
    """

    place: Place
    reasons: tuple[IncidentReason, ...] = ()


@define(kw_only=True)
class Track:
    """What is remembered of a builder and branch from one build to the next.

    Attributes:
        reached: How far its judging builds have come.
        last: The place of the last one in the order of builds.
        good: The last good one.
        attempts: The exceptions since the last judging build.
        parent: The build that triggered its last bad build, by the id in its master's database.
    """

    reached: Reached = field(factory=Reached)
    last: tuple[int, int, int] = (-1, -1, -1)
    good: LastGood = field(default=LastGood())
    attempts: tuple[Attempt, ...] = ()
    parent: int | None = None


@define(eq=False)
class Engine:
    """All that is remembered of open incidents.

    Args:
        incidents: The open incidents, by their id.
        tracks: What is remembered of each builder and branch.

    Attributes:
        changed: The incidents that have changed, by their id, until ``settled`` is called.
        moved: The ids of incidents with the builders and branches on which they have.
        tracked: The builders and branches of which something else is remembered.
    """

    incidents: dict[str, Incident] = field(factory=dict)
    tracks: dict[Key, Track] = field(factory=dict)
    changed: dict[str, Incident] = field(factory=dict, init=False)
    moved: set[tuple[str, Key]] = field(factory=set, init=False)
    tracked: set[Key] = field(factory=set, init=False)
    _by_key: dict[Key, dict[str, None]] = field(factory=dict, init=False)
    _by_signature: dict[str, dict[str, None]] = field(factory=dict, init=False)
    _by_step: dict[str, dict[str, None]] = field(factory=dict, init=False)
    _by_cause: dict[tuple[str, str], str] = field(factory=dict, init=False)
    _children: dict[tuple[str, int], set[Key]] = field(factory=dict, init=False)
    _settling: set[str] = field(factory=set, init=False)
    _attempting: set[Key] = field(factory=set, init=False)
    _is_first_start: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        for incident in self.incidents.values():
            self._index(incident, incident.places)
        for key, track in self.tracks.items():
            if track.attempts:
                self._attempting.add(key)
            if track.parent is not None:
                clusters = {self.incidents[each].cluster for each in self._by_key.get(key, ())}
                for cluster in clusters:
                    self._children.setdefault((cluster, track.parent), set()).add(key)

    def settled(self) -> None:
        """Take it that all changes are kept."""
        self.changed.clear()
        self.moved.clear()
        self.tracked.clear()

    def known(self, key: Key) -> tuple[frozenset[str], bool]:
        """Return the signatures of what a builder and branch is in, and whether it is in any."""
        here = self._here(key)
        return _signatures(r for incident, _ in here for r in incident.reasons), bool(here)

    def end(self, ended: EndedBuild, *, is_first_start: bool = False) -> list[Step]:
        """Take a build into account that has ended."""
        self._is_first_start = is_first_start
        build = ended.build
        is_telling = build.is_conclusive or build.is_inconclusive
        track = self.tracks.get(ended.key) or Track()
        if not (is_telling and build.judges):
            return []
        if place(build) <= track.last:
            self._cut_down(ended)
            return []
        steps = self.advance(ended.at)
        self.tracks[ended.key] = track
        if build.is_inconclusive:
            return [*steps, *self._inconclusive(ended, track)]
        if not track.reached.judge(build):
            self.tracked.add(ended.key)
            self._cut_down(ended)
            return steps
        track.last = place(build)
        self._forget_attempts(ended.key, track)
        self.tracked.add(ended.key)
        if build.results in GOOD:
            steps += self._good(ended)
            newest = max(ended.changes.ids, default=-1)
            track.good = LastGood(
                at=build.started_at, code=ended.code, newest=max(newest, track.good.newest)
            )
            track.parent = None
            return steps
        steps += self._bad(ended, track)
        if ended.parent is not None:
            track.parent = ended.parent
            self._children.setdefault((ended.cluster, ended.parent), set()).add(ended.key)
            while len(self._children) > MOST_PARENTS:
                del self._children[next(iter(self._children))]
        return steps

    def advance(self, now: float) -> list[Step]:
        """Close what has been over for long enough.

        Args:
            now: Up to when all is known, in seconds since the epoch.
        """
        if not self._settling:
            return []
        steps: list[Step] = []
        for number in sorted(self._settling):
            incident = self.incidents[number]
            closed_at = (incident.over_at or 0) + SETTLE[incident.kind]
            if closed_at <= now:
                steps.append(self.step(incident, CLOSED, closed_at))
                self.put(evolve(incident, closed_at=closed_at))
        return sorted(steps, key=lambda each: each.at)

    def remove(self, builder: int, line: str, at: int) -> list[Step]:
        """Take it that a builder has no builds of a branch any more."""
        steps = self.advance(at)
        key = (builder, line)
        for incident, here in self._here(key):
            steps += self._end_place(incident, here, at, REMOVED, None)
        if key in self.tracks:
            del self.tracks[key]
            self.tracked.add(key)
            self._attempting.discard(key)
        return steps

    # A good build.

    def _good(self, ended: EndedBuild) -> list[Step]:
        steps: list[Step] = []
        for incident, here in self._here(ended.key):
            steps += self._end_place(incident, here, ended.at, _ending(here, ended), ended)
        return steps

    def _cut_down(self, ended: EndedBuild) -> None:
        """Exclude from the suspects what a builder of an incident has built well in older code.

        A good build of any other builder proves nothing: it may not fail on any code.
        """
        if ended.build.results not in GOOD:
            return
        for number in self._by_key.get(ended.key, ()):
            incident, here = self.incidents[number], self._place(number, ended.key)
            left = evolve(here, changes=since_good(here.changes, ended))
            places = tuple(left if each is here else each for each in incident.places)
            # Where no change is left that all share, a build was good, or bad, by chance.
            if incident.kind == FAILURE and left != here and common_ids(places):
                self.put(evolve(incident, places=places, suspects=suspects_of(places)), left)

    # A bad build.

    def _bad(self, ended: EndedBuild, track: Track) -> list[Step]:
        telling = ended.telling
        signatures = _signatures(telling)
        steps: list[Step] = []
        hits: list[str] = []
        explained: set[str] = set()
        children = self._of_children(ended)
        for incident, here in self._here(ended.key):
            if here.is_parent:
                is_hit = incident.id in children
            else:
                is_hit = not here.has_no_result and _is_alike(here, signatures, ended.step)
            if is_hit:
                hits.append(incident.id)
                explained |= _signatures(incident.reasons)
                self._put_place(incident, _again(here, ended))
            elif here.has_no_result:
                steps += self._end_place(incident, here, ended.at, _ending(here, ended), ended)
            elif here.is_parent or _has_run(incident, here, ended):
                steps += self._end_place(incident, here, ended.at, RAN, ended)
            elif not here.is_masked:
                self._put_place(incident, evolve(here, is_masked=True))
        left = [each for each in telling if each.reason.signature not in explained]
        if hits and not left:
            return steps
        known = [each for each in hits if not self._place(each, ended.key).is_parent]
        return [*steps, *self._unexplained(ended, track, left, known, children)]

    def _unexplained(
        self,
        ended: EndedBuild,
        track: Track,
        left: list[IncidentReason],
        known: list[str],
        children: list[str],
    ) -> list[Step]:
        """Find the incident of what is not of the ones that the builder is in already."""
        signatures = _signatures(left)
        here = _place_of(ended, track, signatures)
        infrastructure = self._infrastructure(ended, here, left)
        if infrastructure is not None:
            return infrastructure
        if children:
            steps: list[Step] = []
            for number in children:
                if not self._is_in(number, ended.key):
                    parent = evolve(here, is_parent=True, signatures=frozenset())
                    steps += self._join(number, parent, ended.at, ())
            return [*steps, *(self._open_or_join(ended, here, left) if left else ())]
        found = self._find(here, known)
        if found is None and known:
            return self._add(known[0], ended, left)
        return self._open_or_join(ended, here, left, found)

    def _open_or_join(
        self,
        ended: EndedBuild,
        here: Place,
        left: Collection[IncidentReason],
        found: str | None = None,
    ) -> list[Step]:
        number = found or self._find(here, ())
        if number is not None:
            return self._join(number, here, ended.at, left)
        return self._open(FAILURE, (here,), ended.at, left or ended.reasons)

    def _find(self, here: Place, but: Collection[str]) -> str | None:
        """Return the incident that a builder's failure is of, if there is one."""
        names = here.signatures
        near = (
            {number: None for each in sorted(names) for number in self._by_signature.get(each, ())}
            if names
            else self._by_step.get(here.step or "", {})
        )
        for number in sorted(near, key=lambda each: (self.incidents[each].opened_at, each)):
            incident = self.incidents[number]
            is_of_kind = incident.kind == FAILURE and incident.cluster == here.cluster
            if not is_of_kind or incident.branch != here.branch or number in but:
                continue
            key = (here.builder, here.branch)
            if key in incident.by_hand:
                continue
            for other in incident.places:
                is_same = (other.builder, other.branch) == key
                if names:
                    both = names & other.signatures
                    is_fit = 2 * len(both) >= min(len(names), len(other.signatures)) > 0
                    is_fit = is_fit and (is_same or overlap(other.changes, here.changes))
                else:
                    is_fit = not other.signatures and other.step == here.step
                    is_fit = is_fit and (is_same or share_changes(other.changes, here.changes))
                if is_fit:
                    return number
        return None

    def _of_children(self, ended: EndedBuild) -> list[str]:
        """Return the incidents of bad builds that a build has triggered."""
        keys = self._children.get((ended.cluster, ended.build.buildid), ())
        found = {
            incident.id: None
            for key in sorted(keys)
            for incident, _ in self._here(key)
            if incident.kind != INFRASTRUCTURE
        }
        return list(found)

    def _add(self, number: str, ended: EndedBuild, left: list[IncidentReason]) -> list[Step]:
        """Add reasons to an incident that the builder is in."""
        incident = self.incidents[number]
        here = self._place(number, ended.key)
        was_known = bool(incident.reasons)
        new = self._add_reasons(number, left)
        # Only what is a reason: a line that differs with every build would make a place endless.
        added = _signatures(left) & _signatures(self.incidents[number].reasons)
        place = evolve(here, signatures=here.signatures | added)
        self._put_place(self.incidents[number], place)
        if not new or not was_known:
            return []
        about = new[0].reason.text
        return [self.step(self.incidents[number], ADDED, ended.at, ended.build.builder_name, about)]

    def _add_reasons(self, number: str, left: Iterable[IncidentReason]) -> list[IncidentReason]:
        incident = self.incidents[number]
        there = _signatures(incident.reasons)
        new = [each for each in left if each.reason.signature not in there]
        new = new[: max(MOST_REASONS - len(incident.reasons), 0)]
        if new:
            self.put(evolve(incident, reasons=(*incident.reasons, *new)))
        return new

    # Exceptions.

    def _inconclusive(self, ended: EndedBuild, track: Track) -> list[Step]:
        here = _place_of(ended, track, _signatures(ended.telling))
        before = [each.place.last_bad for each in track.attempts]
        if before and (before[-1].started_at, before[-1].number) >= place(ended.build)[:2]:
            return []
        track.attempts = (*track.attempts, Attempt(place=here, reasons=ended.reasons))[-EXCEPTIONS:]
        self.tracked.add(ended.key)
        self._attempting.add(ended.key)
        for incident, there in self._here(ended.key):
            if there.has_no_result:
                self._put_place(incident, _again(there, ended))
                return []
        infrastructure = self._infrastructure(ended, here, ended.reasons)
        if infrastructure is not None:
            return infrastructure
        if len(track.attempts) < EXCEPTIONS:
            return []
        first = track.attempts[0].place
        made = evolve(first, last_bad=here.last_bad, bad=EXCEPTIONS, code=here.code)
        return self._open(NO_RESULTS, (made,), ended.at, ended.reasons)

    def _forget_attempts(self, key: Key, track: Track) -> None:
        track.attempts = ()
        self._attempting.discard(key)

    # What several builders share.

    def _infrastructure(
        self, ended: EndedBuild, here: Place, reasons: Collection[IncidentReason]
    ) -> list[Step] | None:
        """Join or open the incident of what several builders share, None where they share nothing.

        The source comes before the worker: where each worker fails to get it, none is at fault.
        """
        for cause, others in self._causes(ended, here):
            number = self._by_cause.get((ended.cluster, cause))
            if number is not None and self._is_in(number, ended.key):
                self._put_place(
                    self.incidents[number], _again(self._place(number, ended.key), ended)
                )
                return []
            if number is not None:
                return self._join(number, here, ended.at, reasons)
            builders = {each.builder for each in others} | {here.builder}
            if len(builders) < SHARED_BY:
                continue
            places = (*others, here)
            first = min(places, key=lambda each: each.since)
            steps = self._open(INFRASTRUCTURE, places, ended.at, reasons, cause, first)
            return [*steps, *self._cover(steps[0].incident)]
        return None

    def _causes(self, ended: EndedBuild, here: Place) -> Iterator[tuple[str, list[Place]]]:
        """Yield what a bad build may share with others, and the places of these."""
        worker, since = here.worker, here.since - TOGETHER
        is_of_machine = ended.is_of_machine or ended.build.is_inconclusive
        if not (ended.is_of_source or is_of_machine):
            return
        recent = [
            each
            for incident in self.incidents.values()
            if incident.cluster == ended.cluster and incident.kind != INFRASTRUCTURE
            for each in incident.here
            if each.since >= since and each.builder != here.builder
        ]
        attempts = [
            attempt.place
            for key in sorted(self._attempting)
            for attempt in self.tracks[key].attempts[-1:]
            if attempt.place.cluster == ended.cluster
            and attempt.place.since >= since
            and attempt.place.builder != here.builder
        ]
        if ended.is_of_source:
            alike = [each for each in (*recent, *attempts) if each.step == here.step]
            yield f"step {here.step}", _once(alike)
        if worker is not None and is_of_machine:
            broken = [each for each in recent if each.is_of_machine]
            yield (
                f"worker {worker}",
                _once(each for each in (*broken, *attempts) if each.worker == worker),
            )
        if ended.build.is_inconclusive:
            several = _once(attempts)
            if len({each.worker for each in several} | {worker}) > 1:
                yield f"master {ended.cluster}", several

    def _cover(self, number: str) -> list[Step]:
        """Note of which incidents another one is the cause."""
        cause = self.incidents[number]
        since = cause.places[-1].since - TOGETHER
        keys = {(each.builder, each.branch) for each in cause.places}
        covered: list[str] = []
        steps: list[Step] = []
        near = {each for key in keys for each in self._by_key.get((key[0], key[1] or ""), ())}
        for each in sorted(near - {number}):
            incident = self.incidents[each]
            # What has not been bad lately is bad for a reason of its own.
            is_below = incident.covered_by is None and any(
                one.last_bad.complete_at >= since for one in incident.here
            )
            if is_below and {(one.builder, one.branch) for one in incident.here} <= keys:
                self.put(evolve(incident, covered_by=number))
                steps.append(self.step(incident, COVERED, cause.places[-1].since, about=number))
                covered.append(each)
        self.put(evolve(self.incidents[number], covers=tuple(covered)))
        return steps

    # What all of these are made of.

    def _open(
        self,
        kind: str,
        places: tuple[Place, ...],
        at: int,
        reasons: Collection[IncidentReason],
        cause: str | None = None,
        first: Place | None = None,
    ) -> list[Step]:
        ordered = tuple(
            sorted(places, key=lambda each: (each is not first, each.since, each.builder))
        )
        begun = ordered[0]
        lead = next((each.reason.signature for each in reasons), begun.step or "")
        incident = Incident(
            id=incident_id(kind, begun, cause or lead),
            kind=kind,
            cluster=begun.cluster,
            branch=begun.branch if kind != INFRASTRUCTURE else None,
            cause=cause,
            opened_at=min(each.since for each in ordered),
            places=ordered,
            reasons=tuple(reasons)[:MOST_REASONS],
            suspects=suspects_of(ordered) if kind == FAILURE else Suspects(),
            is_first_start=self._is_first_start,
        )
        self.put(incident, *ordered)
        opened = self.step(incident, OPENED, at, begun.builder_name)
        joined = [self.step(incident, JOINED, at, each.builder_name) for each in ordered[1:]]
        return [opened, *joined]

    def _join(
        self, number: str, here: Place, at: int, reasons: Collection[IncidentReason]
    ) -> list[Step]:
        """Add a builder to an incident, or open it again there."""
        incident = self.incidents[number]
        keys = [(each.builder, each.branch) for each in incident.places]
        is_again = (here.builder, here.branch) in keys
        is_there = self._is_in(number, place_key(here))
        places = (
            tuple(
                _reopened(each, here) if key == (here.builder, here.branch) else each
                for key, each in zip(keys, incident.places, strict=True)
            )
            if is_again
            else (*incident.places, here)
        )
        # A builder that is red again after it was good says nothing new of what was at fault.
        narrowed = suspects_of(places) if incident.kind == FAILURE else incident.suspects
        was_over = incident.over_at is not None
        incident = evolve(
            incident,
            places=places,
            over_at=None,
            suspects=incident.suspects if is_again else narrowed,
        )
        self.put(incident, here)
        self._add_reasons(number, reasons)
        if is_there:
            return []
        kind = REOPENED if is_again or was_over else JOINED
        return [self.step(incident, kind, at, here.builder_name)]

    def _end_place(
        self, incident: Incident, here: Place, at: int, ending: str, ended: EndedBuild | None
    ) -> list[Step]:
        incident = self._put_place(
            self.incidents[incident.id],
            evolve(
                here,
                over_at=at,
                ending=ending,
                is_masked=False,
                good=ended.ref if ended else None,
            ),
        )
        if not incident.here:
            over_at = max(each.over_at or 0 for each in incident.places)
            incident = self.put(evolve(incident, over_at=over_at))
        return [self.step(incident, OVER, at, here.builder_name, ending)]

    def _here(self, key: Key) -> list[tuple[Incident, Place]]:
        """Return the open incidents that a builder and branch is in now."""
        found = []
        for number in self._by_key.get(key, ()):
            incident = self.incidents[number]
            found += [(incident, each) for each in incident.here if place_key(each) == key]
        return found

    def _is_in(self, number: str, key: Key) -> bool:
        return any(place_key(each) == key for each in self.incidents[number].here)

    def _place(self, number: str, key: Key) -> Place:
        return next(each for each in self.incidents[number].places if place_key(each) == key)

    def _put_place(self, incident: Incident, here: Place) -> Incident:
        key = place_key(here)
        places = (here if place_key(each) == key else each for each in incident.places)
        return self.put(evolve(incident, places=tuple(places)), here)

    def put(self, incident: Incident, *places: Place) -> Incident:
        """Keep an incident, and note which of its places have changed or are gone."""
        self.changed[incident.id] = incident
        self.moved.update((incident.id, place_key(each)) for each in places)
        if not incident.is_open:
            self._drop(incident)
            return incident
        gone = [each for each in places if each not in incident.places]
        if gone:
            self._forget(incident.id, gone)
        self.incidents[incident.id] = incident
        self._index(incident, incident.places if gone else places)
        return incident

    def _index(self, incident: Incident, places: Iterable[Place]) -> None:
        number = incident.id
        for each in places:
            self._by_key.setdefault(place_key(each), {})[number] = None
            for signature in each.signatures:
                self._by_signature.setdefault(signature, {})[number] = None
            if not each.signatures:
                self._by_step.setdefault(each.step or "", {})[number] = None
        if incident.cause is not None:
            self._by_cause[(incident.cluster, incident.cause)] = number
        if incident.over_at is not None:
            self._settling.add(number)
        else:
            self._settling.discard(number)

    def _drop(self, incident: Incident) -> None:
        number = incident.id
        self.incidents.pop(number, None)
        self._settling.discard(number)
        self._forget(number, incident.places)
        if incident.cause is not None:
            self._by_cause.pop((incident.cluster, incident.cause), None)

    def _forget(self, number: str, places: Iterable[Place]) -> None:
        for each in places:
            self._by_key.get(place_key(each), {}).pop(number, None)
            self._by_step.get(each.step or "", {}).pop(number, None)
            for signature in each.signatures:
                left = self._by_signature.get(signature, {})
                left.pop(number, None)
                if not left:
                    self._by_signature.pop(signature, None)

    def step(
        self,
        incident: Incident,
        kind: str,
        at: float,
        builder: str | None = None,
        about: str | None = None,
        by: str | None = None,
    ) -> Step:
        """Return a step of an incident's life."""
        return Step(
            incident=incident.id,
            kind=kind,
            at=at,
            builder=builder,
            about=about,
            by=by,
            is_first_start=self._is_first_start,
        )


def place_key(place: Place) -> Key:
    """Return a place's builder and branch."""
    return (place.builder, place.branch or "")


def _signatures(reasons: Iterable[IncidentReason]) -> frozenset[str]:
    return frozenset(each.reason.signature for each in reasons)


def _place_of(ended: EndedBuild, track: Track, signatures: frozenset[str]) -> Place:
    build, ref = ended.build, ended.ref
    return Place(
        cluster=ended.cluster,
        builder=build.builder,
        builder_name=build.builder_name,
        branch=build.branch,
        first_bad=ref,
        last_bad=ref,
        tags=ended.tags,
        signatures=signatures,
        step=ended.step,
        worker=build.worker,
        changes=range_of(ended, track.good),
        code=ended.code,
        has_no_result=build.is_inconclusive,
        is_of_machine=ended.is_of_machine,
    )


def _again(here: Place, ended: EndedBuild) -> Place:
    return evolve(here, last_bad=ended.ref, bad=here.bad + 1, code=ended.code, is_masked=False)


def _reopened(there: Place, here: Place) -> Place:
    """Return a place where an incident is again."""
    return evolve(
        there,
        last_bad=here.last_bad,
        bad=there.bad + 1,
        signatures=there.signatures | here.signatures,
        code=here.code,
        over_at=None,
        ending=None,
        good=None,
        is_masked=False,
    )


def _ending(here: Place, ended: EndedBuild) -> str:
    """Return how an incident is over with a build that judges."""
    return AGAIN if here.code and here.code == ended.code else CHANGED


def _is_alike(here: Place, signatures: frozenset[str], step: str) -> bool:
    """Return whether a builder is still bad for the reason for which it was."""
    if signatures and here.signatures:
        return bool(signatures & here.signatures)
    return here.step == step


def _has_run(incident: Incident, here: Place, ended: EndedBuild) -> bool:
    """Return whether all steps of an incident's reasons have run to their end without them."""
    steps = {
        each.reason.step for each in incident.reasons if each.reason.signature in here.signatures
    } or {here.step or ""}
    return steps <= ended.ran


def _once(places: Iterable[Place]) -> list[Place]:
    """Return the first place of each builder, as an incident of infrastructure has it."""
    found: dict[Key, Place] = {}
    for each in places:
        found.setdefault(place_key(each), each)
    return list(found.values())


def incident_id(kind: str, first: Place, lead: str) -> str:
    """Return an incident's id, the same wherever the same history is read."""
    parts = (
        kind,
        first.cluster,
        first.builder_name,
        first.branch or "",
        str(first.first_bad.started_at),
        str(first.first_bad.number),
        lead,
    )
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:12]

"""The outbox held against a model in plain Python, whatever is done to it and in what order."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from attrs import define, field
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy.engine import Connection
from support.fakes import a_delivery
from support.outboxes import LEASE, NOW
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.database import file_url
from buildbot_http_status_push.model import (
    MOVES,
    PENDING,
    Delivery,
    Disposition,
    LeasedDelivery,
    State,
    Turn,
)
from buildbot_http_status_push.outbox import inspection, intervention
from buildbot_http_status_push.outbox.inspection import NotPossibleError
from buildbot_http_status_push.outbox.repository import BACKOFF, KEPT_FOR, DeliveryRepository
from buildbot_http_status_push.outbox.schema import open_database

pytestmark = pytest.mark.once

OWNERS = ("one", "two")
RETRY_AFTER = 40.0
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - its folder is private
LANES, SUBJECTS, IDS = 3, 6, 24
SAME = ("state", "lane", "attempts", "next_attempt", "owner", "lease_until")
SAME += ("created_at", "updated_at")

Held: TypeAlias = tuple[str, LeasedDelivery]
"""A claim, and whose it is."""

owners = st.sampled_from(OWNERS)
numbers = st.integers(0, IDS - 1)


EVENTS = ("buildrequests.new", "builds.new", "builds.finished", "steps.update")


def delivery(number: int) -> Delivery:
    """Return one of a few deliveries; a subject lies within one lane, a request's is that lane."""
    lane, event = f"lane-{number % LANES}", EVENTS[number // SUBJECTS]
    subject = lane if event == "buildrequests.new" else f"subject-{number % SUBJECTS}"
    return a_delivery(number, lane, subject=subject, event=event, group=group_of(lane))


def group_of(lane: str) -> str:
    """Return the group of a lane: there are two of them."""
    return f"group-{int(lane[-1]) % 2}"


What: TypeAlias = tuple[int, set[str]] | Turn
"""How many to take at most and of which groups none, or whose turn it is."""

groups = st.sampled_from(["group-0", "group-1", "group-2"])
places = st.integers(0, IDS)


@define
class Row:
    """What the model knows of a delivery."""

    id: str
    lane: str
    subject: str
    event: str
    sequence: int
    created_at: float
    updated_at: float
    state: State = State.WAITING
    attempts: int = 0
    next_attempt: float | None = None
    owner: str | None = None
    lease_until: float = 0.0
    kept: bool = True

    def move(self, state: State, now: float, *, kept: bool) -> None:
        """Bring it to a state in which it has no next attempt."""
        self.state, self.updated_at, self.kept, self.next_attempt = state, now, kept, None

    def follows(self, older: Row) -> bool:
        """Tell whether another one need not be sent once this one was accepted."""
        if self.sequence <= older.sequence or not self.event.startswith("builds."):
            return False
        if older.event == "buildrequests.new":
            return self.lane == older.lane
        ends = self.event == "builds.finished" and older.event.startswith("builds.")
        return ends and self.subject == older.subject

    def free(self) -> None:
        """Let nobody have it."""
        self.owner, self.lease_until = None, 0.0


@define
class Model:
    """An outbox in plain Python."""

    rows: dict[str, Row] = field(factory=dict)
    produced: int = 0
    tidied: Counter[State] = field(factory=Counter)
    last_sequence: int = 0

    def put(self, what: Delivery, now: float) -> bool:
        """Keep a delivery; SQLite counts on for one that is known, too."""
        self.last_sequence += 1
        if what.id in self.rows:
            return False
        self._insert(what, self.last_sequence, now)
        return True

    def _insert(self, what: Delivery, sequence: int, now: float) -> None:
        self.produced += 1
        about = (what.id, what.lane, what.subject, what.event)
        self.rows[what.id] = Row(*about, sequence, now, now)

    def claim(self, owner: str, now: float, what: What) -> list[str]:
        """Hand out deliveries."""
        taken = self._first(now, what)
        if any(row.attempts or row.owner not in (None, owner) for row in taken):
            mine = (None, owner, BACKOFF)
            foreign = (row for row in self.rows.values() if row.owner not in mine)
            self._doubt([row for row in foreign if row.lease_until <= now], now)
            taken = self._first(now, what)
        for row in taken:
            row.owner, row.lease_until = owner, now + LEASE
        return [row.id for row in taken]

    def _first(self, now: float, what: What) -> list[Row]:
        if isinstance(what, Turn):
            return self._of_turn(now, what)
        limit, held = what
        free = [row for row in self._free(now) if group_of(row.lane) not in held]
        return self._in_order(free, now)[:limit]

    def _doubt(self, claimed: list[Row], now: float) -> None:
        for row in claimed:
            self._supersede(row, now)
            row.free()

    def _free(self, now: float) -> list[Row]:
        leased = {row.lane for row in self.rows.values() if row.owner and row.lease_until > now}
        free = (row for row in self.rows.values() if row.lane not in leased)
        return sorted(free, key=lambda row: row.sequence)

    def _in_order(self, free: list[Row], now: float) -> list[Row]:
        waiting = [row for row in free if row.state is State.WAITING]
        due = [row for row in free if row.next_attempt is not None and row.next_attempt <= now]
        due.sort(key=lambda row: (row.next_attempt, row.sequence))
        return first_of_lanes([*waiting, *due])

    def _of_turn(self, now: float, turn: Turn) -> list[Row]:
        if turn.newer_in and (newer := self._newer(now, turn.newer_in)):
            return newer
        mine = [row for row in self._free(now) if group_of(row.lane) == turn.group]
        waiting = first_of_lanes([row for row in mine if row.state is State.WAITING])
        for after in (turn.highest,) if turn.untried else (turn.highest, turn.last, -1):
            if behind := [row for row in waiting if row.sequence > after]:
                return behind[:1]
        return [] if turn.untried else self._in_order(mine, now)[:1]

    def waits_behind(self, what: Delivery) -> bool:
        """Tell whether others wait in the lane of one that was handed out."""
        others = (row for row in self.rows.values() if row.id != what.id)
        return any(row.lane == what.lane and row.state is State.WAITING for row in others)

    def _newer(self, now: float, lane: str) -> list[Row]:
        """Return the last one of those at the head of a lane that have one subject."""
        free = self._free(now)
        rows = [row for row in free if row.lane == lane and row.state is State.WAITING]
        same = [row for row in rows if row.subject == rows[0].subject]
        others = [row.sequence for row in rows if row.subject != rows[0].subject]
        same = [row for row in same if row.sequence < min(others, default=row.sequence + 1)]
        return same[-1:] if len(same) > 1 else []

    def record(
        self, owner: str, claim: LeasedDelivery, disposition: Disposition, now: float
    ) -> State | None:
        """Write down an outcome."""
        row, state = self._place(claim), disposition.state
        if disposition.may_have_arrived:
            self._supersede(row, now)
        if state in PENDING and self._is_late(row):
            state = State.SUPERSEDED
        is_taken = row.owner not in (None, owner) and state is not State.DELIVERED
        if is_taken or not may_move(row.state, state):
            if row.owner == owner:
                row.free()
            return None
        row.move(state, now, kept=row.kept and state in {*PENDING, State.DEAD})
        row.next_attempt = disposition.next_attempt if state is State.RETRYING else None
        row.attempts += 1
        row.free()
        if state is State.WAITING and disposition.next_attempt is not None:
            row.owner, row.lease_until = BACKOFF, disposition.next_attempt
        if state is State.DELIVERED:
            self._supersede(row, now)
        return state

    def _place(self, claim: LeasedDelivery) -> Row:
        if claim.delivery.id not in self.rows:
            first = min((row.sequence for row in self.rows.values()), default=1)
            self._insert(claim.delivery, first - 1, claim.created_at)
            self.rows[claim.delivery.id].attempts = claim.attempts
        return self.rows[claim.delivery.id]

    def _is_late(self, row: Row) -> bool:
        accepted = (each for each in self.rows.values() if each.state is State.DELIVERED)
        return any(each.follows(row) for each in accepted)

    def _supersede(self, row: Row, now: float) -> None:
        for each in self.rows.values():
            if row.follows(each) and each.state in PENDING:
                each.move(State.SUPERSEDED, now, kept=False)

    def release(self, owner: str, sequences: list[int]) -> None:
        """Take back what was handed out and not sent."""
        for row in self.rows.values():
            if row.owner == owner and row.sequence in sequences:
                row.free()

    def release_all(self, owner: str, now: float) -> None:
        """Take back what a master has, which may have been sent."""
        self._doubt([row for row in self.rows.values() if row.owner == owner], now)
        for row in self.rows.values():
            if row.owner == BACKOFF:
                row.free()

    def give_up(self, group: str, before: float, now: float) -> None:
        """Make dead what is old."""
        for row in self.rows.values():
            is_mine = row.state in PENDING and group_of(row.lane) == group
            if is_mine and row.created_at < before:
                row.move(State.DEAD, now, kept=True)

    def tidy(self, now: float) -> None:
        """Forget what ended long ago."""
        for row in [*self.rows.values()]:
            if row.state not in PENDING and row.updated_at < now - KEPT_FOR:
                del self.rows[row.id]
                self.tidied[row.state] += 1

    def redeliver(self, key: str, now: float) -> bool:
        """Have one sent again."""
        row = self.rows.get(key)
        if row is None or row.state not in (State.DEAD, State.RETRYING) or not row.kept:
            return False
        if self._is_late(row):
            return False
        row.move(State.WAITING, now, kept=True)
        row.created_at = now
        return True

    def drop(self, key: str, now: float) -> bool:
        """Never send one."""
        row = self.rows.get(key)
        if row is None or not row.kept:
            return False
        row.move(State.DEAD, now, kept=False)
        return True


def dispositions(now: float) -> st.SearchStrategy[Disposition]:
    """Return dispositions of each kind; most attempts end with an acceptance."""
    states = st.just(State.DELIVERED) | st.sampled_from(State)
    due: dict[State, list[float | None]] = {
        State.RETRYING: [now + RETRY_AFTER],
        State.WAITING: [None, now + 8],
    }
    every = {state: due.get(state, [None]) for state in State}

    def of_state(state: State) -> st.SearchStrategy[Disposition]:
        may_have_arrived = st.just(False) if state is State.DELIVERED else st.booleans()
        return st.builds(
            Disposition,
            st.just(state),
            st.just("words"),
            st.sampled_from(every[state]),
            may_have_arrived,
        )

    return states.flatmap(of_state)


def may_move(known: State, found: State) -> bool:
    """Say which outcomes count: an acceptance always does, once."""
    if known in PENDING:
        return True
    if found is State.DELIVERED:
        return known is not State.DELIVERED
    return known is State.DEAD and found is State.SUPERSEDED


def first_of_lanes(rows: list[Row]) -> list[Row]:
    """Return the first row of each lane, in order."""
    first: dict[str, Row] = {}
    for row in rows:
        first.setdefault(row.lane, row)
    return list(first.values())


class OutboxMachine(RuleBasedStateMachine):
    """Two masters, their claims, people, time and crashes."""

    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="http-status-push-machine-", dir=MEMORY))
        self.crashes = 0
        self.now = NOW
        self.model = Model()
        self.database = open_database(self.url())
        self.repositories = {owner: DeliveryRepository("push", owner) for owner in OWNERS}

    def url(self) -> str:
        """Return where the outbox is since the last crash."""
        return file_url(self.folder / f"{self.crashes}.sqlite")

    def run(self, operation: Callable[[Connection], Any]) -> Any:
        """Run an operation."""
        return self.database.transact([operation])[0]

    @initialize(target=claims, some=st.sets(numbers, min_size=IDS // 2))
    def begin(self, some: set[int]) -> Any:
        """Two masters have been at work for a while."""
        self.put(sorted(some), OWNERS[0])
        return multiple(*(held for owner in OWNERS for held in self.take(owner, (1, set()))))

    @rule(some=st.lists(numbers, min_size=1, max_size=6), owner=owners)
    def put(self, some: list[int], owner: str) -> None:
        """Reports come."""
        for what in map(delivery, some):
            put = partial(self.repositories[owner].put, delivery=what, now=self.now)
            assert self.run(put) == self.model.put(what, self.now)

    @rule(
        target=claims,
        owner=owners,
        what=st.tuples(st.integers(1, 3), st.sets(groups, max_size=1))
        | st.builds(
            Turn,
            group=groups,
            last=places,
            highest=places,
            untried=st.booleans(),
            newer_in=st.sampled_from(["", "lane-0", "lane-1"]),
        ),
    )
    def claim(self, owner: str, what: What) -> Any:
        """A master takes what it may send."""
        return multiple(*self.take(owner, what))

    def take(self, owner: str, what: What) -> list[Held]:
        """Claim, as the model does."""
        repository = self.repositories[owner]
        if isinstance(what, Turn):
            found = self.run(lambda one: repository.claim(one, self.now, LEASE, 1, turns=[what]))
        else:
            found = self.run(lambda one: repository.claim(one, self.now, LEASE, *what))
        ids = [claim.delivery.id for claim in found]
        assert ids == self.model.claim(owner, self.now, what)
        for claim in found:
            assert claim.delivery == delivery(int(claim.delivery.id[4:]))
            assert claim.created_at == self.model.rows[claim.delivery.id].created_at
            assert claim.more or not self.model.waits_behind(claim.delivery)
        return [(owner, claim) for claim in found]

    @rule(held=claims, also=st.tuples(claims, claims), data=st.data())
    def record(self, held: Held, also: tuple[Held, Held], data: st.DataObject) -> None:
        """Attempts end, perhaps long after the master lost its claims; acceptances come first."""
        owner, _ = held
        mine = {claim.delivery.id: claim for whose, claim in (held, *also) if whose == owner}
        ended = [(claim, data.draw(dispositions(self.now))) for claim in mine.values()]
        found = self.run(lambda one: self.repositories[owner].record_all(one, ended, self.now))
        accepted_first = sorted(ended, key=lambda each: each[1].state is not State.DELIVERED)
        for claim, disposition in accepted_first:
            state = self.model.record(owner, claim, disposition, self.now)
            assert found[ended.index((claim, disposition))] == state

    @rule(owner=owners)
    def release_all(self, owner: str) -> None:
        """A master starts or stops."""
        self.run(lambda one: self.repositories[owner].release_all(one, self.now))
        self.model.release_all(owner, self.now)

    @rule(held=claims, owner=owners)
    def release(self, held: Held, owner: str) -> None:
        """A master gives one back."""
        sequences = [held[1].sequence]
        self.run(lambda one: self.repositories[owner].release(one, sequences))
        self.model.release(owner, sequences)

    @rule(seconds=st.sampled_from([1.0, RETRY_AFTER, LEASE, KEPT_FOR, KEPT_FOR + 1]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds

    @rule(age=st.sampled_from([0.0, 2.0, RETRY_AFTER]), group=groups)
    def give_up(self, age: float, group: str) -> None:
        """The receiver refused a group for long."""
        before = self.now - age
        self.run(lambda one: self.repositories["one"].give_up(one, [group], before, self.now))
        self.model.give_up(group, before, self.now)

    @rule(number=numbers)
    def put_again(self, number: int) -> None:
        """Somebody has the past sent once more."""
        what = delivery(number)
        row = self.model.rows.get(what.id)
        put = partial(self.repositories["one"].put_again, delivery=what, now=self.now)
        again = self.run(put)
        if row is None or row.state in PENDING:
            assert again == self.model.put(what, self.now)
            return
        self.model.last_sequence += 1
        assert again
        assert State.WAITING in MOVES[row.state]
        row.move(State.WAITING, self.now, kept=True)
        row.created_at, row.attempts = self.now, 0

    @precondition(lambda self: any(row.state not in PENDING for row in self.model.rows.values()))
    @rule()
    def tidy(self) -> None:
        """Old rows go."""
        assert not self.run(lambda one: self.repositories["one"].tidy(one, self.now))
        self.model.tidy(self.now)

    @rule(number=numbers)
    def redeliver(self, number: int) -> None:
        """Somebody wants it sent again."""
        found = self.tell(intervention.redeliver, f"msg_{number}")
        assert found == self.model.redeliver(f"msg_{number}", self.now)

    @rule(number=numbers)
    def drop(self, number: int) -> None:
        """Somebody wants it never sent."""
        found = self.tell(intervention.drop, f"msg_{number}")
        assert found == self.model.drop(f"msg_{number}", self.now)

    def tell(self, function: Callable[..., Any], key: str) -> bool:
        """Do what a person asks for, if that is possible; ids are written in full."""
        if key not in self.model.rows:
            return False
        try:
            self.run(lambda one: function(one, key, self.now))
        except NotPossibleError:
            return False
        return True

    @rule(number=numbers, held=st.none() | claims, owner=owners)
    def crash(self, number: int, held: Held | None, owner: str) -> None:
        """The machine stops amid a transaction: what the disk has then is all there is."""

        def work_and_crash(connection: Connection) -> None:
            repository = self.repositories[owner]
            repository.put(connection, delivery(number), self.now)
            repository.claim(connection, self.now, LEASE, 2)
            if held is not None:
                repository.record(connection, held[1], Disposition(State.DELIVERED, ""), self.now)
            former = self.folder / f"{self.crashes}.sqlite"
            self.crashes += 1
            for suffix in ("", "-wal"):
                after = self.folder / f"{self.crashes}.sqlite{suffix}"
                shutil.copyfile(former.with_name(former.name + suffix), after)

        self.run(work_and_crash)
        self.database.close()
        self.database = open_database(self.url())

    @rule()
    def reopen(self) -> None:
        """A master restarts in good order."""
        self.database.close()
        self.database = open_database(self.url())

    @invariant()
    def is_as_the_model_says(self) -> None:
        """Every row is as the model has it."""
        found = {entry.id: entry for entry in self.run(inspection.entries)}
        assert found.keys() == self.model.rows.keys()
        for key, row in self.model.rows.items():
            entry = found[key]
            for name in SAME:
                assert getattr(entry, name) == getattr(row, name), f"{key}: {name}"
            assert (entry.size is not None) == row.kept
            assert row.kept or row.state not in PENDING

    @invariant()
    def is_accounted_for(self) -> None:
        """Produced = delivered + pending + dead + superseded."""
        stats = inspection.in_all(self.run(inspection.stats))
        assert stats.holds
        assert stats.produced == self.model.produced
        states = Counter(row.state for row in self.model.rows.values()) + self.model.tidied
        assert stats.states == {state: states[state] for state in State}

    def teardown(self) -> None:
        """Remove what was made."""
        self.database.close()
        shutil.rmtree(self.folder)


class MachineTests(SynchronousTestCase):
    """All of it."""

    @pytest.mark.timeout(900)  # a failure is made small first, which takes its time
    def test_outbox(self) -> None:
        """The outbox does what the model does."""
        quick = settings(
            max_examples=25,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        )
        run_state_machine_as_test(OutboxMachine, settings=quick)

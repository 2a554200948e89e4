"""Makes the reports of build requests, workers and builders: what an event says, and the rest.

An event is a hint that something changed; what is reported is the state. Must not know where it
goes, nor when everything is looked at anew.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from attrs import define, field
from buildbot.interfaces import IReportGenerator
from buildbot.worker.latent import AbstractLatentWorker
from sqlalchemy.exc import DBAPIError
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import Logger
from zope.interface import implementer

from buildbot_http_status_push.redaction import one_line
from buildbot_http_status_push.report import events
from buildbot_http_status_push.report.body import change_body
from buildbot_http_status_push.report.default_generator import DefaultGenerator
from buildbot_http_status_push.report.identity import Identity
from buildbot_http_status_push.report.states import (
    FOUND,
    Body,
    Origin,
    Reported,
    builder_event,
    builder_state,
    inventory_identity,
    request_event,
    request_identity,
    request_state,
    submission,
    worker_event,
    worker_state,
)

CAPACITY = 200
"""How many buildsets are remembered: a trigger asks for many builds by one."""

log = Logger()


@implementer(IReportGenerator)
@define(eq=False)
class StateGenerator(ABC):
    """What the three have in common."""

    kind: ClassVar[str]
    """The first part of the routing keys."""
    happenings: ClassVar[tuple[str, ...]]
    """The last parts of those of Buildbot's events that are heard."""

    wants: DefaultGenerator

    @property
    def wanted_event_keys(self) -> list[tuple[str, str | None, str]]:
        """The routing keys of the events, and of what is found without one."""
        return [(self.kind, None, each) for each in (*self.happenings, FOUND)]

    def check(self) -> None:  # noqa: B027 - not for subclasses: Buildbot calls it
        """Do what Buildbot asks of generators at checkconfig: there is nothing to find."""

    def generate_name(self) -> str:
        """Return a name for a reporter that has none."""
        return type(self).__name__

    def generate(
        self, master: Any, reporter: Any, key: tuple[str, str, str], message: Body
    ) -> Deferred[dict[str, Any] | None]:
        """Make the report of a state.

        Returns:
            A report as Buildbot's own generators make it, or None for "nothing new".
        """
        return ensureDeferred(self._generate_safely(master, reporter, key, message))

    async def _generate_safely(
        self, master: Any, reporter: Any, key: tuple[str, str, str], message: Body
    ) -> dict[str, Any] | None:
        event = events.current()
        try:
            return await self._generate(master, reporter, key[2], message)
        except DBAPIError as trouble:
            if event is not None:
                event.failed = True
            log.warn(
                "{kind} {number}: reading it from the master's database failed ({trouble}); "
                "trying again",
                kind=self.kind,
                number=key[1],
                trouble=one_line(str(trouble.orig)),
            )
            return None
        except Exception:  # such as of a broken connection; Buildbot logs it
            if event is not None:
                event.failed = True
            raise

    @abstractmethod
    async def _generate(
        self, master: Any, reporter: Any, happened: str, message: Body
    ) -> dict[str, Any] | None:
        """Make the report."""


def _origin(master: Any) -> Origin:
    return Origin(master.config.buildbotURL, master.config.title, master.reactor.seconds())


def _report(body: Body, identity: Identity) -> dict[str, Any]:
    return {
        "body": body,
        "identity": identity,
        "subject": None,
        "type": "json",
        "results": None,
        "builds": [],
        "buildset": None,
        "users": [],
        "patches": [],
        "logs": [],
        "extra_info": None,
    }


@define(eq=False)
class RequestGenerator(StateGenerator):
    """Reports build requests, as far as the filters let them through.

    A cancellation is what completes a request: Buildbot's event for it says nothing more.
    """

    kind = "buildrequests"
    happenings = ("new", "claimed", "unclaimed", "complete")

    _buildsets: OrderedDict[int, Body] = field(factory=OrderedDict, init=False)
    _asked: dict[int, list[Deferred[Body]]] = field(factory=dict, init=False)

    async def _generate(
        self, master: Any, reporter: Any, happened: str, message: Body
    ) -> dict[str, Any] | None:
        builder = await reporter.cache.get("builders", message["builderid"])
        if not has_builder(master, builder["name"]) or not has_named(self.wants, builder):
            return None
        submitted = await self._submitted(master, reporter, message["buildsetid"])
        if not self._lets_through(submitted):
            return None
        origin = _origin(master)
        more = {"builder": builder, **submitted["body"]}
        event = request_event(message, happened)
        body = origin.body("requests", event, request_state(message, more))
        return _report(body, request_identity(message, happened, builder["name"], origin.seconds))

    def _lets_through(self, submitted: Body) -> bool:
        stamps = submitted["body"]["buildset"]["sourcestamps"]
        branches, schedulers = self.wants.branches, self.wants.schedulers
        return (branches is None or any(each["branch"] in branches for each in stamps)) and (
            schedulers is None or submitted["scheduler"] in schedulers
        )

    async def _submitted(self, master: Any, reporter: Any, number: int) -> Body:
        """Return what is known of a buildset; many requests of one ask for it at once."""
        if number in self._buildsets:
            return self._buildsets[number]
        if number in self._asked:
            answer: Deferred[Body] = Deferred()
            self._asked[number].append(answer)
            return await answer
        self._asked[number] = []
        try:
            found = await self._ask(master, reporter, number)
        except Exception as trouble:
            for waiting in self._asked.pop(number):
                waiting.errback(trouble)
            raise
        self._buildsets[number] = found
        if len(self._buildsets) > CAPACITY:
            self._buildsets.popitem(last=False)
        for waiting in self._asked.pop(number):
            waiting.callback(found)
        return found

    async def _ask(self, master: Any, reporter: Any, number: int) -> Body:
        buildset = submission(await reporter.cache.get("buildsets", number))
        body: Body = {"buildset": buildset}
        if self.wants.want_changes or self.wants.detail is not None:
            keys = (("sourcestamps", each["ssid"], "changes") for each in buildset["sourcestamps"])
            found = [await master.data.get(key) for key in keys]
            body["changes"] = [change_body(each) for some in found for each in some]
        scheduler = None
        if self.wants.schedulers is not None:
            properties = await master.data.get(("buildsets", number, "properties"))
            scheduler = properties.get("scheduler", (None,))[0]
        return {"body": body, "scheduler": scheduler}


def has_builder(master: Any, name: str) -> bool:
    """Return whether a builder's requests are a master's to report: of several, its builders'."""
    config = master.config
    return not config.multiMaster or any(each.name == name for each in config.builders)


def has_named(wants: DefaultGenerator, builder: Mapping[str, Any]) -> bool:
    """Return whether the filters let a builder through."""
    return (wants.builders is None or builder["name"] in wants.builders) and (
        wants.tags is None or not set(wants.tags).isdisjoint(builder["tags"])
    )


@define(eq=False)
class WorkerGenerator(StateGenerator):
    """Reports workers, unless nothing has changed."""

    kind = "workers"
    happenings = ("connected", "disconnected", "missing", "state_updated")

    reported: Reported

    async def _generate(
        self, master: Any, reporter: Any, happened: str, message: Body
    ) -> dict[str, Any] | None:
        origin, number = _origin(master), message["workerid"]
        now = await self._state(master, reporter, message)
        before = self.reported.get(number)
        if now["latent"] is None and not now["removed"]:
            return None  # another master's
        if now["removed"] and before is None and happened != FOUND:
            return None
        state = worker_state(before, now, happened, origin.seconds)
        if state == before:
            return None
        self.reported.keep(number, state)
        event = worker_event(before, state)
        identity = inventory_identity("worker", event, number, state, origin.seconds)
        return _report(origin.body("workers", event, state), identity)

    async def _state(self, master: Any, reporter: Any, message: Body) -> Body:
        name = message["name"]
        [mine] = [each for each in master.config.workers if each.name == name] or [None]
        running = master.workers.workers.get(name)
        others = [each for each in message["connected_to"] if each["masterid"] != master.masterid]
        # A master that was killed has left its own entry in the database.
        connected = running is not None and running.conn is not None
        connected_to = [{"masterid": master.masterid}] if connected else []
        builders = {
            each: (await reporter.cache.get("builders", each))["name"]
            for each in _elsewhere(master, message)
        }
        for each in master.config.builders if mine else ():
            if name in each.workernames and each.name in master.botmaster.builders:
                builders[await master.botmaster.builders[each.name].getBuilderId()] = each.name
        return {
            "workerid": message["workerid"],
            "name": name,
            "connected": bool(connected_to or others),
            "connected_to": connected_to + others,
            "paused": bool(message["paused"]),
            "pause_reason": message.get("pause_reason"),
            "graceful": bool(message["graceful"]),
            "latent": None if mine is None else isinstance(mine, AbstractLatentWorker),
            "removed": mine is None and not builders,
            "builders": [{"builderid": each, "name": builders[each]} for each in sorted(builders)],
        }


def _elsewhere(master: Any, message: Body) -> Iterator[int]:
    """Yield the builders that other masters have a worker for."""
    others = (each for each in message["configured_on"] if each["masterid"] != master.masterid)
    yield from {each["builderid"] for each in others}


@define(eq=False)
class BuilderGenerator(StateGenerator):
    """Reports builders that are found, unless nothing has changed."""

    kind = "builders"
    happenings = ()

    reported: Reported

    async def _generate(
        self, master: Any, reporter: Any, happened: str, message: Body
    ) -> dict[str, Any] | None:
        del happened
        number, name = message["builderid"], message["name"]
        is_mine = any(each.name == name for each in master.config.builders)
        project = None
        if message["projectid"] is not None:
            project = (await master.data.get(("projects", message["projectid"])))["name"]
        removed = not is_mine and not message["masterids"]
        state = builder_state(message, project, removed=removed)
        if state == self.reported.get(number) or not has_named(self.wants, message):
            return None
        self.reported.keep(number, state)
        origin, event = _origin(master), builder_event(state)
        identity = inventory_identity("builder", event, number, state, origin.seconds)
        return _report(origin.body("builders", event, state), identity)


def companions(
    wants: DefaultGenerator, workers: Reported, builders: Reported
) -> list[StateGenerator]:
    """Return the generators of what the options ask for beside builds."""
    # Where a function shapes builds, the receiver is none that knows other bodies.
    by_detail = wants.detail == "board" and wants.format_fn is None
    asked = (
        (wants.want_requests, lambda: RequestGenerator(wants)),
        (wants.want_workers, lambda: WorkerGenerator(wants, workers)),
        (wants.want_builders, lambda: BuilderGenerator(wants, builders)),
    )
    return [make() for wanted, make in asked if (by_detail if wanted is None else wanted)]

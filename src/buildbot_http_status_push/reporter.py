"""The reporter: Buildbot's life cycle, and the parts put together.

Must know neither HTTP nor SQL.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Generator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from buildbot.config import error as config_error
from buildbot.reporters.base import ReporterBase
from buildbot.warnings import DeprecatedApiWarning
from twisted.internet.defer import Deferred, ensureDeferred, inlineCallbacks, succeed
from twisted.logger import Logger
from twisted.python.reflect import accumulateClassList

from buildbot_http_status_push.configuration import options, placement, runtime_checks
from buildbot_http_status_push.configuration.arguments import (
    by_name,
    generators_faults,
    is_same,
    renderable_faults,
    well_named,
)
from buildbot_http_status_push.configuration.built_in import BuiltInAttributes
from buildbot_http_status_push.configuration.options import Options
from buildbot_http_status_push.configuration.rendering import (
    Renderer,
    is_renderable,
    render_as_buildbot,
)
from buildbot_http_status_push.configuration.session import Session
from buildbot_http_status_push.delivery.service import DeliveryService, Placement
from buildbot_http_status_push.outbox.outbox import Outbox
from buildbot_http_status_push.report import default_generator, events, state_generators, users
from buildbot_http_status_push.report.backfill import Backfiller
from buildbot_http_status_push.report.build_ownership import BuildOwnership
from buildbot_http_status_push.report.cache import DataCache
from buildbot_http_status_push.report.catchup import Catchup
from buildbot_http_status_push.report.events import Event
from buildbot_http_status_push.report.intake import Intake
from buildbot_http_status_push.report.properties_gate import PropertiesGate
from buildbot_http_status_push.report.state_catchup import StateCatchup
from buildbot_http_status_push.report.states import Reported
from buildbot_http_status_push.time_slices import CooperativeScheduler
from buildbot_http_status_push.wire.target import RenderingError, resolve
from buildbot_http_status_push.wire.urls import URLError


class HttpStatusPush(BuiltInAttributes, ReporterBase):  # type: ignore[misc]  # Buildbot has no types
    """POSTs each new and each finished build as JSON to a URL, and loses no build's end.

    Args:
        serverUrl: Where to POST: an http or https URL, or a renderable that yields one.
        auth: A pair (user, password), a requests-style authentication object, or a renderable
            that yields one of these.
        headers: A dict of further request headers, renderables at any depth.
        generators: The report generators to use instead of the default one; of each event the
            first report is sent.
        debug: Whether every request and response is logged, secrets masked.
        verify: Whether to check the receiver's certificate, or the path of a CA bundle.
        **others: The further options, as in the documentation.
    """

    name: str | None = "HttpStatusPush"
    configured: bool
    secrets: ClassVar[Sequence[str]] = [
        *("serverUrl", "auth", "headers", "outbox", "signing_secret", "proxy"),
    ]
    """Options that may hold secrets. Ours are rendered anew for every attempt; those that a
    subclass adds are rendered at each (re)configuration, as Buildbot does it."""

    log = Logger()
    _config_args: Any
    _config_kwargs: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._delivery: DeliveryService | None = None
        self._intake: Intake | None = None
        self._catchup: Catchup | None = None
        self._backfiller: Backfiller | None = None
        self._states: StateCatchup | None = None
        self._reported = (Reported(), Reported())
        self._ownership: BuildOwnership | None = None
        self._generator_options: dict[str, Any] = {}
        self._has_generators = False
        self._states_wanted: object = None
        self._users_are_seen = True
        self._state_kinds: set[str] = set()
        self.cache: DataCache | None = None
        self.properties_gate: PropertiesGate | None = None
        super().__init__(*args, **well_named(kwargs))

    def checkConfig(
        self,
        serverUrl: object = None,
        auth: object = None,
        headers: object = None,
        generators: object = None,
        debug: object = None,
        verify: object = None,
        **others: object,
    ) -> None:
        """Report every fault of the options through Buildbot's configuration errors."""
        given = by_name((serverUrl, auth, headers, generators, debug, verify), others)
        names = (
            *default_generator.GENERATOR_OPTIONS,
            *default_generator.OLD_SPELLINGS,
            "generators",
            "name",
        )
        for old in default_generator.deprecations(given):
            warnings.warn(f"{self.name}: {old}", DeprecatedApiWarning, stacklevel=2)
        of_generators = generators_faults(generators)
        of_renderables = renderable_faults(given, HttpStatusPush.secrets)
        found = (*options.faults(given, names, is_renderable), *default_generator.faults(given))
        of_machine = (
            *runtime_checks.file_faults(given),
            *runtime_checks.metrics_faults(given.get("metrics")),
        )
        for fault in (*found, *of_renderables, *of_machine, *of_generators):
            config_error(f"{self.name}: {fault}")
        if isinstance(generators, list) and not of_generators:
            super().checkConfig(generators=generators)

    @inlineCallbacks
    def reconfigServiceWithSibling(self, sibling: Any) -> Generator[Any, Any, None]:
        """Take over what another instance of this class was configured with.

        Args:
            sibling: That instance; this one itself when it is configured first.
        """
        args, kwargs = sibling._config_args, sibling._config_kwargs
        if self.configured and is_same((self._config_args, self._config_kwargs), (args, kwargs)):
            runtime_checks.log_unmatched(self, self.log)  # builders may have got other names
            if self._states is not None:
                self._states.configured()
            return
        if self._delivery is None:
            yield ensureDeferred(self._set_up())
        self.configured = True
        added = _secrets_of_subclass(type(self)).intersection(kwargs)
        rendering = render_as_buildbot(self.master, {name: kwargs[name] for name in added})
        secrets = yield ensureDeferred(rendering)
        for name, value in secrets.items():
            setattr(self, name, value)
        yield self.reconfigService(*args, **{**kwargs, **secrets})
        self._config_args, self._config_kwargs = args, kwargs

    async def _set_up(self) -> None:
        name = str(self.name)
        self._delivery = DeliveryService(
            self.master.reactor, name, self._replace_catchup, self._outbox_lost, self.log
        )
        self._intake = Intake(self.master.reactor, name, self._delivery.put, self.log)
        self.cache = DataCache(self.master)
        await self.cache.listen()
        self.properties_gate = PropertiesGate(self.master)
        await self.properties_gate.listen()

    @inlineCallbacks
    def reconfigService(
        self,
        serverUrl: object = None,
        auth: object = None,
        headers: object = None,
        generators: list[Any] | None = None,
        debug: object = None,
        verify: object = None,
        **others: Any,
    ) -> Generator[Any, Any, None]:
        """Take over options, without losing what is under way.

        Args:
            serverUrl: See the class, like all that follow.
            auth: See the class.
            headers: See the class.
            generators: See the class.
            debug: See the class.
            verify: See the class.
            **others: See the class.
        """
        values = (serverUrl, auth, headers, None, debug, verify)
        given = default_generator.renamed(by_name(values, others))
        shaping = default_generator.GENERATOR_OPTIONS
        self._generator_options = {name: given.pop(name) for name in shaping if name in given}
        given.pop("generators", None)
        self._has_generators = False  # those of these options come below
        wanted, before = (serverUrl, generators, self._generator_options), self._states_wanted
        yield ensureDeferred(self._configure_delivery(options.read(given)))
        if generators is None:
            generators = self._create_default_generators()
        self._users_are_seen = self.delivers_for_itself or users.are_seen(generators)
        beside = state_generators.StateGenerator
        self._state_kinds = {each.kind for each in generators if isinstance(each, beside)}
        yield super().reconfigService(generators=generators)
        self._has_generators = True
        target = self._parts()[0].target()
        self.keep_attributes(given, target)
        runtime_checks.log_unmatched(self, self.log)
        runtime_checks.log_unrendered(self, self.log, target)
        yield ensureDeferred(self._start_scans())
        self._states_wanted = wanted
        if before not in (None, wanted):
            self._report_states_again()  # another receiver, or other filters: it knows none

    async def _start_scans(self) -> None:
        if self._catchup is not None:
            await self._catchup.settle_unfinished_requests()
            self._catchup.start()
        if self._backfiller is not None:
            self._backfiller.start()
        if self._states is not None:
            await self._states.start(self._state_kinds)

    async def _configure_delivery(self, given: Options) -> None:
        delivery = self._parts()[0]
        await delivery.configure(
            given.sender_settings,
            Renderer(self.master, given, str(self.name), self.log),
            partial(placement.place, self.master, given.outbox),
            placement.in_memory(self.master),
        )
        self._http = Session(delivery.requester, given.timeout)

    def _create_default_generators(self) -> list[Any]:
        wants = default_generator.DefaultGenerator(**self._generator_options)
        return [wants, *state_generators.companions(wants, *self._reported)]

    async def _replace_catchup(self, outbox: Outbox, place: Placement) -> None:
        self._ownership = BuildOwnership(self.master, for_all_masters=place.is_shared_by_all)
        if self._catchup is not None:
            await self._catchup.stop()
        if self._backfiller is not None:
            await self._backfiller.stop()
        if self._states is not None:
            await self._states.stop()
        self._forget_reported()
        if self.delivers_for_itself:
            return  # no row has what such a subclass has sent
        self._catchup = Catchup(
            self.master,
            str(self.name),
            outbox,
            self._handle,
            self._wants,
            self._ownership,
            self.log,
        )
        self._catchup.on_found = self._parts()[0].found
        self._backfiller = Backfiller(self.master, outbox, self._handle, self._ownership, self.log)
        self._states = StateCatchup(self.master, str(self.name), outbox, self._handle, self.log)
        await self._catchup.prepare()
        if self._has_generators:  # an outbox that came later than its options
            await self._start_scans()

    def _outbox_lost(self) -> None:
        if self._catchup is not None:
            self._catchup.outbox_lost()
        self._report_states_again()

    def _report_states_again(self) -> None:
        self._forget_reported()
        if self._states is not None:
            self._states.all_again()

    def _forget_reported(self) -> None:
        for each in self._reported:
            each.forget()

    @inlineCallbacks
    def stopService(self) -> Generator[Any, Any, None]:
        """Stop listening, and give what is under way a few seconds."""
        for part in (self._catchup, self._backfiller, self._states, self.properties_gate):
            if part is not None:
                yield ensureDeferred(part.stop())
        yield super().stopService()
        if self.cache is not None:
            yield ensureDeferred(self.cache.stop())
        if self._delivery is not None:
            yield ensureDeferred(self._delivery.stop())

    @property
    def delivers_for_itself(self) -> bool:
        """Whether a subclass has taken over ``sendMessage``."""
        return type(self).sendMessage is not HttpStatusPush.sendMessage

    def getResponsibleUsersForBuild(self, master: Any, buildid: int) -> Any:
        """Look up who is responsible for a build, unless nobody would see it."""
        if not self._users_are_seen:
            return succeed([])
        return super().getResponsibleUsersForBuild(master, buildid)

    async def known_secrets(self) -> frozenset[str] | None:
        """Return every secret that the options were rendered to, None where they can't be now."""
        try:
            return resolve(await self._parts()[0].target()).secrets
        except (RenderingError, URLError):
            return None

    def _wants(self, key: tuple[str, ...]) -> bool:
        return any(self._does_generator_want_key(each, key) for each in self.generators)

    def _got_event(self, key: tuple[str, ...], msg: Any) -> Deferred[Any]:
        event = Event(key, _copy(msg))
        mine = self._ownership
        if event.kind == "builds" and mine is not None and not mine.includes(event.message):
            return succeed(None)  # another master's, which announces it
        if self._states is not None and event.kind in self._state_kinds:
            self._states.handled(event.kind, event.path[-1])
        return self._handle(event)

    def _handle(self, event: Event) -> Deferred[Event]:
        """Put an event through the generators into the outbox, after earlier ones of its lane."""
        with events.handling(event):
            handled: Deferred[Any] = super()._got_event(event.key, event.message)
        return handled.addCallback(lambda _: self._handled(event))

    def _handled(self, event: Event) -> Event:
        if event.failed and event.kind == "builds" and self._catchup is not None:
            self._catchup.soon()
        elif event.failed and self._states is not None:
            self._states.again(event.kind, event.path[-1])
        return event

    def _get_chain_key_for_event(self, key: tuple[str, ...], msg: Any) -> Any:
        """Return what Buildbot keeps the order of events by; of a worker it knows none."""
        if len(key) == len(("workers", "id", "event")) and key[0] in ("workers", "builders"):
            return key[:2]
        return super()._get_chain_key_for_event(key, msg)

    def sendMessage(self, reports: Sequence[Mapping[str, Any]]) -> Deferred[Any]:
        """Keep the first report until it is delivered.

        Args:
            reports: The reports of one event, as their generators made them.

        Returns:
            Fires when the report is kept; it never waits for the network.
        """
        return ensureDeferred(self._parts()[1].keep(events.current(), reports[0]))

    @property
    def scheduler(self) -> CooperativeScheduler:
        """Runs long work without holding up the master."""
        return self._parts()[1].scheduler

    def _parts(self) -> tuple[DeliveryService, Intake]:
        if self._delivery is None or self._intake is None:
            raise RuntimeError(f"{self.name} is used before Buildbot has configured it")
        return self._delivery, self._intake


def _copy(message: Any) -> Any:
    """Copy an event's content: the queue passes one object on, and generators edit it in place."""
    try:
        return copy.deepcopy(message)
    except Exception:  # of an object that can't be copied; Buildbot itself produces none
        return message


def _secrets_of_subclass(reporter: type[HttpStatusPush]) -> set[str]:
    """Return the names of the options that a subclass adds to ``secrets``."""
    names: list[str] = []
    accumulateClassList(reporter, "secrets", names)
    return set(names).difference(HttpStatusPush.secrets)

"""The reporter: Buildbot's life cycle, and the parts put together.

Must know neither HTTP nor SQL.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Generator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from buildbot.config import error as config_error
from buildbot.process.properties import Properties
from buildbot.reporters.base import ReporterBase
from buildbot.warnings import DeprecatedApiWarning
from twisted.internet.defer import Deferred, ensureDeferred, inlineCallbacks, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.reflect import accumulateClassList

from buildbot_http_status_push.configuration import local_checks, options
from buildbot_http_status_push.configuration.arguments import by_name, generators_faults
from buildbot_http_status_push.configuration.options import Options
from buildbot_http_status_push.configuration.rendering import Renderer, is_renderable, render
from buildbot_http_status_push.database import file_url, resolve
from buildbot_http_status_push.delivery.pipeline import Pipeline, Sender
from buildbot_http_status_push.outbox.ledger import Ledger
from buildbot_http_status_push.report import events, payload, users
from buildbot_http_status_push.report.cache import DataCache
from buildbot_http_status_push.report.catchup import Catchup
from buildbot_http_status_push.report.encoding import EncodingError, encode
from buildbot_http_status_push.report.events import Event
from buildbot_http_status_push.report.identity import make_delivery
from buildbot_http_status_push.report.time_slices import CooperativeScheduler
from buildbot_http_status_push.wire.session import Session
from buildbot_http_status_push.wire.target import RenderingError

OUTBOX_FILE = "http_status_push.sqlite"
OUTBOX_RETRY = 30.0


class HttpStatusPush(ReporterBase):  # type: ignore[misc]  # Buildbot has no types
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
        **others: The further options, as the documentation tells them.
    """

    name: str | None = "HttpStatusPush"
    configured: bool
    secrets: ClassVar[Sequence[str]] = ["serverUrl", "auth", "headers", "outbox", "signing_secret"]
    """Options that may hold secrets. Ours are rendered anew for every attempt; those that a
    subclass adds are rendered at each (re)configuration, as Buildbot does it."""

    log = Logger()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._pipeline: Pipeline | None = None
        self._catchup: Catchup | None = None
        self._sender: Sender | None = None
        self._outbox_url: str | None = None
        self._outbox_retry: IDelayedCall | None = None
        self._shape: dict[str, Any] = {}
        self._users_are_seen = True
        self.cache: DataCache | None = None
        super().__init__(*args, **kwargs)

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
        """Tell every fault of the options through Buildbot's configuration errors."""
        given = by_name((serverUrl, auth, headers, generators, debug, verify), others)
        names = (*payload.GENERATOR_OPTIONS, *payload.OLD_SPELLINGS, "generators", "name")
        for old in payload.deprecations(given):
            warnings.warn(f"{self.name}: {old}", DeprecatedApiWarning, stacklevel=2)
        found = (*options.faults(given, names, is_renderable), *payload.faults(given))
        for fault in (*found, *local_checks.file_faults(given)):
            config_error(f"{self.name}: {fault}")
        faults = generators_faults(generators)
        for fault in faults:
            config_error(f"{self.name}: {fault}")
        if isinstance(generators, list) and not faults:
            super().checkConfig(generators=generators)

    @inlineCallbacks
    def reconfigServiceWithSibling(self, sibling: Any) -> Generator[Any, Any, None]:
        """Take over what another instance of this class was configured with.

        Args:
            sibling: That instance; this one itself when it is configured first.
        """
        if self.configured and self._configured_like(sibling):
            return
        if self.cache is None:
            self.cache = DataCache(self.master)
            yield ensureDeferred(self.cache.listen())
        self.configured = True
        kwargs = yield self._render_secrets_of_subclass(sibling._config_kwargs)
        yield self.reconfigService(*sibling._config_args, **kwargs)
        self._config_args, self._config_kwargs = sibling._config_args, sibling._config_kwargs

    def _configured_like(self, sibling: Any) -> bool:
        # Generators compare as equal where only their functions differ: with generators of a
        # user's own, nothing is known to be the same.
        return (
            "generators" not in by_name(sibling._config_args, sibling._config_kwargs)
            and self._config_args == sibling._config_args
            and self._config_kwargs == sibling._config_kwargs
        )

    @inlineCallbacks
    def _render_secrets_of_subclass(
        self, given: Mapping[str, Any]
    ) -> Generator[Any, Any, dict[str, Any]]:
        names: list[str] = []
        accumulateClassList(type(self), "secrets", names)
        kwargs = dict(given)
        properties = Properties()
        properties.master = self.master
        for name in set(names).difference(HttpStatusPush.secrets).intersection(kwargs):
            kwargs[name] = yield properties.render(kwargs[name])
            setattr(self, name, kwargs[name])
        return kwargs

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
        given = payload.renamed(by_name(values, others))
        self._shape = {name: given.pop(name) for name in payload.GENERATOR_OPTIONS if name in given}
        given.pop("generators", None)
        yield ensureDeferred(self._configure(options.read(given)))
        if generators is None:
            generators = self._create_default_generators()
        self._users_are_seen = self.delivers_for_itself or users.are_seen(generators)
        yield super().reconfigService(generators=generators)
        local_checks.tell_at_start(self, self.log, self._current_sender().render())
        if self._catchup is not None:
            yield ensureDeferred(self._catchup.settle_unfinished_requests())
            self._catchup.start()

    def _create_default_generators(self) -> list[Any]:
        return [payload.DefaultGenerator(**self._shape)]

    async def _configure(self, wanted: Options) -> None:
        renderer = Renderer(self.master, wanted, str(self.name), self.log)
        self._sender = Sender(self.master.reactor, wanted, renderer, self.log)
        if wanted.verify is False:
            self.log.warn("{name}: verify=False: certificates are not checked", name=self.name)
        await self._use_outbox(wanted, told=False)

    async def _use_outbox(self, wanted: Options, *, told: bool) -> None:
        """Send through the outbox that is wanted, or through memory until it can be named."""
        if self._outbox_retry is not None and self._outbox_retry.active():
            self._outbox_retry.cancel()
        try:
            url = await self._find_outbox(wanted.outbox)
        except RenderingError as trouble:
            url = None
            self._try_outbox_later(wanted, trouble, told=told)
        if self._pipeline is not None and url == self._outbox_url:
            await self._pipeline.use(self._current_sender())
        else:
            await self._replace_pipeline(url, self._current_sender())

    def _try_outbox_later(self, wanted: Options, trouble: Exception, *, told: bool) -> None:
        if not told:
            self.log.error(
                "{name}: outbox: {trouble}. Statuses are kept in memory until it can be used",
                name=self.name,
                trouble=trouble,
            )
        self._outbox_retry = self.master.reactor.callLater(
            OUTBOX_RETRY, lambda: ensureDeferred(self._use_outbox(wanted, told=True))
        )

    async def _find_outbox(self, outbox: object) -> str | None:
        """Return the outbox's URL, None for memory.

        Raises:
            RenderingError: The URL can't be had now.
        """
        if outbox is False:
            return None
        basedir = Path(self.master.basedir)
        if outbox is None:
            return file_url(basedir / OUTBOX_FILE)
        rendered, _ = await render(self.master, outbox)
        return resolve(str(rendered), basedir)

    async def _replace_pipeline(self, url: str | None, sender: Sender) -> None:
        former = self._pipeline
        ledger = Ledger(str(self.name), str(self.master.name))
        self._outbox_url = url
        self._pipeline = Pipeline(
            self.master.reactor, url, ledger, sender, self._outbox_lost, self.log
        )
        if former is not None:
            await former.stop()
        self._pipeline.start()
        await self._replace_catchup(self._pipeline)

    async def _replace_catchup(self, pipeline: Pipeline) -> None:
        if self._catchup is not None:
            await self._catchup.stop()
        if self.delivers_for_itself:
            return  # no row tells what such a subclass has sent
        self._catchup = Catchup(
            self.master, str(self.name), pipeline.outbox, self._handle, self._wants, self.log
        )
        await self._catchup.prepare()

    def _outbox_lost(self) -> None:
        if self._catchup is not None:
            self._catchup.outbox_lost()

    @inlineCallbacks
    def stopService(self) -> Generator[Any, Any, None]:
        """Stop listening, and give what is under way a few seconds."""
        if self._catchup is not None:
            yield ensureDeferred(self._catchup.stop())
        if self._outbox_retry is not None and self._outbox_retry.active():
            self._outbox_retry.cancel()
        yield super().stopService()
        if self.cache is not None:
            yield ensureDeferred(self.cache.stop())
        if self._pipeline is not None:
            yield ensureDeferred(self._pipeline.stop())

    @property
    def delivers_for_itself(self) -> bool:
        """Whether a subclass has taken over ``sendMessage``."""
        return type(self).sendMessage is not HttpStatusPush.sendMessage

    def getResponsibleUsersForBuild(self, master: Any, buildid: int) -> Any:
        """Look up who is responsible for a build, unless nobody would see it."""
        if not self._users_are_seen:
            return succeed([])
        return super().getResponsibleUsersForBuild(master, buildid)

    @property
    def _http(self) -> Session:
        """What subclasses post with that deliver for themselves."""
        return self._current_sender().session

    def _current_sender(self) -> Sender:
        if self._sender is None:
            raise RuntimeError(f"{self.name} is used before Buildbot has configured it")
        return self._sender

    def _wants(self, key: tuple[str, ...]) -> bool:
        return any(self._does_generator_want_key(each, key) for each in self.generators)

    def _got_event(self, key: tuple[str, ...], msg: dict[str, Any]) -> Deferred[Any]:
        # The queue hands the same dict to every reporter, and generators edit it in place.
        return self._handle(Event(key, copy.deepcopy(msg)))

    def _handle(self, event: Event) -> Deferred[Event]:
        """Put an event through the generators into the outbox, after earlier ones of its lane."""
        with events.handling(event):
            handled: Deferred[Any] = super()._got_event(event.key, event.message)
        return handled.addCallback(lambda _: self._handled(event))

    def _handled(self, event: Event) -> Event:
        if event.failed and self._catchup is not None:
            self._catchup.soon()
        return event

    def sendMessage(self, reports: Sequence[Mapping[str, Any]]) -> Deferred[Any]:
        """Keep the first report until it is delivered.

        Args:
            reports: The reports of one event, as their generators made them.

        Returns:
            Fires when the report is kept; it never waits for the network.
        """
        return ensureDeferred(self._keep(events.current(), reports[0]))

    async def _keep(self, event: Event | None, report: Mapping[str, Any]) -> None:
        try:
            encoded = await encode(report, self.scheduler.run)
        except EncodingError as trouble:
            self._refuse(event, report, trouble)
            return
        if encoded is None or self._pipeline is None:
            _settle(event)
            return
        now = self.master.reactor.seconds()
        delivery = make_delivery(str(self.name), event, report, encoded, now)
        if event is not None:
            event.sent += 1
        await self._pipeline.put(delivery)

    @cached_property
    def scheduler(self) -> CooperativeScheduler:
        """Runs long work without holding up the master."""
        return CooperativeScheduler(self.master.reactor)

    def _refuse(self, event: Event | None, report: Mapping[str, Any], trouble: Exception) -> None:
        _settle(event)
        builds = report.get("builds") or [{}]
        self.log.error(
            "{name}: {title} is not sent, its body can't be encoded: {trouble}",
            name=self.name,
            title=payload.title(builds[0]),
            trouble=trouble,
        )


def _settle(event: Event | None) -> None:
    if event is not None:
        event.settled = True

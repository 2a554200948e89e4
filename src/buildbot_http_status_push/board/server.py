"""Puts the board together: store, intake, pages and live changes, on one port."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from attrs import define, field, frozen
from autobahn.websocket.protocol import PreparedMessage
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger, globalLogPublisher

from buildbot_http_status_push.board.failures.known_files import KnownFiles
from buildbot_http_status_push.board.follower import IncidentFollower
from buildbot_http_status_push.board.http.access import Access
from buildbot_http_status_push.board.http.acts import Acting
from buildbot_http_status_push.board.http.connections import AcceptErrors, BoardSite, Outgoing
from buildbot_http_status_push.board.http.documents import Document, Route, RouteRequest, sentence
from buildbot_http_status_push.board.http.intake import Intake
from buildbot_http_status_push.board.http.web import Answers
from buildbot_http_status_push.board.live.browsers import Browsers
from buildbot_http_status_push.board.live.fragments import FragmentRenderer
from buildbot_http_status_push.board.live.hub import Hub
from buildbot_http_status_push.board.live.websocket import LiveFactory, LiveResource
from buildbot_http_status_push.board.pages.pages import Pages
from buildbot_http_status_push.board.pages.static_files import StaticFiles, robots
from buildbot_http_status_push.board.programs.api_routes import ApiRoutes
from buildbot_http_status_push.board.store.listening import Listener
from buildbot_http_status_push.board.store.store import Store
from buildbot_http_status_push.board.toml_files import RuleFile
from buildbot_http_status_push.board.verdicts.rules import Rule, rules_of
from buildbot_http_status_push.database import StorageError
from buildbot_http_status_push.time_slices import CooperativeScheduler

if TYPE_CHECKING:
    from buildbot_http_status_push.board.notify.notifier import Notifier
    from buildbot_http_status_push.board.programs.metrics import Metrics

NO_METRICS = "/metrics needs prometheus_client: pip install 'buildbot-http-status-push[metrics]'"
MAX_BODY = 16 * 1024 * 1024
MAX_BROWSERS = 10_000
KNOWN_EVERY = 5.0
"""Seconds between two looks for changed files of known failures and of rules."""
PRUNE_EVERY = 3600.0
"""Seconds between two looks for what is older than wanted."""


@frozen(kw_only=True)
class Settings:
    """What a board is asked to be.

    Args:
        database: A SQLAlchemy URL of a SQLite file or a PostgreSQL database.
        host: The address to listen on.
        port: The port; 0 for any free one.
        access: What is asked of senders and readers.
        names: The names of masters by their URL, with a slash at the end.
        branch: The branch that builders are shown by, None for the one that most builds are of.
        keep: For how many seconds builds are kept, None for ever.
        max_body: The most bytes that a status may have.
        max_browsers: How many browsers may watch at once.
        hosts: Other names than loopback ones and ``host`` that an open board may be called by.
        origins: Other sites whose pages may watch, such as ``https://wall.example.org``.
        known: The directory of known failures, None for none.
        public_url: The address that readers open, with a slash at the end: links in feeds and
            messages begin with it. None for the one that each reader's request names.
        verdicts: The file of rules for verdicts, None for none.
        notify: The file of rules of who is notified, None for none; it needs ``public_url``.
    """

    database: str
    host: str = "127.0.0.1"
    port: int = 0
    access: Access = field(factory=Access)
    names: Mapping[str, str] = field(factory=dict)
    branch: str | None = None
    keep: float | None = None
    max_body: int = MAX_BODY
    max_browsers: int = MAX_BROWSERS
    origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    known: Path | None = None
    public_url: str | None = None
    verdicts: Path | None = None
    notify: Path | None = None

    @property
    def root(self) -> str:
        """The path of the public address, with a slash at the end."""
        return urlsplit(self.public_url or "/").path

    @property
    def all_hosts(self) -> tuple[str, ...]:
        """The names that an open board may be called by, beside loopback ones."""
        public = urlsplit(self.public_url or "").hostname
        return (self.host, *self.hosts, *filter(None, [public]))

    @property
    def all_origins(self) -> tuple[str, ...]:
        """The sites whose pages may watch, beside the one that a request names as its host."""
        parts = urlsplit(self.public_url or "")
        return (*self.origins, f"{parts.scheme}://{parts.netloc}") if parts.netloc else self.origins


@define(eq=False)
class Board:
    """A status front end, listening."""

    _reactor: Any
    _settings: Settings
    _in_thread: Callable[..., Deferred[Any]]
    _log: Logger = field(factory=Logger)
    store: Store = field(init=False)
    hub: Hub[PreparedMessage] = field(init=False)
    follower: IncidentFollower = field(init=False)
    _site: BoardSite = field(init=False)
    _accept_errors: AcceptErrors = field(init=False)
    _port: Any = field(default=None, init=False)
    _known: KnownFiles | None = field(default=None, init=False)
    _rules: RuleFile[tuple[Rule, ...]] | None = field(default=None, init=False)
    _notifier: Notifier | None = field(default=None, init=False)
    _watching: LoopingCall | None = field(default=None, init=False)
    _pruning: LoopingCall | None = field(default=None, init=False)
    _listener: Listener = field(init=False)
    _listening: Deferred[None] | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        settings, seconds = self._settings, self._reactor.seconds
        self.store = Store(
            self._reactor,
            self._in_thread,
            settings.database,
            settings.names,
            self._log,
            settings.branch,
            is_open=not settings.access.readers,
        )
        self._listener = Listener(settings.database, self._heard)
        self.follower = IncidentFollower(self._reactor, self.store, self._log)
        live = LiveFactory(self._reactor, settings.max_browsers, settings.all_origins, self._log)
        renderer = FragmentRenderer(self.store, seconds, settings.root)
        self.hub = live.hub = Hub(self._reactor, self.store, renderer, live.prepare, self._log)
        run = CooperativeScheduler(self._reactor).run
        intake = Intake(self.store, settings.access, settings.max_body, seconds, self._log)
        metrics = _open_metrics(self.store, self.hub.browsers)
        if metrics is not None:
            self.hub.observe_lag = metrics.observe_lag
        if settings.known is not None:
            self._known = KnownFiles(settings.known, self._log)
        if settings.verdicts is not None:
            self._rules = RuleFile(settings.verdicts, rules_of, (), "--verdicts", self._log)
        pages = Pages(
            self.store, seconds, run, self._known, settings.root, self._rules, self._kept_back
        )
        files = StaticFiles()
        routes: tuple[tuple[str, Route], ...] = (
            (r"/static/[^/]+", files.file),
            (r"/favicon\.(?:svg|ico)", files.icon),
            (r"/robots\.txt", robots),
            *ApiRoutes(self.store, seconds, run, self._rules).routes,
            (r"/metrics", _unmeasured if metrics is None else metrics.document),
            (r"(?s:.*)", pages.page),
        )
        outgoing = Outgoing(self._reactor)
        self._accept_errors = AcceptErrors(seconds, self._log)
        acting = Acting(
            self.store,
            settings.access,
            seconds,
            settings.all_origins,
            settings.root,
            self._log,
        )
        answers = Answers(
            LiveResource(live, outgoing.send),
            intake,
            routes,
            settings.access,
            outgoing,
            settings.all_hosts,
            acting,
            settings.public_url,
            self._log,
        )
        if metrics is not None:
            answers.on_status = metrics.answered
        self._site = BoardSite(
            answers,
            settings.max_body,
            answers,
            outgoing,
            self._accept_errors,
            self._reactor,
            settings.root,
        )

    async def start(self) -> int:
        """Open the store and listen; return the port.

        Raises:
            StorageError: The database can't be opened.
            CannotListenError: The port is taken.
        """
        await self.store.open()
        await self.hub.start()
        settings = self._settings
        globalLogPublisher.addObserver(self._accept_errors)
        self._port = self._reactor.listenTCP(settings.port, self._site, interface=settings.host)
        self._listening = self._in_thread(self._listener.listen)
        await self._read_files()  # before anything is made of the lines of builds
        self.follower.start()
        if settings.notify is not None and settings.public_url is not None:
            owner = f"{socket.gethostname()}:{self._port.getHost().port}"
            self._notifier = self._started_notifier(settings.notify, settings.public_url, owner)
        self._pruning = LoopingCall(lambda: Deferred.fromCoroutine(self._prune()))
        self._pruning.clock = self._reactor
        self._pruning.start(PRUNE_EVERY)
        if self._known is not None or self._rules is not None:
            self._watching = LoopingCall(lambda: Deferred.fromCoroutine(self._read_files()))
            self._watching.clock = self._reactor
            self._watching.start(KNOWN_EVERY)
        return int(self._port.getHost().port)

    def _started_notifier(self, path: Path, public_url: str, owner: str) -> Notifier:
        # What sends needs more packages than the board itself.
        from buildbot_http_status_push.board.notify.notifier import Notifier
        from buildbot_http_status_push.board.notify.notify_file import Notify, notify_of
        from buildbot_http_status_push.board.notify.reports import outbox_url

        notifier = Notifier(
            self._reactor,
            RuleFile(path, notify_of, Notify(), "--notify", self._log),
            outbox_url(self._settings.database),
            owner,
            public_url,
            self.store,
            lambda: self.follower.is_at_end,
            self._in_thread,
            self._log,
        )
        self.follower.subscribe(notifier.wake)
        notifier.start()
        return notifier

    def _kept_back(self) -> str:
        return "" if self._notifier is None else self._notifier.kept_back()

    def read_files_again(self) -> None:
        """Read known failures and rules again, whether their files have changed or not."""
        if self._notifier is not None:
            self._notifier.read_again()
        for files in (self._known, self._rules):
            if files is not None:
                files.forget()
        if self._watching is not None:
            self._watching.reset()

    async def _read_files(self) -> None:
        if self._rules is not None:
            await self._in_thread(self._rules.read)
        if self._known is not None:
            await self._in_thread(self._known.read)
            now = self._reactor.seconds()
            entries = tuple(each for each in self._known.entries if not each.is_expired(now))
            self.store.know(entries, self._known.little)

    def use(self, access: Access) -> None:
        """Ask for these credentials from now on; browsers whose password has changed ask again."""
        have_changed = access.readers != self._settings.access.readers
        self._settings.access.become(access)
        if have_changed:
            self.hub.browsers.drop_all()

    async def stop(self) -> None:
        """Listen no more, drop all connections, and close the store."""
        for looping in (self._pruning, self._watching):
            if looping is not None:
                looping.stop()
        await self.follower.stop()
        if self._notifier is not None:
            await self._notifier.stop()
        globalLogPublisher.removeObserver(self._accept_errors)
        if self._port is not None:
            await self._port.stopListening()
            self.hub.stop()
        await self._site.drop(self._reactor)
        self._listener.stop()
        if self._listening is not None:
            await self._listening
        await self.store.close()

    def _heard(self) -> None:
        self._reactor.callFromThread(self.store.notify)

    async def _prune(self) -> None:
        # The store logs its trouble; what is old waits for the next look.
        try:
            await self.store.prune_updates()
            if self._settings.keep is not None:
                deleted = await self.store.prune(self._reactor.seconds() - self._settings.keep)
                if deleted:
                    self._log.info("deleted {deleted} builds older than --keep", deleted=deleted)
        except StorageError:
            pass
        except Exception:  # of one look; the next may go well
            self._log.failure("deleting old builds failed; trying again")


def _open_metrics(store: Store, browsers: Browsers[PreparedMessage]) -> Metrics | None:
    """Begin to measure, where the extra is installed."""
    try:
        from buildbot_http_status_push.board.programs.metrics import Metrics
    except ImportError:
        return None
    return Metrics(store, browsers)


async def _unmeasured(_: RouteRequest) -> Document:
    return sentence(HTTPStatus.NOT_IMPLEMENTED, NO_METRICS)

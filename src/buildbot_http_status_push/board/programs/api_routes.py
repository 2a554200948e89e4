"""What others than browsers ask the board for: the routes of JSON, badges, CCTray and the feed.

Knows the store's reads and the formats; must not know requests.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from importlib.resources import files
from urllib.parse import parse_qs

from attrs import define, evolve, field

from buildbot_http_status_push.board import filters
from buildbot_http_status_push.board.changes import LATEST
from buildbot_http_status_push.board.http.cache import Cache
from buildbot_http_status_push.board.http.documents import (
    Document,
    Route,
    RouteRequest,
    sentence,
    with_etag,
)
from buildbot_http_status_push.board.model import Build, Filter
from buildbot_http_status_push.board.programs import api, incidents, revision_api
from buildbot_http_status_push.board.programs.badge import badge, verdict_badge
from buildbot_http_status_push.board.programs.cctray import cctray, projects
from buildbot_http_status_push.board.programs.feed import StateChange, feed, news
from buildbot_http_status_push.board.storable import storable
from buildbot_http_status_push.board.store.store import Store
from buildbot_http_status_push.board.test_results.query import test_query
from buildbot_http_status_push.board.toml_files import RuleFile
from buildbot_http_status_push.board.verdicts.rules import BranchVerdict, Rule

LASTING = 5.0
"""For how many seconds a document is good without any change."""
MOST = 16
"""How many documents are kept."""
BUILDS, MOST_BUILDS = 50, 200
"""How many builds an answer has by default, and at most."""
MOST_CHANGES = 1000
"""How many changes an answer has at most."""
TESTS_SINCE = 30 * 86_400
"""Over how many seconds tests are counted where nothing is said."""
MOST_TESTS = 100
"""How many failing tests an answer has at most."""
CANDIDATES = 5
"""How many revisions that begin alike are named."""
FEED = 50
"""How many incidents the feed has."""
LARGEST = 2**63 - 1


@define(eq=False)
class ApiRoutes:
    """Makes the documents."""

    _store: Store
    _seconds: Callable[[], float]
    _run: Callable[[Iterator[object]], Awaitable[object]]
    _rules: RuleFile[tuple[Rule, ...]] | None = None
    _cache: Cache[Document] = field(init=False)
    _openapi: Document = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._cache = Cache(self._seconds, LASTING, MOST, lambda each: len(each.body))
        description = files(api.__package__).joinpath("openapi.json").read_bytes()
        self._openapi = with_etag(Document(body=description, content_type=api.JSON))

    @property
    def routes(self) -> tuple[tuple[str, Route], ...]:
        """The paths and what makes their documents."""
        made = (
            (r"/badge/.+\.svg", self._badge),
            (r"/verdicts/.+\.svg", self._verdict_badge),
            (r"/cctray\.xml", self._cctray),
            (r"/feed\.atom", self._feed),
            (r"/api/builders", self._builders),
            (r"/api/builds", self._builds),
            (r"/api/builds/[0-9]{1,18}", self._build),
            (r"/api/tests", self._tests),
            (r"/api/changes", self._changes),
            (r"/api/failures", self._failures),
            (r"/api/revisions/(?s:.+)", self._revision),
            (r"/api/verdicts", self._verdicts),
            (r"/api/incidents", self._incidents),
            (r"/api/incidents/[0-9a-f]{12}", self._incident),
            (r"/incidents\.atom", self._incident_feed),
        )
        return (
            *((path, partial(self._answer, make)) for path, make in made),
            (r"/api/openapi\.json", self._description),
            (r"/api/.*", self._nothing),
        )

    async def _answer(
        self, make: Callable[[RouteRequest], Awaitable[Document]], asked: RouteRequest
    ) -> Document:
        key = (asked, self._store.latest, self._store.known_changes)
        try:
            return await self._cache.get(key, partial(_tagged, make, asked))
        except ValueError as fault:
            return _fault(asked, 400, str(fault))

    async def _description(self, _: RouteRequest) -> Document:
        return self._openapi

    async def _nothing(self, asked: RouteRequest) -> Document:
        return _fault(asked, 404, "not found: /api/openapi.json lists all addresses")

    async def _badge(self, asked: RouteRequest) -> Document:
        name = asked.path.removeprefix("/badge/").removesuffix(".svg")
        chosen = filters.from_query(asked.query)
        # Of those whose name has it, as the store finds them.
        found = Filter(
            builder=name[: filters.MOST_VALUE], master=chosen.master, branch=chosen.branch
        )
        named = [each for each in await self._store.builders(found) if each.name == name]
        label = f"{name} ({chosen.branch})" if chosen.branch else name
        return badge(label, _worst(each.last for each in named if each.last))

    async def _cctray(self, asked: RouteRequest) -> Document:
        chosen = filters.from_query(asked.query)
        found = await self._store.builders(chosen)
        written: list[bytes] = []
        await self._run(map(written.append, projects(found, asked.address)))
        return cctray(written)

    async def _feed(self, asked: RouteRequest) -> Document:
        chosen = filters.from_query(asked.query)
        looked_at = await self._store.builders(chosen)
        latest: deque[list[StateChange]] = deque([[]], maxlen=1)
        await self._run(map(latest.append, news(looked_at, evolve(chosen, results=frozenset()))))
        [found] = latest
        memories = await self._store.memories([each.build for each in found])
        itself = f"{asked.address}feed.atom" + (f"?{asked.query}" if asked.query else "")
        quiet = [
            each for each in await self._store.quiet() if filters.fits_builder(chosen, each.builder)
        ]
        masters = await self._store.masters()
        return feed(
            found, asked.address, itself, self._store.latest.epoch, memories, masters, quiet
        )

    async def _builders(self, asked: RouteRequest) -> Document:
        position = self._store.latest
        chosen = filters.from_query(asked.query)
        found = await self._store.builders(chosen)
        written: list[str] = []
        await self._run(map(written.append, map(api.builder_text, found)))
        return api.builders(written, position)

    async def _builds(self, asked: RouteRequest) -> Document:
        position = self._store.latest
        chosen = filters.from_query(asked.query)
        limit = _number(asked.query, "limit", MOST_BUILDS) or BUILDS
        before = _number(asked.query, "before", LARGEST)
        found = await self._store.builds(chosen, None, limit, before)
        return api.builds(found, await self._store.masters(), position)

    async def _build(self, asked: RouteRequest) -> Document:
        number = int(asked.path.rpartition("/")[2])
        found = await self._store.build(number)
        if found is None:
            return api.fault(404, f"there is no build {number} on the board (any more)")
        return api.detail(found)

    async def _failures(self, asked: RouteRequest) -> Document:
        position = self._store.latest
        chosen = filters.from_query(asked.query)
        found = await self._store.failed_builds(
            chosen,
            signature=_text(asked.query, "signature"),
            revision=_text(asked.query, "revision"),
            since=_number(asked.query, "since", LATEST) or 0,
            limit=_number(asked.query, "limit", MOST_BUILDS) or BUILDS,
            with_memory=True,
        )
        return api.failures(found, await self._store.masters(), position)

    async def _incidents(self, asked: RouteRequest) -> Document:
        position = self._store.latest
        limit = _number(asked.query, "closed", MOST_BUILDS)
        found = await self._store.incidents()
        if limit:
            found += await self._store.closed_incidents(LATEST, limit)
        return api.incidents(found, position)

    async def _incident(self, asked: RouteRequest) -> Document:
        position = self._store.latest
        found = await self._store.incident(asked.path.rpartition("/")[2])
        if found is None:
            return api.fault(404, "there is no such incident (any more)")
        return api.incident(*found, position)

    async def _incident_feed(self, asked: RouteRequest) -> Document:
        found = (await self._store.incidents())[::-1]
        closed = await self._store.closed_incidents(LATEST, FEED)
        return incidents.feed(
            [*found, *closed][:FEED],
            asked.address,
            self._store.latest.epoch,
            has_several_masters=len(await self._store.masters()) > 1,
        )

    async def _tests(self, asked: RouteRequest) -> Document:
        position = self._store.latest
        chosen = filters.from_query(asked.query)
        query = test_query(asked.query)
        name = _text(asked.query, "name")
        if name is None:
            found = await self._store.failing_tests(chosen, query, MOST_TESTS)
            return api.failing_tests(found, query.since, position)
        since = query.since
        if not _text(asked.query, "since"):
            since = int(self._seconds()) - TESTS_SINCE
        revision = _text(asked.query, "revision")
        rates = await self._store.test_rates(chosen, name, since)
        places = await self._store.tests_named(chosen, name)
        at = await self._store.failures_at(name, revision) if revision else {}
        return api.tests(rates, places, at, since, position)

    async def _revision(self, asked: RouteRequest) -> Document:
        position = self._store.latest
        text = storable(asked.path.removeprefix("/api/revisions/"))[: filters.MOST_VALUE]
        found = await self._store.revision_verdicts(text, filters.from_query(asked.query))
        names = dict.fromkeys(each.revision for each in found)
        if not names:
            return api.fault(404, f"no build and no change of revision {text} is known (any more)")
        if len(names) > 1:
            some = ", ".join([*names][:CANDIDATES])
            return api.fault(
                409, f"{len(names)} revisions begin with {text}: write more of it: {some}"
            )
        has_requests = (await self._store.queue()).is_known
        return revision_api.revision(found, position, self._seconds(), has_requests=has_requests)

    async def _verdicts(self, asked: RouteRequest) -> Document:
        position = self._store.latest
        fault = self._rules.fault if self._rules else None
        return revision_api.verdicts(await self._judged(), fault, position)

    async def _verdict_badge(self, asked: RouteRequest) -> Document:
        name = asked.path.removeprefix("/verdicts/").removesuffix(".svg")
        found = [each for each in await self._judged() if each.rule.name == name]
        return verdict_badge(found[0] if found else None, name)

    async def _judged(self) -> list[BranchVerdict]:
        return await self._store.branch_verdicts(self._rules.rules if self._rules else ())

    async def _changes(self, asked: RouteRequest) -> Document:
        since = _number(asked.query, "since", LARGEST)
        if since is None:
            raise ValueError("since=SEQUENCE is missing: the sequence of an earlier answer, or 0")
        position = self._store.latest
        [epoch] = parse_qs(asked.query).get("epoch", [position.epoch])[-1:]
        found = await self._store.updates(since, MOST_CHANGES)
        if found is None or epoch != position.epoch:
            return api.gone(position)
        return api.changes(found, position)


async def _tagged(
    make: Callable[[RouteRequest], Awaitable[Document]], asked: RouteRequest
) -> Document:
    # Each answer is compressed for one reader: twice the time saves a tenth of the bytes.
    return with_etag(await make(asked), level=1)


def _fault(asked: RouteRequest, status: int, told: str) -> Document:
    is_json = asked.path.startswith("/api/")
    return api.fault(status, told) if is_json else sentence(status, told)


def _worst(builds: Iterable[Build]) -> Build | None:
    """Return the build that a badge is about: a bad one where there is one."""
    return max(builds, key=lambda each: (each.is_bad, each.started_at), default=None)


def _text(query: str, name: str) -> str | None:
    """Return a text in a query, None where it is not given."""
    given = parse_qs(query).get(name, [""])[-1].strip()
    if len(given) > filters.MOST_VALUE:
        raise ValueError(f"{name} has more than {filters.MOST_VALUE} characters, as no name has")
    return storable(given) or None


def _number(query: str, name: str, most: int) -> int | None:
    """Return a number in a query, None where it is not given."""
    [given] = parse_qs(query).get(name, [""])[-1:]
    if not given:
        return None
    if not re.fullmatch(r"[0-9]{1,19}", given) or int(given) > most:
        raise ValueError(f"{name}={given!r} is no number from 0 to {most}")
    return int(given)

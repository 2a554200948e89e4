"""Makes the pages: reads what a page shows from the store, and puts it into a template.

Pages are kept for a few seconds, because
many browsers ask for the same one after the same change.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from urllib.parse import parse_qsl, quote, urlencode

from attrs import define, field
from jinja2 import Environment

from buildbot_http_status_push.board import filters
from buildbot_http_status_push.board.failures.known_files import KnownFiles
from buildbot_http_status_push.board.http.cache import Cache
from buildbot_http_status_push.board.http.documents import HTML, Document, RouteRequest, with_etag
from buildbot_http_status_push.board.model import Filter, Position
from buildbot_http_status_push.board.pages.templating import environment
from buildbot_http_status_push.board.pages.views import PageRequest, View, view
from buildbot_http_status_push.board.store.store import Store
from buildbot_http_status_push.board.toml_files import RuleFile
from buildbot_http_status_push.board.verdicts.rules import Rule
from buildbot_http_status_push.results import RESULTS

LASTING = 5.0
"""For how many seconds a page is good without any change: what it says of times grows old."""
MOST = 64
"""How many pages are kept."""
PATH_CHARACTERS = "/:@!$&'()*+,;="
"""What stands for itself in a path (RFC 3986, 3.3), beside what ``quote`` leaves alone anyway."""
SILENT = 12 * 3600
"""From how many seconds of a master's silence on the page warns."""


@define(eq=False)
class Pages:
    """All pages of a board.

    Args:
        store: Where builders and builds are read.
        seconds: Returns the time in seconds since the epoch.
        run: Runs long work, given as an iterator of small steps, in short time slices.
        known: The known failures, where the board has any.
        root: The path that the board's own addresses begin with, with a slash at the end.
        rules: The rules of verdicts, where the board has any.
        kept_back: Says how many incidents are not reported, and why.
    """

    _store: Store
    _seconds: Callable[[], float]
    _run: Callable[[Iterator[object]], Awaitable[object]]
    _known: KnownFiles | None = None
    _root: str = "/"
    _rules: RuleFile[tuple[Rule, ...]] | None = None
    _kept_back: Callable[[], str] = str
    _environment: Environment = field(init=False)
    _cache: Cache[Document] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._environment = environment(self._root)
        self._cache = Cache(self._seconds, LASTING, MOST, lambda page: len(page.body))

    async def page(self, asked: RouteRequest) -> Document:
        """Return a page.

        Args:
            asked: What a browser asks for.

        Returns:
            The page; one that says so where there is none.

        Raises:
            StorageError: The store can't be read.
        """
        if (tidy := tidied(asked.query)) is not None:
            address = f"{self._root}{_below_root(asked.path)}?{tidy}".rstrip("?")
            return Document(body=b"", content_type=HTML, status=303, location=address)
        # Another board may have sent the browser what this one does not know yet.
        position = await self._store.position()
        key = (asked, position, self._store.known_changes)
        return await self._cache.get(key, partial(self._make, asked, position))

    async def _make(self, request: RouteRequest, position: Position) -> Document:
        now, path, query = self._seconds(), request.path, request.query
        try:
            asked = PageRequest(
                path=path,
                query=query,
                chosen=filters.from_query(query),
                now=now,
                known=self._known,
                rules=self._rules,
                reader=request.reader,
                kept_back=self._kept_back(),
            )
            shown = await view(self._store, asked)
        except ValueError as fault:
            asked = PageRequest(path=path, query="", chosen=Filter(), now=now)
            shown = View("message.html", "No such filter", {"message": str(fault)}, status=400)
        masters = await self._store.masters()
        kept = "group=tag" if asked.is_by_tag else ""
        pieces: list[str] = []
        made = self._environment.get_template(shown.template).generate(
            position=position,
            masters=masters,
            silent=SILENT,
            results=RESULTS,
            address=request.address,
            now=now,
            here=_below_root(path),
            query="&".join(filter(None, (filters.to_query(asked.chosen), kept))),
            by_tag=asked.is_by_tag,
            filter=asked.chosen,
            chips=filters.chips(asked.chosen),
            kiosk=asked.is_kiosk,
            title=shown.title,
            state=shown.state,
            live=shown.live,
            **shown.context,
        )
        await self._run(map(pieces.append, made))
        text = "".join(pieces).encode()
        return with_etag(Document(body=text, content_type=HTML, status=shown.status))


def _below_root(path: str) -> str:
    """Return a path as it stands in an address, without the slash at its beginning."""
    return quote(path[1:], safe=PATH_CHARACTERS)


def tidied(query: str) -> str | None:
    """Return an address's query without what a form left blank and what it takes away.

    Args:
        query: What stands after ``?``; ``without=NAME=VALUE`` takes one parameter away.

    Returns:
        The query, None where it is as it should be.
    """
    given = parse_qsl(query, keep_blank_values=True)
    dropped = {value for name, value in given if name == "without"}
    filled = [
        (name, value)
        for name, value in given
        if value.strip() and name != "without" and f"{name}={value}" not in dropped
    ]
    return urlencode(filled) if len(filled) < len(given) else None

"""The files that pages refer to, read once."""

from __future__ import annotations

from urllib.parse import parse_qs

from attrs import evolve

from buildbot_http_status_push.board.http.documents import (
    FOREVER,
    LATEST,
    Document,
    RouteRequest,
    sentence,
    with_etag,
)
from buildbot_http_status_push.board.pages.templating import STATIC, version

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
}
ICON = "favicon-unknown.svg"
"""What browsers get that ask for an icon by themselves."""


def static_files() -> dict[str, Document]:
    """Read all files, by name."""
    return {
        path.name: with_etag(Document(body=path.read_bytes(), content_type=TYPES[path.suffix]))
        for path in STATIC.iterdir()
        if path.suffix in TYPES
    }


class StaticFiles:
    """Answers with files."""

    def __init__(self) -> None:
        self._files = static_files()

    async def file(self, asked: RouteRequest) -> Document:
        """Return the file ``/static/NAME``."""
        name = asked.path.removeprefix("/static/")
        document = self._files.get(name)
        if document is None:
            return sentence(404, f"there is no file {name!r} here")
        is_this_version = parse_qs(asked.query).get("v") == [version(name)]
        return evolve(document, caching=FOREVER if is_this_version else LATEST)

    async def icon(self, _: RouteRequest) -> Document:
        """Return the icon for whoever looks at its usual place."""
        return self._files[ICON]


async def robots(_: RouteRequest) -> Document:
    """Keep crawlers away: each page is small work, and there are as many pages as builds."""
    return with_etag(Document(body=b"User-agent: *\nDisallow: /\n"))

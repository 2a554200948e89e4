"""``cctray.xml``: all builders in the format of desktop notifiers such as CCMenu. Pure.

The format was made by CruiseControl, and is described at https://cctray.org/v1/.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from xml.etree import ElementTree

from buildbot_http_status_push.board.http.documents import Document
from buildbot_http_status_push.board.model import Build, Builder
from buildbot_http_status_push.board.pages.wording import iso
from buildbot_http_status_push.board.programs.xml_text import xml
from buildbot_http_status_push.results import FAILURE, SUCCESS, WARNINGS

HEAD = b"<?xml version='1.0' encoding='utf-8'?>\n<Projects>"
STATUSES = {
    SUCCESS: "Success",
    WARNINGS: "Success",
    FAILURE: "Failure",
}


def cctray(written: Iterable[bytes]) -> Document:
    """Make the document."""
    body = b"".join([HEAD, *written, b"</Projects>"])
    return Document(body=body, content_type="application/xml; charset=utf-8")


def projects(builders: Sequence[Builder], address: str) -> Iterator[bytes]:
    """Write builders, one in each step."""
    names = Counter(builder.name for builder in builders)
    for builder in builders:
        is_alone = names[builder.name] == 1
        name = builder.name if is_alone else f"{builder.master.name}/{builder.name}"
        element = ElementTree.Element("Project", _project(builder, name, address))
        yield xml(element, is_document=False)


def _project(builder: Builder, name: str, address: str) -> dict[str, str]:
    told = {
        "name": name,
        "activity": "Building" if builder.running else "Sleeping",
        # While it runs, this stays what the last finished build said.
        "lastBuildStatus": _status(builder.last),
        "webUrl": f"{address}builders/{builder.id}",
    }
    if builder.last is not None:
        told["lastBuildLabel"] = str(builder.last.number)
        told["lastBuildTime"] = _time(builder.last)
    return told


def _status(last: Build | None) -> str:
    return "Unknown" if last is None else STATUSES.get(last.results or 0, "Unknown")


def _time(build: Build) -> str:
    at = build.complete_at if build.complete_at is not None else build.started_at
    return iso(at)

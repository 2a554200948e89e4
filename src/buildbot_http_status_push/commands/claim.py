"""The sub-command ``claim``: says on a board who is on an incident."""

from __future__ import annotations

import argparse
import base64
import json
import re
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from buildbot_http_status_push.commands.console import DONE, complain
from buildbot_http_status_push.commands.credentials import add_auth, server_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from buildbot_http_status_push.commands.console import SubParsers
    from buildbot_http_status_push.commands.terminal import Output

TIMEOUT = 30.0
"""Seconds after which a board that does not answer is given up."""
MOST = 64 * 1024 * 1024
"""The most bytes of an answer that are read."""


class ClaimError(Exception):
    """An incident can't be claimed; the text says why."""


def add_claim(commands: SubParsers) -> None:
    """Add ``claim``."""
    parser = commands.add_parser(
        "claim",
        help="claim an incident on a board",
        description="Say on a board who is on an incident. Its next messages name you, and the "
        "claim ends with the incident. The board must know its readers (--read-auth).",
    )
    parser.add_argument(
        "incident",
        metavar="INCIDENT",
        help="ID, or the name of a builder with one open incident",
    )
    parser.add_argument(
        "--board", metavar="URL", type=server_url, required=True, help="the board's address"
    )
    parser.add_argument("--note", default="", help="what you do about it")
    parser.add_argument("--link", help="where it is dealt with, such as an issue")
    add_auth(parser)
    parser.set_defaults(run=run_claim)


def run_claim(arguments: argparse.Namespace, output: Output) -> int:
    """Claim an incident."""
    address = arguments.board.rstrip("/")
    try:
        number = _incident(address, arguments)
        given = {"note": arguments.note, "link": arguments.link}
        _ask(f"{address}/api/incidents/{number}/claim", arguments, given)
    except ClaimError as fault:
        return complain(str(fault))
    output.say(f"claimed: {address}/incidents/{number}")
    return DONE


def _incident(address: str, arguments: argparse.Namespace) -> str:
    """Return the id of the incident that is meant."""
    name: str = arguments.incident
    if re.fullmatch("[0-9a-f]{12}", name):
        return name
    content = _ask(f"{address}/api/incidents", arguments)
    try:
        found = [
            (str(each["id"]), str(each["title"]))
            for each in json.loads(content)["incidents"]
            if any(one["name"] == name and one["over_at"] is None for one in each["places"])
        ]
    except (ValueError, KeyError, TypeError) as fault:
        raise ClaimError(f"--board {address}: no board of this kind answers there") from fault
    if not found:
        raise ClaimError(f"{name!r} is neither an incident nor a builder with an open one")
    if len(found) > 1:
        listed = "\n".join(f"  {number}  {title}" for number, title in found)
        raise ClaimError(f"{name!r} has {len(found)} open incidents: give the ID of one\n{listed}")
    return found[0][0]


def _ask(url: str, arguments: argparse.Namespace, given: Mapping[str, Any] | None = None) -> bytes:
    headers = {"Content-Type": "application/json"}
    if arguments.auth:
        encoded = base64.b64encode(":".join(arguments.auth).encode()).decode()
        headers["Authorization"] = f"Basic {encoded}"
    body = None if given is None else json.dumps(given).encode()
    request = urllib.request.Request(url, body, headers)  # noqa: S310  http and https only
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310  likewise
            content: bytes = answer.read(MOST)
            return content
    except urllib.error.HTTPError as refusal:
        said = refusal.read(1000).decode("utf-8", "replace").strip()
        raise ClaimError(f"the board refused with {refusal.code}: {said}") from refusal
    except OSError as trouble:
        reason = getattr(trouble, "reason", trouble)
        raise ClaimError(f"--board {url}: no answer ({reason})") from trouble

"""The sub-command ``claim``: claims an incident on a board."""

from __future__ import annotations

import argparse
import json
import re
from typing import TYPE_CHECKING, Any

from buildbot_http_status_push.commands.board_requests import SilentError, ask_board
from buildbot_http_status_push.commands.console import DONE, complain
from buildbot_http_status_push.commands.credentials import add_auth, board_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from buildbot_http_status_push.commands.console import SubParsers
    from buildbot_http_status_push.commands.terminal import Output


class ClaimError(Exception):
    """An incident can't be claimed; the text says why."""


def add_claim(commands: SubParsers) -> None:
    """Add ``claim``."""
    parser = commands.add_parser(
        "claim",
        help="claim an incident on a board",
        description="Claim an incident on a board: until it ends, the board shows your name and, "
        "by default, sends no messages about it. The board must authenticate its readers "
        "(--read-auth or --user-header).",
    )
    parser.add_argument(
        "incident",
        metavar="INCIDENT",
        help="ID, or the name of a builder with one open incident",
    )
    parser.add_argument(
        "--board", metavar="URL", type=board_url, required=True, help="the board's address"
    )
    parser.add_argument("--note", default="", help="text shown beside your name")
    parser.add_argument("--link", help="URL of an issue or a change")
    add_auth(parser)
    parser.set_defaults(run=run_claim)


def run_claim(arguments: argparse.Namespace, output: Output) -> int:
    """Claim an incident."""
    address: str = arguments.board
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
    body = None if given is None else json.dumps(given).encode()
    try:
        answer = ask_board(url, arguments.auth, body)
    except SilentError as trouble:
        raise ClaimError(f"--board {url}: no answer ({trouble})") from trouble
    if answer.location is not None:
        raise ClaimError(f"the board redirects to {answer.location}: give that URL")
    if answer.code >= 300:
        said = answer.body[:1000].decode("utf-8", "replace").strip()
        raise ClaimError(f"the board answered {answer.code}: {said}")
    return answer.body

"""The sub-command ``board notify-test``: sends one made-up incident."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from buildbot_http_status_push.commands import board_settings as values
from buildbot_http_status_push.commands.console import DONE, FAILED, complain, run_reactor

if TYPE_CHECKING:
    from buildbot_http_status_push.board.notify.notify_file import Notify
    from buildbot_http_status_push.board.notify.rules import Rule
    from buildbot_http_status_push.commands.console import SubParsers
    from buildbot_http_status_push.commands.terminal import Output


def add_notify_test(actions: SubParsers) -> None:
    """Add ``notify-test``."""
    parser = actions.add_parser(
        "notify-test",
        help="send one made-up incident",
        description="Send one made-up incident to all destinations of a rule, whatever its "
        "filters. Exit codes: 0 if all accept it, 1 if one does not.",
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="file of --notify")
    parser.add_argument("rule", metavar="RULE", help="name of the rule")
    parser.add_argument(
        "--public-url",
        metavar="URL",
        type=values.public_url,
        required=True,
        help="address that readers open, for the message's link",
    )
    parser.set_defaults(run=notify_test)


def notify_test(arguments: argparse.Namespace, output: Output) -> int:
    """Send a made-up incident."""
    from twisted.internet import reactor

    from buildbot_http_status_push.board.notify.notify_file import notify_of
    from buildbot_http_status_push.board.toml_files import FileFault, read_rules

    try:
        notify = read_rules(arguments.file, notify_of)
    except FileFault as fault:
        return complain(f"{arguments.file}: {fault}")
    rule = next((each for each in notify.rules if each.name == arguments.rule), None)
    if rule is None:
        names = ", ".join(each.name for each in notify.rules)
        return complain(f"RULE is {arguments.rule!r}: must be one of {names}")
    sending = _Sending(reactor, notify, rule, arguments.public_url, output)
    return run_reactor(reactor, output, sending.work, sending.end)


class _Sending:
    """One attempt for each destination."""

    def __init__(
        self, reactor: Any, notify: Notify, rule: Rule, public_url: str, output: Output
    ) -> None:
        self._reactor, self._notify, self._rule = reactor, notify, rule
        self._public_url, self._say = public_url, output.say

    async def work(self) -> int:
        from twisted.internet.threads import deferToThreadPool

        from buildbot_http_status_push.board.notify.composing import delivery_of
        from buildbot_http_status_push.board.notify.example import example
        from buildbot_http_status_push.board.notify.senders import sender_of
        from buildbot_http_status_push.model import Accepted

        def in_thread(function: Any, *arguments: Any) -> Deferred[Any]:
            return deferToThreadPool(
                self._reactor, self._reactor.getThreadPool(), function, *arguments
            )

        code, now = DONE, time.time()
        for name in self._rule.to:
            destination = self._notify.destinations[name]
            sender = sender_of(self._reactor, destination, in_thread, Logger())
            message = example(self._rule.name, now)
            for to in destination.addressees:
                outcome = await sender.send(delivery_of(message, to, self._public_url, now))
                self._say(f"{to.key}: {outcome}")
                code = code if isinstance(outcome, Accepted) else FAILED
            await sender.close()
        return code

    async def end(self) -> None:
        """Do nothing: all connections are closed."""

"""Boards that report incidents to a receiver and a mail server, and what happens to all of them.

There is no master: builders break and are good again as a case says.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from support.boards import ask
from support.mail import MailServer
from support.reasons import excerpts
from support.statuses import a_body, as_bytes

from buildbot_http_status_push.results import FAILURE, SUCCESS
from chaos import evidence
from chaos.boards import Boards
from chaos.judge import Finding, Message, misdelivered
from chaos.scene import Scene
from chaos.stage import Board, Receiver, wait_until

CHAT, MAIL = "chat", "mail"
NOTIFY = """
[to.chat]
kind = "json"
url = "http://127.0.0.1:{chat}/"
[to.mail]
kind = "mail"
server = "smtp://127.0.0.1:{mail}"
from = "board@example.org"
recipients = "ci@example.org"
[[rule]]
name = "chat"
to = "chat"
wait = "0s"
[[rule]]
name = "mail"
to = "mail"
wait = "0s"
"""
LINES = ("apple", "bread", "cloud", "dune", "ember", "fjord", "grape", "heron")
"""What each builder's failing line is about, so that each is an incident of its own."""
AGO = {SUCCESS: 5000, FAILURE: 4000}
CURED_AGO = 1500
"""Seconds since a builder is good again: an incident is closed ten minutes after that."""
PATIENCE = 180.0


class MessagesScene(Scene):
    """A board with rules, a receiver and a mail server."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        (self.folder / CHAT).mkdir()
        self.chat = Receiver(self.folder / CHAT, str(self.chance.random()), "")
        self.mail = MailServer(answer=self._answer_mail)
        self.mail_answer = "250 ok"
        self.mailed: list[str] = []
        self._builds = 0
        rules = self.folder / "notify.toml"
        rules.write_text(NOTIFY.format(chat=self.chat.port, mail=self.mail.port))
        for board in self._boards:
            board.arguments = ("--notify", str(rules), "--public-url", "http://127.0.0.1/")

    @property
    def _boards(self) -> list[Board]:
        return [self.board]

    @property
    def _rows(self) -> evidence.Place:
        return self.folder / "board-outbox.sqlite"

    def open(self) -> None:
        """Start what the case needs, and wait until all destinations are reported to."""
        super().open()
        self.chat.start()
        self.mail.start()
        wait_until(lambda: evidence.introduced(self._rows) == 2, "the first look", PATIENCE)

    def _answer_mail(self) -> str:
        if self.mail_answer.startswith("2"):
            name = str(self.mail.seen[-1]["Message-ID"])
            self.mailed.append(name.strip("<>").partition("@")[0])
        return self.mail_answer

    def break_builder(self, line: str) -> None:
        """Have a builder that was good fail, and wait until that is kept for each destination."""
        self._report(line, SUCCESS, AGO[SUCCESS])
        self._report(line, FAILURE, AGO[FAILURE], **excerpts(f"fatal error: no {line}.h"))
        self._wait_for("incident.opened")

    def cure_builder(self, line: str) -> None:
        """Have a builder be good again, and wait until that is kept for each destination."""
        self._report(line, SUCCESS, CURED_AGO)
        self._wait_for("incident.closed")

    def _wait_for(self, event: str) -> None:
        before = self._counted(event)
        wait_until(lambda: self._counted(event) >= before + 2, event, PATIENCE)

    def _counted(self, event: str) -> int:
        return Counter(each.event for each in evidence.read_messages(self._rows))[event]

    def _report(self, line: str, results: int, ago: float, **more: Any) -> None:
        self._builds += 1
        ended = int(time.time() - ago)
        body = a_body(
            self._builds,
            results,
            builder=f"builder-{line}",
            started_at=ended - 60,
            complete_at=ended,
            **more,
        )
        wait_until(lambda: self._is_taken(as_bytes(body)), "a status is taken", PATIENCE)

    def _is_taken(self, body: bytes) -> bool:
        try:
            return ask(urlsplit(self.board.url).port or 0, "POST", "/", body).status == 200
        except OSError:
            return False

    def wait_until_told(self) -> None:
        """Wait until no message is pending, and note how long that took."""
        took = wait_until(
            lambda: not evidence.read_accounts(self._rows).pending, "all are sent", PATIENCE
        )
        self._through.append(took)

    def _of(self, destination: str) -> list[Message]:
        every = evidence.read_messages(self._rows)
        return [each for each in every if each.destination.endswith(f":{destination}")]

    def _misshown(self, _: Finding) -> list[str]:
        taken = evidence.read_taken(self.chat.record)
        bodies = dict(taken)
        return [
            *misdelivered(self._of(CHAT), [name for name, _ in taken]),
            *misdelivered(self._of(MAIL), self.mailed),
            *(f"{name} was another message before" for name, body in taken if bodies[name] != body),
            *([] if len(self._of(CHAT)) == 2 * len(LINES) else ["incidents are missing"]),
        ]

    def _accepted(self) -> int:
        return len(evidence.read_taken(self.chat.record)) + len(self.mailed)

    def _complaints(self) -> list[str]:
        logs: list[Path] = sorted(self.folder.glob("board*.log"))
        return [each for log in logs for each in evidence.read_complaints(log)]

    def close(self) -> None:
        """End everything."""
        self.chat.close()
        self.mail.stop()
        super().close()


class TwoBoardsMessagesScene(MessagesScene):
    """Two boards on one PostgreSQL, behind a load balancer."""

    def make_board(self) -> Boards:
        """Return both."""
        return Boards(self.folder, browsers=0)

    @property
    def _boards(self) -> list[Board]:
        return [*self.board.each.values()]

    @property
    def _rows(self) -> evidence.Place:
        database: str = self.board.database
        return database

    def restart_board(self) -> None:
        """Kill one of them, and start it a little later."""
        board = self.chance.choice(self._boards)
        board.kill()
        self.play(0, 1)
        board.start()


def messages_over_kills(scene: MessagesScene) -> None:
    """Incidents open and close, receiver and mail server are down, slow, and the board killed."""
    first, second, third, fourth, fifth, sixth, seventh, eighth = LINES
    scene.break_builder(first)
    scene.chat.kill()
    scene.mail.stop()
    scene.break_builder(second)
    scene.cure_builder(first)
    scene.restart_board()
    scene.break_builder(third)
    scene.chat.start()
    scene.mail.start()
    scene.chat.behave("status", status=429, retry_after=3)
    scene.mail_answer = "451 later"
    scene.break_builder(fourth)
    scene.cure_builder(second)
    scene.chat.behave("slow", most=5.0)
    scene.mail_answer = "250 ok"
    scene.break_builder(fifth)
    scene.restart_board()
    scene.break_builder(sixth)
    scene.chat.behave("unreliable")
    scene.break_builder(seventh)
    scene.restart_board()
    scene.break_builder(eighth)
    scene.play(0, 3)
    scene.restart_board()
    for line in (third, fourth, fifth, sixth, seventh, eighth):
        scene.cure_builder(line)
    scene.chat.behave("accept")
    scene.wait_until_told()


def messages_of_two_boards(scene: TwoBoardsMessagesScene) -> None:
    """The same with two boards on one PostgreSQL, of which one or the other is killed."""
    messages_over_kills(scene)

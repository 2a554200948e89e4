"""The sub-command outbox: what it shows and changes, on files, PostgreSQL and a running master."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sqlite3
import subprocess
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Callable
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa
from attrs import evolve
from buildbot.process.results import SUCCESS
from buildbot.util.twisted import async_to_deferred
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from support import postgres
from support.commands import Command, run, temporary_folder
from support.fakes import a_delivery
from support.master import EndWith, ReporterTestCase, configuration
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.commands import outbox_access, outbox_backfill
from buildbot_http_status_push.commands.main import main
from buildbot_http_status_push.commands.outbox_access import OUTBOX_FILE
from buildbot_http_status_push.commands.outbox_output import Listing, list_lines, table
from buildbot_http_status_push.commands.outbox_selection import parse_time, seconds_of
from buildbot_http_status_push.configuration import placement
from buildbot_http_status_push.database import file_url
from buildbot_http_status_push.model import Delivery, Disposition, State
from buildbot_http_status_push.outbox import inspection
from buildbot_http_status_push.outbox.repository import DeliveryRepository
from buildbot_http_status_push.outbox.schema import LOCK_NUMBER, open_database
from buildbot_http_status_push.reporter import HttpStatusPush

HOUR = 3600.0
COMMAND = [sys.executable, "-m", "buildbot_http_status_push"]
WITHOUT_PRIVILEGE = (
    ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []
)
"""Lets the modes of files count for root too."""
OUTCOMES = {
    State.DELIVERED: "accepted with 200",
    State.DEAD: "rejected with 410: gone",
    State.RETRYING: "rejected with 422: \x1b[31mno",
    State.SUPERSEDED: "a newer status was accepted",
}


class Filled:
    """Fills an outbox as a master does.

    Args:
        url: Where it is.
        name: The reporter's name.
        now: When its deliveries come, in seconds since the epoch.
    """

    def __init__(self, url: str, name: str = "push", now: float | None = None) -> None:
        self.database = open_database(url)
        self.repository = DeliveryRepository(name, "master")
        self.now = time.time() - 90 if now is None else now

    def register_reporter(self) -> None:
        """Be known without a delivery."""
        self.database.transact([self.repository.register_reporter])

    def put(self, number: int, ago: float = 0.0, **more: Any) -> Delivery:
        """Keep a delivery that came some seconds ago."""
        delivery = a_delivery(number, f"lane-{number}", **more)
        self.database.transact(
            [lambda connection: self.repository.put(connection, delivery, self.now - ago)]
        )
        return delivery

    def end(self, number: int, state: State, ago: float = 0.0, **more: Any) -> None:
        """Keep a delivery whose first attempt has come to such an end."""
        delivery = self.put(number, ago, **more)
        disposition = Disposition(state, OUTCOMES[state], self.now + HOUR)

        def send(connection: Any) -> None:
            for claim in self.repository.claim(connection, self.now, 60.0, 100):
                if claim.delivery == delivery:
                    self.repository.record(connection, claim, disposition, self.now)
            self.repository.release_all(connection, self.now)

        self.database.transact([send])

    def one_of_each(self) -> None:
        """Keep one delivery in each state, and one of another reporter."""
        for number, state in enumerate(OUTCOMES, 1):
            self.end(number, state, number * HOUR, id=f"msg_{state.value}")
        self.put(5, 180.0, id="msg_waiting")


class OutboxTestCase(SynchronousTestCase):
    """Calls the command on an outbox in a folder."""

    def setUp(self) -> None:
        """Make a folder, without an outbox in it, and stop the command's clock."""
        self.folder = temporary_folder(self)
        self.now = time.time()
        self.patch(outbox_access, "time", SimpleNamespace(time=lambda: self.now))
        self.where = ["--basedir", str(self.folder)]

    def fill(self, name: str = "push") -> Filled:
        """Make an outbox in the folder, if there is none, and return what fills it."""
        filled = Filled(file_url(self.folder / OUTBOX_FILE), name, self.now - 90)
        self.addCleanup(filled.database.close)
        return filled

    def call(self, action: str, *arguments: str) -> tuple[int, str, str]:
        """Call it; return the exit code, the output and the errors."""
        output, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            try:
                code = main(["outbox", action, *self.where, *arguments])
            except SystemExit as ended:
                code = int(ended.code or 0)
        return int(code or 0), output.getvalue(), errors.getvalue()

    def lines(self, action: str, *arguments: str) -> list[str]:
        """Call it with success; return the lines."""
        code, output, errors = self.call(action, *arguments)
        self.assertEqual((code, errors), (0, ""))
        return output.splitlines()

    def document(self, action: str, *arguments: str) -> Any:
        """Call it with success and --json; return the document."""
        return json.loads("\n".join(self.lines(action, "--json", *arguments)))

    def ids(self, *arguments: str) -> list[str]:
        """Return the ids that are listed."""
        return [each["id"] for each in self.document("list", *arguments)["deliveries"]]

    def refusal(self, action: str, *arguments: str) -> str:
        """Call it without success; return the last line of the errors."""
        code, output, errors = self.call(action, *arguments)
        self.assertEqual((code, output), (2, ""))
        return errors.splitlines()[-1]


class StatsTests(OutboxTestCase):
    """outbox stats."""

    def test_table(self) -> None:
        """Each reporter's counts stand in a table, with the sum and the account below."""
        self.fill().one_of_each()
        self.fill("a name that is longer than a table likes").put(9)
        self.assertEqual(
            self.lines("stats"),
            [
                "reporter                  produced  waiting  retrying  delivered  superseded"
                "  dead  oldest waiting",
                "a name that is longer...         1        1         0          0           0"
                "     0      1 min 30 s",
                "push                             5        1         1          1           1"
                "     1       3 h 1 min",
                "all                              6        2         1          1           1"
                "     1       3 h 1 min",
                "",
                "The counts are consistent: 6 produced = 1 delivered + 3 pending + 1 dead + "
                "1 superseded.",
                "push: oldest delivery pending for 3 h 1 min: see 'outbox list'.",
                "push: 1 dead: see 'outbox list --dead'; "
                "'outbox redeliver --dead' sends them again.",
            ],
        )

    def test_one_reporter(self) -> None:
        """The only reporter needs no sum; where nothing waits, nothing is oldest."""
        self.fill().end(1, State.DELIVERED)
        rows = self.lines("stats")[1:]
        self.assertEqual(rows[0].split(), ["push", "1", "0", "0", "1", "0", "0", "-"])
        self.assertEqual(rows[1], "")

    def test_document(self) -> None:
        """--json has the same counts, and times as seconds since the epoch."""
        filled = self.fill()
        filled.one_of_each()
        counts = {
            "reporter": "push",
            "produced": 5,
            "pending": 2,
            "waiting": 1,
            "retrying": 1,
            "delivered": 1,
            "superseded": 1,
            "dead": 1,
            "given_up": 1,
            "holds": True,
            "oldest_waiting": filled.now - 3 * HOUR,
        }
        self.assertEqual(
            self.document("stats"),
            {"holds": True, "all": {**counts, "reporter": ""}, "reporters": [counts]},
        )

    def test_openmetrics(self) -> None:
        """--openmetrics has the same counts, as the parser of the format reads them."""
        filled = self.fill()
        filled.one_of_each()
        self.fill("other").end(1, State.DELIVERED)
        code, output, _ = self.call("stats", "--openmetrics")
        self.assertEqual(code, 0)
        name = "http_status_push_"
        told = {
            (each.name.removeprefix(name), *each.labels.values()): each.value
            for family in text_string_to_metric_families(output)
            for each in family.samples
        }
        self.assertEqual(told["produced_total", "push"], 5)
        for state in State:
            self.assertEqual(told["deliveries", "push", state.value], 1)
        self.assertEqual(told["deliveries", "other", "delivered"], 1)
        self.assertEqual(told["oldest_waiting_timestamp_seconds", "push"], filled.now - 3 * HOUR)
        self.assertNotIn(("oldest_waiting_timestamp_seconds", "other"), told)
        self.assertIn("not allowed with", self.refusal("stats", "--json", "--openmetrics"))

    def test_unaccounted(self) -> None:
        """A delivery that is gone without a trace is told, and the exit code is 1."""
        self.fill().one_of_each()
        with contextlib.closing(sqlite3.connect(self.folder / OUTBOX_FILE)) as connection:
            connection.execute("DELETE FROM http_status_push_deliveries WHERE id = 'msg_dead'")
            connection.commit()
        code, output, _ = self.call("stats")
        self.assertEqual(code, 1)
        self.assertIn("push: the counts are inconsistent: 5 produced, but 4", output)
        code, output, _ = self.call("stats", "--json")
        self.assertEqual((code, json.loads(output)["holds"]), (1, False))

    def test_empty(self) -> None:
        """An outbox into which nothing was put has no faults."""
        self.fill()
        self.assertEqual(self.lines("stats"), ["This outbox has never held a delivery."])
        self.assertEqual(self.document("stats")["reporters"], [])


class ListTests(OutboxTestCase):
    """outbox list."""

    def test_table(self) -> None:
        """What is not delivered or superseded is listed, in order, with age and last answer."""
        self.fill().one_of_each()
        self.assertEqual(
            self.lines("list"),
            [
                "id                   age  state     tries  what              last answer",
                "msg_dead       2 h 1 min  dead          1  build 2 finished  rejected with 410: "
                "gone",
                "msg_retrying   3 h 1 min  retrying      1  build 3 finished  rejected with 422: "
                "[31mno",
                "msg_waiting   4 min 30 s  waiting       0  build 5 finished  -",
            ],
        )

    def test_states(self) -> None:
        """Each state can be asked for, alone and with others."""
        self.fill().one_of_each()
        for state in State:
            self.assertEqual(self.ids(f"--{state.value}"), [f"msg_{state.value}"])
        self.assertEqual(self.ids("--dead", "--delivered"), ["msg_delivered", "msg_dead"])

    def test_none(self) -> None:
        """Where there is none, that is said with the states."""
        self.fill()
        self.assertEqual(self.lines("list"), ["No waiting or retrying or dead deliveries."])
        nothing = {"more": False, "total": 0, "causes": [], "deliveries": []}
        self.assertEqual(self.document("list"), nothing)
        self.assertEqual(self.lines("list", "--page", "2"), ["No deliveries on this page."])

    def test_limit(self) -> None:
        """The oldest or newest are shown, page by page, and whether there are more."""
        filled = self.fill()
        for number in range(1, 4):
            filled.put(number)
        self.assertEqual(self.ids("--limit", "2"), ["msg_1", "msg_2"])
        self.assertEqual(self.ids("--limit", "2", "--page", "2"), ["msg_3"])
        self.assertEqual(self.ids("--limit", "2", "--newest"), ["msg_3", "msg_2"])
        last = "Showing 1 to 2 of 3, oldest first; use --page and --limit for more."
        self.assertEqual(self.lines("list", "--limit", "2")[-1], last)
        self.assertNotIn("Showing", self.lines("list", "--limit", "3")[-1])
        self.assertEqual(
            [self.document("list", "--limit", number)["more"] for number in ("2", "3")],
            [True, False],
        )

    def test_causes(self) -> None:
        """Where a page does not show all, the causes of what waits stand above it."""
        filled = self.fill()
        for number in range(1, 8):
            filled.put(number, HOUR)
        filled.end(8, State.RETRYING, 48 * HOUR)
        came = datetime.fromtimestamp(filled.now - HOUR)
        earlier = datetime.fromtimestamp(filled.now - 48 * HOUR)
        today = "" if came.date() == datetime.now().date() else f"{came:%Y-%m-%d} "
        self.assertEqual(
            self.lines("list", "--limit", "1")[:3],
            [
                f"7 × not tried yet, since {today}{came:%H:%M}",
                f"1 × rejected with 422: [31mno, since {earlier:%Y-%m-%d %H:%M}",
                "",
            ],
        )
        causes = self.document("list")["causes"]
        self.assertEqual([each["count"] for each in causes], [7, 1])

    def test_build(self) -> None:
        """Those of a builder, or of one build by its name or its id, can be asked for."""
        filled = self.fill()
        for number, title in enumerate(("build a#1", "build a#12", "build ab#1"), 1):
            filled.put(number, title=title)
        self.assertEqual(self.ids("--builder", "a"), ["msg_1", "msg_2"])
        self.assertEqual(self.ids("--build", "a#1"), ["msg_1"])
        self.assertEqual(self.ids("--build", "3"), ["msg_3"])
        self.assertIn("write BUILDER#NUMBER such as", self.refusal("list", "--build", "a"))

    def test_reporter(self) -> None:
        """Where several reporters are listed each is named, and one can be asked for."""
        self.fill().put(1)
        other = self.fill("other")
        other.put(2)
        other.put(3)
        self.assertEqual(
            [line.split()[7] for line in self.lines("list")[1:]],
            ["push", "other", "other"],
        )
        self.assertEqual(self.ids("--reporter", "other", "--limit", "2"), ["msg_2", "msg_3"])
        self.assertEqual(self.ids("--reporter", "push", "--limit", "1"), ["msg_1"])
        self.assertNotIn("reporter", self.lines("list", "--reporter", "other")[0])

    def test_width(self) -> None:
        """On a terminal no line is longer than that, whatever the texts; elsewhere all is there."""
        self.fill("a reporter with a name of its own").put(
            1, id="msg_" + "0" * 32, title="build " + "long " * 20
        )
        self.fill("other").end(2, State.DEAD, title="büild\n" + "lang " * 20, id="msg_" + "1" * 32)
        [found] = self.fill().database.transact([inspection.entries])
        found = [evolve(each, outcome="no " * 50 + "no", created_at=0.0) for each in found]
        listing = Listing(states=[], entries=found, total=2)
        lines = list_lines(listing, now=60.0, width=80)
        self.assertEqual([len(line) for line in lines], [80, 80, 80])
        whole = list_lines(listing, now=60.0)
        self.assertTrue(whole[1].endswith(" no no"))
        self.assertTrue(lines[2].startswith("msg_11111111  1 min  dead"))

    def test_document(self) -> None:
        """--json has all keys of a delivery."""
        filled = self.fill()
        filled.end(3, State.RETRYING, 60.0)
        [found] = self.document("list")["deliveries"]
        self.assertEqual(
            found,
            {
                "id": "msg_3",
                "reporter": "push",
                "event": "builds.finished",
                "title": "build 3",
                "build": 3,
                "subject": "build-3",
                "lane": "lane-3",
                "state": "retrying",
                "created_at": filled.now - 60.0,
                "updated_at": filled.now,
                "attempts": 1,
                "next_attempt": filled.now + HOUR,
                "outcome": OUTCOMES[State.RETRYING],
                "content_type": "application/json",
                "size": 20,
            },
        )


class ShowTests(OutboxTestCase):
    """outbox show."""

    def test_all_of_it(self) -> None:
        """Everything about a delivery is shown, and its JSON body in a readable form."""
        self.fill().end(3, State.RETRYING, 60.0)
        lines = self.lines("show", "msg")
        facts = {line[:14].strip(): line[14:] for line in lines[:15]}
        for name in ("entered", "changed", "next attempt"):
            facts[name] = facts[name].partition(" UTC, ")[2]
        self.assertEqual(
            facts,
            {
                "id": "msg_3",
                "reporter": "push",
                "what": "build 3",
                "event": "builds.finished",
                "build": "3",
                "subject": "build-3",
                "lane": "lane-3",
                "state": "retrying",
                "attempts": "1",
                "last answer": "rejected with 422: [31mno",
                "next attempt": "in 58 min 30 s",
                "entered": "2 min 30 s ago",
                "changed": "1 min 30 s ago",
                "content type": "application/json",
                "body": "20 bytes",
            },
        )
        self.assertEqual(lines[15:], ["", "{", '  "state": "success"', "}"])

    def test_body_document(self) -> None:
        """--json has the body as JSON, as text, or as null."""
        filled = self.fill()
        filled.put(1)
        filled.put(2, body='[1, "Grüße"]'.encode(), content_type="text/plain; charset=utf-8")
        filled.put(3, body=b"\xff{")
        filled.end(4, State.DELIVERED)
        bodies = [self.document("show", f"msg_{number}")["body"] for number in range(1, 5)]
        self.assertEqual(bodies, [{"state": "success"}, '[1, "Grüße"]', "\ufffd{", None])

    def test_text_body(self) -> None:
        """A text is shown line by line, without what would steer a terminal."""
        self.fill().put(1, body=b"one\n\x1b[31mtwo\tthree", content_type="text/plain")
        self.assertEqual(self.lines("show", "msg_1")[-2:], ["one", "?[31mtwo\tthree"])

    def test_no_body(self) -> None:
        """Of a delivered one the body is no longer kept."""
        self.fill().end(1, State.DELIVERED)
        self.assertEqual(self.lines("show", "msg_1")[-1], "body          no longer kept")

    def test_no_build(self) -> None:
        """What is about no build is shown without one."""
        self.fill().put(1, build=None)
        self.assertIn("build         -", self.lines("show", "msg_1"))

    def test_ids(self) -> None:
        """An unknown and an ambiguous id are told."""
        filled = self.fill()
        filled.put(10)
        filled.put(11)
        self.assertIn("no delivery's id begins with 'x'", self.refusal("show", "x"))
        self.assertIn(
            "more than one delivery's id begins with 'msg_1'", self.refusal("show", "msg_1")
        )


class ChangeTests(OutboxTestCase):
    """outbox redeliver and outbox drop."""

    def test_redeliver_one(self) -> None:
        """A dead delivery waits to be sent again."""
        self.fill().one_of_each()
        [line] = self.lines("redeliver", "msg_dea")
        self.assertEqual(
            line,
            "Queued msg_dead (build 2) for redelivery; a running master starts within seconds.",
        )
        self.assertEqual(self.ids("--waiting"), ["msg_dead", "msg_waiting"])

    def test_redeliver_dead(self) -> None:
        """--dead takes all that were given up, and nothing else."""
        filled = self.fill()
        filled.one_of_each()
        self.assertEqual(
            self.lines("redeliver", "--dead"),
            ["Queued 1 delivery for redelivery; a running master starts within seconds."],
        )
        self.assertEqual(self.ids("--retrying"), ["msg_retrying"])
        filled.end(6, State.DEAD)
        filled.end(7, State.DEAD)
        self.assertEqual(self.document("redeliver", "--dead"), {"redelivered": 2})

    def test_redeliver_since(self) -> None:
        """--since takes what came since then, dead and retrying."""
        filled = self.fill()
        filled.one_of_each()
        filled.end(6, State.DEAD, 24 * HOUR)
        [line] = self.lines("redeliver", "--since", "4h")
        self.assertTrue(line.startswith("Queued 2 deliveries for redelivery"))
        self.assertEqual(self.ids("--dead"), ["msg_6"])
        earlier = datetime.fromtimestamp(filled.now - 25 * HOUR).isoformat()
        self.assertEqual(self.document("redeliver", "--since", earlier), {"redelivered": 1})

    def test_nothing_to_redeliver(self) -> None:
        """Where there is nothing to redeliver, that is told and the exit code is 1."""
        self.fill().end(1, State.DELIVERED)
        for arguments, words in (
            (("--dead",), "nothing to redeliver: no delivery is dead with its body kept"),
            (("--since", "1h"), "no delivery is dead or retrying since that time"),
        ):
            code, output, errors = self.call("redeliver", *arguments)
            self.assertEqual((code, output), (1, ""))
            self.assertIn(words, errors)

    def test_not_redelivered(self) -> None:
        """What has lost its body, or waits anyway, is refused."""
        self.fill().one_of_each()
        refusal = self.refusal("redeliver", "msg_delivered")
        self.assertIn("it is delivered and its body is not kept", refusal)
        self.assertIn("is waiting: it is sent without", self.refusal("redeliver", "msg_waiting"))
        self.assertIn("no delivery's id begins with 'x'", self.refusal("redeliver", "x"))

    def test_redeliver_what(self) -> None:
        """It must be said what to redeliver, in one way."""
        self.fill()
        self.assertIn("ID --dead --since is required", self.refusal("redeliver"))
        self.assertIn("not allowed with argument", self.refusal("redeliver", "x", "--dead"))
        refusal = self.refusal("redeliver", "--since", "yesterday")
        self.assertIn("an age such as 2h or 3d, or a time such as", refusal)

    def test_drop(self) -> None:
        """A dropped delivery is dead and has no body, so that it is never sent."""
        self.fill().one_of_each()
        self.assertEqual(
            self.lines("drop", "msg_w"),
            ["Dropped msg_waiting (build 5) and deleted its body."],
        )
        shown = self.document("show", "msg_waiting")
        self.assertEqual((shown["state"], shown["body"]), ("dead", None))
        self.assertEqual(self.document("drop", "msg_dead"), {"dropped": 1})
        self.assertIn("there is nothing to drop", self.refusal("drop", "msg_dead"))
        self.assertIn("its body is not kept", self.refusal("redeliver", "msg_dead"))

    def test_drop_many(self) -> None:
        """All of a reporter, or all older ones, are dropped with --yes, and with nothing less."""
        filled = self.fill()
        filled.put(1, 8 * 24 * HOUR)
        filled.put(2)
        self.fill("other").put(3)
        refusal = self.refusal("drop", "--older-than", "7d")
        self.assertIn("use --yes to drop 1 delivery and delete their bodies", refusal)
        self.assertIn("standard input is not a terminal", refusal)
        self.assertEqual(self.document("drop", "--older-than", "7d", "--yes"), {"dropped": 1})
        self.assertEqual(self.lines("drop", "--reporter", "push", "--yes"), ["Dropped 1 delivery."])
        self.assertEqual(self.ids("--waiting"), ["msg_3"])
        code, output, errors = self.call("drop", "--older-than", "7d", "--yes")
        self.assertEqual((code, output), (1, ""))
        self.assertIn("no delivery matches", errors)

    def test_drop_what(self) -> None:
        """It must be said what to drop, in one way."""
        self.fill().put(1)
        for arguments in ((), ("msg_1", "--reporter", "push")):
            self.assertIn("drop requires an ID, --reporter", self.refusal("drop", *arguments))

    def test_question(self) -> None:
        """On a terminal the number is told and a question asked; only yes goes on."""
        self.fill().put(1)
        for answer, code, left in (("\n", 2, ["msg_1"]), ("y\n", 0, [])):
            typed = io.StringIO(answer)
            self.patch(typed, "isatty", lambda: True)
            self.patch(sys, "stdin", typed)
            ended, _, errors = self.call("drop", "--older-than", "1s")
            self.assertEqual(ended, code)
            self.assertTrue(errors.endswith("delete their bodies? [y/N] "), errors)
            self.assertEqual(self.ids("--waiting"), left)

    def test_move(self) -> None:
        """What waits of a reporter that was renamed goes to its new name."""
        filled = self.fill("old")
        filled.put(1)
        filled.put(2)
        filled.put(3)
        self.lines("drop", "msg_3")
        self.fill("new").register_reporter()
        moving = ("move", "--from", "old", "--to", "new")
        refusal = self.refusal(*moving)
        self.assertIn("use --yes to move 2 deliveries from old to new", refusal)
        [line] = self.lines(*moving, "--yes")
        self.assertTrue(line.startswith("Moved 2 deliveries"), line)
        self.assertEqual(self.ids("--reporter", "new"), ["msg_1", "msg_2"])
        self.assertEqual(self.call("stats")[0], 0)
        self.assertIn(
            "must differ, not both 'old'", self.refusal("move", "--from", "old", "--to", "old")
        )

    def test_unknown_reporters(self) -> None:
        """Who names a reporter that this outbox has never served is told who there is."""
        nobody = ("list", "--reporter", "Nope")
        self.fill()
        self.assertIn("(none has used this outbox yet)", self.refusal(*nobody))
        self.fill("old").put(1)
        self.fill("new").register_reporter()
        for option, *action in (
            ("--reporter", *nobody),
            ("--reporter", "export", "--reporter", "Nope"),
            ("--reporter", "drop", "--reporter", "Nope", "--yes"),
            ("--from", "move", "--from", "Nope", "--to", "new", "--yes"),
            ("--to", "move", "--from", "old", "--to", "Nope", "--yes"),
            ("--reporter", "backfill", "--since", "1d", "--reporter", "Nope"),
        ):
            self.assertIn(
                f"{option}: unknown reporter 'Nope' (known: new, old)",
                self.refusal(*action),
            )
        self.assertIn("--reporter: unknown reporter ''", self.refusal("list", "--reporter", ""))


class BackfillTests(OutboxTestCase):
    """outbox backfill where no master runs."""

    def setUp(self) -> None:
        """Wait for no master."""
        super().setUp()
        self.patch(outbox_backfill, "STARTED_WITHIN", 0.0)
        self.patch(outbox_backfill, "LOOK_EVERY", 0.0)

    def fails(self, *arguments: str) -> str:
        """Call it without success; return the last line of the errors."""
        code, output, errors = self.call("backfill", *arguments)
        self.assertEqual((code, output), (1, ""))
        return errors.splitlines()[-1]

    def test_nothing_left_of_a_count(self) -> None:
        """A count that nobody made is wanted no more."""
        self.fill().register_reporter()
        told = self.fails("--since", "1h", "--dry-run")
        self.assertIn("started within 0 s; nothing was counted", told)
        self.assertIn("no backfill of push is in progress", self.fails("--stop"))

    def test_left_for_later(self) -> None:
        """What is to be sent waits for a master, and can be taken back, once."""
        self.fill().register_reporter()
        self.assertIn("starts with the next one", self.fails("--since", "1h"))
        self.assertEqual(self.lines("backfill", "--stop"), ["Stopped the backfill of push."])
        self.assertIn("no backfill of push is in progress", self.fails("--stop"))

    def test_not_replaced(self) -> None:
        """One that is to be sent is not forgotten for another one, nor for a count."""
        self.fill().register_reporter()
        self.fails("--since", "1h")
        for more in ((), ("--dry-run",)):
            refusal = self.refusal("backfill", "--since", "1h", *more)
            self.assertIn("another backfill of push waits for a master: stop it with", refusal)
        self.lines("backfill", "--stop")

    def test_whose(self) -> None:
        """Whose past it is must be clear."""
        past = ("backfill", "--since", "1h")
        self.fill()
        self.assertIn("no reporter has used this outbox yet", self.refusal(*past))
        self.fill("old").register_reporter()
        self.fill("new").register_reporter()
        self.assertIn("choose one with --reporter (new, old)", self.refusal(*past))


class ExportTests(OutboxTestCase):
    """outbox export."""

    def test_lines(self) -> None:
        """Each delivery is a line of JSON with its body; some can be chosen."""
        self.fill().one_of_each()
        found = [json.loads(line) for line in self.lines("export")]
        self.assertEqual(len(found), 5)
        bodies = {each["state"]: each["body"] for each in found}
        self.assertIsNone(bodies["delivered"])
        self.assertEqual(bodies["dead"], {"state": "success"})
        [one] = self.lines("export", "--dead")
        self.assertEqual(json.loads(one), self.document("show", "msg_dead"))


class CheckTests(OutboxTestCase):
    """outbox check, and what stats says of health."""

    def check(self, *arguments: str) -> tuple[int, str]:
        """Return the exit code and the line."""
        code, output, errors = self.call("check", *arguments)
        self.assertEqual(errors, "")
        return code, output.strip()

    def test_well(self) -> None:
        """All is well while nothing waits for long and nothing was given up."""
        self.fill().put(1)
        code, line = self.check()
        self.assertEqual(code, 0)
        self.assertRegex(
            line,
            r"^OUTBOX OK - 1 pending, oldest 1 min 30 s, 0 dead "
            r"\| waiting=1;;;0 oldest=90s;;600;0 given_up=0;0;;0$",
        )
        self.assertNotIn("waited", "".join(self.lines("stats")))

    def test_dead(self) -> None:
        """One that was given up is a warning, unless that is allowed; a dropped one is none."""
        filled = self.fill()
        filled.end(1, State.DEAD)
        code, line = self.check()
        self.assertEqual((code, line.split(" - ")[0]), (1, "OUTBOX WARNING"))
        self.assertEqual(self.check("--max-dead", "1")[0], 0)
        self.assertIn("push: 1 dead: see 'outbox list --dead'", self.lines("stats")[-1])
        self.lines("drop", "msg_1")
        self.assertEqual(self.check()[0], 0)
        self.assertIn("1 dead (0 can be redelivered)", self.lines("stats")[-1])

    def test_waits(self) -> None:
        """One that waits for too long is critical."""
        self.fill().put(1, HOUR)
        code, line = self.check()
        self.assertEqual((code, line.split(" - ")[0]), (2, "OUTBOX CRITICAL"))
        self.assertEqual(self.check("--max-age", "2h")[0], 0)
        document = json.loads(self.check("--json", "--max-age", "2h")[1])
        self.assertEqual((document["status"], document["waiting"]), (0, 1))
        self.assertIn("push: oldest delivery pending for 1 h 1 min", self.lines("stats")[-1])
        self.assertIn("write a time such as 10m", self.refusal("check", "--max-age", "soon"))

    def test_unknown(self) -> None:
        """An outbox that is not there, or can't be read, is unknown."""
        code, output, errors = self.call("check")
        self.assertEqual((code, errors), (3, ""))
        self.assertTrue(output.startswith("OUTBOX UNKNOWN - no outbox at"), output)
        told = json.loads(self.check("--json")[1])
        self.assertEqual(told["status"], 3)
        self.assertIn("no outbox at", told["reason"])

    def test_unaccounted(self) -> None:
        """What is not accounted for is critical."""
        self.fill().one_of_each()
        with contextlib.closing(sqlite3.connect(self.folder / OUTBOX_FILE)) as connection:
            connection.execute("DELETE FROM http_status_push_deliveries WHERE id = 'msg_dead'")
            connection.commit()
        code, line = self.check("--max-age", "1d")
        self.assertEqual(code, 2)
        self.assertIn("counts inconsistent (5 produced)", line)


class FollowTests(OutboxTestCase):
    """--follow."""

    def test_follow(self) -> None:
        """What changes is shown again until Ctrl-C; what does not is not repeated."""
        for action, before, after in (
            ("list", "No waiting", "msg_1"),
            ("stats", "This outbox has never", "The counts are consistent: 1 produced"),
        ):
            filled = self.fill()
            followed = Command("outbox", action, *self.where, "--follow")
            self.addCleanup(followed.kill)
            self.assertIn(before, followed.line())
            filled.put(1)
            followed.line(lambda line, after=after: after in line)
            followed.interrupt()
            code, _, errors = followed.end()
            self.assertEqual((code, errors), (0, ""))
            filled.database.close()
            for file in self.folder.iterdir():
                file.unlink()


class OpeningTests(OutboxTestCase):
    """Which outbox, and what if there is none."""

    def at(self, url: str) -> None:
        """Ask for the outbox of a URL from now on."""
        self.where = ["--url", url]

    def test_name(self) -> None:
        """The outbox is looked for where the reporter makes it."""
        self.assertEqual(OUTBOX_FILE, placement.OUTBOX_FILE)

    def test_url(self) -> None:
        """A SQLite URL names any file."""
        self.fill().put(1)
        self.at(file_url(self.folder / OUTBOX_FILE))
        self.assertEqual(self.ids(), ["msg_1"])

    def test_current_folder(self) -> None:
        """Without a folder the current one is the master's."""
        self.fill().put(1)
        command = [sys.executable, "-m", "buildbot_http_status_push", "outbox", "list", "--json"]
        ended = subprocess.run(command, capture_output=True, check=True, cwd=self.folder)
        self.assertEqual(json.loads(ended.stdout)["deliveries"][0]["id"], "msg_1")

    def test_no_folder(self) -> None:
        """A folder that does not exist is told, and not made."""
        missing = self.folder / "missing"
        self.where = ["--basedir", str(missing)]
        self.assertIn(f"--basedir: no such directory: '{missing}'", self.refusal("stats"))
        self.assertFalse(missing.exists())

    def test_no_outbox(self) -> None:
        """A folder without an outbox is told, and none is made."""
        refusal = self.refusal("stats")
        self.assertIn(f"no outbox at '{self.folder / OUTBOX_FILE}'", refusal)
        self.assertIn("--basedir", refusal)
        self.at(f"sqlite:///{self.folder}/other.sqlite")
        self.assertIn("other.sqlite", self.refusal("stats"))
        self.at("sqlite://")
        self.assertIn("no outbox tables", self.refusal("stats"))
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_no_outbox_in_the_file(self) -> None:
        """A file that holds something else is told, and left as it is."""
        file = self.folder / OUTBOX_FILE
        with contextlib.closing(sqlite3.connect(self.folder / "other")) as connection:
            connection.execute("CREATE TABLE builds (id INTEGER)")
            connection.commit()
        for content, words in (
            (b"", "it has no outbox tables"),
            ((self.folder / "other").read_bytes(), "it has no outbox tables"),
            (b"noise " * 1000, "file is not a database"),
        ):
            file.write_bytes(content)
            self.assertIn(words, self.refusal("stats"))
            self.assertEqual(file.read_bytes(), content)

    def test_bad_urls(self) -> None:
        """A URL that can't be used is told without its password."""
        for url, words in (
            ("mysql://me:hush@127.0.0.1/x", "argument --url: write a SQLAlchemy URL such as"),
            ("postgresql://me:hush@127.0.0.1:hush/x", "write a SQLAlchemy URL such as"),
            ("postgresql+nodriver://me:hush@127.0.0.1/x", "cannot open the outbox"),
            ("postgresql://me:hush@/x?host=/is/not", "cannot open the outbox"),
        ):
            self.at(url)
            refusal = self.refusal("stats")
            self.assertIn(words, refusal)
            self.assertNotIn("hush", refusal)

    def test_imports(self) -> None:
        """Neither Buildbot nor a reactor is imported."""
        self.fill().put(1)
        script = (
            "import sys; from buildbot_http_status_push.commands.main import main;"
            f"main(['outbox', 'list', '--basedir', {str(self.folder)!r}]);"
            "print(sorted({'buildbot', 'twisted.internet.reactor'} & set(sys.modules)))"
        )
        ended = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        )
        self.assertEqual(ended.stdout.splitlines()[-1], "[]")


READING = (("stats",), ("stats", "--json"), ("list",), ("check",), ("show", "msg_"), ("export",))


class EncodingTests(OutboxTestCase):
    """Output that cannot show every character."""

    def test_ascii(self) -> None:
        """A character that the output's encoding lacks is escaped, and all else is shown."""
        filled = self.fill()
        filled.put(1, title="build bücher#1")
        filled.put(2, title="build two#2")
        code, output, errors = run(
            *("outbox", "list", *self.where, "--limit", "1"),
            environment={"PYTHONIOENCODING": "ascii"},
        )
        self.assertEqual((code, errors), (0, ""))
        self.assertIn(r"build b\xfccher#1", output)


class ReadOnlyTests(OutboxTestCase):
    """What looks into an outbox changes nothing in it, and needs nothing but read access."""

    def sql(self, *statements: str) -> None:
        """Change the file behind the command's back."""
        with contextlib.closing(sqlite3.connect(self.folder / OUTBOX_FILE)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    def versions(self) -> list[int]:
        """Return the schema versions that the outbox has had."""
        with contextlib.closing(sqlite3.connect(self.folder / OUTBOX_FILE)) as connection:
            found = connection.execute("SELECT version FROM http_status_push_schema")
            return [version for (version,) in found]

    def test_locked(self) -> None:
        """Reading does not wait for a connection that is writing."""
        self.fill().put(1)
        with contextlib.closing(sqlite3.connect(self.folder / OUTBOX_FILE)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            for action in READING:
                self.assertEqual(self.call(*action)[::2], (0, ""))

    def test_another_user(self) -> None:
        """A user with read access alone sees it all, whether a master has it open or not."""
        filled = self.fill()
        filled.put(1)
        for path in (self.folder, *self.folder.iterdir()):
            path.chmod(0o555 if path.is_dir() else 0o444)
        self.addCleanup(self.folder.chmod, 0o755)
        for action in ("list", "check", "stats"):
            self.assertEqual(self.as_another_user(action), (0, ""))
        filled.database.close()
        self.assertEqual([path.name for path in self.folder.iterdir()], [OUTBOX_FILE])
        self.assertEqual(self.as_another_user("list"), (0, ""))
        self.assertEqual([path.name for path in self.folder.iterdir()], [OUTBOX_FILE])
        self.folder.chmod(0o000)
        code, errors = self.as_another_user("list")
        self.assertEqual((code, len(errors.splitlines())), (2, 1))
        self.assertIn("cannot read the outbox", errors)

    def as_another_user(self, action: str, *arguments: str) -> tuple[int, str]:
        """Run the command as a user with few rights; return the exit code and the errors."""
        ended = subprocess.run(
            [*WITHOUT_PRIVILEGE, *COMMAND, "outbox", action, *self.where, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        return ended.returncode, ended.stderr

    def test_no_file_is_made(self) -> None:
        """Reading what no process has open leaves no file behind that is not the owner's."""
        filled = self.fill()
        filled.put(1)
        filled.database.close()
        for action in READING:
            self.assertEqual(self.call(*action)[::2], (0, ""))
        self.assertEqual([path.name for path in self.folder.iterdir()], [OUTBOX_FILE])

    def test_older_schema(self) -> None:
        """An older outbox is read as it is; only its master upgrades it."""
        self.fill().put(1)
        self.sql(
            "UPDATE http_status_push_schema SET version = 1",
            "DROP TABLE http_status_push_backfills",
        )
        for action in READING:
            self.assertEqual(self.call(*action)[::2], (0, ""))
        for changing in (("redeliver", "--dead"), ("drop", "msg_1"), ("backfill", "--stop")):
            self.assertIn(
                "its schema version is 1, this version of buildbot-http-status-push has",
                self.refusal(*changing),
            )
        self.assertEqual(self.versions(), [1])

    def test_newer_schema(self) -> None:
        """A newer outbox is read as long as the columns are there, else rejected in one line."""
        self.fill().put(1)
        self.sql("UPDATE http_status_push_schema SET version = 99")
        for action in READING:
            self.assertEqual(self.call(*action)[::2], (0, ""))
        self.assertIn("its schema version is 99", self.refusal("redeliver", "--dead"))
        self.sql("ALTER TABLE http_status_push_deliveries RENAME COLUMN outcome TO answer")
        code, output, errors = self.call("list")
        self.assertEqual((code, output, len(errors.splitlines())), (2, "", 1))
        self.assertIn("its schema version is 99", errors)

    def test_counted_once(self) -> None:
        """``stats --json`` counts once."""
        self.fill().put(1)
        counted = []
        count = inspection.stats
        self.patch(inspection, "stats", lambda found: counted.append(1) or count(found))
        self.document("stats")
        self.assertEqual(len(counted), 1)


class PostgreSQLTests(OutboxTestCase):
    """The same on PostgreSQL."""

    def setUp(self) -> None:
        """Begin with an empty database."""
        super().setUp()
        server = postgres.server()
        server.clear()
        self.url = server.url()
        self.where = ["--url", self.url]

    def test_all_actions(self) -> None:
        """Every action works there."""
        filled = Filled(self.url)
        self.addCleanup(filled.database.close)
        filled.one_of_each()
        self.assertEqual(self.document("stats")["all"]["produced"], 5)
        self.assertEqual(self.ids(), ["msg_dead", "msg_retrying", "msg_waiting"])
        self.assertEqual(self.document("show", "msg_w")["body"], {"state": "success"})
        self.assertEqual(self.document("redeliver", "msg_dead"), {"redelivered": 1})
        self.assertEqual(self.document("redeliver", "--since", "1d"), {"redelivered": 1})
        self.assertEqual(self.document("drop", "msg_retrying"), {"dropped": 1})
        self.assertEqual(len(self.lines("export")), 5)
        self.assertEqual(self.call("check")[0], 0)
        renamed = Filled(self.url, "new")
        self.addCleanup(renamed.database.close)
        renamed.register_reporter()
        moving = ("move", "--from", "push", "--to", "new", "--yes")
        self.assertEqual(self.document(*moving), {"moved": 2})
        self.assertEqual(self.document("drop", "--reporter", "new", "--yes"), {"dropped": 2})
        dropped = ["msg_dead", "msg_retrying", "msg_waiting"]
        self.assertEqual(sorted(self.ids("--dead")), dropped)

    def test_reading_only(self) -> None:
        """A role that may only read can look into it, also while somebody writes."""
        filled = Filled(self.url)
        self.addCleanup(filled.database.close)
        filled.put(1)
        engine = sa.create_engine(self.url)
        self.addCleanup(engine.dispose)
        with engine.begin() as connection:
            connection.execute(sa.text("DROP ROLE IF EXISTS looker"))
            connection.execute(sa.text("CREATE ROLE looker LOGIN"))
            connection.execute(sa.text("GRANT USAGE ON SCHEMA public TO looker"))
            connection.execute(sa.text("GRANT SELECT ON ALL TABLES IN SCHEMA public TO looker"))
        self.where = ["--url", self.url.replace("tests@", "looker@")]
        with engine.begin() as writer:
            writer.execute(sa.text(f"SELECT pg_advisory_xact_lock({LOCK_NUMBER})"))
            for action in READING:
                self.assertEqual(self.call(*action)[::2], (0, ""))

    def test_no_outbox(self) -> None:
        """A database without an outbox is told, and none is made."""
        for _ in range(2):
            self.assertIn("it has no outbox tables", self.refusal("stats"))


class RunningMasterTests(ReporterTestCase):
    """On the outbox of a master that runs."""

    timeout = 60

    async def until(self, holds: Callable[[Any], bool], action: str, *arguments: str) -> Any:
        """Run the command again and again until its document is as wanted."""
        where = ("--basedir", str(self.folder / "master"), "--json")
        while True:
            code, output, errors = await deferToThread(run, "outbox", action, *where, *arguments)
            self.assertEqual((code, errors), (0, ""))
            document = json.loads(output)
            if holds(document):
                return document

    @async_to_deferred
    async def test_redeliver(self) -> None:
        """What a receiver has refused for good is listed, and sent when it is redelivered."""
        inbox, url = await self.open_inbox()
        inbox.behave(fail=410)
        services = [HttpStatusPush(url)]
        master = await self.start_master(configuration(services, {"docs": [EndWith(SUCCESS)]}))
        await master.build("docs")
        listed = await self.until(lambda found: len(found["deliveries"]) == 2, "list", "--dead")
        finished = listed["deliveries"][1]
        self.assertEqual(
            (finished["event"], finished["outcome"]),
            ("builds.finished", "rejected with 410: failing on request"),
        )
        inbox.behave()
        await self.until(lambda found: found == {"redelivered": 1}, "redeliver", finished["id"])
        await inbox.until(1)
        self.assertEqual([each.id for each in inbox.statuses], [finished["id"]])
        await self.until(lambda found: found["state"] == "delivered", "show", finished["id"])
        await self.until(lambda found: found["holds"], "stats")


class WordsTests(SynchronousTestCase):
    """The small forms."""

    def test_table(self) -> None:
        """Columns are aligned, numbers to the right, and what is too long is cut."""
        rows = [["a", "bb", "c"], ["aaa", "b", "c" * 200]]
        lines = table(rows, right=[1], width=100)
        self.assertEqual(lines[0], "a    bb  c")
        self.assertEqual(lines[1], "aaa   b  " + "c" * 88 + "...")

    def test_times(self) -> None:
        """A time is an age, or ISO 8601 with a time zone or the local one."""
        now = 1_700_000_000.0
        for text, seconds in (
            ("90s", now - 90),
            ("2h", now - 7200),
            ("3d", now - 259200),
            ("1w", now - 604800),
            ("2023-11-14T22:13:20Z", now),
            ("2023-11-14T23:13:20+01:00", now),
            (datetime.fromtimestamp(now).isoformat(), now),
        ):
            self.assertEqual(seconds_of(parse_time(text), now), seconds)
        self.assertEqual(parse_time("5m"), timedelta(minutes=5))

    def test_no_times(self) -> None:
        """What is no time is rejected with what would be one."""
        for text in ("", "2x", "h", "-2h", "yesterday", "2023-13-01", "9999999d", "0001-01-01"):
            with self.assertRaises(ArgumentTypeError) as refused:
                parse_time(text)
            self.assertIn(f"such as 2026-01-31T08:00, not {text!r}", str(refused.exception))
        with self.assertRaisesRegex(ArgumentTypeError, "9999-01-01 is in the future"):
            parse_time("9999-01-01")

"""The receivers in examples/, as processes of their own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from buildbot.process.results import FAILURE, RETRY, SUCCESS
from buildbot.util.twisted import async_to_deferred
from jsonschema import Draft202012Validator
from support.commands import temporary_folder
from support.examples import BUILD, KEY, Example, finished
from support.master import BUILDERS, RESULTS, MasterTestCase, configuration
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.report.contract import body_schema
from buildbot_http_status_push.reporter import HttpStatusPush
from buildbot_http_status_push.signing import sign

pytestmark = pytest.mark.once


NEW, FINISHED = "builds.new", "builds.finished"
BEGUN = BUILD["started_at"]
FLASK = "receiver_flask.py"
FASTAPI = "receiver_fastapi.py"
NODE = "receiver.mjs"

Case = SynchronousTestCase if TYPE_CHECKING else object


class Receiver(Case):
    """What holds for every receiver."""

    program: str

    def setUp(self) -> None:
        """Start the program in an empty folder."""
        self.folder = temporary_folder(self)
        self.example = self.start()

    def start(self) -> Example:
        """Start the program; it ends with the test."""
        example = Example(self.program, self.folder)
        self.addCleanup(example.kill)
        return example

    def post(self, body: Any, event: str, message_id: str, **changes: Any) -> int:
        """Post a signed delivery, and return the HTTP status code."""
        return self.example.post(body, event, message_id, **changes)[0]

    def results(self) -> list[tuple[int | None, int | None]]:
        """Return result and end of each build that is listed."""
        return [(each["results"], each["complete_at"]) for each in self.example.builds()]

    def test_accepted(self) -> None:
        """A build's begin and end are accepted, and it is listed once, with its end."""
        self.assertEqual(self.post(BUILD, NEW, "msg_1"), 200)
        self.assertEqual(self.results(), [(None, None)])
        self.assertEqual(self.post(finished(FAILURE, BEGUN + 9), FINISHED, "msg_2"), 200)
        [build] = self.example.builds()
        expected = {name: BUILD[name] for name in ("buildid", "number", "started_at", "url")}
        expected |= {"builder": "linux", "results": FAILURE, "complete_at": BEGUN + 9}
        self.assertEqual(build, expected)

    def test_repeated(self) -> None:
        """A delivery that comes again is accepted, and counts once."""
        _, first = self.example.post(BUILD, NEW, "msg_1")
        code, again = self.example.post(finished(SUCCESS, BEGUN + 9), FINISHED, "msg_1")
        self.assertIn("kept", first)
        self.assertEqual(code, 200)
        self.assertIn("duplicate", again)
        self.assertEqual(self.results(), [(None, None)])

    def test_tampered(self) -> None:
        """A change of body, id or time, another key and an old time are rejected with 401."""
        now = int(time.time())
        changed: list[dict[str, Any]] = [
            {"sent_body": b'{"buildid": 2}'},
            {"sent_id": "msg_2"},
            {"sent_at": now - 1, "signed_at": now},
            {"key": "another key"},
            {"signed_at": now - 400},
            {"signed_at": now + 400},
        ]
        for changes in changed:
            self.assertEqual(self.post(BUILD, NEW, "msg_1", **changes), 401, changes)
        self.assertEqual(self.results(), [])

    def test_shifted(self) -> None:
        """An old delivery is refused whose text passes, cut elsewhere, for a new one."""
        now = int(time.time())
        old = str(now - 9999)
        headers = {
            "webhook-id": f"msg_1.{old}",
            "webhook-timestamp": str(now),
            "webhook-signature": sign(KEY, "msg_1", int(old), f"{now}.text".encode()),
        }
        self.assertEqual(self.example.ask("POST", "/submit", b"text", headers)[0], 401)

    def test_unsigned(self) -> None:
        """A request without a signature is rejected with 401."""
        self.assertEqual(self.example.ask("POST", "/submit", b"{}", {})[0], 401)

    def test_late_start(self) -> None:
        """A start that comes after its finish is accepted, and the finish stays."""
        self.post(finished(SUCCESS, BEGUN + 9), FINISHED, "msg_2")
        self.assertEqual(self.post(BUILD, NEW, "msg_1"), 200)
        self.assertEqual(self.results(), [(SUCCESS, BEGUN + 9)])

    def test_two_finishes(self) -> None:
        """Of two finishes the later one counts, in whichever order they come."""
        lost, real = finished(RETRY, BEGUN + 5), finished(SUCCESS, BEGUN + 9)
        self.post(lost, FINISHED, "msg_1")
        self.post(real, FINISHED, "msg_2")
        self.assertEqual(self.results(), [(SUCCESS, BEGUN + 9)])
        self.post(lost, FINISHED, "msg_3")
        self.assertEqual(self.results(), [(SUCCESS, BEGUN + 9)])

    def test_new_database(self) -> None:
        """A build with an id that was there before, but of another time, is another build."""
        self.post(finished(SUCCESS, BEGUN + 9), FINISHED, "msg_1")
        self.post(BUILD | {"started_at": BEGUN + 99}, NEW, "msg_2")
        self.assertCountEqual(self.results(), [(SUCCESS, BEGUN + 9), (None, None)])

    def test_other_event(self) -> None:
        """An event that is no build is accepted, and nothing is listed."""
        self.assertEqual(self.post({"text": "hello"}, "ping", "msg_1"), 200)
        self.assertEqual(self.results(), [])

    def test_no_build(self) -> None:
        """A build's event without a build is rejected with 422, and the next one is taken."""
        bodies: list[Any] = [b"no JSON", [], {"buildid": 1}, None]
        for body in bodies:
            self.assertEqual(self.post(body, NEW, "msg_1"), 422, body)
        self.assertEqual(self.post(BUILD, NEW, "msg_1"), 200)

    def test_crash(self) -> None:
        """What was answered is still known after a crash."""
        self.post(BUILD, NEW, "msg_1")
        self.post(finished(SUCCESS, BEGUN + 9), FINISHED, "msg_2")
        self.example.kill()
        self.example = self.start()
        self.assertEqual(self.results(), [(SUCCESS, BEGUN + 9)])
        self.assertIn("duplicate", self.example.post(BUILD, NEW, "msg_1")[1])


class FlaskReceiver(Receiver, SynchronousTestCase):
    """The receiver with Flask."""

    program = FLASK


class FastAPIReceiver(Receiver, SynchronousTestCase):
    """The receiver with FastAPI."""

    program = FASTAPI


class NodeReceiver(Receiver, SynchronousTestCase):
    """The receiver in Node."""

    program = NODE

    def test_line_cut_short(self) -> None:
        """A line that a crash has cut short is passed over, and later lines are not lost."""
        self.post(BUILD, NEW, "msg_1")
        self.example.kill()
        with (self.folder / "builds.jsonl").open("a") as file:
            file.write('\n{"id": "msg_2", "bui')
        self.example = self.start()
        self.assertIn("kept", self.example.post(finished(0, BEGUN + 9), FINISHED, "msg_2")[1])
        self.example.kill()
        self.example = self.start()
        self.assertEqual(self.results(), [(SUCCESS, BEGUN + 9)])


class Bodies(SynchronousTestCase):
    """The bodies that these tests post."""

    def test_contract(self) -> None:
        """The bodies are what the contract says, with no more than it requires."""
        schema = body_schema()
        validator = Draft202012Validator(schema)
        for body in (BUILD, finished(SUCCESS, BEGUN + 9)):
            validator.validate(body)
            self.assertEqual(set(body) - {"a key of tomorrow"}, set(schema["required"]))


class RealMaster(MasterTestCase):
    """The reporter of a real master, and the receiver with FastAPI."""

    @async_to_deferred
    async def test_signed_builds(self) -> None:
        """The receiver lists the builds of a master as they have ended."""
        example = Example(FASTAPI, self.folder)
        self.addCleanup(example.kill)
        reporter = HttpStatusPush(f"{example.url}/submit", signing_secret=KEY)
        builders = {name: BUILDERS[name] for name in ("success", "warnings", "failure")}
        master = await self.start_master(configuration([reporter], builders))
        for name in builders:
            await master.build(name)
        await deferToThread(example.wait_for, "POST /submit", 2 * len(builders))
        listed = await deferToThread(example.builds)
        self.assertEqual(
            {each["builder"]: each["results"] for each in listed},
            {name: RESULTS[name] for name in builders},
        )

"""What is said, and where it is written down."""

from __future__ import annotations

import json
from email import message_from_bytes
from email.policy import SMTP
from pathlib import Path

import jsonschema
from attrs import evolve
from support.incidents import AT, an_incident, over
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.incidents.incident import Claim, Incident, Suspects
from buildbot_http_status_push.board.model import SourceChange
from buildbot_http_status_push.board.notify import composing, texts
from buildbot_http_status_push.board.notify.announcing import (
    CHANGED_EVENT,
    CLOSED_EVENT,
    OPENED_EVENT,
    PARTIAL,
    Announcement,
)
from buildbot_http_status_push.board.notify.composing import (
    Addressee,
    Envelope,
    delivery_of,
    summary_of,
)
from buildbot_http_status_push.board.notify.example import example

ROOT = Path(__file__).parents[3]
URL = "https://board.example.org/"


def opened(incident: Incident) -> Announcement:
    """Return the first message of an incident."""
    return Announcement(event=OPENED_EVENT, incident=incident, rule="all")


class SentencesTest(SynchronousTestCase):
    """Sentences."""

    def test_all_are_documented(self) -> None:
        """The reference has each sentence that there is, and each that there is not."""
        page = (ROOT / "docs" / "reference" / "notify.md").read_text("utf-8")
        tables = (texts.SENTENCES, texts.TAILS, texts.ENDINGS, texts.AGAIN_GOOD, texts.NOTES)
        every = [text for table in tables for text in table.values()]
        for text in (*every, *texts.NEVER, texts.SUMMARY, texts.TEST):
            self.assertIn(f"`{text}`", page)

    def test_where(self) -> None:
        """Many builders are a number, with a tag or a beginning that they share."""
        place = an_incident().first
        for names, tags, expected in (
            (("linux",), (), "linux"),
            (("linux", "mac"), (), "linux and mac"),
            (("a", "b", "c"), ("tier-1",), "3 builders tagged tier-1"),
            (("linux-a", "linux-b", "linux-c"), (), "3 builders linux-*"),
            (("a", "b", "c"), (), "3 builders"),
            (("x" * 90,), (), "x" * 31 + "…"),
        ):
            places = [evolve(place, builder_name=name, tags=tags) for name in names]
            self.assertEqual(texts.where(places), expected)

    def test_strangers(self) -> None:
        """What strangers write stays in its place: no line break, no markup, no second header."""
        reason = an_incident().reasons[0]
        named = evolve(reason.reason, text="<!channel>\r\nBcc: a@b.example *bold*")
        incident = an_incident(
            reasons=(evolve(reason, reason=named),),
            suspects=Suspects(
                changes=(SourceChange(author="<@U1> Eve", comment="<!here>\nx"),), count=1
            ),
            claim=Claim(by="<!everyone>", at=AT, note="a\nb"),
        )
        slack = delivery_of(opened(incident), Addressee(name="c", kind="slack"), URL, AT)
        for mention in ("<!channel>", "<!here>", "<!everyone>", "<@U1>"):
            self.assertNotIn(mention, slack.body.decode())
        envelope = Envelope(sender="b@example.org", recipient="c@example.org")
        to = Addressee(name="c", kind="mail", envelope=envelope)
        head = delivery_of(opened(incident), to, URL, AT).body.partition(b"\r\n\r\n")[0]
        self.assertNotIn(b"\r\nBcc:", head)

    def test_encoded_words(self) -> None:
        """What looks like an encoded word in a line stays text: it holds no line end in a mail."""
        reason = an_incident().reasons[0]
        named = evolve(reason.reason, text="=?utf-8?q?=0D=0ABcc:_a@b.example?=")
        incident = an_incident(reasons=(evolve(reason, reason=named),))
        envelope = Envelope(sender="b@example.org", recipient="c@example.org")
        to = Addressee(name="c", kind="mail", envelope=envelope)
        mail = message_from_bytes(delivery_of(opened(incident), to, URL, AT).body, policy=SMTP)
        self.assertIn("?utf-8?q?=0D=0ABcc:_a@b.example?", mail["Subject"])

    def test_kept_back(self) -> None:
        """What is kept back is counted, the most first; what only waits is not."""
        kept = ["known", "flaky", "flaky", "early", "no rule", "claimed"]
        ages = [9 * 86_400, 5, 6, 99 * 86_400, 1, 1]
        expected = "held back: 2 flaky, 1 known, 1 claimed, oldest 9 d"
        self.assertEqual(texts.kept_back(kept, ages), expected)
        self.assertEqual(texts.kept_back(["early"], [5.0]), "")


class BodyTest(SynchronousTestCase):
    """The body that programs get."""

    def test_schema(self) -> None:
        """Each kind of message fulfils the schema that comes with the package."""
        path = Path(composing.__file__).parent / "schemas" / "incident-1.json"
        schema = json.loads(path.read_text("utf-8"))
        to = Addressee(name="bot", kind="json")
        ended = over(an_incident(), AT + 60)
        claimed = evolve(an_incident(), claim=Claim(by="ada", at=AT))
        for announcement in (
            opened(claimed),
            Announcement(event=CHANGED_EVENT, incident=claimed, changes=(PARTIAL,), number=2),
            Announcement(event=CLOSED_EVENT, incident=ended, is_past=True),
            example("all", AT),
        ):
            body = json.loads(delivery_of(announcement, to, URL, AT).body)
            jsonschema.validate(body, schema)
            self.assertIsNotNone(body["incident"]["builders"])
        jsonschema.validate(json.loads(summary_of(3, to, URL, AT).body), schema)

    def test_ids(self) -> None:
        """A message's id is derived from destination, incident and number, and nothing else."""
        one = Addressee(name="one", kind="json")
        first = delivery_of(opened(an_incident()), one, URL, AT)
        self.assertEqual(first.id, delivery_of(opened(an_incident()), one, URL, AT + 9).id)
        other = Addressee(name="other", kind="json")
        self.assertNotEqual(first.id, delivery_of(opened(an_incident()), other, URL, AT).id)

"""Who may send statuses and who may read."""

from __future__ import annotations

import base64

from support.statuses import NOW
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push import signing
from buildbot_http_status_push.board.http.access import Access, AccessError

KEY, OLD_KEY, OTHER_KEY = "a key of the sender", "its former key", "somebody else's"
BODY = b"{}"


def basic(credentials: str, scheme: str = "Basic") -> str:
    """Return an Authorization header."""
    return f"{scheme} {base64.b64encode(credentials.encode()).decode()}"


def signed(*keys: str, at: float = NOW, body: bytes = BODY) -> dict[str, str]:
    """Return a signature's headers."""
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at)),
        "webhook-signature": signing.sign(keys, "msg_1", int(at), body),
    }


class SenderTests(SynchronousTestCase):
    """Senders."""

    def refusal(self, access: Access, headers: dict[str, str], body: bytes = BODY) -> str:
        """Return the sentence of a refusal."""
        return str(self.assertRaises(AccessError, access.check_sender, headers, body, NOW))

    def test_open(self) -> None:
        """Where nothing is asked for, anybody may send."""
        self.assertTrue(Access().is_open)
        Access().check_sender({}, BODY, NOW)

    def test_signature(self) -> None:
        """A signature by any of the keys will do, so that a key can be replaced by another."""
        access = Access(keys=(KEY, OLD_KEY))
        self.assertFalse(access.is_open)
        for keys in ((KEY,), (OLD_KEY,), (OTHER_KEY, KEY)):
            access.check_sender(signed(*keys), BODY, NOW)

    def test_wrong_signature(self) -> None:
        """No signature, another's, one of another body, and an old one are refused."""
        access = Access(keys=(KEY,))
        self.assertIn("webhook-id is missing", self.refusal(access, {}))
        self.assertIn("no signature", self.refusal(access, signed(OTHER_KEY)))
        self.assertIn("no signature", self.refusal(access, signed(KEY), b"{} "))
        self.assertIn("too old", self.refusal(access, signed(KEY, at=NOW - 301)))
        self.assertIn("too far in the future", self.refusal(access, signed(KEY, at=NOW + 301)))

    def test_password(self) -> None:
        """A user with the right password may send; capitals of the scheme don't matter."""
        access = Access(senders={"Bär": "päss:word"})
        self.assertFalse(access.is_open)
        access.check_sender({"authorization": basic("Bär:päss:word")}, BODY, NOW)
        access.check_sender({"authorization": basic("Bär:päss:word", "bASIC")}, BODY, NOW)

    def test_wrong_password(self) -> None:
        """Whatever else stands in the header is refused, and never told of."""
        access = Access(senders={"ci": "pw", "empty": ""})
        wrong = ("ci:", "ci:pw ", "CI:pw", ":", "ci", "other:pw", ":pw", "", "nobody:")
        for header in (*map(basic, wrong), basic("ci:pw", "Bearer"), "Basic", "Basic %%", "ü"):
            self.assertIn("missing or wrong", self.refusal(access, {"authorization": header}))
        self.assertIn("missing or wrong", self.refusal(access, {}))

    def test_both(self) -> None:
        """Where both are asked for, one of them is not enough."""
        access = Access(keys=(KEY,), senders={"ci": "pw"})
        password = {"authorization": basic("ci:pw")}
        self.assertIn("password", self.refusal(access, signed(KEY)))
        self.assertIn("webhook-id", self.refusal(access, password))
        access.check_sender({**signed(KEY), **password}, BODY, NOW)

    def test_secrets_unseen(self) -> None:
        """Keys and passwords are not in the value's text, which may reach a log."""
        access = Access(keys=(KEY,), senders={"ci": "hush"}, readers={"me": "hush"})
        self.assertNotIn(KEY, repr(access))
        self.assertNotIn("hush", repr(access))


class ReaderTests(SynchronousTestCase):
    """Readers."""

    def test_public(self) -> None:
        """Everybody may read a board without readers."""
        Access(senders={"ci": "pw"}).check_reader(None)

    def test_private(self) -> None:
        """A private board is shown to those alone whom it knows; senders are not readers."""
        access = Access(readers={"ada": "pw"}, senders={"ci": "pw"})
        access.check_reader(basic("ada:pw"))
        for header in (None, "", basic("ci:pw"), basic("ada:"), basic("ada:other")):
            error = self.assertRaises(AccessError, access.check_reader, header)
            self.assertIn("private", str(error))

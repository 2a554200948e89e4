"""The server's side of Digest authentication, written from RFC 7616 and from no client."""

from __future__ import annotations

import hashlib
import re

HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


def expected_response(password: str, method: str, given: dict[str, str]) -> str:
    """Return the ``response`` of RFC 7616, 3.4.1, with qop auth, for the other parameters."""

    def digest(*parts: str) -> str:
        return HASHES[given.get("algorithm", "MD5")](":".join(parts).encode()).hexdigest()

    return digest(
        digest(given["username"], given["realm"], password),
        given["nonce"],
        given["nc"],
        given["cnonce"],
        given["qop"],
        digest(method, given["uri"]),
    )


def parameters(authorization: str) -> dict[str, str]:
    """Return the parameters of an ``Authorization: Digest`` header by name."""
    scheme, _, rest = authorization.partition(" ")
    assert scheme == "Digest"
    pairs = re.findall(r'(\w+)=(?:"([^"]*)"|([^\s",]+))', rest)
    return {name: quoted or plain for name, quoted, plain in pairs}


class DigestServer:
    """Decides who may pass, strictly: no use of a nonce counts twice.

    Args:
        algorithm: MD5 or SHA-256.
        one_time: Whether a nonce is good for one request only.
    """

    realm, user, password = "receiver", "Mufasa", "Circle of Life"

    def __init__(self, algorithm: str = "MD5", *, one_time: bool = False) -> None:
        self.algorithm = algorithm
        self.one_time = one_time
        self.uses: dict[str, set[str]] = {}
        self.replays: list[tuple[str, str]] = []
        self.passed: list[tuple[str, str]] = []
        self.nonces_made = 0

    def expire_nonces(self) -> None:
        """Make every nonce stale."""
        self.uses.clear()

    def challenge(self, nonce: str | None = None, *, stale: bool = False) -> str:
        """Return the value of a ``WWW-Authenticate`` header, with a new nonce unless given."""
        self.nonces_made += nonce is None
        nonce = nonce or f"nonce-{self.nonces_made}"
        self.uses.setdefault(nonce, set())
        return (
            f'Digest realm="{self.realm}", qop="auth", algorithm={self.algorithm}, '
            f'nonce="{nonce}", opaque="FQhe/qaU"' + (", stale=true" if stale else "")
        )

    def judge(self, method: str, uri: str, authorization: str | None) -> str | None:
        """Return None for who may pass, or else a challenge."""
        if authorization is None:
            return self.challenge()
        given = parameters(authorization)
        if not self._is_right(method, uri, given):
            return self.challenge()
        return None if self._use(given["nonce"], given["nc"]) else self.challenge(stale=True)

    def _is_right(self, method: str, uri: str, given: dict[str, str]) -> bool:
        known = (given["username"], given["realm"], given["uri"], given["qop"])
        return known == (self.user, self.realm, uri, "auth") and given[
            "response"
        ] == expected_response(self.password, method, given)

    def _use(self, nonce: str, count: str) -> bool:
        if nonce not in self.uses:
            return False
        if count in self.uses[nonce]:
            self.replays.append((nonce, count))
            return False
        if self.one_time and self.uses[nonce]:
            return False
        self.uses[nonce].add(count)
        self.passed.append((nonce, count))
        return True

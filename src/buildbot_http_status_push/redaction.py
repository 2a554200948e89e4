"""Hides what must never reach a log: credentials, signatures, and every secret that was rendered.

Pure text work; knows nothing of requests or of Buildbot.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

HIDDEN = "***"
HIDDEN_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie", "webhook-signature"}
)


def mask_url(url: str) -> str:
    """Hide a URL's user info and the values of its query."""
    without_user = re.sub(r"(//)[^/?#]*@", rf"\1{HIDDEN}@", url)
    return re.sub(r"([?&][^=&#]*=)[^&#]*", rf"\1{HIDDEN}", without_user)


class Mask:
    """Replaces secret values in texts that are about to be shown.

    Args:
        secrets: The values to hide, as they were rendered.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        spellings = {each for secret in secrets if secret.strip() for each in _spellings(secret)}
        # The longest first: a secret may be a part of another one.
        ordered = sorted(spellings, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def text(self, text: str) -> str:
        """Return the text with every secret hidden."""
        return self._pattern.sub(HIDDEN, text) if self._pattern else text

    def url(self, url: str) -> str:
        """Return the URL with its user info, its query's values and every secret hidden."""
        return self.text(mask_url(url))

    def headers(self, headers: Iterable[tuple[str, str]]) -> str:
        """Return the headers in one line, the values of sensitive ones and every secret hidden."""
        return ", ".join(f"{name}: {self._header(name, value)}" for name, value in headers)

    def _header(self, name: str, value: str) -> str:
        return HIDDEN if name.lower() in HIDDEN_HEADERS else self.text(value)


def _spellings(secret: str) -> Iterator[str]:
    """Yield the forms in which a secret may stand in a URL, a header or a JSON body."""
    for each in (secret, secret.strip()):
        yield from (each, quote(each), quote(each, safe=""), quote_plus(each))
        yield json.dumps(each)[1:-1]

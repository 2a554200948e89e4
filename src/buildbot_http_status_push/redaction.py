"""Hides what must never reach a log: credentials, signatures, and every secret that was rendered.

Pure text work; knows nothing of requests or of Buildbot.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable
from functools import cached_property

HIDDEN = "***"
SENSITIVE_HEADER = re.compile(
    r"authorization|cookie|signature|token|secret|password|api-?key", re.IGNORECASE
)
ALSO_WRITTEN = {" ": "+", "/": "\\/"}
URL_PARTS = re.compile(r"([^?#]*)(\?[^#]*)?(#.*)?", re.DOTALL)
URL_HEADERS = frozenset({"location", "content-location", "referer"})


def mask_url(url: str) -> str:
    """Hide a URL's user info, the values of its query, and its fragment."""
    address, query, fragment = URL_PARTS.findall(url)[0]
    shown = re.sub(r"(//)[^/]*@", rf"\1{HIDDEN}@", address)
    shown += "&".join(map(_mask_parameter, query.split("&")))
    return shown + (f"#{HIDDEN}" if fragment else "")


def _mask_parameter(parameter: str) -> str:
    name, equals, value = parameter.partition("=")
    if equals:
        return name + equals + (HIDDEN if value else "")
    mark = "?" if name.startswith("?") else ""
    return mark + (HIDDEN if name != mark else "")


def one_line(text: str) -> str:
    """Return the text without control characters and line breaks, fit for a log and a database."""
    if not text.isprintable():
        text = "".join(each if each.isprintable() else " " for each in text)
    return " ".join(text.split())


class Mask:
    """Replaces secret values in texts that are about to be shown."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self.secrets = frozenset(secrets)
        self._sources: list[Callable[[], Iterable[str]]] = []

    def hide_also(self, source: Callable[[], Iterable[str]]) -> None:
        """Hide further values; their source is asked when a text is shown, which is seldom."""
        self._sources.append(source)
        self.__dict__.pop("_pattern", None)

    @cached_property
    def _pattern(self) -> re.Pattern[str] | None:
        every = self.secrets.union(*(source() for source in self._sources))
        # The longest first: a secret may be a part of another one.
        ordered = sorted({each.strip() for each in every} - {""}, key=len, reverse=True)
        forms = "|".join("".join(map(_spellings, each)) for each in ordered)
        return re.compile(forms) if forms else None

    def text(self, text: str) -> str:
        """Return the text with every secret hidden."""
        return self._pattern.sub(HIDDEN, text) if self._pattern else text

    def url(self, url: str) -> str:
        """Return the URL with its user info, its query's values and every secret hidden."""
        return mask_url(self.text(url))

    def headers(self, headers: Iterable[tuple[str, str]]) -> str:
        """Return the headers in one line, the values of sensitive ones and every secret hidden."""
        return ", ".join(f"{name}: {self._header(name, value)}" for name, value in headers)

    def _header(self, name: str, value: str) -> str:
        if SENSITIVE_HEADER.search(name):
            return HIDDEN
        return self.url(value) if name.lower() in URL_HEADERS else self.text(value)


def _spellings(character: str) -> str:
    """Return a pattern for the forms that a character has in URLs, JSON and HTML."""
    as_written = {character, json.dumps(character)[1:-1], html.escape(character)}
    if character in ALSO_WRITTEN:
        as_written.add(ALSO_WRITTEN[character])
    octets = character.encode("utf-8", "surrogatepass")
    units = character.encode("utf-16-be", "surrogatepass").hex(" ", 2).split()
    numbered = (
        "".join(f"%{octet:02x}" for octet in octets),
        "".join(rf"\\u{unit}" for unit in units),
        f"&#0*{ord(character)};",
        f"&#x0*{ord(character):x};",
    )
    # The longest first, so that nothing of a form is left over.
    exact = map(re.escape, sorted(as_written, key=len, reverse=True))
    return f"(?:(?i:{'|'.join(numbered)})|{'|'.join(exact)})"

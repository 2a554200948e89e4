"""Turns a report into a content type and the exact bytes to send.

Knows nothing of the network, of storage or of Buildbot.
"""

from __future__ import annotations

import json
from collections import UserList, deque
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Mapping
from datetime import datetime, timezone
from itertools import islice
from math import isfinite
from types import NoneType
from typing import Any, TypeAlias, cast

from attrs import field, frozen

LISTS = (list, tuple, UserList)
"""What becomes a JSON array; the data API's own lists are ``UserList``."""

DEEPEST = 100
"""How deep lists and dicts may stand in each other, where the encoder found them too deep."""


class Nulls:
    """A copy of a value that could not be encoded.

    Attributes:
        result: The copy, once ``fill`` is exhausted.
        nulls: What is null in it: the path of its keys, and what it was, in words.
    """

    def __init__(self) -> None:
        self.nulls: dict[str, str] = {}
        self.result: object = None

    def fill(self, value: object) -> Iterator[None]:
        """Make the copy of a value, in small steps."""
        self.result = yield from self._copy(value, (), {})

    def _copy(
        self, value: object, keys: tuple[str, ...], parents: Mapping[int, object]
    ) -> Generator[None, None, object]:
        yield
        is_container = isinstance(value, (dict, *LISTS))
        if isinstance(value, float) and not isfinite(value):
            self.nulls[".".join(keys)] = str(value)
            return None
        if is_container and len(parents) == DEEPEST:
            self.nulls[".".join(keys)] = f"nested more than {DEEPEST} deep"
            return None
        if not is_container or id(value) in parents:
            return parents.get(id(value), value)
        return (yield from self._copy_container(value, keys, parents))

    def _copy_container(
        self, value: object, keys: tuple[str, ...], parents: Mapping[int, object]
    ) -> Generator[None, None, object]:
        if isinstance(value, dict):
            copied: dict[object, object] = {}
            inside = {**parents, id(value): copied}
            for key, item in value.items():
                copied[key] = yield from self._copy(item, (*keys, str(key)), inside)
            return copied
        items: list[object] = []
        inside = {**parents, id(value): items}
        for item in cast("Iterable[object]", value):
            items.append((yield from self._copy(item, keys, inside)))
        return items


JSON = "application/json"
PLAIN = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
CONTENT_TYPES = {"plain": PLAIN, "html": HTML, "json": JSON}

LARGE = 64 * 1024
"""Characters of a value that is encoded cooperatively; each number or bracket counts as eight."""
PIECES = 100
"""How many small texts are written in one step."""
FAULTS = (TypeError, ValueError, RecursionError)
"""What the encoder raises."""

RunCooperatively: TypeAlias = Callable[[Iterator[object]], Awaitable[object]]
"""Takes all of an iterator, and lets the reactor do other things in between."""


class EncodingError(ValueError):
    """A report's body can't be turned into bytes; the text names the key and the type."""


@frozen
class Encoded:
    """A body ready to be stored, signed and sent.

    Args:
        content_type: The value of the ``Content-Type`` header.
        body: The bytes.
        nulls: What JSON can't hold and is null in the body: the path of its keys, and what it was.
    """

    content_type: str
    body: bytes
    nulls: Mapping[str, str] = field(factory=dict)


async def encode(report: Mapping[str, Any], run_cooperatively: RunCooperatively) -> Encoded | None:
    """Encode a report's body, at once unless it is large, so that nobody can change it afterwards.

    Args:
        report: A report as Buildbot's generators make it: ``body`` and ``type``
            (``plain``, ``html`` or ``json``).
        run_cooperatively: Carries out the encoding of a large body.

    Returns:
        The encoded body, or None where the body is None: do not send this one. What Buildbot
        stores and JSON can't hold is null: numbers that are infinite or none, the innards of what
        is nested too deeply.

    Raises:
        EncodingError: The body holds an object that has no JSON form.
    """
    body, kind = report.get("body"), report.get("type", "plain")
    if body is None:
        return None
    if isinstance(body, bytes):
        return Encoded(CONTENT_TYPES.get(kind, PLAIN), body)
    if isinstance(body, str) and kind != "json":
        return Encoded(CONTENT_TYPES.get(kind, PLAIN), _encode_text(body))
    return await _encode_json(body, run_cooperatively)


async def _encode_json(body: object, run_cooperatively: RunCooperatively) -> Encoded:
    try:
        return Encoded(JSON, await to_json_cooperatively(body, run_cooperatively))
    except EncodingError:
        filled = Nulls()
        if is_large(body):
            await run_cooperatively(filled.fill(body))
        else:
            deque(filled.fill(body), maxlen=0)
        encoded = await to_json_cooperatively(filled.result, run_cooperatively)
        return Encoded(JSON, encoded, filled.nulls)


def to_json(value: object) -> bytes:
    """Encode a value as JSON (RFC 8259), times as whole seconds since the epoch, bytes as null.

    Raises:
        EncodingError: The value, or something in it, has no JSON form.
    """
    try:
        return _ENCODER.encode(value).encode("ascii")
    except FAULTS as error:
        raise EncodingError(_explain(value, error)) from error


async def to_json_cooperatively(value: object, run_cooperatively: RunCooperatively) -> bytes:
    """Do what ``to_json`` does, cooperatively where the value is large.

    Raises:
        EncodingError: The value, or something in it, has no JSON form.
    """
    if not is_large(value):
        return to_json(value)
    texts: list[str] = []
    try:
        await run_cooperatively(_write(value, texts))
    except FAULTS as error:
        raise EncodingError(_explain(value, error)) from error
    return "".join(texts).encode("ascii")


def _write(value: object, texts: list[str]) -> Iterator[None]:
    pieces = _ENCODER.iterencode(value)
    while some := "".join(islice(pieces, PIECES)):
        texts.append(some)
        yield


def is_large(value: object) -> bool:
    """Return whether encoding a value takes so long that the reactor must not wait for it."""
    left, parts = LARGE, [value]
    while parts and left > 0:
        part = parts.pop()
        left -= len(part) if isinstance(part, str) else 8
        if isinstance(part, dict):
            parts.extend(part.values())
        elif isinstance(part, LISTS):
            parts.extend(part)
    return left <= 0


def epoch_seconds(moment: datetime | int) -> int:
    """Return a time as whole seconds since the epoch; without a time zone it is in UTC."""
    if isinstance(moment, int):
        return moment
    aware = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return int(aware.timestamp())


def _encode_text(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise EncodingError(f"body has no UTF-8 form: {error}") from error


def _default(value: object) -> int | list[Any] | None:
    if isinstance(value, datetime):
        return epoch_seconds(value)
    if isinstance(value, UserList):
        return list(value)
    if isinstance(value, bytes):
        # The body of a try build's patch: the built-in reporter sends null for it.
        return None
    raise TypeError(f"a {type(value).__name__} has no JSON form")


_ENCODER = json.JSONEncoder(default=_default, allow_nan=False)


def _explain(value: object, error: Exception) -> str:
    try:
        return next(_faults(value, "body", frozenset()), str(error))
    except RecursionError:
        return "body is nested too deeply"


def _faults(value: object, path: str, parents: frozenset[int]) -> Iterator[str]:
    """Yield the places of a value that have no JSON form."""
    if id(value) in parents:
        yield f"{path} contains itself"
    elif isinstance(value, dict):
        yield from _dict_faults(value, path, parents | {id(value)})
    elif isinstance(value, LISTS):
        for index, item in enumerate(value):
            yield from _faults(item, f"{path}[{index}]", parents | {id(value)})
    elif not isinstance(value, datetime | bytes):
        yield from _leaf_faults(value, path)


def _dict_faults(value: dict[Any, Any], path: str, parents: frozenset[int]) -> Iterator[str]:
    for key, item in value.items():
        if not _is_key(key):
            yield f"{path} has the key {key!r}, a {type(key).__name__}; JSON keys are texts"
        yield from _faults(item, f"{path}[{key!r}]", parents)


def _is_key(key: object) -> bool:
    # json.dumps turns these into texts.
    return isinstance(key, str | int | NoneType) or (isinstance(key, float) and isfinite(key))


def _leaf_faults(value: object, path: str) -> Iterator[str]:
    try:
        json.dumps(value, allow_nan=False)
    except TypeError:
        yield f"{path} is a {type(value).__name__}, which has no JSON form"
    except ValueError:
        # Python refuses to write down huge integers; what JSON has no numbers for are floats.
        shown = value if isinstance(value, float) else "a number of too many digits"
        yield f"{path} is {shown}, which JSON can't hold"

"""Values that authentication handles: what they are called in errors, and their bytes."""

from __future__ import annotations


class AuthenticationFailed(Exception):  # noqa: N818 - what happened, like Twisted's ResponseFailed
    """A request could not be authenticated; the text says why and holds no secret."""


def kind(value: object) -> str:
    """Return what kind of value it is, never the value itself."""
    if isinstance(value, type):
        return f"the class {value.__name__}, not an instance of it"
    if isinstance(value, tuple | list):
        parts = ", ".join(type(each).__name__ for each in value)
        return f"a {type(value).__name__} of ({parts})"
    return f"a {type(value).__name__}"


def encode(value: object, encoding: str) -> bytes:
    """Return a text or bytes as bytes.

    Raises:
        AuthenticationFailed: It is neither.
    """
    if isinstance(value, str):
        return value.encode(encoding)
    if isinstance(value, bytes):
        return value
    raise AuthenticationFailed(f"auth put {kind(value)} into the request: write str or bytes")


def utf8(value: object) -> bytes:
    """Return a text or bytes as bytes, in UTF-8."""
    return encode(value, "utf-8")

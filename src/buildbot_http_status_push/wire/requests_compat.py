"""Requests and responses as an authentication object of the requests library sees them.

Such an object gets a request, changes it, and may answer a challenge in a response hook. What
it and its hooks use of requests' own classes is here; requests itself is not needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import urlencode, urlsplit, urlunsplit

from attrs import define, field
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from buildbot_http_status_push.wire.auth_values import AuthenticationFailed

Hook: TypeAlias = Callable[[Any], Any]


class CaseInsensitiveDict(MutableMapping[str, Any]):
    """Header fields by name, in any case."""

    def __init__(self, fields: Iterable[tuple[str, Any]] = ()) -> None:
        self._fields: dict[str, tuple[str, Any]] = {}
        self.update(fields)

    def __getitem__(self, name: str) -> Any:
        return self._fields[name.lower()][1]

    def __setitem__(self, name: str, value: Any) -> None:
        self._fields[name.lower()] = (name, value)

    def __delitem__(self, name: str) -> None:
        del self._fields[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._fields.values())

    def __len__(self) -> int:
        return len(self._fields)

    def copy(self) -> CaseInsensitiveDict:
        """Return fields that change independently."""
        return CaseInsensitiveDict(self.items())


def fields_of(headers: Headers | None) -> CaseInsensitiveDict:
    """Return Twisted's headers as fields; several values become one list (RFC 9110, 5.3)."""
    raw = headers.getAllRawHeaders() if headers else ()
    return CaseInsensitiveDict(
        (name.decode("ascii"), b", ".join(v).decode("latin-1")) for name, v in raw
    )


def hooks_of(request: Any) -> list[Hook]:
    """Return the hooks for the response to a request of this or of requests' own class."""
    return list(getattr(request, "hooks", {}).get("response", ()))


@define(slots=False, eq=False)
class PreparedRequest:
    """A request, for an auth object to change: stands for requests' ``PreparedRequest``.

    Args:
        method: The HTTP method.
        url: The absolute URL.
        headers: The header fields.
        body: The bytes to send, or None; an auth object may put a text here.
        hooks: By event, what is called with the response.
    """

    method: str
    url: str
    headers: CaseInsensitiveDict
    body: bytes | str | None
    hooks: dict[str, list[Hook]] = field(factory=lambda: {"response": []})
    _cookies: None = None

    @property
    def path_url(self) -> str:
        """The path and the query, as they stand in the request line."""
        parts = urlsplit(self.url)
        return urlunsplit(("", "", parts.path or "/", parts.query, ""))

    def copy(self) -> PreparedRequest:
        """Return a request that changes independently."""
        hooks = {event: list(hooks) for event, hooks in self.hooks.items()}
        return PreparedRequest(self.method, self.url, self.headers.copy(), self.body, hooks)

    def register_hook(self, event: str, hook: Hook) -> None:
        """Have a hook called; requests knows the one event ``response``."""
        self.hooks[event].append(hook)

    def prepare_headers(self, headers: Mapping[str, Any]) -> None:
        """Put other headers in place of all."""
        self.headers = CaseInsensitiveDict(headers.items())

    def prepare_url(self, url: str, params: Any) -> None:
        """Put a URL in place, with parameters added to its query."""
        parts = urlsplit(url)
        query = "&".join(filter(None, (parts.query, urlencode(params or {}, doseq=True))))
        self.url = urlunsplit(parts._replace(query=query))

    def prepare_cookies(self, cookies: object) -> None:
        """Do nothing: a status needs no session, so a challenge's cookies are not sent back."""


@define(slots=False, eq=False)
class Response:
    """A response, for hooks to read: stands for requests' ``Response``.

    Args:
        origin: The response as the agent gave it.
        request: The request that it answers.
        content: The body's bytes where they were read.
        history: Room for the responses that came before.
        raw: No cookies: requests finds them in urllib3's response, which it keeps here.
    """

    origin: IResponse
    request: Any
    content: bytes = b""
    history: list[Any] = field(factory=list)
    raw: None = None

    @property
    def url(self) -> str:
        """The URL that answers."""
        return str(self.request.url)

    @property
    def status_code(self) -> int:
        """The HTTP status code."""
        return int(self.origin.code)

    @property
    def ok(self) -> bool:
        """Whether it is no error."""
        return self.status_code < 400

    @property
    def headers(self) -> CaseInsensitiveDict:
        """The header fields."""
        return fields_of(self.origin.headers)

    @property
    def text(self) -> str:
        """The body as text, where it was read."""
        return self.content.decode("utf-8", "replace")

    @property
    def is_redirect(self) -> bool:
        """Whether it names another place to go to."""
        return self.status_code in (301, 302, 303, 307, 308) and "Location" in self.headers

    @property
    def connection(self) -> type[Connection]:
        """What to send an answer on."""
        return Connection

    def close(self) -> None:
        """Do nothing: the body was read already, or is not the hook's to read."""


class Connection:
    """Where a hook sends its answer to a challenge: stands for requests' adapters."""

    @staticmethod
    def send(request: Any, **_: object) -> PendingResponse:
        """Note what is to be sent; the options of requests' adapters have no meaning here."""
        return PendingResponse(request)


@define(slots=False, eq=False)
class PendingResponse:
    """Stands for the response to a request that is sent as soon as the hook has returned.

    Args:
        request: What is to be sent.
        history: Room for the responses that came before.
    """

    request: Any
    history: list[Any] = field(factory=list)

    def __getattr__(self, name: str) -> Any:
        """Raise: it is not known yet.

        Raises:
            AuthenticationFailed: Always; a made-up answer would mislead the hook.
        """
        raise AuthenticationFailed(
            f"auth: a hook reads '{name}' of the answer to what it has only begun to send: "
            "it must return the answer, and a hook that is registered after it may read it"
        )

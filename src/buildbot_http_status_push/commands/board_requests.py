"""One request to a board, for the sub-commands that ask one. Blocking."""

from __future__ import annotations

from base64 import b64encode
from http.client import HTTPException, HTTPResponse
from urllib.request import HTTPErrorProcessor, Request, build_opener

from attrs import frozen

TIMEOUT = 20.0
"""For how many seconds the board may be silent."""
LARGEST = 64 * 1024 * 1024
"""How many bytes of an answer are read."""


class SilentError(Exception):
    """The board did not answer; it may later."""


@frozen
class Answer:
    """A board's answer."""

    code: int
    reason: str
    location: str | None
    body: bytes


class _AsItIs(HTTPErrorProcessor):
    """Returns every answer. A redirect that is followed would carry the password elsewhere."""

    def http_response(self, request: Request, response: HTTPResponse) -> HTTPResponse:
        """Return an answer."""
        return response

    https_response = http_response


def ask_board(url: str, auth: tuple[str, str] | None, body: bytes | None = None) -> Answer:
    """Return the answer to a GET, or to a POST of JSON.

    Raises:
        SilentError: There is no answer.
    """
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    if auth is not None:
        headers["Authorization"] = f"Basic {b64encode(':'.join(auth).encode()).decode()}"
    try:
        request = Request(url, body, headers)  # noqa: S310  the scheme was checked
        with build_opener(_AsItIs).open(request, timeout=TIMEOUT) as answer:
            is_redirect = 300 <= answer.status < 400
            location = answer.headers["Location"] if is_redirect else None
            return Answer(answer.status, answer.reason, location, answer.read(LARGEST))
    except (OSError, HTTPException, UnicodeError) as trouble:
        reason = getattr(trouble, "reason", trouble)
        raise SilentError(str(reason) or type(trouble).__name__) from trouble

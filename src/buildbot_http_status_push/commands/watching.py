"""Asks a board for a revision again and again, reports what changes, and decides when to end.

Blocking: there is nothing else to do meanwhile. A board that does not answer is asked again.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from attrs import define, field, frozen

from buildbot_http_status_push.commands.board_requests import Answer, SilentError, ask_board
from buildbot_http_status_push.commands.console import DONE, FAILED, UNUSABLE
from buildbot_http_status_push.commands.terminal import Output, Tone

POLL = 2.0
"""Seconds between two questions."""
REASON = 120
"""How many characters of a failing line are printed."""

WORDS = {
    "new": "new red",
    "new reason": "red for a new reason",
    "no result": "without a result",
    "known": "red (known)",
}
TONES: Mapping[str, Tone] = {
    "good": "good", "known": "warning", "no result": "warning",
    "new": "bad", "new reason": "bad", "red": "bad",
}  # fmt: skip
BAD = ("new", "new reason", "red")
WITHOUT_REQUESTS = "the board knows no requests: all are the builds that began"
KEYS = {
    "words": str, "builders_count": int, "ended": int, "is_over": bool, "counts": dict,
    "requests_known": bool, "codebases": list,
}  # fmt: skip
"""What an answer must have, beside builders."""
STATES = {DONE: "good", FAILED: "red", UNUSABLE: "unknown"}


class RefusalError(Exception):
    """The board answered that there is no answer, and asking again is of no use."""


@frozen
class Verdict:
    """How a watch ends."""

    code: int
    why: str


@define(eq=False)
class BoardClient:
    """Asks for a revision.

    Args:
        board: The board's URL, without a slash at the end.
        revision: The revision, or its beginning.
        builders: A glob of builders' names, None for all.
        auth: User and password, None where the board is open.
    """

    _board: str
    _revision: str
    _builders: str | None
    _auth: tuple[str, str] | None

    def ask(self) -> Mapping[str, Any] | None:
        """Return what the board says of the revision, None where it knows no build of it.

        Raises:
            SilentError: The board does not answer, or not as a board does.
            RefusalError: Its answer is that there will be none.
        """
        query = f"?{urlencode({'builder': self._builders})}" if self._builders else ""
        url = f"{self._board}/api/revisions/{quote(self._revision, safe='')}{query}"
        answer = ask_board(url, self._auth)
        if answer.code == 200:
            return _checked(_content(answer.body))
        _check(answer)
        return None


def _check(answer: Answer) -> None:
    """Raise what an answer means, unless it is that the revision is not known yet."""
    if answer.code == 404 and b"no build and no change" in answer.body:
        return
    if answer.code == 401:
        raise RefusalError("the board asks for user and password: give --auth-env")
    if answer.location is not None:
        raise RefusalError(f"the board redirects to {answer.location}: give that URL")
    if answer.code in (400, 409):
        raise RefusalError(str(_content(answer.body).get("error")))
    if answer.code < 500:
        raise RefusalError(f"{answer.code} {answer.reason}: no board answers at this URL")
    raise SilentError(f"{answer.code} {answer.reason}")


def _content(body: bytes) -> Mapping[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as fault:
        raise SilentError(f"the answer is not JSON: {fault}") from fault
    if not isinstance(content, dict):
        raise SilentError("the answer is not that of a board")
    return content


def _checked(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an answer that has all that is read of one."""
    try:
        is_whole = all(isinstance(content[key], kind) for key, kind in KEYS.items())
        decided(content, "all")
        deque(lines(None, content), maxlen=0)
    except (KeyError, TypeError, AttributeError):
        is_whole = False
    if not is_whole:
        raise RefusalError("the answer is not that of a board of this version")
    return content


def decided(told: Mapping[str, Any], until: str) -> Verdict | None:
    """Return the verdict of what a board says, None where that is open."""
    if _is_red(told) and (until == "first-failure" or told["is_over"]):
        return Verdict(FAILED, told["words"])
    if not told["builders_count"]:
        return None
    if not told["is_over"]:
        return _stuck(told)
    if told["counts"].get("no result"):
        return Verdict(UNUSABLE, f"a builder ended without a result: {told['words']}")
    return Verdict(DONE, told["words"])


def _is_red(told: Mapping[str, Any]) -> bool:
    """Return whether a builder is red for no known reason."""
    return any(told["counts"].get(kind) for kind in BAD)


def _stuck(told: Mapping[str, Any]) -> Verdict | None:
    """Return the verdict where nothing that is left can go on."""
    left = [each for _, each in _builders(told) if each["says"] in ("running", "waiting")]
    if not left or not all(each["stuck"] for each in left):
        return None
    first = left[0]
    code = FAILED if _is_red(told) else UNUSABLE
    return Verdict(code, f"{first['name']} waits: {first['stuck']}; {told['words']}")


def lines(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> Iterator[tuple[str, Tone]]:
    """Yield a line for each builder that says something else than before."""
    before = dict(_builders(old)) if old else {}
    masters = {each["master"] for _, each in _builders(new)}
    for key, each in _builders(new):
        build = each["build"]
        known = before.get(key)
        if known and known["says"] == each["says"] and known["build"] == build:
            continue
        number = f" #{build['number']}" if build else ""
        where = f" ({each['master']})" if len(masters) > 1 else ""
        words = [f"{each['name']}{where}{number}: {WORDS.get(each['says'], each['says'])}"]
        if each["says"] in BAD:
            reasons = (each["memory"] or {}).get("reasons", ())
            words += [reason["text"][:REASON] for reason in reasons[:1]]
        yield ": ".join(words), TONES.get(each["says"], "")


def _builders(told: Mapping[str, Any]) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    for codebase in told["codebases"]:
        for each in codebase["builders"]:
            yield (codebase["codebase"], codebase["branch"], each["builder"]), each


@define(eq=False)
class Watch:
    """Watches a revision.

    Args:
        ask: Asks the board, as ``BoardClient.ask`` does.
        output: Where changes are printed.
        monotonic: Returns seconds.
        sleep: Waits for some seconds.
        until: ``all`` or ``first-failure``.
        timeout: Seconds after which there is no verdict.
        is_json: Whether one JSON object is printed at the end, and nothing else.
    """

    _ask: Callable[[], Mapping[str, Any] | None]
    _output: Output
    _monotonic: Callable[[], float]
    _sleep: Callable[[float], object]
    _until: str = field(kw_only=True)
    _timeout: float = field(kw_only=True)
    _is_json: bool = field(kw_only=True)
    _told: Mapping[str, Any] | None = field(default=None, init=False)
    _trouble: str | None = field(default=None, init=False)

    def run(self, revision: str) -> int:
        """Watch until there is a verdict, and return the exit code."""
        try:
            with self._output.progress(revision[:12]) as advance:
                verdict = self._watched(revision, advance)
        except KeyboardInterrupt:
            verdict = Verdict(UNUSABLE, "interrupted")
        if self._told and not self._told["requests_known"]:
            verdict = Verdict(verdict.code, f"{verdict.why} ({WITHOUT_REQUESTS})")
        if self._is_json:
            said = {"verdict": STATES[verdict.code], "why": verdict.why, "answer": self._told}
            self._output.say(json.dumps(said))
        else:
            tones: Mapping[int, Tone] = {DONE: "good", FAILED: "bad"}
            self._output.say(
                f"{revision}: {STATES[verdict.code]}: {verdict.why}",
                tones.get(verdict.code, "warning"),
            )
        return verdict.code

    def _watched(self, revision: str, advance: Callable[[int, int], None]) -> Verdict:
        end = self._monotonic() + self._timeout
        while True:
            try:
                told = self._ask()
            except RefusalError as refusal:
                return Verdict(UNUSABLE, str(refusal))
            except SilentError as trouble:
                self._note(f"the board does not answer: {trouble}; asking again")
            else:
                if told is None:
                    self._note(f"no build of {revision} is known yet")
                else:
                    self._show(told)
                    advance(told["ended"], told["builders_count"])
                    if verdict := decided(told, self._until):
                        return verdict
            left = end - self._monotonic()
            if left <= 0:
                last = self._told["words"] if self._told else self._trouble
                code = FAILED if self._told and _is_red(self._told) else UNUSABLE
                return Verdict(code, f"timeout: {last}")
            self._sleep(min(POLL, left))

    def _note(self, trouble: str) -> None:
        """Print once what is in the way."""
        if trouble != self._trouble and not self._is_json:
            self._output.say(trouble, "quiet")
        self._trouble = trouble

    def _show(self, told: Mapping[str, Any]) -> None:
        changed = [*lines(self._told, told)]
        for text, tone in () if self._is_json else changed:
            self._output.say(text, tone)
        self._told, self._trouble = told, None

"""The body's key ``excerpts``: what the logs of failed steps say about why they failed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, TypeAlias

from attrs import define, frozen
from buildbot.process.results import EXCEPTION, FAILURE
from twisted.internet.threads import deferToThreadPool

from buildbot_http_status_push.excerpts.excerpt import (
    EXCERPTS_MOST,
    Excerpt,
    choose,
    has_reason,
)
from buildbot_http_status_push.excerpts.rules import RuleBook, Searcher, standard_book
from buildbot_http_status_push.redaction import Mask
from buildbot_http_status_push.report.test_results import is_wanted

STEPS_MOST = 5
"""The failed steps of a build whose logs are read."""
CALLS_MOST = 8
"""The data API calls for one of them."""
LINES_AT_ONCE = 500
LINES_MOST = 2000
"""Lines of a log that are read, from its end."""
SIZE_MOST = 512 * 1024
"""Characters of a log from which on no more lines are read."""
RULES_MOST = 50
PATTERN_MOST = 500
"""Rules of a configuration, and the characters of each one's pattern."""

TELLING = re.compile(r"FAIL|error|err\.text\Z")
"""The names of logs that are read rather than ``stdio``."""
ENVIRONMENT = re.compile(r"h {2}\S+=")
STARTED, ENDED = "h using PTY", "helapsedTime="
"""The last line that a worker writes of a command before its output, and after it."""

Log: TypeAlias = Mapping[str, Any]
Rules: TypeAlias = Sequence[Sequence[str]]


@frozen
class Reader:
    """Reads the logs of failed steps.

    Args:
        master: The Buildbot master, whose data API is asked.
        own: The rules of the configuration, names and patterns, None for none.
        secrets: Values that no excerpt may show.
    """

    master: Any
    own: Rules | None
    secrets: Iterable[str]

    async def excerpts(
        self, build: Mapping[str, Any], steps: Iterable[Mapping[str, Any]], tests: Sequence[str]
    ) -> list[dict[str, Any]]:
        """Return the value of the key ``excerpts``.

        Returns:
            The excerpts in the order of the steps, the most telling ones of a step first.
        """
        if build["results"] not in (FAILURE, EXCEPTION):
            return []
        failed = [
            step for step in steps if step["results"] in (FAILURE, EXCEPTION) and not step["hidden"]
        ]
        found: list[dict[str, Any]] = []
        for step in failed[:STEPS_MOST]:
            found += await self._of_step(build, step, tests)
        return found

    async def _of_step(
        self, build: Mapping[str, Any], step: Mapping[str, Any], tests: Sequence[str]
    ) -> list[dict[str, Any]]:
        logs = step.get("logs") or await self.master.data.get(("steps", step["stepid"], "logs"))
        calls = _Calls(CALLS_MOST - 1)
        best: list[tuple[Log, Excerpt]] = []
        for group in candidates(step["name"], logs, tests):
            found: list[tuple[Log, Excerpt]] = []
            reasons = False
            for log in group:
                chosen, has_one = await self._of_log(log, calls)
                found += [(log, each) for each in chosen[: max(1, EXCERPTS_MOST // len(group))]]
                reasons |= has_one
            best = found if reasons or not best else best
            if reasons:
                break
        place = f"{build['builderid']}/builds/{build['number']}/steps/{step['number']}"
        page = f"{self.master.config.buildbotURL}#/builders/{place}/logs/"
        return [_as_body(step, log, each, page) for log, each in best[:EXCERPTS_MOST]]

    async def _of_log(self, log: Log, calls: _Calls) -> tuple[list[Excerpt], bool]:
        """Return the excerpts of a log, and whether they hold a reason."""
        lines: list[str] = []
        start = log["num_lines"]
        size = 0
        reasons = False
        while start and not reasons and len(lines) < LINES_MOST and size < SIZE_MOST and calls.left:
            calls.left -= 1
            limit = min(start, LINES_AT_ONCE)
            start -= limit
            chunk = await self.master.data.get(
                ("logs", log["logid"], "contents"), offset=start, limit=limit
            )
            more = _lines(chunk["content"] if chunk else "", log["type"])
            size += sum(map(len, more))
            lines = more + lines
            reasons = await self._in_thread(_has_reason, more, self.own)
        mask = Mask(part for each in self.secrets for part in each.splitlines())
        found = await self._in_thread(_choose, lines, start + 1, self.own, mask)
        return found, reasons

    async def _in_thread(self, function: Any, *arguments: Any) -> Any:
        pool = self.master.reactor.getThreadPool()
        return await deferToThreadPool(self.master.reactor, pool, function, *arguments)


@define
class _Calls:
    """How many data API calls are left for a step."""

    left: int


def _has_reason(lines: Sequence[str], own: Rules | None) -> bool:
    return has_reason(lines, _book(own))


def _choose(lines: Sequence[str], first_line: int, own: Rules | None, mask: Mask) -> list[Excerpt]:
    return choose([mask.text(each) for each in lines], first_line=first_line, book=_book(own))


def _book(own: Rules | None) -> RuleBook:
    return standard_book().preceded_by({name: _compile(text) for name, text in own or ()})


def candidates(step: str, logs: Iterable[Log], tests: Sequence[str]) -> Iterator[list[Log]]:
    """Yield the logs to read, in groups; a later one is read if no earlier one has a reason."""
    texts = [each for each in logs if each["type"] in ("s", "t") and each["num_lines"]]
    yield [each for each in texts if TELLING.match(each["name"])][: CALLS_MOST - 2]
    output = [each for each in texts if each["name"] == "stdio"]
    others = [each for each in texts if not is_wanted(step, each, tests)]
    yield output or others[-1:]


def _lines(content: str, kind: str) -> list[str]:
    """Return the lines of a log, those that say how a command was started as empty ones.

    A command's own words are nobody's reason, and its environment may hold what nobody should read.
    """
    rows = content.removesuffix("\n").split("\n")
    if kind != "s":
        return rows
    found = [row[1:] for row in rows]
    begin = 0
    for number, row in enumerate(rows):
        if not row.startswith("h") or row.startswith(ENDED):
            begin = number + 1
        elif row.startswith(STARTED):
            found[begin : number + 1] = [""] * (number + 1 - begin)
        elif ENVIRONMENT.match(row):
            found[number] = ""
    return found


def _as_body(step: Mapping[str, Any], log: Log, found: Excerpt, page: str) -> dict[str, Any]:
    return {
        "stepid": step["stepid"],
        "step": step["name"],
        "log": log["name"],
        "url": page + log["slug"],
        "first_line": found.first_line,
        "lines": list(found.lines),
        "matched": list(found.matched),
        "rule": found.rule,
        "cut": found.cut,
    }


def rules_faults(own: object) -> Iterator[str]:
    """Yield every fault of the option ``excerpt_rules``."""
    if own is None:
        return
    if not isinstance(own, list | tuple) or len(own) > RULES_MOST:
        yield (
            f"excerpt_rules is {own!r:.100}: write a list of up to {RULES_MOST} pairs of name and "
            "pattern, e.g. excerpt_rules=[('licence', 'no licence for')]"
        )
        return
    for each in own:
        is_pair = isinstance(each, list | tuple) and len(each) == 2
        if not is_pair or not all(isinstance(text, str) and text for text in each):
            yield (
                f"excerpt_rules holds {each!r:.100}: write a pair of name and pattern, "
                "e.g. ('licence', 'no licence for')"
            )
        elif len(each[1]) > PATTERN_MOST:
            yield (
                f"excerpt_rules: the pattern of {each[0]!r:.100} has {len(each[1])} characters: "
                f"write at most {PATTERN_MOST}"
            )
        else:
            yield from _pattern_faults(*each)


def _pattern_faults(name: str, text: str) -> Iterator[str]:
    try:
        _compile(text)
    except ImportError:
        yield (
            "excerpt_rules needs google-re2, which takes no longer whatever a log holds: "
            "pip install 'buildbot-http-status-push[rules]'"
        )
    except ValueError as trouble:
        yield f"excerpt_rules: the pattern {text!r} of {name!r} is not valid: {trouble}"


def _compile(text: str) -> Searcher:
    re2: Any = import_module("re2")  # an extra: only for rules of a configuration
    options = re2.Options()
    options.log_errors = False
    try:
        pattern: Searcher = re2.compile(text, options)
    except re2.error as trouble:
        reason = trouble.args[0]
        raise ValueError(reason.decode() if isinstance(reason, bytes) else reason) from None
    return pattern

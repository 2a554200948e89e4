"""The body's key ``tests``: from a build's JUnit logs, and from Buildbot's own test result sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from twisted.internet.threads import deferToThreadPool

from buildbot_http_status_push.report import junit
from buildbot_http_status_push.report.junit import MAX_SIZE, Counts, TestResults

JUNIT_LOGS = ("junit*", "*.xml")
"""The logs that are read with ``want_tests=True``."""
MAX_LOGS = 50
"""The most logs of a build that are read."""
MAX_SETS = 50
"""The most test result sets of a build that are read."""
MAX_RESULTS = 10_000
"""The most results of a set that are read."""
FIRST_LINES = 1000
FETCHED = 1024 * 1024
"""Characters that one data API call is meant to return."""

_COUNTED = ("pass_fail", "pass_only", "fail_only", "code_issue")
"""The categories of sets whose results are tests."""


async def read_tests(
    master: Any,
    build: Mapping[str, Any],
    steps: Iterable[Mapping[str, Any]],
    wanted: bool | Sequence[str],
) -> dict[str, Any] | None:
    """Return the value of the key ``tests``.

    Args:
        master: The Buildbot master, whose data API is asked.
        build: The build, which has finished.
        steps: Its steps, each with its ``logs``.
        wanted: The names of the logs to read, each ``log`` or ``step.log``, with ``*`` and ``?``;
            True for ``JUNIT_LOGS``.

    Returns:
        The tests, None where the build has neither such logs nor test result sets.
    """
    names = log_names(wanted)
    logs = [each for step in steps for each in step["logs"] if is_wanted(step["name"], each, names)]
    sets = [
        each
        for each in await master.data.get(("builds", build["buildid"], "test_result_sets"))
        if each["complete"] and each["category"] in _COUNTED
    ]
    if not logs and not sets:
        return None
    results = TestResults()
    for each in logs[:MAX_LOGS]:
        content = await _content(master, each)
        pool = master.reactor.getThreadPool()
        await deferToThreadPool(master.reactor, pool, junit.read, content, each["name"], results)
    for each in sets[:MAX_SETS]:
        await _read_set(master, each, results)
    if len(logs) > MAX_LOGS or len(sets) > MAX_SETS:
        results.report(
            f"{len(logs)} logs and {len(sets)} test result sets: only {MAX_LOGS} of each were read"
        )
    return results.as_body()


def log_names(wanted: bool | Sequence[str]) -> Sequence[str]:
    """Return the names of logs that the option ``want_tests`` stands for."""
    if isinstance(wanted, bool):
        return JUNIT_LOGS if wanted else ()
    return wanted


def is_wanted(step: str, log: Mapping[str, Any], names: Iterable[str]) -> bool:
    """Return whether a log is to be read as JUnit."""
    name = log["name"]
    return log["type"] in ("s", "t") and any(
        fnmatchcase(name, each) or fnmatchcase(f"{step}.{name}", each) for each in names
    )


async def _content(master: Any, log: Mapping[str, Any]) -> str:
    """Fetch a log piece by piece, to the size that is read."""
    pieces: list[str] = []
    size = first = 0
    lines = FIRST_LINES
    while first < log["num_lines"] and size <= MAX_SIZE:
        chunk = await master.data.get(("logs", log["logid"], "contents"), offset=first, limit=lines)
        if not chunk or not chunk["content"]:
            break
        content = chunk["content"]
        pieces.append(_without_streams(content) if log["type"] == "s" else content)
        size += len(content)
        first += lines
        lines = max(1, min(FETCHED * first // size, FIRST_LINES * 10))
    return "".join(pieces)


def _without_streams(content: str) -> str:
    """Return the output in a log whose lines begin with the letter of their stream."""
    return "\n".join(line[1:] for line in content.split("\n") if line[:1] != "h")


async def _read_set(master: Any, found: Mapping[str, Any], results: TestResults) -> None:
    path = ("test_result_sets", found["test_result_setid"], "results")
    tests = await master.data.get(path, limit=MAX_RESULTS)
    name = junit.clip(found["description"] or found["category"], junit.MAX_NAME)
    for each in tests:
        has_passed = _has_passed(found, each["value"])
        seconds = (each["duration_ns"] or 0) / 1e9
        counts = Counts(passed=int(has_passed), failed=int(not has_passed), seconds=seconds)
        results.count("", name, counts)
        if not has_passed:
            results.fail(_failure(name, found, each, seconds))
    if len(tests) >= MAX_RESULTS:
        results.report(f"test result set {name!r}: only the first {MAX_RESULTS} results were read")


def _has_passed(found: Mapping[str, Any], value: str | None) -> bool:
    if found["category"] == "pass_fail":
        return str(value).strip().lower() in ("1", "true", "pass", "passed", "success")
    return bool(found["category"] == "pass_only")


def _failure(
    suite: str, found: Mapping[str, Any], test: Mapping[str, Any], seconds: float
) -> dict[str, Any]:
    path = junit.clip(test["test_code_path"] or "", junit.MAX_NAME)
    is_message = found["value_unit"] != "boolean"
    return {
        "suite": suite,
        "name": junit.clip(test["test_name"] or "", junit.MAX_NAME) or path or "(without a name)",
        "kind": "failure",
        "message": junit.message(test["value"] or "") if is_message else "",
        "seconds": round(seconds, 3),
        "file": path or None,
        "line": test["line"],
    }

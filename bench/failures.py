"""What 50,000 failures in a board's store cost the pages that show them.

Prints the processor time of pages, the first time and again, of the same builds without and with
50,000 failures; fails where one needs more than 10 ms more.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from support.outboxes import result
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock

from bench.board_pages import costs
from buildbot_http_status_push.board.body import read
from buildbot_http_status_push.board.model import Filter
from buildbot_http_status_push.board.store.store import Store
from buildbot_http_status_push.database import file_url
from buildbot_http_status_push.results import FAILURE, SUCCESS

NOW = 1_700_000_000
PAGES = (
    "/",
    "/builds/2000",
    "/failures",
    "/failures?builder=builder+7",
    "/failures?branch=main",
    "/api/failures",
)
WORDS = [f"{a}{b}" for a in "qwertyuiop" for b in "asdfg"]
MOST = 10.0
"""Milliseconds more than without failures."""


def body(number: int, builder: int, results: int, lines: list[str]) -> bytes:
    """Return a status."""
    excerpt = {
        "step": "test", "log": "stdio", "first_line": 1, "lines": lines, "rule": "gcc",
        "matched": [*range(len(lines))], "cut": False,
    }  # fmt: skip
    stamp = {"branch": "main", "revision": f"r{number // 4}", "project": "p", "codebase": ""}
    return json.dumps(
        {
            "buildid": number,
            "number": number,
            "started_at": NOW + 20 * number,
            "complete_at": NOW + 20 * number + 10,
            "complete": True,
            "results": results,
            "state_string": "finished",
            "url": "https://ci.example.org/#/builders/1/builds/1",
            "builder": {"name": f"builder {builder}"},
            "buildset": {"sourcestamps": [stamp]},
            "excerpts": [excerpt] if lines else [],
        }
    ).encode()


def fill(store: Store, failures: int, *, has_lines: bool) -> None:
    """Store bad builds with fifty reasons each, good ones between."""
    waiting = []
    for number in range(1, failures // 25 + 1):
        is_bad = number % 2 == 0 or number > failures // 25 - 100
        kind = "abcdefghijklmnopqrstuvwxyz"[number % 26] * 3
        lines = [f"file_{kind}.c: error: no member {word}{kind}" for word in WORDS]
        raw = body(
            number,
            number % 50,
            FAILURE if is_bad else SUCCESS,
            lines if is_bad and has_lines else [],
        )
        status = read(raw)
        assert status is not None  # noqa: S101  it is a build's
        waiting.append(store.put(status))
        if len(waiting) == 200:
            [*map(result, waiting)]
            waiting.clear()
    [*map(result, waiting)]


def main() -> int:
    """Measure, and say whether it is little enough."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--failures", type=int, default=50_000)
    count = parser.parse_args().failures
    now = NOW + 20 * count
    urls: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for has_lines in (False, True):
            url = file_url(Path(folder) / f"{has_lines}.sqlite")
            clock = Clock()
            clock.advance(now)
            store = Store(clock, maybeDeferred, url)
            result(Deferred.fromCoroutine(store.open()))
            fill(store, count, has_lines=has_lines)
            known = result(store.failures(Filter(), 1))
            result(Deferred.fromCoroutine(store.close()))
            signature = known[0].reason.signature if known else "0" * 16
            urls.append(url)
        figures = costs(urls, now, [*PAGES, f"/failures/{signature}"])
    for name, (without, with_them) in zip((*PAGES, "/failures/ID"), figures, strict=True):
        print(f"{name}: {with_them.again:.1f} ms, first {with_them.first:.1f}", end=" ")
        print(f"(without failures {without.again:.1f}, first {without.first:.1f})")
    more = max(new.again - old.again for old, new in figures)
    return int(more > MOST)


if __name__ == "__main__":
    sys.exit(main())

"""What three months of test results cost a board: its file's size, and its pages.

10,000 tests, 200 builds a day, 90 days, 1 % of the tests failing, against the same builds without
tests. Fails where the file is larger than 1 GB, where the overview or a build's page needs more
than 10 ms more, `/tests` more than 100 ms or the pass rate of a test more than 50 ms.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection
from support.large import Large, in_parts
from support.results import results_key
from support.statuses import a_body, as_bytes

from bench.board_pages import costs
from buildbot_http_status_push.board.failures.lines import REASONS, TEST, FailedLine, reason_of
from buildbot_http_status_push.board.store.rows import packed
from buildbot_http_status_push.board.store.schema import open_database
from buildbot_http_status_push.board.store.tables import (
    bodies,
    failures,
    signatures,
    test_failures,
    test_runs,
    test_suite_lists,
    tested,
    tests,
)
from buildbot_http_status_push.board.store.writing_failures import MOST_COUNTED
from buildbot_http_status_push.board.test_results.results import NamedTest, suite_number
from buildbot_http_status_push.database import file_url

NOW = 1_790_000_000
BUILDERS, A_DAY, TESTS, SUITES, FAILED = 20, 200, 10_000, 50, 100
STEADY = 80
"""How many of the failed tests of a build have failed in the one before as well."""
BODIES = 200
"""How many bodies are made; each is kept with many builds."""
NAMES = [
    NamedTest(f"package.module_{number % SUITES}", f"test_case_{number}[linux-debug]")
    for number in range(TESTS)
]
SUITE_LIST = sorted({suite_number(each.suite) for each in NAMES})
GIGABYTE = 10**9
MORE, TESTS_PAGE, PASS_RATE = 10.0, 100.0, 50.0
"""The most milliseconds: more than without tests, of `/tests`, of a pass rate."""


class Tested:
    """The test results of a large board's builds.

    Args:
        large: The board.
    """

    def __init__(self, large: Large) -> None:
        self._large = large
        self._random = random.Random(1)  # noqa: S311  the same each time
        self._reasons = [reason_of(FailedLine(TEST, each.suite, each.name)) for each in NAMES]
        self._seen: Counter[int] = Counter()

    def fill(self, connection: Connection) -> None:
        """Write them."""
        lines = [{"builder": each + 1, "line": "main", "judges": 1} for each in range(BUILDERS)]
        connection.execute(tested.insert(), lines)
        one_list = {"digest": "list", "suites": json.dumps(SUITE_LIST)}
        connection.execute(test_suite_lists.insert(), [one_list])
        connection.execute(
            tests.insert(),
            [
                {"digest": each.digest, "suite": each.suite, "name": each.name, "last_at": NOW}
                for each in NAMES
            ],
        )
        some_builds = (self._random.randrange(self._large.builds) for _ in range(BODIES))
        made = [packed(self._body(self._failed(each))) for each in some_builds]
        for some in in_parts(range(self._large.builds), 500):
            failed = {number: self._failed(number) for number in some}
            connection.execute(test_runs.insert(), [*map(self._run, some)])
            for table, rows in ((test_failures, self._test_failures), (failures, self._failures)):
                connection.execute(
                    table.insert(), [row for each in some for row in rows(each, failed[each])]
                )
            connection.execute(
                bodies.delete().where(bodies.c.build.between(some[0] + 1, some[-1] + 1))
            )
            connection.execute(
                bodies.insert(),
                [{"build": each + 1, "body": made[each % BODIES]} for each in some],
            )
        # The build whose page is measured has a body of its own.
        shown = {"body": packed(self._body(failed[some[-1]]))}
        connection.execute(bodies.update().where(bodies.c.build == some[-1] + 1).values(shown))
        connection.execute(signatures.insert(), [*self._signatures()])

    def _failed(self, number: int) -> list[int]:
        first = number // BUILDERS // 40 * 7
        steady = {(first + 37 * each) % TESTS for each in range(STEADY)}
        others = self._random.sample(range(TESTS), FAILED - STEADY)
        return sorted({*steady, *others})

    def _body(self, failed: Iterable[int]) -> bytes:
        key = results_key(
            (f"{NAMES[each].suite}::{NAMES[each].name}" for each in failed),
            dict.fromkeys(dict.fromkeys(each.suite for each in NAMES), TESTS // SUITES),
        )
        for each in key["failures"]:
            noise = self._random.randbytes(30).hex()
            each["message"] = f"AssertionError: expected {noise}, found something else\n" * 3
        return as_bytes(a_body(tests=key))

    def _run(self, number: int) -> dict[str, Any]:
        return {
            **self._place(number),
            "number": number // BUILDERS + 1,
            "suites": 1,
            "is_whole": 1,
            "failed": FAILED,
            "ran": TESTS,
            "again": None,
        }

    def _place(self, number: int) -> dict[str, int]:
        return {
            "build": number + 1,
            "tested": number % BUILDERS + 1,
            "started_at": self._large.began(number),
        }

    def _test_failures(self, number: int, failed: list[int]) -> Iterator[dict[str, Any]]:
        return ({**self._place(number), "test": each + 1} for each in failed)

    def _failures(self, number: int, failed: list[int]) -> Iterator[dict[str, Any]]:
        kept = [self._reasons[each] for each in failed[:REASONS]]
        self._seen.update(failed[:REASONS])
        for place, reason in enumerate(kept):
            yield {
                "build": number + 1,
                "signature": reason.signature,
                "place": place,
                "lead": kept[0].signature,
                "rule": reason.rule,
                "step": reason.step,
                "text": reason.text,
                "is_cut": 1,
                "builder": number % BUILDERS + 1,
                "line": "main",
                "started_at": self._large.began(number),
                "number": number // BUILDERS + 1,
                "judges": 1,
                "since": 0,
                "passed_again": None,
            }

    def _signatures(self) -> Iterator[dict[str, Any]]:
        for number, builds in self._seen.items():
            reason = self._reasons[number]
            yield {
                "signature": reason.signature,
                "rule": reason.rule,
                "step": reason.step,
                "text": reason.text,
                "first_at": self._large.began(0),
                "last_at": NOW,
                "builds": min(builds, MOST_COUNTED),
                "sequence": self._large.builds,
            }


def main() -> int:
    """Measure, and say whether it is little enough."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=90)
    builds = parser.parse_args().days * A_DAY
    large = Large(builders=BUILDERS, builds=builds, until=NOW, every=86_400 // A_DAY, bad_of=1)
    pages = {
        "the overview": "/",
        "a build's page": f"/builds/{builds}",
        "/tests": "/tests",
        "the pass rate of a test": f"/api/tests?name={NAMES[0].name}&branch=main",
    }
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{name}.sqlite" for name in ("without", "with")]
        for path, filled in zip(
            paths, ([large.fill], [large.fill, Tested(large).fill]), strict=True
        ):
            database = open_database(file_url(path))
            database.transact(filled)
            database.close()
        small, size = (path.stat().st_size for path in paths)
        figures = costs([*map(file_url, paths)], NOW, pages.values())
    print(f"file: {small / 1e6:.0f} MB without, {size / 1e6:.0f} MB with tests")
    for name, (old, new) in zip(pages, figures, strict=True):
        print(f"{name}: {new.again:.1f} ms, first {new.first:.1f}", end=" ")
        print(f"(without tests {old.again:.1f}, first {old.first:.1f})")
    more = max(new.again - old.again for old, new in figures[:2])
    tests_page, pass_rate = (new for _, new in figures[2:])
    return int(
        size > GIGABYTE
        or more > MORE
        or tests_page.first > TESTS_PAGE
        or pass_rate.first > PASS_RATE
    )


if __name__ == "__main__":
    sys.exit(main())

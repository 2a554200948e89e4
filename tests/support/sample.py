"""A believable board: the statuses that a busy project's master would have sent by now.

The same every time, but for the moment that it ends at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any

from attrs import define, evolve, field, frozen
from support.reasons import excerpts
from support.results import results_key

from buildbot_http_status_push.board.model import GOOD
from buildbot_http_status_push.results import (
    CANCELLED,
    EXCEPTION,
    FAILURE,
    RETRY,
    SKIPPED,
    SUCCESS,
    WARNINGS,
)

MASTER = "https://ci.example.org/"
HOUR = 3600

PLATFORMS = (
    "x86-64 Debian", "x86-64 Fedora", "x86-64 FreeBSD", "x86-64 Windows 11", "x86-64 macOS",
    "AArch64 Ubuntu", "AArch64 macOS", "AArch64 Android", "PPC64LE RHEL", "s390x RHEL",
    "RISC-V 64 Debian", "ARMv7 Raspbian", "x86-64 Alpine", "WASI",
)  # fmt: skip
KINDS = (
    ("debug", ("stable",), 900), ("release", ("stable", "release"), 1500),
    ("sanitizers", ("unstable", "sanitizer"), 3900),
)  # fmt: skip
AUTHORS = ("Ada Novak", "Jun Watanabe", "Maria Oliveira", "Tom Berg", "Zoë Laurent")
COMMENTS = (
    "Free the frame before the generator is closed",
    "Do not inline calls across a return of the other thread",
    "Parse numbers with underscores in the fast path too",
    "Make the allocator's tests independent of page size",
    "Bump the bundled certificates",
    "Avoid a copy of each buffer in the reader",
    "Say which file could not be opened",
    "Let the linker drop unused sections on AArch64",
    "Fix the build with the newest headers",
    "Document what happens at shutdown",
)
STEPS = ("update", "configure", "compile", "test", "upload")

KNOWN = {
    "disk-s390x.toml": """
title = "Disk of s390x-rhel-3 is full"
link = "https://bugs.example.org/77"
owner = "Jun Watanabe"
pattern = "No space left on device"
"""
}
"""A directory of known failures: the text of each file."""

Why = Mapping[str, Any]
"""The keys of a body that say why a build failed."""


def compiler_error() -> Why:
    """Return what a broken compilation says."""
    return excerpts(
        step="compile",
        rule="clang",
        lines=[
            "[212/318] Building C object src/frame.c.o",
            "src/frame.c:412:12: error: no member named 'f_lasti' in 'struct frame'",
            "  412 |     return f->f_lasti;",
            "      |            ~  ^",
            "1 error generated.",
            "ninja: build stopped: subcommand failed.",
        ],
        matched=[1, 5],
    )


def disk_full() -> Why:
    """Return what a full disk says."""
    line = "tar: build.tar: Cannot write: No space left on device"
    return excerpts(line, step="upload", rule="disk full")


def failed_tests(message: str, *names: str) -> Why:
    """Return what a failed step of tests says: a line, and the names of the tests."""
    tests = results_key([f"runtime::{each}" for each in names], {"runtime": 981}, message=message)
    lines = ["collected 981 items", f"E   {message}"]
    return {**excerpts(lines=lines, matched=[1]), "tests": tests}


def timeout() -> Why:
    """Return what a test says that fails now and then."""
    return failed_tests("TimeoutError: no wake-up within 5 s", "test_threads.test_wakeup")


@frozen
class Plan:
    """What is to become of one builder.

    Args:
        name: Its name.
        tags: Its tags.
        usual: Seconds that its builds take.
        ending: The results of its latest builds, oldest first; None for one that runs.
        elapsed: For how many times the usual time the running one has run.
        whys: What its latest failed builds say, oldest first.
    """

    name: str
    tags: tuple[str, ...]
    usual: int
    ending: tuple[int | None, ...] = ()
    elapsed: float = 0.4
    whys: tuple[Why, ...] = ()


def revision(number: int) -> str:
    """Return the hash of the numbered commit."""
    return hashlib.sha1(str(number).encode(), usedforsecurity=False).hexdigest()


def plans(green: bool = False) -> list[Plan]:
    """Return a board's builders.

    Args:
        green: Whether all that ends badly is left out.
    """
    made = [
        Plan(f"{platform} {kind}", (platform.split()[0].lower(), *tags), usual)
        for platform in PLATFORMS
        for kind, tags, usual in KINDS
    ][:40]
    for place, (ending, elapsed, *whys) in (_calm() if green else _troubled()).items():
        made[place] = evolve(made[place], ending=ending, elapsed=elapsed, whys=tuple(whys))
    return made


def _calm() -> dict[int, tuple[Any, ...]]:
    return {6: ((SUCCESS, None), 0.6), 21: ((SUCCESS, None), 0.2)}


def _troubled() -> dict[int, tuple[Any, ...]]:
    """Return endings, elapsed and whys by a builder's place."""
    leak = "AssertionError: 3 buffers are not freed by reader_close"
    names = ("test_reader.test_close", "test_reader.test_reopen", "test_writer.test_flush")
    leaks, one_more = failed_tests(leak, *names[:2]), failed_tests(leak, *names)
    return {
        4: ((SUCCESS, FAILURE), 0, compiler_error()),
        8: ((SUCCESS, FAILURE, FAILURE, FAILURE, None), 0.6, leaks, leaks, one_more),
        11: ((SUCCESS, CANCELLED), 0),
        15: ((SUCCESS, WARNINGS, WARNINGS, None), 0.35),
        20: ((FAILURE, SUCCESS, FAILURE), 0, timeout(), timeout()),
        24: ((SUCCESS, SKIPPED), 0),
        27: ((SUCCESS, EXCEPTION, EXCEPTION), 0),
        29: ((SUCCESS, FAILURE), 0, disk_full()),
        31: ((SUCCESS, SUCCESS, None), 1.9),
        36: ((SUCCESS, RETRY, SUCCESS), 0),
        39: ((SUCCESS, FAILURE), 0, compiler_error()),
    }


@define
class Sample:
    """Makes the statuses.

    Args:
        now: Where they end, in seconds since the epoch.
        plans: The builders.
        builds: How many builds each has.
        master: The master's address.
        changes: Whether the bodies have changes.
    """

    now: int
    plans: Sequence[Plan] = field(factory=plans)
    builds: int = 40
    master: str = MASTER
    changes: bool = True
    _random: Random = field(factory=lambda: Random(12), init=False)  # noqa: S311  a picture
    _buildid: int = field(default=88_000, init=False)

    def bodies(self) -> Iterator[dict[str, Any]]:
        """Yield the bodies: the finish of each build, and the start of those that run."""
        for place, plan in enumerate(self.plans, start=1):
            yield from self._builder(place, plan)

    def _builder(self, place: int, plan: Plan) -> Iterator[dict[str, Any]]:
        past = [self._usually() for _ in range(self.builds - len(plan.ending))]
        results = [*past, *(plan.ending or (SUCCESS,))]
        whys = self._whys(plan)
        for age, result in enumerate(reversed(results)):
            number = 1400 + place * 7 - age
            commit = 5_000 - age * 3 - (place % 3)
            if plan.ending[:1] == (FAILURE,) and age in (1, 2):
                commit = 4_998  # it fails, and then passes on the same revision
            why = next(whys) if result == FAILURE else {}
            yield self._body(place, plan, age, number, commit, result, why)

    def _whys(self, plan: Plan) -> Iterator[Why]:
        """Yield what failed builds say, newest first; those before the plan's, some of this."""
        yield from reversed(plan.whys)
        while True:
            yield self._random.choice((timeout, disk_full))()

    def _usually(self) -> int:
        return self._random.choices(
            (SUCCESS, WARNINGS, FAILURE, EXCEPTION, RETRY, CANCELLED),
            weights=(93, 2, 3, 0.5, 0.5, 1),
        )[0]

    def _body(
        self,
        place: int,
        plan: Plan,
        age: int,
        number: int,
        commit: int,
        result: int | None,
        why: Why,
    ) -> dict[str, Any]:
        failed_step = why["excerpts"][0]["step"] if why else "test"
        self._buildid += 1
        took = int(plan.usual * self._random.uniform(0.85, 1.2) * (0.5 if result == FAILURE else 1))
        began = self.now - age * 5 * HOUR - self._random.randrange(600, 3 * HOUR)
        if result is None:
            began = self.now - int(plan.usual * plan.elapsed)
        ended = None if result is None else min(began + took, self.now - 20)
        submitted = began - self._random.randrange(3, 400)
        owner = self._random.choice(AUTHORS)
        worker = f"{plan.name.rsplit(' ', 1)[0].lower().replace(' ', '-')}-{place % 3 + 1}"
        body = {
            "buildid": self._buildid,
            "number": number,
            "builderid": place,
            "buildrequestid": self._buildid + 2_000,
            "workerid": place,
            "masterid": 1,
            "started_at": began,
            "complete_at": ended,
            "locks_duration_s": 0,
            "complete": ended is not None,
            "state_string": _state(result, failed_step),
            "results": result,
            "properties": {
                "owner": [owner, "Scheduler"],
                "workername": [worker, "Worker"],
                "branch": ["main", "Build"],
                "revision": [revision(commit), "Build"],
                "got_revision": [revision(commit), "Git"],
                "scheduler": ["on-every-push", "Scheduler"],
                "test_options": [["-j8", "--timeout", "1200"], "Builder"],
            },
            "url": f"{self.master}#/builders/{place}/builds/{number}",
            "builder": {
                "builderid": place, "name": plan.name, "masterids": [1], "description": None,
                "tags": list(plan.tags),
            },
            "buildrequest": {
                "buildrequestid": self._buildid + 2_000, "buildsetid": commit, "builderid": place,
                "priority": 0, "claimed": True, "claimed_at": began, "claimed_by_masterid": 1,
                "complete": ended is not None, "results": -1 if result is None else result,
                "submitted_at": submitted, "complete_at": ended, "waited_for": False,
                "properties": None,
            },
            "buildset": {
                "bsid": commit, "external_idstring": None, "reason": "scheduler",
                "submitted_at": submitted, "complete": False, "complete_at": None, "results": -1,
                "parent_buildid": None, "parent_relationship": None, "rebuilt_buildid": None,
                "sourcestamps": [{
                    "ssid": commit, "branch": "main", "revision": revision(commit),
                    "project": "runtime", "repository": "https://git.example.org/runtime",
                    "codebase": "", "created_at": submitted, "patch": None,
                }],
            },
            "parentbuild": None,
            "parentbuilder": None,
            "steps": self._steps(result, began, ended, failed_step),
            **why,
        }  # fmt: skip
        if result in GOOD:
            body["tests"] = results_key((), {"runtime": 981})
        return {**body, "changes": [change(commit, submitted)]} if self.changes else body

    def _steps(
        self, result: int | None, began: int, ended: int | None, failed: str
    ) -> list[Mapping[str, Any]]:
        until = ended or self.now
        places = [began + (until - began) * part // 20 for part in (0, 1, 3, 8, 19, 20)]
        reached = len(STEPS) if result in GOOD else STEPS.index(failed) + 1
        return [
            self._step(number, places, result if number == reached - 1 else SUCCESS)
            for number in range(reached)
        ]

    def _step(self, number: int, places: Sequence[int], result: int | None) -> dict[str, Any]:
        name = STEPS[number]
        return {
            "stepid": self._buildid * 10 + number, "number": number, "name": name,
            "buildid": self._buildid, "started_at": places[number], "hidden": False,
            "complete_at": None if result is None else places[number + 1],
            "complete": result is not None, "results": result,
            "state_string": f"{name} (failure)" if result == FAILURE else name, "urls": [],
            "logs": [{
                "logid": self._buildid * 10 + number, "name": "stdio", "slug": "stdio",
                "stepid": self._buildid * 10 + number, "complete": True, "num_lines": 812,
                "type": "s",
                "url": f"{self.master}#/builders/1/builds/1/steps/{number}/logs/stdio",
            }],
        }  # fmt: skip


def change(commit: int, at: int) -> dict[str, Any]:
    """Return the numbered commit as Buildbot's data API gives a change that came at a time."""
    return {
        "changeid": commit,
        "author": f"{AUTHORS[commit % 5]} <{AUTHORS[commit % 5].split()[0].lower()}@example.org>",
        "comments": f"{COMMENTS[commit % 10]}\n\nAnd more of it.",
        "when_timestamp": at,
        "revision": revision(commit),
        "revlink": f"https://git.example.org/runtime/commit/{revision(commit)}",
        "files": ["src/frame.c"],
        "branch": "main",
    }


def _state(result: int | None, failed: str) -> str:
    texts = {
        None: "test: 412 of 981 files",
        SUCCESS: "build successful",
        FAILURE: f"failed {failed} (failure)",
        EXCEPTION: "worker lost (exception)",
    }
    return texts.get(result, "finished")

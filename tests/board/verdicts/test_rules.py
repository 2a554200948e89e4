"""Verdicts on branches: the documented examples against the rules they stand for, and faults."""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random
from typing import Any

from support.boards import BoardCase
from support.statuses import NOW, a_status
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.model import Build, Builder, Master, Memory
from buildbot_http_status_push.board.store.rows import FIELDS
from buildbot_http_status_push.board.toml_files import FileFault, read_rules, tomllib
from buildbot_http_status_push.board.verdicts.revision import BuilderVerdict
from buildbot_http_status_push.board.verdicts.rules import Rule, judged, rules_of
from buildbot_http_status_push.results import (
    CANCELLED,
    EXCEPTION,
    FAILURE,
    RETRY,
    SKIPPED,
    SUCCESS,
    WARNINGS,
)

PAGE = Path(__file__).parents[3] / "docs" / "board" / "verdicts.md"
MAIN = Master(id=1, name="ci", url="https://ci.example.org/", heard_at=NOW)
ENDS = (SUCCESS, WARNINGS, FAILURE, SKIPPED, EXCEPTION, RETRY, CANCELLED)


def example(name: str) -> Rule:
    """Return the only rule of a documented example."""
    page = PAGE.read_text()
    for block in re.findall(r"^```toml\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        if f'name = "{name}"' in block:
            [rule] = rules_of(tomllib.loads(block))
            return rule
    raise AssertionError(name)


def a_build(builder: int, number: int, results: int | None) -> Build:
    """Return a build."""
    status = a_status(number, results)
    values = {name: getattr(status, name) for name in FIELDS if name not in ("id", "sequence")}
    return Build(
        id=1000 * builder + number, master=1, builder=builder, builder_name="", sequence=1, **values
    )


def said(builder: Builder, build: Build | None, state: str = "unknown") -> BuilderVerdict:
    """Return what a builder says by a build."""
    return BuilderVerdict(builder=builder, build=build, memory=Memory(state=state))


class ExampleTests(SynchronousTestCase):
    """Both examples agree with their projects' rules on made histories."""

    def test_tiers(self) -> None:
        """CPython's: the worst of each builder's last success, warnings or failure."""
        rule, random = example("3.14"), Random(314)  # noqa: S311  histories
        seen = set()
        for _ in range(600):
            builders = [
                Builder(id=number, master=MAIN, name=f"b{number}", tags=_python_tags(random))
                for number in range(random.randrange(5))
            ]
            histories = {
                each.id: [random.choice(ENDS) for _ in range(random.randrange(4))]
                for each in builders
            }
            verdicts = {}
            for each in builders:
                conclusive = [
                    (number, results)
                    for number, results in enumerate(histories[each.id], 1)
                    if results in (SUCCESS, WARNINGS, FAILURE)
                ]
                if conclusive:  # as ``Builder.last`` is
                    verdicts[each.id] = said(each, a_build(each.id, *conclusive[-1]))
            found = judged(rule, builders, verdicts)
            ours = (
                "Unreleasable"
                if found.state == "not releasable"
                else "N/A"
                if found.state == "pending"
                else "Concern"
                if found.concerns
                else "Releasable"
            )
            seen.add(ours)
            self.assertEqual(ours, _python_rule(builders, histories), (builders, histories))
        self.assertEqual(len(seen), 4)

    def test_packages(self) -> None:
        """MariaDB's: each builder's newest build of the newest change; only a success is one."""
        rule, random = example("11.4"), Random(114)  # noqa: S311  histories
        seen = set()
        for _ in range(600):
            builders = [
                Builder(id=number, master=MAIN, name=f"b{number}", tags=_package_tags(random))
                for number in range(random.randrange(5))
            ]
            histories = {
                each.id: [random.choice((*ENDS, None)) for _ in range(random.randrange(3))]
                for each in builders
            }
            verdicts = {
                each.id: said(each, a_build(each.id, len(history), history[-1]))
                for each in builders
                if (history := histories[each.id])
            }
            found = judged(rule, builders, verdicts, "abc")
            ours = (
                "Not Releaseable"
                if found.state == "not releasable"
                else "Needs Attention"
                if found.concerns
                else {"pending": "Pending", "releasable": "Releaseable"}[found.state]
            )
            seen.add(ours)
            self.assertEqual(ours, _package_rule(builders, histories), (builders, histories))
        self.assertEqual(len(seen), 4)


def _python_tags(random: Random) -> tuple[str, ...]:
    tier = random.choice(("tier-1", "tier-2", "tier-3", ""))
    tags = ["3.14" if random.random() < 0.9 else "3.13", tier]
    return tuple(each for each in (*tags, "stable" if random.random() < 0.7 else "") if each)


def _python_rule(builders: list[Builder], histories: dict[int, list[int]]) -> str:
    """Say what the release dashboard says, worst first."""
    worst = 0  # no information
    for builder in builders:
        if "3.14" not in builder.tags:
            continue
        interesting = [
            each for each in histories[builder.id] if each in (SUCCESS, WARNINGS, FAILURE)
        ]
        if not interesting:
            continue
        severity = 1
        if interesting[-1] == FAILURE and "stable" in builder.tags:
            is_blocking = "tier-1" in builder.tags or "tier-2" in builder.tags
            severity = 3 if is_blocking else 2
        worst = max(worst, severity)
    return ("N/A", "Releasable", "Concern", "Unreleasable")[worst]


def _package_tags(random: Random) -> tuple[str, ...]:
    tags = ["release_packages" if random.random() < 0.85 else "other"]
    return (*tags, "autobake") if random.random() < 0.5 else tuple(tags)


def _package_rule(builders: list[Builder], histories: dict[int, list[int | None]]) -> str:
    """Say what the release dashboard says of the newest change's builds."""
    found = set()
    for builder in builders:
        if "release_packages" not in builder.tags:
            continue
        history = histories[builder.id]
        if not history or history[-1] is None:
            found.add("Pending")
        elif history[-1] == SUCCESS:
            found.add("Releaseable")
        else:
            is_bad = "autobake" in builder.tags
            found.add("Not Releaseable" if is_bad else "Needs Attention")
    for each in ("Not Releaseable", "Needs Attention"):
        if each in found:
            return each
    return "Pending" if not found or "Pending" in found else "Releaseable"


class RuleTests(SynchronousTestCase):
    """Single rules, and faults of files."""

    def verdict(self, red: str, results: int | None, state: str = "unknown") -> tuple[str, int]:
        """Return the verdict on one builder, and how many concerns there are."""
        content = {"verdict": [{"name": "main", "group": [{"title": "all", "red": red}]}]}
        [rule] = rules_of(content)
        builder = Builder(id=1, master=MAIN, name="linux")
        verdicts = {1: said(builder, a_build(1, 1, results), state)}
        found = judged(rule, [builder], verdicts)
        return found.state, len(found.concerns)

    def test_reds(self) -> None:
        """A red builder blocks, blocks unless it is known, is of concern, or is allowed."""
        for red, results, state, expected in (
            ("blocks", FAILURE, "known", ("not releasable", 0)),
            ("known", FAILURE, "known", ("releasable", 1)),
            ("known", FAILURE, "recurring", ("not releasable", 0)),
            ("concern", FAILURE, "new", ("releasable", 1)),
            ("concern", None, "unknown", ("pending", 0)),
            ("allowed", FAILURE, "new", ("releasable", 0)),
            ("allowed", None, "unknown", ("releasable", 0)),
            ("blocks", EXCEPTION, "unknown", ("pending", 0)),
            ("blocks", RETRY, "unknown", ("pending", 0)),
            ("blocks", WARNINGS, "unknown", ("releasable", 0)),
        ):
            self.assertEqual(self.verdict(red, results, state), expected, (red, results, state))

    def test_order(self) -> None:
        """Reasons come in the order of the file's groups, and a builder is of the first one."""
        groups = [{"title": "b", "builders": "b*"}, {"title": "all"}]
        [rule] = rules_of({"verdict": [{"name": "main", "group": groups}]})
        builders = [Builder(id=at, master=MAIN, name=each) for at, each in enumerate("abc")]
        verdicts = {each.id: said(each, a_build(each.id, 1, FAILURE)) for each in builders}
        found = judged(rule, builders, verdicts)
        self.assertEqual([each.group for each in found.reasons], ["b", "all", "all"])
        self.assertEqual(found.count, 3)
        nobody = judged(rule, [], {})
        self.assertEqual((nobody.state, nobody.reasons[0].words),
                         ("pending", "no builder fits the groups"))  # fmt: skip

    def test_faults(self) -> None:
        """A fault names the line and the key."""
        path = Path(self.mktemp())
        good = '[[verdict]]\nname = "a"\n[[verdict.group]]\ntitle = "all"\n'
        for text, words in (
            ("", "verdict: must be given"),
            ('[[verdict]]\nname = "a"\n', "line 1: group: must be given"),
            (good + '[[verdict]]\nname = "b"\n[[verdict.group]]\ntitle = "t"\nred = "no"\n',
             "line 9: red is 'no': must be one of blocks, known, concern, allowed"),
            (good + good, "line 6: name is 'a': must be another"),
            (good + "tag = 3\n", "line 5: tag: must be one of title, tags, builders, red"),
            (good.replace("[[verdict.group]]", 'judge = "me"\n[[verdict.group]]'),
             "line 3: judge is 'me': must be one of revision, builders"),
            ("[[verdict]]\nname = 3\n", "line 2: name is 3: must be a text"),
            ("verdict = 3\n", "line 1: verdict is 3: must be tables"),
        ):  # fmt: skip
            path.write_text(text)
            fault = self.assertRaises(FileFault, read_rules, path, rules_of)
            self.assertIn(words, str(fault), text)
        path.write_text(good)
        self.assertEqual([each.name for each in read_rules(path, rules_of)], ["a"])


RULES = """\
[[verdict]]
name = "main"
[[verdict.group]]
title = "stable"
tags = ["stable"]
"""


class VerdictPageTests(BoardCase):
    """A board with rules."""

    async def setUp(self) -> None:
        """Write the rules first."""
        path = Path(self.mktemp())
        path.write_text(RULES)
        self.verdicts = path
        await super().setUp()

    async def told(self) -> Any:
        """Return the only verdict."""
        answer = await self.get("/api/verdicts")
        [verdict] = json.loads(answer.text)["verdicts"]
        return verdict

    async def test_newest_revision(self) -> None:
        """The newest change is judged, also where an older one was built again later."""
        new = {"changeid": 6, "author": "Tom", "revision": "new"}
        old = {"changeid": 5, "author": "Ada", "revision": "old"}
        await self.put(1, SUCCESS, revision="new", changes=[old, new])
        await self.put(2, FAILURE, revision="old", changes=[old])
        told = await self.told()
        self.assertEqual((told["state"], told["revision"]), ("releasable", "new"))
        newer = {"changeid": 7, "author": "Tom", "revision": "newer"}
        await self.put(3, FAILURE, revision="newer", changes=[newer])
        told = await self.told()
        self.assertEqual(told["state"], "not releasable")
        [reason] = told["reasons"]
        self.assertEqual((reason["name"], reason["group"]), ("linux", "stable"))
        await self.put(4, None, builder="mac", buildid=7000, revision="newer")
        page = (await self.get("/verdicts")).text
        self.assertIn("Not releasable", page)
        self.assertIn("not releasable", (await self.get("/")).text)
        self.assertIn("not releasable", (await self.get("/verdicts/main.svg")).text)
        self.assertIn("unknown", (await self.get("/verdicts/other.svg")).text)

    async def test_pending(self) -> None:
        """A builder that has not built the newest revision is waited for."""
        await self.put(1, SUCCESS, revision="old")
        await self.put(2, SUCCESS, builder="mac", buildid=7000, revision="new")
        told = await self.told()
        self.assertEqual((told["state"], told["reasons"][0]["words"]), ("pending", "not built yet"))

    async def test_fault(self) -> None:
        """A file with a fault leaves the rules in force, and its fault is shown and logged."""
        await self.put(1)
        self.verdicts.write_text("[[verdict]]\n")
        self.board.read_files_again()
        page = ""
        while "name: must be given" not in page:
            page = (await self.get("/verdicts")).text
        self.assertIn("Releasable", page)
        self.assertIn("name: must be given", str(self.book.lines))

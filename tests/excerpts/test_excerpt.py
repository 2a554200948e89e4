"""Which lines of a log say why its step failed."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.excerpts.excerpt import (
    BYTES_MOST,
    EXCERPTS_MOST,
    LINES_MOST,
    Excerpt,
    bare,
    choose,
    clean,
    has_reason,
)
from buildbot_http_status_push.excerpts.rules import RULES, branches, needed_words, standard_book

CORPUS = Path(__file__).with_name("corpus")
INDEX: dict[str, Any] = json.loads(CORPUS.joinpath("index.json").read_text("utf-8"))
ERROR_WORD = re.compile(r"(?i)error|fail")


def log(name: str) -> list[str]:
    """Return the lines of a log of the corpus."""
    return CORPUS.joinpath(f"{name}.log").read_text("utf-8").splitlines()


def shown(found: Iterable[Excerpt]) -> set[int]:
    """Return the numbers of the lines that excerpts show."""
    return {each.first_line + at for each in found for at in range(len(each.lines))}


def matched(found: Iterable[Excerpt]) -> set[int]:
    """Return the numbers of the lines that match."""
    return {each.first_line + at for each in found for at in each.matched}


def texts(found: Sequence[Excerpt]) -> list[str]:
    """Return the lines that match."""
    return [each.lines[at] for each in found for at in each.matched]


class CorpusTest(SynchronousTestCase):
    """Logs of real tools with broken inputs, and the lines that a developer wants to see."""

    def test_bar(self) -> None:
        """The line is in an excerpt for 95 %, and matches for 85 %, of at least 40 logs."""
        self.assertGreaterEqual(len(INDEX), 40)
        missed = {
            name for name, each in INDEX.items() if not shown(choose(log(name))) & {*each["lines"]}
        }
        unmatched = {
            name
            for name, each in INDEX.items()
            if not matched(choose(log(name))) & {*each["lines"]}
        }
        self.assertLessEqual(len(missed), 0.05 * len(INDEX), missed)
        self.assertLessEqual(len(unmatched), 0.15 * len(INDEX), unmatched)

    def test_logs_are_whole(self) -> None:
        """Every log has its entry, the command that wrote it, and lines that exist."""
        self.assertEqual({each.stem for each in CORPUS.glob("*.log")}, set(INDEX))
        for name, each in INDEX.items():
            self.assertTrue(each["command"], name)
            self.assertTrue({*each["lines"]} <= {*range(1, len(log(name)) + 1)}, name)


class ChoiceTest(SynchronousTestCase):
    """Which lines are chosen where there is much to choose from."""

    def test_far_from_the_end(self) -> None:
        """A cause hundreds of lines before the end is found, though noise follows it."""
        after = [f"worker {number}: FATAL: terminating connection" for number in range(40)]
        lines = [*PASSED, "src/price.c:12:5: error: 'tax' undeclared", *PASSED, *after]
        self.assertIn("src/price.c:12:5: error: 'tax' undeclared", texts(choose(lines)))

    def test_harmless_errors_before(self) -> None:
        """Errors that tests provoke do not hide the one that made the step fail."""
        harmless = [f"[ERROR] handler {number} failed as expected" for number in range(300)]
        lines = [*harmless, "E       assert 3 == 4", "1 failed, 300 passed"]
        self.assertIn("E       assert 3 == 4", choose(lines)[0].lines)

    def test_shared_message(self) -> None:
        """One cause of many failed tests is shown, and not as often as there are tests."""
        lines = [
            line
            for number in range(38)
            for line in (
                f"____ test_query_{number} ____",
                *[f"    frame {number}"] * 30,
                "E   ConnectionRefusedError: [Errno 111] Connection refused",
            )
        ]
        found = choose(lines)
        self.assertEqual(found[0].rule, "pytest")
        self.assertIn(
            "E   ConnectionRefusedError: [Errno 111] Connection refused", texts(found[:1])
        )
        self.assertLessEqual(len(found), EXCERPTS_MOST)

    def test_no_word_of_failure(self) -> None:
        """The last lines are shown, and the last one matches, where no rule knows a line."""
        lines = [f"step {number}" for number in range(100)]
        (found, *_) = choose(lines)
        self.assertEqual(found.rule, "last-lines")
        self.assertIn("step 99", texts([found]))

    def test_headings_lead(self) -> None:
        """The lines after a heading that says nothing itself match as well."""
        lines = ["* What went wrong:", "Execution of task ':docs' ended", "", "* Try:"]
        self.assertIn("Execution of task ':docs' ended", texts(choose(lines)))

    def test_ignored_exception_last(self) -> None:
        """An exception that Python ignores at exit is not the reason."""
        found = choose(log("python-ignored-last"))
        self.assertNotIn("RuntimeError: closed twice", texts(found))

    def test_own_rules_first(self) -> None:
        """A rule of the configuration wins over every other one."""

        class Own:
            def search(self, text: str, /) -> object:
                return re.search("budget", text)

        book = standard_book().preceded_by({"budget": Own()})
        lines = [
            "a.c:1:1: error: x",
            *[f"line {number}" for number in range(60)],
            "the budget is spent",
        ]
        self.assertEqual(choose(lines, book=book)[0].rule, "budget")

    def test_first_line(self) -> None:
        """Line numbers are the log's, also where only its end was read."""
        lines = [*PASSED, "a.c:1:1: error: x"]
        (found, *_) = choose(lines, first_line=501)
        self.assertEqual(found.first_line + found.matched[0], 501 + len(PASSED))

    def test_cut(self) -> None:
        """Excerpts say that lines which match were left out, and do not where none was."""
        few = [*PASSED, "a.c:1:1: error: x"]
        self.assertEqual({each.cut for each in choose(few)}, {False})
        apart = [f"{chr(97 + n)}.c:1:1: error: {chr(97 + n)}" for n in range(9)]
        many = [line for each in apart for line in (*PASSED, each)]
        self.assertEqual({each.cut for each in choose(many)}, {True})

    def test_empty(self) -> None:
        """An empty log has no excerpts."""
        self.assertEqual(choose([]), [])
        self.assertEqual(choose(["", "  ", "\x1b[0m"]), [])

    def test_has_reason(self) -> None:
        """A failed test or a cause is a reason to read no further, other words are not."""
        self.assertTrue(has_reason(["ok", "E   assert 3 == 4"], standard_book()))
        self.assertFalse(has_reason(["make: *** [check] Error 2", "an error"], standard_book()))

    def test_warnings_are_no_reason(self) -> None:
        """A line that says itself to be a warning yields to errors, and reading goes on."""
        warning = "  130:1  warning  This line has a length of 147  max-len"
        self.assertFalse(has_reason([warning], standard_book()))
        lines = ["E   assert 3 == 4", *["ok"] * 60, *[warning] * 30]
        self.assertIn("E   assert 3 == 4", choose(lines)[0].lines)

    def test_hints_without_a_cause(self) -> None:
        """Hints around a failed test match where nothing in the part says why."""
        lines = ["test_open FAILED", *["  frame"] * 8, "cannot open prices.toml"]
        self.assertIn("cannot open prices.toml", texts(choose(lines)))
        self.assertNotIn(
            "cannot open prices.toml", texts(choose([*lines, "a.c:1:1: error: bad type"]))
        )


PASSED = [f"test_{number} (Sample) ... ok" for number in range(150)]


class LineTest(SynchronousTestCase):
    """A line as it is shown and as it is searched."""

    def test_clean(self) -> None:
        """Colours, titles, links and control characters are gone, the text stays."""
        self.assertEqual(
            clean("\x1b[1;31merror:\x1b[0m \x1b]0;title\x07bad\x00 \u202evalue\tx\r\n"),
            "error: bad value\tx",
        )

    def test_progress_bars(self) -> None:
        """Of a line that was written over, the last state is left."""
        self.assertEqual(clean("10%\r 55%\r100% error: disk\r"), "100% error: disk")

    def test_bare(self) -> None:
        """Time stamps, tasks and containers before a line are no part of it."""
        for prefix in (
            "2024-03-01T10:00:00.123Z ",
            "[2024-03-01 10:00:00,123] ",
            "10:00:00 ",
            "[  12.345678] ",
            "#12 3.456 ",
            "web_1  | ",
            "Mar  1 10:00:00 host app[123]: ",
            "    [javac] ",
            "10:00:00     INFO - ",
            "2024-03-01T10:00:00Z web-1 | [task 2024-03-01] ",
        ):
            self.assertEqual(bare(f"{prefix}error: bad"), "error: bad")
        for whole in (
            "a.c:1:2: error: x",
            "12 failed",
            "[ERROR] x",
            "E   assert 1",
            "a.js | 9 | 8",
            "FAIL | x",
        ):
            self.assertEqual(bare(whole), whole)
        self.assertEqual(bare("2024-03-01T10:00:00.123Z"), "")


class LimitsTest(SynchronousTestCase):
    """Whatever a log holds, excerpts are small and take little time."""

    def test_sizes(self) -> None:
        """No excerpt has more than 60 lines or 8 KiB."""
        lines = [f"a{number}.c:1:1: error: {'ü' * 3000}" for number in range(500)]
        for each in choose(lines):
            self.assertLessEqual(len(each.lines), LINES_MOST)
            self.assertLessEqual(len("\n".join(each.lines).encode()), BYTES_MOST)
            self.assertTrue(each.cut)
            self.assertTrue(each.matched)

    def test_long_line(self) -> None:
        """A line of 450,000 characters is cut, and those around it are shown."""
        lines = ["x" * 450_000, "a.c:1:1: error: x", "\x1b[" * 225_000, "\r" * 450_000]
        started = time.process_time()
        found = choose(lines)
        self.assertLess(time.process_time() - started, 1)
        self.assertIn("a.c:1:1: error: x", texts(found))

    def test_words_decide_nothing(self) -> None:
        """Looking for words first finds the same rules as trying every pattern."""
        patterns = [(rule, re.compile(each)) for rule in RULES for each in rule.patterns]
        book = standard_book()
        for name in INDEX:
            for line in {bare(clean(each)) for each in log(name)[::9]}:
                expected = next((rule for rule, each in patterns if each.search(line)), None)
                self.assertIs(book.match(line), expected, line)

    def test_needed_words(self) -> None:
        """The words are those without which a pattern cannot match."""
        self.assertEqual(needed_words(r"^FAIL: \S"), {"fail: "})
        self.assertEqual(needed_words(r"(?i)(?:Bad|Wrong) \w+"), {"bad", "wrong"})
        self.assertEqual(needed_words(r"errors? in|\[FAIL\]"), {"error", "[fail]"})
        self.assertEqual(needed_words(r"\d+:[ab]{0,3}"), set())
        self.assertEqual(branches(r"(?i)a(?:b|c)|[|]d"), ["(?i)a(?:b|c)", "(?i)[|]d"])

    def test_linear_time(self) -> None:
        """No pattern takes more than a few times longer for a line that makes it backtrack."""
        for rule in RULES:
            for text in rule.patterns:
                self._time(rule.name, text)

    def _time(self, name: str, text: str) -> None:
        pattern = re.compile(text)
        words = sorted(needed_words(text)) or [""]
        pieces = [
            words[0],
            words[-1],
            "a",
            "1",
            " ",
            "a ",
            "a.",
            "a:1",
            "/",
            "(",
            "[",
            "-",
            "1:",
            "A",
            "'",
        ]
        for piece in pieces:
            for start in ("", words[0]):
                line = (start + piece * 2500)[:2500]
                started = time.process_time()
                pattern.search(line)
                self.assertLess(time.process_time() - started, 0.1, (name, text, piece))

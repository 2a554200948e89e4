"""Reads JUnit reports: counts each test case once, keeps what failed, salvages broken files.

Pure. The XML comes from a worker, hence from anyone who can push a branch: entities are not
expanded, nothing is fetched, and size, depth, counts and texts are bounded. To be run in a thread.

The format has no specification; what is read is what pytest, Maven Surefire, GoogleTest, CTest,
Go's and Rust's converters, Jest, Node and lit write.
"""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Iterator
from typing import Any
from xml.parsers import expat

from attrs import asdict, define, field

MAX_SIZE = 16 * 1024 * 1024
"""The most characters of a report that are read."""
MAX_CASES = 200_000
"""The most test cases of one report."""
MAX_DEPTH = 200
"""The most elements within each other."""
MAX_FAILURES = 500
"""The most failed tests that are described; those beyond are counted."""
MAX_SUITES = 500
"""The most suites that are counted by themselves; those beyond are counted together."""
MAX_PROBLEMS = 20
MAX_NAME = 500
"""The most characters of a test's, a suite's or a file's name."""
MAX_MESSAGE = 2048
"""The most bytes of a failed test's message, in UTF-8."""
MAX_DOCUMENTS = 1000
"""The most reports that are looked for in one log."""
MAX_BROKEN = 10
"""The most broken reports of one log after which a further one is looked for."""
MAX_PROLOGUE = 1024 * 1024
"""The most characters that other output may take before a report."""
MAX_REPAIRS = 100_000
PIECE = 64 * 1024
"""Characters that are searched at a time: a regular expression lets no other thread run."""

REMAINING = "(other suites)"

ROOTS = {"testsuites", "testsuite", "testcase"}
BAD = {"failure": "failure", "error": "error"}
UNREPORTED = {"disabled", "notrun", "not_run", "skipped", "ignored", "pending", "suppressed"}
"""Values of ``status`` or ``result`` of cases that did not run, and may have no ``<skipped>``."""
FAILED = {"fail", "failed", "failure"}
ERRED = {"error", "errored"}

# What XML 1.0 excludes (2.2 Char): tools copy it from the output of tests.
_EXCLUDED = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REFERENCE = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)(#[0-9]{1,7};|#x[0-9a-fA-F]{1,6};)?")
_BEGIN = re.compile(r"<\?xml\b|<(?:[\w.-]{1,40}:)?testsuites?\b")
_BEGIN_BYTES = re.compile(_BEGIN.pattern.encode())
_ELEMENT = re.compile(r"<[A-Za-z!]")
_DECLARATION = re.compile(r"<\?xml[^<>]{0,200}\?>")
_ENCODING = re.compile(rb"""<\?xml[^<>]{0,100}\bencoding=["']([A-Za-z0-9._-]{1,40})["']""")
# unittest-xml-reporting adds when a suite began: 20260102030405.
_START = re.compile(r"-[0-9]{14}$")
# Marks that turn the direction of text around, and invisible ones that break lines.
_MARKS = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)


@define
class Counts:
    """How many test cases ended how, and how long they took.

    Args:
        passed: Cases that passed, at last where they were repeated.
        failed: Cases whose assertion failed.
        errors: Cases that broke otherwise, and suites that broke outside any case.
        skipped: Cases that did not run.
        seconds: What they took together, in seconds.
    """

    passed: int = 0
    failed: int = 0
    errors: int = 0
    skipped: int = 0
    seconds: float = 0.0

    def add(self, other: Counts) -> None:
        """Add what others have counted."""
        self.passed += other.passed
        self.failed += other.failed
        self.errors += other.errors
        self.skipped += other.skipped
        self.seconds += other.seconds


@define
class TestResults:
    """What the reports of a build say of its tests.

    Args:
        totals: All cases together.
        suites: The cases of each suite, by its log and name.
        failures: Up to 500 failed tests, as the body has them.
        omitted: How many more failed.
        problems: What could not be read, in words.
    """

    __test__ = False  # it is no test case, whatever its name

    totals: Counts = field(factory=Counts)
    suites: dict[tuple[str, str], Counts] = field(factory=dict)
    failures: list[dict[str, Any]] = field(factory=list)
    omitted: int = 0
    problems: list[str] = field(factory=list)

    def count(self, log: str, suite: str, counts: Counts) -> None:
        """Count a case of a suite."""
        key = (log, suite)
        if key not in self.suites and len(self.suites) >= MAX_SUITES:
            key = ("", REMAINING)
        self.suites.setdefault(key, Counts()).add(counts)
        self.totals.add(counts)

    def fail(self, failure: dict[str, Any]) -> None:
        """Describe a failed test, or count it as omitted."""
        if len(self.failures) < MAX_FAILURES:
            self.failures.append(failure)
        else:
            self.omitted += 1

    def report(self, problem: str) -> None:
        """Note what could not be read."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(clip(problem, MAX_NAME))

    def as_body(self) -> dict[str, Any]:
        """Return the value of the body's key ``tests``."""
        return {
            "totals": _rounded(self.totals),
            "suites": [
                {"name": name, "log": log, **_rounded(counts)}
                for (log, name), counts in self.suites.items()
            ],
            "failures": self.failures,
            "omitted": self.omitted,
            "problems": self.problems,
        }


def read(data: str | bytes, log: str, results: TestResults) -> None:
    """Add what a log with JUnit reports says."""
    text = data if isinstance(data, str) else decode(data)
    if len(text) > MAX_SIZE:
        results.report(f"{log}: only the first {MAX_SIZE // 2**20} MiB were read")
        text = text[:MAX_SIZE]
    text = "".join(_tidy(piece) for piece in _pieces(text))
    begin = _first(text)
    if begin is None:
        results.report(f"{log}: no XML in it")
        return
    content, is_repaired = memoryview(text[begin:].encode()), False
    broken = 0
    for _ in range(MAX_DOCUMENTS):
        document = _Document(log)
        trouble = document.parse(content)
        if trouble is not None and trouble.code in _REPAIRABLE and not is_repaired:
            # Messages that are not escaped: a bare "&", references to characters that XML excludes.
            content, is_repaired = memoryview(_repair(str(content, "utf-8")).encode()), True
            continue
        if trouble is not None and trouble.code != _JUNK:
            document.problems.append(f"incomplete: {trouble.text}")
            broken += 1
        document.finish(results)
        if trouble is None or broken > MAX_BROKEN:
            return
        rest = content[max(trouble.at, 1) :]
        following = _BEGIN_BYTES.search(rest[:MAX_PROLOGUE])
        if following is None:
            return
        content = rest[following.start() :]
    results.report(f"{log}: more than {MAX_DOCUMENTS} reports in it; the others were not read")


def decode(data: bytes) -> str:
    """Return a report's text, whatever its encoding: never fails."""
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    head = data[:200]
    if head[1:2] == b"\0":
        return data.decode("utf-16-le", "replace")
    if head[:1] == b"\0":
        return data.decode("utf-16-be", "replace")
    declared = _ENCODING.search(head)
    try:
        return data.decode(declared[1].decode() if declared else "utf-8")
    except (UnicodeError, LookupError):
        return data.decode("latin-1")


def _pieces(text: str) -> Iterator[str]:
    """Cut a text, never within a reference or a declaration that is worth keeping whole."""
    begin = 0
    while begin < len(text):
        end = begin + PIECE
        for mark, longest in (("&", 10), ("<?xml", 250)):
            cut = text.rfind(mark, max(end - longest, begin + 1), end)
            if cut > 0 and end < len(text):
                end = cut
        yield text[begin:end]
        begin = end


def _tidy(piece: str) -> str:
    """Leave out what XML excludes, and the names of encodings: the text is decoded."""
    return _DECLARATION.sub('<?xml version="1.0"?>', _EXCLUDED.sub("", piece))


def _first(text: str) -> int | None:
    head = text[:MAX_PROLOGUE]
    found = _BEGIN.search(head) or _ELEMENT.search(head)
    return None if found is None else found.start()


def _repair(text: str) -> str:
    """Escape what is no reference, and leave out references to characters that XML excludes."""
    repairs, pieces = 0, []
    for piece in _pieces(text):
        if repairs < MAX_REPAIRS:
            piece, count = _REFERENCE.subn(_repaired, piece)
            repairs += count
        pieces.append(piece)
    return "".join(pieces)


def _repaired(reference: re.Match[str]) -> str:
    number = reference[1]
    if number is None:
        return "&amp;"
    value = int(number[2:-1], 16) if number[1] == "x" else int(number[1:-1])
    is_character = value <= 0x10FFFF and not _EXCLUDED.match(chr(value))
    return f"&{number}" if is_character else ""


_JUNK = expat.errors.codes[expat.errors.XML_ERROR_JUNK_AFTER_DOC_ELEMENT]
_REPAIRABLE = {
    expat.errors.codes[each]
    for each in (
        expat.errors.XML_ERROR_BAD_CHAR_REF,
        expat.errors.XML_ERROR_INVALID_TOKEN,
        expat.errors.XML_ERROR_UNDEFINED_ENTITY,
    )
}


@define
class _Trouble:
    text: str
    at: int
    code: int = 0


class _RefusedError(Exception):
    """What no honest report has."""


@define
class _Suite:
    name: str
    claimed: int
    file: str
    seconds: float
    has_cases: bool = False
    has_times: bool = False


@define
class _Case:
    attributes: dict[str, str]
    kinds: list[str] = field(factory=list)
    message: str = ""
    file: str = ""
    line: str = ""
    is_suite: bool = False
    is_skipped: bool = False
    has_passed_later: bool = False
    text: list[str] = field(factory=list)
    text_size: int = 0
    output: str = ""


class _Document:
    """One report, read element by element: what came before a fault is kept."""

    def __init__(self, log: str) -> None:
        self._log = log
        self._open: list[str] = []
        self._suites: list[_Suite] = []
        self._cases: list[_Case] = []
        self._text: list[str] | None = None
        self._found = TestResults()
        self._root = ""
        self.problems: list[str] = []
        self.cases = 0

    def parse(self, content: memoryview) -> _Trouble | None:
        """Read the report; return what ended that before the content's end, or None."""
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._data
        parser.EntityDeclHandler = self._refuse_entities
        try:
            parser.Parse(content, True)
        except expat.ExpatError as error:
            reason = expat.errors.messages.get(error.code, "not well-formed")
            has_ended = self._root and not self._open  # what follows is other output
            code = _JUNK if has_ended else error.code
            return _Trouble(f"{reason}, line {error.lineno}", parser.ErrorByteIndex, code)
        except _RefusedError as refused:
            return _Trouble(str(refused), len(content))
        return None

    def finish(self, results: TestResults) -> None:
        """Add what was found to the results of the build."""
        while self._cases:  # the end is missing, and so may be the rest of what it says
            self._end_case(self._cases.pop())
        while self._suites:
            self._end_suite(self._suites.pop())
        if self._root and self._root not in ROOTS and not self.cases:
            self.problems.insert(0, f"no JUnit report: its root is <{clip(self._root, 60)}>")
        for (log, suite), counts in self._found.suites.items():
            results.count(log, suite, counts)
        for failure in self._found.failures:
            results.fail(failure)
        results.omitted += self._found.omitted
        for problem in self.problems:
            results.report(f"{self._log}: {problem}")

    def _refuse_entities(self, name: str, *_: object) -> None:
        raise _RefusedError(f"it declares the entity {clip(name, 40)!r}, which is not expanded")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2].lower()
        self._root = self._root or name
        if len(self._open) >= MAX_DEPTH:
            raise _RefusedError(f"more than {MAX_DEPTH} elements within each other")
        parent = self._open[-1] if self._open else ""
        self._open.append(name)
        if name == "testcase":
            if self.cases >= MAX_CASES:
                raise _RefusedError(f"more than {MAX_CASES:,} test cases")
            self._cases.append(_Case(attributes))
            self.cases += 1
            for suite in self._suites:
                suite.has_cases = True
        elif name in ("testsuite", "testsuites"):
            self._suites.append(_suite(attributes))
        elif self._cases and parent == "testcase":
            self._start_in_case(name, attributes)
        elif name in BAD and parent in ("testsuite", "testsuites"):
            case = _Case({}, [BAD[name]], attributes.get("message", ""), is_suite=True)
            self._cases.append(case)
            self._text = case.text

    def _start_in_case(self, name: str, attributes: dict[str, str]) -> None:
        case = self._cases[-1]
        if name in BAD:
            case.kinds.append(BAD[name])
            if len(case.kinds) == 1:
                case.message = attributes.get("message") or attributes.get("type", "")
                case.file = attributes.get("file", "")
                case.line = attributes.get("line", "")
                self._text = case.text
        elif name == "skipped":
            case.is_skipped = True
        elif name in ("flakyfailure", "flakyerror"):
            case.has_passed_later = True

    def _end(self, name: str) -> None:
        name = self._open.pop()
        if name == "testcase":
            self._text = None
            self._end_case(self._cases.pop())
        elif name in ("testsuite", "testsuites"):
            self._end_suite(self._suites.pop())
        elif name in BAD:
            self._text = None
            if self._cases and self._cases[-1].is_suite:
                self._end_broken_suite(self._cases.pop())

    def _data(self, data: str) -> None:
        if not self._cases:
            return
        case = self._cases[-1]
        if self._text is None:
            # The end of the output explains a failure that has no message, such as CTest's.
            if self._open[-1] in ("system-out", "system-err"):
                case.output = (case.output + data)[-MAX_MESSAGE:]
        elif case.text_size < MAX_MESSAGE * 2:
            case.text.append(data[: MAX_MESSAGE * 2])
            case.text_size += len(data)

    def _end_case(self, case: _Case) -> None:
        suite = self._suites[-1] if self._suites else _Suite("", 0, "", 0.0)
        seconds = number(case.attributes.get("time", case.attributes.get("duration", "")))
        suite.has_times = suite.has_times or seconds > 0
        counts = Counts(seconds=seconds)
        kind = _kind(case)
        if kind == "passed":
            counts.passed = 1
        elif kind == "skipped":
            counts.skipped = 1
        elif kind == "failure":
            counts.failed = 1
        else:
            counts.errors = 1
        self._found.count(self._log, suite.name, counts)
        if kind in BAD:
            self._found.fail(_failure(case, kind, suite, seconds))

    def _end_suite(self, suite: _Suite) -> None:
        if suite.claimed and not suite.has_cases:
            self.problems.append(
                f"suite {suite.name or '(without a name)'!r} claims {suite.claimed} tests, and has "
                "no test case"
            )
        if suite.has_cases and not suite.has_times and suite.seconds:
            self._found.count(self._log, suite.name, Counts(seconds=suite.seconds))
        # An outer suite's time is its inner ones'.
        for outer in self._suites:
            outer.has_times = outer.has_times or suite.has_times or suite.seconds > 0

    def _end_broken_suite(self, case: _Case) -> None:
        suite = self._suites[-1] if self._suites else _Suite("", 0, "", 0.0)
        suite.has_cases = True
        name = suite.name or "(suite)"
        self.problems.append(f"suite {name!r} has an <{case.kinds[0]}> outside any test case")
        case.attributes = {"name": name}
        self._found.count(self._log, suite.name, Counts(errors=1))
        self._found.fail(_failure(case, "error", suite, 0.0))


def _suite(attributes: dict[str, str]) -> _Suite:
    claims = (attributes.get(name, "") for name in ("tests", "failures", "errors"))
    return _Suite(
        clip(_START.sub("", attributes.get("name", "")), MAX_NAME),
        int(min(max(map(number, claims)), 1e9)),
        attributes.get("file") or attributes.get("filepath") or "",
        number(attributes.get("time", attributes.get("duration", ""))),
    )


def _kind(case: _Case) -> str:
    """Say how a case ended; what was repeated until it passed has passed."""
    if case.is_skipped:
        return "skipped"
    if case.kinds:
        return "failure" if "failure" in case.kinds else "error"
    if case.has_passed_later:
        return "passed"
    said = {case.attributes.get(name, "").strip().lower() for name in ("status", "result")}
    if said & FAILED:
        return "failure"
    if said & ERRED:
        return "error"
    return "skipped" if said & UNREPORTED else "passed"


def _failure(case: _Case, kind: str, suite: _Suite, seconds: float) -> dict[str, Any]:
    attributes = case.attributes
    line = number(attributes.get("line") or case.line)
    file = attributes.get("file") or attributes.get("filepath") or case.file or suite.file
    return {
        "suite": suite.name,
        "name": _name(attributes),
        "kind": kind,
        "message": message("".join(case.text), case.message) or message(case.output),
        "seconds": round(seconds, 3),
        "file": clip(file, MAX_NAME) or None,
        "line": int(line) if 0 < line < 1e9 else None,
    }


def _name(attributes: dict[str, str]) -> str:
    """Name a test the same way in every run: with its class, unless its name has it already."""
    name = attributes.get("name", "").strip()
    scope = attributes.get("classname", attributes.get("class", "")).strip()
    if not name or not scope or scope in name:
        return clip(name or scope, MAX_NAME) or "(without a name)"
    return clip(f"{scope}.{name}", MAX_NAME)


def message(text: str, summary: str = "") -> str:
    """Return what a failed test says, without marks that hide or turn text, at most 2 KiB."""
    summary, text = summary.strip(), text.strip()
    both = text if text.startswith(summary) else f"{summary}\n{text}".strip()
    clean = _MARKS.sub("", both.replace("\r\n", "\n"))
    encoded = clean.encode("utf-8", "replace")
    if len(encoded) <= MAX_MESSAGE:
        return clean
    return encoded[: MAX_MESSAGE - 3].decode("utf-8", "ignore") + "…"


def number(text: str) -> float:
    """Read a number as a report has it; 0 where it is none that can be right."""
    digits = text.strip()[:40]
    if "," in digits:
        # Thousands, or a decimal comma: the last of the two marks is the decimal one.
        if "." not in digits and digits.count(",") == 1:
            digits = digits.replace(",", ".")
        elif digits.rfind(",") > digits.rfind("."):
            digits = digits.replace(".", "").replace(",", ".")
        else:
            digits = digits.replace(",", "")
    try:
        value = float(digits)
    except ValueError:
        return 0.0
    return value if math.isfinite(value) and 0 <= value < 1e9 else 0.0


def clip(text: str, most: int) -> str:
    """Return a name on one line without marks that hide or turn text, at most so long."""
    clean = _MARKS.sub("", " ".join(text[: most * 4].split()))
    return clean if len(clean) <= most else clean[: most - 1] + "…"


def _rounded(counts: Counts) -> dict[str, Any]:
    return {**asdict(counts), "seconds": round(counts.seconds, 3)}

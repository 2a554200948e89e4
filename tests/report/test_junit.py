"""JUnit reports as tools write them, broken ones, and ones made to do harm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.report import junit
from buildbot_http_status_push.report.junit import MAX_FAILURES, TestResults, number, read

REPORTS = Path(__file__).parent / "junit"

COUNTED = {  # passed, failed, errors, skipped: from what each tool printed
    "bats.xml": (1, 1, 0, 1),
    "behave.xml": (1, 1, 1, 0),
    "cargo.xml": (1, 1, 0, 0),
    "catch2.xml": (1, 1, 1, 0),
    "ctest.xml": (1, 3, 0, 4),
    "gotestsum.xml": (1, 2, 0, 1),
    "gtest.xml": (1, 1, 0, 2),
    "jest.xml": (1, 2, 0, 1),
    "lit.xml": (2, 1, 0, 1),
    "mocha.xml": (1, 2, 0, 0),
    "node.xml": (1, 2, 0, 2),
    "nose2.xml": (1, 1, 1, 2),
    "phpunit.xml": (2, 2, 1, 1),
    "pytest-xunit1.xml": (3, 5, 2, 2),
    "pytest.xml": (10, 4, 2, 2),
    "robot.xml": (1, 1, 0, 1),
    "subunit.xml": (1, 3, 0, 1),
    "surefire.xml": (2, 1, 0, 1),
    "vitest.xml": (1, 2, 0, 1),
    "xmlrunner.xml": (1, 1, 2, 1),
}


def body_of(data: str | bytes) -> dict[str, Any]:
    """Return what a body says of one report."""
    results = TestResults()
    read(data, "junit.xml", results)
    return results.as_body()


def counts(body: dict[str, Any]) -> tuple[int, ...]:
    """Return how many passed, failed, broke and were skipped."""
    return tuple(body["totals"][each] for each in ("passed", "failed", "errors", "skipped"))


class ToolsTest(SynchronousTestCase):
    """What tools write."""

    def test_counts(self) -> None:
        """The cases of each tool's report are counted as the tool itself says."""
        found = {each.name: counts(body_of(each.read_bytes())) for each in REPORTS.glob("*.xml")}
        self.assertEqual(found, COUNTED)

    def test_no_problems(self) -> None:
        """None of them has problems, and each failed case is described by name and message."""
        for path in REPORTS.glob("*.xml"):
            body = body_of(path.read_bytes())
            self.assertEqual(body["problems"], [], path.name)
            self.assertEqual(len(body["failures"]), sum(counts(body)[1:3]), path.name)
            self.assertNotIn("(without a name)", [each["name"] for each in body["failures"]])

    def test_described(self) -> None:
        """A failure has the test's name with its class, message, file, line and time."""
        [failure] = body_of((REPORTS / "gtest.xml").read_bytes())["failures"]
        self.assertEqual((failure["suite"], failure["name"]), ("Foo", "Foo.Bad"))
        self.assertEqual(
            (failure["kind"], failure["file"], failure["line"]), ("failure", "a.cc", 2)
        )
        self.assertIn("Expected equality of these values:", failure["message"])

    def test_time_in_name(self) -> None:
        """A suite has the same name in every run, though unittest-xml-reporting adds the time."""
        [suite] = body_of((REPORTS / "xmlrunner.xml").read_bytes())["suites"]
        self.assertEqual(suite["name"], "tu.T")

    def test_repeated(self) -> None:
        """A test that passed when repeated has passed, one that failed twice is one failure."""
        body = body_of((REPORTS / "surefire.xml").read_bytes())
        self.assertEqual(
            [each["name"] for each in body["failures"]], ["com.example.StoreTest.breaks"]
        )
        self.assertAlmostEqual(body["totals"]["seconds"], 1204.03)


class DirtyTest(SynchronousTestCase):
    """What is not as it should be."""

    def test_other_output(self) -> None:
        """Output before, between and after reports is passed over, and all reports are read."""
        report = '<testsuites><testcase name="{}"/></testsuites>'
        second = f"<?xml version='1.0'?>{report.format('b')}"
        log = f"$ make <check> & \x00\n{report.format('a')}\nbye\n{second} &"
        body = body_of(log)
        self.assertEqual((counts(body), body["problems"]), ((2, 0, 0, 0), []))

    def test_excluded_characters(self) -> None:
        """Messages with what XML excludes, raw or as references, and bare ampersands are read."""
        body = body_of(
            '<testsuite><testcase name="a">'
            '<failure message="x\x00&#27;[1m&#xFFFF; a &amp; b & c &nbsp;"/>'
            '</testcase><testcase name="b"/></testsuite>'
        )
        self.assertEqual((counts(body), body["problems"]), ((1, 1, 0, 0), []))
        self.assertEqual(body["failures"][0]["message"], "x[1m a & b & c &nbsp;")

    def test_truncated(self) -> None:
        """Half a report counts the cases it has, and says that it is incomplete."""
        body = body_of('<testsuites><testcase name="a"/><testcase name="b"><failure message="no"/>')
        self.assertEqual(counts(body), (1, 1, 0, 0))
        [problem] = body["problems"]
        self.assertIn("junit.xml: incomplete: no element found", problem)

    def test_encodings(self) -> None:
        """Bytes are decoded by their mark or declaration, as Latin-1 where that is wrong."""
        for encoding, declared in (
            ("utf-8", "utf-8"),
            ("utf-8-sig", "utf-8"),
            ("utf-16", "utf-16"),
            ("utf-16-le", "utf-16"),
            ("latin-1", "iso-8859-1"),
            ("latin-1", "utf-8"),
            ("latin-1", "klingon"),
        ):
            xml = (
                f'<?xml version="1.0" encoding="{declared}"?><testcase name="é"><error/></testcase>'
            )
            body = body_of(xml.encode(encoding))
            self.assertEqual(
                [each["name"] for each in body["failures"]], ["é"], (encoding, declared)
            )

    def test_namespaces(self) -> None:
        """Names of elements count without their namespace."""
        body = body_of(
            '<j:testsuite xmlns:j="urn:x"><j:testcase><j:error/></j:testcase></j:testsuite>'
        )
        self.assertEqual(counts(body), (0, 0, 1, 0))

    def test_foreign(self) -> None:
        """Other XML, and none at all, is a problem and not zero tests."""
        for data, problem in (
            ("<coverage><packages/></coverage>", "no JUnit report: its root is <coverage>"),
            ("", "no XML in it"),
            ("all 12 tests passed", "no XML in it"),
            ('<testsuite name="s" tests="3"/>', "suite 's' claims 3 tests, and has no test case"),
        ):
            self.assertEqual(body_of(data)["problems"], [f"junit.xml: {problem}"])

    def test_broken_suite(self) -> None:
        """An error outside any case counts, and is described by the suite's name."""
        body = body_of('<testsuite name="db"><error message="no server"/></testsuite>')
        self.assertEqual(counts(body), (0, 0, 1, 0))
        [failure] = body["failures"]
        self.assertEqual((failure["name"], failure["message"]), ("db", "no server"))
        self.assertEqual(
            body["problems"], ["junit.xml: suite 'db' has an <error> outside any test case"]
        )

    def test_status(self) -> None:
        """What a case says by its status alone counts too."""
        xml = "".join(
            f'<testcase status="{each}"/>' for each in ("run", "disabled", "fail", "error")
        )
        self.assertEqual(counts(body_of(f"<testsuite>{xml}</testsuite>")), (1, 1, 1, 1))

    def test_numbers(self) -> None:
        """No number can break a report."""
        for text, value in (
            ("1,234.56", 1234.56), ("1.234,56", 1234.56), ("0,5", 0.5), ("", 0), ("NaN", 0),
            ("inf", 0), ("-1", 0), ("9" * 5000, 0), ("1e400", 0), ("two", 0),
        ):  # fmt: skip
            self.assertEqual(number(text), value, text[:20])

    def test_marks(self) -> None:
        """Marks that turn the direction of text, or hide, are left out of names and messages."""
        body = body_of('<testcase name="a\u202eb"><failure message="c\u2066d"/></testcase>')
        self.assertEqual([(f["name"], f["message"]) for f in body["failures"]], [("ab", "cd")])

    @given(st.text() | st.binary() | st.text("<>/&;#x\"=' testcaseuifrlo!-[]CDAT", max_size=200))
    def test_whatever(self, data: str | bytes) -> None:
        """Whatever is in a log, reading ends without an error."""
        for each in (data, "<testsuite>" + data if isinstance(data, str) else data):
            body = body_of(each)
            self.assertEqual(len(body["failures"]) + body["omitted"], sum(counts(body)[1:3]))


class HostileTest(SynchronousTestCase):
    """What is made to do harm."""

    def test_entities(self) -> None:
        """Entities are neither expanded nor fetched."""
        laughs = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'
        body = body_of(f'<?xml version="1.0"?>{laughs}<testsuites>&b;</testsuites>')
        self.assertEqual(
            body["problems"],
            ["junit.xml: incomplete: it declares the entity 'a', which is not expanded"],
        )
        outside = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]>'
        [problem] = body_of(f'{outside}<testcase name="&a;"/>')["problems"]
        self.assertIn("which is not expanded", problem)

    def test_depth(self) -> None:
        """Elements within each other are read to a depth of 200."""
        [problem] = body_of("<testsuite>" * 100_000)["problems"]
        self.assertIn("more than 200 elements within each other", problem)

    def test_size(self) -> None:
        """Reports beyond the limit are read to it."""
        self.patch(junit, "MAX_SIZE", 1000)
        body = body_of("<testsuite>" + "<testcase/>" * 1000)
        self.assertEqual(counts(body), ((1000 - len("<testsuite>")) // len("<testcase/>"), 0, 0, 0))
        self.assertIn("only the first", body["problems"][0])

    def test_cases(self) -> None:
        """Cases are counted to a limit."""
        self.patch(junit, "MAX_CASES", 10)
        body = body_of("<testsuite>" + "<testcase/>" * 1000 + "</testsuite>")
        self.assertEqual(counts(body), (10, 0, 0, 0))
        self.assertIn("more than 10 test cases", body["problems"][0])

    def test_failures(self) -> None:
        """Failures are described to a limit, and counted beyond; messages and names are clipped."""
        case = f'<testcase name="{"n" * 5000}"><failure>{"é" * 5000}</failure></testcase>'
        body = body_of("<testsuite>" + case * (MAX_FAILURES + 3) + "</testsuite>")
        self.assertEqual((len(body["failures"]), body["omitted"]), (MAX_FAILURES, 3))
        self.assertEqual(counts(body)[1], MAX_FAILURES + 3)
        [failure, *_] = body["failures"]
        self.assertLessEqual(len(failure["message"].encode()), 2048)
        self.assertEqual(len(failure["name"]), 500)

    def test_suites(self) -> None:
        """Suites beyond the limit are counted together."""
        self.patch(junit, "MAX_SUITES", 2)
        suites = "".join(f'<testsuite name="{n}"><testcase/></testsuite>' for n in range(5))
        names = [(s["name"], s["passed"]) for s in body_of(f"<a>{suites}</a>")["suites"]]
        self.assertEqual(names, [("0", 1), ("1", 1), ("(other suites)", 3)])

    def test_many_beginnings(self) -> None:
        """Broken reports after each other are given up after a few."""
        self.assertEqual(len(body_of("<?xml " * 10_000)["problems"]), junit.MAX_BROKEN + 1)

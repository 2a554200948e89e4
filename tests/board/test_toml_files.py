"""The board's TOML files: where a fault is."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.toml_files import FileFault, TomlFile, seconds_of

TEXT = """title = "a"  # the title
"quoted" = 1
[to.chat]
url = "x"
[[rule]]
name = "a"
[[ rule ]]  # the second
name = "b"
"""


class PlaceTest(SynchronousTestCase):
    """The line that a fault names."""

    def test_lines(self) -> None:
        """A fault has the line of its key, of its table's header, or of a table by that name."""
        file = TomlFile({}, TEXT)
        for fault, line in (
            (FileFault("title is 7: must be a text"), "line 1: "),
            (FileFault("quoted: must be"), "line 2: "),
            (FileFault("url: must be").within("to.chat"), "line 4: "),
            (FileFault("user: must be given").within("to.chat"), "line 3: "),
            (FileFault("name is 'b'").within("rule", 2), "line 8: "),
            (FileFault("to: must be given").within("rule", 2), "line 7: "),
            (FileFault("rule: must be"), "line 5: "),
            (FileFault("other: must be given"), ""),
        ):
            self.assertEqual(file.place(fault), f"{line}{fault}")

    def test_seconds(self) -> None:
        """A time has a number and a unit, and a limit."""
        self.assertEqual(seconds_of("wait", "5m", 3600), 300.0)
        self.assertEqual(seconds_of("wait", "0s", 3600), 0.0)
        self.assertIsNone(seconds_of("wait", None, 3600))
        for value in ("5", "5 m", "2h", 5, "-1m"):
            with self.assertRaises(FileFault) as caught:
                seconds_of("wait", value, 3600)
            self.assertIn('at most 1 hours, e.g. wait = "5m"', str(caught.exception))

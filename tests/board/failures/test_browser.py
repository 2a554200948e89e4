"""Pages that show why builds failed, in a real browser."""

from __future__ import annotations

from typing import Any

import pytest
from support.board_process import BoardProcess
from support.browser import axe, browser
from support.reasons import excerpts, failed_tests
from support.statuses import a_body
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.results import FAILURE, SUCCESS

pytestmark = pytest.mark.once

AUDIT = """
const [script, options, done] = arguments;
new Function(script)();
axe.run({ resultTypes: ["violations"], ...options }).then(
  ({ violations }) => done(violations.map(({ id, help, nodes }) => [id, help, nodes[0].html])),
  (fault) => done([String(fault)]));
"""


class BrowserTest(SynchronousTestCase):
    """A board with a builder that says why it is red."""

    def test_accessible(self) -> None:
        """axe-core finds nothing that keeps people out, in light and in dark, and on a phone."""
        reasons = {**excerpts("cc1: error: no space left", "x" * 300), **failed_tests("test_login")}
        found: dict[str, Any] = {}
        with BoardProcess.running() as board, browser() as window:
            board.send([a_body(1, SUCCESS), a_body(2, FAILURE, **reasons)])
            window.open(board.address)
            failure = window.run("return document.querySelector('.red a.line').pathname")
            build = window.run("return document.querySelector('.red .why').pathname")
            for path in ("", "failures", failure[1:], build[1:], "known"):
                window.resize(390, 844)
                window.open(board.address + path)
                wide = window.run("return document.documentElement.scrollWidth")
                self.assertLessEqual(wide, 390, path)
                window.resize(1280, 800)
                for scheme, options in (("light", {}), ("dark", {"runOnly": ["color-contrast"]})):
                    window.prefer(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
                    if violations := window.run_async(AUDIT, axe(), options):
                        found[f"/{path} {scheme}"] = violations
        self.assertEqual(found, {})

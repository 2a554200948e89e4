"""The page about excerpts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

DOCS = Path(__file__).parents[2] / "docs"


class PageTest(SynchronousTestCase):
    """The published table."""

    def test_is_of_these_rules(self) -> None:
        """The page is what its script writes; run ``python docs/excerpts_table.py``."""
        script = "import excerpts_table; print(excerpts_table.page(), end='')"
        written = subprocess.run(
            [sys.executable, "-c", script],
            cwd=DOCS,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=True,
            timeout=60,
            env={"PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        ).stdout
        self.assertEqual(written, (DOCS / "reference" / "excerpts.md").read_text("utf-8"))

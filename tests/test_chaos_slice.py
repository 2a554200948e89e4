"""A short piece of the fault suite: a real master's process, killed and disturbed in haste."""

from __future__ import annotations

import os

import pytest
from chaos.cases import killed_again_and_again
from chaos.runner import runner
from twisted.trial.unittest import SynchronousTestCase

pytestmark = pytest.mark.once

SEED = int(os.environ.get("HTTP_STATUS_PUSH_CHAOS_SEED") or 1)
EFFORT = 1


class ChaosSliceTests(SynchronousTestCase):
    """Nothing is lost, late, wrong, or sent twice without a cause."""

    def test_killed(self) -> None:
        """A master that is killed at a random moment delivers all it owes when it runs again."""
        with runner(SEED, EFFORT) as stage:
            report = stage.run(killed_again_and_again)
        self.assertEqual(report.faults, [], f"HTTP_STATUS_PUSH_CHAOS_SEED={SEED}")

"""A short piece of the fault suite: a real master's process, killed and disturbed in haste."""

from __future__ import annotations

import os

from chaos.cases import Case, killed_again_and_again, outbox_overwritten_between_runs
from chaos.runner import runner
from twisted.trial.unittest import SynchronousTestCase

SEED = int(os.environ.get("HTTP_STATUS_PUSH_CHAOS_SEED") or 1)
EFFORT = 2


class ChaosSliceTests(SynchronousTestCase):
    """Nothing is lost, late, wrong, or sent twice without a cause."""

    def check(self, case: Case) -> None:
        """Run a case, and look for faults."""
        with runner(SEED, EFFORT) as stage:
            report = stage.run(case)
        self.assertEqual(report.faults, [], f"HTTP_STATUS_PUSH_CHAOS_SEED={SEED}")

    def test_killed(self) -> None:
        """A master that is killed at random moments tells all it owes when it runs again."""
        self.check(killed_again_and_again)

    def test_overwritten_outbox(self) -> None:
        """An outbox that holds noise is set aside, and what it held is told all the same."""
        self.check(outbox_overwritten_between_runs)

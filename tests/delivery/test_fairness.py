"""Builders that the receiver rejects hold up no others: the extremes of ``tox -e fairness``."""

from __future__ import annotations

from typing import Any

import pytest
from fairness.bars import Measured, down, refused
from fairness.simulation import MODES, OK, Answers, Simulation
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.model import Accepted, Outcome, Refused

pytestmark = pytest.mark.once

SEEDS = (1, 2)


class FairnessTestCase(SynchronousTestCase):
    """Ten builders, in virtual time."""

    def check(self, *found: Measured) -> None:
        """See that every bar is met."""
        for each in found:
            self.assertTrue(each.is_met, str(each))

    def play(self, answers: Answers, rate: float, **more: Any) -> Simulation:
        """Play a case of its own."""
        return Simulation(answers, rate, "seed", **more).run()


class RefusedTest(FairnessTestCase):
    """Some builders are refused, whatever the receiver answers."""

    def test_few_builds(self) -> None:
        """With a build in 50 s others wait at most 6 s, or 25 s where the receiver is silent."""
        for mode in MODES:
            for builders in (1, 5):
                for seed in SEEDS:
                    with self.subTest(f"{mode}, {builders} refused, seed {seed}"):
                        self.check(*refused(mode, builders, 0.02, seed))

    def test_many_builds(self) -> None:
        """With two builds a second others wait at most 6 s, or 40 s where it is silent."""
        for mode in ("400", "500", "429, Retry-After 60", "no answer"):
            with self.subTest(mode):
                # What is refused for its content waits for itself, and longer with each attempt:
                # the mean falls with time.
                seconds = 600.0 if mode == "400" else 150.0
                self.check(*refused(mode, 5, 2.0, SEEDS[0], seconds=seconds))

    def test_one_at_a_time(self) -> None:
        """With one attempt at a time they take turns with the others."""
        for mode, most in (("500", 6.0), ("429, Retry-After 60", 6.0), ("no answer", 95.0)):
            with self.subTest(mode):
                played = self.play(
                    lambda builder, _, mode=mode: MODES[mode] if builder < 5 else OK,
                    0.02,
                    concurrency=1,
                )
                self.check(Measured(played.longest_wait(range(5, 10)), most))

    def test_alternating(self) -> None:
        """A builder of which every other attempt fails delays no others, and itself for seconds."""
        answered = [0]

        def answers(builder: int, _: float) -> Outcome:
            answered[0] += builder == 0
            return Refused(500) if builder == 0 and answered[0] % 2 else OK

        played = self.play(answers, 0.2)
        self.check(Measured(played.longest_wait(range(1, 10)), 6.0))
        self.check(Measured(played.longest_wait(range(1)), 10.0))

    def test_recovery(self) -> None:
        """A builder that is accepted again after ten minutes is sent within another minute."""
        played = self.play(
            lambda builder, now: Refused(500) if builder < 5 and now < 600 else OK,
            0.2,
            seconds=700.0,
        )
        accepted = [each.at for each in played.attempts if isinstance(each.outcome, Accepted)]
        self.assertLess(max(accepted), 725.0)
        late = [at for builder, _, at in played.waits.values() if builder < 5 and at is not None]
        self.assertTrue(any(600 < at < 672 for at in late))


class OutageTest(FairnessTestCase):
    """The whole receiver is away for a while."""

    def test_short(self) -> None:
        """It is found within 10 s of its return, with few attempts in the meantime."""
        for mode in ("503", "no answer"):
            for lasts in (60.0, 600.0):
                for seed in SEEDS:
                    with self.subTest(f"{mode}, {lasts:g} s, seed {seed}"):
                        self.check(*down(mode, lasts, 0.2, seed))

    def test_long(self) -> None:
        """After more than ten minutes it is found within 30 s."""
        for seed in SEEDS:
            self.check(*down("503", 1800.0, 0.02, seed))

    def test_single_builder(self) -> None:
        """It is the same with a single builder, and with one attempt at a time."""
        for more in ({"builders": 1}, {"builders": 1, "concurrency": 1}):
            self.check(*down("503", 300.0, 0.2, SEEDS[0], **more))

    def test_asked_to_wait(self) -> None:
        """A receiver that asks for time gets it from all that it answered so."""
        played = self.play(
            lambda _, now: Refused(503, retry_after=50.0) if 100 <= now < 140 else OK,
            2.0,
            seconds=200.0,
        )
        # Those under way when it began, and one of each builder that had not failed yet.
        self.assertLessEqual(played.failing(), 25)
        self.assertLess(played.longest_wait(range(10)), 60.0)

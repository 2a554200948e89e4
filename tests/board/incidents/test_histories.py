"""Histories, replayed: the incidents that the board makes of them are those that people want."""

from __future__ import annotations

from support.histories import histories
from support.replays import Replay, RestartedReplay
from twisted.trial.unittest import SynchronousTestCase


class HistoryTest(SynchronousTestCase):
    """Histories."""

    def test_steps(self) -> None:
        """Each history makes the wanted steps, at the wanted times."""
        wrong = {}
        for name, history in histories().items():
            seen, wanted = sorted(Replay(history).seen()), sorted(history.steps)
            if seen != wanted:
                wrong[name] = {
                    "more": [each for each in seen if each not in wanted],
                    "lacking": [each for each in wanted if each not in seen],
                }
        self.assertEqual(wrong, {})

    def test_restarts(self) -> None:
        """A board that is restarted after each event makes the same steps."""
        for name, history in histories().items():
            seen = RestartedReplay(history).seen()
            self.assertEqual(seen, Replay(history).seen(), name)

    def test_suspects(self) -> None:
        """The suspects are as many as wanted, also on a board that is restarted."""
        wrong = {}
        for name, history in histories().items():
            replay = RestartedReplay(history)
            for number, letter in replay.letters.items():
                suspects = replay.kept[number].suspects
                count = "unchanged" if suspects.is_unchanged else str(suspects.count or "none")
                if count != history.suspects.get(letter, count):
                    wrong[name] = count
        self.assertEqual(wrong, {})

"""Why requests wait, and when they should begin: pure."""

from __future__ import annotations

from attrs import evolve
from support.statuses import NOW, a_status
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.cluster.queue import expected, why
from buildbot_http_status_push.board.model import Build, Builder, Master, Worker
from buildbot_http_status_push.board.store.rows import FIELDS

MAIN = Master(id=1, name="ci", url="https://ci.example.org/", heard_at=NOW)


def workers(*names: str) -> list[Worker]:
    """Return workers that are connected."""
    return [Worker(id=at, master=MAIN, name=name, connected=True) for at, name in enumerate(names)]


def running(number: int, usual: float | None = 600.0) -> tuple[Builder, Build]:
    """Return a build that runs, with its builder."""
    status = a_status(number, None)
    values = {name: getattr(status, name) for name in FIELDS if name not in ("id", "sequence")}
    build = Build(id=number, master=1, builder=1, builder_name="linux", sequence=1, **values)
    return Builder(id=1, master=MAIN, name="linux", usual=usual), build


class WhyTests(SynchronousTestCase):
    """Only what is known is said."""

    def test_nothing(self) -> None:
        """Without workers, and with one that is free, nothing is known."""
        self.assertIsNone(why([], {}))
        self.assertIsNone(why(workers("a", "b"), {0: [running(1)]}))

    def test_away(self) -> None:
        """Where no worker is connected that is said, but not of those that can be started."""
        one, two = (evolve(each, connected=False) for each in workers("a", "b"))
        self.assertEqual(why([one, two], {}), "no worker of 2 is connected")
        self.assertEqual(why([one], {}), "its worker a is not connected")
        self.assertIsNone(why([one, evolve(two, latent=True)], {}))

    def test_paused(self) -> None:
        """Where all that are connected are paused that is said."""
        some = [evolve(each, paused=True) for each in workers("a", "b")]
        self.assertEqual(why(some, {}), "all 2 workers are paused")

    def test_busy(self) -> None:
        """Where all are busy their builds are named."""
        busy = {0: [running(18)], 1: [running(19)]}
        self.assertEqual(
            why(workers("a", "b"), busy), "all 2 workers are busy with linux #18, linux #19"
        )
        many = {0: [running(number) for number in range(1, 6)]}
        self.assertEqual(
            why(workers("a"), many),
            "its worker is busy with linux #1, linux #2, linux #3 and 2 more",
        )

    def test_expected(self) -> None:
        """The first worker that becomes free takes it; where that is unknown nothing is said."""
        busy = {0: [running(1)], 1: [running(3)]}
        began = NOW + 100
        self.assertEqual(expected(workers("a", "b"), busy, NOW), began + 600)
        self.assertEqual(expected(workers("a", "b"), busy, NOW + 9000), NOW + 9000)
        self.assertIsNone(expected(workers("a", "b"), {0: [running(1)]}, NOW))
        self.assertIsNone(expected(workers("a"), {0: [running(1, None)]}, NOW))
        self.assertIsNone(expected([], {}, NOW))

"""What may happen to a master and a receiver. Each case ends with both of them up and at rest."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeAlias

from chaos.boards import one_of_two_boards_killed, pooler_and_database_restarted
from chaos.cluster import (
    database_restarted,
    one_of_two_gone_for_good,
    one_of_two_killed,
    pooler_of_two_restarted,
    receiver_of_two_down,
    router_killed,
    two_masters,
)
from chaos.load import WAITING
from chaos.messages import messages_of_two_boards, messages_over_kills
from chaos.scene import Scene
from chaos.states import cluster_changes_over_kills

EARLIER = "3a22e1f"
"""A commit whose master kept the progress of catch-up under another name."""

Case: TypeAlias = Callable[[Any], None]
"""Does something to a ``Scene`` of one or two boards, or to a ``Cluster``."""


def receiver_down_then_up(scene: Scene) -> None:
    """The receiver's process ends while builds run, and is started again."""
    scene.receiver.start()
    scene.start_master(builds=scene.builds)
    scene.play(2, 4)
    scene.end_receiver()
    scene.wait_for_builds()
    scene.receiver.start()
    scene.wait_until_through()


def _misbehave_then_accept(scene: Scene, mode: str, **more: Any) -> None:
    scene.receiver.start()
    scene.start_master(builds=scene.builds)
    scene.play(1, 3)
    scene.receiver.behave(mode, **more)
    scene.wait_for_builds()
    scene.receiver.behave("accept")
    scene.wait_until_through()


def answers_503(scene: Scene) -> None:
    """The receiver answers 503 for a while."""
    _misbehave_then_accept(scene, "status", status=503)


def answers_429(scene: Scene) -> None:
    """The receiver asks for patience: 429 with Retry-After."""
    _misbehave_then_accept(scene, "status", status=429, retry_after=5)


def _refuse_all_then_accept(scene: Scene, *statuses: int) -> None:
    """Ten seconds in which all is refused, whatever it is."""
    scene.expect_all_begins()
    scene.receiver.start()
    scene.start_master(builds=50, pause=0.3)
    scene.play(2, 3)
    for status in statuses:
        scene.receiver.behave("status", status=status)
        scene.play(10 / len(statuses), 10 / len(statuses))
    scene.receiver.behave("accept")
    scene.wait_for_builds()
    scene.wait_until_through()


def redirected_for_ten_seconds(scene: Scene) -> None:
    """Everything is answered with 307; no begin is lost by that."""
    _refuse_all_then_accept(scene, 307)


def password_changes(scene: Scene) -> None:
    """Everything is answered with 401, then 403, while a password changes; no begin is lost."""
    _refuse_all_then_accept(scene, 401, 403)


def a_third_fails(scene: Scene) -> None:
    """A third of all requests ends in 500, a reset before or a reset after acceptance."""
    _misbehave_then_accept(scene, "unreliable")


def a_third_fails_for_23_seconds(scene: Scene) -> None:
    """Fifty builds meet such a receiver; soon after its last failure everything is accepted."""
    scene.receiver.start()
    scene.receiver.behave("unreliable")
    scene.start_master(builds=50, pause=0.3)
    scene.play(23, 23)
    scene.receiver.behave("accept")
    mended = time.time()
    scene.wait_for_builds()
    scene.wait_until_through()
    scene.note_longest_wait(mended)
    scene.note_log_lines()


def answers_lost_for_ten_seconds(scene: Scene) -> None:
    """Everything is taken and nothing answered: a receiver that drops repeats ends right."""
    scene.receiver.start()
    scene.start_master(builds=50, pause=0.3)
    scene.play(2, 3)
    scene.receiver.behave("unanswered")
    scene.play(10, 10)
    scene.receiver.behave("unreliable")
    scene.play(3, 5)
    scene.receiver.behave("accept")
    scene.wait_for_builds()
    scene.wait_until_through()


def board_killed_again_and_again(scene: Scene) -> None:
    """The board behind the receiver is killed at random moments, and started again."""
    scene.receiver.start()
    scene.start_master(builds=scene.builds, pause=0.3)
    for _ in range(scene.effort):
        scene.play(0, 2)
        scene.restart_board()
    scene.wait_for_builds()
    scene.wait_until_through()


def requests_wait_over_kills(scene: Scene) -> None:
    """Requests wait and are cancelled, builders are renamed, master and receiver come and go."""
    scene.options |= dict.fromkeys(("want_requests", "want_workers", "want_builders"), True)
    scene.groups = ["", WAITING, f"-old{WAITING}"]
    scene.receiver.start()
    for _ in range(3):
        scene.start_master(builds=scene.builds)
        scene.play(2, 5)
        scene.toggle_receiver()
        scene.play(1, 2)
        scene.kill_master()
    scene.groups = ["", WAITING, f"-new{WAITING}"]
    scene.start_master(builds=5)
    scene.toggle_receiver()
    scene.wait_for_builds()
    scene.wait_until_states_agree()
    scene.wait_until_through()


def master_moves(scene: Scene) -> None:
    """A killed master is started in another folder: Buildbot gives it another name."""
    scene.receiver.start()
    scene.start_master(builds=scene.builds)
    scene.play(2, 4)
    scene.end_receiver()
    scene.play(1, 2)
    scene.kill_master()
    scene.move_master()
    scene.receiver.start()
    scene.start_master(builds=5)
    scene.wait_for_builds()
    scene.wait_until_through()


def upgraded_after_a_kill(scene: Scene) -> None:
    """A master that runs an earlier version is killed, twice, and then runs the present one."""
    scene.work["longest"] = 4
    scene.run_commit(EARLIER)
    scene.receiver.start()
    scene.start_master(builds=scene.builds)
    scene.play(3, 5)
    scene.kill_master()
    scene.start_master(builds=scene.builds)
    scene.play(2, 3)
    scene.end_receiver()
    scene.play(2, 3)
    scene.kill_master()
    scene.run_present_version()
    scene.receiver.start()
    scene.start_master(builds=5)
    scene.wait_for_builds()
    scene.wait_until_through()


def clock_ahead_then_right(scene: Scene) -> None:
    """The clock is 400 days ahead at the first start, while all is refused, and then set right."""
    scene.receiver.behave("status", status=422)
    scene.receiver.start()
    scene.set_clock(timedelta(days=400))
    scene.start_master(builds=scene.builds)
    scene.play(5, 6)
    scene.stop_master()
    scene.set_clock(timedelta())
    scene.receiver.behave("accept")
    scene.start_master(builds=5)
    scene.wait_for_builds()
    scene.wait_until_through()


def clock_set_ahead(scene: Scene) -> None:
    """The clock is set 400 days ahead while the receiver is down: nothing is given up for it."""
    scene.start_master(builds=scene.builds)
    scene.wait_for_builds()
    scene.stop_master()
    scene.set_clock(timedelta(days=400))
    scene.start_master(builds=5)
    scene.wait_for_builds()
    scene.play(5, 6)
    scene.receiver.start()
    scene.wait_until_through()


def silent(scene: Scene) -> None:
    """The receiver takes connections and requests, and never answers."""
    _misbehave_then_accept(scene, "silent")


def slow_under_a_burst(scene: Scene) -> None:
    """Many builds at once meet a receiver that answers late, and sometimes too late."""
    scene.receiver.behave("slow", most=1.2 * scene.options["timeout"])
    scene.receiver.start()
    scene.start_master(builds=scene.builds, pause=0)
    scene.wait_for_builds()
    scene.receiver.behave("accept")
    scene.wait_until_through()


def stop_whatever_the_receiver_does(scene: Scene) -> None:
    """The master is stopped while builds run, under every way of a receiver to misbehave."""
    scene.options["timeout"] = 30  # longer than a stop may take
    scene.receiver.start()
    for mode, more in (
        ("accept", {}),
        ("status", {"status": 503}),
        ("silent", {}),
        ("slow", {"most": 20}),
        ("unreliable", {}),
    ):
        scene.receiver.behave(mode, **more)
        scene.start_master(builds=15)
        scene.play(2, 5)
        scene.stop_master()
    scene.receiver.behave("accept")
    scene.start_master()
    scene.wait_for_builds()
    scene.wait_until_through()


def stop_while_down_then_start_again(scene: Scene) -> None:
    """Everything waits when the master stops, and is sent when both are back."""
    scene.start_master(builds=scene.builds)
    scene.wait_for_builds()
    scene.stop_master()
    scene.receiver.start()
    scene.start_master()
    scene.wait_until_through()


def killed_again_and_again(scene: Scene) -> None:
    """The master is killed at random moments, the receiver being up, down or slow."""
    scene.receiver.start()
    for _ in range(scene.effort):
        scene.start_master(builds=1000, pause=0.15, wait=False)
        if scene.chance.random() < 1 / 2:
            scene.toggle_receiver()
        scene.receiver.behave(
            scene.chance.choice(["accept", "slow"]), most=scene.options["timeout"]
        )
        scene.play(1, 7)
        scene.kill_master()
    scene.receiver.behave("accept")
    if not scene.receiver.is_running:
        scene.receiver.start()
    scene.start_master(builds=5)
    scene.wait_for_builds()
    scene.wait_until_through()


def killed_with_many_builds_running(scene: Scene) -> None:
    """All builds of a full master are interrupted, and run again at once when it is back."""
    scene.work["longest"] = 100
    scene.receiver.start()
    scene.start_master(builds=scene.builds, pause=0)
    scene.wait_for_running_builds(scene.builds // 2)
    scene.kill_master()
    scene.work["longest"] = 1
    scene.start_master()
    scene.wait_for_builds()
    scene.wait_until_through()


def reconfigured_again_and_again(scene: Scene) -> None:
    """The master is reconfigured as fast as it can, with and without a change of the file."""
    scene.receiver.start()
    scene.start_master(builds=scene.builds)
    for number in range(scene.effort):
        scene.play(0, 1)
        if number % 2:
            scene.configure(timeout=3 + number / 10, concurrency=1 + number)
        scene.master.reconfigure()
    scene.end_receiver()
    scene.wait_for_builds()
    scene.receiver.start()
    scene.configure(timeout=2)
    scene.master.reconfigure()
    scene.wait_until_through()


def _refuse_builders(scene: Scene, *names: str, mode: str, **more: Any) -> None:
    scene.refuse_builders(*names, mode=mode, **more)
    scene.receiver.start()
    scene.start_master(builds=scene.builds)
    scene.wait_for_builds()
    scene.wait_until_through()
    scene.note_longest_wait(most=10.0)


def one_builder_answered_400(scene: Scene) -> None:
    """The receiver answers 400 to all statuses of one builder, and takes all others."""
    _refuse_builders(scene, "failure", mode="status", status=400)


def one_builder_answered_500(scene: Scene) -> None:
    """The receiver answers 500 to all statuses of one builder, and takes all others."""
    _refuse_builders(scene, "failure", mode="status", status=500)


def one_builder_never_answered(scene: Scene) -> None:
    """The receiver never answers the statuses of one builder, and takes all others."""
    _refuse_builders(scene, "failure", mode="silent")


def half_of_the_builders_answered_500(scene: Scene) -> None:
    """The receiver answers 500 to all statuses of four of seven builders; others wait for 10 s."""
    half = ("failure", "exception", "retry", "warnings")
    _refuse_builders(scene, *half, mode="status", status=500)


def disk_full(scene: Scene) -> None:
    """The outbox's disk is full while builds run, the receiver up and down, and has room later."""
    disk = scene.move_outbox_to_small_disk()
    scene.receiver.start()
    scene.start_master(builds=scene.builds, ballast=2000)
    scene.play(2, 3)
    disk.fill()
    scene.play(3, 4)
    scene.end_receiver()
    scene.wait_for_builds()
    disk.clear()
    scene.receiver.start()
    scene.wait_until_through()


def stopped_while_the_disk_is_full(scene: Scene) -> None:
    """What only memory held is found again in the master's database at the next start."""
    disk = scene.move_outbox_to_small_disk()
    scene.start_master(builds=scene.builds, ballast=2000)
    scene.play(2, 3)
    disk.fill()
    scene.wait_for_builds()
    scene.stop_master()
    scene.note_lost_outbox()
    disk.clear()
    scene.receiver.start()
    scene.start_master()
    scene.wait_until_through()


def outbox_deleted_between_runs(scene: Scene) -> None:
    """The outbox's file is gone when the master starts again."""
    _lose_outbox(scene, lambda: scene.outbox.unlink())


def outbox_overwritten_between_runs(scene: Scene) -> None:
    """The outbox's file holds noise when the master starts again."""
    _lose_outbox(scene, lambda: scene.outbox.write_bytes(os.urandom(50_000)))


def _lose_outbox(scene: Scene, lose: Callable[[], object]) -> None:
    scene.receiver.start()
    scene.start_master(builds=scene.builds)
    scene.play(3, 4)
    scene.end_receiver()
    scene.wait_for_builds()
    scene.stop_master()
    lose()
    scene.note_lost_outbox()
    scene.receiver.start()
    scene.start_master(builds=5)
    scene.wait_for_builds()
    scene.wait_until_through()


CLUSTER_CASES: tuple[Case, ...] = (
    two_masters,
    one_of_two_killed,
    one_of_two_gone_for_good,
    router_killed,
    database_restarted,
    receiver_of_two_down,
)

BOARDS_CASES: tuple[Case, ...] = (one_of_two_boards_killed,)

STATES_CASES: tuple[Case, ...] = (cluster_changes_over_kills,)

MESSAGES_CASES: tuple[Case, ...] = (messages_over_kills,)

TWO_BOARDS_MESSAGES_CASES: tuple[Case, ...] = (messages_of_two_boards,)

POOLED_CASES: tuple[Case, ...] = (pooler_and_database_restarted,)

POOLED_CLUSTER_CASES: tuple[Case, ...] = (pooler_of_two_restarted,)

CASES: tuple[Case, ...] = (
    receiver_down_then_up,
    answers_503,
    answers_429,
    redirected_for_ten_seconds,
    password_changes,
    a_third_fails,
    a_third_fails_for_23_seconds,
    answers_lost_for_ten_seconds,
    board_killed_again_and_again,
    silent,
    slow_under_a_burst,
    stop_whatever_the_receiver_does,
    stop_while_down_then_start_again,
    killed_again_and_again,
    killed_with_many_builds_running,
    requests_wait_over_kills,
    *STATES_CASES,
    master_moves,
    upgraded_after_a_kill,
    clock_ahead_then_right,
    clock_set_ahead,
    reconfigured_again_and_again,
    one_builder_answered_400,
    one_builder_answered_500,
    one_builder_never_answered,
    half_of_the_builders_answered_500,
    disk_full,
    stopped_while_the_disk_is_full,
    outbox_deleted_between_runs,
    outbox_overwritten_between_runs,
    *MESSAGES_CASES,
    *TWO_BOARDS_MESSAGES_CASES,
    *BOARDS_CASES,
    *POOLED_CASES,
    *POOLED_CLUSTER_CASES,
    *CLUSTER_CASES,
)

"""Runs cases one after the other, and ends whatever they started."""

from __future__ import annotations

import shutil
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen

from chaos.boards import PooledScene, TwoBoardsScene
from chaos.cases import (
    BOARDS_CASES,
    CLUSTER_CASES,
    MESSAGES_CASES,
    POOLED_CASES,
    POOLED_CLUSTER_CASES,
    STATES_CASES,
    TWO_BOARDS_MESSAGES_CASES,
    Case,
)
from chaos.cluster import Cluster, PooledCluster
from chaos.messages import MessagesScene, TwoBoardsMessagesScene
from chaos.report import Report
from chaos.scene import Scene
from chaos.stage import ImpossibleError, create_master
from chaos.states import StatesScene

KINDS: dict[tuple[Case, ...], type[Any]] = {
    CLUSTER_CASES: Cluster,
    POOLED_CLUSTER_CASES: PooledCluster,
    BOARDS_CASES: TwoBoardsScene,
    POOLED_CASES: PooledScene,
    STATES_CASES: StatesScene,
    MESSAGES_CASES: MessagesScene,
    TWO_BOARDS_MESSAGES_CASES: TwoBoardsMessagesScene,
}
"""What plays the cases that need more than a ``Scene``."""


@frozen
class Runner:
    """Runs cases.

    Args:
        folder: Where their files go; those of cases that failed are kept.
        seed: All chance comes from it.
        effort: See ``Scene``.
    """

    folder: Path
    seed: int
    effort: int

    def run(self, case: Case) -> Report:
        """Run a case to its end, stop the master, and ask what came out."""
        name = case.__name__
        folder = self.folder / name
        folder.mkdir()
        try:
            scene = _kind_of_scene(case)(
                self.folder / "template", folder, f"{self.seed}-{name}", self.effort
            )
        except ImpossibleError as trouble:
            return Report(name, None, str(trouble))
        try:
            report = _play(case, scene)
        finally:
            scene.close()
        if not report.faults:
            shutil.rmtree(folder)
        return report


@contextmanager
def runner(seed: int, effort: int) -> Iterator[Runner]:
    """Make a runner, whose folder is deleted at the end unless a case has failed."""
    folder = Path(tempfile.mkdtemp(prefix="http-status-push-chaos-"))
    create_master(folder / "template")
    try:
        yield Runner(folder, seed, effort)
    finally:
        shutil.rmtree(folder / "template")
        if not any(folder.iterdir()):
            folder.rmdir()


def _kind_of_scene(case: Case) -> type[Any]:
    for cases, kind in KINDS.items():
        if case in cases:
            return kind
    return Scene


def _play(case: Case, scene: Any) -> Report:
    name = case.__name__
    try:
        scene.open()
        case(scene)
        scene.stop_master()
        return Report(name, scene.outcome())
    except ImpossibleError as trouble:
        return Report(name, None, str(trouble))
    except Exception as trouble:  # one case's failure must not keep the others from being run
        traceback.print_exc()
        return Report(name, None, f"{type(trouble).__name__}: {trouble}", failed=True)

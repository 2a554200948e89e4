"""A master with two workers' processes and six builders, and what a board shows of all that."""

from __future__ import annotations

import json
import re
from typing import Any

from support.boards import ask
from support.following import Follower
from support.ports import free_port

from chaos import evidence
from chaos.judge import States, unlike
from chaos.scene import THROUGH_MOST, Scene
from chaos.stage import Worker, wait_until

ONE, TWO = "one", "two"
BUILDERS = {"a": ONE, "b": ONE, "c": ONE, "d": TWO, "e": TWO, "f": TWO}
WAITS = re.compile(r"<b>(\d+)</b> waits?, ")


class StatesScene(Scene):
    """A master, a receiver, a board, workers, and a browser of the board."""

    configuration = "states.cfg"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.options |= dict.fromkeys(("want_requests", "want_workers", "want_builders"), True)
        self.work["longest"] = 1.0
        self.builders = dict(BUILDERS)
        self._ports = {"workers": free_port(), "data": free_port()}
        self.workers = {
            name: Worker(self.folder / name, name, self._ports["workers"]) for name in (ONE, TWO)
        }
        self._browser: Follower | None = None

    def _settings(self) -> dict[str, Any]:
        more = {"workers": [*self.workers], "builders": self.builders, "ports": self._ports}
        return {**super()._settings(), **more}

    def open(self) -> None:
        """Start what the case needs, and let a browser watch."""
        super().open()
        self.receiver.start()
        for worker in self.workers.values():
            worker.start()
        self._browser = Follower(self.board.port)
        self._browser.start()

    def ask_for(self, *names: str) -> list[int]:
        """Ask for a build of each of some builders, and return the ids of the requests."""
        requests: list[int] = self._post("buildsets", json.dumps(names))
        return requests

    def cancel(self, request: int) -> None:
        """Cancel a request."""
        self._post(f"buildrequests/{request}", "")

    def change_builders(self, builders: dict[str, str]) -> None:
        """Have the master build other ones."""
        self.builders = builders
        self.configure()
        self.master.reconfigure()

    def wait_until_states_agree(self, **expected: str) -> None:
        """Wait until all agree, the overview and the browser too; note how long that one takes.

        Args:
            expected: The states of some workers, without which there is nothing to agree on.
        """
        self._expected = {("workers", name): state for name, state in expected.items()}
        super().wait_until_states_agree()
        assert self._browser is not None
        found = re.search(r'data-sequence="(\d+)"', self._overview())
        assert found is not None
        last = int(found[1])
        known = wait_until(lambda: self._browser.sequence >= last, "a browser", THROUGH_MOST)
        self._lag = max(self._lag or 0.0, known)

    def wait_for_requests(self) -> None:
        """Wait until no request waits, nor is being built."""
        wait_until(self._all_complete, "all requests are complete", THROUGH_MOST)

    def _all_complete(self) -> bool:
        return all(each["complete"] for each in self._get("buildrequests"))

    def read_states(self) -> States:
        """Return what the master's data API answers."""
        return evidence.states(
            (
                (each["buildrequestid"], each["claimed"], each["complete"], each["results"])
                for each in self._get("buildrequests")
            ),
            ((each["name"], bool(each["connected_to"])) for each in self._get("workers")),
            ((each["name"], bool(each["masterids"])) for each in self._get("builders")),
        )

    def _unlike(self) -> list[str]:
        states = self.read_states()
        wanted = {("builders", name): "configured" for name in self.builders} | self._expected
        early = unlike(wanted, states, "the master's is")
        return early or super()._unlike() or self._misnumbered(states)

    def _misnumbered(self, states: States) -> list[str]:
        waiting = sum(state == "waiting" for state in states.values())
        shown = sum(map(int, WAITS.findall(self._overview())))
        said = f"{waiting} requests wait, the overview says {shown}"
        return [said] if waiting != shown else []

    def _overview(self) -> str:
        return ask(self.board.port, "GET", "/").text

    def _get(self, kind: str) -> Any:
        return json.loads(ask(self._ports["data"], "GET", f"/{kind}").text)

    def _post(self, path: str, body: str) -> Any:
        return json.loads(ask(self._ports["data"], "POST", f"/{path}", body).text)

    def close(self) -> None:
        """End everything."""
        if self._browser is not None:
            self._browser.stop()
        for worker in self.workers.values():
            worker.kill()
        super().close()


def cluster_changes_over_kills(scene: StatesScene) -> None:
    """A worker stops, requests wait and are cancelled, builders change, board and master end."""
    scene.start_master()
    scene.wait_until_states_agree(one="connected", two="connected")
    scene.ask_for(*BUILDERS)
    scene.wait_for_requests()

    scene.workers[ONE].kill()
    waiting = [each for _ in range(scene.effort) for each in scene.ask_for("a", "b", "c")]
    scene.wait_until_states_agree(one="away", two="connected")
    scene.cancel(waiting[0])
    scene.wait_until_states_agree(one="away", two="connected")

    renamed = {name if name != "c" else "c-new": worker for name, worker in BUILDERS.items()}
    scene.change_builders({**renamed, "never-built": TWO})
    scene.wait_until_states_agree(one="away", two="connected")

    scene.board.kill()
    scene.workers[ONE].start()
    scene.workers[TWO].kill()
    scene.ask_for("d", "e", "f", "a")
    scene.cancel(waiting[-1])
    scene.play(1, 3)
    scene.board.start()
    scene.wait_until_states_agree(one="connected", two="away")

    scene.kill_master()
    scene.play(0, 2)
    scene.start_master()
    scene.ask_for("d")
    scene.wait_until_states_agree(one="connected", two="away")
    scene.workers[TWO].start()
    scene.change_builders(BUILDERS)
    scene.wait_for_requests()
    scene.wait_until_states_agree(one="connected", two="connected")
    scene.wait_until_through()

"""``python -m chaos``: run all cases, or those named, and write the table."""

from __future__ import annotations

import argparse
import os
import platform
import random
import signal
import sys
import time
from importlib.metadata import version
from pathlib import Path

from buildbot_http_status_push.commands.terminal import Output
from chaos.cases import CASES, Case
from chaos.report import Report, to_markdown
from chaos.runner import Runner, runner

SEED = "HTTP_STATUS_PUSH_CHAOS_SEED"
DISTRIBUTIONS = ("buildbot-http-status-push", "buildbot", "twisted", "sqlalchemy")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="chaos", description=f"The seed is taken from {SEED}.")
    names = {case.__name__: case for case in CASES}
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"one of {', '.join(names)}")
    parser.add_argument(
        "--effort", type=int, default=12, help="how often the master is killed, and builds / 5"
    )
    parser.add_argument("--table", type=Path, help="the file that the table is written to")
    arguments = parser.parse_args()
    unknown = set(arguments.cases) - set(names)
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; known are {', '.join(names)}")
    arguments.cases = [names[each] for each in arguments.cases] or CASES
    return arguments


def _surroundings() -> dict[str, str]:
    versions = {name: version(name) for name in DISTRIBUTIONS}
    return {platform.system(): platform.machine(), "Python": platform.python_version(), **versions}


def _run(case: Case, stage: Runner, output: Output) -> Report:
    report = stage.run(case)
    lines = [f"{case.__name__}: {report.result}", *report.faults]
    output.say("\n  ".join(lines), "bad" if report.faults else "good")
    return report


def main() -> int:
    """Run, and return the exit status: 1 if a case failed."""
    arguments = _arguments()
    # A signal that ends this process must end those that it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    seed = int(os.environ.get(SEED) or random.SystemRandom().randrange(10**6))
    print(f"{SEED}={seed}", flush=True)
    began = time.monotonic()
    output = Output()
    with runner(seed, arguments.effort) as stage, output.progress("cases") as advance:
        reports = []
        for number, case in enumerate(arguments.cases, 1):
            reports.append(_run(case, stage, output))
            advance(number, len(arguments.cases))
    seconds = time.monotonic() - began
    page = to_markdown(reports, seed, _surroundings(), seconds)
    print(page)
    if arguments.table:
        arguments.table.write_text(page)
    if any(report.faults for report in reports):
        print(f"the files of what failed are in {stage.folder}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

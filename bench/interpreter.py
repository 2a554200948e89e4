"""What the start-up file costs each start of Python: the imports with it against those without."""

from __future__ import annotations

import compileall
import json
import re
import shutil
import subprocess
import venv
from importlib.metadata import distribution
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

STARTS = 50
OURS = "buildbot-http-status-push"
LINE = re.compile(r"import time:\s*(\d+) \|\s*\d+ \| +\S+")
"""A line of ``-X importtime``: the microseconds that an import took by itself."""


def environment(folder: Path) -> Path:
    """Make an empty environment, and return its folder of packages."""
    venv.create(folder, symlinks=True)
    [packages] = folder.glob("lib/python*/site-packages")
    return packages


def install(packages: Path) -> None:
    """Copy this distribution, compiled, into another environment's folder of packages."""
    for each in distribution(OURS).files or ():
        if ".." not in each.parts:
            (packages / each).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(str(each.locate()), packages / each)
    if not list(packages.glob("*.pth")):
        raise SystemExit("the start-up file is not installed: install the package, not its folder")
    compileall.compile_dir(packages, quiet=1)


def one_start(folder: Path) -> float:
    """Return the milliseconds that all imports took at a start of an environment's Python."""
    command = [str(folder / "bin" / "python"), "-X", "importtime", "-c", "pass"]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=True)  # noqa: S603 - Python itself
    return sum(map(int, LINE.findall(done.stderr))) / 1000


def measure(folder: Path) -> float:
    """Return how much longer the imports take with the start-up file, the median of pairs."""
    install(environment(folder / "with"))
    environment(folder / "without")
    pairs = [(one_start(folder / "with"), one_start(folder / "without")) for _ in range(STARTS)]
    return median(with_it - without for with_it, without in pairs)


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        print(json.dumps({"milliseconds": measure(Path(folder))}))

"""What the start-up file costs each start of Python: the time of the imports that it causes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from statistics import median

STARTS = 50
OURS = ("buildbot_http_status_push", "buildbot_http_status_push.precedence")
LINE = re.compile(r"import time:\s*\d+ \|\s*(\d+) \| +(\S+)")


def one_start() -> float:
    """Return the milliseconds that importing this package took at a start of Python."""
    command = [sys.executable, "-X", "importtime", "-c", "pass"]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=True)  # noqa: S603 - Python itself
    took = {name: int(microseconds) for microseconds, name in LINE.findall(done.stderr)}
    if not took.keys() >= set(OURS):
        raise SystemExit("the start-up file is not installed: install the package, not its folder")
    return sum(took[name] for name in OURS) / 1000


if __name__ == "__main__":
    print(json.dumps({"milliseconds": median(one_start() for _ in range(STARTS))}))

"""A pytest plugin that runs the code blocks of the README and of these pages.

A block of Python whose first line is ``# master.cfg`` goes through ``buildbot checkconfig``, by
itself if it is complete, else at the end of a small complete one; the files that these pages name
are there. All other Python is executed.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import trustme
from sybil import Example, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser

ROOT = Path(__file__).parents[1]
MARK = "# master.cfg"
COMPLETE = "BuildmasterConfig"
ETC = "/etc/buildbot"
BASE = """\
from buildbot.plugins import *
c = BuildmasterConfig = {}
c["buildbotNetUsageData"] = None
c["protocols"] = {"null": {}}
c["workers"] = [worker.LocalWorker("local")]
c["builders"] = [
    util.BuilderConfig(name=name, workernames=["local"], factory=util.BuildFactory())
    for name in ("linux", "release")
]
c["schedulers"] = [schedulers.Triggerable(name="nightly", builderNames=["linux", "release"])]
c["services"] = []
"""


def check_config(text: str) -> str | None:
    """Run ``buildbot checkconfig`` on a master.cfg.

    Args:
        text: The whole file, or a fragment of one.

    Returns:
        What it says if it refuses, None if all is well.
    """
    whole = text if COMPLETE in text else BASE + text
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "master.cfg")
        config.write_text(whole.replace(ETC, folder), encoding="utf-8")
        Path(folder, "secrets").mkdir()
        write_certificates(Path(folder))
        command = [str(Path(sys.executable).with_name("buildbot")), "checkconfig", str(config)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - Buildbot's own command
    return None if done.returncode == 0 else done.stdout + done.stderr


def write_certificates(folder: Path) -> None:
    """Write the authority and the client certificate that the pages name."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "company-ca.pem")
    client = authority.issue_cert("client@example.com")
    client.cert_chain_pems[0].write_to_path(folder / "client.pem")
    client.private_key_pem.write_to_path(folder / "client.key")


def evaluate(example: Example) -> str | None:
    """Run one block of Python.

    Args:
        example: The block.

    Returns:
        What is wrong, None if all is well.
    """
    if example.parsed.startswith(MARK):
        return check_config(example.parsed)
    told: str | None = PythonEvaluator()(example)
    return told


pytest_collect_file = Sybil(
    parsers=[CodeBlockParser(language="python", evaluator=evaluate)],
    path=str(ROOT),
    patterns=["README.md", "docs/**/*.md"],
).pytest()

#!/usr/bin/env python3
"""Set everything up from a bare checkout, then run the demo or the tests.

Usage: python3 run.py demo [--builds N] [--server-url URL] [--keep]
       python3 run.py test [tox options]

Everything is installed into the folder .venv beside this file; nothing else is touched.
"""

from __future__ import print_function

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(HERE, ".venv")
BIN = os.path.join(VENV, "Scripts" if os.name == "nt" else "bin")


def fail(message):
    """End with one line that says what to do."""
    print("run.py: " + message, file=sys.stderr)
    sys.exit(2)


def check_python():
    """Refuse what can't work, in words, before anything is installed."""
    if sys.version_info < (3, 10):
        fail(
            "Python 3.10 or newer is needed, this is %s. Try: python3.12 run.py %s"
            % (sys.version.split()[0], " ".join(sys.argv[1:]))
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        fail("Python's venv module is missing. On Debian and Ubuntu: apt install python3-venv")


def pip_install(*what):
    """Make the environment if there is none, and install into it."""
    python = os.path.join(BIN, "python")
    if not os.path.exists(os.path.join(BIN, "pip")):
        subprocess.check_call([sys.executable, "-m", "venv", "--clear", VENV])
    subprocess.check_call([python, "-m", "pip", "install", "--quiet"] + list(what), cwd=HERE)


def demo(arguments):
    """Install this package with what the demo needs, and run the demo."""
    pip_install(".[demo]")
    return os.path.join(BIN, "buildbot-http-status-push"), ["demo"] + arguments


def test(arguments):
    """Install tox, and let it run every check."""
    pip_install("tox>=4.22")
    return os.path.join(BIN, "tox"), ["run"] + arguments


COMMANDS = {"demo": demo, "test": test}


def main():
    """Run one of the commands in place of this process, so that Ctrl-C reaches it alone."""
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        fail("say what to run: 'python3 run.py demo' or 'python3 run.py test'")
    check_python()
    try:
        program, arguments = COMMANDS[sys.argv[1]](sys.argv[2:])
    except subprocess.CalledProcessError as error:
        fail("set-up failed: " + " ".join(error.cmd))
    os.chdir(HERE)
    os.execv(program, [program] + arguments)


if __name__ == "__main__":
    main()

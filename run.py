#!/usr/bin/env python3
"""Set everything up from a bare checkout, then run the demo or the tests.

Usage: python3 run.py board [--builds N] [--keep] ...
       python3 run.py demo [--builds N] [--server-url URL] [--keep] ...
       python3 run.py test [tox options]
       python3 run.py --help

board  runs a real Buildbot master and shows its builds live, on a page in your browser
demo   runs a real Buildbot master and shows its statuses arriving; 'demo --help' has its options
test   runs style, types, the tests and the documentation's checks on the Python that calls it

Everything is installed into the folder .venv beside this file, and by 'test' into .tox.
"""

from __future__ import print_function

import glob
import hashlib
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(HERE, ".venv")
BIN = os.path.join(VENV, "Scripts" if os.name == "nt" else "bin")
INTERRUPTED = 130

# What the tests start: Debian's package, and the programs of which one must be there.
SERVERS = (
    ("apache2", ("apache2", "/usr/sbin/apache2")),
    ("caddy", ("caddy",)),
    ("nginx-light", ("nginx", "/usr/sbin/nginx", "/usr/local/sbin/nginx")),
    ("postgresql", ("pg_ctl", "/usr/lib/postgresql/*/bin/pg_ctl")),
    ("nodejs", ("node",)),
    ("npm", ("npm",)),
    ("chromium", ("chromium",)),
    ("chromium-driver", ("chromedriver",)),
    ("tinyproxy", ("tinyproxy",)),
)
OTHER_ENVIRONMENTS = "py310-buildbot40,py313-buildbot43"


def say(message):
    """Print a line at once, so that it stands before what other programs print."""
    print("run.py: " + message, file=sys.stderr)
    sys.stderr.flush()


def fail(message):
    """End with one line that says what to do."""
    say(message)
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


def install(purpose, *what):
    """Install into the environment, unless just this is there already."""
    mark = os.path.join(VENV, "installed-for-" + purpose)
    if read(mark) == wanted(what):
        return
    say("installing into .venv what '%s' needs; this happens once" % purpose)
    if not os.path.exists(os.path.join(BIN, "pip")):
        subprocess.check_call([sys.executable, "-m", "venv", "--clear", VENV])
    pip = [os.path.join(BIN, "python"), "-m", "pip", "install", "--progress-bar=off"]
    show_progress(pip + list(what))
    with open(mark, "w") as file:
        file.write(wanted(what))


def wanted(what):
    """Name what is installed: the requirements, and all that they are read from."""
    metadata = read(os.path.join(HERE, "pyproject.toml"))
    return hashlib.sha256(repr((what, metadata, sys.version)).encode()).hexdigest()


def read(path):
    """Return a file's text, nothing where there is no file."""
    try:
        with open(path) as file:
            return file.read()
    except (IOError, OSError):
        return ""


def show_progress(command):
    """Run pip; on a terminal, rewrite one line with what it is at."""
    told = []
    pip = subprocess.Popen(
        command, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True
    )
    packages = 0
    with pip.stdout:
        for line in pip.stdout:
            told.append(line)
            packages += line.startswith("Collecting ")
            if sys.stderr.isatty():
                step = "%d packages, %s" % (packages, " ".join(line.split()[:2]))
                sys.stderr.write("\r\033[K  " + step[:76])
                sys.stderr.flush()
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
    if pip.wait():
        sys.stderr.write("".join(told[-20:]))
        fail("set-up failed, see the lines above. Once mended, the same command goes on")


def demo(arguments):
    """Install this package with what the demo needs, and run the demo."""
    install("demo", "--editable", ".[demo]")
    return os.path.join(BIN, "buildbot-http-status-push"), ["demo"] + arguments


def board(arguments):
    """Run the demo with a board."""
    return demo(["--board"] + arguments)


def test(arguments):
    """Install tox, and let it run every check on this Python."""
    if not set(arguments) & {"-h", "--help"}:
        tell_what_is_left_out(arguments)
    install("test", "tox>=4.22")
    return os.path.join(BIN, "tox"), ["run"] + arguments


def tell_what_is_left_out(arguments):
    """Say at the start which servers are missing, and which environments are not run."""
    missing = [package for package, programs in SERVERS if not any(map(is_there, programs))]
    if missing:
        say(
            "tests that need %s are left out. To run them too: apt-get install %s"
            % (", ".join(missing), " ".join(missing))
        )
    if not arguments:
        say(
            "this runs on Python %d.%d with the newest Buildbot; left out are other versions: "
            "python3 run.py test -e %s" % (sys.version_info[:2] + (OTHER_ENVIRONMENTS,))
        )


def is_there(program):
    """Tell whether there is a program of a name, or of a path with wildcards."""
    return bool(glob.glob(program) if "/" in program else shutil.which(program))


COMMANDS = {"board": board, "demo": demo, "test": test}


def main():
    """Run one of the commands in place of this process, so that Ctrl-C reaches it alone."""
    asked = sys.argv[1] if len(sys.argv) > 1 else ""
    if asked in ("-h", "--help", "help"):
        print(__doc__.strip())
        return
    if asked not in COMMANDS:
        fail("say what to run: %s" % " or ".join("'python3 run.py %s'" % n for n in COMMANDS))
    check_python()
    try:
        program, arguments = COMMANDS[asked](sys.argv[2:])
    except subprocess.CalledProcessError as error:
        fail("set-up failed: " + " ".join(error.cmd))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    os.chdir(HERE)
    os.execv(program, [program] + arguments)


if __name__ == "__main__":
    main()

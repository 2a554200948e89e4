"""Lines that could stand in any log, and so say nothing of why. Pure.

Two builders that fail with such a line need not fail for one reason.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from buildbot_http_status_push.board.filters import name_fits

BEGINNINGS = re.compile(
    r"(?i)\W*(?:command timed out\b|(?:g?make|mingw32-make|nmake)(?:\[\d{1,4}\])?: )"
)
"""How lines begin that say little whatever follows: a command with its arguments, a target."""
PLAIN = frozenset(
    """
    a aborted after all an and are at be been build builds bus by case cases caught code command
    compilation completed connection core did dumped elapsed error errors examples executed exit
    exited expected expired fail failed failing fails failure failures fatal fault finished for
    found from generated had has have id in into is it job killed limit ms ninja no non nonzero
    not of one only operation or out passed passing pending pid problem problems process program
    ran received result results return returned rc run s script second seconds sec segmentation
    signal skipped some status step stopped subcommand success successful successes suite suites
    summary task terminated test tests that the there these this time timed timeout timeouts to
    total unexpected unsuccessful value warning warnings was were with zero
    """.split()  # noqa: SIM905  a list would take a line a word
)
"""Words that say how a step ended, and not why."""
WORD = re.compile(r"[A-Za-z_][\w.-]*[\w]|[A-Za-z]")
SIGNAL = re.compile(r"SIG[A-Z0-9]{3,6}")
STOPPED = re.compile(
    r"(?i)timed? ?out|\bsignal\b|\bSIG[A-Z]{3,4}\b|\Ag?make(?:\[\d+\])?: \*\*\*|interrupted"
    r"|build stopped|\b(?:killed|terminated|aborted)\b|core dumped"
)
"""A step with such a line has not run to its end."""
MACHINE = re.compile(
    r"(?i)no space left on device|disk quota exceeded|read-only file system|input/output error"
    r"|cannot allocate memory|out of memory|too many open files"
    r"|could ?n[o']t resolve host|temporary failure in name resolution|no route to host"
    r"|network is unreachable|stale file handle|virtual memory exhausted"
)
"""What is at fault is the machine, and not the code."""
SOURCE_STEPS = re.compile(
    r"(?i)(?:git|hg|mercurial|svn|bzr|cvs|darcs|p4|repo|mtn|monotone|gerrit|github|gitlab)"
    r"(?:[-_ ][\w.-]{1,100})?"
    r"|(?:check ?out|update|clone|fetch|get)(?: (?:the )?(?:sources?|code|repo(?:sitory)?))?"
)
"""How steps are called that get the source."""
MOST = 600
"""How many characters of a line are looked at."""


def says_little(text: str, globs: Collection[str] = ()) -> bool:
    """Return whether a line could stand in any log, or contains what a glob of such lines says."""
    line = text[:MOST]
    return (
        BEGINNINGS.match(line) is not None
        or all(each.lower() in PLAIN or SIGNAL.fullmatch(each) for each in WORD.findall(line))
        or any(name_fits(f"*{each}*", line) for each in globs)
    )


def has_stopped(text: str) -> bool:
    """Return whether a step with this line was ended before its end."""
    return STOPPED.search(text[:MOST]) is not None


def is_of_machine(text: str) -> bool:
    """Return whether a line says that the machine is at fault."""
    return MACHINE.search(text[:MOST]) is not None


def is_source_step(step: str | None) -> bool:
    """Return whether a step of this name gets the source."""
    return step is not None and SOURCE_STEPS.fullmatch(step[:MOST]) is not None

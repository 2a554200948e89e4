"""``outbox backfill``: writes down what is wanted, and shows how a master gets on with it.

SQLAlchemy is imported when the command runs, since that takes a while.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from buildbot_http_status_push.commands.console import DONE, FAILED, complain
from buildbot_http_status_push.commands.outbox_access import CommandContext
from buildbot_http_status_push.commands.outbox_selection import seconds_of
from buildbot_http_status_push.report.past import Backfill, Stage

if TYPE_CHECKING:
    from buildbot_http_status_push.outbox.inspection import Stats

LOOK_EVERY = 0.5
TAKEN_UP_WITHIN = 60.0
"""Seconds; a master that runs looks more often."""


def backfill(asked: CommandContext) -> int:
    """Have the past sent once more, count it, or end that."""
    reporter = _reporter(asked)
    if reporter is None:
        return complain("there are several reporters: say --reporter, 'outbox stats' names them")
    return _stop(asked, reporter) if asked.arguments.stop else _begin(asked, reporter)


def _reporter(asked: CommandContext) -> str | None:
    from buildbot_http_status_push.outbox import inspection

    each: Sequence[Stats] = asked.ask(inspection.stats)
    known = [one.reporter for one in each]
    named: str | None = asked.arguments.reporter
    return named or (known[0] if len(known) == 1 else None)


def _stop(asked: CommandContext, reporter: str) -> int:
    from buildbot_http_status_push.outbox import backfill as kept

    if not asked.ask(kept.remove, reporter):
        complain(f"{reporter} sends nothing of the past: there is nothing to stop")
        return FAILED
    asked.answer({"stage": "stopped"}, [f"{reporter} sends no more of the past."])
    return DONE


def _begin(asked: CommandContext, reporter: str) -> int:
    from buildbot_http_status_push.outbox import backfill as kept

    given = asked.arguments
    wanted = Backfill(
        reporter=reporter,
        since=seconds_of(given.since, asked.now),
        builder=given.builder,
        only_count=given.dry_run,
    )
    asked.ask(kept.save, wanted)
    try:
        found = _watch(asked, reporter)
    except KeyboardInterrupt:
        complain("it goes on in the master; 'outbox backfill --stop' ends it")
        return FAILED
    return _tell(asked, found)


def _watch(asked: CommandContext, reporter: str) -> Backfill | None:
    """Show how it gets on until it is done, or nobody takes it up."""
    from buildbot_http_status_push.outbox import backfill as kept

    end = time.monotonic() + TAKEN_UP_WITHIN
    with asked.output.progress("builds") as advance:
        while True:
            found: Backfill | None = asked.ask(kept.find, reporter)
            if found is None or found.stage is Stage.DONE:
                return found
            if found.stage is Stage.ASKED and time.monotonic() > end:
                return found
            advance(found.done, found.total or 0)
            time.sleep(LOOK_EVERY)


def _tell(asked: CommandContext, found: Backfill | None) -> int:
    if found is None:
        complain("somebody has stopped it")
        return FAILED
    if found.stage is Stage.ASKED:
        complain(
            "no master has taken it up: it is carried out as soon as one runs with this outbox; "
            "'outbox backfill --stop' takes it back"
        )
        return FAILED
    document = {"stage": found.stage.value, "done": found.done, "total": found.total}
    if found.only_count:
        asked.answer(document, [f"{found.total:,} builds have ended since."])
    else:
        asked.answer(document, [f"{found.done:,} builds were handed over to be sent once more."])
    return DONE

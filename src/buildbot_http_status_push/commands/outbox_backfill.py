"""``outbox backfill``: writes down what is wanted, and shows how a master gets on with it.

SQLAlchemy is imported when the command runs, since that takes a while.
"""

from __future__ import annotations

import sys
import time

from buildbot_http_status_push.commands.console import DONE, FAILED, complain
from buildbot_http_status_push.commands.outbox_access import CommandContext
from buildbot_http_status_push.commands.outbox_selection import seconds_of
from buildbot_http_status_push.outbox.backfill_request import Backfill, Stage

LOOK_EVERY = 0.5
TAKEN_UP_WITHIN = 60.0
"""Seconds; a master that runs looks more often."""


def backfill(ctx: CommandContext) -> int:
    """Have the past sent once more, count it, or end that."""
    reporter = _reporter(ctx)
    return _stop(ctx, reporter) if ctx.arguments.stop else _begin(ctx, reporter)


def _reporter(ctx: CommandContext) -> str:
    """Return whose past it is: the one that is named, or the only one."""
    from buildbot_http_status_push.outbox.inspection import NotPossibleError, reporters

    named: str | None = ctx.arguments.reporter
    if named is not None:
        return named
    known: list[str] = ctx.ask(reporters)
    if not known:
        raise NotPossibleError("no reporter has used this outbox yet: start the master first")
    if len(known) > 1:
        raise NotPossibleError(f"there are several reporters: say --reporter, {' or '.join(known)}")
    return known[0]


def _stop(ctx: CommandContext, reporter: str) -> int:
    from buildbot_http_status_push.outbox import backfill as kept

    found: Backfill | None = ctx.ask(kept.find, reporter)
    if found is None or found.stage is Stage.DONE:
        complain(f"{reporter} sends nothing of the past: there is nothing to stop")
        return FAILED
    ctx.ask(kept.remove, reporter)
    ctx.answer({"stage": "stopped"}, [f"{reporter} sends no more of the past."])
    return DONE


def _begin(ctx: CommandContext, reporter: str) -> int:
    from buildbot_http_status_push.outbox import backfill as kept

    given = ctx.arguments
    wanted = Backfill(
        reporter=reporter,
        since=seconds_of(given.since, ctx.now),
        builder=given.builder,
        only_count=given.dry_run,
    )
    _see_that_none_is_wanted(ctx, reporter)
    ctx.ask(kept.save, wanted)
    # Not to standard output, which may be read by a program.
    print(f"Waiting until a master takes it up, {TAKEN_UP_WITHIN:g} s at most.", file=sys.stderr)
    try:
        found = _watch(ctx, reporter)
    except KeyboardInterrupt:
        complain("it goes on in the master; 'outbox backfill --stop' ends it")
        return FAILED
    return _tell(ctx, found)


def _see_that_none_is_wanted(ctx: CommandContext, reporter: str) -> None:
    """Refuse where one is to be sent already; of one that is only counted nothing is lost."""
    from buildbot_http_status_push.outbox import backfill as kept
    from buildbot_http_status_push.outbox.inspection import NotPossibleError

    found: Backfill | None = ctx.ask(kept.find, reporter)
    if found is None or found.stage is Stage.DONE or found.only_count:
        return
    how_far = "waits for a master" if found.stage is Stage.ASKED else f"is at {found.done:,}"
    raise NotPossibleError(
        f"a backfill of {reporter} is not done yet, it {how_far}: 'outbox backfill --stop' ends it"
    )


def _watch(ctx: CommandContext, reporter: str) -> Backfill | None:
    """Show how it gets on until it is done, or nobody takes it up."""
    from buildbot_http_status_push.outbox import backfill as kept

    end = time.monotonic() + TAKEN_UP_WITHIN
    with ctx.output.progress("builds") as advance:
        while True:
            found: Backfill | None = ctx.ask(kept.find, reporter)
            if found is None or found.stage is Stage.DONE:
                return found
            if found.stage is Stage.ASKED and time.monotonic() > end:
                return found
            advance(found.done, found.total or 0)
            time.sleep(LOOK_EVERY)


def _tell(ctx: CommandContext, found: Backfill | None) -> int:
    if found is None:
        complain("somebody has stopped it")
        return FAILED
    if found.stage is Stage.ASKED:
        return _tell_nobody(ctx, found)
    document = {"stage": found.stage.value, "done": found.done, "total": found.total}
    ctx.answer(document, [_told(found)])
    return DONE


def _told(found: Backfill) -> str:
    if not found.only_count:
        return f"{found.done:,} builds were handed over to be sent once more."
    builds = "builds" if found.builder is None else f"builds of {found.builder}"
    return f"{found.total:,} {builds} have ended since."


def _tell_nobody(ctx: CommandContext, found: Backfill) -> int:
    """Say that no master runs; one that does later need not count for somebody who left."""
    from buildbot_http_status_push.outbox import backfill as kept

    nobody = f"no master with this outbox has taken it up within {TAKEN_UP_WITHIN:g} s"
    if found.only_count:
        ctx.ask(kept.remove, found.reporter)
        complain(f"{nobody}, so nothing was counted")
    else:
        complain(
            f"{nobody}. It is carried out as soon as one does; 'outbox backfill --stop' takes it "
            "back"
        )
    return FAILED

"""``outbox backfill``: stores a request for past builds, and shows the master's progress.

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
STARTED_WITHIN = 60.0
"""Seconds; a running master checks more often."""


def backfill(ctx: CommandContext) -> int:
    """Start, count or stop a backfill."""
    reporter = _reporter(ctx)
    return _stop(ctx, reporter) if ctx.arguments.stop else _begin(ctx, reporter)


def _reporter(ctx: CommandContext) -> str:
    """Return the reporter that is named, or the only one."""
    from buildbot_http_status_push.outbox.inspection import NotPossibleError, reporters

    named: str | None = ctx.arguments.reporter
    if named is not None:
        return named
    known: list[str] = ctx.ask(reporters)
    if not known:
        raise NotPossibleError("no reporter has used this outbox yet: start the master first")
    if len(known) > 1:
        raise NotPossibleError(
            f"several reporters use this outbox: choose one with --reporter ({', '.join(known)})"
        )
    return known[0]


def _stop(ctx: CommandContext, reporter: str) -> int:
    from buildbot_http_status_push.outbox import backfill as kept

    found: Backfill | None = ctx.ask(kept.find, reporter)
    if found is None or found.stage is Stage.DONE:
        complain(f"no backfill of {reporter} is in progress")
        return FAILED
    ctx.ask(kept.remove, reporter)
    ctx.answer({"stage": "stopped"}, [f"Stopped the backfill of {reporter}."])
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
    _check_none_in_progress(ctx, reporter)
    ctx.ask(kept.save, wanted)
    # Not to standard output, which may be read by a program.
    print(f"Waiting up to {STARTED_WITHIN:g} s for a running master to start.", file=sys.stderr)
    try:
        found = _watch(ctx, reporter)
    except KeyboardInterrupt:
        complain("the backfill continues in the master; 'outbox backfill --stop' stops it")
        return FAILED
    return _report(ctx, found)


def _check_none_in_progress(ctx: CommandContext, reporter: str) -> None:
    """Refuse while another one is in progress; a dry run may be replaced."""
    from buildbot_http_status_push.outbox import backfill as kept
    from buildbot_http_status_push.outbox.inspection import NotPossibleError

    found: Backfill | None = ctx.ask(kept.find, reporter)
    if found is None or found.stage is Stage.DONE or found.only_count:
        return
    how_far = "waits for a master" if found.stage is Stage.ASKED else f"has sent {found.done:,}"
    raise NotPossibleError(
        f"another backfill of {reporter} {how_far}: stop it with 'outbox backfill --stop'"
    )


def _watch(ctx: CommandContext, reporter: str) -> Backfill | None:
    """Show progress until the backfill is done, or no master starts it."""
    from buildbot_http_status_push.outbox import backfill as kept

    end = time.monotonic() + STARTED_WITHIN
    with ctx.output.progress("builds") as advance:
        while True:
            found: Backfill | None = ctx.ask(kept.find, reporter)
            if found is None or found.stage is Stage.DONE:
                return found
            if found.stage is Stage.ASKED and time.monotonic() > end:
                return found
            advance(found.done, found.total or 0)
            time.sleep(LOOK_EVERY)


def _report(ctx: CommandContext, found: Backfill | None) -> int:
    if found is None:
        complain("the backfill was stopped")
        return FAILED
    if found.stage is Stage.ASKED:
        return _report_no_master(ctx, found)
    document = {"stage": found.stage.value, "done": found.done, "total": found.total}
    ctx.answer(document, [_result_line(found)])
    return DONE


def _result_line(found: Backfill) -> str:
    if not found.only_count:
        return f"Queued {found.done:,} builds for redelivery."
    builds = "builds" if found.builder is None else f"builds of {found.builder}"
    return f"{found.total:,} {builds} finished since then."


def _report_no_master(ctx: CommandContext, found: Backfill) -> int:
    """Report that no master runs; a dry run is deleted, since its reader has left."""
    from buildbot_http_status_push.outbox import backfill as kept

    nobody = f"no running master with this outbox started within {STARTED_WITHIN:g} s"
    if found.only_count:
        ctx.ask(kept.remove, found.reporter)
        complain(f"{nobody}; nothing was counted")
    else:
        complain(
            f"{nobody}. The backfill starts with the next one; 'outbox backfill --stop' cancels it"
        )
    return FAILED

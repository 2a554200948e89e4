"""What the sub-command ``outbox`` shows: counts, lists, single deliveries, whether all is well.

SQLAlchemy is imported when a command runs, since that takes a while.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from attrs import evolve

from buildbot_http_status_push.commands import outbox_output
from buildbot_http_status_push.commands.console import DONE, FAILED, complain
from buildbot_http_status_push.commands.outbox_access import CommandContext
from buildbot_http_status_push.commands.outbox_health import (
    UNKNOWN,
    Health,
    check_line,
    health_lines,
    unknown_line,
)
from buildbot_http_status_push.commands.outbox_output import Listing
from buildbot_http_status_push.commands.outbox_selection import selection_of
from buildbot_http_status_push.model import PENDING, State

if TYPE_CHECKING:
    import argparse

    from buildbot_http_status_push.commands.terminal import Output
    from buildbot_http_status_push.outbox.inspection import Stats

OPEN_STATES = PENDING | {State.DEAD}
NO_METRICS = (
    "--openmetrics needs prometheus_client: pip install 'buildbot-http-status-push[metrics]'"
)
LOOK_EVERY = 2.0
"""Seconds between two looks at what is followed."""


def stats(ctx: CommandContext) -> int:
    """Count the deliveries by their state."""
    from buildbot_http_status_push.outbox import inspection

    if ctx.arguments.openmetrics:
        return _say_openmetrics(ctx.ask(inspection.stats), ctx.output)
    if ctx.arguments.follow:
        return _follow(ctx, _stats_lines)
    each = ctx.ask(inspection.stats)
    document = outbox_output.stats_document(each, inspection.in_all(each))
    ctx.answer(document, *_stats_report(ctx, each))
    return DONE if document["holds"] else FAILED


def _say_openmetrics(each: Sequence[Stats], output: Output) -> int:
    try:
        from buildbot_http_status_push.outbox.openmetrics import openmetrics
    except ImportError:
        return complain(NO_METRICS)
    output.say(openmetrics(each).rstrip("\n"))
    return DONE if all(stats.holds for stats in each) else FAILED


def _stats_report(ctx: CommandContext, each: Sequence[Stats]) -> tuple[list[str], list[str]]:
    """Return the counts, and what is not well."""
    from buildbot_http_status_push.outbox import inspection

    lines = outbox_output.stats_lines(each, inspection.in_all(each), ctx.now)
    return lines, health_lines([Health(one, ctx.now) for one in each])


def _stats_lines(ctx: CommandContext) -> list[str]:
    from buildbot_http_status_push.outbox import inspection

    lines, troubles = _stats_report(ctx, ctx.ask(inspection.stats))
    return [*lines, *troubles]


def check(ctx: CommandContext) -> int:
    """Say in one line whether all is well."""
    from buildbot_http_status_push.outbox import inspection

    given = ctx.arguments
    limits = (given.max_age.total_seconds(), int(given.max_dead))
    total = inspection.in_all(ctx.ask(inspection.stats))
    health = Health(total, ctx.now)
    status = health.status(*limits)
    document = {
        "status": status,
        "waiting": total.pending,
        "oldest": health.oldest,
        "given_up": total.given_up,
    }
    line = check_line(health, *limits)
    ctx.answer(document, *(([], [line]) if status else ([line], [])))
    return status


def unknown(why: str, arguments: argparse.Namespace, output: Output) -> int:
    """Say where monitoring systems look for it why nobody knows whether all is well."""
    if arguments.json:
        output.say(outbox_output.to_json({"status": UNKNOWN, "reason": why}))
    else:
        output.say(unknown_line(why), "bad")
    return UNKNOWN


def list_deliveries(ctx: CommandContext) -> int:
    """List deliveries, with the causes of what waits above."""
    if ctx.arguments.follow:
        return _follow(ctx, _list_lines)
    found = _listing(ctx)
    ctx.answer(outbox_output.list_document(found), _lines_of(ctx, found))
    return DONE


def _list_lines(ctx: CommandContext) -> list[str]:
    return _lines_of(ctx, _listing(ctx))


def _lines_of(ctx: CommandContext, found: Listing) -> list[str]:
    return outbox_output.list_lines(found, ctx.now, ctx.output.width)


def _listing(ctx: CommandContext) -> Listing:
    from buildbot_http_status_push.outbox import inspection

    given = ctx.arguments
    chosen = selection_of(given, OPEN_STATES)
    limit = int(given.limit)
    first = (int(given.page) - 1) * limit
    # In one transaction, or what is delivered meanwhile would be counted and not listed.
    entries, total, causes = ctx.database.transact(
        [
            lambda found: inspection.entries(found, chosen, limit, first, newest=given.newest),
            lambda found: inspection.count(found, chosen),
            lambda found: inspection.causes(found, chosen),
        ]
    )
    return Listing(
        states=chosen.states,
        entries=entries,
        first=first,
        total=total,
        causes=causes,
        newest=given.newest,
        about=" and ".join(str(each) for each in (given.builder, given.build) if each is not None),
    )


def show(ctx: CommandContext) -> int:
    """Show all about one delivery."""
    from buildbot_http_status_push.outbox import inspection

    entry = ctx.ask(inspection.show, ctx.arguments.id)
    body = ctx.ask(inspection.body, entry.id)
    content = outbox_output.readable(body, entry.content_type)
    document = {**outbox_output.entry_document(entry), "body": content}
    ctx.answer(document, outbox_output.show_lines(entry, body, ctx.now))
    return DONE


def export(ctx: CommandContext) -> int:
    """Print deliveries with their bodies, one line of JSON each."""
    from buildbot_http_status_push.outbox import inspection

    chosen, after = selection_of(ctx.arguments, frozenset()), 0
    while True:
        page, after = ctx.ask(inspection.exported, chosen, after)
        for entry, body in page:
            ctx.output.say(outbox_output.export_line(entry, body))
        if not page:
            return DONE


def _follow(ctx: CommandContext, draw: Callable[[CommandContext], Sequence[str]]) -> int:
    """Show what changes until Ctrl-C."""
    try:
        with ctx.output.redrawn() as redraw:
            while True:
                redraw(draw(evolve(ctx, now=time.time())))
                time.sleep(LOOK_EVERY)
    except KeyboardInterrupt:
        return DONE

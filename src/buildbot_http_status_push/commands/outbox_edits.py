"""What the sub-command ``outbox`` changes: deliveries are sent again, dropped, given away.

What concerns many says how many first, and asks. SQLAlchemy is imported when a command runs,
since that takes a while.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from buildbot_http_status_push.commands.console import DONE, FAILED, UNUSABLE, complain
from buildbot_http_status_push.commands.outbox_access import CommandContext
from buildbot_http_status_push.commands.outbox_selection import seconds_of
from buildbot_http_status_push.model import PENDING, State

if TYPE_CHECKING:
    from buildbot_http_status_push.outbox.inspection import Selection

PICKED_UP = "a running master starts within seconds"


def redeliver(ctx: CommandContext) -> int:
    """Have deliveries sent again."""
    from buildbot_http_status_push.outbox import intervention

    if ctx.arguments.id is None:
        return _redeliver_many(ctx)
    entry = ctx.ask(intervention.redeliver, ctx.arguments.id, ctx.now)
    words = [f"Queued {entry.id} ({entry.title}) for redelivery; {PICKED_UP}."]
    ctx.answer({"redelivered": 1}, words)
    return DONE


def _redeliver_many(ctx: CommandContext) -> int:
    count = _in_portions(ctx, _redeliverable(ctx))
    if not count:
        kind = "dead" if ctx.arguments.dead else "dead or retrying since that time"
        complain(
            f"nothing to redeliver: no delivery is {kind} with its body kept and without a newer "
            "accepted status"
        )
        return FAILED
    words = f"Queued {_deliveries(count)} for redelivery; {PICKED_UP}."
    ctx.answer({"redelivered": count}, [words])
    return DONE


def _redeliverable(ctx: CommandContext) -> Selection:
    from buildbot_http_status_push.outbox.inspection import Selection

    if ctx.arguments.dead:
        return Selection(states=frozenset({State.DEAD}))
    since = seconds_of(ctx.arguments.since, ctx.now)
    return Selection(states=frozenset({State.DEAD, State.RETRYING}), came_from=since)


def _in_portions(ctx: CommandContext, chosen: Selection) -> int:
    from buildbot_http_status_push.outbox import inspection, intervention

    total, count, after = ctx.ask(inspection.count, chosen), 0, 0
    with ctx.output.progress("deliveries") as advance:
        while after is not None:
            again, after = ctx.ask(intervention.redeliver_some, chosen, ctx.now, after)
            count += again
            advance(count, total)
    return count


def drop(ctx: CommandContext) -> int:
    """Never send one delivery, or many."""
    from buildbot_http_status_push.outbox import intervention

    given = ctx.arguments
    names_many = given.reporter is not None or given.older_than is not None
    if names_many == (given.id is not None):
        return complain("drop requires an ID, --reporter, --older-than or both options")
    if names_many:
        return _drop_many(ctx)
    entry = ctx.ask(intervention.drop, ctx.arguments.id, ctx.now)
    words = [f"Dropped {entry.id} ({entry.title}) and deleted its body."]
    ctx.answer({"dropped": 1}, words)
    return DONE


def _drop_many(ctx: CommandContext) -> int:
    from buildbot_http_status_push.outbox import inspection, intervention
    from buildbot_http_status_push.outbox.inspection import Selection

    given = ctx.arguments
    before = None if given.older_than is None else seconds_of(given.older_than, ctx.now)
    chosen = Selection(
        states=PENDING | {State.DEAD},
        reporter=given.reporter,
        came_before=before,
        with_body=True,
    )
    count = ctx.ask(inspection.count, chosen)
    if (refusal := _refusal(ctx, count, "drop", "and delete their bodies")) is not None:
        return refusal
    count = ctx.ask(intervention.drop_all, chosen, ctx.now)
    ctx.answer({"dropped": count}, [f"Dropped {_deliveries(count)}."])
    return DONE


def move(ctx: CommandContext) -> int:
    """Give a reporter's deliveries to another one."""
    from buildbot_http_status_push.outbox import inspection, intervention

    given = ctx.arguments
    if given.of == given.to:
        raise inspection.NotPossibleError(f"--from and --to must differ, not both {given.to!r}")
    count = ctx.ask(inspection.count, intervention.movable(given.of))
    if (refusal := _refusal(ctx, count, "move", f"from {given.of} to {given.to}")) is not None:
        return refusal
    count = ctx.ask(intervention.move, given.of, given.to, ctx.now)
    words = f"Moved {_deliveries(count)} from {given.of} to {given.to}; {PICKED_UP}."
    ctx.answer({"moved": count}, [words])
    return DONE


def _deliveries(count: int) -> str:
    return "1 delivery" if count == 1 else f"{count:,} deliveries"


def _refusal(ctx: CommandContext, count: int, verb: str, rest: str) -> int | None:
    """Ask for confirmation; return the exit code where it is not given, else None."""
    if not count:
        complain("no delivery matches; 'outbox stats' shows the counts")
        return FAILED
    if ctx.arguments.yes:
        return None
    what = f"{verb} {_deliveries(count)} {rest}"
    if not sys.stdin.isatty():
        return complain(f"use --yes to {what}: standard input is not a terminal")
    # Not to standard output, which may be read by a program.
    print(f"{what[0].upper()}{what[1:]}? [y/N] ", end="", file=sys.stderr, flush=True)
    return None if sys.stdin.readline().strip().lower() in ("y", "yes") else UNUSABLE

"""What each page shows: which template, and the values that are put into it.

Knows the store's reads; must not know HTTP or how templates are rendered.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from attrs import evolve, field, frozen

from buildbot_http_status_push.board import filters
from buildbot_http_status_push.board.changes import web_address
from buildbot_http_status_push.board.cluster.queue import Queue
from buildbot_http_status_push.board.failures.known import LATELY, seen
from buildbot_http_status_push.board.failures.known_files import KnownFiles
from buildbot_http_status_push.board.failures.lines import excerpts_of
from buildbot_http_status_push.board.incidents.engine import SETTLE
from buildbot_http_status_push.board.incidents.incident import ENDINGS, STEPS
from buildbot_http_status_push.board.incidents.words import headline
from buildbot_http_status_push.board.model import (
    SHORTEST,
    Build,
    Filter,
    WorkerDetail,
)
from buildbot_http_status_push.board.pages import charts
from buildbot_http_status_push.board.pages.detail import contents, queued
from buildbot_http_status_push.board.pages.grid import table
from buildbot_http_status_push.board.pages.history import history
from buildbot_http_status_push.board.pages.overview import (
    MOST_CAUSES,
    MOST_RUNNING,
    PAGE,
    State,
    groups,
    overview,
    state,
)
from buildbot_http_status_push.board.pages.wording import due, short_revision, word
from buildbot_http_status_push.board.storable import storable
from buildbot_http_status_push.board.store.store import Store
from buildbot_http_status_push.board.test_results.history import Verdict
from buildbot_http_status_push.board.test_results.query import QueryOfTests, test_query
from buildbot_http_status_push.board.test_results.results import (
    BuildTests,
    FailedTest,
    NamedTest,
    results_of,
)
from buildbot_http_status_push.board.test_results.words import words_of
from buildbot_http_status_push.board.toml_files import RuleFile
from buildbot_http_status_push.board.verdicts.revision import (
    Progress,
    progress,
)
from buildbot_http_status_push.board.verdicts.rules import Rule

INCIDENTS = 50
"""How many closed incidents a page shows."""
PLACES = 200
"""How many builders of an incident are shown."""
BUILDS = 50
"""How many builds a page of a builder's history has."""
FAILURES = 20
"""How many reasons are shown."""
OCCURRENCES = 6
"""How many builds with a reason are shown."""
BAD_BUILDS = 60
"""In how many bad builds of revisions new failures of tests are looked up, the newest first."""
REVISIONS = 40
"""How many revisions are shown."""
CHANGES = 100
"""How many of a build's changes its page shows."""
WAITING = 200
"""How many builders and how many requests the page of the queue shows."""
WORKERS = 500
"""How many workers are shown."""
GROUNDS = 100
"""How many reasons and how many concerns of a verdict are shown."""
NEW = 40
"""How many new failures and how many new tests a revision's page shows."""
TESTS = 50
"""How many failing tests are shown."""
TEST_PLACES = 3
"""Of how many of a failing test's builders more than their number is shown."""
MESSAGES = 8
"""In how many of the latest builds in which a test failed its messages are looked up."""
FOUND = 50
"""How many builders and how many revisions a search shows."""
LONGEST = 200
"""How many characters of what is searched for are looked at."""
KIOSK = {
    "most_red": 6, "most_running": 3, "many": 90, "most_tiles": 1000,
    "named": (60, 60, 20, 55, 45, 30, 15), "large": (18, 18, 6, 18, 15, 9, 6),
}  # fmt: skip
"""How much fits on a wall screen; how many names do, below none to six cards."""


@frozen(kw_only=True)
class PageRequest:
    """What a browser asks for.

    Args:
        path: The path.
        query: What stood after ``?``.
        chosen: The filter in it.
        now: Seconds since the epoch.
        known: The known failures, where the board has any.
        rules: The rules of verdicts, where the board has any.
        reader: Who asks, where people can act on the page, if that is known.
        kept_back: How many incidents are not reported, and why.
    """

    path: str
    query: str
    chosen: Filter
    now: float
    known: KnownFiles | None = None
    rules: RuleFile[tuple[Rule, ...]] | None = None
    reader: str | None = None
    kept_back: str = ""

    @property
    def is_kiosk(self) -> bool:
        """Whether it is for a screen on a wall."""
        return self.path == "/" and "kiosk" in parse_qs(self.query)

    @property
    def is_by_tag(self) -> bool:
        """Whether builders are grouped by tag."""
        return parse_qs(self.query).get("group") == ["tag"]

    @property
    def page(self) -> int:
        """Which page of builders is asked for.

        Raises:
            ValueError: None is.
        """
        given = parse_qs(self.query).get("page", ["1"])[-1]
        if not re.fullmatch("[1-9][0-9]{0,5}", given):
            raise ValueError(f"page={given!r} is no page: the first one is 1")
        return int(given)


@frozen(kw_only=True)
class Live:
    """How a page stays true.

    Args:
        how: ``parts`` where fragments fit in, ``page`` where it is fetched again, ``soon`` where
            few look at it, so that it is fetched again at once.
        builder: Whose changes matter, None for all.
        build: Which build's changes matter, None for all.
    """

    how: str
    builder: int | None = None
    build: int | None = None


SOON = Live(how="soon")


@frozen
class View:
    """A page that is still to be rendered.

    Args:
        template: The template's name.
        title: The page's title.
        context: What the template shows.
        live: How it stays true.
        state: How the builders on it stand, where it shows that.
        status: The HTTP status.
    """

    template: str
    title: str
    context: Mapping[str, Any]
    live: Live = field(default=Live(how="page"))
    state: State | None = None
    status: int = 200


async def view(store: Store, asked: PageRequest) -> View:
    """Read what a page shows.

    Args:
        store: Where to read it.
        asked: What is asked for.

    Raises:
        StorageError: The store can't be read.
        ValueError: What is asked for makes no sense.
    """
    for pattern, make in VIEWS:
        if match := re.fullmatch(pattern, asked.path):
            found = await make(store, asked, *match.groups())
            return found or _missing("There is nothing of this number on the board (any more).")
    return _missing("The board has no page of this name.")


def _missing(message: str) -> View:
    return View("message.html", "Not here", {"message": message}, status=404)


async def _overview(store: Store, asked: PageRequest) -> View:
    builders = await store.builders(asked.chosen)
    seen = overview(builders)
    stands = state(builders)
    if asked.is_kiosk:
        return View("kiosk.html", "board", {"overview": seen, **KIOSK}, state=stands)
    rows = sum(max(len(each.tags), 1) for each in builders) if asked.is_by_tag else len(builders)
    pages = max(-(-rows // PAGE), 1)
    page = min(asked.page, pages)
    shown = {
        "overview": seen,
        "has_reasons": await store.has_reasons(),
        "most_causes": MOST_CAUSES,
        "most_running": MOST_RUNNING,
        "queue": await store.queue() if asked.chosen == Filter() else Queue(),
        "quiet": await store.quiet() if asked.chosen == Filter() else [],
        "verdicts": await store.branch_verdicts(asked.rules.rules) if asked.rules else [],
        "groups": groups(builders, by_tag=asked.is_by_tag, page=page),
        "ungrouped": filters.to_query(asked.chosen),
        "page": page,
        "pages": pages,
        "pages_shown": _near(page, pages),
    }
    is_whole = asked.chosen == Filter() and not asked.is_by_tag
    return View("overview.html", "board", shown, Live(how="parts" if is_whole else "page"), stands)


def _near(page: int, pages: int) -> list[int]:
    """Return the pages to lead to: the first, the last, and those around."""
    near = {1, pages, *range(max(page - 3, 1), min(page + 3, pages) + 1)}
    return sorted(near)


async def _grid(store: Store, asked: PageRequest) -> View:
    builders = await store.builders(asked.chosen)
    pages = max(-(-len(builders) // PAGE), 1)
    page = min(asked.page, pages)
    shown = {
        "builders": builders[(page - 1) * PAGE : page * PAGE],
        "columns": charts.GRID,
        "page": page,
        "pages": pages,
        "pages_shown": _near(page, pages),
    }
    return View("grid.html", "Grid · board", shown, _live(asked), state(builders))


def _live(asked: PageRequest) -> Live:
    return Live(how="page" if asked.chosen.is_about_builds else "parts")


async def _revisions(store: Store, asked: PageRequest) -> View:
    revisions = await store.revisions(asked.chosen, REVISIONS)
    made = table(revisions, await store.builders(asked.chosen), asked.page)
    bad = [each for revision in revisions for each in revision.builds if each.is_bad]
    new = await store.new_tests(bad[:BAD_BUILDS])
    shown = {"table": made, "new": new, "pages_shown": _near(made.page, made.pages)}
    return View("revisions.html", "Revisions · board", shown)


async def _revision(store: Store, asked: PageRequest, text: str) -> View | None:
    wanted = storable(text)[: filters.MOST_VALUE]
    found = await store.revision_verdicts(wanted, asked.chosen)
    if not found:
        return _missing("No build and no change of this revision is known here (any more).")
    if len({each.revision for each in found}) > 1:
        choices = {"wanted": wanted, "found": found}
        return View("choices.html", f"{wanted[:80]} · board", choices)
    reached = progress((each for one in found for each in one.builders), asked.now)
    shown = {
        "found": found,
        "most_changes": CHANGES,
        "most_new": NEW,
        "has_requests": (await store.queue()).is_known,
    }
    title = f"{short_revision(found[0].revision)[:80]} · board"
    return View("revision.html", title, shown, SOON, _revision_state(reached))


def _revision_state(reached: Progress) -> State | None:
    if reached.unexcused:
        return State("bad", f"✗ {reached.unexcused} red")
    return State("good", "✓") if reached.is_over and reached.count else None


async def _verdicts(store: Store, asked: PageRequest) -> View:
    rules = asked.rules
    shown = {
        "found": await store.branch_verdicts(rules.rules if rules else ()),
        "fault": rules.fault if rules else None,
        "has_rules": rules is not None,
        "most_grounds": GROUNDS,
    }
    return View("verdicts.html", "Verdicts · board", shown, SOON)


async def _queue(store: Store, asked: PageRequest) -> View:
    shown = {
        "queue": await store.queue(),
        "requests": await store.requests(None, WAITING),
        "most": WAITING,
    }
    return View("queue.html", "Queue · board", shown, SOON)


async def _workers(store: Store, asked: PageRequest) -> View:
    shown = {"found": await store.workers(None, WORKERS), "most": WORKERS}
    return View("workers.html", "Workers · board", shown, SOON)


async def _worker(store: Store, asked: PageRequest, name: str) -> View | None:
    found = await store.workers(name, WORKERS)
    if not found:
        return _missing("No worker of this name has been reported.")
    return View("worker.html", f"{name[:80]} · board", {"name": name, "found": found}, SOON)


async def _search(store: Store, asked: PageRequest) -> View:
    wanted = parse_qs(asked.query).get("q", [""])[-1].strip()[:LONGEST]
    builders = await store.builders(Filter(builder=wanted)) if wanted else []
    shown = {
        "wanted": wanted,
        "builders": builders[:FOUND],
        "builders_found": len(builders),
        "revisions": await store.search(wanted, FOUND) if wanted else [],
        "workers": (await _workers_like(store, wanted))[:FOUND] if wanted else [],
        "tests": await store.tests_like(QueryOfTests(name=wanted), FOUND) if wanted else [],
        "failures": await store.reasons_like(wanted, FOUND) if wanted else [],
        "shortest": SHORTEST,
    }
    return View("search.html", f"{wanted or 'Search'} · board", shown)


async def _workers_like(store: Store, wanted: str) -> list[WorkerDetail]:
    every = await store.workers(None, 0)
    return [each for each in every if filters.name_fits(wanted, each.worker.name)]


async def _failures(store: Store, asked: PageRequest) -> View:
    shown = {
        "found": await store.failures(asked.chosen, FAILURES),
        "of": {each.id: each.master for each in await store.builders(Filter())},
        "has_reasons": await store.has_reasons(),
    }
    return View("failures.html", "Failures · board", shown)


async def _incidents(store: Store, asked: PageRequest) -> View:
    before = _before(asked.query)
    closed = await store.closed_incidents(2**40 if before is None else before, INCIDENTS + 1)
    older = closed[INCIDENTS].closed_at if len(closed) > INCIDENTS else None
    shown = {
        "open": [] if before is not None else (await store.incidents())[::-1],
        "closed": closed[:INCIDENTS],
        "older": older,
        "kept_back": asked.kept_back,
    }
    return View("incidents.html", "Incidents · board", shown)


async def _incident(store: Store, asked: PageRequest, number: str) -> View | None:
    both = await store.incident(number)
    if both is None:
        return None
    found, steps = both
    others = [
        each
        for each in await store.incidents()
        if each.id != number and (each.kind, each.cluster) == (found.kind, found.cluster)
    ]
    shown = {
        "found": found,
        "steps": steps,
        "others": others[:INCIDENTS],
        "reader": asked.reader,
        "words": STEPS,
        "endings": ENDINGS,
        "settle": SETTLE,
        "most_places": PLACES,
    }
    return View("incident.html", f"{headline(found)[:80]} · board", shown)


async def _known(store: Store, asked: PageRequest) -> View:
    known = asked.known
    entries = known.entries if known else ()
    reasons = await store.reasons_since(int(asked.now) - LATELY * 86_400)
    shown = {"found": seen(entries, reasons, asked.now), "faults": known.faults if known else ()}
    return View("known.html", "Known failures · board", shown)


async def _failure(store: Store, asked: PageRequest, signature: str) -> View | None:
    found = await store.failure(signature)
    if found is None:
        return None
    builds = await store.failed_builds(
        asked.chosen, signature=signature, limit=OCCURRENCES, with_body=True
    )
    title = f"{found.reason.text[:80]} · board"
    return View("failure.html", title, {"found": found, "builds": builds})


async def _builder(store: Store, asked: PageRequest, given: str) -> View | None:
    number = int(given)
    builder = await store.builder(number, asked.chosen.branch)
    if builder is None:
        return None
    before = _before(asked.query)
    chosen = evolve(asked.chosen, builder=None, tags=frozenset(), master=None, project=None)
    builds = await store.builds(chosen, number, BUILDS + 1, before)
    shown = {
        "builder": builder,
        "history": history(builds, BUILDS),
        "paged": before is not None,
    }
    live = Live(how="page", builder=number)
    return View("builder.html", f"{builder.name} · board", shown, live, state([builder]))


def _before(query: str) -> int | None:
    given = parse_qs(query).get("before", [""])[-1]
    if given and not re.fullmatch("[0-9]{1,18}", given):
        raise ValueError(f"before={given[:60]!r} is no build's number on this board")
    return int(given) if given else None


async def _build(store: Store, asked: PageRequest, given: str) -> View | None:
    number = int(given)
    found = await store.build_and_tests(number)
    if found is None:
        return None
    detail, verdicts = found
    build = detail.build
    results = results_of(detail.body)
    shown = {
        "tests": results,
        "failed_tests": [] if results is None else _failed_tests(results, verdicts),
        "detail": detail,
        "build": build,
        "builder": detail.builder,
        "contents": contents(detail.body),
        "excerpts": excerpts_of(detail.body),
        "queued": queued(build),
        "expected": due(build, detail.builder.usual),
        "link": web_address(build.url),
        "most_changes": CHANGES,
    }
    name = f"{detail.builder.name} #{build.number} {word(build)} · board"
    return View("build.html", name, shown, Live(how="page", build=number), _build_state(build))


def _failed_tests(
    results: BuildTests, verdicts: Mapping[NamedTest, Verdict]
) -> list[tuple[FailedTest, str, bool]]:
    """Return the failed tests, new ones first and flaky ones last, with what is known of them."""
    unknown = Verdict()
    made = [(each, verdicts.get(each.test, unknown)) for each in results.failures]
    made.sort(key=lambda pair: (not pair[1].is_new, pair[1].is_flaky))
    return [(each, words_of(verdict), verdict.is_new) for each, verdict in made]


def _build_state(build: Build) -> State | None:
    if not build.is_conclusive:
        return None
    return State("bad", "✗") if build.is_bad else State("good", "✓")


async def _tests(store: Store, asked: PageRequest) -> View:
    query = test_query(asked.query)
    failing = await store.failing_tests(asked.chosen, query, TESTS, TEST_PLACES)
    known = {each.test for each in failing}
    is_search = (query.name or query.since) and not query.message
    others = await store.tests_like(query, FOUND) if is_search else []
    shown = {
        "asked": query,
        "found": failing[:TESTS],
        "count": len(failing),
        "others": [each for each in others if each not in known],
    }
    return View("tests.html", "Tests · board", shown)


async def _test(store: Store, asked: PageRequest, name: str) -> View:
    found = await store.tests_named(asked.chosen, name)
    failed = {
        run.build
        for each in found
        for at in each.places
        for run, has_failed in at.verdict.outcomes
        if has_failed
    }
    latest = sorted(failed, reverse=True)[:MESSAGES]
    said: dict[tuple[str, str], list[Build]] = {}
    for build, test in await store.test_messages(name, latest) if latest else []:
        said.setdefault((test.kind, test.message), []).append(build)
    shown = {"name": name, "found": found, "said": said}
    return View("test.html", f"{name[:80]} · board", shown, status=200 if found else 404)


VIEWS: tuple[tuple[str, Callable[..., Awaitable[View | None]]], ...] = (
    (r"/", _overview),
    (r"/grid", _grid),
    (r"/revisions", _revisions),
    (r"/revisions/((?s:.+))", _revision),
    (r"/verdicts", _verdicts),
    (r"/queue", _queue),
    (r"/workers", _workers),
    (r"/workers/((?s:.+))", _worker),
    (r"/search", _search),
    (r"/incidents", _incidents),
    (r"/incidents/([0-9a-f]{12})", _incident),
    (r"/failures", _failures),
    (r"/known", _known),
    (r"/failures/([0-9a-f]{16})", _failure),
    (r"/tests", _tests),
    (r"/tests/((?s:.+))", _test),
    (r"/builders/([0-9]{1,18})", _builder),
    (r"/builds/([0-9]{1,18})", _build),
)
"""The pages by their paths."""

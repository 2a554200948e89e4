"""Whole bodies of any kind, one among good ones: nothing that one sender says harms another."""

from __future__ import annotations

import json
from itertools import count
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from support.fakes import LogBook
from support.outboxes import result
from support.postgres import server
from support.statuses import NOW, a_body, a_status
from support.threads import LaterThread
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.body import BodyError, read
from buildbot_http_status_push.board.model import Filter
from buildbot_http_status_push.board.programs import api
from buildbot_http_status_push.board.programs.badge import badge
from buildbot_http_status_push.board.programs.cctray import cctray, projects
from buildbot_http_status_push.board.programs.feed import feed, news
from buildbot_http_status_push.board.store.store import Store
from buildbot_http_status_push.board.store.writing import Stored
from buildbot_http_status_push.database import file_url

Case = SynchronousTestCase if TYPE_CHECKING else object

texts = st.text(st.characters(), max_size=6) | st.sampled_from(
    [
        "\0",
        "\ud800",
        "\udfff\ud800",
        "\x1b[31m",
        "\uffff",
        "\x0b",
        "\x85",
        "",
        "x" * 600,
        "http://\0/",
    ]
)
leaves = st.none() | st.booleans() | texts | st.integers() | st.floats() | st.just(2**70)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
changes = st.lists(
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("author", "comments", "revision", "revlink", "files"), leaves)
    ),
    max_size=2,
)
keys = sorted(a_body())
bodies = st.builds(
    lambda replaced, made, more: {**a_body(), **more, "changes": made, **replaced},
    st.dictionaries(st.sampled_from(keys), values, max_size=2),
    changes,
    st.fixed_dictionaries(
        {
            "builder": st.fixed_dictionaries({"name": texts, "tags": values, "description": texts}),
            "properties": st.dictionaries(
                st.sampled_from(["owner", "branch", "workername", "got_revision"]) | texts,
                st.tuples(values, texts).map(list),
            ),
            "state_string": texts,
        }
    ),
)
NUMBERS = count(1)


class PoisonContract(Case):
    """One bad body among good ones."""

    def new_url(self) -> str:
        """Return where an empty store may be."""
        raise NotImplementedError

    def test_one_among_good(self) -> None:
        """Good statuses are kept whatever comes with them, and all that is shown is well-formed."""
        clock, thread, book = Clock(), LaterThread(), LogBook()
        clock.advance(NOW)
        store = Store(clock, thread, self.new_url(), {}, book.log)
        result(Deferred.fromCoroutine(store.open()))
        self.addCleanup(lambda: result(Deferred.fromCoroutine(store.close())))

        @settings(
            max_examples=20,
            deadline=None,
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
        )
        @given(bodies)
        @example({**a_body(), "changes": [{"author": "\ud800", "comments": "\0"}]})
        @example(
            {**a_body(), "x": [float("nan"), float("-inf")], "builder": {"name": "\x01\uffff"}}
        )
        def check(body: dict[str, Any]) -> None:
            try:
                bad = read(json.dumps(body).encode())
            except BodyError as refusal:
                self.assertIn(refusal.status, (400, 422))
                bad = None
            good = [a_status(1000 + next(NUMBERS), builder="good") for _ in range(2)]
            thread.is_held = True
            first = store.put(a_status(1000 + next(NUMBERS), builder="good"))
            answers = [store.put(each) for each in (good[0], *filter(None, [bad]), good[1])]
            thread.is_held = False
            thread.step()
            self.assertEqual(result(first), Stored.NEW)
            stored = [result(answer) for answer in answers]
            self.assertEqual([stored[0], stored[-1]], [Stored.NEW, Stored.NEW])
            self.check_shown(store)

        check()
        self.assertEqual(book.lines, [])

    def check_shown(self, store: Store) -> None:
        """See that all that is told is well-formed."""
        builders = result(store.builders(Filter()))
        for each in builders:
            if not each.recent:  # its only build has become another builder's
                continue
            page = result(store.build(each.recent[0].id))
            assert page is not None
            json.loads(api.detail(page).body.decode(), parse_constant=self.fail)
        [*_, found] = ([], *news(builders, Filter()))
        documents = [
            cctray(projects(builders, "http://b/")),
            feed(found, "http://b/", "http://b/f", "e", {}, []),
        ]
        documents += [badge(each.name, each.last) for each in builders]
        for document in documents:
            ElementTree.fromstring(document.body)  # noqa: S314 - our own
        written = map(api.builder_text, builders)
        json.loads(api.builders(written, store.latest).body, parse_constant=self.fail)


class SqliteTests(PoisonContract, SynchronousTestCase):
    """On SQLite."""

    def new_url(self) -> str:
        """Return a file that is not there yet."""
        return file_url(self.mktemp())


class PostgresTests(PoisonContract, SynchronousTestCase):
    """On PostgreSQL."""

    def new_url(self) -> str:
        """Return an empty database."""
        server().clear()
        return server().url()

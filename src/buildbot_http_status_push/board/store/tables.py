"""The board's tables.

Speaks what SQLAlchemy 1.4 and 2.1 both know, for SQLite and PostgreSQL. All names begin with
``board_``, so that the tables may stand in a database that holds others.
"""

from __future__ import annotations

import sqlalchemy as sa

from buildbot_http_status_push.board.model import BAD, CONCLUSIVE, GOOD

metadata = sa.MetaData()

# SQLite counts only a plain INTEGER key up by itself.
_Key = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _index(name: str, *columns: str, where: str | None = None, unique: bool = False) -> sa.Index:
    condition = None if where is None else sa.text(where)
    return sa.Index(
        f"board_{name}",
        *columns,
        unique=unique,
        sqlite_where=condition,
        postgresql_where=condition,
    )


def among(results: frozenset[int]) -> str:
    """Return the condition that a result is one of some, as the indexes have it.

    The planner takes a partial index only where a query has the same condition, word for word.
    """
    return f"results IN ({', '.join(map(str, sorted(results)))})"


def judging(results: frozenset[int]) -> str:
    """Return the condition that a build judges its branch by one of some results."""
    return f"{among(results)} AND judges = 1"


RUNNING = "complete_at IS NULL"
FIRST_REASON = "place = 0"

position = sa.Table(
    "board_position",
    metadata,
    sa.Column("epoch", sa.Text, primary_key=True),
    sa.Column("sequence", sa.BigInteger, nullable=False),
)

masters = sa.Table(
    "board_masters",
    metadata,
    sa.Column("id", _Key, primary_key=True),
    # As the board's settings give it, else the URL.
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("title", sa.Text),
    sa.Column("heard_at", sa.Float(53), nullable=False),
)

builders = sa.Table(
    "board_builders",
    metadata,
    sa.Column("id", _Key, primary_key=True),
    sa.Column("master", sa.BigInteger, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    # What its builds say of it whatever their branch, worked out at each write.
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    _index("builder_by_name", "master", "name", unique=True),
    _index("builder_by_sequence", "sequence"),
)

SEVERAL_BRANCHES = "replace(line, ':', '') <> line"
"""The condition that a line names codebases with different branches, as its index has it."""

lines = sa.Table(
    "board_lines",
    metadata,
    sa.Column("builder", sa.BigInteger, primary_key=True, autoincrement=False),
    # As ``board_builds`` has it.
    sa.Column("line", sa.Text, primary_key=True),
    # What the builder's builds of this branch say, worked out at each write.
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("builds", sa.BigInteger, nullable=False),
    _index("line_by_name", "line", "builder"),
    _index("line_by_builds", "builder", "builds"),
    _index("line_of_several", "builder", "line", where=SEVERAL_BRANCHES),
)

builds = sa.Table(
    "board_builds",
    metadata,
    sa.Column("id", _Key, primary_key=True),
    sa.Column("master", sa.BigInteger, nullable=False),
    sa.Column("builder", sa.BigInteger, nullable=False),
    sa.Column("buildid", sa.BigInteger, nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("request", sa.BigInteger),
    sa.Column("started_at", sa.BigInteger, nullable=False),
    sa.Column("complete_at", sa.BigInteger),
    sa.Column("results", sa.Integer),
    sa.Column("state_string", sa.Text, nullable=False),
    sa.Column("submitted_at", sa.BigInteger),
    sa.Column("worker", sa.Text),
    sa.Column("branch", sa.Text),
    sa.Column("revision", sa.Text),
    sa.Column("project", sa.Text),
    sa.Column("owner", sa.Text),
    sa.Column("url", sa.Text),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    # The branch, empty where there is none: NULL is equal to nothing.
    sa.Column("line", sa.Text, nullable=False),
    sa.Column("judges", sa.Integer, nullable=False),
    # JSON, of each codebase; ``has_several`` where there is more than one.
    sa.Column("sources", sa.Text, nullable=False),
    sa.Column("has_several", sa.Integer, nullable=False),
    sa.Column("step", sa.Text),
    sa.Column("parent", sa.BigInteger),
    sa.Column("parent_started_at", sa.BigInteger),
    sa.Column("about_builder", sa.Text, nullable=False),
    sa.Column("changes", sa.Text),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    _index("build_by_identity", "master", "buildid", "started_at", unique=True),
    _index("build_by_start", "started_at", "number", "id"),
    _index("build_by_builder", "builder", "started_at", "number", "id"),
    _index("build_by_branch", "branch", "started_at", "number", "id"),
    _index("build_by_worker", "worker", "started_at", "number", "id"),
    _index("build_by_owner", "owner", "started_at", "number", "id"),
    _index("build_by_results", "results", "started_at", "number", "id"),
    _index("build_of_several", "started_at", "number", "id", where="has_several = 1"),
    _index("build_by_request", "master", "request"),
    _index("build_by_parent", "master", "parent"),
    _index("running_build", "builder", "started_at", "number", "id", where=RUNNING),
    _index("build_by_line", "builder", "line", "started_at", "number", "id"),
    *(
        _index(
            f"{name}_build", "builder", "line", "started_at", "number", "id", where=judging(results)
        )
        for name, results in (("conclusive", CONCLUSIVE), ("good", GOOD), ("bad", BAD))
    ),
    # Links are permanent: the number of a build that was pruned is not given to another.
    sqlite_autoincrement=True,
)

bodies = sa.Table(
    "board_bodies",
    metadata,
    sa.Column("build", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)

revisions = sa.Table(
    "board_revisions",
    metadata,
    sa.Column("id", _Key, primary_key=True),
    # Empty where there is none: NULL is equal to nothing, and would come twice.
    sa.Column("codebase", sa.Text, nullable=False),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("branch", sa.Text, nullable=False),
    sa.Column("revision", sa.Text, nullable=False),
    sa.Column("first_at", sa.BigInteger, nullable=False),
    sa.Column("author", sa.Text),
    sa.Column("comment", sa.Text),
    _index("revision_by_name", "revision", "branch", "project", "codebase", unique=True),
    _index("revision_by_start", "first_at", "id"),
    _index("revision_by_branch", "branch", "first_at", "id"),
)

built = sa.Table(
    "board_built",
    metadata,
    sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("build", sa.BigInteger, primary_key=True, autoincrement=False),
    _index("built_by_build", "build"),
)

# Also of changes that no build was of by itself: requests are collapsed.
source_changes = sa.Table(
    "board_changes",
    metadata,
    sa.Column("master", sa.BigInteger, primary_key=True, autoincrement=False),
    # Its number in the master's database.
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("codebase", sa.Text, nullable=False),
    sa.Column("revision", sa.Text, nullable=False),
    # As ``board_builds`` has it, of the first build that had it, and that build's begin.
    sa.Column("branch", sa.Text, nullable=False),
    sa.Column("line", sa.Text, nullable=False),
    sa.Column("seen_at", sa.BigInteger, nullable=False),
    # JSON, what is shown of it.
    sa.Column("shown", sa.Text, nullable=False),
    _index("change_by_revision", "revision", "number", "master"),
    _index("change_by_seen", "seen_at"),
)

failures = sa.Table(
    "board_failures",
    metadata,
    sa.Column("build", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("signature", sa.Text, primary_key=True),
    # Its place among the build's reasons.
    sa.Column("place", sa.Integer, nullable=False),
    # The signature of the build's first reason.
    sa.Column("lead", sa.Text, nullable=False),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("step", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    # Whether the build had more reasons than are kept.
    sa.Column("is_cut", sa.Integer, nullable=False),
    # As the build has them.
    sa.Column("builder", sa.BigInteger, nullable=False),
    sa.Column("line", sa.Text, nullable=False),
    sa.Column("started_at", sa.BigInteger, nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("judges", sa.Integer, nullable=False),
    # The last good build before, 0 where there is none: the same for all builds of a breakage.
    sa.Column("since", sa.BigInteger, nullable=False),
    # Whether the next build of the same code was good (1) or failed alike (0).
    sa.Column("passed_again", sa.Integer),
    _index("failure_by_signature", "signature", "started_at", "build"),
    _index("failure_by_line", "builder", "line", "started_at", "number", "build"),
    # Each failed build once.
    _index("failed_build", "started_at", "build", "builder", where=FIRST_REASON),
    _index("failed_build_by_builder", "builder", "started_at", "build", where=FIRST_REASON),
)

signatures = sa.Table(
    "board_signatures",
    metadata,
    sa.Column("signature", sa.Text, primary_key=True),
    # Of the latest occurrence.
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("step", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("first_at", sa.BigInteger, nullable=False),
    sa.Column("last_at", sa.BigInteger, nullable=False),
    sa.Column("builds", sa.BigInteger, nullable=False),
    # The number of the update that it was last changed by.
    sa.Column("sequence", sa.BigInteger, nullable=False),
    _index("signature_by_last", "last_at", "signature"),
    _index("signature_by_sequence", "sequence"),
)

# What version of the rules the signatures were made by.
signing = sa.Table("board_signing", metadata, sa.Column("version", sa.Integer, primary_key=True))

# A builder and branch, once for builds that judge it and once for those of patches.
tested = sa.Table(
    "board_tested",
    metadata,
    sa.Column("id", _Key, primary_key=True),
    sa.Column("builder", sa.BigInteger, nullable=False),
    sa.Column("line", sa.Text, nullable=False),
    sa.Column("judges", sa.Integer, nullable=False),
    _index("tested_by_builder", "builder", "line", "judges", unique=True),
    _index("tested_by_line", "line", "judges"),
)

# Most builds of a builder run the same suites: they are kept once.
test_suite_lists = sa.Table(
    "board_test_suite_lists",
    metadata,
    sa.Column("id", _Key, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False),
    # The suites' numbers, as a JSON list.
    sa.Column("suites", sa.Text, nullable=False),
    _index("test_suite_list_by_digest", "digest", unique=True),
)

# Tests that have failed.
tests = sa.Table(
    "board_tests",
    metadata,
    sa.Column("id", _Key, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("suite", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("last_at", sa.BigInteger, nullable=False),
    _index("test_by_digest", "digest", unique=True),
    _index("test_by_name", "name"),
    _index("test_by_last", "last_at", "id"),
)

# Builds with test results; those of their suites are in their bodies.
test_runs = sa.Table(
    "board_test_runs",
    metadata,
    sa.Column("build", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("tested", sa.BigInteger, nullable=False),
    sa.Column("started_at", sa.BigInteger, nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("suites", sa.BigInteger, nullable=False),
    # Whether all of its failed tests are kept.
    sa.Column("is_whole", sa.Integer, nullable=False),
    sa.Column("failed", sa.BigInteger, nullable=False),
    sa.Column("ran", sa.BigInteger, nullable=False),
    # The next build with test results, where that was of the same code.
    sa.Column("again", sa.BigInteger),
    _index("test_run_by_start", "tested", "started_at", "number", "build"),
    _index("test_run_by_suites", "suites"),
)

test_failures = sa.Table(
    "board_test_failures",
    metadata,
    sa.Column("test", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("tested", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("started_at", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("build", sa.BigInteger, primary_key=True, autoincrement=False),
    _index("test_failure_by_build", "build", "test"),
    sqlite_with_rowid=False,
)

WAITING = "waiting = 1"

requests = sa.Table(
    "board_requests",
    metadata,
    sa.Column("id", _Key, primary_key=True),
    sa.Column("master", sa.BigInteger, nullable=False),
    # Its id in the cluster's database.
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("submitted_at", sa.BigInteger, nullable=False),
    sa.Column("builder", sa.BigInteger, nullable=False),
    sa.Column("reported_at", sa.Float(53), nullable=False),
    sa.Column("claimed", sa.Integer, nullable=False),
    sa.Column("complete", sa.Integer, nullable=False),
    # Whether a build of it has begun, and was not to be built again.
    sa.Column("started", sa.Integer, nullable=False),
    # Neither claimed nor complete nor started.
    sa.Column("waiting", sa.Integer, nullable=False),
    sa.Column("results", sa.BigInteger),
    sa.Column("priority", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    # JSON, as ``board_builds`` has them.
    sa.Column("sources", sa.Text, nullable=False),
    _index("request_by_identity", "master", "number", "submitted_at", unique=True),
    _index("waiting_request", "builder", "submitted_at", "id", where=WAITING),
    _index("waiting_by_age", "submitted_at", "id", where=WAITING),
    _index("complete_request", "reported_at", where="complete = 1"),
)

# What requests that are not complete ask for.
requested = sa.Table(
    "board_requested",
    metadata,
    sa.Column("request", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("codebase", sa.Text, primary_key=True),
    sa.Column("revision", sa.Text, nullable=False),
    sa.Column("branch", sa.Text, nullable=False),
    _index("requested_by_revision", "revision", "request"),
)

workers = sa.Table(
    "board_workers",
    metadata,
    sa.Column("id", _Key, primary_key=True),
    sa.Column("master", sa.BigInteger, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("reported_at", sa.Float(53), nullable=False),
    # JSON, what was reported of it.
    sa.Column("state", sa.Text, nullable=False),
    # Since when it is not connected.
    sa.Column("since", sa.BigInteger),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    _index("worker_by_name", "master", "name", unique=True),
    _index("worker_by_sequence", "sequence"),
)

# What was reported of builders, whether they have built or not.
configured = sa.Table(
    "board_configured",
    metadata,
    sa.Column("builder", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("reported_at", sa.Float(53), nullable=False),
    sa.Column("removed", sa.Integer, nullable=False),
    # JSON, tags and the like.
    sa.Column("about", sa.Text, nullable=False),
)

CLUSTER_TABLES = (requests, requested, workers, configured)

TEST_TABLES = (tested, test_suite_lists, tests, test_runs, test_failures)

updates = sa.Table(
    "board_updates",
    metadata,
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("build", sa.BigInteger, nullable=False),
    sa.Column("builder", sa.BigInteger, nullable=False),
    sa.Column("at", sa.Float(53), nullable=False),
)

# How far the incidents have come in the order of updates: one row. Each transaction that writes
# incidents counts the version up, so that of two boards one does.
incident_position = sa.Table(
    "board_incident_position",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
)

incidents = sa.Table(
    "board_incidents",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("opened_at", sa.BigInteger, nullable=False),
    # None while it is open.
    sa.Column("closed_at", sa.BigInteger),
    # JSON, without its places.
    sa.Column("content", sa.Text, nullable=False),
    _index("incident_by_end", "closed_at", "id"),
)

incident_places = sa.Table(
    "board_incident_places",
    metadata,
    sa.Column("incident", sa.Text, primary_key=True),
    sa.Column("builder", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("line", sa.Text, primary_key=True),
    # Its place among the incident's places.
    sa.Column("place", sa.Integer, nullable=False),
    sa.Column("content", sa.Text, nullable=False),
)

incident_steps = sa.Table(
    "board_incident_steps",
    metadata,
    sa.Column("number", _Key, primary_key=True),
    sa.Column("incident", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("at", sa.Float(53), nullable=False),
    sa.Column("builder", sa.Text),
    sa.Column("about", sa.Text),
    sa.Column("person", sa.Text),
    sa.Column("is_first_start", sa.Integer, nullable=False),
    _index("incident_step_by_incident", "incident", "number"),
)

# What the rules remember of a builder and branch from one build to the next, as JSON.
incident_tracks = sa.Table(
    "board_incident_tracks",
    metadata,
    sa.Column("builder", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("line", sa.Text, primary_key=True),
    sa.Column("content", sa.Text, nullable=False),
)

INCIDENT_TABLES = (
    incident_position,
    incidents,
    incident_places,
    incident_steps,
    incident_tracks,
)

versions = sa.Table("board_schema", metadata, sa.Column("version", sa.Integer, primary_key=True))

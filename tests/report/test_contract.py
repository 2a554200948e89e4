"""Real payloads held against the JSON Schema that is shipped with the package."""

from __future__ import annotations

from typing import Any

from buildbot.process.results import RETRY
from buildbot.steps.shell import ShellCommand
from buildbot.util.twisted import async_to_deferred
from jsonschema import Draft202012Validator
from support.master import BUILDERS, PATCHED, EndWithOnce, ReporterTestCase, configuration
from twisted.trial import unittest

from buildbot_http_status_push.report.contract import KINDS, body_schema
from buildbot_http_status_push.reporter import HttpStatusPush


def strict(schema: Any) -> Any:
    """Return the schema with no room for keys that it does not name."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: strict(value) for name, value in schema.items()}
    if "properties" in schema and "required" in schema:
        closed["additionalProperties"] = False
    return closed


class BodySchema(ReporterTestCase):
    """The default body's schema."""

    @async_to_deferred
    async def test_every_result(self) -> None:
        """New and finished builds of every result, with parents, are what the schema says."""
        inbox, url = await self.open_inbox()
        builders = {**BUILDERS, "flaky": [EndWithOnce(RETRY)]}
        master = await self.start_master(configuration([HttpStatusPush(url)], builders))
        for name in BUILDERS:
            await master.build(name, properties={"any": ({"deep": [1, None]}, "test")})
        await master.build("flaky")
        await master.build("success", parent_buildid=1, parent_relationship="Triggered from")
        count = 2 * len(BUILDERS) + 4 + 2
        await inbox.until(count)
        self.assertEqual({build["results"] for build in inbox.builds}, {None, *range(7)})
        self.check(inbox.builds)

    @async_to_deferred
    async def test_steps_and_logs(self) -> None:
        """Steps, logs, whole and cut contents, and the previous build are in the schema."""
        inbox, url = await self.open_inbox()
        wants = {"want_steps": True, "want_logs_content": True, "want_previous_build": True}
        builders = {"say": [ShellCommand(command=["seq", "1", "3000"])]}
        services = [
            HttpStatusPush(url, **wants),
            HttpStatusPush(url, name="cut", max_body=8000, **wants),
        ]
        master = await self.start_master(configuration(services, builders))
        await master.build("say", stamp=PATCHED)
        await master.build("say")
        await inbox.until(8)
        self.check(inbox.builds)

    @async_to_deferred
    async def test_changes(self) -> None:
        """Changes have the first line of their comment, and no more than a hundred files."""
        inbox, url = await self.open_inbox()
        services = [HttpStatusPush(url, want_changes=True)]
        master = await self.start_master(configuration(services, {"success": BUILDERS["success"]}))
        stamp = {"branch": "main", "revision": "abc", "repository": "r", "project": "p"}
        await master.master.data.updates.addChange(
            author="Jo <jo@example.com>",
            comments="Mend the pump\n\nIt leaked.",
            files=[f"file{number}" for number in range(101)],
            when_timestamp=1_700_000_000,
            revlink="https://example.com/abc",
            **stamp,
        )
        await master.build("success", stamp=stamp)
        await inbox.until(2)
        self.check(inbox.builds)
        for build in inbox.builds:
            [change] = build["changes"]
            self.assertEqual(change["comments"], "Mend the pump")
            self.assertEqual((len(change["files"]), change["files_count"]), (100, 101))
            self.assertEqual(change["when_timestamp"], 1_700_000_000)
            self.assertEqual(change["revlink"], "https://example.com/abc")

    def check(self, bodies: list[dict[str, Any]]) -> None:
        """Hold bodies against the schema, which must name every one of their keys."""
        validator = Draft202012Validator(strict(body_schema()))
        for body in bodies:
            faults = [f"{each.json_path}: {each.message}" for each in validator.iter_errors(body)]
            self.assertEqual(faults, [])


class Schema(unittest.SynchronousTestCase):
    """The schema itself."""

    def test_is_a_schema(self) -> None:
        """The schemas are valid by the rules of JSON Schema 2020-12."""
        for kind in KINDS:
            Draft202012Validator.check_schema(body_schema(kind=kind))

    def test_refuses(self) -> None:
        """A body that lacks a key is refused."""
        self.assertFalse(Draft202012Validator(body_schema()).is_valid({"buildid": 1}))

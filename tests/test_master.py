"""The reporter in a real master with real workers, held against the built-in one."""

from __future__ import annotations

import contextlib
import copy
import json
from typing import Any

from buildbot.plugins import reporters, util
from buildbot.process.results import RETRY, SUCCESS
from buildbot.reporters.generators.build import (
    BuildStartEndStatusGenerator,
    BuildStatusGenerator,
)
from buildbot.reporters.generators.buildrequest import BuildRequestGenerator
from buildbot.reporters.generators.buildset import BuildSetStatusGenerator
from buildbot.reporters.http import HttpStatusPush as BuiltIn
from buildbot.reporters.message import MessageFormatterFunction
from buildbot.secrets.providers.file import SecretInAFile
from buildbot.steps.master import SetProperty
from buildbot.util.twisted import async_to_deferred
from support.inbox import Inbox
from support.master import (
    BUILDERS,
    PATCHED,
    RESULTS,
    EndWith,
    EndWithOnce,
    ReporterTestCase,
    configuration,
)
from twisted.internet.defer import Deferred, DeferredQueue
from twisted.logger import capturedLogs

from buildbot_http_status_push.reporter import HttpStatusPush


class DefaultReports(ReporterTestCase):
    """What is sent when nothing but a URL is configured."""

    @async_to_deferred
    async def test_every_result(self) -> None:
        """Each build is announced when it begins and when it ends, whatever its result."""
        inbox, url = await self.open_inbox()
        config = configuration([reporters.HttpStatusPush(serverUrl=url)], BUILDERS)
        master = await self.start_master(config)
        for name in RESULTS:
            await master.build(name)
        await inbox.until(2 * len(RESULTS))
        self.assertEqual(
            inbox.seen(),
            [(name, 1, event) for name in RESULTS for event in ("builds.new", "builds.finished")],
        )
        self.assertEqual(
            [build["results"] for build in inbox.builds if build["complete"]],
            list(RESULTS.values()),
        )

    @async_to_deferred
    async def test_retry(self) -> None:
        """A build that ends as a retry is announced, and so is the one that follows it."""
        inbox, url = await self.open_inbox()
        step = EndWithOnce(RETRY)
        config = configuration([HttpStatusPush(url)], {"flaky": [step]})
        master = await self.start_master(config)
        await master.build("flaky")
        await inbox.until(4)
        finished = [build["results"] for build in inbox.builds if build["complete"]]
        self.assertEqual(finished, [RETRY, SUCCESS])

    @async_to_deferred
    async def test_same_json_as_the_built_in(self) -> None:
        """On the same builds, every key and value of the built-in's JSON is there, unchanged."""
        ours, our_url = await self.open_inbox()
        theirs, their_url = await self.open_inbox()
        services = [HttpStatusPush(our_url), BuiltIn(their_url, name="built-in")]
        names = ("success", "warnings", "failure")
        config = configuration(services, {name: BUILDERS[name] for name in names})
        master = await self.start_master(config)
        for name in names:
            await master.build(name, properties={"größe": ({"ü": [1, None, 2.5]}, "tests")})
        await ours.until(6)
        await theirs.until(6)
        self.assertEqual(_by_build(ours), _by_build(theirs))

    @async_to_deferred
    async def test_numbers_that_json_lacks(self) -> None:
        """What Buildbot stores is sent: a number that JSON lacks as null, told once per key."""
        inbox, url = await self.open_inbox()
        steps = [SetProperty(property="coverage", value=[{"a": float("-inf")}])]
        services = [HttpStatusPush(url, want_logs_content=True)]
        master = await self.start_master(configuration(services, {"success": steps}))
        given = {"rate": float("nan"), "all": {"of": [1e999]}, "half": "\ud800"}
        with capturedLogs() as lines:
            for _ in range(2):
                await master.build("success", properties={k: (v, "t") for k, v in given.items()})
            await inbox.until(4)
        names = ["builds.new", "builds.finished"]
        seen = [("success", number, name) for number in (1, 2) for name in names]
        self.assertEqual(inbox.seen(), seen)
        properties = inbox.builds[3]["properties"]
        self.assertEqual(properties["coverage"][0], [{"a": None}])
        self.assertEqual(properties["rate"][0], None)
        self.assertEqual(properties["all"][0], {"of": [None]})
        self.assertEqual(properties["half"][0], "\ud800")
        told = [each for each in lines if "JSON can't hold" in (each.get("log_format") or "")]
        self.assertEqual(
            sorted((each["key"], each["value"]) for each in told),
            [
                ("properties.all.of", "inf"),
                ("properties.coverage.a", "-inf"),
                ("properties.rate", "nan"),
            ],
        )

    @async_to_deferred
    async def test_patch(self) -> None:
        """A try build, whose patch is bytes, is the built-in's JSON too."""
        ours, our_url = await self.open_inbox()
        theirs, their_url = await self.open_inbox()
        services = [HttpStatusPush(our_url), BuiltIn(their_url, name="built-in")]
        master = await self.start_master(configuration(services, {"success": [EndWith(SUCCESS)]}))
        await master.build("success", stamp=PATCHED)
        await ours.until(2)
        await theirs.until(2)
        self.assertEqual(_by_build(ours), _by_build(theirs))
        [stamp] = ours.builds[-1]["buildset"]["sourcestamps"]
        self.assertEqual(stamp["patch"]["author"], "me")

    @async_to_deferred
    async def test_several_codebases(self) -> None:
        """The sourcestamps of a buildset are in the order in which the built-in has them.

        That is the data API's, which depends on what Buildbot's caches hold.
        """
        orders = []
        for reporter in (BuiltIn, HttpStatusPush):
            inbox, url = await self.open_inbox()
            config = configuration([reporter(url)], {"success": [EndWith(SUCCESS)]})
            master = await self.start_master(config, self.folder / reporter.__module__)
            for number in range(1, 4):
                await master.build("success", codebases=("a", "b"))
                await inbox.until(2 * number)
            stamps = [build["buildset"]["sourcestamps"] for build in inbox.builds]
            orders.append([[each["codebase"] for each in build] for build in stamps])
            await master.stop()
        self.assertEqual(*orders)

    @async_to_deferred
    async def test_owners(self) -> None:
        """A begin has the owners too, which Buildbot stores just after its event."""
        inbox, url = await self.open_inbox()
        master = await self.start_master(
            configuration([HttpStatusPush(url)], {"success": [EndWith(SUCCESS)]})
        )
        for _ in range(5):
            await master.build("success", properties={"owner": ("me", "tests")})
        await inbox.until(10)
        owners = [each["properties"]["owners"] for each in inbox.builds if not each["complete"]]
        self.assertEqual(owners, [[["me"], "Build"]] * 5)

    @async_to_deferred
    async def test_parent(self) -> None:
        """A triggered build carries its parent, as with the built-in."""
        ours, our_url = await self.open_inbox()
        theirs, their_url = await self.open_inbox()
        services = [HttpStatusPush(our_url), BuiltIn(their_url, name="built-in")]
        master = await self.start_master(configuration(services, {"success": [EndWith(SUCCESS)]}))
        await master.build("success")
        await master.build("success", parent_buildid=1, parent_relationship="Triggered from")
        await ours.until(4)
        await theirs.until(4)
        self.assertEqual(_by_build(ours), _by_build(theirs))
        self.assertEqual(ours.builds[-1]["parentbuild"]["buildid"], 1)
        self.assertEqual(ours.builds[-1]["parentbuilder"]["name"], "success")

    @async_to_deferred
    async def test_shared_message_stays_as_it_is(self) -> None:
        """The dict that the message queue hands to all reporters is not changed."""
        inbox, url = await self.open_inbox()
        generator = BuildStatusGenerator(report_new=True, message_formatter=_json("spoilt"))
        services = [HttpStatusPush(url, generators=[generator])]
        master = await self.start_master(configuration(services, {"success": [EndWith(SUCCESS)]}))
        messages: list[tuple[dict[str, Any], dict[str, Any]]] = []
        await master.master.mq.startConsuming(
            lambda _, build: messages.append((build, copy.deepcopy(build))),
            ("builds", None, "finished"),
        )
        await master.build("success")
        await inbox.until(2)
        [(message, as_it_was)] = messages
        self.assertEqual(message, as_it_was)


class Generators(ReporterTestCase):
    """Generators of a user's own."""

    @async_to_deferred
    async def test_several_generators(self) -> None:
        """Generators for different events all have their reports sent."""
        inbox, url = await self.open_inbox()
        generators = [
            BuildStatusGenerator(message_formatter=_json("build")),
            BuildSetStatusGenerator(message_formatter=_json("buildset")),
        ]
        services = [HttpStatusPush(url, generators=generators)]
        master = await self.start_master(configuration(services, {"success": [EndWith(SUCCESS)]}))
        await master.build("success")
        await inbox.until(2)
        self.assertEqual(
            sorted((each.event, json.loads(each.body)["kind"]) for each in inbox.statuses),
            [("builds.finished", "build"), ("buildsets.complete", "buildset")],
        )

    @async_to_deferred
    async def test_requests_and_builds(self) -> None:
        """A build request's status comes before those of its build, each about its own thing."""
        inbox, url = await self.open_inbox()
        formatter = _json("status")
        generators = [
            BuildRequestGenerator(formatter=formatter),
            BuildStartEndStatusGenerator(start_formatter=formatter, end_formatter=formatter),
        ]
        services = [HttpStatusPush(url, generators=generators)]
        master = await self.start_master(configuration(services, {"success": [EndWith(SUCCESS)]}))
        await master.build("success")
        await inbox.until(3)
        self.assertEqual(
            [each.event for each in inbox.statuses],
            ["buildrequests.new", "builds.new", "builds.finished"],
        )

    @async_to_deferred
    async def test_first_report_counts(self) -> None:
        """Of several reports for one event the first one is sent."""
        inbox, url = await self.open_inbox()
        generators = [
            BuildStatusGenerator(message_formatter=_json("first")),
            BuildStatusGenerator(message_formatter=_json("second")),
        ]
        services = [HttpStatusPush(url, generators=generators)]
        master = await self.start_master(configuration(services, {"success": [EndWith(SUCCESS)]}))
        await master.build("success")
        await master.build("success")
        await inbox.until(2)
        self.assertEqual([build["kind"] for build in inbox.builds], ["first", "first"])

    @async_to_deferred
    async def test_texts(self) -> None:
        """A formatter's text is sent exactly as it is, with its own content type."""
        inbox, url = await self.open_inbox()
        bodies = {"plain": "Grüße\n ☺ ", "html": "<p>Grüße</p>"}
        services = [
            HttpStatusPush(url, generators=[_text(body, kind)], name=kind)
            for kind, body in bodies.items()
        ]
        master = await self.start_master(configuration(services, {"success": [EndWith(SUCCESS)]}))
        await master.build("success")
        await inbox.until(2)
        got = {each.headers["content-type"]: each.body.decode() for each in inbox.statuses}
        self.assertEqual(
            got,
            {
                "text/plain; charset=utf-8": bodies["plain"],
                "text/html; charset=utf-8": bodies["html"],
            },
        )

    @async_to_deferred
    async def test_none_and_what_has_no_json_form(self) -> None:
        """None is not sent; what can't be encoded is one clear line; other builds are unharmed."""
        inbox, url = await self.open_inbox()
        bodies = {1: None, 2: {"deep": [object()]}, 3: {"fine": True}}
        generator = BuildStatusGenerator(
            message_formatter=MessageFormatterFunction(
                lambda context: bodies[context["build"]["number"]], "json"
            )
        )
        services = [HttpStatusPush(url, generators=[generator])]
        master = await self.start_master(configuration(services, {"success": [EndWith(SUCCESS)]}))
        with capturedLogs() as events:
            for _ in bodies:
                await master.build("success")
            await inbox.until(1)
        self.assertEqual(inbox.builds, [{"fine": True}])
        told = [event for event in events if "can't be encoded" in (event.get("log_format") or "")]
        self.assertEqual(
            [str(event["title"]) + ": " + str(event["trouble"]) for event in told],
            ["build success#2: body['deep'][0] is a object, which has no JSON form"],
        )


class LifeCycle(ReporterTestCase):
    """Configuration and reconfiguration."""

    @async_to_deferred
    async def test_two_reporters(self) -> None:
        """Two reporters with names of their own each send every status."""
        one, one_url = await self.open_inbox()
        other, other_url = await self.open_inbox()
        services = [HttpStatusPush(one_url), HttpStatusPush(other_url, name="other")]
        master = await self.start_master(configuration(services, {"success": [EndWith(SUCCESS)]}))
        await master.build("success")
        await one.until(2)
        await other.until(2)
        self.assertEqual(one.builds, other.builds)

    @async_to_deferred
    async def test_reconfig_without_changes(self) -> None:
        """A reconfig with the same options changes nothing."""
        _, url = await self.open_inbox()
        factory = {"success": [EndWith(SUCCESS)]}
        calls: list[str] = []

        class Counting(HttpStatusPush):
            def reconfigService(self, *args: Any, **kwargs: Any) -> Deferred[None]:
                calls.append("reconfigured")
                return super().reconfigService(*args, **kwargs)

        options = {"serverUrl": url, "headers": {"X-Team": "a"}, "want_steps": True}
        master = await self.start_master(configuration([Counting(**options)], factory))
        await master.reconfigure(configuration([Counting(**options)], factory))
        self.assertEqual(calls, ["reconfigured"])
        await master.reconfigure(configuration([Counting(**options, debug=True)], factory))
        self.assertEqual(calls, ["reconfigured"] * 2)

    @async_to_deferred
    async def test_reconfig_renames_a_builder(self) -> None:
        """A builder that is called otherwise now is told, though the reporter is as it was."""
        _, url = await self.open_inbox()

        def config(builder: str) -> Any:
            return configuration([HttpStatusPush(url, builders=["old"])], {builder: []})

        master = await self.start_master(config("old"))
        with capturedLogs() as lines:
            await master.reconfigure(config("new"))
        formats = [(each.get("log_format") or "", each) for each in lines]
        told = [each["value"] for text, each in formats if "contains {value!r}" in text]
        self.assertEqual(told, ["old"])

    @async_to_deferred
    async def test_reconfig_to_another_url(self) -> None:
        """What waits, and what is under way, is sent to the new URL; nothing is lost."""
        old, old_url = await self.open_inbox()
        old.behave(hang=True)
        new, new_url = await self.open_inbox()
        factory = {"success": [EndWith(SUCCESS)]}
        master = await self.start_master(
            configuration([HttpStatusPush(old_url, timeout=0.5)], factory)
        )
        await master.build("success")
        await master.reconfigure(configuration([HttpStatusPush(new_url)], factory))
        await new.until(2)
        self.assertEqual(
            new.seen(), [("success", 1, "builds.new"), ("success", 1, "builds.finished")]
        )

    @async_to_deferred
    async def test_reconfig_takes_new_generators(self) -> None:
        """A changed formatter function is used from the reconfig on."""
        inbox, url = await self.open_inbox()
        factory = {"success": [EndWith(SUCCESS)]}

        def config(kind: str) -> dict[str, Any]:
            generator = BuildStatusGenerator(message_formatter=_json(kind))
            return configuration([HttpStatusPush(url, generators=[generator])], factory)

        master = await self.start_master(config("old"))
        await master.build("success")
        await inbox.until(1)
        await master.reconfigure(config("new"))
        await master.build("success")
        await inbox.until(2)
        self.assertEqual([build["kind"] for build in inbox.builds], ["old", "new"])

    @async_to_deferred
    async def test_reconfig_amid_an_attempt(self) -> None:
        """An attempt that is under way at a reconfig ends as it began, and leaves nothing open."""
        inbox, url = await self.open_inbox()
        inbox.behave(delay=0.3)
        factory = {"success": [EndWith(SUCCESS)]}
        master = await self.start_master(configuration([HttpStatusPush(url)], factory))
        await master.build("success")
        await master.reconfigure(configuration([HttpStatusPush(url, debug=True)], factory))
        await inbox.until(2)
        self.assertEqual(len(inbox.seen()), 2)

    @async_to_deferred
    async def test_removed_and_added_again(self) -> None:
        """A reporter that a reconfig removes sends nothing; added again it sends what it missed."""
        inbox, url = await self.open_inbox()
        factory = {"success": [EndWith(SUCCESS)]}
        master = await self.start_master(configuration([HttpStatusPush(url)], factory))
        await master.build("success")
        await inbox.until(2)
        await master.reconfigure(configuration([], factory))
        await master.build("success")
        self.assertEqual(len(inbox.statuses), 2)
        await master.reconfigure(configuration([HttpStatusPush(url)], factory))
        await inbox.until(3)
        self.assertEqual(inbox.seen()[2:], [("success", 2, "builds.finished")])


class Subclasses(ReporterTestCase):
    """Subclassing as people do it with the built-in."""

    @async_to_deferred
    async def test_posting_for_itself(self) -> None:
        """A subclass may override sendMessage and post through self._http."""
        inbox, url = await self.open_inbox()
        answers: list[Any] = []
        answered: Deferred[None] = Deferred()

        class Own(HttpStatusPush):
            name = "own"
            secrets = ("token",)

            def checkConfig(self, endpoint: str, token: object = None, **kwargs: Any) -> None:
                super().checkConfig(serverUrl=endpoint, **kwargs)

            def reconfigService(
                self, endpoint: str, token: object = None, **kwargs: Any
            ) -> Deferred[None]:
                self.token = token
                return super().reconfigService(serverUrl=endpoint, **kwargs)

            def _create_default_generators(self) -> list[Any]:
                return [BuildStatusGenerator(message_formatter=_json("own"))]

            @async_to_deferred
            async def sendMessage(self, reports: list[dict[str, Any]]) -> None:
                response = await self._http.post("", json={"sent": reports[0]["body"]["kind"]})
                answers.append((response.code, await response.content()))
                answered.callback(None)

        services = [Own(endpoint=url, token="x")]
        master = await self.start_master(configuration(services, {"success": [EndWith(SUCCESS)]}))
        await master.build("success")
        await answered
        self.assertEqual(inbox.builds, [{"sent": "own"}])
        self.assertEqual(answers[0][0], 200)

    @async_to_deferred
    async def test_posting_with_a_session_of_its_own(self) -> None:
        """A subclass may set self._http once it is configured, again at each reconfiguration."""
        _, url = await self.open_inbox()
        posted: DeferredQueue[tuple[str, Any]] = DeferredQueue()

        class OwnSession:
            def __init__(self, team: str) -> None:
                self.team = team

            def post(self, path: str, json: Any) -> None:
                posted.put((self.team, json))

        class Own(HttpStatusPush):
            name = "own"

            def checkConfig(self, endpoint: str, team: str, **kwargs: Any) -> None:
                super().checkConfig(serverUrl=endpoint, **kwargs)

            @async_to_deferred
            async def reconfigService(self, endpoint: str, team: str, **kwargs: Any) -> None:
                await super(Own, self).reconfigService(serverUrl=endpoint, **kwargs)
                self._http = OwnSession(team)

            def sendMessage(self, reports: list[dict[str, Any]]) -> None:
                self._http.post("", json=reports[0]["body"])

        for team in ("a", "b"):
            generators = [BuildStatusGenerator(message_formatter=_json(team))]
            services = [Own(endpoint=url, team=team, generators=generators)]
            config = configuration(services, {"success": [EndWith(SUCCESS)]})
            if team == "a":
                master = await self.start_master(config)
            else:
                await master.reconfigure(config)
            await master.build("success")
            self.assertEqual(await posted.get(), (team, {"kind": team}))

    @async_to_deferred
    async def test_names_of_the_built_in(self) -> None:
        """Every public name of the built-in is there, with the same values."""
        _, url = await self.open_inbox()
        options = {"auth": ("user", util.Secret("password")), "debug": True, "verify": False}
        services = [HttpStatusPush(url, **options), BuiltIn(url, name="built-in", **options)]
        config = configuration(services, {"success": [EndWith(SUCCESS)]})
        secrets = self.folder / "secrets"
        secrets.mkdir(mode=0o700)
        (secrets / "password").touch(mode=0o600)
        (secrets / "password").write_text("pw")
        config["secretsProviders"] = [SecretInAFile(dirname=str(secrets))]
        await self.start_master(config)
        ours, theirs = services
        self.assertEqual(_public(theirs) - _public(ours), set())
        self.assertEqual(_public(theirs._http) & METHODS - _public(ours._http), set())
        for name in ("auth", "debug", "verify", "cert"):
            self.assertEqual(getattr(ours, name), getattr(theirs, name, None), name)
        for code in (199, 200, 299, 300):
            self.assertEqual(ours.is_status_2xx(code), theirs.is_status_2xx(code))
        # And what a subclass may set of the built-in, it may set here.
        names = {name for name in dir(theirs) if not name.startswith("__")}
        settable = names & _settable(BuiltIn(url, name="their"), names)
        self.assertIn("_http", settable)
        self.assertEqual(settable - _settable(HttpStatusPush(url, name="our"), settable), set())

    @async_to_deferred
    async def test_changing_reports_on_their_way(self) -> None:
        """A subclass may change reports and pass them on, also one by one."""
        inbox, url = await self.open_inbox()

        class Split(HttpStatusPush):
            @async_to_deferred
            async def sendMessage(self, reports: list[dict[str, Any]]) -> None:
                for part in ("a", "b"):
                    await super(Split, self).sendMessage([{"body": {"part": part}}])

        services = [Split(url, generators=[BuildStatusGenerator(message_formatter=_json("x"))])]
        master = await self.start_master(configuration(services, {"success": [EndWith(SUCCESS)]}))
        await master.build("success")
        await inbox.until(2)
        self.assertEqual(sorted(build["part"] for build in inbox.builds), ["a", "b"])


METHODS = {"get", "post", "put", "delete", "update_headers", "updateHeaders"}
"""What subclasses call of ``self._http``, in Buildbot 4.0 and later."""


def _public(thing: object) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def _settable(reporter: Any, names: set[str]) -> set[str]:
    """Set each of a new reporter's attributes, and return the names of those that keep it."""
    kept = set[str]()
    for name in names:
        value = object()
        with contextlib.suppress(AttributeError):
            setattr(reporter, name, value)
            if getattr(reporter, name) is value:
                kept.add(name)
    return kept


def _by_build(inbox: Inbox) -> dict[tuple[int, bool], dict[str, Any]]:
    return {(build["buildid"], build["complete"]): build for build in inbox.builds}


def _json(kind: str) -> MessageFormatterFunction:
    return MessageFormatterFunction(lambda context: {"kind": kind}, "json")


def _text(body: str, kind: str) -> BuildStatusGenerator:
    return BuildStatusGenerator(message_formatter=MessageFormatterFunction(lambda _: body, kind))

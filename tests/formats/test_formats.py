"""What each chat service is told of a build, and within which limits."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from buildbot.config.errors import ConfigErrors
from hypothesis import given
from hypothesis import strategies as st
from support.builds import BEGAN, a_build, a_change
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push import formats
from buildbot_http_status_push.formats.news import OCCASIONS, Format, read
from buildbot_http_status_push.formats.text import length, link
from buildbot_http_status_push.report.encoding import to_json
from buildbot_http_status_push.reporter import HttpStatusPush
from buildbot_http_status_push.results import RESULTS

pytestmark = pytest.mark.once

ALL: dict[str, Callable[..., Format]] = {
    "slack": formats.slack,
    "discord": formats.discord,
    "teams": formats.teams,
    "mattermost": formats.mattermost,
}
SUCCESS, WARNINGS, FAILURE, SKIPPED, EXCEPTION, RETRY, CANCELLED = range(7)

SHORT = st.text(max_size=20) | st.text(alphabet="&<>*_~`|@\\[]()😀", max_size=20)
NASTY = st.tuples(SHORT, st.sampled_from([1, 30])).map(lambda each: each[0] * each[1])
PUNCTUATION = r"\\[!-/:-@\[-`{-~]"
URLS = NASTY | NASTY.map(lambda text: f"https://example.com/{text}") | st.none()


@st.composite
def builds(draw: st.DrawFn) -> dict[str, Any]:
    """Return a build whose every text comes from somebody who means no good."""
    changes = st.lists(
        st.fixed_dictionaries(
            {"author": NASTY, "comments": NASTY, "revision": NASTY, "revlink": URLS}
        ),
        max_size=8,
    )
    stamp = {"branch": draw(NASTY | st.none()), "revision": draw(NASTY | st.none())}
    return a_build(
        draw(st.sampled_from([None, *range(len(RESULTS))])),
        number=draw(st.integers(1, 10**9)),
        builder={"name": draw(NASTY)},
        state_string=draw(NASTY),
        url=draw(URLS),
        buildset={"sourcestamps": draw(st.sampled_from([[stamp], []]))},
        changes=draw(changes),
        compared_build=draw(st.none() | st.just({"number": 6, "results": FAILURE})),
    )


def texts(value: object) -> Iterator[str]:
    """Yield every text within a message."""
    if isinstance(value, str):
        yield value
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:
        yield from texts(part)


class OccasionsTest(SynchronousTestCase):
    """What a message is made of, and what not."""

    def told(self, build: dict[str, Any], *on: str) -> str | None:
        """Return what became of the build, in the words of a message."""
        message = formats.discord(on=on or formats.discord().on)(build)
        return message and message["embeds"][0]["title"].partition("7 ")[2]

    def test_results(self) -> None:
        """Each of Buildbot's results is told in its own words, where it is asked for."""
        words = ["succeeded", "succeeded with warnings", "failed", "was skipped"]
        words += ["ended with an exception", "is to be built again", "was cancelled"]
        for result, word in enumerate(words):
            self.assertEqual(self.told(a_build(result), RESULTS[result]), word)
            others = [each for each in OCCASIONS if each != RESULTS[result]]
            self.assertIsNone(self.told(a_build(result), *others))

    def test_start(self) -> None:
        """The begin of a build is told where it is asked for."""
        self.assertEqual(self.told(a_build(None), "start"), "started")
        self.assertIsNone(self.told(a_build(None)))

    def test_recovery(self) -> None:
        """A success after a failure or an exception is a recovery, after anything else none."""
        for before in range(len(RESULTS)):
            build = a_build(SUCCESS, compared_build={"number": 6, "results": before})
            word = "recovered" if before in (FAILURE, EXCEPTION) else None
            self.assertEqual(self.told(build), word)
        failed = {"number": 6, "results": FAILURE}
        self.assertEqual(self.told(a_build(WARNINGS, compared_build=failed)), "recovered")
        self.assertEqual(self.told(a_build(SUCCESS, compared_build=failed), "success"), "succeeded")
        self.assertEqual(self.told(a_build(FAILURE, compared_build=failed)), "failed")

    def test_broken(self) -> None:
        """The first bad finish after a good one breaks the builder; those after it say nothing."""
        for before in range(len(RESULTS)):
            earlier = {"number": 6, "results": before}
            word = "broke" if before in (SUCCESS, WARNINGS) else None
            for result in (FAILURE, EXCEPTION):
                build = a_build(result, compared_build=earlier)
                self.assertEqual(self.told(build, "broken", "recovery"), word)
        good = {"number": 6, "results": SUCCESS}
        for result in (SUCCESS, WARNINGS, SKIPPED, RETRY, CANCELLED, None):
            build = a_build(result, compared_build=good)
            self.assertIsNone(self.told(build, "broken", "recovery"))
        self.assertIsNone(self.told(a_build(FAILURE), "broken"))
        repeated = a_build(FAILURE, compared_build={"number": 6, "results": FAILURE})
        self.assertEqual(self.told(repeated, "broken", "failure"), "failed")

    def test_why(self) -> None:
        """A failure has the step and the line that say why, where its build has excerpts."""
        key = {"step": "test", "lines": ["collected 3", "E  assert 3 == 4"], "matched": [1]}
        failed = a_build(FAILURE, excerpts=[{**key, "matched": []}, key])
        self.assertIn(("Why", "test: E assert 3 == 4"), read(failed, "failure").facts)
        self.assertNotIn("Why", dict(read(a_build(FAILURE), "failure").facts))

    def test_previous_build(self) -> None:
        """In a function of one's own, ``prev_build`` serves for the comparison."""
        for result, before, word in ((FAILURE, SUCCESS, "broke"), (SUCCESS, FAILURE, "recovered")):
            build = a_build(result, prev_build={"number": 6, "results": before})
            del build["compared_build"]
            self.assertEqual(self.told(build, "broken", "recovery"), word)
            [fact] = [
                each
                for each in formats.discord(on=OCCASIONS)(build)["embeds"][0]["fields"]
                if each["name"] == "Before"
            ]
            self.assertTrue(fact["value"].startswith(r"\#6 "))

    def test_needs(self) -> None:
        """The build before is asked for where it decides what is reported, and nowhere else."""
        form = formats.slack()
        self.assertEqual(
            [form.compares(a_build(result)) for result in (None, *range(7))],
            [False, True, True, False, False, False, False, False],
        )
        self.assertFalse(formats.slack(on=["failure"]).compares(a_build(SUCCESS)))
        form = formats.slack(on=["broken"])
        self.assertEqual(
            [form.compares(a_build(result)) for result in (None, *range(7))],
            [False, False, False, True, False, True, False, False],
        )

    def test_same_options_are_equal(self) -> None:
        """Formats of the same options are equal, so that a reconfiguration changes nothing."""
        self.assertEqual(formats.slack(on=["failure"]), formats.slack(on=("failure",)))
        self.assertNotEqual(formats.slack(), formats.slack(channel="#a"))
        self.assertNotEqual(formats.teams(), formats.slack())


class FaultsTest(SynchronousTestCase):
    """What checkconfig says of wrong values."""

    def test_faults(self) -> None:
        """Each wrong value is told with what would be right."""
        known = ", ".join(OCCASIONS)
        wrong: dict[Format, str] = {
            formats.slack(
                on="failure"
            ): "slack(): on is 'failure': write a tuple of names, such as "
            "on=('failure', 'recovery')",
            formats.teams(on=()): "teams(): on is (): write a tuple of names, such as "
            "on=('failure', 'recovery')",
            formats.teams(on=["failed"]): f"teams(): on holds 'failed': known are {known}",
            formats.slack(channel=""): "slack(): channel is '': write a name or an id, such as "
            "'#builds'",
            formats.mattermost(channel=1): "mattermost(): channel is 1: write a name such as "
            "'builds' or '@user'",
            formats.mattermost(username=" "): "mattermost(): username is ' ': write a name such as "
            "'Buildbot'",
            formats.discord(username="My Discord"): "discord(): username is 'My Discord': Discord "
            "takes 1 to 80 characters without the words clyde and discord",
        }
        for form, text in wrong.items():
            with self.assertRaises(ConfigErrors) as caught:
                HttpStatusPush("https://chat.example.com/", format_fn=form)
            self.assertEqual(caught.exception.errors, [f"HttpStatusPush: format_fn=formats.{text}"])
        for form in ALL.values():
            HttpStatusPush("https://chat.example.com/", format_fn=form())


class TextsTest(SynchronousTestCase):
    """Texts from outsiders."""

    @given(builds(), st.sampled_from(sorted(ALL)))
    def test_one_line(self, build: dict[str, Any], service: str) -> None:
        """No name or comment brings a line break or a sign that turns the text's direction."""
        message = ALL[service](on=OCCASIONS)(build)
        lines = [line for text in texts(message) for line in text.split("\n")]
        shown = [line.replace("\u200b", "") for line in lines]
        self.assertEqual([line for line in shown if not line.isprintable()], [])
        self.assertLessEqual(max(text.count("\n") for text in texts(message)), 7)

    def test_mail_addresses(self) -> None:
        """Of an author only the name is told."""
        authors = {
            "Jo Doe <jo@example.com>": "Jo Doe",
            "jo@example.com (Jo Doe)": "Jo Doe",
            "Jo Doe jo@example.com": "Jo Doe",
            "Jo Doe (jo@example.com)": "Jo Doe",
            "Jo Doe [jo@example.com]": "Jo Doe",
            '"Jo Doe" <jo@example.com>': "Jo Doe",
            "Doe, Jo <jo@example.com>": "Doe, Jo",
            "Jo (the 2nd) Doe <jo@example.com>": "Jo (the 2nd) Doe",
            "jo@example.com, al@example.org": "jo, al",
            "Jo Doe <jo@example.com>, al@example.org": "Jo Doe, al",
            "<jo@example.com>": "jo",
            "jo@example.com": "jo",
            "Jo": "Jo",
            "Jo @ home": "Jo @ home",
            "@jo": "@jo",
            "": "",
        }
        for author, name in authors.items():
            build = a_build(changes=[a_change(author=author)])
            news = read(build, "failure")
            self.assertEqual(news.changes[0].author, name)
            for form in ALL.values():
                self.assertNotIn("@example", json.dumps(form()(build)))

    @given(st.text(alphabet="jo@.,;<>()[] \t\"'", max_size=30))
    def test_any_author(self, author: str) -> None:
        """Whatever an author is called, nothing with a sign before and after an @ is left."""
        name = read(a_build(changes=[a_change(author=author)]), "failure").changes[0].author
        self.assertNotRegex(name, r"[jo]@[jo]")

    def test_hosts(self) -> None:
        """A link has its host as browsers send it: IPv6 in brackets, IDNA, no scope ID."""
        for url, safe in {
            "http://[::1]:8010/#/builders/1": "http://[::1]:8010/#/builders/1",
            "http://[FE80::1%25eth0]:8010/": "http://[fe80::1]:8010/",
            "http://[fe80::1%eth0]/": "http://[fe80::1]/",
            "https://bücher.example/a b": "https://xn--bcher-kva.example/a%20b",
            "https://CI.example.com": "https://CI.example.com",
            "https://me:pw@ci.example.com:8010/?a=1": "https://me:pw@ci.example.com:8010/?a=1",
            "http://qa--site_1.example/": "http://qa--site_1.example/",
            "http://localhost:8010/": "http://localhost:8010/",
            "http://[::1/": None,
            "http://[v1.x]/": None,
            "http://a b/": None,
            "http:///path": None,
            "http://☃☃..example/": None,
            "http://ci.example.com:99999/": None,
        }.items():
            self.assertEqual(link(url), safe, url)

    def test_hosts_without_a_dot(self) -> None:
        """Discord, which rejects a message with such a link, gets none; the others do."""
        for host in ("localhost:8010", "ci", "[::1]", "ci."):
            build = a_build(url=f"http://{host}/", changes=[a_change(revlink=f"http://{host}/c")])
            for service, form in ALL.items():
                shown = f"http://{host}/" in json.dumps(form()(build))
                self.assertEqual(shown, service != "discord", (service, host))
        build = a_build(url="http://10.0.0.1:8010/")
        self.assertEqual(formats.discord()(build)["embeds"][0]["url"], "http://10.0.0.1:8010/")

    @given(URLS)
    def test_links(self, url: str | None) -> None:
        """A link is a web address without a sign that could end it early."""
        safe = link(url)
        if safe is not None:
            self.assertRegex(safe, r"^https?://(\[[\da-f:.]+\]|[^\[\]])[\w%/:=&?~#+!$,;'@*.-]*$")
        for scheme in ("javascript:alert(1)", "file:///etc/passwd", "data:,"):
            self.assertIsNone(link(scheme))


class SlackTest(SynchronousTestCase):
    """Messages for Slack."""

    def message(self, build: dict[str, Any], **options: Any) -> tuple[dict[str, Any], list[Any]]:
        """Return a message and its blocks."""
        message = formats.slack(on=OCCASIONS, **options)(build)
        assert message is not None
        [attachment] = message["attachments"]
        return message, attachment["blocks"]

    def test_failure(self) -> None:
        """A failure has its title, colour, state, changes and facts, and links."""
        build = a_build(changes=[a_change(number) for number in range(1, 8)])
        message, blocks = self.message(build, channel="#builds")
        self.assertEqual(message["channel"], "#builds")
        self.assertEqual(
            message["text"], "*<https://ci.example.com/#/builders/1/builds/7|linux #7>* failed"
        )
        self.assertEqual(message["attachments"][0]["color"], "#c62828")
        self.assertEqual(blocks[0]["text"]["text"], "failed compile (failure)")
        self.assertEqual(
            blocks[1]["text"]["text"],
            "<https://code.example.com/c/1|000000000000> Change 1 — Jo Doe",
        )
        self.assertEqual(
            [each["text"] for each in blocks[-1]["elements"]],
            ["Branch: main", "Duration: 3 min 20 s", "and 2 more changes"],
        )

    @given(builds())
    def test_limits(self, build: dict[str, Any]) -> None:
        """Slack's limits are kept.

        A message has up to 50 blocks (docs.slack.dev/reference/block-kit/blocks), a section's
        text 1 to 3000 characters (…/blocks/section-block), a context 1 to 10 elements
        (…/blocks/context-block). More than 4000 characters of text are advised against
        (docs.slack.dev/reference/methods/chat.postMessage), and more than about 13000 in all
        blocks are refused as msg_blocks_too_long (slackapi/bolt-js issue 2509).
        """
        message, blocks = self.message(build)
        self.assertTrue(1 <= len(blocks) <= 50)
        self.assertTrue(1 <= length(message["text"]) <= 4000)
        for block in blocks:
            if block["type"] == "section":
                self.assertTrue(1 <= length(block["text"]["text"]) <= 3000)
            else:
                self.assertEqual(block["type"], "context")
                self.assertTrue(1 <= len(block["elements"]) <= 10)
                self.assertTrue(all(each["text"] for each in block["elements"]))
        self.assertLess(sum(map(length, texts(blocks))), 13000)

    @given(builds())
    def test_markup(self, build: dict[str, Any]) -> None:
        """Of all that begins with < only links to web pages are left, and no mention at all.

        Source: docs.slack.dev/messaging/formatting-message-text, "Escaping text".
        """
        message, blocks = self.message(build)
        for text in [message["text"], *texts(blocks)]:
            rest = re.sub(r"<https?:[^<>|]*\|[^<>]*>", "", text)
            self.assertNotRegex(rest, "[<>]|&(?!amp;|lt;|gt;)")
        self.assertTrue(all(text["verbatim"] for text in _mrkdwn(blocks)))


def _mrkdwn(blocks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for block in blocks:
        yield from block.get("elements") or [block["text"]]


class DiscordTest(SynchronousTestCase):
    """Messages for Discord."""

    def embed(self, build: dict[str, Any]) -> dict[str, Any]:
        """Return a message's embed."""
        message = formats.discord(on=OCCASIONS)(build)
        assert message is not None
        self.assertEqual(message["allowed_mentions"], {"parse": []})
        [embed] = message["embeds"]
        return dict(embed)

    def test_recovery(self) -> None:
        """A recovery says what it recovered from."""
        before = {"number": 6, "results": EXCEPTION}
        embed = self.embed(a_build(SUCCESS, compared_build=before, changes=[a_change()]))
        self.assertEqual((embed["title"], embed["color"]), (r"linux \#7 recovered", 0x2E8540))
        self.assertEqual(embed["url"], "https://ci.example.com/#/builders/1/builds/7")
        self.assertEqual(
            embed["description"].split("\n")[1],
            "[000000000000](https://code.example.com/c/1) Change 1 — Jo Doe",
        )
        self.assertEqual(
            [(each["name"], each["value"]) for each in embed["fields"]],
            [
                ("Branch", "main"),
                ("Duration", "3 min 20 s"),
                ("Before", "#6 ended with an exception".replace("#", r"\#")),
            ],
        )

    @given(builds())
    def test_limits(self, build: dict[str, Any]) -> None:
        """Discord's limits are kept.

        Source: docs.discord.com/developers/resources/message, "Embed Limits": a title of 256
        characters, a description of 4096, 25 fields with names of 256 and values of 1024, and
        6000 in all.
        """
        embed = self.embed(build)
        self.assertTrue(1 <= length(embed["title"].strip()) <= 256)
        self.assertLessEqual(length(embed["description"]), 4096)
        self.assertLessEqual(len(embed["fields"]), 25)
        whole = length(embed["title"]) + length(embed["description"])
        for each in embed["fields"]:
            self.assertTrue(1 <= length(each["name"]) <= 256)
            self.assertTrue(1 <= length(each["value"]) <= 1024)
            whole += length(each["name"]) + length(each["value"])
        self.assertLessEqual(whole, 6000)

    @given(builds())
    def test_markup(self, build: dict[str, Any]) -> None:
        """Every sign of the markup that is not ours has a backslash before it.

        Discord takes a backslash before any sign as an escape
        (support.discord.com/hc/articles/210298617, Markdown Text 101).
        """
        embed = self.embed(build)
        for text in [embed["title"], embed["description"], *texts(embed["fields"])]:
            rest = re.sub(r"\[(?:\\.|[^\\\[\]])*\]\(https?:[^\s()<>]*\)", "", text)
            rest = re.sub(PUNCTUATION, "", rest)
            self.assertNotRegex(rest, r"[\\*_~`|>#\[\]()<@]")


class TeamsTest(SynchronousTestCase):
    """Messages for Teams."""

    def body(self, build: dict[str, Any]) -> list[dict[str, Any]]:
        """Return a card's elements."""
        message = formats.teams(on=OCCASIONS)(build)
        assert message is not None
        [attachment] = message["attachments"]
        return list(attachment["content"]["body"])

    def test_failure(self) -> None:
        """A failure has its title in a container of the result's style, and links."""
        body = self.body(a_build(changes=[a_change()]))
        self.assertEqual(body[0]["style"], "attention")
        [line] = body[0]["items"]
        self.assertEqual([run["text"] for run in line["inlines"]], ["linux #7", " failed"])
        self.assertEqual(
            line["inlines"][0]["selectAction"],
            {"type": "Action.OpenUrl", "url": "https://ci.example.com/#/builders/1/builds/7"},
        )
        lines = ["".join(run["text"] for run in line["inlines"]) for line in body[1:]]
        self.assertEqual(
            lines,
            [
                "failed compile (failure)",
                "000000000000 Change 1 — Jo Doe",
                "Branch: main · Duration: 3 min 20 s",
            ],
        )

    @given(builds())
    def test_limits(self, build: dict[str, Any]) -> None:
        """Teams' limit is kept, also where its service counts two bytes for each byte of ours.

        Source: learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/
        add-incoming-webhook, "The message size limit is 28 KB".
        """
        message = formats.teams(on=OCCASIONS)(build)
        self.assertLess(2 * len(to_json(message)), 28_000)

    @given(builds())
    def test_markup(self, build: dict[str, Any]) -> None:
        """All texts stand in text runs, which know no markup.

        Source: adaptivecards.io/explorer/TextRun.html.
        """
        lines = [each for each in self.body(build) if each["type"] != "Container"]
        lines += self.body(build)[0]["items"]
        for line in lines:
            self.assertEqual(line["type"], "RichTextBlock")
            self.assertEqual({run["type"] for run in line["inlines"]}, {"TextRun"})
            self.assertTrue(all(run["text"] for run in line["inlines"]))


class MattermostTest(SynchronousTestCase):
    """Messages for Mattermost."""

    def attachment(self, build: dict[str, Any]) -> dict[str, Any]:
        """Return a message's attachment."""
        message = formats.mattermost(on=OCCASIONS)(build)
        assert message is not None
        [attachment] = message["attachments"]
        return dict(attachment)

    def test_start(self) -> None:
        """The begin of a build has its title and what it builds, to a user and under a name."""
        form = formats.mattermost(on=["start"], channel="@jo", username="CI")
        message = form(a_build(None))
        assert message is not None
        self.assertEqual((message["channel"], message["username"]), ("@jo", "CI"))
        [attachment] = message["attachments"]
        self.assertEqual(attachment["fallback"], "linux #7 started")
        self.assertEqual(
            attachment["text"],
            r"**[linux \#7](https://ci.example.com/#/builders/1/builds/7)** started",
        )
        self.assertEqual(
            [(each["title"], each["value"]) for each in attachment["fields"]],
            [("Branch", "main"), ("Revision", "abcdef012345")],
        )

    @given(builds())
    def test_limits(self, build: dict[str, Any]) -> None:
        """Mattermost's limit of a post is kept, without a part of it being cut off.

        Source: docs.mattermost.com, "Maximum Post Size": 16383 characters.
        """
        attachment = self.attachment(build)
        self.assertLess(sum(map(length, texts(attachment))), 16383)
        self.assertTrue(attachment["fallback"])

    @given(builds())
    def test_mentions(self, build: dict[str, Any]) -> None:
        """Nobody is mentioned: a space of no width follows each @, in links it is no mention.

        Source: the server splits texts at all signs that are no letters, numbers or one of :.-_@
        (mattermost/server, app/mention_parser_standard.go).
        """
        for text in texts(self.attachment(build)):
            rest = re.sub(r"\]\(https?:[^\s()<>]*\)", "", text)
            self.assertNotRegex(rest, "@(?!\u200b)")

    @given(builds())
    def test_markup(self, build: dict[str, Any]) -> None:
        """Every sign of the markup that is not ours has a backslash before it."""
        attachment = self.attachment(build)
        found = [attachment["text"], *texts(attachment["fields"])]
        for line in [line for text in found for line in text.split("\n")]:
            rest = re.sub(r"\[(?:\\.|[^\\\[\]])*\]\(https?:[^\s()<>]*\)", "", line)
            rest = re.sub(PUNCTUATION, "", rest).removeprefix("- ")
            self.assertNotRegex(rest.replace("**", ""), r"[\\*_~`|>#\[\]()<]")


class TimesTest(SynchronousTestCase):
    """Times as the data API gives them."""

    def test_no_times(self) -> None:
        """A build without times has no duration."""
        for form in ALL.values():
            build = a_build(started_at=None, complete_at=BEGAN)
            self.assertNotIn("Duration", json.dumps(form()(build)))

"""Writes ``reference/options.md``: every option, with the errors that wrong values really get.

Run it after a change of the options: ``python docs/options_table.py``. A test says when to.
"""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

from attrs import NOTHING, fields, frozen
from buildbot.config.errors import ConfigErrors
from buildbot.plugins import util

from buildbot_http_status_push import formats
from buildbot_http_status_push.configuration.options import Options
from buildbot_http_status_push.report.default_generator import DefaultGenerator
from buildbot_http_status_push.reporter import HttpStatusPush

PAGE = Path(__file__).with_name("reference") / "options.md"
URL = "https://status.example.com/submit"

SHAPE = "at `buildbot checkconfig`, and at each start and reconfiguration"
RENDERED = "at `buildbot checkconfig`; what is rendered, at each attempt"
NAMES = (
    "the list at `buildbot checkconfig`; whether anything is called so, at each start and "
    "reconfiguration: a line in the master's log tells of a name that nothing has"
)
FILES = "the value at `buildbot checkconfig`; the files at each connection"

INTRODUCTION = """\
# Options

This page lists every option of `reporters.HttpStatusPush`: what it takes, its default, when it
is checked, and what you are told when the value is wrong. The error texts were made by running
each.

All options may be given by name. The first six may also be given by position, in this order:
`serverUrl`, `auth`, `headers`, `generators`, `debug`, `verify`. A *renderable* is a value that
Buildbot works out when it is needed, such as `util.Secret("name")` or
`util.Interpolate("%(secret:name)s")`.

"""

UNKNOWN = """\

An option that is no option is told too, with the nearest right one:

"""


@frozen
class Option:
    """What the page tells of an option.

    Args:
        name: Its name.
        kind: What it takes.
        checked: When it is checked.
        does: What it does.
        wrong: Wrong values as written in master.cfg, as keyword arguments.
    """

    name: str
    kind: str
    checked: str
    does: str
    wrong: tuple[str, ...] = ()


TRANSPORT = (
    Option(
        "serverUrl",
        "an `http` or `https` URL, or a renderable that yields one",
        RENDERED,
        "Where to POST. It is used exactly as written, a trailing slash and a query included. "
        "User info in it is sent as Basic authentication and never shown.",
        (
            "serverUrl=None",
            "serverUrl='ftp://status.example.com/'",
            "serverUrl='status.example.com'",
            "serverUrl='https://'",
            "serverUrl='https://status.example.com:99999/'",
            "serverUrl=8080",
            "serverUrl='https://user:password@status.example.com/', auth=('user', 'password')",
            "serverUrl=util.Interpolate('https://status.example.com/%(prop:buildername)s')",
        ),
    ),
    Option(
        "auth",
        "a pair `(user, password)`, an authentication object of the `requests` library or a "
        "callable like it, or a renderable that yields one of these",
        RENDERED,
        "How to authenticate. See [Authenticate and verify TLS](../reporter/authenticate.md).",
        ("auth='token'", "auth=('user',)", "auth=('us:er', 'password')", "auth=dict"),
    ),
    Option(
        "headers",
        "a dict of names and values, renderables at any depth",
        RENDERED,
        "Further request headers. Your value wins over a default such as `User-Agent` or "
        "`Content-Type`. Headers that frame the request can't be set.",
        (
            "headers=['X-Token']",
            "headers={'X Token': 'a'}",
            "headers={'X-Token': 'a\\nb'}",
            "headers={'X-Token': 1}",
            "headers={'Host': 'example.com'}",
            "headers={'X-Token': 'a', 'x-token': 'b'}",
        ),
    ),
    Option(
        "signing_secret",
        "a `whsec_` key or another text, a renderable that yields one, or a list of these",
        RENDERED,
        "Signs each request. See [Sign and verify](../reporter/sign-and-verify.md).",
        (
            "signing_secret=''",
            "signing_secret='whsec_abc'",
            "signing_secret=1",
            "signing_secret=[]",
        ),
    ),
    Option(
        "cloudevents",
        "`True` or `False`",
        SHAPE,
        "Makes each request a CloudEvent in binary mode, by headers beside the same body. See "
        "[Headers](headers.md).",
        ("cloudevents='binary'",),
    ),
    Option(
        "verify",
        "`True`, `False`, or the path of a PEM file or of a directory of PEM files",
        FILES,
        "Whether, and by which authority, the receiver's certificate is checked. `None` means "
        "`True`: by the system's.",
        ("verify=1.5", "verify=''"),
    ),
    Option(
        "cert",
        "the path of a PEM file with certificate and key, or a pair of paths `(certificate, key)`",
        FILES,
        "The client's certificate, for mutual TLS.",
        ("cert=True", "cert=('a.pem', 'b.pem', 'c.pem')"),
    ),
    Option(
        "debug",
        "true or false",
        SHAPE,
        "Logs each request and its response, the first 2 KiB of each body, secrets masked.",
    ),
    Option(
        "skipEncoding",
        "true or false; `skip_encoding` is the same option",
        SHAPE,
        "Changes nothing on the wire. It is accepted because the built-in reporter has it.",
        ("skipEncoding=True, skip_encoding=False",),
    ),
)

DELIVERY = (
    Option(
        "timeout",
        "seconds, more than 0 and up to a day",
        SHAPE,
        "One deadline over a whole attempt: secrets, connection, request, answer and body.",
        ("timeout=0", "timeout='30'"),
    ),
    Option(
        "concurrency",
        "a whole number from 1 on",
        SHAPE,
        "How many requests may be under way at once, in all. Those of one build request go one "
        "after another in any case.",
        ("concurrency=0", "concurrency=2.5"),
    ),
    Option(
        "outbox",
        "`None`, `False`, or a SQLAlchemy URL of a SQLite or PostgreSQL database, or a "
        "renderable that yields one",
        "at `buildbot checkconfig`; what is rendered, at each start and reconfiguration",
        "Where statuses wait. `None` is the file `http_status_push.sqlite` in the master's "
        "folder, or Buildbot's own database where "
        "[several masters](../reporter/several-masters.md) share one in PostgreSQL. `False` is "
        "memory only: see [Why an outbox](../concepts/outbox.md) for what that gives up.",
        ("outbox=True", "outbox='statuses.sqlite'", "outbox='mysql://user@host/database'"),
    ),
    Option(
        "proxy",
        "the URL of an HTTP proxy, `'environment'`, or a renderable that yields one",
        "at `buildbot checkconfig`; what is rendered, at each attempt",
        "Sends through an HTTP proxy: the one of this URL, with user and password where it wants "
        "some, or the one that `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` name in the "
        "master's environment. See [Send through a proxy](../reporter/proxies.md).",
        ("proxy='proxy.example.com:3128'", "proxy='socks5://proxy.example.com'", "proxy=True"),
    ),
    Option(
        "metrics",
        "the description of a Twisted server endpoint",
        SHAPE,
        "Serves this reporter's metrics there, at `/metrics`, for Prometheus. Each reporter needs "
        "a port of its own. See [Watch it with Prometheus](../operate/monitor.md).",
        ("metrics=9118", "metrics='9118'"),
    ),
    Option(
        "give_up_after",
        "seconds, or a `timedelta`",
        SHAPE,
        "How long a status is tried until it is dead. The default is 7 days.",
        ("give_up_after=0", "give_up_after='7 days'"),
    ),
)

PAYLOAD = (
    Option(
        "format_fn",
        "a function of the build",
        SHAPE,
        "Returns what to send: anything that JSON can hold, a text, or `None` for nothing; a "
        "Deferred or a coroutine of these too. For Slack, Discord, Teams and Mattermost there are "
        "ready ones: see [Send to a chat](../reporter/chat.md).",
        ("format_fn='short'", "format_fn=formats.slack(on=('failed',))"),
    ),
    Option(
        "want_properties",
        "`True` or `False`",
        SHAPE,
        "Whether the build has its `properties`.",
        ("want_properties='no'",),
    ),
    Option(
        "want_steps",
        "`True` or `False`",
        SHAPE,
        "Whether the build has its `steps`.",
        ("want_steps=1",),
    ),
    Option(
        "want_logs",
        "`True` or `False`",
        SHAPE,
        "Whether each step has its `logs`, without their content. Includes the steps.",
        ("want_logs=1",),
    ),
    Option(
        "want_logs_content",
        "`True`, `False`, or a list of log names, each `log` or `step.log`",
        SHAPE,
        "Which logs have their `content`. Includes steps and logs.",
        ("want_logs_content='stdio'",),
    ),
    Option(
        "want_tests",
        "`True`, `False`, or a list of log names, each `log` or `step.log`, with `*` and `?`",
        SHAPE,
        "Whether finished builds have their `tests`: `True` reads the logs `junit*` and `*.xml` "
        "as JUnit reports, and Buildbot's test result sets.",
        ("want_tests='junit'",),
    ),
    Option(
        "want_excerpts",
        "`True` or `False`",
        SHAPE,
        "Whether builds that finish as failure or exception have their `excerpts`: the lines of "
        "failed steps' logs that say why. Anyone who can read the bodies can read these lines.",
        ("want_excerpts=1",),
    ),
    Option(
        "excerpt_rules",
        "a list of pairs of name and pattern",
        SHAPE,
        "Rules of your own for `want_excerpts`, which hold before the built-in ones. The patterns "
        "are RE2's, searched in single lines; they need the extra `[rules]`.",
        ("excerpt_rules='licence'", "excerpt_rules=[('licence', '(no licence')]"),
    ),
    Option(
        "want_previous_build",
        "`True` or `False`",
        SHAPE,
        "Whether the build has `prev_build`, the one of the same builder before it.",
        ("want_previous_build=1",),
    ),
    Option(
        "want_changes",
        "`True` or `False`",
        SHAPE,
        "Whether the build has its `changes`: who has changed what since the builder's last "
        "success on its branch. They cost the master some queries for each status.",
        ("want_changes='yes'",),
    ),
    Option(
        "detail",
        '`"board"` or `None`',
        SHAPE,
        'With `"board"` the build has what [the board](../board/set-up.md) shows: `steps`, '
        "`logs` without their content, `changes`, and the `master`'s title. Each costs the "
        "master a query for each status.",
        ("detail='everything'",),
    ),
    Option(
        "max_body",
        "bytes",
        SHAPE,
        "The size above which contents of logs are cut, from the largest down. The default is "
        "16 MiB.",
        ("max_body=0", "max_body='16 MiB'"),
    ),
    Option(
        "builders",
        "a list of names",
        NAMES,
        "Sends the builds of these builders only.",
        ("builders='linux'", "builders=['linux'], tags=['slow']"),
    ),
    Option(
        "tags",
        "a list of tags",
        NAMES,
        "Sends the builds of builders that have one of these tags only.",
        ("tags='slow'",),
    ),
    Option(
        "branches",
        "a list of names; `None` in it means no branch",
        SHAPE,
        "Sends the builds of these branches only. Of a build with several codebases the branch "
        "of any counts, and so does the property `branch`.",
        ("branches='main'", "branches=[1]"),
    ),
    Option(
        "schedulers",
        "a list of names",
        NAMES,
        "Sends the builds that these schedulers asked for only.",
        ("schedulers='nightly'",),
    ),
    Option(
        "results",
        "a list of `success`, `warnings`, `failure`, `skipped`, `exception`, `retry`, `cancelled`",
        SHAPE,
        "Sends the ends of builds with these results only. Begins are sent in any case.",
        ("results='failure'", "results=['broken']"),
    ),
)

HOST = (
    Option(
        "generators",
        "a list of report generators",
        SHAPE,
        "Makes the reports, instead of the default generator. Of each event the first report is "
        "sent. The options that shape the payload can't be given with it.",
        ("generators='builds'", "generators=[1]", "generators=[], want_steps=True"),
    ),
    Option(
        "name",
        "a text",
        "by Buildbot, at `buildbot checkconfig`",
        "The service's name in Buildbot, and the key of its statuses in the outbox. Two "
        "reporters in one master need two names, or Buildbot says "
        "`Duplicate service name 'HttpStatusPush'`. Renaming a reporter leaves what waits under "
        "the old name unsent.",
    ),
)

SECTIONS = (
    ("Where and how to send", TRANSPORT),
    ("When and how often", DELIVERY),
    ("What to send", PAYLOAD),
    ("What Buildbot itself has", HOST),
)

DEFAULTS = {
    each.name: each.default for kind in (Options, DefaultGenerator) for each in fields(kind)
} | {"generators": None, "name": "HttpStatusPush"}


def options() -> list[Option]:
    """Return all options of the page."""
    return [option for _, section in SECTIONS for option in section]


def error_of(written: str) -> str:
    """Return what the reporter says of options.

    Args:
        written: Keyword arguments as written in master.cfg.
    """
    given: dict[str, Any] = {"serverUrl": URL}
    given |= eval(f"dict({written})", {"timedelta": timedelta, "formats": formats, "util": util})  # noqa: S307 - this file's own text
    try:
        HttpStatusPush(**given)
    except ConfigErrors as told:
        return "; ".join(told.errors)
    raise AssertionError(f"{written} has no error")


def page() -> str:
    """Return the whole page."""
    text = INTRODUCTION + _summary() + UNKNOWN + _errors(("verfy=False",))
    for title, section in SECTIONS:
        text += f"\n## {title}\n" + "".join(map(_entry, section))
    return text


def _summary() -> str:
    rows = [
        f"| [`{each.name}`](#{each.name.lower()}) | {each.kind} "
        f"| {_default(each.name)} | {_first_sentence(each)} |"
        for each in options()
    ]
    head = ["| option | takes | default | what it does |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *rows, ""])


def _first_sentence(option: Option) -> str:
    return re.split(r"(?<=\.) (?=[A-Z`])", option.does)[0]


def _entry(option: Option) -> str:
    return (
        f"\n### {option.name}\n\n{option.does}\n\n"
        f"- Takes: {option.kind}\n"
        f"- Default: {_default(option.name)}\n"
        f"- Checked: {option.checked}\n{_folded_errors(option.wrong)}"
    )


def _folded_errors(wrong: tuple[str, ...]) -> str:
    if not wrong:
        return ""
    begin = "\n<details>\n<summary>What wrong values are told</summary>\n\n"
    return f"{begin}{_errors(wrong)}\n</details>\n"


def _default(name: str) -> str:
    value = DEFAULTS[name]
    return "none, it must be given" if value is NOTHING else f"`{value!r}`"


def _errors(wrong: tuple[str, ...]) -> str:
    if not wrong:
        return ""
    rows = [f"| {_code(each)} | {_code(error_of(each))} |\n" for each in wrong]
    return "| you write | you are told |\n| --- | --- |\n" + "".join(rows)


def _code(text: str) -> str:
    mark = "``" if "`" in text else "`"
    return mark + text.replace("|", r"\|") + mark


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

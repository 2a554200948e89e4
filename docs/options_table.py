"""Writes ``reference/options.md``, and ``reference/errors.md`` with the errors of wrong values.

Run it after a change of the options: ``python docs/options_table.py``. A test says when to.
"""

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

REFERENCE = Path(__file__).with_name("reference")
URL = "https://status.example.com/submit"

INTRODUCTION = """\
# Options

All options of `reporters.HttpStatusPush` may be given by name, the first six by position:
`serverUrl`, `auth`, `headers`, `generators`, `debug`, `verify`. A *renderable* is a value that
Buildbot computes when it is needed, such as `util.Secret("name")` or
`util.Interpolate("%(secret:name)s")`.

`buildbot checkconfig` checks each option; what is rendered is checked at each attempt, or at each
start and reconfig for `outbox`. The files of `verify` and `cert` are checked at each connection.
Names in `builders`, `tags` and `schedulers` that do not exist are logged. After a change run
`buildbot reconfig`. [Error messages](errors.md) are on a page of their own.
"""

ERRORS = """\
# Error messages

`buildbot checkconfig` reports invalid options of the reporter in these words:

| you write | error |
| --- | --- |
"""


@frozen
class Option:
    """An option, as the page shows it.

    Args:
        name: Its name.
        kind: What it accepts.
        does: What it does.
        wrong: Wrong values as written in master.cfg, as keyword arguments.
    """

    name: str
    kind: str
    does: str
    wrong: tuple[str, ...] = ()


TRANSPORT = (
    Option(
        "serverUrl",
        "`http` or `https` URL, or a renderable",
        "URL to POST to, used exactly as written. User info in it is sent as Basic "
        "authentication and masked.",
        (
            "serverUrl=None",
            "serverUrl='ftp://status.example.com/'",
            "serverUrl='https://'",
            "serverUrl='https://status.example.com:99999/'",
            "serverUrl=8080",
            "serverUrl='https://user:password@status.example.com/', auth=('user', 'password')",
            "serverUrl=util.Interpolate('https://status.example.com/%(prop:buildername)s')",
        ),
    ),
    Option(
        "auth",
        "`(user, password)`, an authentication object of `requests`, a callable like it, or a "
        "renderable",
        "[Authentication](../reporter/authenticate.md).",
        ("auth='token'", "auth=('us:er', 'password')", "auth=dict"),
    ),
    Option(
        "headers",
        "a dict of names and values, renderables at any depth",
        "Additional [headers](headers.md). They replace defaults such as `User-Agent`; headers "
        "that frame the request cannot be set.",
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
        "`whsec_` key, other text, renderable, or a list of these",
        "[Signs](../reporter/sign-and-verify.md) each request.",
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
        "Adds the headers of a [CloudEvent](headers.md#cloudevents).",
        ("cloudevents='binary'",),
    ),
    Option(
        "verify",
        "`True`, `False`, or the path of a PEM file or directory",
        "Authority that must have issued the receiver's certificate; `None` and `True` use the "
        "system's.",
        ("verify=1.5",),
    ),
    Option(
        "cert",
        "path of a PEM file, or `(certificate, key)`",
        "Client certificate for mutual TLS; the key must not be encrypted.",
        ("cert=True",),
    ),
    Option(
        "debug",
        "true or false",
        "Logs each request and response, the first 2 KiB of each body, secrets masked.",
    ),
    Option(
        "skipEncoding",
        "true or false; also as `skip_encoding`",
        "Accepted for compatibility; no effect.",
        ("skipEncoding=True, skip_encoding=False",),
    ),
)

DELIVERY = (
    Option(
        "timeout",
        "seconds up to a day",
        "Deadline for a whole attempt, from secrets to the answer's end.",
        ("timeout=0",),
    ),
    Option(
        "concurrency",
        "whole number from 1",
        "Requests in flight at once; those of one build request are always sent one after another.",
        ("concurrency=0",),
    ),
    Option(
        "outbox",
        "`None`, `False`, SQLAlchemy URL of SQLite or PostgreSQL, or a renderable",
        "Where statuses are stored. `None`: `http_status_push.sqlite` in the master's "
        "directory, or Buildbot's PostgreSQL database with [several "
        "masters](../reporter/several-masters.md). `False`: "
        "[memory](../concepts/outbox.md#without-an-outbox).",
        ("outbox=True", "outbox='mysql://user@host/database'"),
    ),
    Option(
        "proxy",
        "URL, `'environment'`, or a renderable",
        "Sends through an [HTTP proxy](../reporter/proxies.md).",
        ("proxy='proxy.example.com:3128'", "proxy=True"),
    ),
    Option(
        "metrics",
        "Twisted server endpoint, such as `'tcp:9118'`",
        "Serves [metrics](../operate/monitor.md) at `/metrics`. Each reporter needs its own port.",
        ("metrics='9118'",),
    ),
    Option(
        "give_up_after",
        "seconds, or a `timedelta`",
        "How long a status is tried until it is [dead](retry.md#dead-deliveries); 7 days by "
        "default.",
        ("give_up_after=0", "give_up_after='7 days'"),
    ),
)

PAYLOAD = (
    Option(
        "format_fn",
        "a function of the build",
        "Returns what to send: JSON, a text, `None` for nothing, or a Deferred or coroutine of "
        "these. See [other formats](../reporter/payload.md#send-another-format), "
        "[chats](../reporter/chat.md).",
        ("format_fn='short'", "format_fn=formats.slack(on=('failed',))"),
    ),
    Option(
        "want_properties",
        "`True` or `False`",
        "Adds `properties`.",
        ("want_properties='no'",),
    ),
    Option(
        "want_steps",
        "`True` or `False`",
        "Adds `steps`.",
        ("want_steps=1",),
    ),
    Option(
        "want_logs",
        "`True` or `False`",
        "Adds `logs` to each step, without contents. Includes the steps.",
    ),
    Option(
        "want_logs_content",
        "`True`, `False`, or a list of log names, each `log` or `step.log`",
        "Adds `content` to these logs. Includes steps and logs.",
        ("want_logs_content='stdio'",),
    ),
    Option(
        "want_tests",
        "`True`, `False`, or a list of log names, each `log` or `step.log`, with `*` and `?`",
        "Adds [`tests`](../reporter/payload.md#send-test-results) to finished builds. `True` "
        "reads logs named `junit*` and `*.xml` and Buildbot's test result sets.",
        ("want_tests='junit'",),
    ),
    Option(
        "want_excerpts",
        "`True` or `False`",
        "Adds [`excerpts`](../reporter/excerpts.md) to builds that finish as failure or exception.",
    ),
    Option(
        "excerpt_rules",
        "a list of pairs of name and pattern",
        "Own rules for `want_excerpts`: RE2 patterns, searched in single lines. Needs the extra "
        "`rules`.",
        ("excerpt_rules='licence'", "excerpt_rules=[('licence', '(no licence')]"),
    ),
    Option(
        "want_previous_build",
        "`True` or `False`",
        "Adds `prev_build`, the builder's previous build.",
    ),
    Option(
        "want_changes",
        "`True` or `False`",
        "Adds `changes` since the builder's last success on its branch.",
    ),
    Option(
        "detail",
        '`"board"` or `None`',
        'With `"board"`, adds what [the board](../board/set-up.md) shows: `steps`, `logs` '
        "without contents, `changes`, the `master`'s title. Includes `want_requests`, "
        "`want_workers` and `want_builders` where these are `None` and there is no `format_fn`.",
        ("detail='everything'",),
    ),
    Option(
        "want_requests",
        "`True`, `False` or `None`",
        "Sends build requests too: see [Requests, workers and builders](events.md).",
        ("want_requests='new'",),
    ),
    Option(
        "want_workers",
        "`True`, `False` or `None`",
        "Sends workers too.",
    ),
    Option(
        "want_builders",
        "`True`, `False` or `None`",
        "Sends the configured builders too, and those removed.",
    ),
    Option(
        "max_body",
        "bytes",
        "Size above which log contents are truncated, the largest first; 16 MiB by default.",
        ("max_body=0", "max_body='16 MiB'"),
    ),
    Option(
        "builders",
        "a list of names",
        "Sends builds of these builders only.",
        ("builders='linux'", "builders=['linux'], tags=['slow']"),
    ),
    Option(
        "tags",
        "a list of tags",
        "Sends builds of builders with one of these tags only.",
    ),
    Option(
        "branches",
        "a list of names; `None` in it means no branch",
        "Sends builds of these branches only; with several codebases any of their branches "
        "counts, and so does the property `branch`.",
        ("branches='main'", "branches=[1]"),
    ),
    Option(
        "schedulers",
        "a list of names",
        "Sends builds requested by these schedulers only.",
    ),
    Option(
        "results",
        "a list of `success`, `warnings`, `failure`, `skipped`, `exception`, `retry`, `cancelled`",
        "Sends finishes with these results only. Starts are always sent.",
        ("results='failure'", "results=['broken']"),
    ),
)

HOST = (
    Option(
        "generators",
        "a list of report generators",
        "Report generators instead of the default one. The first report of each event is sent. "
        "Excludes the payload options.",
        ("generators='builds'", "generators=[1]", "generators=[], want_steps=True"),
    ),
    Option(
        "name",
        "a text",
        "Name of the service, and key of its deliveries. Two reporters need two names; to "
        "rename one, [move its deliveries](../operate/outbox.md#rename-a-reporter).",
    ),
)

SECTIONS = (
    ("Receiver", TRANSPORT),
    ("Delivery", DELIVERY),
    ("Payload", PAYLOAD),
    ("Buildbot's own options", HOST),
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
    """Return the page of options."""
    text = INTRODUCTION
    for title, section in SECTIONS:
        text += (
            f"\n## {title}\n\n| option | accepts | default | effect |\n| --- | --- | --- | --- |\n"
        )
        text += "".join(map(_row, section))
    return text


def _row(option: Option) -> str:
    return f"| `{option.name}` | {option.kind} | {_default(option.name)} | {option.does} |\n"


def _default(name: str) -> str:
    value = DEFAULTS[name]
    return "required" if value is NOTHING else f"`{value!r}`"


def errors_page() -> str:
    """Return the page of error messages."""
    wrong = ["verfy=False", *(each for option in options() for each in option.wrong)]
    rows = [f"| {_code(each)} | {_code(error_of(each))} |\n" for each in wrong]
    return ERRORS + "".join(rows)


def _code(text: str) -> str:
    mark = "``" if "`" in text else "`"
    return mark + text.replace("|", r"\|") + mark


if __name__ == "__main__":
    (REFERENCE / "options.md").write_text(page(), encoding="utf-8")
    (REFERENCE / "errors.md").write_text(errors_page(), encoding="utf-8")

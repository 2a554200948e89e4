"""What ``buildbot checkconfig`` says of a master.cfg, in one line that tells what to write."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from buildbot.config.errors import ConfigErrors
from buildbot.config.master import FileLoader
from twisted.trial import unittest

MASTER_CFG = """\
from buildbot.plugins import *
from buildbot.plugins import reporters

c = BuildmasterConfig = {{}}
c["buildbotNetUsageData"] = None
c["protocols"] = {{"null": {{}}}}
c["workers"] = [worker.LocalWorker("local")]
c["builders"] = [
    util.BuilderConfig(name="b", workernames=["local"], factory=util.BuildFactory())
]
c["schedulers"] = [schedulers.Triggerable(name="t", builderNames=["b"])]
c["services"] = []
{snippet}
"""

SPECIFICATION = """
sp = reporters.HttpStatusPush(serverUrl="http://example.com/submit")
c['services'].append(sp)
"""

REFUSED = {
    "'http://example.com/', verfy=False": (
        "HttpStatusPush: unknown option 'verfy': did you mean 'verify'?"
    ),
    "": "HttpStatusPush: serverUrl is missing: write serverUrl='https://status.example.com/submit'",
    "serverUrl='ftp://example.com/x'": (
        "HttpStatusPush: serverUrl is 'ftp://example.com/x', it does not begin with http:// "
        "or https://: "
        "write an http or https URL such as 'https://status.example.com/submit'"
    ),
    "'http://example.com/', headers=['X-Token']": (
        "HttpStatusPush: headers is a list: write a dict of names and values, "
        "such as headers={'X-Token': util.Secret('token')}"
    ),
    "'http://example.com/', auth='secret'": (
        "HttpStatusPush: auth is a str: write None, a pair (user, password), an authentication "
        "object of the requests library or a callable like it, or a renderable that yields one "
        "of these"
    ),
    "'http://example.com/', generators=reporters.BuildStatusGenerator()": (
        "HttpStatusPush: generators is a BuildStatusGenerator: write a list of report "
        "generators, such as generators=[reporters.BuildStatusGenerator()]"
    ),
    "'http://example.com/', name=5": "HttpStatusPush: name is 5: write a text",
    "'http://example.com/', skipEncoding=True, skip_encoding=False": (
        "HttpStatusPush: skipEncoding is True and skip_encoding is False: "
        "they mean the same, write one of them"
    ),
    "'http://example.com/', format_fn=str, generators=[reporters.BuildStatusGenerator()]": (
        "HttpStatusPush: format_fn shapes the default generator: "
        "leave it out where generators is given"
    ),
    "util.Interpolate('http://example.com/%(prop:buildername)s')": (
        "HttpStatusPush: serverUrl holds '%(prop:buildername)s', which needs a build: options are "
        "rendered without one. Write what differs from build to build into the body with "
        "format_fn, or post from a subclass's sendMessage"
    ),
    "'http://example.com/', results=['passed']": (
        "HttpStatusPush: results holds 'passed': known are success, warnings, failure, skipped, "
        "exception, retry, cancelled"
    ),
}


class CheckConfig(unittest.SynchronousTestCase):
    """``buildbot checkconfig`` on master.cfg files with one reporter."""

    def check(self, snippet: str) -> list[str]:
        """Return the faults that Buildbot finds when it loads a file, as checkconfig does."""
        Path("secrets").mkdir(mode=0o700, exist_ok=True)
        Path("master.cfg").write_text(MASTER_CFG.format(snippet=snippet))
        try:
            FileLoader(".", "master.cfg").loadConfig()
        except ConfigErrors as found:
            return list(found.errors)
        return []

    def test_specification(self) -> None:
        """The specification's own example is accepted."""
        self.assertEqual(self.check(SPECIFICATION), [])

    def test_program(self) -> None:
        """The program prints a fault, and its exit code is 1."""
        config = Path(self.mktemp())
        config.write_text(MASTER_CFG.format(snippet=SPECIFICATION.replace("http:", "ftp:")))
        program = Path(sys.executable).with_name("buildbot")
        done = subprocess.run([program, "checkconfig", config], capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("HttpStatusPush: serverUrl is 'ftp://example.com/submit'", done.stderr)

    def test_all_options(self) -> None:
        """Every kind of value that the documentation names is accepted."""
        faults = self.check(
            """
c["secretsProviders"] = [secrets.SecretInAFile(dirname="secrets")]
c["services"] += [
    reporters.HttpStatusPush(
        util.Interpolate("https://%(secret:host)s/submit/?a=b"),
        (util.Secret("user"), util.Secret("password")),
        {"X-Token": util.Secret("token")},
        None,
        True,
        "/etc/ssl/certs",
        cert=("client.pem", "client.key"),
        skip_encoding=True,
        timeout=5,
        concurrency=2,
        outbox=False,
        give_up_after=3600,
        format_fn=lambda build: build["url"],
        want_logs_content=["stdio"],
        builders=["b"],
    ),
    reporters.HttpStatusPush("https://example.com", name="second"),
]
"""
        )
        self.assertEqual(faults, [])

    def test_refused(self) -> None:
        """Each fault is one line that names the option and says what to write."""
        snippets = [f"c['services'].append(reporters.HttpStatusPush({args}))" for args in REFUSED]
        for snippet, expected in zip(snippets, REFUSED.values(), strict=True):
            self.assertEqual(self.check(snippet), [expected])

    def test_all_faults_at_once(self) -> None:
        """Each of several faults is a line of its own."""
        faults = self.check(
            "c['services'].append(reporters.HttpStatusPush('gopher://x', headers=1, timeout=0))"
        )
        self.assertEqual(len([each for each in faults if each.startswith("HttpStatusPush: ")]), 3)

    def test_same_name_twice(self) -> None:
        """Two reporters without names of their own need them."""
        self.assertIn("name 'HttpStatusPush'", " ".join(self.check(SPECIFICATION + SPECIFICATION)))

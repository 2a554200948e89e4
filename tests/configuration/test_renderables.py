"""Renderables that need a build are found wherever they stand."""

from __future__ import annotations

from typing import Any

from buildbot.plugins import util
from buildbot.process.properties import WithProperties
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.configuration.arguments import renderable_faults


class NeedTest(SynchronousTestCase):
    """What is told of a value."""

    def needed(self, value: Any) -> list[str]:
        """Return what of a value needs a build."""
        return [
            each.split(" holds ")[1].split(", which")[0]
            for each in renderable_faults({"x": value}, "x")
        ]

    def test_needing_a_build(self) -> None:
        """Properties, sourcestamps and workers are of a build, at any depth, told once."""
        for value, needed in (
            (util.Interpolate("%(prop:a)s%(prop:a)s"), ["'%(prop:a)s'"]),
            (util.Interpolate("%(src::branch)s"), ["'%(src::branch)s'"]),
            (util.Interpolate("%(worker:os)s"), ["'%(worker:os)s'"]),
            (util.Interpolate("%(prop:a:-b)s"), ["'%(prop:a:-b)s'"]),
            (util.Interpolate("%(kw:a)s", a=util.Property("b")), ["util.Property('b')"]),
            (util.Interpolate("%(secret:a:-%(prop:b)s)s"), ["'%(prop:b)s'"]),
            (util.Interpolate("%s", util.Property("a")), ["util.Property('a')"]),
            (util.Transform(len, util.Property("a")), ["util.Property('a')"]),
            (util.FlattenList([[util.Property("a")]]), ["util.Property('a')"]),
            ({"X": (util.Property("a"),)}, ["util.Property('a')"]),
            ({util.Transform(len, util.Property("a")): "x"}, ["util.Property('a')"]),
            (WithProperties("%(a)s"), ["WithProperties('%(a)s')"]),
        ):
            self.assertEqual(self.needed(value), needed, value)

    def test_needing_none(self) -> None:
        """Secrets, keywords, functions and plain values are fine."""
        for value in (
            util.Interpolate("%(secret:a)s%(kw:b)s", b="c"),
            util.Secret("a"),
            util.Transform(str, util.Secret("a")),
            util.renderer(str),
            {"X": ["a", 1, None]},
            "%(prop:a)s",
        ):
            self.assertEqual(self.needed(value), [], value)

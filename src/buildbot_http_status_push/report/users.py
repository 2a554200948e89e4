"""Whether anybody sees the users that are responsible for a build.

Buildbot looks them up for every report, which costs more than all the rest; most formatters
never see them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from buildbot.reporters.generators.build import (
    BuildStartEndStatusGenerator,
    BuildStatusGenerator,
)
from buildbot.reporters.generators.buildset import BuildSetStatusGenerator
from buildbot.reporters.message import (
    MessageFormatterEmpty,
    MessageFormatterFunction,
    MessageFormatterRenderable,
)

from buildbot_http_status_push.report.default_generator import DefaultGenerator
from buildbot_http_status_push.report.state_generators import StateGenerator

# Exact classes: a subclass may look at what these leave alone.
PLAIN_GENERATORS = (BuildStatusGenerator, BuildStartEndStatusGenerator, BuildSetStatusGenerator)
BLIND_FORMATTERS = (MessageFormatterEmpty, MessageFormatterFunction, MessageFormatterRenderable)
FORMATTER_NAMES = ("formatter", "start_formatter", "end_formatter")


def are_seen(generators: Iterable[Any]) -> bool:
    """Return whether a formatter of these generators can see the responsible users."""
    return not all(map(_is_blind, generators))


def _is_blind(generator: Any) -> bool:
    if isinstance(generator, DefaultGenerator | StateGenerator):
        return True
    formatters = [getattr(generator, name) for name in FORMATTER_NAMES if hasattr(generator, name)]
    return type(generator) in PLAIN_GENERATORS and all(
        type(each) in BLIND_FORMATTERS for each in formatters
    )

"""Finds renderables that need a build: no option of a reporter is rendered for a build.

Without a build Buildbot renders them to nothing, without a word.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from buildbot.interfaces import IRenderable
from buildbot.process import properties
from buildbot.process.properties import Interpolate, Property, WithProperties

OF_A_BUILD = ("prop", "src", "worker")
"""The selectors of ``Interpolate`` that stand for something of a build."""


def faults(given: Mapping[str, object], names: Iterable[str]) -> Iterator[str]:
    """Tell which options hold a renderable that needs a build.

    Args:
        given: The options by name.
        names: Those that may hold renderables.
    """
    for name in names:
        for needed in dict.fromkeys(_needed(given.get(name))):
            yield (
                f"{name} holds {needed}, which needs a build: options are rendered without one. "
                "Write what differs from build to build into the body with format_fn, or post "
                "from a subclass's sendMessage"
            )


def _needed(value: Any) -> Iterator[str]:
    """Yield what of a value needs a build, as it is written in master.cfg."""
    if isinstance(value, Property):
        yield f"util.Property({value.key!r})"
    elif isinstance(value, WithProperties):
        yield f"WithProperties({value.fmtstring!r})"
    elif isinstance(value, Interpolate):
        for key in getattr(value, "interpolations", ()):
            if key.partition(":")[0] in OF_A_BUILD:
                yield f"'%({key})s'"
    for part in _parts(value):
        yield from _needed(part)


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return [part for item in value.items() for part in item]
    if isinstance(value, tuple | list):
        return value
    if IRenderable.providedBy(value) and type(value).__module__ == properties.__name__:
        return list(vars(value).values())
    return ()

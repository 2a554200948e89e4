"""How a reporter is called in master.cfg: options by position and by name, and what they hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from buildbot.config import error as config_error
from buildbot.interfaces import IRenderable, IReportGenerator
from buildbot.process import properties
from buildbot.process.properties import Interpolate, Property, WithProperties

OF_A_BUILD = ("prop", "src", "worker")
"""The selectors of ``Interpolate`` that stand for something of a build."""
POSITIONAL = ("serverUrl", "auth", "headers", "generators", "debug", "verify")
"""The options that may be given by position, in the specification's order."""


def by_name(values: Sequence[Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """Return options by name, positional ones included, those that are None left out."""
    given = dict(zip(POSITIONAL, values, strict=False)) | dict(others)
    return {name: value for name, value in given.items() if value is not None}


def is_same(one: tuple[Any, Any], other: tuple[Any, Any]) -> bool:
    """Return whether two reporters are configured in the same way, as far as can be known."""
    # Generators compare as equal where only their functions differ: with generators of a
    # user's own, nothing is known to be the same.
    return one == other and "generators" not in by_name(*other)


def well_named(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options; report a ``name`` that is no text, and leave it out."""
    if isinstance(given.get("name"), str | bytes | None):
        return dict(given)
    config_error(f"HttpStatusPush: name is {given['name']!r}: write a text")
    return {name: value for name, value in given.items() if name != "name"}


def generators_faults(generators: object) -> list[str]:
    """Return what is wrong with the ``generators`` option."""
    if generators is None:
        return []
    right = (
        "write a list of report generators, such as generators=[reporters.BuildStatusGenerator()]"
    )
    if not isinstance(generators, list):
        return [f"generators is a {type(generators).__name__}: {right}"]
    return [
        f"generators holds a {type(each).__name__}: {right}"
        for each in generators
        if not IReportGenerator.providedBy(each)
    ]


def renderable_faults(given: Mapping[str, object], names: Iterable[str]) -> Iterator[str]:
    """Yield which options hold a renderable that needs a build: none is rendered for one.

    Without a build Buildbot renders them to nothing, without a word.
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

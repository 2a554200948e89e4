"""Puts null in the place of what JSON can't hold though Buildbot stores it.

Pure. Python's JSON has numbers that RFC 8259 does not have: NaN and the infinite ones.
"""

from __future__ import annotations

from collections import UserList
from collections.abc import Generator, Iterable, Iterator, Mapping
from math import isfinite
from typing import cast

LISTS = (list, tuple, UserList)
"""What becomes a JSON array; the data API's own lists are ``UserList``."""

DEEPEST = 100
"""How deep lists and dicts may stand in each other, where the encoder found them too deep."""


class Nulls:
    """A copy of a value that could not be encoded.

    Attributes:
        result: The copy, once ``fill`` is exhausted.
        nulls: What is null in it: the path of its keys, and what it was, in words.
    """

    def __init__(self) -> None:
        self.nulls: dict[str, str] = {}
        self.result: object = None

    def fill(self, value: object) -> Iterator[None]:
        """Make the copy of a value, in small steps.

        Args:
            value: What was to be encoded. Parts that contain themselves still do.
        """
        self.result = yield from self._copy(value, (), {})

    def _copy(
        self, value: object, keys: tuple[str, ...], parents: Mapping[int, object]
    ) -> Generator[None, None, object]:
        yield
        is_container = isinstance(value, (dict, *LISTS))
        if isinstance(value, float) and not isfinite(value):
            self.nulls[".".join(keys)] = str(value)
            return None
        if is_container and len(parents) == DEEPEST:
            self.nulls[".".join(keys)] = f"nested more than {DEEPEST} deep"
            return None
        if not is_container or id(value) in parents:
            return parents.get(id(value), value)
        return (yield from self._copy_container(value, keys, parents))

    def _copy_container(
        self, value: object, keys: tuple[str, ...], parents: Mapping[int, object]
    ) -> Generator[None, None, object]:
        if isinstance(value, dict):
            copied: dict[object, object] = {}
            inside = {**parents, id(value): copied}
            for key, item in value.items():
                copied[key] = yield from self._copy(item, (*keys, str(key)), inside)
            return copied
        items: list[object] = []
        inside = {**parents, id(value): items}
        for item in cast("Iterable[object]", value):
            items.append((yield from self._copy(item, keys, inside)))
        return items

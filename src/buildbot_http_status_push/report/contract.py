"""The contract with receivers: the JSON Schemas of the default bodies.

Public: receivers may import it. Needs the standard library alone.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

VERSION = 1
"""The version of each body. Within one version keys are added, never removed."""


KINDS = ("build", "requests", "workers", "builders")
"""What a body may be about: a build, or with the options of these names one of the others."""


def body_schema(version: int = VERSION, kind: str = "build") -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a default body.

    Args:
        version: The body's version.
        kind: One of ``KINDS``.

    Raises:
        FileNotFoundError: There is no such version.
    """
    schema: dict[str, Any] = json.loads(
        (files(__package__) / "schemas" / f"{kind}-{version}.json").read_text()
    )
    return schema

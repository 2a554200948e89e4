"""The contract with receivers: the JSON Schemas of the default body.

Public: receivers may import it. Needs the standard library alone.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

VERSION = 1
"""The version of the default body. Within one version keys are added, never removed."""


def body_schema(version: int = VERSION) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the default body.

    Args:
        version: The body's version.

    Raises:
        FileNotFoundError: There is no such version.
    """
    schema: dict[str, Any] = json.loads(
        (files(__package__) / "schemas" / f"build-{version}.json").read_text()
    )
    return schema

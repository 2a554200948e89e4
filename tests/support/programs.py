"""Servers that tests start, where the machine has them."""

from __future__ import annotations

import os
from unittest import SkipTest


def missing(program: str, package: str) -> Exception:
    """Return what to raise where a program is not there: a skip, but a fault where CI runs.

    Args:
        program: What is missing, in words.
        package: The package of Debian and Ubuntu that has it.
    """
    return not_there(program, f"On Debian and Ubuntu: apt-get install {package}")


def not_there(what: str, remedy: str) -> Exception:
    """Return what to raise where something is not there: a skip, but a fault where CI runs.

    Args:
        what: What is missing, in words.
        remedy: How to get it.
    """
    words = f"{what} is missing. {remedy}"
    return FileNotFoundError(words) if os.environ.get("CI") else SkipTest(words)

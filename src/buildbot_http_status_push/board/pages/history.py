"""A builder's builds as its page shows them.

Pure: knows no database and no template.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from buildbot_http_status_push.board.model import GOOD, Build


@frozen(kw_only=True)
class History:
    """A page of a builder's builds.

    Args:
        builds: The builds, newest first.
        conclusive: How many of them say whether the code is good.
        good: How many of these say that it is.
        flaky: The revisions that both passed and failed.
        has_older: Whether there are older ones.
    """

    builds: tuple[Build, ...]
    conclusive: int
    good: int
    flaky: frozenset[str]
    has_older: bool

    @property
    def success_rate(self) -> int | None:
        """Per cent of the conclusive builds that are good, never rounded up to all of them."""
        return self.good * 100 // self.conclusive if self.conclusive else None


def history(builds: Sequence[Build], most: int) -> History:
    """Sum up a builder's builds.

    Args:
        builds: The builds, newest first; one more than are shown, where there are older ones.
        most: How many are shown.
    """
    shown = tuple(builds[:most])
    passed = {each.revision for each in shown if each.revision and each.results in GOOD}
    failed = {each.revision for each in shown if each.revision and each.is_bad}
    return History(
        builds=shown,
        conclusive=sum(each.is_conclusive for each in shown),
        good=sum(each.results in GOOD for each in shown),
        flaky=frozenset(each for each in passed & failed if each),
        has_older=len(builds) > most,
    )

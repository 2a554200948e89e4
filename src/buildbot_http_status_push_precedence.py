"""Makes ``reporters.HttpStatusPush`` this package's class, whatever order a folder is listed in.

Buildbot registers the same plugin name, and of two distributions that offer a name it takes the
one that ``importlib.metadata`` finds first. This module puts this distribution first, by the
search's own extension point. It runs at every start of the interpreter: it stands beside the
package, whose import would cost as much again, and imports nothing but ``sys`` before somebody
searches.
"""

import sys

# The typing module would be the dearest part of the start; checkers know the name without it.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.metadata import Distribution, DistributionFinder
    from types import ModuleType

DISTRIBUTION = "buildbot-http-status-push"


class OwnDistributionFirst:
    """A meta-path finder that finds one distribution, ahead of all others, and no module.

    It adds nothing to a search: it yields what the same search yields further on.
    """

    def find_spec(
        self, fullname: str, path: "Sequence[str] | None", target: "ModuleType | None" = None
    ) -> None:
        """Find no module.

        Args:
            fullname: The module's name.
            path: Where to look for it.
            target: A module that is loaded anew.
        """

    def find_distributions(self, context: "DistributionFinder.Context") -> "Iterator[Distribution]":
        """Find this distribution when all are asked for, where that search looks.

        Args:
            context: The search, see ``importlib.metadata.DistributionFinder``.

        Yields:
            The first installation of this distribution on the search's path; nothing if there is
            none, or if one distribution is asked for by its name.
        """
        if context.name:
            return
        from importlib.metadata import Distribution

        same_search_by_name = {**vars(context), "name": DISTRIBUTION}
        for own in Distribution.discover(**same_search_by_name):
            yield own
            return


_FINDER = OwnDistributionFirst()


def install() -> None:
    """Put this distribution first from now on; a second call changes nothing.

    Called by the start-up files: ``.start`` (PEP 829) from Python 3.15 on, ``.pth`` before.
    """
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)

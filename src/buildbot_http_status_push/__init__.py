"""Buildbot's HttpStatusPush reporter with an outbox: each finished build arrives at least once."""

TYPE_CHECKING = False  # importing typing would cost more than all the rest at each start
if TYPE_CHECKING:
    from buildbot_http_status_push.reporter import HttpStatusPush

__all__ = ["HttpStatusPush", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import the reporter when it is asked for: it brings Buildbot and Twisted with it.

    Raises:
        AttributeError: There is no such name.
    """
    if name != "HttpStatusPush":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from buildbot_http_status_push.reporter import HttpStatusPush

    return HttpStatusPush

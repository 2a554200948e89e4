"""Checks options against this machine and this master's configuration: files, names, secrets.

Files are checked at checkconfig. Names of builders are known when the master has its whole
configuration, and secrets when its providers run: these are logged when the reporter starts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.logger import Logger

from buildbot_http_status_push.wire import tls
from buildbot_http_status_push.wire.tls_errors import TLSFileError

LOCALHOST = b"localhost"
SECRETS_LIMIT = 30.0


def file_faults(given: Mapping[str, Any]) -> list[str]:
    """Return which files of ``verify`` and ``cert`` can't be used.

    A relative path is left to the start: checkconfig may run in another folder than the master.
    """
    verify, cert = given.get("verify"), given.get("cert")
    if tls.faults(verify, cert):
        return []  # reported with the options' shapes
    files = [each for each in (verify, *_members(cert)) if not isinstance(each, bool | None)]
    if not all(Path(each).is_absolute() for each in files):
        return []
    try:
        tls.make_policy(verify, cert).creatorForNetloc(LOCALHOST, 443)
    except TLSFileError as trouble:
        return [str(trouble)]
    return []


def metrics_faults(place: object) -> Iterator[str]:
    """Return what is wrong with where metrics are to be served."""
    if place is None:
        return
    if find_spec("prometheus_client") is None:
        yield "metrics needs prometheus_client: pip install 'buildbot-http-status-push[metrics]'"
    try:
        if not isinstance(place, str):
            raise TypeError(f"it is a {type(place).__name__}")  # noqa: TRY301 - one way to report
        serverFromString(None, place)
    except Exception as why:  # an endpoint's parser may be anybody's
        yield (
            f"metrics is {place!r} ({why}): write where to listen, such as "
            "'tcp:9118:interface=127.0.0.1'"
        )


def _members(value: object) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def unmatched_names(generators: Iterable[Any], config: Any) -> Iterator[tuple[str, str]]:
    """Yield the filters' names that nothing in the master's configuration has.

    Yields:
        The option and the name. Branches are not looked at: any may come with a change.
    """
    builders = config.builders
    known = {
        "builders": {each.name for each in builders},
        "tags": {tag for each in builders for tag in each.tags or ()},
        "schedulers": set(config.schedulers),
    }
    for generator in generators:
        for option, names in known.items():
            for name in getattr(generator, option, None) or ():
                if isinstance(name, str) and name not in names:
                    yield option, name


def log_unmatched(reporter: Any, log: Logger) -> None:
    """Log which names of the filters nothing has, a line for each."""
    for option, name in unmatched_names(reporter.generators, reporter.master.config):
        log.warn(
            "{name}: {option} contains {value!r}, but this master's configuration has no such "
            "name: no status is sent for it",
            name=reporter.name,
            option=option,
            value=name,
        )


def log_unrendered(reporter: Any, log: Logger, target: Deferred[Any]) -> None:
    """Log what keeps secrets and other renderables from being rendered."""

    def not_rendered(failure: Any) -> None:
        log.error(
            "{name}: statuses cannot be sent until this is fixed: {trouble}",
            name=reporter.name,
            trouble=failure.getErrorMessage(),
        )

    target.addTimeout(SECRETS_LIMIT, reporter.master.reactor).addErrback(not_rendered)

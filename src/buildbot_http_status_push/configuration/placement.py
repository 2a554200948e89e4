"""Decides where a reporter's outbox is, and whether it is the whole cluster's.

Knows the master's folder and database; must not know what an outbox holds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from buildbot_http_status_push.configuration.rendering import (
    is_renderable,
    read_secret_files,
    render,
)
from buildbot_http_status_push.database import file_of, file_url, resolve
from buildbot_http_status_push.delivery.service import Placement

OUTBOX_FILE = "http_status_push.sqlite"
ALONE = "the only master"
"""A file's claims are its master's, whatever that is called after it was moved."""


async def place(master: Any, outbox: object) -> Placement:
    """Say where an outbox is.

    Raises:
        RenderingError: The URL can't be had now.
    """
    if outbox is False:
        return in_memory(master)
    url = _default(master) if outbox is None else await _rendered(master, outbox)
    if file_of(url) is None:
        return Placement(url, str(master.name), is_shared_by_all=True)
    return _of_one_master(master, url)


def in_memory(master: Any) -> Placement:
    """Return the place of an outbox that is nowhere else."""
    return _of_one_master(master, None)


def _of_one_master(master: Any, url: str | None) -> Placement:
    is_cluster = bool(master.config.multiMaster)
    owner = str(master.name) if is_cluster else ALONE
    return Placement(url, owner, is_shared_by_all=not is_cluster)


def _default(master: Any) -> str:
    """Return a file, or the database of a cluster's masters if that can be an outbox."""
    if master.config.multiMaster:
        of_buildbot = master.db.pool.engine.url
        if of_buildbot.get_backend_name() == "postgresql":
            return str(of_buildbot.render_as_string(hide_password=False))
    return file_url(Path(master.basedir) / OUTBOX_FILE)


async def _rendered(master: Any, outbox: object) -> str:
    if is_renderable(outbox):
        read_secret_files(master)
    url, _ = await render(master, outbox)
    return resolve(str(url), Path(master.basedir))

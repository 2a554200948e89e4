"""A real nginx on a free loopback port, with a folder and a configuration of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from support.programs import missing

PATIENCE = 30.0
ADDRESS = "<address>"

CONFIGURATION = """
daemon off;
{user}
pid nginx.pid;
error_log error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    {servers}
}}
"""

SERVER = """
    {upstream}
    server {{
        listen {address};
        {directives}
        {answer}
    }}
"""

TLS = """
        ssl_certificate {certificate};
        ssl_certificate_key {certificate};
"""

CLIENT_CERTIFICATES = """
        ssl_verify_client on;
        ssl_client_certificate {authorities};
"""


def find_nginx() -> str:
    """Return the path of nginx, or say how to get it."""
    # Not every user's search path has the folders of servers.
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise missing("nginx", "nginx-light")
    return found


NOTHING = "return 204;"

BOARDS = """
    upstream boards {{
        {servers}
    }}
"""

BALANCED = """
        location / {
            proxy_pass http://boards;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_next_upstream error timeout http_502 http_503 non_idempotent;
        }
"""


class Nginx:
    """An nginx that answers every request with 204, or hands it to one of several servers.

    Args:
        folder: A folder for its configuration, process id and log.
        ports: The servers' ports on loopback, if it is to hand requests on.
    """

    def __init__(self, folder: Path, ports: Sequence[int] = ()) -> None:
        self.port = 0
        self._ports = ports
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, certificate: Path | None, client_authorities: Path | None = None) -> None:
        """Start it, on the same port when it ran before.

        Args:
            certificate: A PEM file with a key, its certificate and the chain; None for HTTP.
            client_authorities: A PEM file with those whose clients are let in; None for all.
        """
        directives = TLS.format(certificate=certificate) if certificate else ""
        if client_authorities:
            directives += CLIENT_CERTIFICATES.format(authorities=client_authorities)
        servers = SERVER.format(
            address=f"{ADDRESS} ssl" if certificate else ADDRESS,
            directives=directives,
            upstream=self._upstream(),
            answer=BALANCED if self._ports else NOTHING,
        )
        self.start_with(servers)

    def start_with(self, servers: str) -> None:
        """Start it with servers of one's own.

        Args:
            servers: What stands in the configuration's part ``http``, where ``ADDRESS`` stands
                for what to listen on.
        """
        with socket.create_server(("127.0.0.1", self.port)) as listener:
            self.port = listener.getsockname()[1]
            here = servers.replace(ADDRESS, f"127.0.0.1:{self.port}")
            # Else it gives its rights up, and may not write into the folder.
            user = "user root;" if os.getuid() == 0 else ""
            text = CONFIGURATION.format(servers=here, user=user)
            (self._folder / "nginx.conf").write_text(text)
            self._process = self._run(listener)

    def _upstream(self) -> str:
        servers = "".join(f"server 127.0.0.1:{port};" for port in self._ports)
        return BOARDS.format(servers=servers) if self._ports else ""

    def _run(self, listener: socket.socket) -> subprocess.Popen[bytes]:
        # As in an update of its binary, nginx takes over a socket that listens already: the
        # port is free for sure, and whoever connects too early waits in the socket's queue.
        return subprocess.Popen(
            [find_nginx(), "-p", self._folder, "-c", "nginx.conf", "-e", "error.log"],
            env={**os.environ, "NGINX": f"{listener.fileno()};"},
            pass_fds=[listener.fileno()],
            stderr=subprocess.DEVNULL,  # the same lines are in the log
        )

    def stop(self) -> None:
        """End it, if it was started.

        Raises:
            ChildProcessError: It had ended by itself; the text is its log.
        """
        if self._process is None:
            return
        process, self._process = self._process, None
        ended_before = process.poll()
        process.terminate()
        process.wait(PATIENCE)
        if ended_before is not None:
            log = (self._folder / "error.log").read_text()
            raise ChildProcessError(f"nginx ended with {ended_before}: {log}")

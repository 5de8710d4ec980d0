"""Embedded servers: they start for anybody, keep what they were given, and leave nothing behind."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from local.embedded import identity, process
from local.embedded.embedded_server import EmbeddedError, Server
from local.embedded.postgres import Postgres
from local.embedded.process import Identity
from local.embedded.redis import Redis
from service import data_dir
from service.data_dir import AlreadyRunning
from tests.support.every import every
from tests.support.living import pid_lives
from tests.support.waiting import patience_s, wait_for

ROOT = Path(__file__).parents[2]
NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become others")

# A parent to kill: starts both servers, tells their pids, and waits.
PARENT = """
import json, sys, time
from pathlib import Path
from local.embedded.postgres import Postgres
from local.embedded.redis import Redis
folder = Path(sys.argv[1])
servers = [Postgres(folder / "postgresql", durable=False), Redis(folder / "redis")]
urls = [server.start() for server in servers]
print(json.dumps({"pids": [server.pid for server in servers], "urls": urls}), flush=True)
time.sleep(600)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A closed folder at a short path, as `.billing` is."""
    with tempfile.TemporaryDirectory(prefix="billing-test-") as name:
        yield Path(name)


@pytest.fixture
def postgres(folder: Path) -> Iterator[Postgres]:
    server = Postgres(folder / "postgresql", durable=False)
    yield server
    server.stop()


@pytest.fixture
def redis_server(folder: Path) -> Iterator[Redis]:
    server = Redis(folder / "redis")
    yield server
    server.stop()


def ask(postgres: Postgres, query: str) -> object:
    with psycopg.connect(postgres.url.replace("+psycopg", ""), autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def gone(*pids: int) -> bool:
    return not any(map(pid_lives, pids))


def test_postgres_keeps_its_data_port_and_password_from_start_to_start(
    postgres: Postgres,
) -> None:
    first = postgres.start()
    ask(postgres, "CREATE TABLE kept AS SELECT 7 AS number")
    postgres.stop()
    assert not postgres.alive
    assert postgres.start() == first
    assert ask(postgres, "SELECT number FROM kept") == 7


def test_postgres_in_production_survives_a_power_cut_by_its_settings(folder: Path) -> None:
    with Postgres(folder / "postgresql") as durable:
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            assert ask(durable, f"SHOW {name}") == "on"
        assert ask(durable, "SHOW data_checksums") == "on"
        ask(durable, "CREATE TABLE kept AS SELECT 7 AS number")
        durable.crash()
        durable.start()
        assert ask(durable, "SELECT number FROM kept") == 7


def test_redis_keeps_messages_and_refuses_rather_than_evicts(redis_server: Redis) -> None:
    client = redis.Redis.from_url(redis_server.start())
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert client.config_get("appendonly") == {"appendonly": "yes"}
    assert client.config_get("appendfsync") == {"appendfsync": "everysec"}
    client.rpush("payments", "message")
    redis_server.stop()
    assert redis_server.start()
    assert client.lrange("payments", 0, -1) == [b"message"]
    client.close()


def test_nobody_gets_in_without_the_password(postgres: Postgres, redis_server: Redis) -> None:
    postgres.start()
    redis_server.start()
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"postgresql://billing:wrong@127.0.0.1:{postgres.port}/billing")
    for user, password in ((None, None), (None, "wrong"), ("admin", redis_server.password)):
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=redis_server.port, username=user, password=password).ping()


@every(
    "command",
    [
        ["CONFIG", "SET", "dir", "/"],
        ["CONFIG", "REWRITE"],
        ["SHUTDOWN", "NOSAVE"],
        ["FLUSHALL"],
        ["FLUSHDB"],
        ["KEYS", "*"],
        ["MODULE", "LIST"],
        ["ACL", "LIST"],
        ["CLIENT", "KILL", "TYPE", "normal"],
        ["MONITOR"],
        ["REPLICAOF", "127.0.0.1", "1"],
        ["SCRIPT", "FLUSH"],
        ["FUNCTION", "FLUSH"],
        ["SAVE"],
    ],
    ids=" ".join,
)
def test_the_url_of_the_embedded_redis_administers_nothing(
    running_redis: Redis, command: list[str]
) -> None:
    with (
        redis.Redis.from_url(running_redis.url) as client,
        pytest.raises(redis.exceptions.NoPermissionError),
    ):
        client.execute_command(*command)


def test_the_url_of_the_embedded_redis_does_all_that_a_worker_does(running_redis: Redis) -> None:
    with redis.Redis.from_url(running_redis.url, client_name="billing") as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.info()["role"] == "master"
        assert client.register_script("return redis.call('LLEN', KEYS[1])")(keys=["payments"]) == 0
        with client.pubsub() as heard:
            heard.psubscribe("/0.celery.pidbox/*")
            client.publish("/0.celery.pidbox/x", "hello")


def test_the_owner_of_the_folder_may_do_everything(running_redis: Redis) -> None:
    with redis.Redis.from_url(running_redis.admin_url) as client:
        assert client.flushall()


@pytest.fixture(scope="module")
def running_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with Redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


def test_files_with_secrets_are_for_their_owner_only(
    folder: Path, postgres: Postgres, redis_server: Redis
) -> None:
    postgres.start()
    redis_server.start()
    secret = [*folder.glob("*/*password"), *folder.glob("*/redis.conf")]
    assert len(secret) == 4
    assert {path.stat().st_mode & 0o777 for path in secret} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o700}
    for server in (postgres, redis_server):
        for arguments in psutil.Process(server.pid).cmdline():
            assert server.password not in arguments
            assert redis_server.admin_password not in arguments


def test_a_taken_port_is_given_up_for_a_free_one(postgres: Postgres) -> None:
    postgres.start()
    port = postgres.port
    postgres.stop()
    with socket.socket() as other:
        # The last connections of the server that stopped may still be fading.
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        postgres.start()
        assert postgres.port != port
        assert ask(postgres, "SELECT 1") == 1


@pytest.mark.parametrize("kind", [Postgres, Redis])
def test_a_server_left_over_is_recognised_and_replaced(folder: Path, kind: type[Server]) -> None:
    left_over, successor = kind(folder / "server"), kind(folder / "server")
    try:
        left_over.start()
        pid = left_over.pid
        successor.start()
        assert gone(pid)
        assert successor.alive
    finally:
        successor.stop()
        left_over.stop()


@pytest.mark.parametrize("kind", [Postgres, Redis])
def test_another_program_that_was_given_the_old_pid_is_left_alone(
    folder: Path, kind: type[Server]
) -> None:
    server = kind(folder / "server")
    with subprocess.Popen(["sleep", "600"]) as other:
        try:
            server.start()
            server.crash()
            pid_file = next(folder.rglob("*.pid"), folder / "server/data/postmaster.pid")
            lines = pid_file.read_text().splitlines() if pid_file.exists() else []
            pid_file.write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
            server.start()
            assert server.alive
            assert other.poll() is None
        finally:
            server.stop()
            other.kill()


def test_a_start_interrupted_while_making_the_database_is_repaired(postgres: Postgres) -> None:
    postgres.folder.mkdir(mode=0o700)
    half_made = postgres.folder / "data.new"
    half_made.mkdir()
    (half_made / "PG_VERSION").write_text("18\n")
    postgres.start()
    assert ask(postgres, "SELECT 1") == 1
    assert not half_made.exists()


def test_data_of_another_major_version_is_not_touched(postgres: Postgres) -> None:
    postgres.data.mkdir(mode=0o700, parents=True)
    (postgres.data / "PG_VERSION").write_text("17\n")
    if os.geteuid() == 0:
        for path in (postgres.folder, postgres.data):
            os.chown(path, NOBODY, NOBODY)
    with pytest.raises(EmbeddedError, match="made by PostgreSQL 17"):
        postgres.start()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_servers_end_with_a_parent_that_is_killed(folder: Path, number: signal.Signals) -> None:
    with start_parent(folder) as parent:
        told = read_answer(parent)
        parent.send_signal(number)
        parent.wait(patience_s())
        wait_for(lambda: gone(*told["pids"]), what="both servers to be gone")
    with Redis(folder / "redis") as successor:  # and what they left starts again
        assert successor.alive


@as_root
def test_root_runs_postgres_as_somebody_else_and_opens_no_folder(folder: Path) -> None:
    closed = folder / "home"
    inner = closed / "project" / ".billing"
    inner.mkdir(parents=True)
    for path in (closed, closed / "project", inner):
        path.chmod(0o700)
    with Postgres(inner / "postgresql", durable=False) as server:
        assert psutil.Process(server.pid).uids().effective != 0
        assert ask(server, "SELECT 1") == 1
    for path in (closed, closed / "project", inner):
        assert (path.stat().st_mode & 0o777, path.stat().st_uid) == (0o700, 0)


@as_root
def test_root_runs_redis_as_somebody_else_and_opens_no_folder(folder: Path) -> None:
    inner = folder / "home" / ".billing"
    inner.mkdir(parents=True, mode=0o700)
    (folder / "home").chmod(0o700)
    with Redis(inner / "redis") as server:
        uids = psutil.Process(server.pid).uids()
        assert 0 not in (uids.real, uids.effective, uids.saved)
        with redis.Redis.from_url(server.url) as client:
            client.rpush("payments", "message")
        server.crash()
        server.start()
        with redis.Redis.from_url(server.url) as client:
            assert client.lrange("payments", 0, -1) == [b"message"]
    for path in (folder, folder / "home", inner):
        assert (path.stat().st_mode & 0o777, path.stat().st_uid) == (0o700, 0)


@as_root
def test_data_that_an_older_version_left_as_root_is_taken_over(folder: Path) -> None:
    server = Redis(folder / "redis")
    with server, redis.Redis.from_url(server.url) as client:
        client.rpush("payments", "message")
    for path in [server.folder, *server.folder.rglob("*")]:
        os.chown(path, 0, 0, follow_symlinks=False)
    with server, redis.Redis.from_url(server.url) as client:
        assert psutil.Process(server.pid).uids().effective != 0
        assert client.lrange("payments", 0, -1) == [b"message"]


def test_a_server_that_is_not_installed_is_told_with_the_way_to_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("local.embedded.redis.find_spec", lambda _: None)
    monkeypatch.setattr("local.embedded.postgres.find_spec", lambda _: None)
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho Redis server v=6.2.14 sha=0 bits=64\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    told = rf"make up.*BILLING_BROKER_URL; {old} is of version 6, and 7 is needed"
    with pytest.raises(EmbeddedError, match=told):
        Redis(tmp_path / "redis")
    old.write_text("#!/bin/sh\necho Redis server v=7.0.15 sha=0 bits=64\n")
    assert Redis(tmp_path / "redis").program == str(old)
    with pytest.raises(EmbeddedError, match=r"make up.*BILLING_DATABASE_URL"):
        Postgres(tmp_path / "postgresql")


@as_root
def test_programs_below_a_closed_home_are_found(folder: Path) -> None:
    server = Postgres(folder / "postgresql", durable=False)
    server.programs = copy_of_programs(server.programs, folder / "venv")
    folder.chmod(0o700)
    try:
        server.start()
        assert Path(psutil.Process(server.pid).exe()).is_relative_to(folder)
    finally:
        server.stop()


@as_root
@pytest.mark.parametrize("capability", [identity.CAP_DAC_OVERRIDE, None])
def test_with_fewer_powers_root_finds_another_way(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capability: int | None
) -> None:
    # As in a container that withholds one capability, or all of them.
    allowed = [each for each in identity._candidates() if works_with(each, capability)]
    monkeypatch.setattr(identity, "_candidates", lambda: iter(allowed))
    with Postgres(folder / "postgresql", durable=False) as server:
        assert psutil.Process(server.pid).name() == "postgres"
        assert server._identity is not None
        assert server._identity.user_namespace == (capability is None)
        assert ask(server, "SELECT 1") == 1


def test_when_no_way_is_left_the_error_says_what_to_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "_candidates", lambda: iter([]))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(EmbeddedError, match="set BILLING_DATABASE_URL"):
        identity.choose(
            folder,
            what="PostgreSQL",
            probe=["/bin/true"],
            otherwise="set BILLING_DATABASE_URL",
            initialised=False,
        )


@as_root
@pytest.mark.parametrize("uid", [NOBODY, 54321], ids=["nobody", "a user without a name"])
def test_an_ordinary_user_needs_no_powers(folder: Path, uid: int) -> None:
    os.chown(folder, uid, uid)
    # Only so that it gets at this Python, which may lie in root's home.
    powers = (identity.CAP_DAC_READ_SEARCH,)
    with start_parent(folder, Identity(uid, uid, powers)) as parent:
        told = read_answer(parent)
        owners = {psutil.Process(pid).uids().real for pid in told["pids"]}
        assert owners == {uid}
        parent.terminate()
        wait_for(lambda: gone(*told["pids"]), what="both servers to be gone")


@as_root
def test_data_of_another_user_is_used_as_that_user(folder: Path) -> None:
    server = Postgres(folder / "postgresql", durable=False)
    server.start()
    server.stop()
    for path in [server.folder, *server.folder.rglob("*")]:
        os.chown(path, 54321, 54321, follow_symlinks=False)
    with server:
        assert psutil.Process(server.pid).uids().effective == 54321


def test_a_folder_has_one_owner_at_a_time(folder: Path) -> None:
    with (
        data_dir.locked(folder),
        pytest.raises(AlreadyRunning) as refused,
        data_dir.locked(folder),
    ):
        pass
    assert f"pid {os.getpid()}" in str(refused.value)
    with data_dir.locked(folder):
        pass


def test_a_program_that_does_not_start_shows_its_log(redis_server: Redis) -> None:
    (redis_server.folder / "data").mkdir(parents=True)
    (redis_server.folder / "data" / "appendonly.aof").write_text("not an append-only file\n" * 9)
    (redis_server.folder / "data" / "appendonlydir").mkdir()
    (redis_server.folder / "data" / "appendonlydir" / "appendonly.aof.manifest").write_text("no\n")
    with pytest.raises(EmbeddedError, match=r"Redis did not start in .*\n(.*\n)*.*AOF"):
        redis_server.start()


def start_parent(folder: Path, user: Identity | None = None) -> "subprocess.Popen[bytes]":
    return process.spawn(
        [sys.executable, "-c", PARENT, str(folder)],
        death_signal=signal.SIGKILL,
        identity=user,
        environ={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        folder=Path("/"),
        output=subprocess.PIPE,
    )


def read_answer(parent: "subprocess.Popen[bytes]") -> dict[str, list[int]]:
    assert parent.stdout is not None
    said = b""
    for line in parent.stdout:
        said += line
        if line.startswith(b"{"):
            answer: dict[str, list[int]] = json.loads(line)
            return answer
    raise AssertionError(said.decode())


def copy_of_programs(programs: Path, to: Path) -> Path:
    """The same files in another place, by hard links where the disk allows."""
    package = programs.parents[1]
    for source in package.parent.glob(f"{package.name}*"):
        shutil.copytree(source, to / source.name, copy_function=link_or_copy, symlinks=True)
    return to / programs.relative_to(package.parent)


def link_or_copy(source: str, to: str) -> None:
    try:
        os.link(source, to)
    except OSError:
        shutil.copy2(source, to)


def works_with(candidate: Identity, capability: int | None) -> bool:
    if candidate.user_namespace:
        return True
    return capability is not None and set(candidate.capabilities) == {capability}

"""`billing up`: one per folder, everything running, and nothing left when it ends."""

import json
import os
import re
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import redis

from tests.conftest import environ_for
from tests.support.living import named, none_lives
from tests.support.programs import Program, Programs
from tests.support.waiting import wait_for

PROCFILE = f"""
first: {sys.executable} -c "import time; print('first works', flush=True); time.sleep(600)"
deaf: {sys.executable} -c "import signal, time; signal.signal(15, signal.SIG_IGN); \
print('deaf works', flush=True); time.sleep(600)"
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="billing-test-") as name:
        yield Path(name)


@pytest.fixture
def here(folder: Path, start_programs: Callable[..., Programs]) -> Programs:
    """Programs that know no URL, only the folder."""
    environ = environ_for("", "", folder)
    return start_programs({**environ, "BILLING_DRAIN_S": "0.1", "BILLING_LOG_FORMAT": "console"})


@pytest.fixture
def launch_up(here: Programs, folder: Path) -> Callable[..., Program]:
    """`billing up` with two small processes, one of which does not want to end.

    Tests that aren't about embedded servers give it the URL of one that runs: it starts faster.
    """
    procfile = folder / "Procfile"
    procfile.write_text(PROCFILE)
    command = [sys.executable, "-m", "cli", "up", "--procfile", str(procfile)]

    def launch(**environ: str) -> Program:
        up = here.launch("up", command=command, **environ)
        up.wait_until("first works")
        up.wait_until("deaf works")
        return up

    return launch


def family(up: Program) -> list[psutil.Process]:
    return psutil.Process(up.pid).children(recursive=True)


def test_a_stop_ends_everything_even_what_does_not_want_to(
    here: Programs, launch_up: Callable[..., Program]
) -> None:
    up = launch_up()
    children = family(up)
    assert re.search(
        r"\b(postgres|redis-server|valkey-server)\b", " ".join(named(children).values())
    )
    assert up.stop() == 0
    wait_for(lambda: none_lives(children), what="everything to be gone")
    assert "deaf     | does not end by itself, killing it" in up.output
    assert up.output.rstrip().endswith("stopped")
    refused = here.run("migrate")
    assert refused.returncode == 1
    assert "start it with `billing up`, or set BILLING_DATABASE_URL" in refused.stderr


def test_a_second_one_in_the_folder_says_so_and_stops(
    here: Programs, launch_up: Callable[..., Program], database_url: str, redis_url: str
) -> None:
    up = launch_up(BILLING_DATABASE_URL=database_url, BILLING_BROKER_URL=redis_url)
    second = here.run("up")
    assert second.returncode == 1
    assert f"already runs in {here.environ['BILLING_DATA_DIR']} (pid {up.pid})" in second.stderr
    assert up.alive


def test_other_commands_find_its_servers(
    here: Programs, folder: Path, launch_up: Callable[..., Program]
) -> None:
    launch_up()
    found = here.run("migrate", "--json")
    assert json.loads(found.stdout) == {"applied": []}
    announcement = folder / "data" / "running.json"
    assert announcement.stat().st_mode & 0o777 == 0o600


def test_it_says_what_to_copy_and_last_that_all_is_ready(
    here: Programs, launch_up: Callable[..., Program], database_url: str
) -> None:
    up = launch_up(BILLING_DATABASE_URL=database_url)
    up.wait_until("all ready")
    assert "Ctrl-C stops everything\n\nbilling  | all ready\n" in up.output
    assert f"export BILLING_DATA_DIR={here.environ['BILLING_DATA_DIR']}" in up.output
    url = here.run("url").stdout.strip()
    redis.Redis.from_url(url).ping()
    assert (urlsplit(url).password or "?") not in up.output  # it goes to a file


def test_an_endpoint_on_this_machine_may_be_added(
    here: Programs, launch_up: Callable[..., Program]
) -> None:
    launch_up()
    url = "http://127.0.0.1:18999/hooks"
    added = here.run("endpoint", "add", url, "--json")
    assert json.loads(added.stdout)["url"] == url


def test_killed_it_leaves_nothing_and_the_next_one_goes_on(
    launch_up: Callable[..., Program],
) -> None:
    up = launch_up()
    children = family(up)
    up.kill()
    wait_for(lambda: none_lives(children), what="everything to be gone")
    again = launch_up()
    assert "database brought up to date" not in again.output  # it found its data


def test_a_killed_process_and_a_killed_server_come_back(
    folder: Path, launch_up: Callable[..., Program], database_url: str
) -> None:
    up = launch_up(BILLING_DATABASE_URL=database_url)
    (victim,) = (child for child, runs in named(family(up)).items() if "first works" in runs)
    victim.kill()
    up.wait_until(r"first +\| ended \(SIGKILL\), starting again")
    wait_for(lambda: up.output.count("first works") == 2, what="the process to be back")
    before = (folder / "data" / "redis" / "port").read_text()
    os.kill(int((folder / "data" / "redis" / "server.pid").read_text()), signal.SIGKILL)
    up.wait_until("Redis has ended, starting it again")
    wait_for(lambda: "-server" in " ".join(named(family(up)).values()), what="Redis again")
    assert (folder / "data" / "redis" / "port").read_text() == before


def test_a_stop_while_it_starts_is_heeded(here: Programs) -> None:
    up = here.launch("up", command=[sys.executable, "-m", "cli", "up"])
    up.wait_until("starting PostgreSQL")
    assert up.stop() == 0
    assert up.output.rstrip().endswith("stopped")


def test_a_port_that_somebody_has_is_refused_before_anything_starts(
    here: Programs, folder: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        port = somebody.getsockname()[1]
        here.environ["BILLING_HTTP_PORT"] = str(port)
        refused = here.run("up")
    assert refused.returncode == 1
    assert f"port {port} of 127.0.0.1 is taken by another service" in refused.stderr
    assert re.search(r"such as BILLING_HTTP_PORT=80\d\d\n$", refused.stderr)
    assert refused.stdout == ""
    assert not list((folder / "data").glob("*/"))


def test_web_at_any_port_is_found(
    here: Programs, database_url: str, redis_url: str, folder: Path
) -> None:
    procfile = folder / "Procfile"
    procfile.write_text("web: python -m api\n")
    up = here.launch(
        "up",
        command=[sys.executable, "-m", "cli", "up", "--procfile", str(procfile)],
        BILLING_HTTP_PORT="0",
        BILLING_DATABASE_URL=database_url,
        BILLING_BROKER_URL=redis_url,
    )
    up.wait_until("all ready")
    (port,) = re.findall(r"export BILLING_URL=http://127.0.0.1:(\d+)", up.output)
    assert re.search(rf"listening .*url=http://127.0.0.1:{port}\n", up.output)


def test_a_missing_procfile_is_named(here: Programs) -> None:
    refused = here.run("up", "--procfile", "no-such-file")
    assert refused.returncode == 1
    assert "no-such-file" in refused.stderr

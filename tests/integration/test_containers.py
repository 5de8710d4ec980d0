"""What a container does: `billing run ROLE`, secrets from files, `billing healthcheck`."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from local.supervisor import parse_procfile
from service.process import life
from tests.support.children import run
from tests.support.command import Billing
from tests.support.ports import free_port
from tests.support.programs import READY, ROOT, Programs
from tests.support.waiting import patience_s, wait_for

RUN = ("worker", "webhooks", "beat", "web")


@pytest.fixture
def container(environ: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The environment of one: its URL and key in files, a folder for signs, a port."""
    secrets = {}
    for name in ("BILLING_DATABASE_URL", "BILLING_ENCRYPTION_KEYS"):
        path = tmp_path / name.lower()
        path.write_text(environ.pop(name) + "\n")
        secrets[f"{name}_FILE"] = str(path)
    more = {"BILLING_RUN_DIR": str(tmp_path / "run"), "BILLING_HTTP_PORT": str(free_port())}
    return environ | secrets | more


@pytest.fixture
def healthcheck(
    container: dict[str, str], billing: Billing, monkeypatch: pytest.MonkeyPatch
) -> Billing:
    for name in ("BILLING_DATABASE_URL", "BILLING_ENCRYPTION_KEYS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in container.items():
        if name.startswith("BILLING_"):
            monkeypatch.setenv(name, value)
    return lambda *arguments: billing("healthcheck", *arguments)


def test_every_role_runs_and_tells_that_it_works(
    start_programs: Callable[..., Programs], container: dict[str, str], healthcheck: Billing
) -> None:
    folder = Path(container["BILLING_RUN_DIR"])
    programs = start_programs(container)
    command = [sys.executable, "-m", "cli", "run"]
    options = {"worker": ["--hostname", "payments@one"]}
    started = {
        role: programs.launch(role, command=[*command, role, *options.get(role, ())])
        for role in RUN
    }
    for role, program in started.items():
        program.wait_until(READY[role])
    became = psutil.Process(started["worker"].pid).cmdline()
    assert became[-2:] == options["worker"], "signals reach Celery itself, with its options"
    assert "cli" not in became
    # The first sign is left at the start, so it is a later one that shows that they work. It may
    # come before anybody could have found the old one.
    for role in ("worker", "webhooks", "beat"):
        os.utime(folder / role, (0, 0))
        wait_for(lambda role=role: healthcheck(role).code == 0, what=f"a sign of {role}")
    answer = healthcheck()
    assert answer.code == 0, answer
    for role in RUN:
        assert role in answer.out
    assert started["web"].stop() == 0
    gone = healthcheck("web")
    assert (gone.code, gone.out) == (1, "")
    assert "web does not answer" in gone.err
    assert "hunter" not in gone.err


def test_a_process_that_gives_no_sign_any_more_does_not_work(
    healthcheck: Billing, container: dict[str, str]
) -> None:
    folder = Path(container["BILLING_RUN_DIR"])
    assert "none was started here" in healthcheck().err
    assert "has left no sign" in healthcheck("beat").err
    life.leave(folder, "worker")
    assert healthcheck().code == 0
    then = time.time() - life.LIMIT_S - 5
    os.utime(folder / "worker", (then, then))
    dead = healthcheck()
    assert dead.code == 1
    assert "worker gave its last sign of life 6" in dead.err


def test_what_is_asked_of_it_in_vain_is_said(
    healthcheck: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "there is no process 'shop'; there are worker," in healthcheck("shop").err
    monkeypatch.setenv("BILLING_HTTP_PORT", "0")
    assert "BILLING_HTTP_PORT must be set" in healthcheck("web").err
    monkeypatch.delenv("BILLING_RUN_DIR")
    assert "set BILLING_RUN_DIR" in healthcheck().err
    assert "set BILLING_RUN_DIR" in healthcheck("worker").err


def test_run_refuses_before_it_starts_anything(container: dict[str, str], tmp_path: Path) -> None:
    def refused(role: str, **environ: str) -> str:
        ended = run(
            [sys.executable, "-m", "cli", "run", role],
            env=container | environ,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=patience_s(),
            check=False,
        )
        assert ended.returncode == 1
        assert "Traceback" not in ended.stderr
        return str(ended.stderr)

    assert "there is no process 'shop'; there are worker, webhooks, web" in refused("shop")
    (tmp_path / "file").write_text("")
    said = refused("worker", BILLING_RUN_DIR=str(tmp_path / "file"))
    assert "BILLING_RUN_DIR must be a folder that may be written to" in said


def test_healthcheck_knows_every_process_of_the_procfile() -> None:
    from cli.processes.healthcheck import ROLES

    assert set(ROLES) == set(parse_procfile((ROOT / "Procfile").read_text()))

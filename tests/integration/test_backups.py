"""A copy of the database is restored elsewhere, and proved by `billing verify`."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, make_url, text

from local.embedded.postgres import programs
from tests.support import children
from tests.support.acting import Database
from tests.support.counter import counter
from tests.support.ledger import seal_all
from tests.support.waiting import patience_s

SCRIPTS = Path(__file__).parents[2] / "deploy" / "backup"
Script = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def script(environ: dict[str, str]) -> Script:
    """Run one of the scripts with the PostgreSQL that is tested with."""

    def run(name: str, *arguments: object, **more: str) -> "subprocess.CompletedProcess[str]":
        path = f"{programs()}:{environ['PATH']}"
        return children.run(
            [sys.executable, str(SCRIPTS / name), *map(str, arguments)],
            env={**environ, "PATH": path, **more},
            capture_output=True,
            text=True,
            timeout=2 * patience_s(),
            check=False,
        )

    return run


def trade(engine: Engine, *, first: int = 0) -> None:
    with counter(engine) as till:
        charges = [till.charge(idempotency_key=f"order-{first + n}") for n in range(5)]
        till.refund(charges[0]["id"], amount=100)
        till.charge(payment_method_id="pm_card_chargeDeclined")


def counts(engine: Engine) -> tuple[object, ...]:
    with engine.connect() as connection:
        return tuple(
            connection.execute(
                text(
                    "SELECT (SELECT count(*) FROM charges), (SELECT count(*) FROM refunds),"
                    " (SELECT count(*) FROM events), (SELECT sum(amount) FROM charges)"
                )
            ).one()
        )


def test_what_was_copied_is_restored_and_proved(
    engine: Engine, empty_database_url: str, script: Script, tmp_path: Path
) -> None:
    trade(engine)
    seal_all(Database(engine))
    made = script("dump.py", tmp_path)
    assert made.returncode == 0, made.stderr
    copy = Path(made.stdout.strip())
    assert copy.stat().st_mode & 0o077 == 0, "it holds what was asked for"
    restored = script("restore.py", copy, BILLING_DATABASE_URL=empty_database_url)
    assert restored.returncode == 0, restored.stdout + restored.stderr
    assert "all promises are kept" in restored.stdout
    there = create_engine(empty_database_url)
    try:
        assert counts(there) == counts(engine)
    finally:
        there.dispose()
    again = script("restore.py", copy, BILLING_DATABASE_URL=empty_database_url)
    assert (again.returncode, again.stdout) == (1, "")
    assert "has tables already" in again.stderr


def test_only_the_last_copies_are_kept_and_none_is_lost_to_a_failure(
    engine: Engine, script: Script, tmp_path: Path
) -> None:
    years = (2025, 2026, 2098, 2099)  # the clock was ahead once
    old = [tmp_path / f"billing-{year}0101T000000Z.dump" for year in years]
    for path in old:
        path.write_text("")
    (tmp_path / "notes.txt").write_text("of somebody")
    nowhere = engine.url.set(database="nowhere").render_as_string(hide_password=False)
    failed = script("dump.py", tmp_path, "--keep", 1, BILLING_DATABASE_URL=nowhere)
    assert failed.returncode == 1
    assert "pg_dump failed" in failed.stderr
    assert all(path.exists() for path in old)
    made = script("dump.py", tmp_path, "--keep", 2)
    copy = Path(made.stdout.strip())
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [old[-1].name, copy.name, f"{copy.name}.sha256", "notes.txt"]
    )


def test_what_a_killed_copy_left_behind_is_swept_by_the_next(
    script: Script, tmp_path: Path
) -> None:
    left, other = (tmp_path / f"billing-2026010{n}T000000Z.partial" for n in (1, 2))
    for path in (left, other):
        path.write_text("half of one")
    a_day_ago = time.time() - 25 * 3600
    os.utime(left, (a_day_ago, a_day_ago))
    made = script("dump.py", tmp_path)
    assert made.returncode == 0, made.stderr
    assert not left.exists()
    assert other.exists(), "somebody may be at it"


def test_a_copy_that_was_changed_is_not_restored(
    engine: Engine, empty_database_url: str, script: Script, tmp_path: Path
) -> None:
    copy = Path(script("dump.py", tmp_path).stdout.strip())
    with copy.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"?")
    refused = script("restore.py", copy, BILLING_DATABASE_URL=empty_database_url)
    assert refused.returncode == 1
    assert "is not what was written" in refused.stderr
    missing = script("restore.py", tmp_path / "none.dump")
    assert "is not there" in missing.stderr


def test_no_password_is_told(script: Script, tmp_path: Path) -> None:
    url = make_url("postgresql://u:hunter2@127.0.0.1:1/billing")
    given = url.render_as_string(hide_password=False)
    failed = script("dump.py", tmp_path, BILLING_DATABASE_URL=given)
    assert failed.returncode == 1
    assert "hunter2" not in failed.stdout + failed.stderr
    unset = script("dump.py", tmp_path, BILLING_DATABASE_URL="")
    assert "BILLING_DATABASE_DIRECT_URL or BILLING_DATABASE_URL must be set" in unset.stderr

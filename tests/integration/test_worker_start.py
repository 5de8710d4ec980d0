"""A worker at its start: it waits for the database, and says where that can't help."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import make_url

from local.embedded.throwaway import Servers
from tests.conftest import environ_for
from tests.support import databases
from tests.support.programs import Programs
from tests.support.waiting import wait_for


@pytest.mark.parametrize("name", ["worker", "beat"])
def test_a_database_that_does_not_exist_is_refused_in_one_line(
    name: str,
    database_url: str,
    redis_url: str,
    tmp_path: Path,
    start_programs: Callable[..., Programs],
) -> None:
    nowhere = make_url(database_url).set(database="nowhere").render_as_string(hide_password=False)
    program = start_programs(environ_for(nowhere, redis_url, tmp_path)).launch(name)
    assert program.end_of_itself() == 1
    assert program.output.rstrip().endswith(
        'database "nowhere" does not exist; see BILLING_DATABASE_URL'
    )
    assert "Traceback" not in program.output


@pytest.mark.parametrize("role", ["worker", "webhooks", "beat"])
def test_who_waits_for_the_database_lives_meanwhile_and_leaves_when_told(
    role: str, own_servers: Servers, tmp_path: Path, start_programs: Callable[..., Programs]
) -> None:
    """No restart helps, so nobody may restart it for that."""
    with databases.fresh(own_servers.postgres) as url:
        environ = environ_for(url, own_servers.redis.url, tmp_path)
        own_servers.postgres.stop()
        try:
            program = start_programs(environ | {"BILLING_RUN_DIR": str(tmp_path)}).launch(role)
            program.wait_until("database unavailable")
            sign = tmp_path / role
            wait_for(sign.exists, what="a sign of life")
            os.utime(sign, (0, 0))
            wait_for(lambda: sign.stat().st_mtime > 0, what="a later sign of life")
            assert program.stop() == 0
        finally:
            own_servers.postgres.start()

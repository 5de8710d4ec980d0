"""A worker at its start: where waiting for the database can't help, it says so and ends."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.conftest import environ_for
from tests.support.programs import Programs


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

"""A trip to the database whose answer gets lost: repeated where that is safe, else told."""

import asyncio

import pytest
from sqlalchemy import Engine, text

from api.database import Database
from api.edge.problems import DatabaseUnavailable
from payments.transaction import Transaction, wakes_nothing


class Till:
    """Writes a row, and cuts its own connection the first time: before or after it has written."""

    def __init__(self, engine: Engine, *, dies_before: bool) -> None:
        self._engine = engine
        self._dies_before = dies_before
        self.runs = 0

    def __call__(self, transaction: Transaction) -> int:
        self.runs += 1
        pid = transaction.execute(text("SELECT pg_backend_pid()")).scalar_one()
        if self.runs == 1 and self._dies_before:
            self._cut(pid)
            transaction.execute(text("SELECT 1"))  # finds out
        transaction.execute(text("INSERT INTO noted VALUES (1)"))
        if self.runs == 1:
            self._cut(pid)  # the COMMIT finds out, and nobody knows how it ended
        return self.runs

    def _cut(self, pid: int) -> None:
        with self._engine.connect() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})


@pytest.mark.parametrize(
    ("idempotent", "dies_before", "runs"),
    [(True, True, 2), (True, False, 2), (False, True, 2), (False, False, 1)],
)
def test_what_may_have_been_committed_is_repeated_only_if_twice_is_once(
    engine: Engine, idempotent: bool, dies_before: bool, runs: int
) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE noted (n int)"))
    till = Till(engine, dies_before=dies_before)

    async def story() -> int | None:
        database = Database(engine.url.render_as_string(hide_password=False), wakes_nothing)
        try:
            return await database.transaction(till, idempotent=idempotent)
        except DatabaseUnavailable:
            return None
        finally:
            await database.close()

    told = asyncio.run(story())
    assert till.runs == runs
    assert told == (runs if runs == 2 else None)

"""The real web process, which ends itself at a named point, once.

Started as `python -m tests.crash.crashing_web`; tests/crash/points.py says how it dies.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from api import app_state
from api.app_state import AppState
from api.database import Database
from api.http_server import serve
from payments.transaction import Transaction, Wakes
from service.broker.consumers import Readers
from service.broker.publisher import Publisher
from service.settings import load
from tests.crash.points import die_at
from worker.app import app

T = TypeVar("T")


class MortalDatabase(Database):
    async def transaction(self, run: Callable[[Transaction], T], **options: Any) -> T:
        def to_its_end(transaction: Transaction) -> T:
            answer = run(transaction)
            die_at("accepting")  # All is written, nothing committed.
            return answer

        answer = await super().transaction(to_its_end, **options)
        die_at("committed")  # Nobody is answered.
        return answer

    async def at_once(self, run: Callable[[Transaction], T]) -> T | None:
        def to_its_end(transaction: Transaction) -> T:
            answer = run(transaction)
            die_at("written_at_once")  # That was the commit; nobody is woken or answered.
            return answer

        return await super().at_once(to_its_end)


class MortalPublisher(Publisher):
    """Called by the request itself and not by a thread: nobody is answered before it dies."""

    def __call__(self, wakes: Wakes) -> None:
        die_at("accepted")
        super().__call__(wakes)
        die_at("woken")


def main() -> None:
    app_state.Database = MortalDatabase  # type: ignore[misc]
    settings = load()
    serve(settings, AppState(settings, MortalPublisher(app), lambda: Readers({})))


if __name__ == "__main__":
    main()

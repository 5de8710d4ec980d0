"""How long a probe waits for a broker that says nothing."""

import asyncio
import threading
from typing import Any, cast

from api.database import Database
from api.edge.problems import DatabaseUnavailable
from api.readiness import FRESH_S, Readiness
from service.broker.celery_config import PAYMENTS
from service.broker.consumers import Readers


class NoDatabase:
    """Answers nobody."""

    async def read(self, _: object) -> Any:
        raise DatabaseUnavailable


def test_a_silent_broker_holds_up_no_probe_and_is_heard_by_a_later_one() -> None:
    answered = threading.Event()

    def ask_workers() -> Readers:
        answered.wait()
        return Readers({PAYMENTS: ["payments@one"]})

    async def look() -> tuple[dict[str, Any], dict[str, Any]]:
        readiness = Readiness(cast(Database, NoDatabase()), ask_workers)
        first = (await readiness.look()).view()
        answered.set()
        while not (state := (await readiness.look()).view())["checks"]["broker"]["ok"]:  # noqa: ASYNC110  # it is asked, as probes do
            await asyncio.sleep(FRESH_S / 10)
        return first, state

    first, later = asyncio.run(look())
    assert "has not answered within 0.5 s" in first["checks"]["broker"]["detail"]
    assert first["checks"]["worker"]["ok"] is False
    assert later["checks"]["worker"] == {"ok": True, "detail": "payments@one"}

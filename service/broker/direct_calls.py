"""Wake-ups without the broker: for drainers that listen at the database."""

import time
from collections.abc import Callable

from sqlalchemy import Engine

from payments.transaction import Wakes
from payments.webhooks.draining import listening
from service import log

logger = log.get(__name__)

# After a failure the database is not asked for this long: each try may take its whole timeout.
DATABASE_DOWN_S = 1.0


class DirectCalls:
    """Wakes like `publish`, but wakes listening drainers directly. Call it after the commit that
    makes something due. Never raises, like `publish`."""

    def __init__(self, engine: Callable[[], Engine], publish: Callable[[Wakes], None]) -> None:
        self._engine = engine
        self._telling: Engine | None = None
        self._publish = publish
        self._down_until = 0.0

    def __call__(self, wakes: Wakes) -> None:
        if wakes.charges or wakes.refunds:  # first: for these nothing is asked
            self._publish(Wakes(charges=wakes.charges, refunds=wakes.refunds))
        if wakes.endpoints and (endpoints := self._unheard(wakes.endpoints)):
            self._publish(Wakes(endpoints=endpoints))

    def _unheard(self, endpoints: set[str]) -> set[str]:
        if time.monotonic() < self._down_until:
            return endpoints
        try:
            if self._telling is None:
                self._telling = self._engine().execution_options(isolation_level="AUTOCOMMIT")
            with self._telling.connect() as connection:
                return listening.tell(connection, endpoints)
        # Not only errors of the database: any error raised here would end the waking thread.
        except Exception as error:  # noqa: BLE001
            self._down_until = time.monotonic() + DATABASE_DOWN_S
            logger.debug("drainers could not be told directly", error=type(error).__name__)
            return endpoints

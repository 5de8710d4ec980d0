"""Wake-up calls past the broker: to drainers that listen at the database."""

import time
from collections.abc import Callable

from sqlalchemy import Engine

from payments.transaction import Wakes
from payments.webhooks.draining import listening
from service import log

logger = log.get(__name__)

# After the database could not be asked, this long it isn't: each time may take its whole timeout.
DATABASE_DOWN_S = 1.0


class DirectCalls:
    """Wakes as `publish` does, but for drainers that listen. To be called once what they are called
    for is committed. Never raises, as `publish` never does."""

    def __init__(self, engine: Callable[[], Engine], publish: Callable[[Wakes], None]) -> None:
        self._engine = engine
        self._telling: Engine | None = None
        self._publish = publish
        self._down_until = 0.0

    def __call__(self, wakes: Wakes) -> None:
        if wakes.charges or wakes.refunds:  # first: for them nothing is asked
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
        # Not only errors of the database: one that is raised here would end the thread that wakes.
        except Exception as error:  # noqa: BLE001
            self._down_until = time.monotonic() + DATABASE_DOWN_S
            logger.debug("drainers could not be told directly", error=type(error).__name__)
            return endpoints

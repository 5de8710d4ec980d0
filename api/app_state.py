"""What the routes share: one of each, created when the process starts."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from api.database import Database
from api.edge.hosts import Hosts
from api.edge.keyring import Keyring
from api.edge.rate_limits import Limits
from api.hearing import Hearing
from api.http_intake import Intake
from api.readiness import Readiness
from payments.lifecycle.settlement import policies_of
from payments.processors.statements import statements_of
from payments.webhooks.target import TargetCheck
from service.broker.consumers import Readers
from service.broker.publisher import Waker
from service.console_settings import ConsoleSettings
from service.metrics import counting
from service.settings import Settings
from service.wiring import processors, vault


class AppState:
    """Nothing connects before it is used.

    `waker` is called after each commit, and returns at once. `ask_workers` returns the readers of
    each queue; it may block.
    """

    def __init__(
        self,
        settings: Settings,
        waker: Waker,
        ask_workers: Callable[[], Readers],
    ) -> None:
        self.database = Database(settings.database_url, waker, count=counting.moved)
        self._waker = waker
        self.processors = named = processors(settings)
        wait = timedelta(seconds=settings.customer_wait_s)
        self.policies = policies_of(named, customer_wait=wait)
        self.call_deadline_s = settings.call_deadline_s
        self.hearing = Hearing()
        self.livemode = named[named.default].livemode
        self.money_limits = named.limits
        self.intake = Intake(self.database, processors=named)
        self.keyring = Keyring(self.database)
        self.readiness = Readiness(self.database, ask_workers)
        self.statements = statements_of(named)
        self.limits = Limits(settings)
        self.access_log = settings.http_access_log
        self.hosts = Hosts(settings.http_hosts, listening=settings.http_host)
        self.target_check = TargetCheck(settings.webhook_allow_private)
        self.vault = vault(settings)
        self.console: ConsoleSettings = settings

    def stop_waiting(self) -> None:
        """Release requests that wait for a final state; they are answered with the present one."""
        self.intake.waiters.stop()

    async def close(self) -> None:
        """Close the database, and publish the remaining wake-ups."""
        self.hearing.close()
        await self.database.close()
        await asyncio.to_thread(self._waker.close)

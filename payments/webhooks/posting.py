"""Posts to one endpoint: what is sent, and what is to be recorded of each answer."""

from collections.abc import Callable
from typing import NamedTuple

import structlog

from infra.billing.contract import retry_after
from infra.billing.contract.signatures import key_of, signed_headers
from payments.webhooks import schedule
from payments.webhooks.drains import DrainBatch, Due, Record
from payments.webhooks.post import Answer, Client

log = structlog.get_logger(__name__)


class Answered(NamedTuple):
    due: Due
    answer: Answer
    started_at: float  # on the loop's clock


class Poster:
    """Signs and posts deliveries to an endpoint as it is now. `clock` gives seconds since the
    epoch, `dice` floats in [0, 1)."""

    def __init__(
        self, client: Client, *, clock: Callable[[], float], dice: Callable[[], float]
    ) -> None:
        self._client, self._clock, self._dice = client, clock, dice
        self._url = ""
        self._secrets: tuple[str, ...] = ()
        self._keys: list[bytes] = []

    def aim(self, batch: DrainBatch) -> None:
        """What was changed about the endpoint counts from now on."""
        self._url = batch.url
        if batch.secrets != self._secrets:
            self._keys = [key_of(secret) for secret in batch.secrets]
            self._secrets = batch.secrets

    async def answer_to(self, due: Due) -> Answer:
        """What came of posting it. A bug of ours in doing so costs this attempt, and no other."""
        try:
            return await self._sent(due)
        except Exception as error:  # whatever it is, it is this attempt's answer
            log.error("a webhook could not be posted", exc_info=error, event_id=due.event_id)
            return Answer(0, error="internal_error")

    async def _sent(self, due: Due) -> Answer:
        headers = signed_headers(
            self._keys,
            webhook_id=due.event_id,
            timestamp=int(self._clock()),
            body=due.body,
        )
        return await self._client.post(self._url, headers=headers, body=due.body)

    def record(self, one: Answered, *, now: float) -> Record:
        """What is to be written of an answer, whatever a stranger put into it."""
        started_ago_s = now - one.started_at
        try:
            retry_after_s = retry_after.retry_after_s(one.answer.retry_after, now_s=self._clock())
        except Exception as error:  # costs this answer its wish, and nothing else
            log.error("what an answer asks for could not be read", exc_info=error)
            retry_after_s = None
        return self._record_of(one.due, one.answer, started_ago_s, retry_after_s)

    def bare_record(self, one: Answered, *, now: float) -> Record:
        """Of an answer that can't be written: that there was an attempt, and how it ended."""
        is_ok = one.answer.is_ok
        bare = Answer(
            0, status_code=200 if is_ok else None, error=None if is_ok else "internal_error"
        )
        return self._record_of(one.due, bare, now - one.started_at)

    def _record_of(
        self, due: Due, answer: Answer, started_ago_s: float, retry_after_s: float | None = None
    ) -> Record:
        retry_in_s = None
        if not answer.is_ok:
            retry_in_s = schedule.retry_in_s(
                due.number - due.attempts_before,
                dice=self._dice,
                retry_after_s=retry_after_s,
            )
        state = "delivered" if answer.is_ok else "exhausted" if retry_in_s is None else "pending"
        return Record(
            delivery_id=due.delivery_id,
            number=due.number,
            state=state,
            retry_in_s=retry_in_s,
            started_ago_s=started_ago_s,
            duration_ms=answer.duration_ms,
            status_code=answer.status_code,
            error=answer.error,
            remote_ip=answer.remote_ip,
            response_body=answer.body,
            attempts_before=due.attempts_before,
        )

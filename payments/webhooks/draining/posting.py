"""Posts to one endpoint: what is sent, and what is recorded of each answer."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import structlog

from infra.billing.contract import retry_after
from infra.billing.contract.signatures import REPLAY_HEADER, SEQUENCE_HEADER, key_of, signed_headers
from payments.access.vault import Vault
from payments.webhooks.draining import schedule
from payments.webhooks.draining.drains import DrainBatch, Due, Record
from payments.webhooks.pacing import breaker
from payments.webhooks.pacing.breaker import Tally
from payments.webhooks.pacing.local_words import INTERNAL
from payments.webhooks.pacing.window import Verdict
from payments.webhooks.records import echoes
from payments.webhooks.sealed import open_credentials, open_headers, open_secret
from payments.webhooks.targets.dispatch import Targets
from payments.webhooks.targets.target_port import Answer, Message

log = structlog.get_logger(__name__)

# Statuses of an overloaded server: too slow to read the request, and too busy.
OVERLOADED = (408, 429)
SILENT = ("timeout", "connect_timeout")


class Answered(NamedTuple):
    due: Due
    answer: Answer
    started_at: float  # on the loop's clock


def verdict_on(answer: Answer) -> Verdict:
    """What an answer says about the receiver's capacity. A server that rejects a webhook (4xx) is
    healthy."""
    if answer.error in SILENT:
        return Verdict.SILENCE
    status = answer.status_code
    if status is None or status >= 500 or status in OVERLOADED:
        return Verdict.TROUBLE
    return Verdict.GOOD


def asks_to_be_left_alone(answer: Answer) -> bool:
    """Whether an answer is about the whole server, or about us, and not only about this webhook."""
    if answer.is_ours:
        return answer.error != INTERNAL
    is_busy = answer.status_code in breaker.BUSY and answer.retry_after is not None
    return is_busy or answer.status_code == breaker.GONE


class Poster:
    """Signs and posts deliveries to an endpoint as it is now. `clock` gives seconds since the
    epoch, `dice` floats in [0, 1)."""

    def __init__(
        self,
        targets: Targets,
        vault: Vault,
        endpoint_id: str,
        *,
        clock: Callable[[], float],
        dice: Callable[[], float],
    ) -> None:
        self._targets, self._vault, self._endpoint_id = targets, vault, endpoint_id
        self._clock, self._dice = clock, dice
        self._url = ""
        self._keys: list[bytes] = []
        self._headers: Mapping[str, str] = {}
        self._hidden: Collection[str] = ()  # the same, as an answer may repeat them
        self._credentials: str | None = None  # for the URL
        # The sealed values that these came from.
        self._kept: tuple[object, ...] = ()
        self._retry_schedule: Sequence[int] | None = None

    def aim(self, batch: DrainBatch) -> None:
        """Apply changes of the endpoint from now on. Raises CantOpen for a secret that can't be
        opened: then nothing is sent, and all that is due stays due."""
        self._url = batch.url
        self._retry_schedule = batch.retry_schedule
        kept = (batch.secrets, batch.headers, batch.url_credentials)
        if kept != self._kept:
            opened = [open_secret(self._vault, self._endpoint_id, one) for one in batch.secrets]
            self._keys = [key_of(secret) for secret in opened]
            self._headers = open_headers(self._vault, self._endpoint_id, batch.headers)
            self._credentials = open_credentials(
                self._vault, self._endpoint_id, batch.url_credentials
            )
            self._hidden = echoes.spellings(
                [*self._headers.values(), *echoes.of_credentials(self._credentials)]
            )
            self._kept = kept

    async def answer_to(self, due: Due) -> Answer:
        """The answer to posting it. A bug of this service in doing so delays only this delivery."""
        try:
            return await self._sent(due)
        except Exception as error:  # any error is this attempt's answer
            log.error("a webhook could not be posted", exc_info=error, event_id=due.event_id)
            return Answer(0, error="internal_error")

    async def _sent(self, due: Due) -> Answer:
        signed = signed_headers(
            self._keys,
            webhook_id=due.event_id,
            timestamp=int(self._clock()),
            body=due.body,
        )
        headers = {**self._headers, **signed, SEQUENCE_HEADER: str(due.sequence)}
        if due.is_replay:
            headers[REPLAY_HEADER] = "1"
        if due.is_forwarded and due.traceparent is not None:
            headers["traceparent"] = due.traceparent
        # Those that were sent: they may change before the answer comes.
        hidden = self._hidden
        message = Message(self._url, headers, due.body, self._credentials, self._endpoint_id)
        answer = await self._targets.send(message)
        return _without(answer, hidden) if hidden else answer

    def record(self, one: Answered, *, now: float) -> Record:
        """What to write of an answer, whatever a receiver put into it."""
        patience_s = self._patience_s(one.answer)
        return self._record_of(one.due, one.answer, now - one.started_at, patience_s)

    def _patience_s(self, answer: Answer) -> float:
        """The delay that an answer asks for, in seconds."""
        try:
            asked_s = retry_after.retry_after_s(answer.retry_after, now_s=self._clock())
        except Exception as error:  # only the delay is ignored
            log.error("what an answer asks for could not be read", exc_info=error)
            return 0.0
        return asked_s or 0.0

    def tally(self, answered: Sequence[Answered], records: Sequence[Record]) -> Tally:
        """What these answers say about the health of the endpoint."""
        failed = [one.answer for one in answered if not one.answer.is_ok]
        asked = [self._patience_s(one) for one in failed if one.status_code in breaker.BUSY]
        return Tally(
            accepted=len(answered) - len(failed),
            failed=len(failed),
            given_up=sum(record.state == "exhausted" for record in records),
            patience_s=min(max(asked, default=0.0), schedule.RETRY_AFTER_MAX_S),
            is_gone=any(one.status_code == breaker.GONE for one in failed),
        )

    def bare_record(self, one: Answered, *, now: float) -> Record:
        """For an answer that can't be written: only that there was an attempt, and how it ended."""
        is_ok, status = one.answer.is_ok, one.answer.status_code
        bare = Answer(
            0, status_code=status if is_ok else None, error=None if is_ok else "internal_error"
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
                delays_s=schedule.delays_s(self._retry_schedule),
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
            response_headers=answer.headers,
            response_body=answer.body,
            trigger=due.trigger,
            **answer.phases._asdict(),
            attempts_before=due.attempts_before,
        )


def _without(answer: Answer, hidden: Collection[str]) -> Answer:
    """The answer as it may be kept."""
    body, headers = answer.body, answer.headers
    return replace(
        answer,
        body=None if body is None else echoes.without(body, hidden),
        headers=None if headers is None else echoes.headers_without(headers, hidden),
    )

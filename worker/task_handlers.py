"""The handlers behind the tasks of a process: one verb per task (see `tasks.handlers`)."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

from celery import Celery
from celery.exceptions import Reject
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from infra.billing.contract.ids import Kind as KindName
from infra.billing.contract.messages.task_names import CANCEL, CAPTURE
from infra.billing.contract.requests.cancel_request import CancelRequest
from infra.billing.contract.requests.capture_request import CaptureRequest
from models.rows import LifecycleRow
from payments.access import message_signatures
from payments.access.scopes import CHARGES_WRITE, Access
from payments.acting import by_message
from payments.intake import quarantine, rejections
from payments.intake.quarantine import KeptRequest
from payments.kinds import KINDS
from payments.lifecycle.cancels import Cancellation
from payments.lifecycle.capturing.captures import NewCapture
from payments.parsing import parse, read
from payments.payment_errors import BillingError, Refused
from payments.views import moment
from service import intake, log
from service.broker.direct_calls import DirectCalls
from service.broker.publisher import Waker
from service.database import diagnosis, revisions
from service.database.retrying import DatabaseUnavailable, Retrying, nobody_waits
from service.execution.executors import make_executor, make_loop_executor
from service.metrics import metric_catalogue
from service.settings import Settings
from service.tracing.post_spans import posts_told
from service.wiring import REAL, Delivers, Parts, services
from tasks.handlers import Sweep
from tasks.task_arguments import NOTHING_ELSE, Wishes, keyed
from worker.holding_on import given_back_while_held, until_done
from worker.loop.carrying import Carrier
from worker.signing import Signatures
from worker.sweeps.sweeping import Sweeper

logger = log.get(__name__)
REQUEUE_PAUSE_S = 1.0


def _check_tables(engine: Engine, _: Sequence[None]) -> list[None]:
    try:
        revisions.require_current(engine)
    except DBAPIError as error:
        if diagnosis.is_hopeless(error):
            raise diagnosis.Hopeless(
                f"the database turns us away: {diagnosis.reason(error)}; see BILLING_DATABASE_URL"
            ) from None
        raise
    return [None]


class GivenUp(BillingError):
    """The broker handed this message out too often: it is kept, see `billing quarantine list`."""


@dataclass(slots=True)
class Asked:
    """A message with a request, and the request's fingerprint once it is read."""

    task: str
    task_id: str
    fields: Mapping[str, Any]
    wishes: Wishes
    fingerprint: str | None = None


class TaskHandlers:
    """The handlers behind the tasks of a process; see `tasks.handlers`."""

    def __init__(self, app: Celery, settings: Settings, parts: Parts = REAL) -> None:
        self._parts, self._publisher = parts, parts.publisher(app)
        self._waker = Waker(DirectCalls(lambda: self.services.engine, self._publisher))
        self.services = services(settings, self._waker, parts)
        self.sweeper = Sweeper(self.services, self._publisher)
        self._retrying = Retrying(self.services.stopping)
        self._executor = make_executor(self.services, parts)
        self._signatures = Signatures(settings.broker_signatures, self._signing_keys)
        self._deliverer: Delivers | None = None
        stopping = self.services.stopping
        self._until_done = partial(until_done, stopping=stopping, pause_s=REQUEUE_PAUSE_S)
        self._lock = threading.Lock()

    def require_tables(self, waits: Callable[[], None] = nobody_waits) -> None:
        """Wait for the database, calling `waits` now and then; raise revisions.Behind unless it has
        every table we need. Raises diagnosis.Hopeless if waiting can't help."""
        retrying = Retrying(self.services.stopping, waits)
        retrying(partial(_check_tables, self.services.engine))([None])

    def create(
        self,
        kind: KindName,
        fields: Mapping[str, Any],
        *,
        task_id: str,
        wishes: Wishes = NOTHING_ELSE,
    ) -> LifecycleRow:
        given = keyed(fields, task_id)
        message = Asked(f"billing.{kind}.create", task_id, given, wishes)

        def carry_out() -> LifecycleRow:
            wishes.refuse_callbacks()
            request = intake.request(kind, given)
            # If its own text is refused, no hash of it is kept: it may be a card number.
            message.fingerprint = request.fingerprint if request.against is None else None
            return self._executor.create(
                request, task_id=task_id, timing=wishes.timing, traceparent=wishes.traceparent
            )

        return self._answered(message, carry_out)

    def cancel(
        self, fields: Mapping[str, Any], *, task_id: str, wishes: Wishes = NOTHING_ELSE
    ) -> LifecycleRow:
        given = dict(fields)

        def carry_out() -> LifecycleRow:
            wishes.refuse_callbacks()
            request = parse(CancelRequest, given)
            return self._executor.cancel(
                Cancellation(
                    request.charge_id,
                    acting=by_message(request.producer, task_id),
                    reason=request.reason,
                    access=Access(request.producer, frozenset({CHARGES_WRITE})),
                    timing=wishes.timing,
                )
            )

        return self._answered(Asked(CANCEL, task_id, given, wishes), carry_out)

    def capture(
        self, fields: Mapping[str, Any], *, task_id: str, wishes: Wishes = NOTHING_ELSE
    ) -> LifecycleRow:
        given = keyed(fields, task_id)
        message = Asked(CAPTURE, task_id, given, wishes)

        def carry_out() -> LifecycleRow:
            wishes.refuse_callbacks()
            request = read(CaptureRequest, given)
            message.fingerprint = request.fingerprint if request.against is None else None
            access = Access(request.producer, frozenset({CHARGES_WRITE}))
            acting = by_message(request.producer, task_id)
            id_, timing = acting.request_id, wishes.timing
            new = NewCapture(request, access, acting, id_, task_id=task_id, timing=timing)
            return self._executor.capture(new)

        return self._answered(message, carry_out)

    def _answered(self, message: "Asked", carry_out: Callable[[], LifecycleRow]) -> LifecycleRow:
        """The result of a message; a refusal is kept and published, and a bug loses none."""
        try:
            try:
                # Before it is read: a sender who isn't its producer learns nothing, and the refusal
                # says nothing about the real producer's request under the same id.
                self._signatures.check(message.fields)
                if message.wishes.given_up:
                    message.wishes.refuse_callbacks()
                    self._until_done(partial(self._keep, message, quarantine.GIVEN_UP))
                    raise GivenUp
                with given_back_while_held(REQUEUE_PAUSE_S):
                    return carry_out()
            except Refused as refused:
                if message.wishes.given_up:
                    self._until_done(partial(self._record_rejection, message, refused))
                    raise
                with given_back_while_held(REQUEUE_PAUSE_S):
                    self._record_rejection(message, refused)
                raise
        except (Refused, GivenUp, DatabaseUnavailable, Reject):
            raise
        except Exception as bug:
            self._keep(message, f"{quarantine.OF_A_BUG}{type(bug).__name__}")
            raise

    def submit(self, kind: KindName, id_: str) -> LifecycleRow:
        with given_back_while_held(REQUEUE_PAUSE_S):
            return self._executor.submit(KINDS[kind], id_)

    def drain(self, endpoint_ids: Sequence[str]) -> Future[None]:
        return self._delivery().hand_over(endpoint_ids)

    def sweep(self, what: Sweep) -> int:
        return self.sweeper.sweep(what)

    def quarantine(
        self,
        raw: bytes,
        *,
        queue: str,
        reason: str,
        headers: Mapping[str, Any] | None,
        size: int | None = None,
    ) -> str:
        """Keep a message that is not a task; returns its hash once it is stored."""

        def keep(_: Sequence[None]) -> list[str]:
            with self.services.database.transaction() as transaction:
                kept = rejections.quarantine(
                    transaction, raw, queue=queue, reason=reason, headers=headers, size=size
                )
                return [kept]

        message_hash = self._retrying(keep)([None])[0]
        metric_catalogue.QUARANTINED.inc()
        return message_hash

    def close(self) -> None:
        """Stop waiting for an absent database, finish posts under way, publish what is left."""
        self.services.stopping.set()
        if self._deliverer is not None:
            self._deliverer.close()
        self._waker.close()
        self._publisher.close()

    def _record_rejection(self, message: "Asked", refused: Refused) -> None:
        def record(_: Sequence[None]) -> list[str]:
            with self.services.database.transaction() as transaction:
                return [
                    rejections.record(
                        transaction,
                        message.task,
                        refused=refused,
                        fields=message.fields,
                        task_id=message.task_id,
                        fingerprint=message.fingerprint,
                    )
                ]

        (rejection_id,) = self._retrying(record)([None])
        metric_catalogue.REFUSED_MESSAGES.labels(message.task, refused.code).inc()
        logger.info(
            "request refused",
            task=message.task,
            code=refused.code,
            param=refused.param,
            task_id=message.task_id,
            rejection_id=rejection_id,
        )

    def _keep(self, message: "Asked", reason: str) -> None:
        """Neither a bug of ours nor a row that is locked for minutes may lose a request: it waits
        in quarantine until that is fixed."""
        timing = message.wishes.timing
        said = {
            "eta": moment(timing.not_before),
            "expires": moment(timing.good_until),
            "traceparent": message.wishes.traceparent,
        }
        headers = {name: text for name, text in said.items() if text is not None}
        try:
            request = KeptRequest(message.task, message.task_id, message.fields, headers)
            self.quarantine(request.written(), queue="payments", reason=reason, headers=None)
        except DatabaseUnavailable:
            raise
        except Exception:  # noqa: BLE001  # any error: the request must survive it
            # Then it stays safe in the broker; a pause prevents a busy loop.
            time.sleep(REQUEUE_PAUSE_S)
            raise Reject("neither executed nor kept", requeue=True) from None

    def _signing_keys(self, producer: str) -> list[str]:
        def read(_: Sequence[None]) -> list[list[str]]:
            with self.services.engine.connect() as connection:
                return [message_signatures.keys_of(connection, producer)]

        return self._retrying(read)([None])[0]

    def carrier(self) -> Carrier | None:
        """Carries requests on an event loop, if the settings want that."""
        metric_catalogue.SLOTS.set(self.services.settings.slots)
        if self.services.settings.dispatch == "threads":
            return None
        executor = make_loop_executor(self.services, self._parts)
        return Carrier(executor, self._signatures, drain=self.drain, pause_s=REQUEUE_PAUSE_S)

    def _delivery(self) -> Delivers:
        with self._lock:  # Only processes that deliver webhooks start the loop.
            if self._deliverer is None:
                self._deliverer = self._parts.deliverer(
                    self.services.engine,
                    self.services.vault,
                    allow_private=self.services.settings.webhook_allow_private,
                    drain_s=self.services.settings.drain_s,
                    is_stopping=self.services.stopping.is_set,
                    wake=self._waker,
                    **posts_told(self.services.settings.traces_url),
                ).start()
            return self._deliverer

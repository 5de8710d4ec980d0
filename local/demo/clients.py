"""The shops of the demo: a thread each, which asks for what is in the file through the SDK."""

import threading
import time
import uuid
from collections.abc import Callable, Sequence

import redis
from kombu import Connection, Producer

from infra import billing
from infra.billing.errors import InvalidRequest
from local.demo.observer import Sight
from local.demo.scenario import PRODUCER, Line, Scenario
from service.broker.celery_config import PAYMENTS

# Eight shops at this pace make some sixteen requests a second.
PAUSE_S = 0.5
LOOK_S = 0.1
# A request counts as accepted once its row is written. One that was between the queue and the
# tables when the worker was killed may be lost; without an answer, a shop asks again with the same
# key. This is longer than another worker takes to start, and short enough to watch.
ASK_AGAIN_S = 12.0


class Shops:
    """All shops. `sight` returns the state of requests so far."""

    def __init__(self, scenario: Scenario, *, broker_url: str, sight: Callable[[], Sight]) -> None:
        self._scenario = scenario
        self._broker_url = broker_url
        self._sight = sight
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=self._trade, args=(lines,), name=shop, daemon=True)
            for shop, lines in scenario.shops.items()
        ]
        # When each line was sent last; monotonic seconds.
        self.sent_at: dict[Line, float] = {}
        self.unsent: dict[Line, str] = {}
        self.asked_again: list[Line] = []
        # Lines whose id was another than the SDK said beforehand.
        self.surprised: list[Line] = []
        self.error: Exception | None = None

    def open(self) -> None:
        billing.configure(url=self._broker_url, producer=PRODUCER)
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Send nothing more."""
        self._closing.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(5)

    def is_over(self, line: Line) -> bool:
        """Whether nothing more will come of a line."""
        if line.ending in ("unsent", ""):
            return line in self.sent_at
        return self._sight().is_over(line)

    def ending_of(self, line: Line) -> str | None:
        """The end of a line, in the words of `expect`; None so far."""
        if line.do == "repeat":
            return "" if line in self.sent_at else None
        if line.ending == "unsent":
            return f"unsent {self.unsent[line]}" if line in self.unsent else None
        return self._sight().ending_of(line)

    def _trade(self, lines: Sequence[Line]) -> None:
        to_do = list(lines)
        try:
            while not self._closing.is_set():
                line = next((one for one in to_do if self._may_go(one)), None)
                if line is None:
                    self._ask_again(lines)
                    self._closing.wait(LOOK_S)
                    continue
                to_do.remove(line)
                self._send(line)
                if not line.at_once:
                    self._closing.wait(PAUSE_S)
        except Exception as error:  # noqa: BLE001  # reported by the main thread
            self.error = error

    def _may_go(self, line: Line) -> bool:
        sight, makers = self._sight(), self._scenario.makers
        if line.once_accepted and not sight.is_accepted(makers[line.once_accepted]):
            return False
        return not line.once_final or sight.is_over(makers[line.once_final])

    def _ask_again(self, lines: Sequence[Line]) -> None:
        now = time.monotonic()
        for line in lines:
            sent_at = self.sent_at.get(line)
            if sent_at is None or line.ending in ("unsent", ""):
                continue
            if now - sent_at > ASK_AGAIN_S and not self._sight().is_accepted(line):
                self.asked_again.append(line)
                self._send(line)

    def _send(self, line: Line) -> None:
        for _ in range(line.times):
            match line.do:
                case "repeat":
                    self._ask(self._scenario.makers[line.of or ""])
                case "message":
                    self._send_message(line)
                case _:
                    self._ask(line)
        self.sent_at[line] = time.monotonic()

    def _ask(self, line: Line) -> None:
        """Ask for a charge or a refund, as any service would."""
        try:
            id_ = self._charge(line) if line.do == "charge" else self._refund(line)
        except InvalidRequest as refused:
            self.unsent[line] = refused.code
            return
        if id_ != line.object_id:
            self.surprised.append(line)

    def _charge(self, line: Line) -> str:
        by_price = line.price is not None
        charge = billing.charge.create(
            amount=None if by_price else self._scenario.amount_of(line),
            currency=line.currency,
            price_id=line.price,
            quantity=line.quantity,
            customer_id=line.customer,
            payment_method_id=line.card,
            idempotency_key=line.key,
            reference=line.reference,
            description=line.item,
            metadata={"shop": line.shop},
        )
        return charge.charge_id

    def _refund(self, line: Line) -> str:
        charge, currency = self._scenario.makers[line.of or ""], self._scenario.currency_of(line)
        refund = billing.refund.create(
            charge_id=charge.object_id,
            amount=billing.minor(line.amount, currency) if line.amount else None,
            idempotency_key=line.key,
            reason=line.reason,
            if_pending=line.if_pending,
            expected_refunded_amount=line.expected_refunded_amount,
            restock=line.restock is not None or None,
            restock_quantity=line.restock,
            metadata={"shop": line.shop},
        )
        return refund.refund_id

    def _send_message(self, line: Line) -> None:
        """Send what the SDK would refuse, as programs do that know only the queue's name."""
        if line.text is not None:
            with redis.Redis.from_url(self._broker_url) as client:
                client.lpush(PAYMENTS, line.text)
            return
        with Connection(self._broker_url) as connection:
            Producer(connection, serializer="json").publish(
                [[], {**line.fields, "producer": PRODUCER}, {}],
                exchange="",
                routing_key=PAYMENTS,
                headers={"lang": "go", "task": line.task, "id": str(uuid.uuid4())},
            )

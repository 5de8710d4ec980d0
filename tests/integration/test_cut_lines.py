"""The line to Stripe is cut at every byte of a request and of its answer: money moves once.

In CI at some of them; `BILLING_TEST_CUT_STRIDE=1` is for all, and takes some minutes. What is asked
of each offset: one PaymentIntent, and no final state before the truth is known.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from sqlalchemy import Engine

from payments.processors.stripe import Stripe
from payments.processors.stripe.wire import CHARGE_ID, REFUND_ID
from tests.support.cuttable import Line, cuttable
from tests.support.factories import a_charge, a_refund
from tests.support.queueless import QueuelessWorker
from tests.support.stripe import stripe_at
from tests.support.stripe_door import Door, stripe_door

STRIDE = int(os.environ.get("BILLING_TEST_CUT_STRIDE", "211"))
# Never before its turn: a success is known only from a whole answer.
TRUE_OR_OPEN = ("succeeded", "unknown", "queued")
Way = Literal["there", "back"]


@dataclass
class Road:
    """A worker, the line, and Stripe's stand-in at its end."""

    worker: QueuelessWorker
    stripe: Stripe
    line: Line
    door: Door

    def take(self, request: Any, way: Way | None = None, offset: int = 0) -> str:
        """Take it to its end, the first call on a connection of its own that is cut at this byte;
        where it stood after that call."""
        self.stripe.close()
        if way is not None:
            self.line.cut_at(**{way: offset})
        self.worker.executor.create(request)
        stood = self.worker.till.stand(request.id)
        self.line.cut_at()
        assert self.worker.go_on(request.id) == "succeeded"
        return stood

    def bytes_of(self, request: Any) -> dict[Way, int]:
        """How much goes there and back for it, when nothing is cut."""
        before = dict(self.line.carried)
        assert self.take(request) == "succeeded"
        return {way: self.line.carried[way] - before[way] for way in ("there", "back")}


@pytest.fixture
def road(engine: Engine) -> Iterator[Road]:
    with ExitStack() as stack:
        door = stack.enter_context(stripe_door())
        line = stack.enter_context(cuttable(door.port))
        stripe = stack.enter_context(stripe_at(line.url))
        worker = QueuelessWorker(
            engine,
            stripe,
            lambda duration: door.wait(int(duration.total_seconds())),
            key_window=stripe.key_window,
        )
        yield Road(worker, stripe, line, door)


def a_payment() -> Any:
    return a_charge(payment_method_id="pm_card_visa")


def cut_everywhere(road: Road, make: Callable[[], Any]) -> list[str]:
    """Cut at every offset, there and back; the ids of what was asked for."""
    sizes, asked, stood, cuts = road.bytes_of(make()), [], Counter[str](), 0
    for way, size in sizes.items():
        for offset in range(0, size, STRIDE):
            before, request = road.line.cuts, make()
            stand = road.take(request, way, offset)
            assert stand in TRUE_OR_OPEN, (way, offset)
            cuts += road.line.cuts > before
            asked.append(request.id)
            stood[f"{way}: {stand}"] += 1
    print(f"cut at {cuts} offsets of {sum(sizes.values())} bytes, {sizes}: {dict(stood)}")  # noqa: T201
    assert cuts == len(asked), "each was cut"
    return asked


@pytest.mark.timeout(3600)
def test_a_charge_whose_line_is_cut_at_any_byte_is_one_payment(road: Road) -> None:
    asked = cut_everywhere(road, a_payment)
    intents = road.door.client().v1.payment_intents.list({"limit": 100}).auto_paging_iter()
    made = Counter(intent.metadata[CHARGE_ID] for intent in intents)
    assert [id_ for id_ in asked if made[id_] != 1] == []
    moved = Counter(one["metadata"][CHARGE_ID] for one in road.door.movements())
    assert [id_ for id_ in asked if moved[id_] != 1] == []


@pytest.mark.timeout(3600)
def test_a_refund_whose_line_is_cut_at_any_byte_goes_back_once(road: Road) -> None:
    def a_repayment() -> Any:
        charge = a_payment()
        road.take(charge)
        return a_refund(charge)

    asked = cut_everywhere(road, a_repayment)
    moved = Counter(one["metadata"][REFUND_ID] for one in road.door.movements(direction="refund"))
    assert [id_ for id_ in asked if moved[id_] != 1] == []

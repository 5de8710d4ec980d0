"""Lives of charges and refunds, from the first request to the last row: all that is written of
each, in every table, and what was answered (tests/recorded/histories)."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from payments.lifecycle.accepting.asked import Accepted, NewRefund
from payments.lifecycle.claims import Claimed, NotDue
from payments.lifecycle.database_steps import Begin
from payments.lifecycle.settlement import GIVE_UP_TRIES
from payments.payment_errors import Refused
from payments.processors.outcomes import (
    Canceled,
    Declined,
    NextAction,
    NotFound,
    Pending,
    Succeeded,
    Unavailable,
    Unknown,
)
from payments.webhooks import endpoints
from tests.support.asked_fields import NEW_YEAR
from tests.support.every import every
from tests.support.factories import Till, a_charge, a_lease, a_refund, a_sale
from tests.support.recorded import FOLDER, Names, hold
from tests.support.webhooks import pending_is_asked_for

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
YES = Succeeded("proc_1")
NO = Declined("insufficient_funds", "51", "The card has insufficient funds.", "proc_1")
BUSY = Unavailable("rate_limited", 30.0)
SILENCE = Unknown("timeout")
CUSTOMER = Pending(
    "proc_1", "requires_action", NextAction("redirect_to_url", "https://pay.example/1")
)
# The tables that say something of a charge or a refund, and how they name it.
TABLES = {
    "charges": "id",
    "refunds": "id",
    "attempts": "object_id",
    "events": "object_id",
    "reservations": "charge_id",
    "prices": "id",
}
ORDER = {"attempts": "number", "events": "sequence"}


@dataclass(frozen=True)
class SentAgain:
    """What the processor says to a call that the look-up before it had not found there."""

    found: Any


@dataclass
class Life:
    """A till whose answers are written down, and the objects that it made, by their names."""

    till: Till
    names: Names = field(default_factory=Names)
    ids: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def know(self, name: str, id_: str) -> str:
        self.names.know(name, id_)
        self.ids.append(id_)
        return id_

    def charge(self, name: str = "charge", **fields: Any) -> str:
        """A charge that is accepted, with the answer."""
        request = a_charge(**fields)
        return self.accept(name, request)

    def sale(self, name: str, price: str, quantity: int, **fields: Any) -> str:
        return self.accept(name, a_sale(price, quantity, **fields))

    def refund(self, charge: str, name: str = "refund", **fields: Any) -> str:
        return self.accept(name, a_refund(charge, **fields))

    def accept(self, name: str, request: Any) -> str:
        self.names.know(f"key of {name}", request.idempotency_key)
        self.know(name, request.id)
        (answer,) = self.till.accept(request)
        self.note(f"accept {name}", answer)
        return str(request.id)

    def call(self, id_: str, *found: Any, after: timedelta = DAY) -> None:
        """What a worker does each time that it falls due, with what the processor says."""
        for one in found:
            self.till.time_passes(after, id_)
            (begun,) = self.till.submit(id_)
            if not isinstance(begun, Claimed):
                self.note("begin", begun)
                return
            self.note(f"begin (in doubt: {begun.in_doubt}, to end: {begun.is_to_end})", begun.order)
            sent_again = isinstance(one, SentAgain)
            verb = begun.kind.name if sent_again else None
            self.till.settle(begun, one.found if sent_again else one, verb=verb)

    def note(self, what: str, answer: Any) -> None:
        self.lines.append(f"{what}: {self._told(answer)}")

    def _told(self, answer: Any) -> str:
        match answer:
            case Accepted():
                return f"fresh={answer.fresh}"
            case Refused():
                facts = {"code": answer.code, "param": answer.param, "says": str(answer)}
                return self.names.row({**facts, "facts": dict(answer.facts or {})})
            case NotDue(row):
                return f"nothing to do: it is {row.state}, {row.phase}"
        if fields := getattr(type(answer), "__dataclass_fields__", None):
            said = self.names.row({name: getattr(answer, name) for name in fields})
            return f"{type(answer).__name__}({said})"
        return str(answer)

    def rows(self) -> Iterable[str]:
        yield from self.lines
        for table, name in TABLES.items():
            rows = self.till.query(
                f"SELECT * FROM {table} WHERE {name} = ANY(:ids)"
                f" ORDER BY array_position(:ids, {name}), {ORDER.get(table, '1')}",
                ids=self.ids,
            )
            for number, row in enumerate(rows):
                if number == 0:
                    yield ""
                yield f"{table}: {self.names.row(self._steady(row))}"

    def _steady(self, row: Any) -> dict[str, Any]:
        """Without what differs from run to run."""
        steady = {n: v for n, v in row.items() if n not in ("position", "fingerprint")}
        return steady | ({"body": json.loads(row["body"])} if "body" in row else {})


def succeeds(life: Life) -> None:
    life.call(
        life.charge(
            customer_id="cus_1", payment_method_id="pm_1", description="Tea", metadata={"a": "b"}
        ),
        YES,
    )


def is_told_from_the_beginning(life: Life) -> None:
    """An endpoint asks to be told of what is accepted, for as long as this lasts."""
    endpoint = pending_is_asked_for(life.till.engine)
    try:
        charge = life.charge(customer_id="cus_1", description="Tea", metadata={"a": "b"})
        life.call(charge, YES)
        life.call(life.refund(charge, amount=400, reason="late"), Succeeded("ref_1"))
    finally:
        with life.till.database.transaction() as transaction:
            endpoints.delete(transaction, endpoint.id)


def is_declined(life: Life) -> None:
    life.call(life.charge(), NO)


def waits_out_a_busy_processor(life: Life) -> None:
    life.call(life.charge(), BUSY, BUSY, YES, after=HOUR)


def is_given_up(life: Life) -> None:
    life.call(life.charge(), *[BUSY] * (GIVE_UP_TRIES + 1), YES, after=2 * HOUR)


def is_looked_up_and_found(life: Life) -> None:
    life.call(life.charge(), SILENCE, SILENCE, YES, after=HOUR)


def is_looked_up_and_sent_again(life: Life) -> None:
    life.call(life.charge(), SILENCE, SentAgain(BUSY), SentAgain(YES), after=HOUR)


def needs_review_and_was_paid(life: Life) -> None:
    id_ = life.charge()
    life.call(id_, SILENCE, NotFound(), YES)
    life.till.resolve(id_, "succeeded")


def needs_review_and_was_not(life: Life) -> None:
    id_ = life.charge()
    life.call(id_, SILENCE, NotFound(), YES)
    life.till.resolve(id_, "failed")


def needs_review_and_is_sent_again(life: Life) -> None:
    id_ = life.charge()
    life.call(id_, SILENCE, NotFound(), YES)
    life.till.resolve(id_, "retry")
    life.call(id_, YES)


def waits_for_its_customer(life: Life) -> None:
    life.call(life.charge(), CUSTOMER, CUSTOMER, YES, after=HOUR)


def waits_for_its_customer_in_vain(life: Life) -> None:
    id_ = life.charge(expires_in_s=3600)
    life.call(id_, CUSTOMER, after=timedelta(0))
    life.till.time_passes(2 * HOUR, id_)
    life.till.sweep()
    life.call(id_, Canceled("proc_1"), after=MINUTE)


def is_canceled_before_anything(life: Life) -> None:
    id_ = life.charge(scheduled_at=NEW_YEAR)
    life.till.cancel(id_, reason="not today")


def is_canceled_too_late(life: Life) -> None:
    id_ = life.charge()
    life.call(id_, CUSTOMER, after=timedelta(0))
    life.till.cancel(id_, producer="tests", reason="too slow")
    life.call(id_, YES, after=MINUTE)
    life.note("cancel again", life.till.cancel(id_))


def is_reported_before_it_is_called(life: Life) -> None:
    life.note("reports applied", life.till.report(life.charge(), YES))


def is_reported_while_it_is_called(life: Life) -> None:
    id_ = life.charge()
    claimed = life.till.claim(id_)
    life.note("reports applied", life.till.report(id_, NO))
    life.note("late answer", life.till.settle(claimed, YES)["state"])


def loses_its_worker(life: Life) -> None:
    id_ = life.charge()
    life.till.claim(id_)
    life.till.time_passes(MINUTE, id_)
    life.till.sweep()
    life.call(id_, YES, after=MINUTE)


def loses_its_worker_while_it_is_looked_up(life: Life) -> None:
    id_ = life.charge()
    life.call(id_, SILENCE)
    life.till.time_passes(HOUR, id_)
    life.till.claim(id_)
    life.till.time_passes(MINUTE, id_)
    life.till.sweep()
    life.call(id_, YES, after=MINUTE)


def loses_its_worker_while_it_expires(life: Life) -> None:
    id_ = life.charge(expires_in_s=3600)
    life.call(id_, CUSTOMER, after=timedelta(0))
    life.till.time_passes(2 * HOUR, id_)
    life.till.claim(id_)
    life.till.time_passes(MINUTE, id_)
    life.till.sweep()
    life.call(id_, Canceled("proc_1"), after=MINUTE)


def is_claimed_by_the_door_that_accepts_it(life: Life) -> None:
    request = a_charge()
    life.know("charge", request.id)
    life.names.know("key of charge", request.idempotency_key)
    claimed = life.till.claim(request)
    life.note("begin", claimed.order)
    life.till.sweep()  # its lease has begun just now
    life.note("stands at", life.till.stand(request.id))
    life.till.settle(claimed, YES)


def is_canceled_while_a_person_decides(life: Life) -> None:
    id_ = life.charge()
    life.call(id_, SILENCE, NotFound(), YES)
    life.note("cancel", life.till.cancel(id_))


def real_money_is_refunded(life: Life) -> None:
    charge = life.charge(customer_id="cus_1", payment_method_id="pm_1")
    life.till.put("UPDATE charges SET livemode = true WHERE id = :id", id=charge)
    life.call(charge, YES)
    life.call(life.refund(charge, amount=400), Succeeded("ref_1"))


def refunds_that_come_before_their_charge(life: Life) -> None:
    request = a_charge()
    fits = life.refund(request.id, "fits", amount=400, expected_refunded_amount=0)
    too_late = life.refund(request.id, "too late", amount=400, expected_refunded_amount=0)
    charge = life.accept("charge", request)
    life.till.put("UPDATE charges SET livemode = true WHERE id = :id", id=charge)
    life.call(charge, YES)
    life.call(fits, Succeeded("ref_1"))
    life.call(too_late, YES)


def a_refund_by_another_that_comes_before_the_charge(life: Life) -> None:
    charge = a_charge()
    refund = a_refund(charge, producer="support")
    life.know("refund", refund.id)
    life.names.know("key of refund", refund.idempotency_key)
    new = NewRefund(refund, "sandbox", any_charge=True)
    life.till.begin(Begin(a_lease(), new=new))
    life.call(life.accept("charge", charge), YES)
    life.call(refund.id, Succeeded("ref_1"))


def refunds_that_are_refused(life: Life) -> None:
    charge = life.charge()
    life.refund(charge, "hasty", if_pending="reject")
    life.call(charge, YES)
    life.call(life.refund(charge, "first", amount=300), Succeeded("ref_1"))
    life.refund(charge, "second", amount=200)
    life.refund(charge, "unaware", amount=100, expected_refunded_amount=0)


def is_refunded_in_parts(life: Life) -> None:
    charge = life.charge()
    life.call(charge, YES)
    life.call(life.refund(charge, "first", amount=300, reason="late"), Succeeded("ref_1"))
    life.call(life.refund(charge, "second"), Succeeded("ref_2"))
    life.refund(charge, "third", amount=1)


def is_refunded_and_the_bank_returns_it(life: Life) -> None:
    charge = life.charge()
    life.call(charge, YES)
    refund = life.refund(charge, amount=400)
    life.call(refund, Succeeded("ref_1"))
    life.note(
        "reports applied",
        life.till.report(refund, Declined("refund_failed", "returned", "The account is closed.")),
    )


def a_refund_waits_for_its_charge(life: Life) -> None:
    charge = life.charge()
    refund = life.refund(charge)
    life.call(charge, YES)
    life.call(refund, SILENCE, YES, after=MINUTE)


def a_refund_of_a_charge_that_fails(life: Life) -> None:
    charge = life.charge()
    refund = life.refund(charge)
    life.call(charge, NO)
    life.call(refund, YES, after=MINUTE)


def a_refund_that_is_declined(life: Life) -> None:
    charge = life.charge()
    life.call(charge, YES)
    life.call(life.refund(charge, amount=10), Declined("refund_declined", "no", ""))


def is_sold_and_comes_back(life: Life) -> None:
    price = life.know("price", life.till.price(stock=5, metadata={"size": "L"}))
    charge = life.sale("charge", price, 3)
    life.call(charge, YES)
    life.call(life.refund(charge, amount=1000, restock=True, restock_quantity=2), YES)


def is_not_sold(life: Life) -> None:
    price = life.know("price", life.till.price(stock=5))
    life.call(life.sale("declined", price, 3), NO)
    life.sale("too many", price, 6)
    life.sale("held", price, 5)


def repeats_and_contradictions(life: Life) -> None:
    request = a_charge(reference=f"order-{life.till.product()}")
    life.names.know("reference", request.reference or "")
    life.accept("charge", request)
    life.accept("charge", request)
    other = request.model_copy(update={"amount": 1})
    life.note("the same key", life.till.accept(other)[0])
    second = a_charge(reference=request.reference)
    life.note("the same reference", life.till.accept(second)[0])


def several_at_once_for_one_key_or_reference(life: Life) -> None:
    """The first of a batch is served, whatever their ids say."""
    one = a_charge(amount=1)
    keys = (one, one.model_copy(update={"amount": 2}))
    reference = f"order-{life.till.product()}"
    life.names.know("reference", reference)
    rivals = sorted((a_charge(reference=reference) for _ in range(2)), key=lambda r: r.id)
    for name, request in {"first": one, "second": rivals[1], "third": rivals[0]}.items():
        life.know(name, request.id)
        life.names.know(f"key of {name}", request.idempotency_key)
    for answer in life.till.accept(*keys, *reversed(rivals)):
        life.note("at once", answer)


LIVES: list[Callable[[Life], None]] = [
    succeeds,
    is_told_from_the_beginning,
    is_declined,
    waits_out_a_busy_processor,
    is_given_up,
    is_looked_up_and_found,
    is_looked_up_and_sent_again,
    needs_review_and_was_paid,
    needs_review_and_was_not,
    needs_review_and_is_sent_again,
    waits_for_its_customer,
    waits_for_its_customer_in_vain,
    is_canceled_before_anything,
    is_canceled_too_late,
    is_reported_before_it_is_called,
    is_reported_while_it_is_called,
    loses_its_worker,
    loses_its_worker_while_it_is_looked_up,
    loses_its_worker_while_it_expires,
    is_claimed_by_the_door_that_accepts_it,
    is_canceled_while_a_person_decides,
    real_money_is_refunded,
    refunds_that_come_before_their_charge,
    a_refund_by_another_that_comes_before_the_charge,
    refunds_that_are_refused,
    is_refunded_in_parts,
    is_refunded_and_the_bank_returns_it,
    a_refund_waits_for_its_charge,
    a_refund_of_a_charge_that_fails,
    a_refund_that_is_declined,
    is_sold_and_comes_back,
    is_not_sold,
    repeats_and_contradictions,
    several_at_once_for_one_key_or_reference,
]


def lived(live: Callable[[Life], None], till: Till) -> list[str]:
    life = Life(till)
    live(life)
    return list(life.rows())


@every("live", LIVES, ids=lambda live: live.__name__)
def test_every_life_is_as_it_was_recorded(live: Callable[[Life], None], till: Till) -> None:
    hold(f"lives/{live.__name__}.txt", lived(live, till))


def test_every_recorded_life_is_lived() -> None:
    recorded = {file.stem for file in (FOLDER / "lives").glob("*.txt")}
    assert recorded == {live.__name__ for live in LIVES}

"""Requests that nobody has sent yet, and a till that takes them through claim, call and settle.

Every request has a key of its own, so tests may share a database without meeting each other.
"""

import uuid
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import Engine, text

from infra.billing.contract.requests.capture_request import CaptureRequest
from infra.billing.contract.requests.charge_request import ChargeRequest
from infra.billing.contract.requests.inventory_request import InventoryRequest
from infra.billing.contract.requests.price_request import PriceChanges, PriceRequest
from infra.billing.contract.requests.product_request import ProductChanges, ProductRequest
from infra.billing.contract.requests.refund_request import RefundRequest
from models.rows import ChargeRow, LifecycleRow, columns_of
from payments.access.scopes import OPERATOR, Access
from payments.approval_policy import NOTHING, Approvals
from payments.catalog import inventory, price_locks, prices, products
from payments.catalog.changes import changes as changes_of
from payments.kinds import CHARGE, KINDS, Kind, kind_of
from payments.lifecycle import cancels, database_steps, reports, reviews, sweeps
from payments.lifecycle.accepting import charges, refunds
from payments.lifecycle.cancels import Cancellation
from payments.lifecycle.capturing import captures
from payments.lifecycle.capturing.captures import NewCapture
from payments.lifecycle.claims import Claimed, Lease, NotDue
from payments.lifecycle.database_steps import Begin, Begun, Settlement
from payments.lifecycle.settlement import Policy
from payments.parsing import parse
from payments.payment_errors import Refused
from payments.processors.outcomes import Authorized, Found, Succeeded, Unknown
from payments.processors.port import FoundRefund, ProcessorEvent
from payments.transaction import Wakes
from tests.support.acting import Database, by
from tests.support.waiting import wait_for

# A row by the names of its columns.
Row = Mapping[str, Any]

_RUN = uuid.uuid4().hex[:8]
_numbers = count(1)
DAY = timedelta(days=1)
SUCCEEDED = Succeeded("sbx_1")
TIMEOUT = Unknown("timeout")


def a_key() -> str:
    """An idempotency key that no other test uses."""
    return f"{_RUN}-{next(_numbers)}"


def a_charge(**changes: Any) -> ChargeRequest:
    """A request to take USD 10.00."""
    fields = {"amount": 1000, "currency": "USD", "idempotency_key": a_key(), "producer": "tests"}
    return parse(ChargeRequest, fields | changes)


def a_refund(charge: ChargeRequest | str, **changes: Any) -> RefundRequest:
    """A request to give back all that is left of a charge, unless an amount is given."""
    charge_id = charge if isinstance(charge, str) else charge.id
    fields = {"charge_id": charge_id, "idempotency_key": a_key(), "producer": "tests"}
    return parse(RefundRequest, fields | changes)


def a_capture(charge_id: str, **changes: Any) -> CaptureRequest:
    """A request to take all that is left of a charge, unless an amount is given."""
    fields = {"charge_id": charge_id, "idempotency_key": a_key(), "producer": "tests"}
    return parse(CaptureRequest, fields | changes)


def a_sale(price_id: str, quantity: int = 1, **changes: Any) -> ChargeRequest:
    """A request for a charge by a price, which is named by its id or its lookup key."""
    fields = {"price_id": price_id, "quantity": quantity, "idempotency_key": a_key()}
    return parse(ChargeRequest, {"producer": "tests", **fields, **changes})


def a_product(**changes: Any) -> ProductRequest:
    """A request for a product."""
    fields = {"name": "Tea", "idempotency_key": a_key(), "producer": "tests"}
    return parse(ProductRequest, fields | changes)


def a_price(product_id: str, **changes: Any) -> PriceRequest:
    """A request for a price of USD 10.00 each, unless there are tiers."""
    fields = {
        "product_id": product_id,
        "currency_id": "cur_usd",
        "idempotency_key": a_key(),
        "producer": "tests",
    }
    if "tiers" not in changes:
        fields["unit_amount"] = "1000"
    return parse(PriceRequest, fields | changes)


def a_count(quantity: int, action: str = "increment", **changes: Any) -> InventoryRequest:
    """A request to count stock up or down by hand."""
    fields = {"quantity": quantity, "action": action, "idempotency_key": a_key()}
    return parse(InventoryRequest, {"producer": "tests", **fields, **changes})


def no_dice() -> float:
    return 0.0


class Till:
    """The rules on a real database: one call is one transaction."""

    def __init__(
        self,
        engine: Engine,
        *,
        key_window: timedelta = DAY,
        processors: Collection[str] = ("sandbox",),
        approvals: Approvals = NOTHING,
    ) -> None:
        """`processors` are those that this worker has; new charges go to the first. `approvals`:
        what a second person must approve."""
        self.approvals = approvals
        self.engine = engine
        self.processors = tuple(processors)
        self.wakes = Wakes()
        self.database = Database(engine, self._wake)
        self.policy = Policy(key_window=key_window)
        self.policies = dict.fromkeys(self.processors, self.policy)

    def accept(
        self, *requests: ChargeRequest | RefundRequest
    ) -> list[charges.Accepted | refunds.Accepted | Exception]:
        """What the HTTP door does: write the requests, claim nothing. Charges come first."""
        to = self.processors[0]
        news = [charges.NewCharge(r, to) for r in requests if isinstance(r, ChargeRequest)]
        backs = [refunds.NewRefund(r, to) for r in requests if isinstance(r, RefundRequest)]
        with self.database.transaction() as transaction:
            answers = [*charges.accept(transaction, news)] if news else []
            if not backs:
                return answers
            return [*answers, *refunds.accept(transaction, backs, approvals=self.approvals)]

    def create(
        self, *requests: ChargeRequest | RefundRequest, lease_s: float = 20.0
    ) -> list[Begun]:
        """What the broker's door does: accept and claim, as one batch."""
        return self.begin(*(self.begin_of(request, lease_s=lease_s) for request in requests))

    def begin_of(self, request: ChargeRequest | RefundRequest, *, lease_s: float = 20.0) -> Begin:
        lease = a_lease(lease_s)
        if isinstance(request, ChargeRequest):
            return Begin(lease, new=charges.NewCharge(request, self.processors[0], lease))
        return Begin(lease, new=refunds.NewRefund(request, self.processors[0]))

    def begin(self, *items: Begin) -> list[Begun]:
        with self.database.transaction() as transaction:
            return database_steps.begin(
                transaction, items, processors=self.processors, approvals=self.approvals
            )

    def submit(self, *ids: str, lease_s: float = 20.0) -> list[Begun]:
        """What a wake-up call does: claim rows by their ids, as one batch."""
        return self.begin(*(Begin(a_lease(lease_s), kind=kind(i), id=i) for i in ids))

    def claim(self, request: ChargeRequest | RefundRequest | str) -> Claimed:
        """A claim that must work, of a new request or of an id."""
        (begun,) = self.submit(request) if isinstance(request, str) else self.create(request)
        assert isinstance(begun, Claimed), begun
        return begun

    def settle(self, claimed: Claimed, found: Found, *, verb: str | None = None) -> Row:
        verb = verb or ("look_up" if claimed.in_doubt else claimed.verb)
        if claimed.is_to_end:
            verb = "cancel"
        (row,) = self.settle_all((claimed, verb, found))
        return columns_of(row)

    def settle_all(self, *items: tuple[Claimed, str, Found]) -> list[LifecycleRow]:
        with self.database.transaction() as transaction:
            return database_steps.settle(
                transaction,
                [Settlement(*item) for item in items],
                policies=self.policies,
                dice=no_dice,
            )

    def charged(self, **changes: Any) -> str:
        """The id of a charge that has succeeded."""
        claimed = self.claim(a_charge(**changes))
        self.settle(claimed, Succeeded(f"sbx_{claimed.id}"))
        return claimed.id

    def authorized(self, *, capture_before: datetime | None = None, **changes: Any) -> str:
        """The id of a charge of USD 10.00 whose money is set aside."""
        claimed = self.claim(a_charge(capture="manual", **changes))
        found = Authorized(f"sbx_{claimed.id}", capture_before=capture_before)
        self.settle(claimed, found)
        return claimed.id

    def capture(self, request: CaptureRequest, *, producer: str | None = None) -> Row | Exception:
        """What every door does with a capture: the charge as it stands then, or the refusal."""
        access = OPERATOR if producer is None else Access(producer, frozenset())
        (answer,) = self.capture_all(NewCapture(request, access))
        return answer if isinstance(answer, Refused) else columns_of(answer.row)

    def capture_all(self, *asked: NewCapture) -> list[charges.Accepted | Refused]:
        with self.database.transaction() as transaction:
            return captures.accept(transaction, asked)

    def sold(self, price: str, quantity: int) -> str:
        """The id of a charge of so many units that has succeeded."""
        claimed = self.claim(a_sale(price, quantity))
        self.settle(claimed, SUCCEEDED)
        return claimed.id

    def product(self, **changes: Any) -> str:
        """The id of a product that is made."""
        with self.database.transaction() as transaction:
            return str(products.create(transaction, a_product(**changes), livemode=False)[0].id)

    def price(self, stock: int | None = None, **changes: Any) -> str:
        """The id of a price that is made, with so much in stock (None = unlimited), and of a
        product of its own unless said otherwise."""
        product_id = changes.pop("product_id", None) or self.product()
        return self.make(a_price(product_id, quantity_available=stock, **changes))["id"]

    def make(self, request: PriceRequest) -> Row:
        with self.database.transaction() as transaction:
            return columns_of(prices.create(transaction, request, livemode=False)[0])

    def change(self, price: str, **fields: Any) -> Row:
        """The price after what `PUT` does with these fields."""
        with self.database.transaction() as transaction:
            return columns_of(prices.change(transaction, price, changes_of(PriceChanges, fields)))

    def archive(self, price: str) -> Row:
        with self.database.transaction() as transaction:
            return columns_of(prices.archive(transaction, price))

    def delete(self, price: str) -> Row:
        with self.database.transaction() as transaction:
            return columns_of(prices.delete(transaction, price))

    def find(self, price: str) -> Row:
        """The price as it stands, by its id or its lookup key."""
        with self.engine.connect() as connection:
            return columns_of(price_locks.find(connection, price)[0])

    def change_product(self, product_id: str, **fields: Any) -> Row:
        with self.database.transaction() as transaction:
            return columns_of(
                products.change(transaction, product_id, changes_of(ProductChanges, fields))
            )

    def archive_product(self, product_id: str) -> Row:
        with self.database.transaction() as transaction:
            return columns_of(products.archive(transaction, product_id))

    def delete_product(self, product_id: str) -> Row:
        with self.database.transaction() as transaction:
            return columns_of(products.delete(transaction, product_id))

    def count(self, price: str, request: InventoryRequest) -> Row:
        """The price after stock was counted by hand."""
        with self.database.transaction() as transaction:
            return columns_of(inventory.adjust(transaction, price, request)[0])

    def stock(self, price_id: str) -> int | None:
        """How much is left of a price; None = it is unlimited."""
        (row,) = self.query("SELECT quantity_available FROM prices WHERE id = :id", id=price_id)
        available: int | None = row["quantity_available"]
        return available

    def reservation(self, charge_id: str) -> tuple[str, int, int] | None:
        """What a charge holds: the state, how many units, and how many of them came back."""
        found = self.query("SELECT * FROM reservations WHERE charge_id = :id", id=charge_id)
        return (found[0]["state"], found[0]["quantity"], found[0]["restocked"]) if found else None

    def report(self, object_id: str, outcome: Any, *, by: str = "sandbox") -> int:
        name = kind(object_id).name
        return self.report_all(ProcessorEvent(object_id, name, outcome), by=by)

    def report_all(self, *events: ProcessorEvent, by: str = "sandbox") -> int:
        with self.database.transaction() as transaction:
            return reports.apply(
                transaction, events, processor=by, policy=self.policy, dice=no_dice
            )

    def hear(self, heard: ProcessorEvent | FoundRefund, *, by: str = "sandbox") -> bool:
        """What the door does with an event that a processor brings."""
        with self.database.transaction() as transaction:
            return reports.hear(transaction, heard, processor=by, policy=self.policy, dice=no_dice)

    def resolve(self, object_id: str, decision: Any) -> Row:
        with self.database.transaction() as transaction:
            row = reviews.resolve(transaction, object_id, decision, approvals=self.approvals)
            return columns_of(row)

    def cancel(
        self, charge_id: str, *, producer: str | None = None, reason: str | None = None
    ) -> Row | Exception:
        """What every door does with a cancellation: an operator's, or that of a producer."""
        access = OPERATOR if producer is None else Access(producer, frozenset())
        one = Cancellation(charge_id, acting=by("tests"), reason=reason, access=access)
        answer = self.cancel_all(one)[0]
        return answer if isinstance(answer, Refused) else columns_of(answer)

    def cancel_all(self, *asked: Cancellation) -> list[ChargeRow | Refused]:
        with self.database.transaction() as transaction:
            return cancels.cancel(transaction, asked)

    def sweep(self) -> Wakes:
        """Take back leases, wake what is due, and cancel what has expired, as beat does each
        second; who was woken."""
        self.wakes = Wakes()
        for each in KINDS.values():
            with self.database.transaction() as transaction:
                sweeps.expire_leases(transaction, each, limit=100_000)
            with self.database.transaction() as transaction:
                sweeps.wake_due(transaction, each, processors=self.processors, limit=100_000)
        with self.database.transaction() as transaction:
            cancels.cancel_expired(transaction, limit=100_000)
        with self.database.transaction() as transaction:
            captures.warn_of_expiry(transaction, limit=100_000)
        return self.wakes

    def wake(self, *, limit: int) -> set[str]:
        """The charges that one look for what is due wakes."""
        self.wakes = Wakes()
        with self.database.transaction() as transaction:
            sweeps.wake_due(transaction, KINDS["charge"], processors=self.processors, limit=limit)
        return self.wakes.charges

    def time_passes(self, duration: timedelta, *ids: str) -> None:
        """For these rows everything happened this much earlier; what is due falls due."""
        moments = (
            "created_at", "next_attempt_at", "woken_at", "lease_expires_at", "leased_at",
            "first_called_at", "settled_at",
        )  # fmt: skip
        of_charges = (
            "scheduled_at", "expires_at", "cancel_requested_at", "authorized_at", "capture_before",
            "capture_warned_at",
        )  # fmt: skip
        for id_ in ids:  # A transaction each, so that it never stands in a circle with others.
            named = (*moments, *(of_charges if kind(id_) is CHARGE else ()))
            earlier = ", ".join(f"{column} = {column} - :duration" for column in named)
            with self.engine.begin() as connection:
                connection.execute(
                    text(f"UPDATE {kind(id_).table.name} SET {earlier} WHERE id = :id"),
                    {"duration": duration, "id": id_},
                )

    def row(self, id_: str) -> dict[str, Any]:
        return self.rows([id_])[id_]

    def rows(self, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The rows of charges and refunds, by id; `metadata` under its column's name."""
        return {
            row["id"]: dict(row)
            for each in KINDS.values()
            for row in self.query(f"SELECT * FROM {each.table.name} WHERE id = ANY(:ids)", ids=ids)
        }

    def stand(self, id_: str) -> str:
        """Phase while pending, else state."""
        row = self.row(id_)
        return row["phase"] or row["state"]

    def attempts(self, id_: str) -> list[tuple[str, str]]:
        """Verb and outcome of each attempt, in order."""
        rows = self.query("SELECT * FROM attempts WHERE object_id = :id ORDER BY number", id=id_)
        return [(row["verb"], row["outcome"]) for row in rows]

    def events(self, id_: str) -> list[str]:
        """The types of the events, in order, after checking that their numbers have no gap."""
        rows = self.query("SELECT * FROM events WHERE object_id = :id ORDER BY sequence", id=id_)
        assert [row["sequence"] for row in rows] == list(range(1, len(rows) + 1))
        return [row["type"] for row in rows]

    def query(self, statement: str, **parameters: Any) -> list[Mapping[str, Any]]:
        parameters = {n: list(v) if not isinstance(v, str) else v for n, v in parameters.items()}
        with self.engine.connect() as connection:
            return list(connection.execute(text(statement), parameters).mappings())

    def put(self, statement: str, **parameters: Any) -> None:
        """Write what no rule writes."""
        with self.engine.begin() as connection:
            connection.execute(text(statement), parameters)

    def stuck(self) -> int:
        """How many transactions wait for what others hold."""
        waiting = (
            "SELECT 1 FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return len(self.query(waiting))

    def wait_until_stuck(self, transactions: int) -> None:
        wait_for(lambda: self.stuck() == transactions, what="others to wait", every_s=0.005)

    def _wake(self, wakes: Wakes) -> None:
        self.wakes.endpoints |= wakes.endpoints
        self.wakes.charges |= wakes.charges
        self.wakes.refunds |= wakes.refunds


def a_lease(seconds: float = 20.0) -> Lease:
    return Lease(uuid.uuid4(), seconds, "tests")


def kind(object_id: str) -> Kind:
    found = kind_of(object_id)
    assert found is not None
    return found


def is_claimed(begun: Begun) -> bool:
    return isinstance(begun, Claimed)


def is_left_alone(begun: Begun) -> bool:
    return isinstance(begun, NotDue)

"""A whole service in one thread: what is asked here has been tried when the call returns."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, text

from infra.billing.contract.requests.capture_request import CaptureRequest
from infra.billing.contract.requests.charge_request import ChargeRequest
from infra.billing.contract.requests.inventory_request import InventoryRequest
from infra.billing.contract.requests.price_request import PriceRequest
from infra.billing.contract.requests.product_request import ProductRequest
from infra.billing.contract.requests.refund_request import RefundRequest
from models.rows import ChargeRow, LifecycleRow, columns_of
from payments.catalog import inventory, prices, products
from payments.intake import rejections
from payments.kinds import kind_of
from payments.lifecycle import cancels, database_steps, reports
from payments.lifecycle.accepting.asked import Accepted
from payments.lifecycle.blocking import BlockingExecutor
from payments.lifecycle.cancels import Cancellation
from payments.lifecycle.capturing import captures
from payments.lifecycle.capturing.captures import NewCapture
from payments.lifecycle.claims import lease
from payments.lifecycle.database_steps import Begin, Begun, Settlement
from payments.lifecycle.settlement import policies_of
from payments.parsing import parse
from payments.payment_errors import Refused
from payments.processors.registry import Processors
from payments.processors.sandbox import Sandbox
from service.wiring import open_sandbox
from tests.support.acting import Database, by
from tests.support.factories import a_key
from tests.support.ledger import an_hour_passes, seal_all

# A row by the names of its columns.
Row = Mapping[str, Any]


class Counter:
    """Charges and refunds through the real rules and the real sandbox, none of them waiting."""

    def __init__(self, engine: Engine, sandbox: Sandbox) -> None:
        self.engine = engine
        self.database = Database(engine)
        self.sandbox = sandbox
        self._processors = Processors(sandbox)
        self._policies = policies_of(self._processors)
        self._executor = BlockingExecutor(
            begin=self._begin,
            settle=self._settle,
            cancel=self._cancel,
            capture=self._capture,
            processors=self._processors,
            policies=self._policies,
            new_lease=lambda: lease("tests", 20.0),
            call_deadline_s=5.0,
        )

    def charge(self, *, task_id: str | None = None, **changes: Any) -> Row:
        """USD 10.00 unless told otherwise; returns the row as it stands then. Raises Refused."""
        fields = {"amount": 1000, "currency": "USD", "idempotency_key": a_key()} | changes
        return columns_of(self._executor.create(parse(ChargeRequest, fields), task_id=task_id))

    def price(self, **changes: Any) -> Row:
        """20.00 USD of a product of its own, unless told otherwise, without limit."""
        product = parse(ProductRequest, {"name": "Tea", "idempotency_key": a_key()})
        fields = {
            "product_id": product.id,
            "currency_id": "cur_usd",
            "unit_amount": "2000",
            "idempotency_key": a_key(),
        } | changes
        with self.database.transaction() as transaction:
            products.create(transaction, product, livemode=False)
            made, _ = prices.create(transaction, parse(PriceRequest, fields), livemode=False)
            return columns_of(made)

    def buy(self, price_id: str, quantity: int, **changes: Any) -> Row:
        """So many units of a price."""
        fields = {"price_id": price_id, "quantity": quantity, "idempotency_key": a_key()} | changes
        return columns_of(self._executor.create(parse(ChargeRequest, fields)))

    def adjust(self, price_id: str, action: str, quantity: int) -> Row:
        """Count stock by hand."""
        fields = {"action": action, "quantity": quantity, "idempotency_key": a_key()}
        with self.database.transaction() as transaction:
            request = parse(InventoryRequest, fields)
            return columns_of(inventory.adjust(transaction, price_id, request)[0])

    def refund(self, charge_id: str, **changes: Any) -> Row:
        """All that is left unless told otherwise."""
        fields = {"charge_id": charge_id, "idempotency_key": a_key()} | changes
        return columns_of(self._executor.create(parse(RefundRequest, fields)))

    def go_on(self, id_: str) -> Row:
        """What a wake-up call does, now."""
        kind = kind_of(id_)
        assert kind is not None
        self.query(f"UPDATE {kind.table.name} SET next_attempt_at = now() WHERE id = :id", id=id_)
        return columns_of(self._executor.submit(kind, id_))

    def refuse(self, fields: dict[str, Any], task_id: str = "task-1") -> str:
        """What the broker's door does with a request that is none; returns the rejection's id."""
        try:
            parse(ChargeRequest, fields)
        except Refused as refused:
            with self.database.transaction() as transaction:
                return rejections.record(
                    transaction,
                    "billing.charge.create",
                    refused=refused,
                    fields=fields,
                    task_id=task_id,
                )
        raise AssertionError("the request is a good one")

    def hear_reports(self) -> int:
        """Apply what the sandbox has to tell by itself."""
        pulled = self.sandbox.pull_events(100)
        events = [self.sandbox.read_event(headers, body) for headers, body in pulled]
        with self.database.transaction() as transaction:
            return reports.apply(
                transaction,
                events,
                processor="sandbox",
                policy=self._policies["sandbox"],
                dice=random.random,
            )

    def query(self, statement: str, **parameters: Any) -> list[dict[str, Any]]:
        """What a statement returns, or nothing; committed."""
        with self.engine.begin() as connection:
            found = connection.execute(text(statement), parameters)
            return [dict(row) for row in found.mappings()] if found.returns_rows else []

    def seal(self) -> None:
        """Let the hour end, and have the ledger seal it."""
        an_hour_passes(self.engine)
        seal_all(self.database)

    def cancel(self, charge_id: str, **more: Any) -> Row:
        """End a charge, as far as that goes now. Raises Refused."""
        return columns_of(
            self._executor.cancel(Cancellation(charge_id, acting=by("tests"), **more))
        )

    def _cancel(self, one: Cancellation) -> ChargeRow | Refused:
        with self.database.transaction() as transaction:
            return cancels.cancel(transaction, [one])[0]

    def capture(self, charge_id: str, **changes: Any) -> Row:
        """Take all that is set aside of a charge, unless told otherwise. Raises Refused."""
        fields = {"charge_id": charge_id, "idempotency_key": a_key()} | changes
        return columns_of(self._executor.capture(NewCapture(parse(CaptureRequest, fields))))

    def _capture(self, new: NewCapture) -> Accepted | Refused:
        with self.database.transaction() as transaction:
            return captures.accept(transaction, [new])[0]

    def _begin(self, item: Begin) -> Begun:
        with self.database.transaction() as transaction:
            return database_steps.begin(transaction, [item], processors=self._processors)[0]

    def _settle(self, item: Settlement) -> LifecycleRow:
        with self.database.transaction() as transaction:
            (row,) = database_steps.settle(
                transaction, [item], policies=self._policies, dice=random.random
            )
            return row


@contextmanager
def counter(engine: Engine) -> Iterator[Counter]:
    """A counter on a migrated database."""
    sandbox_engine = open_sandbox(engine.url.render_as_string(hide_password=False))
    try:
        yield Counter(engine, Sandbox(sandbox_engine, timeout_ms=0))
    finally:
        sandbox_engine.dispose()

"""The sandbox's rule for refunds: only of money that it captured, and never more than that."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Connection, cast, func, select

from models.base import id_among, table_of
from models.rows import SandboxRequestRow
from models.sandbox import SandboxRequest
from payments.processors.port import Order
from payments.processors.sandbox import ledger
from payments.processors.sandbox.sandbox_scripts import PLAIN, Script, script_for
from payments.processors.sandbox.verdicts import Verdict, verdict_on
from payments.transaction import read

_REQUESTS = table_of(SandboxRequest)
_LOCK = (
    select(_REQUESTS).where(id_among(_REQUESTS.c.key)).order_by(_REQUESTS.c.key).with_for_update()
)
_PENDING = (
    select(_REQUESTS.c.charge_id, cast(func.sum(_REQUESTS.c.amount), BigInteger).label("pending"))
    .where(
        id_among(_REQUESTS.c.charge_id),
        _REQUESTS.c.kind == "refund",
        _REQUESTS.c.status == "pending",
    )
    .group_by(_REQUESTS.c.charge_id)
)


@dataclass(slots=True)
class Refundable:
    """A charge to refund, locked. `charge` None = unknown."""

    charge: SandboxRequestRow | None
    # Minor units refunded, or about to be.
    refunded: int

    def verdict_on(self, order: Order, *, call: int) -> Verdict:
        """The verdict on one refund of this charge; its amount counts against the next one."""
        script = self._objection_to(order) or self._script()
        verdict = verdict_on(script, call=call)
        if verdict.standing.status in ("pending", "succeeded"):
            self.refunded += order.amount
        return verdict

    def _objection_to(self, order: Order) -> Script | None:
        charge = self.charge
        if charge is None or charge.status == "open":
            return _refused("no_such_charge")
        if charge.status != "succeeded":
            return _refused("charge_not_captured")
        if charge.currency != order.currency:
            return _refused("currency_mismatch")
        taken = charge.captured if charge.capture == "manual" else charge.amount
        if self.refunded + order.amount > taken:
            return _refused("amount_exceeds_charge")
        return None

    def _script(self) -> Script:
        if self.charge is None:
            return PLAIN
        return script_for(self.charge.payment_method_id).refunds or PLAIN


def refundables(connection: Connection, refunds: Sequence[Order]) -> dict[str | None, Refundable]:
    """The charges of `refunds`, by our id, locked until the end of the transaction."""
    ids = sorted({order.charge_id for order in refunds if order.charge_id is not None})
    if not ids:
        return {None: Refundable(None, 0)}
    keys = [f"{charge_id}:charge" for charge_id in ids]
    locked = read(connection, SandboxRequestRow, _LOCK, {"ids": keys})
    charges = {row.object_id: row for row in locked}
    # Only now, in separate statements: the statement that waited for the locks still sees the
    # refunds as of before the wait.
    refunded = ledger.refunded(connection, ids)
    pending = dict(read(connection, tuple[str, int], _PENDING, {"ids": ids}))
    return {None: Refundable(None, 0)} | {
        charge_id: Refundable(
            charges.get(charge_id), refunded.get(charge_id, 0) + pending.get(charge_id, 0)
        )
        for charge_id in ids
    }


def _refused(processor_code: str) -> Script:
    return Script(status="declined", code="refund_declined", processor_code=processor_code)

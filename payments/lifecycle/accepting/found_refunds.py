"""Refunds that were made by hand at the processor: recorded like our own.

Such a refund counts against what may be refunded, belongs to the charge's producer and publishes
events like any other. Its id is derived from the processor's id, so it is recorded only once,
however often it is reported.
"""

import logging
from collections.abc import Mapping

from sqlalchemy import func, update

from infra.billing.contract.ids import id_from_key
from infra.billing.contract.requests.refund_request import RefundRequest
from models.base import id_among
from models.rows import ChargeRow
from models.states import State
from payments.kinds import REFUND
from payments.lifecycle.accepting import refunds
from payments.lifecycle.accepting.asked import NewRefund
from payments.lifecycle.locks import hold_charges
from payments.lifecycle.payment_queries import fingerprints
from payments.parsing import parse
from payments.payment_errors import Refused
from payments.processors.port import FoundRefund
from payments.transaction import Transaction

log = logging.getLogger(__name__)


def record(transaction: Transaction, found: FoundRefund, *, processor: str) -> str | None:
    """Record the refund as one that was sent, and return its id, also if it is on record
    already; its outcome is applied afterwards. None: it can't be recorded yet, as its charge is
    not known to have succeeded, or other refunds have reserved the amount. The processor reports
    it again later."""
    held = hold_charges(transaction, ids=[found.charge_id])
    charge = held.get(found.charge_id)
    if charge is None:
        return None
    key = f"{processor}:{found.reference}"
    refund_id = id_from_key("refund", producer=charge.producer, key=key)
    if fingerprints(transaction.connection, REFUND, [refund_id]):
        return refund_id
    if not _fits(charge, found, processor):
        return None
    request = parse(RefundRequest, _fields(found, charge, key))
    (answer,) = refunds.accept(transaction, [NewRefund(request, processor)], held)
    if isinstance(answer, Refused):
        log.warning("a refund of %s made at %s: %s", charge.id, processor, answer.code)
        return None
    transaction.wakes.refunds.discard(refund_id)
    transaction.execute(_SENT, {"ids": [refund_id]})
    return refund_id


def _fits(charge: ChargeRow, found: FoundRefund, processor: str) -> bool:
    """Whether it is a refund of this charge, in its present state."""
    is_at_hand = charge.processor == processor and charge.currency == found.currency
    is_same = charge.processor_reference in (None, found.charge_reference)
    return is_at_hand and is_same and charge.state == State.SUCCEEDED


def _fields(found: FoundRefund, charge: ChargeRow, key: str) -> Mapping[str, object]:
    return {
        "charge_id": found.charge_id,
        "amount": found.amount,
        "reason": "refunded at the processor",
        "idempotency_key": key,
        "producer": charge.producer,
    }


# It counts as sent, so that the processor's report is applied as its answer.
_SENT = update(REFUND.table).where(id_among(REFUND.table.c.id)).values(first_called_at=func.now())

"""The refusal of another request under a key that was used already: it says what differs."""

from typing import Any

from infra.billing.contract.requests.charge import ChargeRequest
from infra.billing.contract.requests.refund import RefundRequest
from models.rows import LifecycleRow
from payments.errors import KeyReused

# Fields that are kept as they were asked for, one that is new included: the refusal names no field
# that is missing here. Of a charge by price the amount is computed, and a
# price may have been asked for by its lookup key: of those nothing can be said.
_CHARGE = (
    "amount",
    "currency",
    "quantity",
    "customer_id",
    "payment_method_id",
    "reference",
    "description",
    "metadata",
    "scheduled_at",
    "capture",
    "return_url",
    "statement_descriptor",
    "receipt_email",
)
_REFUND = ("charge_id", "amount", "reason", "metadata")


def key_reused(request: ChargeRequest | RefundRequest, row: LifecycleRow, **ids: str) -> KeyReused:
    """What to answer for `request`, whose key made `row` with another one. Names, never values:
    they may be another caller's."""
    names = _CHARGE if isinstance(request, ChargeRequest) else _REFUND
    differs = [name for name in names if _differs(request, row, name)]
    if not differs:  # in what was computed, such as the price that a lookup key names
        return KeyReused(param="idempotency_key", **ids)
    return KeyReused(
        f"this idempotency key was used before with another {' and '.join(differs)}; send that"
        " request again as it was, or a new key if this is another payment",
        param="idempotency_key",
        differs=differs,
        **ids,
    )


def _differs(request: ChargeRequest | RefundRequest, row: LifecycleRow, name: str) -> bool:
    asked: Any = getattr(request, name)
    is_computed = asked is None and name in ("amount", "currency", "scheduled_at")
    return not is_computed and asked != getattr(row, name)

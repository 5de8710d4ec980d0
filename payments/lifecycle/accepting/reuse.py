"""The refusal of a different request under a used key: it says which fields differ."""

from typing import Any

from infra.billing.contract.requests.charge_request import ChargeRequest
from infra.billing.contract.requests.refund_request import RefundRequest
from models.rows import LifecycleRow
from payments.payment_errors import KeyReused

# Fields that are kept as they were requested, new ones included: the refusal names no other. The
# amount of a charge by price is computed, and a price may have been named by its lookup key, so
# these can't be compared.
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
    """The refusal of `request`, whose key made `row` for a different request. It holds names of
    fields, never values: they may be another caller's."""
    names = _CHARGE if isinstance(request, ChargeRequest) else _REFUND
    differs = [name for name in names if _differs(request, row, name)]
    if not differs:  # it differs in what was computed, such as the price of a lookup key
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

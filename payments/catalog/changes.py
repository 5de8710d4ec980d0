"""Which fields of a product or a price may change, and which never do."""

from collections.abc import Mapping
from typing import Any, TypeVar

from infra.billing.contract.limits import METADATA_KEYS_MAX
from infra.billing.contract.requests.price_request import PriceChanges, PriceRequest
from infra.billing.contract.requests.request_fields import Changes
from payments.access import audit_log
from payments.parsing import parse
from payments.payment_errors import InvalidRequest, KeyReused, PriceLocked
from payments.transaction import Transaction

_C = TypeVar("_C", bound=Changes)

# The fields that `PUT` refuses by name, since they never change.
LOCKED = frozenset(PriceRequest.model_fields) - {
    *PriceChanges.model_fields, "idempotency_key", "producer", "quantity_available",
}  # fmt: skip


def changes(model: type[_C], fields: Mapping[str, Any]) -> _C:
    """The requested changes. Raises PriceLocked for a field that never changes, InvalidRequest
    otherwise."""
    if model is PriceChanges:
        for name in fields:
            if name in LOCKED:
                may = ", ".join(PriceChanges.model_fields)
                raise PriceLocked(
                    f"{name} never changes: make a new price, move the lookup key to it"
                    f" (transfer_lookup_key=true), and archive this one. What may change: {may}",
                    param=name,
                )
        if "quantity_available" in fields:
            raise InvalidRequest(
                "quantity_available is counted, not set: send quantity and action to /inventory",
                param="quantity_available",
            )
    return parse(model, fields)


def refuse_deleted(transaction: Transaction, kind: str, id_: str) -> None:
    """A key makes one product or price, for ever: a late repeat does not create again what was
    deleted. Raises KeyReused."""
    if audit_log.was_done(transaction.connection, f"{kind}.delete", id_):
        raise KeyReused(
            f"the {kind} that was made under this key has been deleted; send a new key",
            param="idempotency_key",
        )


def merged(there: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """Metadata with changes merged in: a text sets a name, and None removes it.

    Raises InvalidRequest if there are too many.
    """
    both = {name: value for name, value in {**there, **changes}.items() if value is not None}
    if len(both) > METADATA_KEYS_MAX:
        raise InvalidRequest(
            f"metadata: with these it would have {len(both)} names, and {METADATA_KEYS_MAX} is the"
            " most; unset others with null",
            param="metadata",
        )
    return both

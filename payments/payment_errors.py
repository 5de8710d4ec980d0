"""Refusals and their reasons.

::

    BillingError
    └── Refused                        a caller's mistake: not retried, answered with code and param
        ├── InvalidRequest             the field is named, and what to send instead
        ├── Unauthenticated, InsufficientScope, SecondPersonRequired, NotFound, EventsGone
        └── Conflict                   it contradicts what is already there

A class names its code. The HTTP status, the meaning and what to do about it are in the contract
(`infra.billing.contract.error_codes`). The message is that meaning unless a better one is given; it
is safe to show to anyone.
"""

from typing import Any

from infra.billing.contract.error_codes import describe


class BillingError(Exception):
    """Something went wrong in billing."""

    code = "internal_error"
    status = 500

    def __init__(self, message: str | None = None, *, param: str | None = None, **facts: Any):
        super().__init__(message or (self.__doc__ or "").strip())
        self.param = param
        # Numbers and ids that help the caller, such as `available`; shown beside the message.
        self.facts = facts

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if (meaning := describe(cls)) is not None:
            cls.status = meaning.status


class Refused(BillingError):
    """The request was refused."""


class InvalidRequest(Refused):
    code = "invalid_request"


class Unauthenticated(Refused):
    code = "unauthenticated"


class InsufficientScope(Refused):
    code = "insufficient_scope"


class SecondPersonRequired(Refused):
    code = "second_person_required"


class NotFound(Refused):
    code = "not_found"


class Conflict(Refused):
    """The request contradicts what is already there."""

    code = "conflict"
    status = 409


class KeyReused(Conflict):
    code = "idempotency_key_reused"


class ReferenceInUse(Conflict):
    code = "reference_in_use"


class RefundExceedsCharge(Conflict):
    code = "refund_exceeds_charge"


class ChargeNotRefundable(Conflict):
    code = "charge_not_refundable"


class ChargeNotCancelable(Conflict):
    code = "charge_not_cancelable"


class ChargeNotCapturable(Conflict):
    code = "charge_not_capturable"


class CaptureExceedsCharge(Conflict):
    code = "capture_exceeds_charge"


class RequestExpired(Conflict):
    code = "request_expired"


class NothingToRestock(Conflict):
    code = "nothing_to_restock"


class UnexpectedAmount(Conflict):
    code = "unexpected_amount"


class PriceInactive(Conflict):
    code = "price_inactive"


class PriceInUse(Conflict):
    code = "price_in_use"


class PriceLocked(Conflict):
    code = "price_locked"


class ProductInactive(Conflict):
    code = "product_inactive"


class ProductInUse(Conflict):
    code = "product_in_use"


class LookupKeyInUse(Conflict):
    code = "lookup_key_in_use"


class InsufficientInventory(Conflict):
    code = "insufficient_inventory"


class InventoryUnlimited(Conflict):
    code = "inventory_unlimited"


class EventsGone(Refused):
    code = "events_gone"


class EndpointDisabled(Conflict):
    code = "endpoint_disabled"


class MoveNotAllowed(Conflict):
    code = "move_not_allowed"


def refusal(code: str, message: str, *, param: str | None) -> Refused:
    """The refusal with this code, as it was answered before."""
    found: type[Refused] = Refused
    below = [Refused]
    while below:
        one = below.pop()
        found = one if one.code == code else found
        below += one.__subclasses__()
    error = found(message, param=param)
    error.code = code  # even if no class has it any more
    return error

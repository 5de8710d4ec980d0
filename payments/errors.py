"""What is refused, and why.

::

    BillingError
    └── Refused                        a caller's mistake: never retried, told with code and param
        ├── InvalidRequest             400 invalid_request
        ├── Unauthenticated            401 unauthenticated
        ├── InsufficientScope          403 insufficient_scope
        ├── NotFound                   404 not_found
        └── Conflict                   409
            ├── KeyReused              422 idempotency_key_reused
            ├── ReferenceInUse         reference_in_use
            ├── RefundExceedsCharge    refund_exceeds_charge
            ├── ChargeNotRefundable    charge_not_refundable
            ├── ChargeNotCancelable    charge_not_cancelable
            ├── RequestExpired         request_expired
            ├── NothingToRestock       nothing_to_restock
            ├── UnexpectedAmount       unexpected_amount
            ├── PriceInactive          price_inactive
            ├── PriceInUse             price_in_use
            ├── PriceLocked            price_locked
            ├── ProductInactive        product_inactive
            ├── ProductInUse           product_in_use
            ├── LookupKeyInUse         lookup_key_in_use
            ├── InsufficientInventory  insufficient_inventory
            ├── InventoryUnlimited     inventory_unlimited
            ├── EndpointDisabled       endpoint_disabled
            └── MoveNotAllowed         move_not_allowed

The message is the docstring unless a better one is given; it is safe to show to anybody.
"""

from typing import Any


class BillingError(Exception):
    """Something went wrong in billing."""

    code = "internal_error"
    status = 500

    def __init__(self, message: str | None = None, *, param: str | None = None, **facts: Any):
        super().__init__(message or (self.__doc__ or "").strip())
        self.param = param
        # Numbers and ids that help the caller, such as `available`; shown beside the message.
        self.facts = facts


class Refused(BillingError):
    """The request was refused."""


class InvalidRequest(Refused):
    """The request is not valid."""

    code = "invalid_request"
    status = 400


class Unauthenticated(Refused):
    """Send an API key that is valid: Authorization: Bearer key_…"""

    code = "unauthenticated"
    status = 401


class InsufficientScope(Refused):
    """This API key may not do this; ask for one with the scope that is needed."""

    code = "insufficient_scope"
    status = 403


class NotFound(Refused):
    """There is nothing with this id."""

    code = "not_found"
    status = 404


class Conflict(Refused):
    """The request contradicts what is already there."""

    code = "conflict"
    status = 409


class KeyReused(Conflict):
    """This idempotency key was used before with a different request; send a new key."""

    code = "idempotency_key_reused"
    # draft-ietf-httpapi-idempotency-key-header, 2.7; 409 is for what others are in the way of.
    status = 422


class ReferenceInUse(Conflict):
    """Another pending or succeeded charge has this reference."""

    code = "reference_in_use"


class RefundExceedsCharge(Conflict):
    """The refund is more than what is left of the charge."""

    code = "refund_exceeds_charge"


class ChargeNotRefundable(Conflict):
    """This charge can't be refunded."""

    code = "charge_not_refundable"


class ChargeNotCancelable(Conflict):
    """This charge can't be canceled any more."""

    code = "charge_not_cancelable"


class RequestExpired(Conflict):
    """It came later than it was wanted (`expires`); send it again if it still is."""

    code = "request_expired"


class NothingToRestock(Conflict):
    """The charge has fewer units out than are to come back."""

    code = "nothing_to_restock"


class UnexpectedAmount(Conflict):
    """The price comes to another amount than was expected; nothing was charged."""

    code = "unexpected_amount"


class PriceInactive(Conflict):
    """The price is archived: it takes no new charges."""

    code = "price_inactive"


class PriceInUse(Conflict):
    """Something was charged by this price, so it can't be deleted; archive it instead."""

    code = "price_in_use"


class PriceLocked(Conflict):
    """What a price costs never changes; make a new price, and archive this one."""

    code = "price_locked"


class ProductInactive(Conflict):
    """The product is archived: its prices take no new charges, and it gets no new prices."""

    code = "product_inactive"


class ProductInUse(Conflict):
    """The product has prices, so it can't be deleted; archive it instead."""

    code = "product_in_use"


class LookupKeyInUse(Conflict):
    """Another price has this lookup key; send transfer_lookup_key=true to move it."""

    code = "lookup_key_in_use"


class InsufficientInventory(Conflict):
    """There is less left than was asked for."""

    code = "insufficient_inventory"


class InventoryUnlimited(Conflict):
    """The price has no limit, so there is nothing to count."""

    code = "inventory_unlimited"


class EndpointDisabled(Conflict):
    """The webhook endpoint is disabled; enable it first."""

    code = "endpoint_disabled"


class MoveNotAllowed(Conflict):
    """The state does not allow this."""

    code = "move_not_allowed"


def refusal(code: str, message: str, *, param: str | None) -> Refused:
    """The refusal of this code, as it was told before."""
    found: type[Refused] = Refused
    below = [Refused]
    while below:
        one = below.pop()
        found = one if one.code == code else found
        below += one.__subclasses__()
    told = found(message, param=param)
    told.code = code  # also one that no class has any more
    return told

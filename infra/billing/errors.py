"""The errors of the SDK.

::

    BillingError                    code                     status  what to do
    ├── InvalidRequest              invalid_request             400  correct it
    ├── Unauthenticated             unauthenticated             401  check the API key
    ├── InsufficientScope           insufficient_scope          403  ask for a key that may
    ├── SecondPersonRequired        second_person_required      403  have someone else approve it
    ├── NotFound                    not_found                   404  check the id
    ├── EventsGone                  events_gone                 410  read on with after=0
    ├── Conflict                    conflict                    409  look at what is there
    │   ├── KeyReused               idempotency_key_reused      422  send a new key
    │   ├── ReferenceInUse          reference_in_use                 the order is paid, or will be
    │   ├── RefundExceedsCharge     refund_exceeds_charge            refund less
    │   ├── ChargeNotRefundable     charge_not_refundable            nothing was taken
    │   ├── ChargeNotCapturable     charge_not_capturable            `detail` says why
    │   ├── CaptureExceedsCharge    capture_exceeds_charge           ask for less
    │   ├── ChargeNotCancelable     charge_not_cancelable            refund it instead
    │   ├── RequestExpired          request_expired                  send it again
    │   ├── NothingToRestock        nothing_to_restock               fewer units are out
    │   ├── UnexpectedAmount        unexpected_amount                quote it again, and ask again
    │   ├── PriceInactive           price_inactive                   use another, or activate it
    │   ├── PriceInUse              price_in_use                     archive it instead
    │   ├── PriceLocked             price_locked                     make a new price
    │   ├── ProductInactive         product_inactive                 use another, or activate it
    │   ├── ProductInUse            product_in_use                   archive it instead
    │   ├── LookupKeyInUse          lookup_key_in_use                transfer it
    │   ├── InsufficientInventory   insufficient_inventory           ask for less
    │   ├── InventoryUnlimited      inventory_unlimited              leave it be
    │   ├── EndpointDisabled        endpoint_disabled                enable it first
    │   └── MoveNotAllowed          move_not_allowed                 too late, or too early
    ├── TooLarge                    body_too_large              413  send less
    ├── RateLimited                 too_many_requests           429  send it again later
    ├── Unavailable                 unavailable           none, 5xx  send it again, same key
    ├── NotConfigured               not_configured                -  set BILLING_URL, or configure
    ├── ReadingNeedsHttp            reading_needs_http            -  configure an http(s) url
    └── InvalidSignature            invalid_signature             -  answer 400, ignore the webhook

Every error has `code` and `param` (the field that is wrong, or None). What the service refused has
its `status`, too, its `request_id` for the service's log, and `facts`, such as `available`. What
happened to a charge or refund that you asked for has its `idempotency_key`: after Unavailable and
RateLimited, send it again under this key; a repeat never moves money twice.
A class that has no docstring of its own has that of its code
(`infra.billing.contract.error_codes`). The message is the docstring unless a better one is given;
our own hold no value of yours but short numbers and codes, and never the API key.
"""

from collections.abc import Mapping
from typing import Any

from infra.billing.contract.error_codes import describe


class BillingError(Exception):
    """Something went wrong in billing."""

    code = "billing_error"
    # The status of the HTTP answer; None if there was no answer.
    status: int | None = None

    def __init__(
        self,
        message: str | None = None,
        *,
        param: str | None = None,
        code: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
        idempotency_key: str | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message or (self.__doc__ or "").split("\n\n")[0].strip())
        self.param = param
        if code is not None:
            self.code = code
        if status is not None:
            self.status = status
        self.request_id = request_id
        self.idempotency_key = idempotency_key
        self.facts: dict[str, Any] = dict(facts or {})

    @property
    def is_silence(self) -> bool:
        """Whether there was no answer."""
        return isinstance(self, Unavailable) and self.status is None

    @property
    def was_sent(self) -> bool:
        """Whether the request may have reached the service."""
        return self.status is not None or self.is_silence

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        describe(cls)


class InvalidRequest(BillingError):
    code = "invalid_request"


class Unauthenticated(BillingError):
    """The service does not know this API key; see billing.configure(api_key=…)."""

    code = "unauthenticated"


class InsufficientScope(BillingError):
    code = "insufficient_scope"


class SecondPersonRequired(BillingError):
    code = "second_person_required"


class NotFound(BillingError):
    code = "not_found"


class EventsGone(BillingError):
    code = "events_gone"


class Conflict(BillingError):
    """The request contradicts what is already there."""

    code = "conflict"


class KeyReused(Conflict):
    code = "idempotency_key_reused"


class ReferenceInUse(Conflict):
    code = "reference_in_use"


class RefundExceedsCharge(Conflict):
    code = "refund_exceeds_charge"


class ChargeNotRefundable(Conflict):
    code = "charge_not_refundable"


class ChargeNotCapturable(Conflict):
    code = "charge_not_capturable"


class CaptureExceedsCharge(Conflict):
    code = "capture_exceeds_charge"


class ChargeNotCancelable(Conflict):
    code = "charge_not_cancelable"


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


class EndpointDisabled(Conflict):
    code = "endpoint_disabled"


class MoveNotAllowed(Conflict):
    code = "move_not_allowed"


class TooLarge(BillingError):
    """The request is larger than the service takes."""

    code = "body_too_large"


class RateLimited(BillingError):
    """The service was asked too often; `facts["retry_after_s"]` says when to ask again."""

    code = "too_many_requests"


class Unavailable(BillingError):
    """The service could not be reached in time.

    The request may have arrived all the same. Send it again with `idempotency_key`: a repeat
    under the same key never moves money twice.
    """

    code = "unavailable"


class NotConfigured(BillingError):
    """Set BILLING_URL, or call billing.configure(url=…), to say where requests go."""

    code = "not_configured"


class ReadingNeedsHttp(BillingError):
    """A broker takes requests but answers no questions; configure an http:// or https:// url."""

    code = "reading_needs_http"


class InvalidSignature(BillingError):
    """The webhook was not signed with this secret, or not just now."""

    code = "invalid_signature"

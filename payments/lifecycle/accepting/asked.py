"""A request as a door hands it over, the rules that may refuse it, and the answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from infra.billing.contract.requests.charge_request import ChargeRequest
from infra.billing.contract.requests.refund_request import RefundRequest
from infra.billing.contract.words import Waiting
from models.rows import LifecycleRow
from payments.acting import Acting
from payments.catalog.quotes import Terms
from payments.intake.judging import judge
from payments.intake.timing import ANY_TIME, Timing
from payments.lifecycle.claims import Claimed, Lease
from payments.payment_errors import InvalidRequest
from payments.processors.processor_limits import ANYTHING, MoneyLimits
from payments.processors.registry import Processors


@dataclass(frozen=True, slots=True)
class _New:
    """A request to accept, with what its door adds."""

    request: Any
    # The processor to use. A refund uses its charge's; this one stands in its row until the charge
    # is known.
    processor: str
    # With a lease, a charge that is new and due is claimed in the same statement.
    lease: Lease | None = None
    # The id of the HTTP request or of the message that asks for it.
    request_id: str | None = None
    # Whether the processor moves real money. A refund is as real as its charge.
    livemode: bool = False
    # Whether the processor can set money aside, to be captured later.
    authorizes: bool = True
    # The message's own time limits.
    timing: Timing = ANY_TIME
    traceparent: str | None = None  # as `infra.billing.contract.ids.traceparent` reads it
    # Whether the caller may refund any producer's charge.
    any_charge: bool = False
    # The actor, if not that of the transaction.
    asked_by: Acting | None = None
    # What a refund does while its charge is missing, unless the request says.
    if_missing: Waiting = "wait"


@dataclass(frozen=True, slots=True)
class NewCharge(_New):
    request: ChargeRequest
    # For a charge by price, whose currency is known only on acceptance: the fields to replace, for
    # each currency that is routed to another processor.
    elsewhere: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def in_currency(self, currency: str) -> "NewCharge":
        """The same charge, routed to the processor for this currency."""
        place = self.elsewhere.get(currency)
        return replace(self, **place) if place else self


@dataclass(frozen=True, slots=True)
class NewRefund(_New):
    request: RefundRequest


New = NewCharge | NewRefund


def new(request: ChargeRequest | RefundRequest, processors: Processors, **said: Any) -> New:
    """A request to accept. `said` is what the door adds: fields of NewCharge and NewRefund."""
    if isinstance(request, RefundRequest):
        return NewRefund(request, **processors.places[processors.default], **said)
    return new_charge(request, processors, **said)


def new_charge(request: ChargeRequest, processors: Processors, **said: Any) -> NewCharge:
    """A charge to accept. If it is new, it goes to the processor that the routes of `processors`
    name. `said` is as for `new`."""
    places = processors.places
    if request.price_id is not None:
        currencies = {route.currency for route in processors.routes if route.currency is not None}
        said["elsewhere"] = {
            code: places[processors.of_charge(request, code)] for code in currencies
        }
    place = places[processors.of_charge(request, request.currency)]
    return NewCharge(request, **place, **said)


def as_asked(request: ChargeRequest) -> Terms | None:
    """The terms of a charge that names its amount; None for one that names a price."""
    if request.amount is None or request.currency is None:
        return None
    return Terms(request.amount, request.currency)


def judge_terms(new: NewCharge, terms: Terms | None, limits: Mapping[str, MoneyLimits]) -> None:
    """Raise Refused if today's rules or its processor's limits don't allow this new charge."""
    if new.request.capture == "manual" and not new.authorizes:
        raise InvalidRequest(
            f"the processor {new.processor} can't set money aside; leave `capture` out,"
            " and it is taken at once",
            param="capture",
        )
    judge(
        new.request,
        processor=new.processor,
        limits=limits.get(new.processor, ANYTHING),
        amount=None if terms is None else terms.amount,
        currency=None if terms is None else terms.currency,
    )


@dataclass(frozen=True, slots=True)
class Accepted:
    """The charge or refund is in the database. `fresh` is False if an earlier request made it."""

    row: LifecycleRow
    fresh: bool
    claimed: Claimed | None = None

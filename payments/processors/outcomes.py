"""What the processor may answer: a value, never an exception.

*Unknown is not failure*: money may have moved, so we ask before we act. *Unavailable* is a promise
that nothing was executed; an adapter that isn't sure says Unknown.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from infra.billing.contract import objects
from payments.processors.advice import Advised
from payments.views import view_of_value


@dataclass(frozen=True, slots=True)
class Fees:
    """The processor's fee for a charge, and the net amount, in minor units of the settlement
    currency. Without refunds and disputes."""

    fee: int
    net: int
    currency: str  # ISO 4217, upper case


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The money moved, and no more of it will."""

    reference: str  # the processor's own id
    # The amount captured in all, in minor units; None = all that was asked for.
    captured: int | None = None
    fees: Fees | None = None  # for a charge, once known


@dataclass(frozen=True, slots=True)
class Authorized:
    """The money of a charge is authorized, and can be captured."""

    reference: str
    captured: int = 0  # captured so far, in minor units
    capture_before: datetime | None = None  # when the processor releases the rest; with a zone


@dataclass(frozen=True, slots=True)
class Declined:
    """The processor refused for good; nothing moved and a repeat would be refused too."""

    code: str  # ours, from infra.billing.contract.failures
    processor_code: str  # the processor's own
    message: str
    reference: str | None = None
    # The processor's advice, if it says more than our code.
    advised: Advised | None = None


@dataclass(frozen=True, slots=True)
class Canceled:
    """It ended without money having moved, and none will: anything that still arrives under this
    key is refused. An adapter that can't promise that of an unknown key says NotFound."""

    reference: str | None = None


@dataclass(frozen=True, slots=True)
class NextAction:
    """What the customer has to do before the processor goes on."""

    type: str  # the processor's term: `redirect_to_url`
    url: str | None = None  # where to send the customer
    expires_at: datetime | None = None  # when the URL stops working, with a zone

    def view(self) -> dict[str, Any]:
        """The form that is kept and shown; the time as RFC 3339."""
        return _next_action_view(self)


# The reason if the processor waits for the customer.
REQUIRES_ACTION = "requires_action"


@dataclass(frozen=True, slots=True)
class Pending:
    """Accepted, not decided: the processor waits for the customer or for itself."""

    reference: str
    reason: str  # REQUIRES_ACTION, `processing`
    next_action: NextAction | None = None


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Certainly not executed; try again later."""

    reason: str  # `connection_refused`, `rate_limited`, `service_unavailable`
    retry_after_s: float | None = None
    # Refused because of our configuration (a wrong key, a missing permission). Rows that wait for
    # an operator to fix that are not given up, however long it takes.
    needs_operator: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """Money may have moved: look it up before anything else."""

    reason: str  # `timeout`, `server_error`, `lease_expired`, `adapter_error`
    reference: str | None = None  # the processor's own id, if that much is known
    # For a look-up through lists that are too long for one call: none of what the processor made
    # before this moment is the object. The next look-up continues there, and soon.
    looked_until: datetime | None = None


# Reasons of Unknown that say nothing about the processor's state: the call got no answer.
UNANSWERED = frozenset({"timeout", "server_error", "adapter_error"})


@dataclass(frozen=True, slots=True)
class NotFound:
    """Only from a look-up or a cancellation: the processor doesn't know this key. A call that is
    still on its way may reach it later."""


Outcome = Succeeded | Authorized | Declined | Canceled | Pending | Unavailable | Unknown
Found = Outcome | NotFound

# Stripe's terms (docs: "The Dispute object"): a `warning_…` is an inquiry, and takes no money.
DisputeState = Literal[
    "warning_needs_response",
    "warning_under_review",
    "warning_closed",
    "needs_response",
    "under_review",
    "won",
    "lost",
]


@dataclass(frozen=True, slots=True)
class Disputed:
    """A customer's bank contests a charge; this is the state of the dispute at the processor."""

    reference: str  # the processor's id of the dispute
    state: DisputeState
    amount: int  # the disputed amount, in minor units
    currency: str
    reason: str  # the processor's term: `fraudulent`, `product_not_received`
    told_at: datetime  # the time of this state, by the processor's clock: reports come in any order
    respond_by: datetime | None = None  # later evidence is ignored


_next_action_view = view_of_value(objects.NextAction)

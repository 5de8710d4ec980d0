"""The sandbox's answers: to one call, and about the state of a charge or a refund."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from infra.billing.contract.failures import message_for
from payments.processors.outcomes import (
    REQUIRES_ACTION,
    Authorized,
    Canceled,
    Declined,
    Found,
    NextAction,
    NotFound,
    Outcome,
    Pending,
    Succeeded,
    Unknown,
)

# The key was used with other parameters. Neither Declined, since money may have moved under this
# key, nor Unavailable, since it would be refused for ever: this is a bug in the caller, and only a
# person can say which of the two requests was meant.
KEY_REUSED = Unknown("key_reused")
SERVER_ERROR = Unknown("server_error")


class Standing(Protocol):
    """The state of a charge or refund: a row of `sandbox_requests`, or a decision about one."""

    @property
    def status(self) -> str: ...

    @property
    def reference(self) -> str | None: ...

    @property
    def code(self) -> str | None: ...

    @property
    def processor_code(self) -> str | None: ...

    @property
    def captured(self) -> int: ...

    @property
    def capture_before(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one call. `outcome` None = the answer gets lost."""

    outcome: Found | None
    delay_s: float = 0.0


def outcome_of(standing: Standing) -> Outcome | NotFound:
    """The outcome for this state."""
    reference, said = standing.reference, standing.processor_code or ""
    if reference is None:
        return NotFound()  # `open`: nothing was executed, so there is nothing to find.
    match standing.status:
        case "succeeded":
            return Succeeded(reference, standing.captured or None)
        case "authorized":
            return Authorized(reference, standing.captured, standing.capture_before)
        case "pending":
            return _pending(reference, said)
        case "canceled":
            return Canceled(reference)
        case "declined" if standing.code is not None:
            return Declined(standing.code, said, message_for(standing.code), reference)
    return NotFound()


def _pending(reference: str, reason: str) -> Pending:
    if reason != REQUIRES_ACTION:
        return Pending(reference, reason)
    # This name never resolves (RFC 6761, 6.4): `billing sandbox complete` plays the customer.
    url = f"https://sandbox.invalid/authenticate/{reference}"
    return Pending(reference, reason, NextAction("redirect_to_url", url))

"""What the sandbox says: about one call, and about where a charge or a refund stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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

# Where a charge or refund stands: a row of `sandbox_requests`, or as much of it as is known.
# (Not Mapping[str, …]: SQLAlchemy types its rows as taking columns for keys, too.)
Standing = Mapping[Any, Any]

# The key was used with other parameters. Neither Declined, since money may well have moved under
# this key, nor Unavailable, since it would be refused for ever: whoever sends this has a bug, and
# only a person can say which of the two requests was meant.
KEY_REUSED = Unknown("key_reused")
SERVER_ERROR = Unknown("server_error")


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one call. `outcome` None = it gets lost on its way back."""

    outcome: Found | None
    delay_s: float = 0.0


def outcome_of(standing: Standing) -> Outcome | NotFound:
    """The outcome that tells this."""
    match standing["status"]:
        case "succeeded":
            return Succeeded(standing["reference"], standing["captured"] or None)
        case "authorized":
            return Authorized(
                standing["reference"], standing["captured"], standing["capture_before"]
            )
        case "pending":
            return _pending(standing["reference"], standing["processor_code"])
        case "canceled":
            return Canceled(standing["reference"])
        case "declined":
            code = standing["code"]
            return Declined(
                code, standing["processor_code"], message_for(code), standing["reference"]
            )
    return NotFound()  # `open`: nothing was executed, so there is nothing to be found.


def _pending(reference: str, reason: str) -> Pending:
    if reason != REQUIRES_ACTION:
        return Pending(reference, reason)
    # Nobody answers under this name (RFC 6761, 6.4): `billing sandbox complete` is the customer.
    url = f"https://sandbox.invalid/authenticate/{reference}"
    return Pending(reference, reason, NextAction("redirect_to_url", url))

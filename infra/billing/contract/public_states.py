"""The states of a charge or a refund, as the world sees them, and the phases of a pending one."""

from enum import StrEnum


class State(StrEnum):
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class DisputeState(StrEnum):
    """A `warning_…` is an inquiry: the bank asks, and takes no money (yet)."""

    WARNING_NEEDS_RESPONSE = "warning_needs_response"
    WARNING_UNDER_REVIEW = "warning_under_review"
    WARNING_CLOSED = "warning_closed"
    NEEDS_RESPONSE = "needs_response"  # send evidence by respond_by
    UNDER_REVIEW = "under_review"  # the bank decides
    WON = "won"
    LOST = "lost"


class Phase(StrEnum):
    QUEUED = "queued"  # due at next_attempt_at; surely not executed
    IN_FLIGHT = "in_flight"  # leased by a worker that calls the processor
    UNKNOWN = "unknown"  # money may have moved: ask before acting
    AWAITING_CUSTOMER = "awaiting_customer"  # the processor waits, for the customer or for itself
    AUTHORIZED = "authorized"  # the money of a charge is set aside, and waits to be captured
    NEEDS_REVIEW = "needs_review"  # nobody can tell any more: a person decides
    AWAITING_APPROVAL = "awaiting_approval"  # a refund that a second person must approve

"""What the processor may answer: a value, never an exception.

*Unknown is not failure*: money may have moved, so we ask before we act. *Unavailable* is a
promise that nothing was executed; an adapter that isn't sure says Unknown.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The money moved."""

    reference: str  # the processor's own id


@dataclass(frozen=True, slots=True)
class Declined:
    """The processor refused for good; nothing moved and a repeat would be refused too."""

    code: str  # from payments.declines: our word
    processor_code: str  # the processor's word
    message: str
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """Accepted, not decided: the processor waits for the customer or for itself."""

    reference: str
    reason: str  # `requires_action`, `processing`


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Surely not executed; try again later."""

    reason: str  # `connection_refused`, `rate_limited`, `service_unavailable`
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """Money may have moved: look it up before anything else."""

    reason: str  # `timeout`, `server_error`, `lease_expired`, `adapter_error`


@dataclass(frozen=True, slots=True)
class NotFound:
    """Only from a lookup: the processor has never heard of this key."""


Outcome = Succeeded | Declined | Pending | Unavailable | Unknown
Found = Outcome | NotFound

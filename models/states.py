"""The table of allowed moves between the states of a charge or a refund.

`state` is the public one: pending, then succeeded or failed. `phase` is the state of a pending one.
A *status* is the two in one word: the phase while pending, else the state.
`docs/reference/states.md` draws this table; a test keeps the two equal.
"""

from collections.abc import Mapping

from infra.billing.contract.public_states import DisputeState, Phase, State

__all__ = ["DisputeState", "Phase", "State"]

Status = State | Phase

_PENDING_MOVES: Mapping[Status, frozenset[Status]] = {
    # From queued directly to an end, or to waiting: by a report of the processor. It may know more
    # than its own "unavailable" said, or than the person who queued it again.
    Phase.QUEUED: frozenset(
        {Phase.IN_FLIGHT, State.SUCCEEDED, State.FAILED, Phase.AWAITING_CUSTOMER}
    ),
    Phase.IN_FLIGHT: frozenset(
        {State.SUCCEEDED, State.FAILED, Phase.QUEUED, Phase.UNKNOWN, Phase.AWAITING_CUSTOMER}
    ),
    Phase.UNKNOWN: frozenset(
        {
            State.SUCCEEDED,
            State.FAILED,
            Phase.UNKNOWN,
            Phase.AWAITING_CUSTOMER,
            Phase.NEEDS_REVIEW,
        }
    ),
    Phase.AWAITING_CUSTOMER: frozenset(
        {
            State.SUCCEEDED,
            State.FAILED,
            Phase.UNKNOWN,
            Phase.AWAITING_CUSTOMER,
        }
    ),
    Phase.NEEDS_REVIEW: frozenset({State.SUCCEEDED, State.FAILED, Phase.QUEUED}),
}

# A charge that is captured by hand is authorized first. Captures start from there, walk the same
# phases, and lead back there while there is something left to capture.
CHARGE_MOVES: Mapping[Status, frozenset[Status]] = {
    **{phase: moves | {Phase.AUTHORIZED} for phase, moves in _PENDING_MOVES.items()},
    Phase.AUTHORIZED: frozenset(
        {
            Phase.QUEUED,
            Phase.AUTHORIZED,
            State.SUCCEEDED,
            State.FAILED,
            Phase.NEEDS_REVIEW,
        }
    ),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset(),
}

# The one exception to "terminal stays terminal": a bank may return a refund days after the
# processor reported it as done (Stripe's `refund.failed`).
REFUND_MOVES: Mapping[Status, frozenset[Status]] = {
    **_PENDING_MOVES,
    # One that a second person must approve was never sent.
    Phase.QUEUED: _PENDING_MOVES[Phase.QUEUED] | {Phase.AWAITING_APPROVAL},
    Phase.AWAITING_APPROVAL: frozenset({Phase.QUEUED, State.FAILED}),
    State.SUCCEEDED: frozenset({State.FAILED}),
    State.FAILED: frozenset(),
}


_OPEN = frozenset(DisputeState)
# Reports come late and in any order, so an open one may go anywhere. An inquiry that was closed may
# become a dispute after all.
DISPUTE_MOVES: Mapping[DisputeState, frozenset[DisputeState]] = {
    DisputeState.WARNING_NEEDS_RESPONSE: _OPEN,
    DisputeState.WARNING_UNDER_REVIEW: _OPEN,
    DisputeState.WARNING_CLOSED: frozenset(
        {
            DisputeState.NEEDS_RESPONSE,
            DisputeState.UNDER_REVIEW,
            DisputeState.WON,
            DisputeState.LOST,
        }
    ),
    DisputeState.NEEDS_RESPONSE: _OPEN,
    DisputeState.UNDER_REVIEW: _OPEN,
    DisputeState.WON: frozenset(),
    DisputeState.LOST: frozenset(),
}
# Nothing remains to be done about these.
DISPUTE_CLOSED = frozenset({DisputeState.WARNING_CLOSED, DisputeState.WON, DisputeState.LOST})
# In this state the bank has the money.
DISPUTE_HOLDS_MONEY = frozenset(
    {DisputeState.NEEDS_RESPONSE, DisputeState.UNDER_REVIEW, DisputeState.LOST}
)


def status_of(state: str, phase: str | None) -> Status:
    """The status of a row: its phase while it is pending, else its state."""
    return Phase(phase) if phase is not None else State(state)


def state_of(status: Status) -> State:
    """The public state of a status."""
    return status if isinstance(status, State) else State.PENDING


def phase_of(status: Status) -> Phase | None:
    """The phase of a status, or None when it is final."""
    return status if isinstance(status, Phase) else None

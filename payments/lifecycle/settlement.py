"""From an outcome to a move: every rule of what the processor's answer means for us.

`decide` is pure: from a row, an outcome, a clock reading and a random source to a Move.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from infra.billing.contract.failures import message_for
from models.rows import CaptureRow, LifecycleRow, as_charge
from models.states import Phase, State, status_of
from payments.lifecycle.backoff import LOOK_UP_S, Dice, look_up_delay_s, unavailable_delay_s
from payments.lifecycle.capturing.authorizations import (
    back_to_authorized,
    decide_by_hand,
    is_by_hand,
    understood,
)
from payments.lifecycle.moving.moves import Move, ended
from payments.processors.outcomes import (
    REQUIRES_ACTION,
    UNANSWERED,
    Canceled,
    Declined,
    Found,
    NextAction,
    NotFound,
    Pending,
    Succeeded,
    Unavailable,
    Unknown,
)
from payments.processors.port import Processor

# An order is given up if the processor, busy or down, has not executed it this long after the first
# call: a charge that arrives days late is unwanted, and Unavailable promises that nothing moved.
# The pauses until then: `payments.lifecycle.backoff`.
GIVE_UP_AFTER = timedelta(hours=24)
# Nor before this many tries in a row, an hour's worth: what a person sends again after a day must
# not fail by a single 503.
GIVE_UP_TRIES = 20

# The verbs that move no money: they ask for the state, or end it.
ASKS = ("look_up", "cancel")

# A customer who has not come back within a day has gone. (Only while the processor waits for the
# customer: what it works on by itself, a bank debit say, may rightly take days.)
CUSTOMER_WAIT = timedelta(days=1)

# Nothing is resent in the last minutes of a key's life at the processor: clocks differ, and the
# call itself takes time.
KEY_WINDOW_MARGIN = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Policy:
    """The time limits at one processor."""

    # For how long it remembers a key, as the processor says.
    key_window: timedelta
    # These are the same everywhere; only tests set others.
    give_up_after: timedelta = GIVE_UP_AFTER
    give_up_tries: int = GIVE_UP_TRIES
    margin: timedelta = KEY_WINDOW_MARGIN
    # How long a charge without its own limit waits for its customer (BILLING_CUSTOMER_WAIT_S).
    customer_wait: timedelta = CUSTOMER_WAIT

    def may_resend(self, row: LifecycleRow, now: datetime) -> bool:
        """Whether the processor certainly still remembers the key of the first call."""
        first = row.first_called_at
        return first is None or now < first + self.key_window - min(
            self.margin, self.key_window / 2
        )


def policies_of(
    processors: Mapping[str, Processor], *, customer_wait: timedelta = CUSTOMER_WAIT
) -> dict[str, Policy]:
    """A policy for each processor, with its own time of remembering keys."""
    return {
        name: Policy(key_window=one.key_window, customer_wait=customer_wait)
        for name, one in processors.items()
    }


def decide(
    row: LifecycleRow,
    found: Found,
    *,
    verb: str,
    policy: Policy,
    dice: Dice,
    capture: CaptureRow | None = None,
) -> Move:
    """The move that `found` leads to. `row` is locked and carries the database's `now`; `capture`
    is the one under way.

    `verb` is what was called: `charge`, `capture`, `refund`, `look_up` or `cancel`. A cancellation
    that was requested during another call is due as soon as that call has been answered.
    """
    found = understood(row, found, capture, verb=verb)
    by_hand = None
    if is_by_hand(row):
        by_hand = decide_by_hand(as_charge(row), found, capture, verb=verb, dice=dice)
    move = by_hand or _decide(row, found, verb=verb, policy=policy, dice=dice)
    if by_hand is None and capture is not None and move.to is State.FAILED:
        move = back_to_authorized(move, capture, dice)
    is_to_end = _end_asked_for(row, "cancel_requested_at") is not None and verb != "cancel"
    # Not if it is queued again: the processor asked for a pause.
    if is_to_end and move.to in (Phase.UNKNOWN, Phase.AWAITING_CUSTOMER, Phase.AUTHORIZED):
        return replace(move, next_in_s=0.0)
    return move


def _end_asked_for(row: LifecycleRow, column: str) -> Any:
    """A charge's column about its cancellation; a refund has none."""
    return getattr(row, column, None)


def canceled(row: LifecycleRow, verb: str, *, reference: str | None = None, **more: Any) -> Move:
    """The move of a charge that is over without money having moved."""
    code = _end_asked_for(row, "cancel_code") or "canceled"
    return ended(row, verb, code, processor_reference=reference, **more)


def _decide(row: LifecycleRow, found: Found, *, verb: str, policy: Policy, dice: Dice) -> Move:
    status = status_of(row.state, row.phase)
    if (unsent := _end_of_unsent(row, found, verb, policy, dice)) is not None:
        return unsent
    match found:
        case Succeeded(reference, fees=fees):
            return Move(
                row,
                State.SUCCEEDED,
                verb,
                "succeeded",
                processor_reference=reference,
                fees=fees,
            )
        case Declined(code, processor_code, message, reference, advice):
            return Move(
                row,
                State.FAILED,
                verb,
                "declined",
                code=processor_code,
                failure_code=code,
                failure_message=message or message_for(code),
                processor_code=processor_code,
                processor_reference=reference,
                advice=advice,
            )
        case Canceled(reference):
            return canceled(row, verb, reference=reference)
        case Pending():
            return _waiting(row, found, verb, policy, dice)
        case Unavailable() if status is Phase.IN_FLIGHT:
            return _not_executed(row, found, verb, policy, dice)
        case Unavailable(reason) if status is Phase.AWAITING_CUSTOMER:
            # The look-up could not be made; the processor still has it.
            return _again(row, Phase.AWAITING_CUSTOMER, verb, "unavailable", reason, dice)
        case Unavailable(reason):
            # This call was not executed, but an earlier one may have been.
            return _unknown(row, verb, "unavailable", reason, policy, dice)
        case Unknown(reason) if status is Phase.AWAITING_CUSTOMER and verb in ASKS:
            return _again(row, Phase.AWAITING_CUSTOMER, verb, "unknown", reason, dice)
        case Unknown(looked_until=datetime() as looked_until) if verb in ASKS:
            return _further(row, found, verb, looked_until)
        case Unknown(reason, reference):
            move = _unknown(row, verb, "unknown", reason, policy, dice)
            return replace(move, processor_reference=reference)
        case _:  # NotFound
            return _unknown(row, verb, "not_found", None, policy, dice)


def _end_of_unsent(
    row: LifecycleRow, found: Found, verb: str, policy: Policy, dice: Dice
) -> Move | None:
    """The move of what was queued when it was to end: no call that could have executed it is under
    way. A cancellation without an answer makes nothing more doubtful, and is repeated."""
    if not _is_unsent(row, verb):
        return None
    match found:
        case NotFound():
            return canceled(row, verb, detail="the processor has never heard of it")
        case Unknown(reason, reference=None, looked_until=None) if reason in UNANSWERED:
            unsent = Unavailable(reason)
            return _not_executed(row, unsent, verb, policy, dice, outcome="unknown")
    return None


def _is_unsent(row: LifecycleRow, verb: str) -> bool:
    """Whether it was queued, and the call was to cancel it."""
    return verb == "cancel" and row.phase == Phase.IN_FLIGHT


def _waiting(row: LifecycleRow, found: Pending, verb: str, policy: Policy, dice: Dice) -> Move:
    retries = row.retries + 1 if row.phase == Phase.AWAITING_CUSTOMER else 1
    action, limit_s = None, None
    if found.reason == REQUIRES_ACTION:
        action = (found.next_action or NextAction("other")).view()
        limit_s = policy.customer_wait.total_seconds()
    return Move(
        row,
        Phase.AWAITING_CUSTOMER,
        verb,
        "pending",
        code=found.reason,
        retries=retries,
        next_in_s=look_up_delay_s(retries, dice=dice),
        processor_reference=found.reference,
        next_action=action,
        expires_in_s=limit_s,
    )


def _not_executed(
    row: LifecycleRow,
    found: Unavailable,
    verb: str,
    policy: Policy,
    dice: Dice,
    *,
    outcome: str = "unavailable",
) -> Move:
    """Try again later; or give up, if it has been refused for too long. A row that waits for an
    operator counts as never sent: nothing was executed, and it is not at fault."""
    first = row.first_called_at or row.now
    is_early = row.now - first < policy.give_up_after or row.retries < policy.give_up_tries
    if found.needs_operator or is_early:
        retries = row.retries + 1
        delay = unavailable_delay_s(retries, retry_after_s=found.retry_after_s, dice=dice)
        return Move(
            row,
            Phase.QUEUED,
            verb,
            outcome,
            code=found.reason,
            retries=retries,
            next_in_s=delay,
            is_unsent=found.needs_operator,
        )
    if _end_asked_for(row, "cancel_code"):
        return canceled(row, verb, detail="the processor could not be asked in time")
    return Move(
        row,
        State.FAILED,
        verb,
        outcome,
        code=found.reason,
        failure_code="processor_unavailable",
        failure_message=message_for("processor_unavailable"),
    )


def _unknown(
    row: LifecycleRow, verb: str, outcome: str, reason: str | None, policy: Policy, dice: Dice
) -> Move:
    if row.phase != Phase.UNKNOWN or policy.may_resend(row, row.now):
        return _again(row, Phase.UNKNOWN, verb, outcome, reason, dice)
    # Sending again with the same key is no longer safe. A look-up always is: make one after the
    # last call, and more while few of them went unanswered. All in a row count, also those from
    # before the key ran out.
    if verb not in ASKS:
        delay = look_up_delay_s(1, dice=dice)
        return Move(row, Phase.UNKNOWN, verb, outcome, code=reason, retries=1, next_in_s=delay)
    if outcome != "not_found" and row.retries < len(LOOK_UP_S):
        return _again(row, Phase.UNKNOWN, verb, outcome, reason, dice)
    return Move(row, Phase.NEEDS_REVIEW, verb, outcome, code=reason)


def _further(row: LifecycleRow, found: Unknown, verb: str, looked_until: datetime) -> Move:
    """A look-up that got part of the way continues soon, and does not count as one without an
    answer. What was queued when it was to end stays so: no call for it is under way, and nothing is
    more doubtful."""
    return Move(
        row,
        Phase.QUEUED if _is_unsent(row, verb) else Phase.UNKNOWN,
        verb,
        "unknown",
        code=found.reason,
        detail=f"nothing that was made there before {looked_until:%Y-%m-%d %H:%M:%S} UTC is it",
        retries=row.retries,
        next_in_s=LOOK_UP_S[0],
        looked_until=looked_until,
    )


def _again(
    row: LifecycleRow, to: Phase, verb: str, outcome: str, reason: str | None, dice: Dice
) -> Move:
    retries = row.retries + 1 if row.phase == to else 1
    delay = look_up_delay_s(retries, dice=dice)
    return Move(row, to, verb, outcome, code=reason, retries=retries, next_in_s=delay)

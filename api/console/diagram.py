"""The states of a payment as a diagram: where it is, where it has been, where it may go."""

from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup

from models.states import CHARGE_MOVES, REFUND_MOVES, Phase, State, Status

# Where each state is drawn: its column and its row.
_PLACES: dict[Status, tuple[int, int]] = {
    Phase.QUEUED: (0, 1),
    Phase.IN_FLIGHT: (1, 1),
    Phase.AUTHORIZED: (2, 0),
    Phase.AWAITING_CUSTOMER: (2, 1),
    Phase.UNKNOWN: (2, 2),
    Phase.NEEDS_REVIEW: (3, 2),
    Phase.AWAITING_APPROVAL: (0, 0),
    State.SUCCEEDED: (4, 0),
    State.FAILED: (4, 2),
}
# The state that an attempt's outcome leads to.
_LED_TO: dict[str, Status] = {
    "succeeded": State.SUCCEEDED,
    "declined": State.FAILED,
    "failed": State.FAILED,
    "pending": Phase.AWAITING_CUSTOMER,
    "authorized": Phase.AUTHORIZED,
    "unavailable": Phase.QUEUED,
    "unknown": Phase.UNKNOWN,
    "lease_expired": Phase.UNKNOWN,
    "needs_review": Phase.NEEDS_REVIEW,
    "retry": Phase.QUEUED,
    "asked": Phase.AWAITING_APPROVAL,
    "approved": Phase.QUEUED,
    "rejected": State.FAILED,
}
WIDE, HIGH, ACROSS, DOWN = 132, 34, 160, 62


def way(outcomes: Sequence[str], now: Status) -> list[Status]:
    """The states that a payment went through, by the outcomes of its attempts."""
    states: list[Status] = [Phase.QUEUED]
    for outcome in outcomes:
        led_to = _LED_TO.get(outcome)
        if states[-1] is Phase.QUEUED and led_to is not Phase.AWAITING_APPROVAL:
            states.append(Phase.IN_FLIGHT)
        if led_to is not None and led_to is not states[-1]:
            states.append(led_to)
    if states[-1] is not now:
        states.append(now)
    return states


def of(kind: str, outcomes: Sequence[str], now: Status) -> Markup:
    """The diagram of a charge or a refund."""
    moves = CHARGE_MOVES if kind == "charge" else REFUND_MOVES
    places = {one: at for one, at in _PLACES.items() if one in moves}
    went = way(outcomes, now)
    steps = set(pairwise(went))
    ahead = {(now, after) for after in moves[now] if after is not now} - steps
    lines = Markup().join(
        [_line(*step, "ahead") for step in sorted(ahead)]
        + [_line(*step, "went") for step in sorted(steps)]
    )
    boxes = Markup().join(
        _box(one, at, "now" if one is now else "been" if one in went else "other")
        for one, at in places.items()
    )
    label = "States: " + ", then ".join(_words(one) for one in went) + " (now)"
    width, height = 4 * ACROSS + WIDE + 4, 2 * DOWN + HIGH + 4
    return Markup(
        '<svg class="states" viewBox="-2 -2 {} {}" role="img" aria-label="{}">{}{}</svg>'
    ).format(width, height, label, lines, boxes)


def _words(status: Status) -> str:
    return status.value.replace("_", " ")


def _box(status: Status, at: tuple[int, int], name: str) -> Markup:
    x, y = at[0] * ACROSS, at[1] * DOWN
    return Markup(
        '<g class="{}"><rect x="{}" y="{}" width="{}" height="{}" rx="6"/>'
        '<text x="{}" y="{}">{}</text></g>'
    ).format(name, x, y, WIDE, HIGH, x + WIDE / 2, y + HIGH / 2 + 4, _words(status))


def _line(start: Status, end: Status, name: str) -> Markup:
    (x1, y1), (x2, y2) = _PLACES[start], _PLACES[end]
    leaves = x1 * ACROSS + (WIDE if x2 > x1 else 0 if x2 < x1 else WIDE / 2)
    comes = x2 * ACROSS + (0 if x2 > x1 else WIDE if x2 < x1 else WIDE / 2)
    top, bottom = y1 * DOWN + HIGH / 2, y2 * DOWN + HIGH / 2
    if x1 == x2:
        top, bottom = y1 * DOWN + (HIGH if y2 > y1 else 0), y2 * DOWN + (0 if y2 > y1 else HIGH)
    return Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
        name, leaves, top, comes, bottom
    )

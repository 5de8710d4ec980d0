"""Every answer of a processor, at every place where a charge and a refund may stand, with every
circumstance that counts: what is decided, field by field (tests/recorded/decisions.txt)."""

from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from itertools import product
from types import SimpleNamespace
from typing import Any

from models.states import Phase
from payments.lifecycle.moving.moves import Move
from payments.lifecycle.settlement import Policy, decide
from payments.processors.outcomes import (
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
from tests.support import recorded

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
POLICY = Policy(
    key_window=timedelta(hours=24),
    give_up_after=timedelta(hours=12),
    give_up_tries=0,
    customer_wait=timedelta(hours=2),
)
# What happened to a row before, by the words of the record.
CIRCUMSTANCES: dict[str, dict[str, Any]] = {
    "fresh": {"first_called_at": NOW - timedelta(minutes=1)},
    "retried": {"first_called_at": NOW - timedelta(hours=1), "retries": 2},
    "gives up": {"first_called_at": NOW - timedelta(hours=12), "retries": 5},
    "past its key": {"first_called_at": NOW - timedelta(hours=25), "retries": 5},
    "long past its key": {"first_called_at": NOW - timedelta(days=3), "retries": 3},
    "never called": {"first_called_at": None, "created_at": NOW - timedelta(days=3)},
    "to be canceled": {
        "first_called_at": NOW - timedelta(minutes=1),
        "cancel_requested_at": NOW,
        "cancel_code": "expired",
    },
    "to be canceled for long": {
        "first_called_at": NOW - timedelta(hours=13),
        "cancel_requested_at": NOW,
        "cancel_code": "canceled",
    },
}
FOUND: dict[str, Found] = {
    "succeeded": Succeeded("ref"),
    "declined": Declined("card_declined", "do_not_honor", "", "ref"),
    "declined, with words": Declined("expired_card", "54", "Too old."),
    "canceled": Canceled("ref"),
    "waits for the customer": Pending(
        "ref", "requires_action", NextAction("redirect_to_url", "https://pay.example/1", NOW)
    ),
    "waits for what it does not say": Pending("ref", "requires_action"),
    "waits for itself": Pending("ref", "processing"),
    "unavailable": Unavailable("rate_limited"),
    "unavailable for a while": Unavailable("rate_limited", 77.0),
    "timeout": Unknown("timeout"),
    "not found": NotFound(),
}
# Nothing is set aside of what is taken at once (tests/integration/rules/test_captures.py), and no
# call is under way of what a second person must approve.
PHASES = [one for one in Phase if one not in (Phase.AUTHORIZED, Phase.AWAITING_APPROVAL)]
VERBS = ("charge", "look_up", "cancel", "report")


def a_row(phase: Phase, circumstances: dict[str, Any]) -> Any:
    said = {"cancel_requested_at": None, "cancel_code": None, "retries": 0, **circumstances}
    return SimpleNamespace(
        **{"id": "ch_1", "state": "pending", "phase": phase, "now": NOW, "created_at": NOW, **said}
    )


def told(move: Move) -> str:
    """What is decided, but for the row."""
    said = {one.name: getattr(move, one.name) for one in fields(move) if one.name != "row"}
    return recorded.Names().row(said)


def decisions() -> Iterator[str]:
    for phase, verb, found in product(PHASES, VERBS, FOUND):
        yield f"{phase}, {verb}: {found}"
        # What several circumstances come to is written once.
        seen: dict[str, list[str]] = {}
        for name, circumstances in CIRCUMSTANCES.items():
            row = a_row(phase, circumstances)
            move = decide(row, FOUND[found], verb=verb, policy=POLICY, dice=lambda: 0.0)
            seen.setdefault(told(move), []).append(name)
        whole = len(seen) == 1
        for what, who in seen.items():
            yield f"    {what}" if whole else f"    ({', '.join(who)}) {what}"


def test_every_decision_is_as_it_was_recorded() -> None:
    recorded.hold("decisions.txt", decisions())

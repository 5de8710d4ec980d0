"""What tests of `billing reconcile` ask, and a period that has ended."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, text

from tests.support.command import Answer, Billing
from tests.support.stripe_door import Door

# `processor(make)`: what the command has in place of the sandbox.
Replace = Callable[[Callable[[Any], Any]], None]

# `at_stripe(journal=…)`: the command, with Stripe as its processor; and the stand-in that it takes
# for Stripe.
AtStripe = Callable[..., AbstractContextManager[tuple[Door, Billing]]]


def an_hour_passes(engine: Engine) -> None:
    """Everything happened an hour earlier."""
    with engine.begin() as connection:
        for table, columns in {
            "charges": ("first_called_at", "created_at", "settled_at"),
            "refunds": ("first_called_at", "created_at", "settled_at"),
            "sandbox_ledger": ("moved_at",),
        }.items():
            earlier = ", ".join(f"{name} = {name} - interval '1 hour'" for name in columns)
            connection.execute(text(f"UPDATE {table} SET {earlier}"))


def lately() -> tuple[str, ...]:
    """A period that ends now."""
    now = datetime.now(UTC)
    return "--from", (now - timedelta(days=1)).isoformat(), "--to", now.isoformat()


def told(answer: Answer) -> tuple[list[Any], Any]:
    """The differences and the sum of an answer in JSON lines."""
    *found, total = map(json.loads, answer.out.splitlines())
    assert (answer.code, answer.err) == (int(total["differences"] > total["repaired"]), "")
    return found, total


def reconciled(billing: Billing, *arguments: str) -> tuple[list[Any], Any]:
    return told(billing("reconcile", *(arguments or lately()), "--json"))


def codes(found: list[Any]) -> list[str]:
    return sorted(one["code"] for one in found)

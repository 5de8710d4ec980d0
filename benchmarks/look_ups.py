"""Look-ups at a busy account: a charge without Stripe's id of it, among 100,000 PaymentIntents.

`python -m benchmarks.look_ups`: a stand-in for Stripe, and its adapter. It fails unless the charge
is found where it is there, and is said not to be there only when all were seen, each call within
its deadline; and tells how many calls and how long that took.
"""

import json
import random
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.reconcile import stripe_door
from infra.billing.contract.ids import PREFIXES
from payments.processors.outcomes import NotFound, Succeeded, Unknown
from payments.processors.port import Order
from payments.processors.stripe import Stripe
from payments.processors.stripe.wire import CHARGE_ID

LINE = 1_000  # PaymentIntents to one of the journal
DEADLINE_S = 10.0  # that of every call (BILLING_CALL_DEADLINE_S)
OURS = PREFIXES["charge"] + "a" * 32


def main(
    intents: Annotated[int, typer.Option(min=1, help="How many.")] = 100_000,
    hours: Annotated[int, typer.Option(min=1, help="Made in so many hours since.")] = 24,
) -> None:
    """Looks for one that is there at the end, and for one that is not there."""
    now = time.time()
    began = now - hours * 3600
    order = Order(
        id=OURS,
        kind="charge",
        amount=1000,
        currency="USD",
        first_sent_at=datetime.fromtimestamp(began, UTC),
    )
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder, "stripe.jsonl")
        _write(journal, intents, began, now)
        with stripe_door(journal) as settings:
            stripe = Stripe(
                settings["BILLING_STRIPE_API_KEY"], api_base=settings["BILLING_STRIPE_API_BASE"]
            )
            try:
                there = _look(stripe, order)
                absent = _look(stripe, replace(order, id=PREFIXES["charge"] + "b" * 32))
            finally:
                stripe.close()
    if there != Succeeded("pi_ours") or absent != NotFound():
        raise SystemExit(f"found {there}, and of what is not there {absent}")


def _look(stripe: Stripe, order: Order) -> Any:
    """What look-ups come to, one after the other."""
    began, calls, longest_s = time.monotonic(), 0, 0.0
    while True:
        asked_at = time.monotonic()
        found = stripe.look_up(order, deadline_s=DEADLINE_S)
        longest_s, calls = max(longest_s, time.monotonic() - asked_at), calls + 1
        if not isinstance(found, Unknown):
            took_s = time.monotonic() - began
            print(f"{found}: {calls} calls, {took_s:.1f} s in all, {longest_s:.1f} s at most")
            return found
        if found.looked_until is None or longest_s > DEADLINE_S:
            raise SystemExit(f"came no further ({found}), or took too long ({longest_s:.1f} s)")
        order = replace(order, looked_until=found.looked_until)


def _write(journal: Path, intents: int, began: float, now: float) -> None:
    """The others, some seconds busier than the rest; and ours, made an hour before the end."""
    dice = random.Random(11)
    seconds = [int(dice.uniform(began, now)) for _ in range(intents * 9 // 10)]
    seconds += [int(dice.gauss((began + now) / 2, 60)) for _ in range(intents - len(seconds))]
    made = [(second, f"pi_{n}", f"ch_{n}") for n, second in enumerate(seconds)]
    made.append((int(now - 3600), "pi_ours", OURS))
    with journal.open("w") as lines:
        for objects in _batches(sorted(made)):
            lines.write(json.dumps({"objects": objects, "tables": [], "moved": []}) + "\n")


def _batches(made: list[tuple[int, str, str]]) -> Iterator[list[dict[str, Any]]]:
    for first in range(0, len(made), LINE):
        yield [
            {
                "id": id_,
                "object": "payment_intent",
                "amount": 1000,
                "amount_received": 1000,
                "capture_method": "automatic",
                "created": second,
                "currency": "usd",
                "customer": None,
                "livemode": False,
                "metadata": {CHARGE_ID: charge_id},
                "status": "succeeded",
            }
            for second, id_, charge_id in made[first : first + LINE]
        ]


if __name__ == "__main__":
    typer.run(main)

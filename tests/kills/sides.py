"""The processors that the killed workers call, and their own books: the outside witness."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from payments.processors.stripe.wire import CHARGE_ID, REFUND_ID
from tests.support.house import House
from tests.support.ports import free_port
from tests.support.processors import SANDBOX_METHODS, STRIPE_METHODS
from tests.support.stripe import API_KEY, WEBHOOK_SECRET
from tests.support.stripe_door import client_at

# Our id of a charge, capture or refund → direction and amount of each movement.
Books = Mapping[str, list[tuple[str, int]]]


@dataclass(frozen=True)
class Side:
    """A processor, as workers reach it. `methods` as those of a rig, but nobody can turn the clock:
    what happens later happens two seconds later."""

    methods: Mapping[str, str]
    environ: Mapping[str, str]
    books: Callable[[], Books]
    # Whoever charges at Stripe without a customer has to be looked for among all that was made
    # since; the stand-in, too, takes its time for that.
    customers: Sequence[str | None] = (None,)


@contextmanager
def sandbox(town: House) -> Iterator[Side]:
    """The sandbox, whose ledger is in the same database and in tables of its own."""

    def ledger() -> Books:
        moved: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for row in town.witness.rows("SELECT object_id, direction, amount FROM sandbox_ledger"):
            moved[row["object_id"]].append((row["direction"], row["amount"]))
        return moved

    yield Side({**SANDBOX_METHODS, "slow": "pm_sandbox_slow_2000"}, {}, ledger)


@contextmanager
def stripe(town: House, journal: Path, *, customers: int) -> Iterator[Side]:
    """Stripe's adapter, and the stand-in for Stripe: a process that keeps a journal, which is read
    here as it was written."""
    port = free_port()
    events = f"http://127.0.0.1:{town.port}/v1/billing/processors/stripe/events"
    door = town.run(
        "stripe-door",
        "cli",
        "stripe-door",
        *("--port", str(port), "--journal", str(journal)),
        *("--webhook-url", events, "--webhook-secret", WEBHOOK_SECRET),
    )
    door.wait_until("Stripe's API at")
    client = client_at(f"http://127.0.0.1:{port}")
    made = [client.v1.customers.create({"name": str(n)}).id for n in range(customers)]

    def movements() -> Books:
        moved: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for line in journal.read_text().splitlines():
            for one in json.loads(line)["moved"]:
                id_ = one["metadata"].get(REFUND_ID) or one["metadata"][CHARGE_ID]
                # The installation's name stands before them, once it has one.
                asked, _, verb = (one["key"] or "").rpartition(":")
                asked = asked.rpartition(":")[2]
                is_capture = verb == "capture"
                direction = verb if is_capture else one["direction"]
                moved[asked if is_capture else id_].append((direction, one["amount"]))
        return moved

    yield Side(
        {
            **STRIPE_METHODS,
            "applied late": "pm_fault_applied_late_2000",
            "slow": "pm_fault_slow_2000_once",
        },
        {
            "BILLING_PROCESSORS": "stripe",
            "BILLING_STRIPE_API_KEY": API_KEY,
            "BILLING_STRIPE_API_BASE": f"http://127.0.0.1:{port}",
            "BILLING_STRIPE_WEBHOOK_SECRETS": WEBHOOK_SECRET,
        },
        movements,
        made,
    )

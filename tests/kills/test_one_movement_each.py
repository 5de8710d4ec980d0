"""Every fault of the conformance kit, for many charges at once, through real workers that are
killed with `kill -9` in between: the processor's own books have one movement for each.

Six charges a fault in the suite; `make kills` is for 200 (`BILLING_TEST_CHARGES_PER_FAULT`).
"""

import itertools
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from infra import billing
from infra.billing.contract.ids import id_from_key
from local.embedded.throwaway import Servers
from tests.conformance.test_one_movement import CAPTURES, CHARGES, REFUNDS
from tests.conftest import FAILED, tell_the_last_of
from tests.kills import sides
from tests.kills.killing import Workers
from tests.kills.sides import Books, Side
from tests.support import databases
from tests.support.house import House, hasty, house
from tests.support.nursery import Nursery
from tests.support.programs import READY
from tests.support.sdk import unconfigured

PER_FAULT = int(os.environ.get("BILLING_TEST_CHARGES_PER_FAULT", "6"))
KILLS = max(2, PER_FAULT // 10)  # of each of the two stages
# No more than the stand-in for Stripe, one thread, answers before a call's deadline.
SLOTS = 16
SEED = int(os.environ.get("BILLING_TEST_KILLS_SEED", "1"))
# Other tests of this pytest process use the other databases of the same Redis.
REDIS_DATABASE = 9
CHARGED, PART = 1000, 400

SIDES: dict[str, Callable[[House, Path], AbstractContextManager[Side]]] = {
    "sandbox": lambda town, _: sides.sandbox(town),
    "stripe": lambda town, folder: sides.stripe(
        town, folder / "journal.jsonl", customers=PER_FAULT
    ),
}


@dataclass
class Asked:
    """What was asked for, by the fault that it meets."""

    charges: dict[str, list[str]] = field(default_factory=dict)
    # The id of each capture or refund, and that of its charge.
    captures: dict[str, dict[str, str]] = field(default_factory=dict)
    refunds: dict[str, dict[str, str]] = field(default_factory=dict)


@pytest.fixture(params=SIDES)
def side(
    request: pytest.FixtureRequest,
    servers: Servers,
    nursery: Nursery,
    tmp_path: Path,
) -> Iterator[tuple[House, Side]]:
    with ExitStack() as stack:
        database_url = stack.enter_context(databases.fresh(servers.postgres))
        broker_url = servers.redis.url_of(REDIS_DATABASE)
        town = stack.enter_context(
            house(
                database_url,
                broker_url,
                tmp_path,
                nursery,
                # Where money moved once counts, and not in how many calls, none has to last long.
                **hasty(lease_s=3.0),
                BILLING_SLOTS=str(SLOTS),
            )
        )
        made = stack.enter_context(SIDES[request.param](town, tmp_path))
        town.environ |= made.environ
        stack.enter_context(unconfigured())
        billing.configure(url=broker_url)
        yield town, made
        if request.node.stash.get(FAILED, False):
            tell_the_last_of(town.started)


@pytest.mark.timeout(max(600, 10 * PER_FAULT))
def test_whatever_goes_wrong_and_whoever_is_killed_each_moves_once(
    side: tuple[House, Side],
) -> None:
    town, processor = side
    asked, workers = Asked(), Workers(town)
    for name in ("web", "beat"):
        town.running[name] = town.launch(name)
    workers.start()
    for name in ("web", "beat"):
        town.running[name].wait_until(READY[name])

    with workers.asleep():
        ask_for_charges(asked, processor)
    total = sum(len(ids) for ids in asked.charges.values())
    workers.work_through(lambda: standing(town, or_authorized=True), total, kills=KILLS)
    with workers.asleep():
        ask_for_more(asked)
    total += sum(len(ids) for ids in asked.refunds.values())
    workers.work_through(lambda: standing(town), total, kills=KILLS)

    tell(town, asked, workers)
    assert workers.kills == 2 * KILLS
    assert wrong_states(town, asked) == []
    assert wrong_movements(processor.books(), asked) == []


def ask_for_charges(asked: Asked, processor: Side) -> None:
    """Charges that meet each fault there is; those whose refunds or captures meet one, too. In an
    order that mixes them."""
    wanted = [*CHARGES, "declined"]
    wanted += [f"refund {fault}" for fault in REFUNDS] + [f"capture {fault}" for fault in CAPTURES]
    faults = [one for one in wanted if one in processor.methods] * PER_FAULT
    random.Random(SEED).shuffle(faults)
    customers = itertools.cycle(processor.customers)
    for fault in faults:
        charge = billing.charge.create(
            amount=CHARGED,
            currency="USD",
            customer_id=next(customers),
            payment_method_id=processor.methods[fault],
            capture="manual" if fault.startswith("capture ") else None,
        )
        asked.charges.setdefault(fault, []).append(charge.charge_id)


def ask_for_more(asked: Asked) -> None:
    """The refunds and captures."""
    for fault, ids in asked.charges.items():
        for id_ in ids:
            if fault.startswith("capture "):
                key = f"capture-{id_}"
                billing.charge.capture(id_, amount=PART, idempotency_key=key)
                made = id_from_key("capture", producer="default", key=key)
                asked.captures.setdefault(fault, {})[made] = id_
            elif fault.startswith("refund "):
                refund = billing.refund.create(charge_id=id_, amount=PART)
                asked.refunds.setdefault(fault, {})[refund.refund_id] = id_


def test_the_books_are_read_as_they_are() -> None:
    asked = Asked(
        {"succeeds": ["ch_1"], "declined": ["ch_2"], "capture unavailable": ["ch_3"]},
        captures={"capture unavailable": {"cap_3": "ch_3"}},
    )
    honest: Books = {"ch_1": [("charge", CHARGED)], "cap_3": [("capture", PART)]}
    assert wrong_movements(honest, asked) == []
    for id_, lie in {
        "ch_1": [("charge", CHARGED)] * 2,  # taken twice
        "ch_2": [("charge", CHARGED)],  # declined, and taken
        "ch_3": [("charge", CHARGED)],  # taken besides its capture
        "cap_3": [("capture", PART)] * 2,
        "ch_4": [("charge", CHARGED)],  # nobody asked for it
    }.items():
        assert wrong_movements({**honest, id_: lie}, asked) == [(id_, lie)]
    assert wrong_movements({}, asked) == [("cap_3", None), ("ch_1", None)]


# --- what came of it --------------------------------------------------------------------------


def standing(town: House, *, or_authorized: bool = False) -> int:
    """How many charges and refunds are final; or authorized, if that is as far as they go."""
    [row] = town.witness.rows(
        "SELECT (SELECT count(*) FROM charges WHERE state <> 'pending'"
        "  OR (:authorized AND phase = 'authorized'))"
        " + (SELECT count(*) FROM refunds WHERE state <> 'pending') AS n",
        authorized=or_authorized,
    )
    return int(row["n"])


def wrong_states(town: House, asked: Asked) -> list[str]:
    """What did not succeed, and a decline that did."""
    stand = {
        row["id"]: row["state"]
        for row in town.witness.rows(
            "SELECT id, state FROM charges UNION ALL SELECT id, state FROM refunds"
        )
    }
    expected = {
        id_: "failed" if fault == "declined" else "succeeded"
        for group in (asked.charges, asked.refunds)
        for fault, ids in group.items()
        for id_ in ids
    }
    assert stand.keys() == expected.keys()
    return [town.witness.look(id_) for id_ in expected if stand[id_] != expected[id_]]


def wrong_movements(books: Books, asked: Asked) -> list[tuple[str, object]]:
    """What the books have of anything that is not one movement of each, and what they lack."""
    expected: dict[str, list[tuple[str, int]]] = {
        id_: [("charge", CHARGED)]
        for fault, ids in asked.charges.items()
        if fault != "declined" and not fault.startswith("capture ")
        for id_ in ids
    }
    for direction, group in (("capture", asked.captures), ("refund", asked.refunds)):
        expected |= {id_: [(direction, PART)] for ids in group.values() for id_ in ids}
    return [
        (id_, books.get(id_))
        for id_ in sorted({*books, *expected})
        if books.get(id_) != expected.get(id_)
    ]


def tell(town: House, asked: Asked, workers: Workers) -> None:
    """The figures, for docs/verification.md."""
    tried = town.witness.rows("SELECT outcome, count(*) AS n FROM attempts GROUP BY outcome")
    outcomes = Counter({row["outcome"]: row["n"] for row in tried})
    faults: Sequence[str] = sorted({*asked.charges})
    print(  # noqa: T201
        f"{PER_FAULT} charges for each of {len(faults)} faults, {workers.kills} kills,"
        f" {sum(outcomes.values())} attempts: {dict(outcomes.most_common())}"
    )

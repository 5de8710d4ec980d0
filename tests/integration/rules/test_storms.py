"""Many workers on few charges: nobody waits in a circle, and the sums come out."""

import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from sqlalchemy import Engine

from payments.lifecycle.claims import Claimed
from payments.lifecycle.database_steps import Begin
from payments.processors.outcomes import (
    Declined,
    Found,
    NotFound,
    Pending,
    Succeeded,
    Unavailable,
    Unknown,
)
from payments.processors.port import ProcessorEvent
from tests.support import invariants
from tests.support.factories import Till, a_charge, a_lease, a_refund, kind
from tests.support.webhooks import pending_is_asked_for

THREADS = 8
STEPS = 30  # of each, whatever time they take
FOUND: tuple[Found, ...] = (
    Succeeded("sbx_1"),
    Succeeded("sbx_1"),
    Declined("card_declined", "generic_decline", "The card was declined."),
    Pending("sbx_1", "processing"),
    Unavailable("service_unavailable"),
    Unknown("timeout"),
)


class Worker:
    """Does what a worker does, in batches, on whatever it picks."""

    def __init__(self, till: Till, seed: int, charges: list, refunds: list) -> None:
        self._till, self._dice = till, random.Random(seed)
        self._charges, self._refunds = charges, refunds
        self._claimed: list[Claimed] = []
        self.done: Counter[str] = Counter()

    def run(self) -> None:
        steps: list[Callable[[], None]] = [self._begin, self._begin, self._settle, self._settle,
                                           self._report, self._sweep, self._accept]  # fmt: skip
        for _ in range(STEPS):
            step = self._dice.choice(steps)
            step()
            self.done[step.__name__] += 1

    def _ids(self, share: float = 0.5) -> list[str]:
        everything = [r.id for r in (*self._charges, *self._refunds)]
        return self._dice.sample(everything, int(len(everything) * share))

    def _begin(self) -> None:
        items = [self._till.begin_of(r) for r in self._pick()]
        items += [Begin(a_lease(), kind=kind(i), id=i) for i in self._till.rows(self._ids())]
        self._dice.shuffle(items)
        answers = self._till.begin(*items)
        self._claimed += [a for a in answers if isinstance(a, Claimed)]

    def _settle(self) -> None:
        self._dice.shuffle(self._claimed)
        items, self._claimed = self._claimed[:8], self._claimed[8:]
        settled = []
        for claimed in items:
            found: Found = self._dice.choice(FOUND)
            if claimed.in_doubt and self._dice.random() < 0.3:
                found = NotFound()
            settled.append((claimed, "look_up" if claimed.in_doubt else claimed.kind.name, found))
        self._till.settle_all(*settled)

    def _report(self) -> None:
        outcomes = [f for f in FOUND if isinstance(f, (Succeeded, Declined, Pending))]
        self._till.report_all(
            *(ProcessorEvent(i, kind(i).name, self._dice.choice(outcomes)) for i in self._ids(0.2))
        )

    def _sweep(self) -> None:
        self._till.time_passes(timedelta(seconds=60), *sorted(self._ids(0.2)))
        self._till.sweep()

    def _accept(self) -> None:
        self._till.accept(*self._pick())

    def _pick(self) -> list:
        return self._dice.sample(self._charges, 3) + self._dice.sample(self._refunds, 6)


def test_eight_workers_on_six_charges_never_wait_in_a_circle_and_never_lose_count(
    unhurried_engine: Engine,
) -> None:
    till = Till(unhurried_engine)
    pending_is_asked_for(till.engine)  # one more that writes where many meet
    charges = [a_charge(amount=1000) for _ in range(6)]
    refunds = [a_refund(c, amount=a) for c in charges for a in (None, 300, 300, 500)]
    before = till.query("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    workers = [Worker(till, seed, charges, refunds) for seed in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as threads:
        for storm in [threads.submit(worker.run) for worker in workers]:
            storm.result()  # A deadlock, or anything else, is raised here.
    ids = [r.id for r in (*charges, *refunds)]
    invariants.check(till, ids)
    after = till.query("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    assert after == before
    assert sum((worker.done for worker in workers), Counter())["_settle"] > THREADS
    assert any(row["state"] != "pending" for row in till.rows(ids).values())

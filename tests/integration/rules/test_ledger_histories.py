"""Histories nobody thought of, several at once on the same charges: whatever happened, the ledger
keeps five promises: the chain is unbroken, every entry has its pair, all of them come to zero, each
account has counted its entries, and what is posted is what the states say.

`make histories` runs ten thousand of them (BILLING_TEST_HISTORIES).
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import hypothesis
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from sqlalchemy import Engine

from payments.lifecycle.claims import Claimed
from payments.lifecycle.moving.moves import ForbiddenMove
from payments.payment_errors import BillingError
from payments.processors.outcomes import (
    Authorized,
    Canceled,
    Declined,
    Disputed,
    Fees,
    NotFound,
    Pending,
    Succeeded,
    Unavailable,
    Unknown,
)
from payments.processors.port import FoundRefund, ProcessorEvent
from tests.support.factories import DAY, Till, a_capture, a_charge, a_key, a_refund
from tests.support.ledger import broken, seal_all

TOGETHER = 10
HISTORIES = int(os.environ.get("BILLING_TEST_HISTORIES", "100"))
NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)

_moments = count()
_parts = st.integers(1, 1000)
_found = st.one_of(
    st.just(Succeeded("sbx_1")),
    st.builds(Succeeded, st.just("sbx_1"), st.one_of(st.none(), _parts)),
    st.just(Succeeded("sbx_1", fees=Fees(59, 941, "USD"))),
    st.just(Succeeded("sbx_1", fees=Fees(59, 1341, "EUR"))),
    st.builds(Authorized, st.just("sbx_1"), st.integers(0, 1000)),
    st.just(Declined("card_declined", "51", "No.")),
    st.just(Unknown("timeout")),
    st.just(NotFound()),
    st.just(Canceled("sbx_1")),
    st.just(Pending("sbx_1", "processing")),
    st.just(Unavailable("rate_limited")),
)
_disputed = st.builds(
    lambda state, amount: ("dispute", (state, amount)),
    st.sampled_from(["warning_needs_response", "needs_response", "under_review", "won", "lost"]),
    st.sampled_from([700, 1000]),
)
Step = tuple[str, Any]
_steps = st.one_of(
    st.tuples(st.just("call"), _found),
    st.tuples(st.just("call"), _found),
    st.tuples(st.just("call the refund"), _found),
    st.tuples(st.just("report"), _found),
    st.tuples(st.just("report the refund"), _found),
    st.tuples(st.just("lose the worker"), st.none()),
    st.tuples(st.just("cancel"), st.none()),
    st.tuples(st.just("capture"), st.tuples(_parts, st.booleans())),
    st.tuples(st.just("refund"), st.one_of(st.none(), _parts)),
    st.tuples(st.just("refund there"), _parts),
    st.tuples(st.just("resolve"), st.sampled_from(["succeeded", "failed", "retry"])),
    _disputed,
)
# A charge, and two who do something with it at the same time.
_history = st.tuples(
    st.sampled_from(["automatic", "manual"]),
    st.lists(_steps, min_size=1, max_size=6),
    st.lists(_steps, max_size=6),
)
History = tuple[str, list[Step], list[Step]]


@dataclass
class Life:
    """A charge and its refunds."""

    till: Till
    charge_id: str
    refunds: list[str]

    def take(self, steps: Sequence[Step]) -> None:
        for name, what in steps:
            try:
                self._step(name, what)
            except ForbiddenMove:
                raise
            except BillingError:
                continue  # refused, as it should be

    def _step(self, name: str, what: Any) -> None:
        till, refund = self.till, self.refunds[-1] if self.refunds else None
        match name:
            case "call":
                self._call(self.charge_id, what)
            case "call the refund" if refund:
                self._call(refund, what)
            case "report":
                till.report(self.charge_id, what)
            case "report the refund" if refund:
                till.report(refund, what)
            case "lose the worker":
                till.time_passes(DAY, self.charge_id)
                till.submit(self.charge_id)
                till.time_passes(DAY, self.charge_id)
                till.sweep()
            case "cancel":
                till.cancel(self.charge_id)
            case "capture":
                amount, final = what
                till.capture(a_capture(self.charge_id, amount=amount, final=final))
            case "refund":
                request = a_refund(self.charge_id, amount=what)
                self.refunds.append(request.id)
                till.accept(request)
            case "refund there":
                found = FoundRefund(
                    a_key(), self.charge_id, "sbx_1", what, "USD", Succeeded("ref_1")
                )
                till.hear(found)
            case "resolve":
                till.resolve(self.charge_id, what)
            case "dispute":
                state, amount = what
                told_at = NOON + timedelta(seconds=next(_moments))
                outcome = Disputed(
                    f"dp_{self.charge_id}", state, amount, "USD", "fraudulent", told_at
                )
                till.report_all(ProcessorEvent(self.charge_id, "dispute", outcome))

    def _call(self, id_: str, found: Any) -> None:
        self.till.time_passes(DAY, id_)
        begun = next(iter(self.till.submit(id_)), None)
        if isinstance(begun, Claimed):
            self.till.settle(begun, found)


def test_whatever_happens_at_once_the_ledger_keeps_its_promises(
    unhurried_engine: Engine,
) -> None:
    till = Till(unhurried_engine)
    with unhurried_engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        connection.exec_driver_sql("UPDATE ledger_seals SET until = now()")

    examples = count()
    with ThreadPoolExecutor(4) as threads:

        @hypothesis.settings(
            max_examples=max(1, HISTORIES // TOGETHER),
            derandomize=HISTORIES <= 100,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(st.lists(_history, min_size=TOGETHER, max_size=TOGETHER))
        def live(histories: list[History]) -> None:
            runs = []
            for capture, first, second in histories:
                request = a_charge(capture=capture)
                till.accept(request)
                life = Life(till, request.id, [])
                runs += [threads.submit(life.take, steps) for steps in (first, second)]
            for run in runs:
                run.result()
            seal_all(till.database, every=timedelta(seconds=1), part=50)
            # Of thousands, each look takes longer than the last.
            if next(examples) % max(1, HISTORIES // 1000) == 0:
                assert broken(unhurried_engine) == []

        live()
    assert broken(unhurried_engine) == []
    sums = till.query("SELECT currency, sum(amount) AS sum FROM ledger_entries GROUP BY 1")
    assert sums
    assert all(row["sum"] == 0 for row in sums)
    (entries,) = till.query(
        "SELECT (SELECT count(*) FROM ledger_postings) AS postings, count(*) AS entries"
        " FROM ledger_entries"
    )
    assert entries["entries"] == 2 * entries["postings"] > 0
    assert till.query("SELECT count(*) AS n FROM ledger_balances WHERE version > 0")[0]["n"] > 0

"""Whatever happens in whatever order: the rules as a state machine, on a real database.

Hypothesis looks for a history that ends wrong: a sum that is off, a number that is missing, a
move that is not allowed, a charge that ended twice.
"""

from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine

from models.states import status_of
from payments.lifecycle.claims import Claimed
from payments.payment_errors import MoveNotAllowed
from payments.payment_errors import NotFound as NoSuchObject
from payments.processors.outcomes import (
    Declined,
    NotFound,
    Pending,
    Succeeded,
    Unavailable,
    Unknown,
)
from tests.support import invariants
from tests.support.factories import Till, a_charge, a_refund, kind

OUTCOMES = st.sampled_from(
    [
        Succeeded("sbx_1"),
        Declined("card_declined", "generic_decline", ""),
        Pending("sbx_1", "processing"),
        Unavailable("service_unavailable"),
        Unknown("timeout"),
    ]
)
AMOUNTS = st.sampled_from([1, 300, 500, 700, 1000])


class History(RuleBasedStateMachine):
    """Two charges, their refunds, and everybody who may touch them."""

    engine: Engine

    ids = Bundle("ids")
    claims = Bundle("claims")

    @initialize()
    def begin(self) -> None:
        self.till = Till(self.engine)
        self.charges = [a_charge(amount=1000) for _ in range(2)]
        self.everything: list[str] = []
        self.stands: dict[str, str] = {}

    @rule(target=ids, which=st.integers(0, 1), door=st.booleans())
    def ask_for_a_charge(self, which: int, door: bool) -> str:
        request = self.charges[which]
        (self.till.accept if door else self.till.create)(request)
        self.everything.append(request.id)
        return request.id

    @rule(target=ids, which=st.integers(0, 1), amount=st.none() | AMOUNTS)
    def ask_for_a_refund(self, which: int, amount: int | None) -> str:
        request = a_refund(self.charges[which], amount=amount) if amount else a_refund(
            self.charges[which]
        )  # fmt: skip
        self.till.accept(request)
        self.everything.append(request.id)
        return request.id

    @rule(target=claims, wanted=st.lists(ids, min_size=1, max_size=4))
    def claim(self, wanted: list[str]) -> object:
        answers = self.till.submit(*wanted)
        return multiple(*(a for a in answers if isinstance(a, Claimed)))

    @rule(claimed=consumes(claims), found=OUTCOMES)
    def settle(self, claimed: Claimed, found: Succeeded) -> None:
        self.till.settle(claimed, found)

    @rule(claimed=claims, found=OUTCOMES)
    def settle_for_the_first_or_the_second_time(self, claimed: Claimed, found: Succeeded) -> None:
        self.till.settle(claimed, found)

    @rule(claimed=consumes(claims))
    def find_nothing(self, claimed: Claimed) -> None:
        if claimed.in_doubt:
            self.till.settle(claimed, NotFound())

    @rule(id_=ids, found=OUTCOMES)
    def report(self, id_: str, found: Succeeded) -> None:
        self.till.report(id_, found)

    @rule(id_=ids, decision=st.sampled_from(["succeeded", "failed", "retry"]))
    def resolve(self, id_: str, decision: str) -> None:
        try:
            self.till.resolve(id_, decision)
        except MoveNotAllowed:
            assert self.stands.get(id_) != "needs_review"
        except NoSuchObject:
            assert not self.till.rows([id_])  # a refund that was refused

    @rule(
        wanted=st.lists(ids, min_size=1, max_size=4),
        duration=st.sampled_from([timedelta(seconds=40), timedelta(hours=2), timedelta(days=1)]),
    )
    def time_passes(self, wanted: list[str], duration: timedelta) -> None:
        self.till.time_passes(duration, *wanted)

    @rule()
    def sweep(self) -> None:
        self.till.sweep()

    @invariant()
    def every_move_is_in_the_table(self) -> None:
        for id_, row in self.till.rows(self.everything).items():
            now = status_of(row["state"], row["phase"])
            before = self.stands.get(id_)
            # A claim may come between two looks: it is part of asking for a charge.
            first = before is None and now in ("queued", "in_flight", "failed")
            same = before == now
            moves = kind(id_).moves
            assert first or same or now in moves[before], f"{id_} from {before} to {now}"  # type: ignore[index]
            self.stands[id_] = now

    @invariant()
    def everything_adds_up(self) -> None:
        invariants.check(self.till, self.everything)


def test_no_history_ends_wrong(shared_engine: Engine) -> None:
    machine = type("History", (History,), {"engine": shared_engine})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=20,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

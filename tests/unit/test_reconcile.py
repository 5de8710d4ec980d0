"""What a pair of ours and theirs comes to: each planted difference is found, and no other."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from payments.audit.reconcile.differences import LEFT, UNSETTLED, Code, Ours
from payments.audit.reconcile.matching import Judgement, Pair, Standing, judge
from payments.audit.reconcile.terms import GRACE, SKEW, Terms
from payments.processors.outcomes import Declined, Succeeded
from payments.processors.port import Record
from tests.support.every import every

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
HOUR, DAY, MOMENT = timedelta(hours=1), timedelta(days=1), timedelta(microseconds=1)
TERMS = Terms(
    "acme",
    started_at=NOON + DAY,
    since=NOON - 12 * HOUR,
    until=NOON + 12 * HOUR,
    read_from=NOON - DAY,
    read_to=NOON + 13 * HOUR,
)
OF_A_PAYOUT = Terms("acme", started_at=NOON + DAY)


def ours(**changes: Any) -> Ours:
    """A charge of 10.00 USD that has succeeded at noon."""
    row = Ours(
        kind="charge", id="ch_1", processor="acme", reference="pi_1", state="succeeded",
        phase=None, is_leased=False, amount=1000, moved=1000, by_hand=False, currency="USD",
        began_at=NOON - timedelta(seconds=1), settled_at=NOON,
    )  # fmt: skip
    return replace(row, **changes)


FEES = {"fee": 59, "net": 941, "settlement_currency": "USD"}


def a_refund(**changes: Any) -> Ours:
    return ours(**{"kind": "refund", "id": "re_1", "reference": "rf_1", **changes})


def pending(phase: str, row: Ours | None = None, **changes: Any) -> Ours:
    unsettled = {"state": "pending", "phase": phase, "moved": 0, "settled_at": None}
    return replace(row or ours(), **{**unsettled, **changes})


def line(**changes: Any) -> Record:
    """The processor's line of `ours`."""
    record = Record(
        id="txn_1", reference="pi_1", kind="charge", state="succeeded", amount=1000,
        currency="USD", moved_at=NOON, object_id="ch_1", fee=59, net=941,
        settlement_currency="USD",
    )  # fmt: skip
    return replace(record, **changes)


def a_refund_line(**changes: Any) -> Record:
    about = {"reference": "rf_1", "kind": "refund", "object_id": "re_1", "fee": 0, "net": -1000}
    return line(**{**about, **changes})


BACK = a_refund_line(id="txn_2", kind="reversal", net=1000, moved_at=NOON + HOUR)


def judged(mine: Ours | None, *theirs: Record, terms: Terms = TERMS) -> Judgement:
    about = theirs[0].kind if theirs else "charge"
    kind = mine.kind if mine else ("charge" if about == "charge" else "refund")
    return judge(Pair(kind, mine, theirs), terms)


def codes(judgement: Judgement) -> list[str]:
    return [one.code.value for one in judgement.differences]


def test_what_is_the_same_on_both_sides_agrees() -> None:
    assert judged(ours(), line()) == Judgement(Standing.AGREES)
    assert judged(a_refund(), a_refund_line()) == Judgement(Standing.AGREES)
    assert judged(ours(**FEES), line()) == Judgement(Standing.AGREES)
    assert judged(ours(**FEES), line(fee=None)) == Judgement(Standing.AGREES)
    assert judged(a_refund(state="failed"), a_refund_line(), BACK) == Judgement(Standing.AGREES)
    assert judged(a_refund(state="failed"), BACK) == Judgement(Standing.AGREES)


@every(
    "mine, theirs, found",
    [
        (ours(), [], ["only_ours"]),
        (None, [line()], ["only_theirs"]),
        (ours(processor="other"), [line()], ["only_theirs"]),
        (ours(), [line(amount=999, net=940)], ["amount_differs"]),
        (ours(), [line(amount=500, net=441), line(id="2", amount=499, net=440)],
         ["amount_differs"]),
        (ours(), [line(currency="EUR", settlement_currency="EUR")], ["currency_differs"]),
        (ours(), [line(fee=60)], ["fee_differs"]),
        (a_refund(), [a_refund_line(net=1000)], ["fee_differs"]),
        (ours(**FEES), [line(fee=60, net=940)], ["fee_differs"]),
        (ours(**FEES), [line(settlement_currency="EUR")], ["fee_differs"]),
        (ours(**FEES), [line(fee=60)], ["fee_differs"]),
        (ours(**FEES), [line(amount=999, net=940)], ["amount_differs"]),
        (ours(), [line(), line(id="txn_2", reference="pi_2")], ["duplicate_at_processor"]),
        # Whose first one lies before what was read.
        (ours(), [line(reference="pi_2")], ["duplicate_at_processor"]),
        (ours(state="failed"), [line()], ["state_differs"]),
        (pending("unknown"), [line()], ["state_differs"]),
        (ours(), [line(state="failed")], ["state_differs"]),
        (ours(), [line(state="pending")], ["state_differs"]),
        (pending("unknown"), [line(state="failed")], ["state_differs"]),
        (a_refund(), [a_refund_line(), BACK], ["state_differs"]),
        (a_refund(state="failed"), [a_refund_line()], ["state_differs"]),
        (pending("needs_review"), [line(amount=1, net=-58)], ["state_differs", "amount_differs"]),
    ],
)  # fmt: skip
def test_each_difference_has_its_code(
    mine: Ours | None, theirs: list[Record], found: list[str]
) -> None:
    judgement = judged(mine, *theirs)
    assert (judgement.standing, codes(judgement)) == (Standing.DIFFERS, found)


@every(
    "mine, theirs",
    [
        (pending("queued"), [line(moved_at=TERMS.started_at - GRACE)]),
        (pending("in_flight", is_leased=True), [line()]),
        (pending("queued"), []),
        (pending("queued"), [line(state="pending")]),
        (None, [line(state="pending")]),
        (ours(state="failed"), [line(state="pending")]),
        (a_refund(), [a_refund_line(), replace(BACK, moved_at=TERMS.started_at - GRACE)]),
    ],
)
def test_what_is_on_its_way_is_no_difference(mine: Ours | None, theirs: list[Record]) -> None:
    assert judged(mine, *theirs) == Judgement(Standing.PENDING)


@every(
    "mine, theirs",
    [
        (ours(settled_at=TERMS.started_at - GRACE), []),
        (None, [line(moved_at=TERMS.started_at - GRACE)]),
    ],
)
def test_what_is_only_there_for_a_moment_is_no_difference(
    mine: Ours | None, theirs: list[Record]
) -> None:
    lasting = replace(TERMS, until=NOON + 2 * DAY, read_to=NOON + DAY)
    assert judged(mine, *theirs, terms=lasting) == Judgement(Standing.PENDING)
    later = replace(lasting, started_at=lasting.started_at + MOMENT)
    assert judged(mine, *theirs, terms=later).standing is Standing.DIFFERS


@every(
    "mine, theirs, standing",
    [
        # Made a moment before the end, moved a moment after it: found a little outside.
        (ours(settled_at=TERMS.until), [line(moved_at=TERMS.until)], Standing.ELSEWHERE),
        (ours(settled_at=TERMS.until), [line(moved_at=NOON)], Standing.AGREES),
        (ours(settled_at=NOON), [line(moved_at=TERMS.until)], Standing.AGREES),
        (None, [line(moved_at=TERMS.until)], Standing.ELSEWHERE),
        (None, [line(moved_at=TERMS.since - MOMENT)], Standing.ELSEWHERE),  # type: ignore[operator]
        (None, [line(moved_at=TERMS.since)], Standing.DIFFERS),
        # Money that moved before anything was read is no matter of this period.
        (ours(began_at=TERMS.read_from), [], Standing.UNDECIDED),
        (ours(began_at=TERMS.read_from + SKEW), [], Standing.DIFFERS),  # type: ignore[operator]
        # Nor is a refund that the bank returned behind it.
        (a_refund(state="failed", settled_at=TERMS.read_to), [a_refund_line()],
         Standing.UNDECIDED),
    ],
)  # fmt: skip
def test_the_edges_of_a_period_make_no_difference(
    mine: Ours | None, theirs: list[Record], standing: Standing
) -> None:
    assert judged(mine, *theirs).standing is standing


def test_what_a_payout_lacks_is_no_difference() -> None:
    assert judged(ours(), line(), terms=OF_A_PAYOUT).standing is Standing.AGREES
    returned_later = a_refund(state="failed")
    assert judged(returned_later, a_refund_line(), terms=OF_A_PAYOUT).standing is Standing.UNDECIDED
    captured_in_parts = ours(by_hand=True)
    assert judged(captured_in_parts, line(amount=1, net=-58), terms=OF_A_PAYOUT).standing is (
        Standing.AGREES
    )


def test_what_is_captured_by_hand_is_held_against_what_was_captured() -> None:
    taken = ours(by_hand=True, moved=700)
    assert judged(taken, line(amount=700, net=641)).standing is Standing.AGREES
    assert codes(judged(taken, line())) == ["amount_differs"]
    authorized = pending("authorized", taken, moved=300, by_hand=True)
    assert judged(authorized, line(amount=300, net=241)).standing is Standing.AGREES
    assert codes(judged(authorized, line(amount=400, net=341))) == ["state_differs"]


def test_captures_outside_of_what_was_read_are_not_missed() -> None:
    part = line(amount=300, net=241)
    authorized = pending("authorized", moved=700, by_hand=True)
    assert judged(authorized, part).standing is Standing.UNDECIDED  # more may be captured later
    assert judged(authorized, part, terms=OF_A_PAYOUT).standing is Standing.UNDECIDED
    until_now = replace(TERMS, read_to=TERMS.started_at)
    assert codes(judged(authorized, part, terms=until_now)) == ["state_differs"]
    earlier = replace(authorized, began_at=TERMS.read_from)
    assert judged(earlier, part, terms=until_now).standing is Standing.UNDECIDED


@every(
    "mine, theirs, remedy",
    [
        (pending("unknown"), [line()], Succeeded("pi_1")),
        (pending("needs_review", reference=None), [line()], Succeeded("pi_1")),
        (pending("needs_review", a_refund()), [a_refund_line()], Succeeded("rf_1")),
    ],
)
def test_a_success_that_we_have_not_heard_of_can_be_told(
    mine: Ours, theirs: list[Record], remedy: Succeeded
) -> None:
    (state,) = judged(mine, *theirs).differences
    assert state.remedy == remedy


def test_a_refund_that_came_back_can_be_told() -> None:
    (state,) = judged(a_refund(), a_refund_line(), BACK).differences
    assert isinstance(state.remedy, Declined)
    assert (state.remedy.code, state.remedy.reference) == ("refund_failed", "rf_1")


@every(
    "mine, theirs",
    [
        (ours(), []),
        (None, [line()]),
        (ours(state="failed"), [line()]),
        (ours(), [line(state="failed")]),
        (ours(), [line(amount=999, net=940)]),
        (pending("unknown"), [line(state="failed")]),
        (pending("unknown"), [line(amount=999, net=940)]),
        (pending("unknown"), [line(currency="EUR", settlement_currency="EUR")]),
        (pending("unknown"), [line(), line(id="txn_2", reference="pi_2")]),
        (pending("unknown", reference=None), [line(), line(id="txn_2", reference="pi_2")]),
        (pending("unknown"), [line(reference="pi_2")]),
        (pending("unknown", by_hand=True), [line()]),
        (a_refund(), [a_refund_line(), replace(BACK, amount=400, net=400)]),
    ],
)
def test_nothing_else_is_repaired_and_it_is_said_why(
    mine: Ours | None, theirs: list[Record]
) -> None:
    found = judged(mine, *theirs).differences
    assert [one.remedy for one in found] == [None] * len(found) != []
    why = UNSETTLED if mine is not None and mine.phase else None
    assert all(one.advice == (why or LEFT[one.code]) for one in found)


# --- any number of pairs -------------------------------------------------------------------------

Planted = Callable[[Ours, Record], tuple[Ours | None, list[Record]]]
PLANTED: dict[Code, Planted] = {
    Code.ONLY_OURS: lambda mine, _: (mine, []),
    Code.ONLY_THEIRS: lambda _, theirs: (None, [theirs]),
    Code.AMOUNT_DIFFERS: lambda mine, theirs: (
        mine,
        [replace(theirs, amount=theirs.amount + 1, net=(theirs.net or 0) + _sign(theirs))],
    ),
    Code.CURRENCY_DIFFERS: lambda mine, theirs: (mine, [replace(theirs, currency="XTS")]),
    Code.STATE_DIFFERS: lambda mine, theirs: (
        replace(mine, state="pending", phase="needs_review", settled_at=None),
        [theirs],
    ),
    Code.FEE_DIFFERS: lambda mine, theirs: (mine, [replace(theirs, net=(theirs.net or 0) - 1)]),
    Code.DUPLICATE_AT_PROCESSOR: lambda mine, theirs: (
        mine,
        [theirs, replace(theirs, id="again", reference="again")],
    ),
}


def _sign(record: Record) -> int:
    return -1 if record.kind == "refund" else 1


@st.composite
def agreeing(draw: st.DrawFn) -> tuple[Ours, Record]:
    """A charge or refund that both sides have alike, each with a clock of its own."""
    of_charge = draw(st.booleans())
    amount, fee = draw(st.integers(1, 10**12)), draw(st.integers(0, 10**6))
    currency = draw(st.sampled_from(("USD", "JPY", "KWD")))
    moved_at = draw(st.datetimes(datetime(2026, 11, 28), datetime(2026, 11, 28, 23, 59)))  # noqa: DTZ001
    moved_at = moved_at.replace(tzinfo=UTC)
    skew = timedelta(seconds=draw(st.integers(0, 60)))
    mine = (ours if of_charge else a_refund)(
        amount=amount,
        moved=amount,
        currency=currency,
        reference=draw(st.sampled_from((None, "own"))),
        began_at=moved_at - skew,
        settled_at=min(moved_at + skew, NOON + 12 * HOUR - MOMENT),
    )
    theirs = (line if of_charge else a_refund_line)(
        reference="own",
        amount=amount,
        currency=currency,
        fee=fee,
        net=(amount if of_charge else -amount) - fee,
        settlement_currency=currency,
        moved_at=moved_at,
    )
    return mine, theirs


@given(st.lists(st.tuples(agreeing(), st.sampled_from((None, *PLANTED))), max_size=20))
def test_planted_differences_are_found_and_no_others(
    drawn: list[tuple[tuple[Ours, Record], Code | None]],
) -> None:
    for (mine, theirs), code in drawn:
        pair = (mine, [theirs]) if code is None else PLANTED[code](mine, theirs)
        assert codes(judged(pair[0], *pair[1])) == ([] if code is None else [code.value])


def test_every_difference_of_a_charge_or_refund_was_planted() -> None:
    assert {*PLANTED, Code.PAYOUT_DIFFERS} == set(Code) == set(LEFT)

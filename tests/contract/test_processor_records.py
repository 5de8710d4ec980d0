"""What every processor that lists its records keeps: each movement once, wherever one goes on, and
payouts that are the sum of their lines."""

from datetime import UTC, datetime, timedelta

import pytest

from payments.processors.port import Authorizes, ListsPayouts, ListsRecords, Order, Record
from tests.support.processors import Rig, authorized, look_up, send
from tests.support.sandbox import a_capture, a_charge, a_refund

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _listing(rig: Rig) -> None:
    if not isinstance(rig.processor, ListsRecords):
        pytest.skip(f"{rig.processor.name} lists no records")


def charged(rig: Rig, happening: str = "succeeds", **changes: object) -> Order:
    order = a_charge(rig.methods[happening], **changes)
    send(rig.processor, order)
    return order


def refunded(rig: Rig, charge: Order, amount: int) -> Order:
    order = a_refund(charge, amount=amount)
    send(rig.processor, order)
    return order


def listed(rig: Rig, *, after: str | None = None) -> list[Record]:
    assert isinstance(rig.processor, ListsRecords)
    now = datetime.now(UTC)
    return list(rig.processor.records(now - 5 * DAY, now + DAY, after=after))


def test_a_charge_and_its_refund_are_a_line_each(rig: Rig) -> None:
    charge = charged(rig, amount=1999)
    refund = refunded(rig, charge, 500)
    first, second = listed(rig)
    assert (first.object_id, first.kind, first.state) == (charge.id, "charge", "succeeded")
    assert (first.amount, first.currency) == (1999, "USD")
    assert (second.object_id, second.kind, second.amount) == (refund.id, "refund", 500)
    assert first.reference == look_up(rig, charge).reference  # type: ignore[attr-defined]
    for line, sign in ((first, 1), (second, -1)):
        assert line.net == sign * line.amount - (line.fee or 0)


def test_what_moved_nothing_is_no_line_and_a_repeat_no_second_one(rig: Rig) -> None:
    charged(rig, "declined")
    lost = charged(rig, "timeout after")
    send(rig.elsewhere, lost)
    assert [line.object_id for line in listed(rig)] == [lost.id]


def test_what_is_captured_are_lines_of_its_charge(rig: Rig) -> None:
    if not isinstance(rig.processor, Authorizes):
        pytest.skip(f"{rig.processor.name} sets nothing aside")
    charge = authorized(rig)
    assert listed(rig) == []
    for capture in (a_capture(charge, amount=300, final=False), a_capture(charge, amount=200)):
        send(rig.processor, capture)
    lines = listed(rig)
    assert [(line.kind, line.amount) for line in lines] == [("charge", 300), ("charge", 200)]
    assert {line.object_id for line in lines} == {charge.id}
    assert {line.reference for line in lines} == {charge.reference}


def test_a_refund_that_the_bank_returned_has_a_line_for_the_way_back(rig: Rig) -> None:
    charge = charged(rig, "refund fails later")
    refund = refunded(rig, charge, 400)
    rig.time_passes(timedelta(hours=1))
    look_up(rig, refund)
    _, out, back = listed(rig)
    assert (back.kind, back.object_id, back.reference) == ("reversal", refund.id, out.reference)
    assert (out.net or 0) + (back.net or 0) == -(out.fee or 0) - (back.fee or 0)


def test_it_goes_on_behind_any_line_and_a_period_is_what_it_says(rig: Rig) -> None:
    early = charged(rig)
    rig.time_passes(timedelta(hours=2))
    late = [charged(rig).id for _ in range(4)]
    every = listed(rig)
    assert [line.object_id for line in every] == [early.id, *late]
    for place, line in enumerate(every):
        assert listed(rig, after=line.id) == every[place + 1 :]
    assert len({line.id for line in every}) == len(every)
    processor = rig.processor
    assert isinstance(processor, ListsRecords)
    since, until = every[1].moved_at, every[-1].moved_at
    assert [one.object_id for one in processor.records(since, until)] == late[:-1]


def test_a_payout_is_the_sum_of_its_lines(rig: Rig) -> None:
    processor = rig.processor
    if not isinstance(processor, ListsPayouts):
        pytest.skip(f"{processor.name} tells nothing of payouts")
    charge = charged(rig, amount=1000)
    refunded(rig, charge, 300)
    charged(rig, amount=77, currency="EUR")
    assert {line.payout_id for line in listed(rig)} == {None}
    rig.time_passes(2 * DAY)
    *lines, _ = listed(rig)
    (payout_id,) = {line.payout_id for line in lines}
    assert payout_id is not None
    *paid, payout = processor.records_of_payout(payout_id)
    assert paid == lines
    assert (payout.kind, payout.reference, payout.amount) == ("payout", payout_id, 700)
    assert sum(line.net or 0 for line in [*paid, payout]) == 0
    assert list(processor.records_of_payout(payout_id, after=lines[0].id)) == [*lines[1:], payout]
    assert list(processor.records_of_payout(payout_id, after=payout.id)) == []
    assert list(processor.records_of_payout("po_none")) == []

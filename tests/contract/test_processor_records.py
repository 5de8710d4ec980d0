"""What every processor that lists its records keeps: each movement once, wherever one goes on, and
payouts that are the sum of their lines."""

from collections.abc import Iterable
from dataclasses import replace
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
    answer = send(rig.processor, order)
    return replace(order, reference=getattr(answer, "reference", None))


def refunded(rig: Rig, charge: Order, amount: int) -> Order:
    order = a_refund(charge, amount=amount, charge_reference=charge.reference)
    send(rig.processor, order)
    return order


def listed(rig: Rig, *, after: str | None = None) -> list[Record]:
    assert isinstance(rig.processor, ListsRecords)
    now = datetime.now(UTC)
    return in_order(rig, rig.processor.records(now - 5 * DAY, now + 5 * DAY, after=after))


def in_order(rig: Rig, lines: Iterable[Record]) -> list[Record]:
    """Lines of a processor, the oldest first."""
    return list(lines) if rig.lists_oldest_first else list(lines)[::-1]


def test_a_charge_and_its_refund_are_a_line_each(rig: Rig) -> None:
    charge = charged(rig, amount=1999)
    refund = refunded(rig, charge, 500)
    first, second = listed(rig)
    assert (first.object_id, first.kind, first.state) == (charge.id, "charge", "succeeded")
    assert (first.amount, first.currency) == (1999, "USD")
    assert (second.object_id, second.kind, second.amount) == (refund.id, "refund", 500)
    assert first.reference == charge.reference
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
    parts = [300, 200] if rig.captures_in_parts else [300]
    for amount in parts:
        final = amount == parts[-1]
        send(rig.processor, a_capture(charge, amount=amount, final=final))
    lines = listed(rig)
    assert [(line.kind, line.amount) for line in lines] == [("charge", amount) for amount in parts]
    assert all(line.net == line.amount - (line.fee or 0) for line in lines)
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
    late = []
    for _ in range(4):
        late.append(charged(rig).id)
        rig.time_passes(timedelta(seconds=1))  # some clocks show no less
    every = listed(rig)
    assert [line.object_id for line in every] == [early.id, *late]
    for place, line in enumerate(every):
        rest = every[place + 1 :] if rig.lists_oldest_first else every[:place]
        assert listed(rig, after=line.id) == rest
    assert len({line.id for line in every}) == len(every)
    processor = rig.processor
    assert isinstance(processor, ListsRecords)
    since, until = every[1].moved_at, every[-1].moved_at
    found = in_order(rig, processor.records(since, until))
    assert [one.object_id for one in found] == late[:-1]


def test_a_payout_is_the_sum_of_its_lines(rig: Rig) -> None:
    processor = rig.processor
    if not isinstance(processor, ListsPayouts):
        pytest.skip(f"{processor.name} tells nothing of payouts")
    charge = charged(rig, amount=1000)
    refunded(rig, charge, 300)
    charged(rig, amount=77, currency="EUR")
    assert {line.payout_id for line in listed(rig)} == {None}
    rig.time_passes(2 * DAY)
    named = {line.payout_id for line in listed(rig)} if rig.pays_out is None else rig.pays_out()
    first, second, _ = listed(rig)[:3]
    for payout_id in filter(None, named):
        *paid, payout = in_order(rig, processor.records_of_payout(payout_id))
        assert (payout.kind, payout.reference) == ("payout", payout_id)
        assert sum(line.net or 0 for line in [*paid, payout]) == 0
        assert {line.payout_id for line in [*paid, payout]} == {payout_id}
        if payout.currency == "USD":
            assert [line.id for line in paid] == [first.id, second.id]
            assert payout.amount == 700 - sum(line.fee or 0 for line in paid)
        every = list(processor.records_of_payout(payout_id))
        for place, line in enumerate(every):
            rest = list(processor.records_of_payout(payout_id, after=line.id))
            assert rest == every[place + 1 :]
    assert list(processor.records_of_payout("po_none")) == []

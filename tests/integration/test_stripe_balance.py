"""Stripe's books as records: what each line is, and what is asked for again."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.processors.port import Record, RecordsUnavailable
from payments.processors.stripe import Stripe
from payments.processors.stripe.balance_lines import PAUSES_S
from payments.processors.stripe.parts import amount_of
from tests.support.every import every
from tests.support.sandbox import a_charge, a_refund
from tests.support.scripted import Says, Service
from tests.support.stripe import INTENT, REFUND, a_list, a_stripe_refund, an_error, stripe_by_script

SINCE = datetime(2026, 11, 20, tzinfo=UTC)
UNTIL = SINCE + timedelta(days=1)
CHARGE = a_charge()
REFUND_OF = a_refund(CHARGE, amount=400, charge_reference=INTENT)
# docs.stripe.com/api/charges/object and docs.stripe.com/api/balance_transactions/object, as far as
# they are read.
TRY: dict[str, Any] = {
    "id": "ch_1",
    "object": "charge",
    "amount": 1000,
    "amount_captured": 1000,
    "captured": True,
    "currency": "usd",
    "status": "succeeded",
    "metadata": {"billing_charge_id": CHARGE.id},
    "payment_intent": INTENT,
}
BACK = a_stripe_refund(REFUND_OF)


@pytest.fixture
def naps() -> list[float]:
    return []


@pytest.fixture
def account(naps: list[float]) -> Iterator[tuple[Stripe, Service]]:
    with stripe_by_script(sleep=naps.append) as made:
        yield made


def entry(source: Any = TRY, category: str = "charge", **changes: Any) -> dict[str, Any]:
    return {
        "id": "txn_1",
        "object": "balance_transaction",
        "amount": 1000,
        "created": int(SINCE.timestamp()),
        "currency": "usd",
        "fee": 59,
        "net": 941,
        "reporting_category": category,
        "source": source,
        **changes,
    }


def line(**changes: Any) -> Record:
    told: dict[str, Any] = {
        "id": "txn_1",
        "reference": INTENT,
        "kind": "charge",
        "state": "succeeded",
        "amount": 1000,
        "currency": "USD",
        "moved_at": SINCE,
        "object_id": CHARGE.id,
        "fee": 59,
        "net": 941,
        "settlement_currency": "USD",
    }
    return Record(**{**told, **changes})


def back(**changes: Any) -> Record:
    about = {"kind": "refund", "reference": REFUND, "object_id": REFUND_OF.id, "amount": 400}
    return line(**{**about, "fee": 0, "net": -400, **changes})


OUT = entry(BACK, "refund", amount=-400, fee=0, net=-400)
RETURNED = entry(BACK, "refund_failure", id="txn_2", amount=400, fee=0, net=400)
DISPUTED = {"id": "du_1", "object": "dispute", "currency": "usd"}
IN_PARTS = {
    "payment_method_details": {"card": {"multicapture": {"status": "available"}}},
    "captured": False,
}
PART = {**TRY, "amount_captured": 300}
LET_GO_OF = entry(PART, "partial_capture_reversal", amount=-700, fee=0, net=-700)


@every(
    "entries, records",
    [
        ([entry()], [line()]),
        ([OUT], [back()]),
        ([{**OUT, "source": {**BACK, "status": "pending"}}], [back(state="pending")]),
        # It went out, and a line of its own tells that it came back.
        ([{**OUT, "source": {**BACK, "status": "failed"}}], [back()]),
        ([RETURNED], [back(id="txn_2", kind="reversal", net=400)]),
        # A bank debit that isn't decided yet, and one that was returned.
        ([entry({**TRY, "status": "pending"})], [line(state="pending")]),
        ([entry({**TRY, "status": "failed"})], [line(state="failed")]),
        # In part: two lines at Stripe, of which the sum is what was taken.
        ([LET_GO_OF, entry(PART, fee=39, net=961)], [line(amount=300, fee=39, net=261)]),
        # In parts, each with a line of its own.
        ([entry({**TRY, **IN_PARTS, "amount_captured": 500}, amount=200, fee=36, net=164)],
         [line(amount=200, fee=36, net=164)]),
        # Settled in another currency, where nothing can be reckoned; ISK has two zeros at Stripe.
        ([entry(currency="eur", amount=900, net=870, fee=30)],
         [line(fee=30, net=870, settlement_currency="EUR")]),
        ([entry({**TRY, "currency": "isk", "amount": 100000, "amount_captured": 100000})],
         [line(currency="ISK")]),
        ([entry(DISPUTED, "dispute", amount=-1000, fee=1500, net=-2500)],
         [line(kind="dispute", reference="du_1", object_id=None, fee=1500, net=-2500)]),
        ([entry(None, "fee", amount=-7, fee=0, net=-7)],
         [line(kind="fee", reference="txn_1", object_id=None, amount=7, fee=0, net=-7)]),
        ([entry("topup_1", "topup")], [line(kind="other", reference="topup_1", object_id=None)]),
        # A charge of somebody else on this account, and one that no PaymentIntent made.
        ([entry({**TRY, "metadata": {}, "payment_intent": None})],
         [line(reference="ch_1", object_id=None)]),
    ],
)  # fmt: skip
def test_each_line_is_a_record_or_told_with_another(
    account: tuple[Stripe, Service], entries: list[Any], records: list[Record]
) -> None:
    stripe, service = account
    service.will(a_list(*entries))
    assert list(stripe.records(SINCE, UNTIL)) == records


def test_one_list_is_read_page_by_page(account: tuple[Stripe, Service]) -> None:
    stripe, service = account
    service.will(a_list(entry(id="txn_2"), has_more=True), a_list(entry()))
    found = list(stripe.records(SINCE, UNTIL + timedelta(milliseconds=1), after="txn_3"))
    assert [one.id for one in found] == ["txn_2", "txn_1"]
    first, second = ({name: value for name, (value,) in one.query.items()} for one in service.asked)
    assert first == {
        "created[gte]": str(int(SINCE.timestamp())),
        "created[lt]": str(int(UNTIL.timestamp()) + 1),
        "limit": "100",
        "expand[0]": "data.source",
        "starting_after": "txn_3",
    }
    assert second == {**first, "starting_after": "txn_2"}


def test_what_is_refused_or_lost_for_now_is_asked_for_again(
    account: tuple[Stripe, Service], naps: list[float]
) -> None:
    stripe, service = account
    limited = an_error(429, "invalid_request_error", headers={"Retry-After": "7"})
    service.will(limited, Says(502, raw=b"<html>"), an_error(500, "api_error"), a_list(entry()))
    assert list(stripe.records(SINCE, UNTIL)) == [line()]
    assert naps == [7.0, *PAUSES_S[1:3]]


@every(
    "answers, reason, asked",
    [
        ([an_error(500, "api_error")], "server_error", 1 + len(PAUSES_S)),
        ([an_error(401, "invalid_request_error")], "authentication", 1),
        ([an_error(403, "invalid_request_error")], "permission", 1),
        ([an_error(400, "invalid_request_error", code="resource_missing")], "resource_missing", 1),
        ([Says(200, {"object": "list", "data": [{"id": "txn_1"}], "has_more": False})],
         "unreadable_answer", 1),
    ],
)  # fmt: skip
def test_what_can_not_be_read_is_told(
    account: tuple[Stripe, Service], answers: list[Says], reason: str, asked: int
) -> None:
    stripe, service = account
    service.asked.clear()
    service.will(*answers)
    with pytest.raises(RecordsUnavailable, match=reason):
        list(stripe.records(SINCE, UNTIL))
    assert len(service.asked) == asked


def test_a_payout_is_asked_for_by_its_id_and_by_nothing_else(
    account: tuple[Stripe, Service],
) -> None:
    stripe, service = account
    service.will(a_list(entry()))
    assert list(stripe.records_of_payout("po_1")) == [line(payout_id="po_1")]
    (asked,) = service.asked
    assert asked.query["payout"] == ["po_1"]
    assert list(stripe.records_of_payout("sbx_po_20261128_USD")) == []
    service.will(an_error(400, "invalid_request_error", code="resource_missing"))
    assert list(stripe.records_of_payout("po_none")) == []
    with pytest.raises(RecordsUnavailable):  # the line to go on behind is none
        list(stripe.records_of_payout("po_1", after="txn_none"))


# --- captured in parts, and settled in another currency ---


def in_euro(*amounts: int, captured: int, rate: float) -> list[dict[str, Any]]:
    """The lines of a charge that was captured in parts; newest first, as they are listed."""
    about = {**TRY, **IN_PARTS, "amount_captured": captured}
    return [
        entry(about, id=f"txn_{n}", amount=amount, currency="eur", exchange_rate=rate,
              created=int(SINCE.timestamp()) + n)
        for n, amount in enumerate(amounts)
    ][::-1]  # fmt: skip


def test_parts_that_are_settled_in_another_currency_add_up_to_what_was_taken(
    account: tuple[Stripe, Service],
) -> None:
    """Three times 3.33 USD at 0.5 are 1.66 or 1.67 EUR each: reckoned back, 3.32 or 3.34."""
    stripe, service = account
    lines = in_euro(167, 167, 167, captured=999, rate=0.5)
    service.will(a_list(*lines), *([a_list(*lines)] * 3))
    amounts = [one.amount for one in stripe.records(SINCE, UNTIL)]
    assert sum(amounts) == 999
    assert set(amounts) <= {332, 333, 334}
    assert [asked.query["source"] for asked in service.asked[1:]] == [["ch_1"]] * 3


def test_a_part_that_the_others_do_not_show_is_reckoned_back(
    account: tuple[Stripe, Service],
) -> None:
    stripe, service = account
    lines = in_euro(167, 90, captured=333, rate=0.5)  # 0.90 EUR was captured a moment ago
    service.will(a_list(lines[-1]), a_list(*lines))
    assert [one.amount for one in stripe.records(SINCE, UNTIL)] == [334]


@given(
    st.lists(st.integers(1, 99_999_999), min_size=1, max_size=50).filter(
        lambda parts: sum(parts) <= 99_999_999
    )
    | st.lists(st.integers(1, 2_000), min_size=1, max_size=50),
    st.decimals("0.0001", "9999", places=6),
)
@settings(deadline=None)
def test_whatever_the_rate_the_parts_add_up(parts: list[int], rate: Decimal) -> None:
    written = float(f"{rate:.6g}")  # as Stripe writes it
    lines = in_euro(
        *(round(part * Fraction(rate)) for part in parts), captured=sum(parts), rate=written
    )
    told = {one["id"]: amount_of(one, lines) for one in lines}
    assert sum(told.values()) == sum(parts)
    for n, part in enumerate(parts):
        off_by = abs(told[f"txn_{n}"] - part)
        assert off_by <= 1 + 2 / Fraction(rate) + Fraction(sum(parts), 10**5)

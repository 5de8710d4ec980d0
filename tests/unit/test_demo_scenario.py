"""The demo's file of requests: readable, varied, and right in itself."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from infra import billing
from infra.billing.contract.failures import DECLINES, FAILURES
from infra.billing.contract.money import exponent
from infra.billing.contract.signatures import new_secret
from local.demo import scenario
from local.demo.demo_checks import asked
from local.demo.figures import Check, Figures, Kill, Money, Stock, decimal
from local.demo.observer import Sight, Standing
from local.demo.receiver import FAIL_EVERY, Inbox
from local.demo.scenario import Line, Price, Scenario
from payments.processors.sandbox.sandbox_scripts import CARDS, FAULTS

REASONS = {
    "rejected": {
        "invalid_request",
        "idempotency_key_reused",
        "reference_in_use",
        "refund_exceeds_charge",
        "charge_not_refundable",
        "insufficient_inventory",
    },
    "failed": {*DECLINES, *FAILURES},
}


@pytest.fixture(scope="module")
def file() -> Scenario:
    return scenario.read()


def cards(file: Scenario) -> set[str]:
    return {(line.card or "").removeprefix("pm_") for line in file.lines}


def test_there_are_two_hundred_charges_and_refunds_and_more(file: Scenario) -> None:
    kinds = Counter(line.do for line in file.lines)
    assert kinds["charge"] + kinds["refund"] >= 200
    assert kinds["refund"] >= 40
    assert file.requests == sum(line.times for line in file.lines) > len(file.lines)


def test_currencies_have_none_two_and_three_decimals(file: Scenario) -> None:
    currencies = {file.currency_of(line) for line in file.makers.values()}
    assert len(currencies) >= 7
    assert {exponent(currency) for currency in currencies} == {0, 2, 3}


def test_every_kind_of_decline_occurs(file: Scenario) -> None:
    assert {f"card_{name}" for name in CARDS} <= cards(file)
    codes = {line.code for line in file.lines if line.ending == "failed"}
    assert {script.code for script in CARDS.values()} <= codes
    assert {"authentication_required", "refund_declined", "refund_failed"} <= codes


def test_every_fault_of_the_sandbox_occurs(file: Scenario) -> None:
    assert {f"sandbox_{name}" for name in FAULTS} <= cards(file)
    assert {
        "sandbox_unavailable_2",
        "sandbox_slow_2000",
        "sandbox_refund_fails",
        "sandbox_refund_fails_later",
        "sandbox_refund_timeout_after",
    } <= cards(file)


def test_every_reason_for_a_rejection_occurs(file: Scenario) -> None:
    assert {line.code for line in file.lines if line.ending == "rejected"} == REASONS["rejected"]


def test_expectations_speak_of_endings_that_exist(file: Scenario) -> None:
    for line in file.lines:
        assert (line.do == "repeat") == (line.expect == "")
        match line.ending:
            case "failed" | "rejected":
                assert line.code in REASONS[line.ending], line.key
            case "unsent":
                assert line.code == "invalid_request"
            case _:
                assert line.expect in ("", "succeeded", "needs_review", "quarantined"), line.key


def test_a_key_belongs_to_one_request_unless_another_contradicts_it(file: Scenario) -> None:
    makers = [line for line in file.lines if line.makes_object]
    assert len({line.key for line in makers}) == len(makers)
    others = [line for line in file.lines if not line.makes_object and line.do != "repeat"]
    assert len({line.key for line in others}) == len(others)
    for line in others:
        if line.key in file.makers:
            assert line.contradicts
            assert line.code == "idempotency_key_reused"
            assert line.amount != file.makers[line.key].amount


def test_what_comes_first_is_in_the_file(file: Scenario) -> None:
    for line in file.lines:
        for name in (line.of, line.once_accepted, line.once_final):
            assert name is None or name in file.makers, f"{line.key}: {name}"
        first = file.makers.get(line.once_final or "")
        # Nobody waits for what a person may decide next week.
        assert first is None or first.ending != "needs_review"


def test_every_refund_that_is_to_succeed_fits_its_charge(file: Scenario) -> None:
    for charge in file.makers.values():
        refunds = [
            m for m in file.makers.values() if m.of == charge.key and m.expect == "succeeded"
        ]
        if not refunds:
            continue
        assert charge.expect == "succeeded"
        amount, currency = file.amount_of(charge), file.currency_of(charge)
        parts = [billing.minor(r.amount, currency) for r in refunds if r.amount]
        rest = sum(r.amount is None for r in refunds)
        assert sum(parts) < amount if rest else sum(parts) <= amount, charge.key
        assert rest <= 1


def test_the_burst_is_large_enough_to_kill_a_worker_in(file: Scenario) -> None:
    burst = [line for line in file.lines if line.at_once]
    assert len(burst) >= 20
    assert {line.card for line in burst} == {"pm_sandbox_slow_2000"}
    assert {line.expect for line in burst} == {"succeeded"}


def test_the_sums_of_the_file_are_net_of_what_is_given_back() -> None:
    file = scenario.make(
        [
            _line(do="charge", key="a", amount="10.00", currency="USD"),
            _line(do="charge", key="b", amount="1.500", currency="KWD"),
            _line(do="charge", key="c", amount="5.00", currency="USD", expect="failed lost_card"),
            _line(do="refund", key="a-rest", of="a"),
            _line(do="refund", key="a-part", of="a", amount="2.50"),
        ]
    )
    assert asked(file) == {"USD": (1000, 1000), "KWD": (1500, 0)}


def test_charges_by_price_cost_what_the_price_says_and_are_taken_from_stock() -> None:
    seat = {"key": "seat", "shop": "a shop", "item": "Seat", "currency": "USD"}
    file = scenario.make(
        [
            _line(do="charge", key="a", price="seat", quantity=3),
            _line(do="charge", key="b", price="seat", quantity=1, expect="failed lost_card"),
            _line(do="charge", key="c", amount="5.00", currency="USD"),
            _line(do="refund", key="a-one", of="a", amount="2.00", restock=1),
            _line(do="refund", key="a-none", of="a", amount="2.00"),
            _line(do="refund", key="a-not", of="a", restock=2, expect="failed refund_declined"),
        ],
        [Price(**seat, amount="2.00", stock=9)],
    )
    assert asked(file) == {"USD": (1100, 400)}
    assert file.left_of(file.prices["seat"]) == 7
    assert scenario.make([], [*file.prices.values()]).pick(["another shop"]).prices == {}


def test_what_is_sold_by_price_runs_out_comes_back_and_is_for_sale_in_the_file(
    file: Scenario,
) -> None:
    by_price = [line for line in file.lines if line.price]
    assert {line.price for line in by_price} == set(file.prices)
    assert all(line.quantity and not line.amount and not line.currency for line in by_price)
    # What fails and what is refused, and goods that come back.
    assert {line.ending for line in by_price} == {"succeeded", "failed", "rejected"}
    assert any(line.restock for line in file.makers.values())
    assert sorted(map(file.left_of, file.prices.values())) == [0, 2]
    for line in file.lines:
        assert line.price is None or file.prices[line.price].shop == line.shop


def test_stock_agrees_when_tables_and_file_do() -> None:
    assert Stock("Seat", initial=9, sold=3, back=1, left=7, expected=7).agrees
    assert not Stock("Seat", initial=9, sold=3, back=1, left=6, expected=7).agrees
    assert not Stock("Seat", initial=9, sold=3, back=0, left=7, expected=7).agrees


def test_a_line_that_is_none_is_named(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "requests.jsonl"
    path.write_text('{"do": "charge", "shop": "s"}\n{"do": "charge", "sohp": "s"}\n')
    with pytest.raises(ValueError, match=r"requests\.jsonl, line 2: .*sohp"):
        scenario.read(path)


def test_a_request_is_told_from_the_one_it_contradicts() -> None:
    first = _line(do="charge", key="a")
    second = _line(
        do="charge", key="a", once_accepted="a", expect="rejected idempotency_key_reused"
    )
    standing = {first.object_id: Standing("succeeded", None, None)}
    accepted = Sight(standing)
    assert accepted.ending_of(first) == "succeeded"
    assert accepted.ending_of(second) is None
    refused = Sight(standing, {("a", "idempotency_key_reused")})
    assert refused.ending_of(first) == "succeeded"
    assert refused.ending_of(second) == second.expect


def test_a_refund_that_the_bank_returns_is_not_over_when_it_succeeds() -> None:
    line = _line(do="refund", key="a", of="b", expect="failed refund_failed")
    assert not Sight({line.object_id: Standing("succeeded", None, None)}).is_over(line)
    assert Sight({line.object_id: Standing("failed", None, "refund_failed")}).is_over(line)


def test_a_request_that_was_refused_against_expectation_is_over() -> None:
    line = _line(do="refund", key="a", of="b")
    sight = Sight(rejected={("a", "refund_exceeds_charge")})
    assert sight.is_over(line)
    assert sight.ending_of(line) == "rejected refund_exceeds_charge"


def test_the_receiver_keeps_the_last_word_whatever_the_order() -> None:
    inbox = Inbox(secret=new_secret())
    assert [post(inbox, sequence) for sequence in (2, 1, 2)] == [204, 204, 204]
    heard = inbox.heard["ch_1"]
    assert heard.last is not None
    assert heard.last.sequence == 2
    assert heard.sequences == {1, 2}
    assert inbox.repeated == 1


def test_the_receiver_takes_nothing_that_is_not_signed() -> None:
    inbox = Inbox(secret=new_secret())
    assert inbox.take(b'{"type": "charge.succeeded"}', {"webhook-id": "evt_1"}) == 400
    assert (inbox.verified, inbox.forged, inbox.heard) == (0, 1, {})


def test_the_receiver_fails_some_events_once() -> None:
    inbox = Inbox(secret=new_secret())
    answers = [post(inbox, sequence) for sequence in range(1, 2 * FAIL_EVERY + 1)]
    assert answers == ([204] * (FAIL_EVERY - 1) + [500]) * 2
    assert post(inbox, FAIL_EVERY) == 204
    assert len(inbox.failed) == 2


def test_amounts_are_shown_with_their_currency_s_decimals() -> None:
    assert decimal(1234567, "USD") == "12,345.67"
    assert decimal(1234567, "JPY") == "1,234,567"
    assert decimal(1234567, "KWD") == "1,234.567"


def test_one_check_that_fails_is_enough() -> None:
    figures = Figures(
        requests={"charges": 1},
        endings={"succeeded": 1},
        money=[Money("USD", 100, 100, 0, 0), Money("EUR", 100, 200, 0, 0)],
        stock=[Stock("Seat", initial=9, sold=3, back=1, left=7, expected=7)],
        webhooks={},
        kill=Kill(3, 3, 1.0, None),
        asked_again=0,
        checks=[Check("this"), Check("that", ["EUR"])],
        seconds=1.0,
    )
    assert not figures.add_up
    assert [one["agrees"] for one in figures.as_json()["money"]] == [True, False]
    assert figures.as_json()["stock"] == [
        {
            "item": "Seat", "initial": 9, "sold": 3, "back": 1, "left": 7, "expected": 7,
            "agrees": True,
        }
    ]  # fmt: skip


def post(inbox: Inbox, sequence: int) -> int:
    now = datetime.now(UTC).isoformat()
    body = (
        f'{{"type": "charge.pending", "timestamp": "{now}", "sequence": {sequence},'
        ' "data": {"object": "charge", "charge_id": "ch_1", "state": "pending"}}'
    )
    headers = billing.webhook.sign(body, inbox.secret, webhook_id=f"evt_{sequence}")
    return inbox.take(body.encode(), headers)


def _line(**fields) -> Line:  # type: ignore[no-untyped-def]
    return Line(**{"shop": "a shop", "expect": "succeeded", **fields})

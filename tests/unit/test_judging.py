"""What speaks against a new request, and the words for it."""

from typing import Any

import pytest

from infra.billing.contract.money import AMOUNT_MAX
from infra.billing.contract.requests.capture_request import CaptureRequest
from infra.billing.contract.requests.charge_request import ChargeRequest
from infra.billing.contract.requests.refund_request import RefundRequest
from payments.intake.judging import judge
from payments.parsing import parse
from payments.payment_errors import InvalidRequest
from payments.processors.processor_limits import ANYTHING, MoneyLimit, MoneyLimits
from tests.support.every import every

LIMITS = MoneyLimits(
    {"USD": MoneyLimit(50, 99_999_999), "KWD": MoneyLimit(105, 20_005, multiple_of=10)},
    others=None,
)

ACME = "at the processor acme"
AT_LEAST, AT_MOST = "amount must be at least", "amount must be at most"
ROUND = "amount must be a multiple of 10 in KWD"


def against(
    request: ChargeRequest | CaptureRequest | RefundRequest,
    amount: int | None,
    currency: str | None,
    limits: MoneyLimits = LIMITS,
) -> tuple[str | None, str] | None:
    """The field and the words of what speaks against it, if anything does."""
    try:
        judge(request, processor="acme", limits=limits, amount=amount, currency=currency)
    except InvalidRequest as refused:
        return refused.param, str(refused)
    return None


def of(amount: int, currency: str) -> ChargeRequest:
    fields = {"amount": amount, "currency": currency, "idempotency_key": "k"}
    return parse(ChargeRequest, fields)


def a_sale(quantity: int) -> ChargeRequest:
    fields = {"price_id": "tea", "quantity": quantity, "idempotency_key": "k"}
    return parse(ChargeRequest, fields)


def a_refund(amount: int | None) -> RefundRequest:
    fields: dict[str, Any] = {"charge_id": "ch_" + "a" * 32, "idempotency_key": "k"}
    return parse(RefundRequest, fields | ({} if amount is None else {"amount": amount}))


@every(
    "amount, currency, param, says",
    [
        (50, "USD", None, None),
        (49, "USD", "amount", f"{AT_LEAST} 0.50 USD {ACME}; send amount=50 or more"),
        (99_999_999, "USD", None, None),
        (100_000_000, "USD", "amount",
         f"{AT_MOST} 999999.99 USD {ACME}; send amount=99999999 or less"),
        (110, "KWD", None, None),
        # The bounds that are told can be sent as they are.
        (104, "KWD", "amount", f"{AT_LEAST} 0.110 KWD {ACME}; send amount=110 or more"),
        (20_006, "KWD", "amount", f"{AT_MOST} 20.000 KWD {ACME}; send amount=20000 or less"),
        (1235, "KWD", "amount", f"{ROUND} {ACME}; send amount=1230 or amount=1240"),
        # Only what would be taken is proposed.
        (107, "KWD", "amount", f"{ROUND} {ACME}; send amount=110"),
        (20_004, "KWD", "amount", f"{ROUND} {ACME}; send amount=20000"),
        (500, "EUR", "currency", "the processor acme takes no EUR; it takes KWD, USD"),
    ],
)  # fmt: skip
def test_a_charge_within_the_limits_of_its_processor_is_taken(
    amount: int, currency: str, param: str | None, says: str | None
) -> None:
    expected = None if says is None else (param, says)
    assert against(of(amount, currency), amount, currency) == expected


@every(
    "amount, currency, param, says",
    [
        (49, "USD", "quantity", f"come to 0.49 USD; a charge {ACME} must be at least 0.50 USD"),
        (100_000_000, "USD", "quantity", "must be at most 999999.99 USD"),
        (1235, "KWD", "quantity",
         "quantity: 7 of this price come to 1.235 KWD; the processor acme takes multiples of 10"),
        (500, "EUR", "price_id", "the processor acme takes no EUR"),
        (500, "BGN", "price_id", "BGN is no longer a currency"),
        (500, "CHE", "price_id", "nobody pays with it; send CHF"),
    ],
)  # fmt: skip
def test_what_a_price_comes_to_is_judged(amount: int, currency: str, param: str, says: str) -> None:
    told = against(a_sale(7), amount, currency)
    assert told is not None
    assert told[0] == param
    assert says in told[1]


def test_a_refund_may_be_small_and_must_be_round() -> None:
    assert against(a_refund(1), 1, "USD") is None
    assert against(a_refund(10), 10, "KWD") is None
    told = against(a_refund(5), 5, "KWD")
    assert told is not None
    assert told[1].endswith("send amount=10")
    # All that is left of an odd charge goes back as it is; so does money of a currency that the
    # processor takes no more.
    assert against(a_refund(None), 1235, "KWD") is None
    assert against(a_refund(7), 7, "EUR") is None
    assert against(a_refund(5), None, None) is None


def test_no_amount_that_may_be_a_card_number_is_repeated() -> None:
    limits = MoneyLimits({"USD": MoneyLimit(multiple_of=10)})
    told = against(of(424_242_424_242_421, "USD"), 424_242_424_242_421, "USD", limits)
    assert told == ("amount", "amount must be a multiple of 10 in USD at the processor acme")


def test_a_processor_that_declares_nothing_takes_anything() -> None:
    assert against(of(1, "XOF"), 1, "XOF", ANYTHING) is None
    assert against(of(AMOUNT_MAX, "USD"), AMOUNT_MAX, "USD", ANYTHING) is None


def test_without_a_most_of_its_own_a_limit_leaves_that_to_the_rules_of_the_request() -> None:
    assert against(of(5, "USD"), 10 * AMOUNT_MAX, "USD", ANYTHING) is None
    tens = MoneyLimits({"USD": MoneyLimit(multiple_of=10)})
    told = against(of(15, "USD"), 15, "USD", tens)
    assert told is not None
    assert told[1].endswith("send amount=10 or amount=20")


def test_few_of_many_currencies_are_named() -> None:
    codes = [f"A{letter}D" for letter in "BCDEFGHIJKLMNOP"]
    told = against(of(5, "USD"), 5, "USD", MoneyLimits(dict.fromkeys(codes, MoneyLimit()), None))
    assert told is not None
    assert told[1].endswith(
        "it takes ABD, ACD, ADD, AED, AFD, AGD, AHD, AID, AJD, AKD, ALD, AMD, …"
    )


@every(
    "least, most, multiple_of",
    [(0, 5, 1), (6, 5, 1), (1, 10**15, 1), (1, 5, 0), (11, 19, 10)],
)
def test_a_limit_that_nothing_can_be_within_is_refused(
    least: int, most: int, multiple_of: int
) -> None:
    with pytest.raises(ValueError, match="limit"):
        MoneyLimit(least, most, multiple_of)


@every(
    "final, in_parts, is_refused",
    [(True, False, False), (False, True, False), (False, False, True)],
)
def test_where_a_charge_is_captured_once_each_capture_is_the_last(
    final: bool, in_parts: bool, is_refused: bool
) -> None:
    fields = {"charge_id": "ch_" + "a" * 32, "idempotency_key": "k", "final": final}
    capture = parse(CaptureRequest, fields)
    told = against(capture, None, "USD", MoneyLimits(captures_in_parts=in_parts))
    assert (told and told[0]) == ("final" if is_refused else None)

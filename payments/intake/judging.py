"""The one place where today's rules can refuse a new charge, capture or refund.

It is called for requests that were not found to be repeats (`payments.lifecycle.accepting`). A
repeat is never judged: what was accepted once is answered as it stands, for ever.
"""

from typing import Literal, NoReturn

from infra.billing.contract.money import CARD_DIGITS_MIN, is_payable, not_payable
from infra.billing.contract.requests.capture_request import CaptureRequest
from infra.billing.contract.requests.charge_request import ChargeRequest
from infra.billing.contract.requests.refund_request import RefundRequest
from payments.amounts import in_words
from payments.parsing import refusal_of
from payments.payment_errors import InvalidRequest, UnexpectedAmount
from payments.processors.processor_limits import MoneyLimit, MoneyLimits

# How many of the supported currencies a refusal of another one names.
NAMED_MAX = 12


def judge(
    request: ChargeRequest | CaptureRequest | RefundRequest,
    *,
    processor: str,
    limits: MoneyLimits,
    amount: int | None,
    currency: str | None,
) -> None:
    """Refuse a new request that breaks one of today's rules.

    `processor` is the name of the one that would get it, and `limits` are its limits. `amount` is
    what would be moved, in minor units of `currency`: the amount of a price, of a capture, or of a
    refund; both are None if unknown (a refund whose charge is missing). Raises Refused.
    """
    if request.against is not None:
        raise refusal_of(request.against)
    if isinstance(request, CaptureRequest) and not (request.final or limits.captures_in_parts):
        raise InvalidRequest(
            f"final must be true at the processor {processor}, which captures a charge once and"
            " lets go of the rest; send amount=… with final=true, or capture the whole later",
            param="final",
        )
    if amount is None or currency is None:
        return
    if not isinstance(request, ChargeRequest):
        # The rest of a charge can always be captured or refunded at once, whatever its amount.
        limit = None if request.amount is None else limits.of(currency)
        if limit is not None and amount % limit.multiple_of:
            _no_multiple(amount, currency, limit, processor, least=1)
        return
    # The currency of an amount is checked when it is read. A price may be older than the end of its
    # currency.
    if request.price_id is not None and not is_payable(currency):
        raise InvalidRequest(not_payable(currency), param="price_id")
    if request.expected_amount not in (None, amount):
        raise _unexpected(request, amount)
    _within(request, amount, currency, limits, processor)


def _within(
    request: ChargeRequest, amount: int, currency: str, limits: MoneyLimits, processor: str
) -> None:
    """Refuse a charge that the processor would refuse for its amount or its currency."""
    limit = limits.of(currency)
    if limit is None:
        named = sorted(limits.named)
        others = ", ".join(named[:NAMED_MAX]) + (", …" if len(named) > NAMED_MAX else "")
        raise InvalidRequest(
            f"the processor {processor} takes no {currency}; it takes {others}",
            param="currency" if request.price_id is None else "price_id",
        )
    if amount < limit.least:
        _out_of_bounds(request, amount, currency, _up(limit.least, limit), "least", processor)
    if limit.most is not None and amount > limit.most:
        _out_of_bounds(request, amount, currency, _down(limit.most, limit), "most", processor)
    if amount % limit.multiple_of == 0:
        return
    if request.price_id is None:
        _no_multiple(amount, currency, limit, processor, least=limit.least)
    raise InvalidRequest(
        f"{_comes_to(request, amount, currency)}; the processor {processor} takes multiples of"
        f" {limit.multiple_of} in {currency}",
        param="quantity",
    )


def _out_of_bounds(
    request: ChargeRequest,
    amount: int,
    currency: str,
    bound: int,
    at: Literal["least", "most"],
    processor: str,
) -> NoReturn:
    words = f"at {at} {in_words(bound, currency)}"
    if request.price_id is not None:
        raise InvalidRequest(
            f"{_comes_to(request, amount, currency)}; a charge at the processor {processor} must be"
            f" {words}",
            param="quantity",
        )
    raise InvalidRequest(
        f"amount must be {words} at the processor {processor}; send amount={bound} or"
        f" {'more' if at == 'least' else 'less'}",
        param="amount",
    )


def _comes_to(request: ChargeRequest, amount: int, currency: str) -> str:
    return f"quantity: {request.quantity} of this price come to {in_words(amount, currency)}"


def _no_multiple(
    amount: int, currency: str, limit: MoneyLimit, processor: str, *, least: int
) -> NoReturn:
    """Refuse an amount that is not a multiple of what the processor takes."""
    near = [_down(amount, limit), _up(amount, limit)]
    fixes = [
        f"amount={one}"
        for one in near
        if least <= one and (limit.most is None or one <= limit.most)
    ]
    # Someone will send a card number as an amount, so one of that length is not repeated.
    fix = f"; send {' or '.join(fixes)}" if len(str(amount)) < CARD_DIGITS_MIN and fixes else ""
    raise InvalidRequest(
        f"amount must be a multiple of {limit.multiple_of} in {currency} at the processor"
        f" {processor}{fix}",
        param="amount",
    )


def _down(amount: int, limit: MoneyLimit) -> int:
    return amount // limit.multiple_of * limit.multiple_of


def _up(amount: int, limit: MoneyLimit) -> int:
    return -(-amount // limit.multiple_of) * limit.multiple_of


def _unexpected(request: ChargeRequest, amount: int) -> UnexpectedAmount:
    """A lookup key may have moved since the caller read the amount."""
    return UnexpectedAmount(
        f"{request.quantity} of this price come to {amount} now, not {request.expected_amount};"
        " nothing was charged. Ask for a quote, and for consent, again",
        param="expected_amount",
        amount=amount,
        expected_amount=request.expected_amount,
    )


def may_fit_later(request: ChargeRequest | RefundRequest) -> bool:
    """Whether a refusal may depend on other objects, and not only on the request itself."""
    if isinstance(request, RefundRequest):
        return True
    return request.price_id is not None or request.reference is not None

"""Judging what is new: the one place where today's rules can refuse a charge or a refund.

`payments.charges.accept` and `payments.refunds.accept` come here with what they have looked up and
not found. A repeat never does: what was accepted once is answered as it stands, for ever.
"""

from models.money import is_payable, not_payable
from payments.errors import InvalidRequest
from payments.requests import ChargeRequest, RefundRequest


def judge(
    request: ChargeRequest | RefundRequest,
    *,
    processor: str,
    amount: int | None,
    currency: str | None,
) -> None:
    """Refuse a request that is new, if a rule of today speaks against it.

    `processor` is the name of the one that would get it. `amount` is what would be moved, in minor
    units of `currency`: what a price says, or for a refund what it would give back; both are None
    while that isn't known (a refund whose charge has not been seen). Raises Refused.
    """
    if request.against is not None:
        raise request.against
    # The currency of an amount is judged when it is read. A price may be older than the end of its
    # currency.
    by_price = isinstance(request, ChargeRequest) and request.price_id is not None
    if by_price and currency is not None and not is_payable(currency):
        raise InvalidRequest(not_payable(currency), param="price_id")

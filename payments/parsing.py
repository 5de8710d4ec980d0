"""The rules of the contract as the service applies them: what they refuse is InvalidRequest
here."""

from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from pydantic import BaseModel

from infra.billing.contract.card_data import CARD_DATA, holds_card_data
from infra.billing.contract.invalid import Invalid
from infra.billing.contract.requests import request_parser
from infra.billing.contract.requests.request_fields import Keyed
from payments.payment_errors import InvalidRequest

R = TypeVar("R", bound=BaseModel)
K = TypeVar("K", bound=Keyed)
T = TypeVar("T")
P = ParamSpec("P")


def read(model: type[K], fields: Mapping[str, Any]) -> K:
    """`request_parser.read`: the request, with what today's rules object to in `against`. Raises
    InvalidRequest."""
    return refusing(request_parser.read, model, fields)


def parse(model: type[R], fields: Mapping[str, Any], *, day: str | None = None) -> R:
    """`request_parser.parse`: the request by the rules of today. Raises InvalidRequest."""
    return refusing(request_parser.parse, model, fields, day=day)


def judged(request: Keyed) -> None:
    """Raise InvalidRequest for a new request that breaks one of today's rules."""
    if request.against is not None:
        raise refusal_of(request.against)


def refusing(check: Callable[P, T], *args: P.args, **context: P.kwargs) -> T:
    """The result of a rule of the contract for a value. Raises InvalidRequest with its message."""
    try:
        return check(*args, **context)
    except Invalid as wrong:
        raise refusal_of(wrong) from None


def refusal_of(wrong: Invalid) -> InvalidRequest:
    """The error of a rule of the contract as the service's refusal."""
    return InvalidRequest(str(wrong), param=wrong.param)


def refuse_card_data(param: str, text: str) -> None:
    """Raise InvalidRequest for a text that contains card data."""
    if holds_card_data(text):
        raise InvalidRequest(f"{param} {CARD_DATA}", param=param)

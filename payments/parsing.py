"""The rules of the contract, as the service obeys them: what they refuse is InvalidRequest here."""

from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from pydantic import BaseModel

from infra.billing.contract.card_data import CARD_DATA, holds_card_data
from infra.billing.contract.invalid import Invalid
from infra.billing.contract.requests import reading
from infra.billing.contract.requests.fields import Keyed
from payments.errors import InvalidRequest

R = TypeVar("R", bound=BaseModel)
K = TypeVar("K", bound=Keyed)
T = TypeVar("T")
P = ParamSpec("P")


def read(model: type[K], fields: Mapping[str, Any]) -> K:
    """`reading.read`: the request, with what today's rules say against it beside it (`against`).
    Raises InvalidRequest."""
    return refusing(reading.read, model, fields)


def parse(model: type[R], fields: Mapping[str, Any], *, day: str | None = None) -> R:
    """`reading.parse`: the request by the rules of today. Raises InvalidRequest."""
    return refusing(reading.parse, model, fields, day=day)


def judged(request: Keyed) -> None:
    """Raises InvalidRequest for a request that is new, if a rule of today speaks against it."""
    if request.against is not None:
        raise refusal_of(request.against)


def refusing(check: Callable[P, T], *args: P.args, **context: P.kwargs) -> T:
    """What a rule of the contract makes of a value. Raises InvalidRequest in its words."""
    try:
        return check(*args, **context)
    except Invalid as wrong:
        raise refusal_of(wrong) from None


def refusal_of(wrong: Invalid) -> InvalidRequest:
    """What a rule of the contract has found, as the service refuses it."""
    return InvalidRequest(str(wrong), param=wrong.param)


def refuse_card_data(param: str, text: str) -> None:
    """Raises InvalidRequest for a text that holds card data."""
    if holds_card_data(text):
        raise InvalidRequest(f"{param} {CARD_DATA}", param=param)

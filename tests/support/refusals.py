"""What the service and the SDK say of the same fields, so that tests can hold them equal."""

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from pydantic import BaseModel

from infra import billing
from payments.parsing import parse
from payments.payment_errors import Refused

T = TypeVar("T")

# The field, the code, and the words; None if there is nothing to say.
Said = tuple[str | None, str, str] | None


def short(changes: object) -> str:
    """The name of a case."""
    return repr(changes)[:60]


def refusal(run: Callable[[], object]) -> Refused:
    """The refusal that this must end in."""
    with pytest.raises(Refused) as told:
        run()
    return told.value


def answer_of(run: Callable[[], T]) -> T | Refused:
    """What it returns, or the refusal that it ends in."""
    try:
        return run()
    except Refused as refused:
        return refused


def told(refused: object) -> tuple[str, str | None, str]:
    """The code, the field, and the words of a refusal."""
    assert isinstance(refused, Refused), refused
    return refused.code, refused.param, str(refused)


def service_says(
    model: type[BaseModel],
    fields: dict[str, Any],
    read: Callable[[type[BaseModel], dict[str, Any]], Any] = parse,
) -> Said:
    """What the service says of fields that are there."""
    try:
        read(model, fields)
    except Refused as refused:
        return refused.param, refused.code, str(refused)
    return None


def sdk_says(check: Callable[..., Any], fields: dict[str, Any]) -> Said:
    """What the SDK says of arguments."""
    try:
        check(**fields)
    except billing.InvalidRequest as refused:
        return refused.param, refused.code, str(refused)
    return None


def present(fields: dict[str, Any]) -> dict[str, Any]:
    """Those that are not None: to the SDK, that is absent."""
    return {name: value for name, value in fields.items() if value is not None}

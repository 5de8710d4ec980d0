"""Currencies from ISO 4217. There is no table of our own, as a second list could only go out of
date."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import iso4217

from infra.billing.contract.catalog_names import CURRENCY_PREFIX, currency_of
from infra.billing.contract.invalid import Invalid
from infra.billing.contract.money import WITHDRAWN, exponent, is_payable
from payments.parsing import refusing
from payments.payment_errors import NotFound


def every() -> list[dict[str, Any]]:
    """All currencies that can be used for payments, by their codes."""
    return [view(code) for code in codes()]


def get(currency_id: str) -> dict[str, Any]:
    """A currency by its id (`cur_usd`), including those that accept nothing new. Raises
    NotFound."""
    code = currency_id.removeprefix(CURRENCY_PREFIX).upper()
    if currency_id != id_of(code) or not _is_known(code):
        raise NotFound("there is no currency with this id; they are like cur_usd", param="id")
    return view(code)


def code_of(currency_id: str) -> str:
    """The ISO code for a `currency_id` in a request, including currencies that accept nothing new.
    Raises InvalidRequest."""
    return refusing(currency_of, currency_id)


def id_of(code: str) -> str:
    return CURRENCY_PREFIX + code.lower()


def view(code: str) -> dict[str, Any]:
    """The public `Currency` of an ISO code, including codes that ISO has withdrawn since."""
    try:
        decimals: int | None = exponent(code)
    except Invalid:
        decimals = None
    return {
        "id": id_of(code),
        "object": "currency",
        "code": code,
        "name": _names().get(code, code),
        "decimal": decimals,
    }


@cache
def codes() -> tuple[str, ...]:
    """The ISO codes of all currencies that can be used for payments, in their order."""
    return tuple(sorted(filter(is_payable, _names())))


def payable_ids() -> list[str]:
    """The ids of those, in their order."""
    return [id_of(code) for code in codes()]


def _is_known(code: str) -> bool:
    """Whether a present or an older price may use it."""
    return code in _names() or code in WITHDRAWN


@cache
def _names() -> Mapping[str, str]:
    return {c.code: c.currency_name for c in iso4217.Currency if c.exponent is not None}

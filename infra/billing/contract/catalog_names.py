"""Names in the catalog: ids of currencies, and the keys by which prices are looked up."""

import re

from infra.billing.contract.ids import is_price_id
from infra.billing.contract.invalid import Invalid
from infra.billing.contract.money import exponent

CURRENCY_PREFIX = "cur_"
_CURRENCY_ID = re.compile(f"{CURRENCY_PREFIX}[a-z]{{3}}")


def currency_of(currency_id: str) -> str:
    """The ISO code of a `currency_id`, including currencies that accept nothing new.

    Raises Invalid.
    """
    if not _CURRENCY_ID.fullmatch(currency_id):
        raise Invalid(
            "currency_id must be cur_ and an ISO 4217 code in lower case, like cur_usd",
            param="currency_id",
        )
    code = currency_id.removeprefix(CURRENCY_PREFIX).upper()
    try:
        exponent(code)
    except Invalid:
        raise Invalid(
            "there is no currency with this currency_id; GET /currencies, or"
            " `billing currency list`, lists them",
            param="currency_id",
        ) from None
    return code


def check_lookup_key(value: str) -> None:
    """Raise Invalid for a text that can't be a lookup key."""
    if is_price_id(value):
        raise Invalid("lookup_key must not be written as the id of a price", param="lookup_key")
    # It is used in the path of a URL, where proxies and clients treat these characters differently.
    if "/" in value or value in (".", ".."):
        raise Invalid("lookup_key must hold no slash, and be more than dots", param="lookup_key")

"""The text of a search, and everything that it may mean."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from infra.billing.contract.invalid import Invalid
from infra.billing.contract.money import AMOUNT_MAX, minor
from payments.payment_errors import InvalidRequest

WANTED_MAX = 200
_AMOUNT = re.compile(
    r"(?:(?P<before>[A-Za-z]{3})\s*)?(?P<number>[0-9]{1,15}(?:[.,][0-9]{1,4})?)"
    r"(?:\s*(?P<after>[A-Za-z]{3}))?"
)


@dataclass(frozen=True, slots=True)
class Typed:
    """A text to search for. `pair` is a name and a value of metadata, if it has that form."""

    text: str
    pair: tuple[str, str] | None = None

    def amounts(self, currencies: Sequence[str]) -> Iterator[tuple[str, int]]:
        """The amounts that it may be, as currencies and minor units: `19.99 EUR`, `19,99`, or
        `1999` minor units of any of these currencies. With a currency, a whole number may be
        either."""
        found = _AMOUNT.fullmatch(self.text)
        if found is None or (found["before"] and found["after"]):
            return
        number = found["number"].replace(",", ".")
        named = found["before"] or found["after"]
        is_whole = "." not in number
        for code in [named.upper()] if named else currencies:
            as_units = int(number) if is_whole else None
            if as_units is not None and 0 < as_units <= AMOUNT_MAX:
                yield code, as_units
            if (named or not is_whole) and (amount := _minor(number, code)) is not None:
                yield code, amount


def read(text: object) -> Typed:
    """The text, parsed. Raises InvalidRequest."""
    if not isinstance(text, str) or not text.strip() or len(text) > WANTED_MAX or "\x00" in text:
        raise InvalidRequest(f"q must be a text of 1 to {WANTED_MAX} characters", param="q")
    wanted = text.strip()
    name, colon, value = wanted.partition(":")
    pair = (name.strip(), value.strip()) if colon and name.strip() and value.strip() else None
    return Typed(wanted, pair)


def _minor(number: str, currency: str) -> int | None:
    try:
        return minor(number, currency)
    except Invalid:
        return None

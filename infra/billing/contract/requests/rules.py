"""Today's rules: checks that apply only to new requests.

What was accepted once stays accepted: its key is looked up first, whatever the rules are today. So
a request can be read in two ways: by today's rules, or as it may have been accepted on any day,
when only its shape counts (its names, their types, what goes together), which determines its id and
its fingerprint. Bounds of numbers and lengths, the list of currencies, and patterns of ids may
change; `rule` marks them.
"""

from collections.abc import Callable
from typing import Final, TypeVar

from pydantic import AfterValidator, ValidationInfo
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError, PydanticKnownError

from infra.billing.contract.card_data import CARD_DATA, holds_card_data
from infra.billing.contract.ids import ID_PATTERN, is_id
from infra.billing.contract.sentences import CONTROL
from infra.billing.contract.texts import PATTERN, is_storable, is_unicode

T = TypeVar("T")


# The context for reading without today's rules.
ANY_DAY: Final = "any day"
# The context for reading by the caller: it may be a repeat of an accepted request, so rules that
# depend on the time are left to the service.
MAYBE_A_REPEAT: Final = "maybe a repeat"


def is_judged(info: ValidationInfo) -> bool:
    """Whether today's rules apply."""
    return info.context is not ANY_DAY


def is_dated(info: ValidationInfo) -> bool:
    """Whether today's rules apply, including those that depend on the time."""
    return info.context is None


def rule(check: Callable[[T], object]) -> AfterValidator:
    """One of today's rules: `check` raises if a value breaks it."""

    def judged(value: T, info: ValidationInfo) -> T:
        if info.context is not ANY_DAY:
            check(value)
        return value

    return AfterValidator(judged)


def between(least: int, most: int | None = None) -> AfterValidator:
    """The bounds of a whole number, as one of today's rules. `bounds` is for schemas."""

    def check(value: int) -> None:
        if value < least:
            raise PydanticKnownError("greater_than_equal", {"ge": least})
        if most is not None and value > most:
            raise PydanticKnownError("less_than_equal", {"le": most})

    return rule(check)


def bounds(least: int, most: int) -> JsonDict:
    """`between` as JSON Schema."""
    return {"minimum": least, "maximum": most}


def characters(least: int, most: int) -> AfterValidator:
    """How long a text may be, and that it contains no card data, as today's rules; and, on any day,
    that it can be stored at all."""

    def check(value: str, info: ValidationInfo) -> str:
        # Nearly all texts are plain ASCII, which these two find out without a call.
        is_kept = (value.isascii() and value.isprintable()) or is_storable(value)
        if not (is_kept or is_unicode(value)):  # not a character in any encoding
            raise PydanticKnownError("string_unicode")
        if info.context is not ANY_DAY:
            if len(value) < least:
                raise PydanticKnownError("string_too_short", {"min_length": least})
            if len(value) > most:
                raise PydanticKnownError("string_too_long", {"max_length": most})
        if not is_kept:
            raise PydanticCustomError("text", CONTROL)
        if info.context is not ANY_DAY and holds_card_data(value):
            raise card_data()
        return value

    return AfterValidator(check)


def lengths(least: int, most: int, *, pattern: str = PATTERN) -> JsonDict:
    """`characters` as JSON Schema."""
    told: JsonDict = {"minLength": least} if least else {}
    return {**told, "maxLength": most, "pattern": pattern}


def id_of(prefix: str, what: str) -> AfterValidator:
    """That it has the form of the id of `what`, as one of today's rules (`ids.is_id` of the
    contract)."""

    def check(value: str) -> None:
        if not is_id(value, prefix):
            raise PydanticCustomError(
                "id", "must be the id of {what} ({prefix}…)", {"what": what, "prefix": prefix}
            )

    return rule(check)


def id_schema(prefix: str) -> JsonDict:
    """`id_of` as JSON Schema."""
    return {"pattern": f"^{prefix}{ID_PATTERN}$"}


def at_most(most: int) -> AfterValidator:
    """How many names or items, as one of today's rules."""

    def check(value: dict[str, object] | list[object]) -> None:
        if len(value) > most:
            facts = {"field_type": "Value", "max_length": most, "actual_length": len(value)}
            raise PydanticKnownError("too_long", facts)

    return rule(check)


def card_data() -> PydanticCustomError:
    """The error of a validator for card data."""
    return PydanticCustomError("card_data", "{said}", {"said": CARD_DATA})

"""Today's rules: the checks that judge what is new, and only that.

What was accepted once stays accepted: its key is looked up first, whatever is taken today. So a
request can be read in two ways: by the rules of today, or as it may have been accepted on any day,
when only its shape counts (its names, their types, what goes together), of which its id and its
fingerprint are made. Bounds of numbers and lengths, the list of currencies, and patterns of ids are
rules of a day; `rule` marks them.
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


# The context of a reading that no rule of today judges.
ANY_DAY: Final = "any day"
# That of a reading by who asks: it may be a repeat of what was accepted, so what only the passing
# of time makes wrong is for the service to judge.
MAYBE_A_REPEAT: Final = "maybe a repeat"


def is_judged(info: ValidationInfo) -> bool:
    """Whether today's rules count in this reading."""
    return info.context is not ANY_DAY


def is_dated(info: ValidationInfo) -> bool:
    """Whether, of today's rules, those count that time alone may change, too."""
    return info.context is None


def rule(check: Callable[[T], object]) -> AfterValidator:
    """A rule of today: `check` raises what speaks against a value."""

    def judged(value: T, info: ValidationInfo) -> T:
        if info.context is not ANY_DAY:
            check(value)
        return value

    return AfterValidator(judged)


def between(least: int, most: int | None = None) -> AfterValidator:
    """The bounds of a whole number, as a rule of today. Schemas are told them by `bounds`."""

    def check(value: int) -> None:
        if value < least:
            raise PydanticKnownError("greater_than_equal", {"ge": least})
        if most is not None and value > most:
            raise PydanticKnownError("less_than_equal", {"le": most})

    return rule(check)


def bounds(least: int, most: int) -> JsonDict:
    """`between`, as JSON Schema says it."""
    return {"minimum": least, "maximum": most}


def characters(least: int, most: int) -> AfterValidator:
    """How long a text may be, and that it holds no card data, as rules of today; and, on any day,
    that it can be kept at all."""

    def check(value: str, info: ValidationInfo) -> str:
        # Nearly all texts are plain, and told so by these two without a call.
        is_kept = (value.isascii() and value.isprintable()) or is_storable(value)
        if not (is_kept or is_unicode(value)):  # no character in any encoding
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
    """`characters`, as JSON Schema says it."""
    told: JsonDict = {"minLength": least} if least else {}
    return {**told, "maxLength": most, "pattern": pattern}


def id_of(prefix: str, what: str) -> AfterValidator:
    """That it is written as the id of `what`, as a rule of today (`ids.is_id` of the contract)."""

    def check(value: str) -> None:
        if not is_id(value, prefix):
            raise PydanticCustomError(
                "id", "must be the id of {what} ({prefix}…)", {"what": what, "prefix": prefix}
            )

    return rule(check)


def id_schema(prefix: str) -> JsonDict:
    """`id_of`, as JSON Schema says it."""
    return {"pattern": f"^{prefix}{ID_PATTERN}$"}


def at_most(most: int) -> AfterValidator:
    """How many names or items, as a rule of today."""

    def check(value: dict[str, object] | list[object]) -> None:
        if len(value) > most:
            facts = {"field_type": "Value", "max_length": most, "actual_length": len(value)}
            raise PydanticKnownError("too_long", facts)

    return rule(check)


def card_data() -> PydanticCustomError:
    """What a validator raises of card data."""
    return PydanticCustomError("card_data", "{said}", {"said": CARD_DATA})

"""What a field may hold: the checks that all requests share.

The service checks the same and says the same; a contract test holds the two equal. Values never
appear in a refusal unless they are short numbers or codes.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypeGuard, TypeVar

from infra.billing.errors import InvalidRequest

TEXT_MAX = 255
LONG_TEXT_MAX = 1000
METADATA_KEYS_MAX, METADATA_KEY_MAX, METADATA_VALUE_MAX = 50, 40, 500
QUANTITY_MAX = 999_999_999_999_999

_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x1f\x7f]")

T = TypeVar("T")


def text(param: str, value: object, *, length_min: int = 1, length_max: int = TEXT_MAX) -> str:
    """`value` as a text that the service can keep. Raises InvalidRequest, as all of these do."""
    value = required(param, value)
    if not _is_text(value):
        raise InvalidRequest(f"{param} must be text", param=param)
    return _storable(param, value, length_min, length_max)


def optional_text(param: str, value: object, *, length_max: int = TEXT_MAX) -> str | None:
    return None if value is None else text(param, value, length_max=length_max)


def long_text(param: str, value: object) -> str | None:
    return None if value is None else text(param, value, length_min=0, length_max=LONG_TEXT_MAX)


def integer(
    place: str,
    value: object,
    *,
    least: int,
    most: int | None = QUANTITY_MAX,
    param: str | None = None,
) -> int:
    """A whole number within bounds. `place` is where it stands, in the field `param`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidRequest(f"{place} must be an integer", param=param or place)
    if value < least:
        refuse(place, f"input should be greater than or equal to {least}", param=param)
    if most is not None and value > most:
        refuse(place, f"input should be less than or equal to {most}", param=param)
    return int(value)


def flag(param: str, value: object) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise InvalidRequest(f"{param} must be true or false", param=param)


def choice(place: str, value: object, choices: Sequence[str], *, param: str | None = None) -> str:
    """One of `choices`, of which there are two or more."""
    found = next((one for one in choices if one == value), None)
    if found is None:
        *others, last = map(repr, choices)
        refuse(place, f"input should be {', '.join(others)} or {last}", param=param)
    return found


def metadata(value: object, *, may_unset: bool = False) -> dict[str, Any] | None:
    """Names and values of the caller's own; with `may_unset`, None removes a name."""
    if value is None:
        return None
    wrong = "metadata must be an object of text values"
    if not isinstance(value, Mapping):
        raise InvalidRequest(wrong, param="metadata")
    for name, one in value.items():
        unsets = one is None and may_unset
        if not _is_text(name) or not (unsets or _is_text(one)):
            raise InvalidRequest(wrong, param="metadata")
        _storable("metadata", name, 1, METADATA_KEY_MAX)
        if not unsets:
            _storable("metadata", one, 0, METADATA_VALUE_MAX)
    if len(value) > METADATA_KEYS_MAX:
        refuse(
            "metadata",
            f"dictionary should have at most {METADATA_KEYS_MAX} items after validation, not more",
        )
    return dict(value)


def required(param: str, value: T | None) -> T:
    if value is None:
        raise InvalidRequest(f"{param} is required", param=param)
    return value


def given(**fields: Any) -> dict[str, Any]:
    """The fields that are there."""
    return {name: value for name, value in fields.items() if value is not None}


def refuse(place: str, what: str, *, param: str | None = None) -> NoReturn:
    raise InvalidRequest(f"{place}: {what}", param=param or place)


def _is_text(value: object) -> TypeGuard[str]:
    # A lone surrogate is no character in any encoding.
    return isinstance(value, str) and not _SURROGATE.search(value)


def _storable(param: str, value: str, length_min: int, length_max: int) -> str:
    if len(value) < length_min:
        refuse(param, f"string should have at least {_characters(length_min)}")
    if len(value) > length_max:
        refuse(param, f"string should have at most {_characters(length_max)}")
    if _CONTROL.search(value):
        refuse(param, "must not contain control characters")
    return value


def _characters(count: int) -> str:
    return "1 character" if count == 1 else f"{count} characters"

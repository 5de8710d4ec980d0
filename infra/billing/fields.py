"""What a field may hold: the checks that all requests share.

What the contract has no rule for is checked in the service's words; a test holds the two equal.
Values never appear in a refusal unless they are short numbers or codes.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn, ParamSpec, TypeGuard, TypeVar

from infra.billing.contract import moments
from infra.billing.contract.card_data import CARD_DATA, holds_card_data, is_called_a_code
from infra.billing.contract.ids import is_id
from infra.billing.contract.invalid import Invalid
from infra.billing.contract.limits import (
    LONG_TEXT_MAX,
    METADATA_KEY_MAX,
    METADATA_KEYS_MAX,
    METADATA_VALUE_MAX,
    QUANTITY_MAX,
    TEXT_MAX,
)
from infra.billing.contract.sentences import (
    CONTROL,
    METADATA_NAMES,
    METADATA_OBJECT,
    NAMES,
    VALUES,
    sentence,
)
from infra.billing.contract.texts import is_storable, is_unicode
from infra.billing.errors import InvalidRequest

T = TypeVar("T")
P = ParamSpec("P")


def text(param: str, value: object, *, length_min: int = 1, length_max: int = TEXT_MAX) -> str:
    """`value` as a text that the service can keep. Raises InvalidRequest, as all of these do."""
    value = required(param, value)
    if not _is_text(value):
        raise wrong(param, "string_type")
    return _storable(param, value, length_min, length_max)


def optional_text(param: str, value: object, *, length_max: int = TEXT_MAX) -> str | None:
    return None if value is None else text(param, value, length_max=length_max)


def long_text(param: str, value: object) -> str | None:
    return None if value is None else text(param, value, length_min=0, length_max=LONG_TEXT_MAX)


def id_of(param: str, value: object, prefix: str, what: str) -> str:
    """The id of `what`, as the service writes them."""
    name = text(param, value)
    if not is_id(name, prefix):
        raise wrong(param, "id", what=what, prefix=prefix)
    return name


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
        raise wrong(place, "int_type", param=param)
    if value < least:
        raise wrong(place, "greater_than_equal", param=param, ge=least)
    if most is not None and value > most:
        raise wrong(place, "less_than_equal", param=param, le=most)
    return int(value)


def ahead(param: str, value: object) -> str | None:
    """A moment at which something may be asked for, as RFC 3339 in UTC."""
    return (
        None if value is None else rfc3339(checked(moments.ahead, param, value, may_be_past=True))
    )


def rfc3339(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def flag(param: str, value: object) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise wrong(param, "bool_type")


def choice(place: str, value: object, choices: Sequence[str], *, param: str | None = None) -> str:
    """One of `choices`, of which there are two or more."""
    found = next((one for one in choices if one == value), None)
    if found is None:
        *others, last = map(repr, choices)
        expected = f"{', '.join(others)} or {last}"
        raise wrong(place, "literal_error", param=param, expected=expected)
    return found


def metadata(value: object, *, may_unset: bool = False) -> dict[str, Any] | None:
    """Names and values of the caller's own; with `may_unset`, None removes a name."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise InvalidRequest(METADATA_OBJECT, param="metadata")
    for name, one in value.items():
        unsets = one is None and may_unset
        if not _is_text(name) or not (unsets or _is_text(one)):
            raise InvalidRequest(METADATA_OBJECT, param="metadata")
        _metadata_text(NAMES, name, 1, METADATA_KEY_MAX)
        if not unsets:
            _metadata_text(VALUES, one, 0, METADATA_VALUE_MAX)
    if len(value) > METADATA_KEYS_MAX:
        names = METADATA_NAMES.format(max_length=METADATA_KEYS_MAX)
        raise InvalidRequest(names, param="metadata")
    if any(is_called_a_code(name, one or "") for name, one in value.items()):
        raise InvalidRequest(f"{VALUES} {CARD_DATA}", param="metadata")
    return dict(value)


def required(param: str, value: T | None) -> T:
    if value is None:
        raise wrong(param, "missing")
    return value


def given(**fields: Any) -> dict[str, Any]:
    """The fields that are there."""
    return {name: value for name, value in fields.items() if value is not None}


def checked(rule: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What a rule of the contract makes of a value. Raises InvalidRequest in its words."""
    try:
        return rule(*args, **kwargs)
    except Invalid as refused:
        raise InvalidRequest(str(refused), param=refused.param) from None


def wrong(place: str, kind: str, *, param: str | None = None, **facts: object) -> InvalidRequest:
    """The refusal of a mistake of this kind, in the contract's words."""
    return InvalidRequest(sentence(place, kind, facts), param=param or place)


def refuse(place: str, what: str, *, param: str | None = None) -> NoReturn:
    raise InvalidRequest(f"{place}: {what}", param=param or place)


def without_card_data(place: str, value: str, *, param: str | None = None) -> None:
    """Refuse a text that holds card data: it must not even be sent."""
    if holds_card_data(value):
        raise InvalidRequest(f"{place} {CARD_DATA}", param=param or place)


def _is_text(value: object) -> TypeGuard[str]:
    # A lone surrogate is no character in any encoding.
    return isinstance(value, str) and is_unicode(value)


def _storable(param: str, value: str, length_min: int, length_max: int) -> str:
    _of_length(param, value, length_min, length_max, param=param)
    if not is_storable(value):
        refuse(param, CONTROL)
    without_card_data(param, value)
    return value


def _metadata_text(place: str, value: str, length_min: int, length_max: int) -> None:
    _of_length(place, value, length_min, length_max, param="metadata")
    if not is_storable(value):
        raise InvalidRequest(f"{place} {CONTROL}", param="metadata")
    without_card_data(place, value, param="metadata")


def _of_length(place: str, value: str, length_min: int, length_max: int, *, param: str) -> None:
    if len(value) < length_min:
        raise wrong(place, "too_short", param=param)
    if len(value) > length_max:
        raise wrong(place, "string_too_long", param=param, max_length=length_max)

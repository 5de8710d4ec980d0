"""Arguments of calls: which of them were given, and valid segments of a path.

The service validates requests; here only what would turn into another call is refused.
"""

import math
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final, ParamSpec, TypeVar
from uuid import uuid4

from infra.billing.contract.invalid import Invalid
from infra.billing.errors import InvalidRequest

T = TypeVar("T")
P = ParamSpec("P")


class Unset(Enum):
    """The type of the default in `update`: an argument that is not passed leaves the field as it
    is."""

    UNSET = "unset"

    def __repr__(self) -> str:
        return self.name


UNSET: Final = Unset.UNSET


def given(**fields: Any) -> dict[str, Any]:
    """The fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def counted(*, page_size: object = None, **fields: Any) -> dict[str, Any]:
    """The query of a list with a count, in the service's names, without None."""
    return given(**fields, pageSize=page_size)


def passed(**fields: Any) -> dict[str, Any]:
    """The fields to change: all but UNSET."""
    return {name: value for name, value in fields.items() if value is not UNSET}


def key(idempotency_key: object) -> Any:
    """The caller's key, or one created now, before the first try."""
    return str(uuid4()) if idempotency_key is None else idempotency_key


def key_of(fields: Mapping[str, Any]) -> str | None:
    """The key of a request, for its error."""
    key = fields.get("idempotency_key")
    return key if isinstance(key, str) else None


def id_of(value: object) -> str:
    """An id as a segment of a path. Raises InvalidRequest, as all of these do."""
    if not isinstance(value, str) or value in ("", ".", ".."):
        raise InvalidRequest("id must be an id", param="id")  # another path would be another call
    return value


def price_name(value: object) -> str:
    """The id or the lookup key of a price, in the same way."""
    return _without_slash(value, "that of a price, or its lookup key")


def product_id(value: object) -> str:
    """The id of a product, in the same way."""
    return _without_slash(value, "that of a product")


def currency_id(value: object) -> str:
    """The id of a currency, in the same way."""
    return _without_slash(value, "that of a currency, like cur_usd")


def seconds(param: str, value: object) -> float:
    """A duration: a number of seconds, 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidRequest(f"{param} must be a number of seconds", param=param)
    if not 0 <= value < math.inf:
        raise InvalidRequest(f"{param} must be 0 or more seconds", param=param)
    return value


def wait_s(value: object) -> float | None:
    """How long a call may wait for a final state; None = answer at once."""
    return None if value is None else seconds("wait_s", value)


def checked(rule: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of a rule of the contract. Raises InvalidRequest with its message."""
    try:
        return rule(*args, **kwargs)
    except Invalid as refused:
        raise InvalidRequest(str(refused), param=refused.param) from None


def _without_slash(value: object, whose: str) -> str:
    # The service creates no such ids, and servers and proxies treat a slash differently: the answer
    # would not be a proper "not found".
    if not isinstance(value, str) or "/" in value or value in ("", ".", ".."):
        raise InvalidRequest(
            f"id must be {whose}: it must hold no slash, and be more than dots", param="id"
        )
    return value

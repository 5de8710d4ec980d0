"""What is said of a field where an object declares it, and kinds of fields that many objects have.

    amount: Annotated[int, Shown("In minor units of `currency`.", example=1999, ge=1)]

To mypy and to editors it is an `int`. Documents, the service's views and the SDK's pending objects
are made of what `Shown` says; no program needs more than this module to read it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, ClassVar, Final, get_args, get_origin, get_type_hints

from infra.billing.contract.ids import ID_PATTERN
from infra.billing.contract.limits import METADATA_KEYS_MAX, QUANTITY_MAX
from infra.billing.contract.money import AMOUNT_MAX
from infra.billing.contract.objects.resource import Resource

UNSAID: Final = object()


@dataclass(frozen=True)
class Shown:
    """What a field means, an example of it, and the bounds of its values.

    `pending` is the field's value in the object that the SDK makes of a request alone, where the
    request doesn't say it; null otherwise. `always`: the service always has a value, and the field
    is null in such an object only.
    """

    means: str | None = None
    _: KW_ONLY
    example: Any = UNSAID
    examples: Sequence[Any] = ()
    ge: int | None = None
    le: int | None = None
    pattern: str | None = None
    format: str | None = None
    pending: Any = UNSAID
    always: bool = False


@dataclass(frozen=True)
class OneOf:
    """The texts that a field may have: those of an enumeration, or of a list."""

    values: type[StrEnum] | tuple[str, ...]


@cache
def fields_of(kind: type[Resource]) -> Mapping[str, Any]:
    """The fields of an object in their order, each with its annotation."""
    hints = get_type_hints(kind, include_extras=True)
    # The last: those of Resource itself.
    return {n: of for n, of in hints.items() if n[0] != "_" and get_origin(of) is not ClassVar}


def said_of(annotation: Any) -> Sequence[Shown]:
    """What is said of a field: of its kind first, then of itself."""
    if get_origin(annotation) is not Annotated:
        return ()
    inside, *said = get_args(annotation)
    return [*said_of(inside), *(one for one in said if isinstance(one, Shown))]


def pending_value(annotation: Any) -> Any:
    """The value of a field before anybody but the producer knows of the object."""
    said = [one.pending for one in said_of(annotation) if one.pending is not UNSAID]
    return said[-1] if said else None


def is_moment(annotation: Any) -> bool:
    """Whether a field is a time."""
    if any(one.format == "date-time" for one in said_of(annotation)):
        return True
    return get_origin(annotation) not in (list, dict) and any(map(is_moment, get_args(annotation)))


def constant(kind: type[Resource]) -> str | None:
    """The value of its `object`, if all objects of this kind have the same."""
    values = get_args(fields_of(kind).get("object"))
    return values[0] if len(values) == 1 and isinstance(values[0], str) else None


def id_pattern(prefix: str) -> str:
    """An id with this prefix, as JSON Schema says it."""
    return f"^{prefix}{ID_PATTERN}$"


Moment = Annotated[
    # Text and not a datetime: what is documented is the very text that is sent.
    str,
    Shown("RFC 3339, in UTC.", format="date-time", example="2026-11-22T10:23:20.123456Z"),
]
CurrencyCode = Annotated[str, Shown(pattern="^[A-Z]{3}$", example="USD")]
Amount = Annotated[int, Shown(ge=1, le=AMOUNT_MAX, example=1999)]
# Sums of amounts, which may be of none.
Sum = Annotated[int, Shown(ge=0, le=AMOUNT_MAX)]
UnitAmount = Annotated[str, Shown(pattern="^[0-9]{1,15}$", example="2000")]
Quantity = Annotated[int, Shown(ge=1, le=QUANTITY_MAX)]
Metadata = Annotated[
    dict[str, str],
    Shown(f"The caller's own names and values: up to {METADATA_KEYS_MAX}, text to text."),
]

"""What comes back: objects that are read by attribute and as mappings alike.

`charge.charge_id`, `charge["state"]`, `charge.get("reference")`, `dict(charge)`. They don't change,
compare by content, and can be pickled. Fields that a newer service adds are there, too.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Generic, TypeVar

T = TypeVar("T")


class Resource(Mapping[str, Any]):
    """A read-only object of the service."""

    __slots__ = ("_fields",)
    _fields: Mapping[str, Any]
    # What `repr` shows: enough to recognise it in a log, nothing about a person.
    _shown: ClassVar[tuple[str, ...]] = ()

    def __init__(self, fields: Mapping[str, Any]) -> None:
        object.__setattr__(self, "_fields", dict(fields))

    def __getitem__(self, name: str) -> Any:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __getattr__(self, name: str) -> Any:
        # Asked for only when there is no such attribute. "_fields" itself is missing while a
        # copy is being made.
        if name != "_fields" and name in self._fields:
            return self._fields[name]
        raise AttributeError(f"{type(self).__name__} has no field {name!r}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is read-only")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is read-only")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self._fields),)

    def __repr__(self) -> str:
        shown = ", ".join(f"{n}={self._fields[n]!r}" for n in self._shown if n in self._fields)
        return f"{type(self).__name__}({shown})"


class Charge(Resource):
    """Money taken from a customer, once. `amount` in minor units of `currency`.

    `state` is pending, succeeded or failed. Times are RFC 3339 in UTC; `created_at` is None while
    only the broker knows of it.
    """

    __slots__ = ()
    _shown = ("charge_id", "state", "amount", "currency")

    charge_id: str
    object: str
    amount: int
    currency: str
    state: str
    phase: str | None
    customer_id: str | None
    payment_method_id: str | None
    price_id: str | None
    quantity: int | None
    reference: str | None
    description: str | None
    metadata: dict[str, str]
    refunded_amount: int
    failure_code: str | None
    failure_message: str | None
    processor: str | None
    processor_reference: str | None
    idempotency_key: str
    created_at: str | None
    settled_at: str | None


class Refund(Resource):
    """Money given back. `amount` in minor units of the charge's currency; both are None until the
    service has seen the charge, when all that is left is to be refunded."""

    __slots__ = ()
    _shown = ("refund_id", "state", "charge_id", "amount", "currency")

    refund_id: str
    object: str
    charge_id: str
    amount: int | None
    currency: str | None
    state: str
    phase: str | None
    reason: str | None
    failure_code: str | None
    failure_message: str | None
    processor_reference: str | None
    idempotency_key: str
    metadata: dict[str, str]
    created_at: str | None
    settled_at: str | None


class Event(Resource):
    """Something that happened: a webhook that was verified, or one of the feed. `id` is the same on
    every retry; `sequence` counts the events of one object from 1; `data` is a Charge, a Refund, or
    another Resource. Those of the feed have a `position`, too."""

    __slots__ = ()
    _shown = ("id", "type", "sequence")

    id: str
    type: str
    timestamp: str
    sequence: int
    data: Resource


class Endpoint(Resource):
    """Where webhooks go. It has its `secret` only when that was just made."""

    __slots__ = ()
    # Neither its url, which may hold a password, nor the secret.
    _shown = ("id", "state")

    id: str
    object: str
    url: str
    description: str | None
    event_types: list[str]
    state: str
    created_at: str


class Page(Resource, Generic[T]):
    """A part of a list. `next_cursor` asks for the next part; None at the end."""

    __slots__ = ("_following",)
    _shown = ("has_more", "next_cursor")
    _following: Callable[[str], "Page[T]"] | None

    data: list[T]
    has_more: bool
    next_cursor: str | None

    def __init__(
        self, fields: Mapping[str, Any], following: Callable[[str], "Page[T]"] | None = None
    ) -> None:
        super().__init__(fields)
        object.__setattr__(self, "_following", following)

    def auto_paging_iter(self) -> Iterator[T]:
        """Everything from this page on to the end of the list; the next page is asked for when it
        is needed. A page that was copied has only what is on it."""
        page: Page[T] = self
        while True:
            yield from page.data
            cursor = page.next_cursor
            if page._following is None or not page.has_more or cursor is None:
                return
            page = page._following(cursor)


def resource(fields: Mapping[str, Any]) -> Resource:
    """The object that `fields` are, by their `object`."""
    return {"charge": Charge, "refund": Refund}.get(fields.get("object", ""), Resource)(fields)

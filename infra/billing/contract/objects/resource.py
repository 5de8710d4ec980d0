"""What every object of the service is: read by attribute and as a mapping alike.

`charge.charge_id`, `charge["state"]`, `charge.get("reference")`, `dict(charge)`. They don't change,
compare by content, and can be pickled. Fields that a newer service adds are there, too.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, get_args

# What `repr` shows of an object that has none of the fields that its kind shows. Numbers and flags
# say nothing about a person; of texts only those say nothing that are ids, codes or moments.
_FIELDS_SHOWN = 4
_HARMLESS = frozenset({
    "id", "object", "event_id", "charge_id", "refund_id", "price_id", "product_id", "object_id",
    "currency_id", "at", "what", "type", "state", "phase", "code", "currency", "interval",
    "usage_type", "up_to", "unit_amount", "flat_amount", "round",
})  # fmt: skip


def _is_harmless(name: str, value: object) -> bool:
    return isinstance(value, int | bool) or (isinstance(value, str) and name in _HARMLESS)


class Resource(Mapping[str, Any]):
    """A read-only object of the service."""

    __slots__ = ("_fields",)
    _fields: Mapping[str, Any]
    # What `repr` shows: enough to recognise it in a log, nothing about a person.
    _shown: ClassVar[tuple[str, ...]] = ()
    # What is an object, or a list of them, of its own: read by attribute it is a result, too. As an
    # item it stays what JSON had, so that `json.dumps(dict(price))` works.
    _parts: ClassVar[Mapping[str, "type[Resource]"]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        found = {name: _part_of(of) for name, of in cls.__annotations__.items() if name[0] != "_"}
        cls._parts = {**cls._parts, **{name: part for name, part in found.items() if part}}

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
            value, part = self._fields[name], self._parts.get(name)
            if part is None or value is None or isinstance(value, Resource):
                return value
            return [part(one) for one in value] if isinstance(value, list) else part(value)
        raise AttributeError(f"{type(self).__name__} has no field {name!r}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is read-only")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is read-only")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self._fields),)

    def __repr__(self) -> str:
        names = [name for name in self._shown if name in self._fields]
        if not names:
            names = [n for n, value in self._fields.items() if _is_harmless(n, value)]
            names = names[:_FIELDS_SHOWN]
        shown = ", ".join(f"{name}={self._fields[name]!r}" for name in names)
        return f"{type(self).__name__}({shown})"


class WithFacts(Resource):
    """An object that has, beside its own fields, facts that differ from one to the next."""

    __slots__ = ()


def _part_of(annotation: Any) -> type[Resource] | None:
    """The class of the object, or of the objects in the list, that a field holds."""
    if isinstance(annotation, type) and issubclass(annotation, Resource):
        return annotation
    return next(filter(None, map(_part_of, get_args(annotation))), None)

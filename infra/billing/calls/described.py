"""A call of a verb: what it asks of the service, and what its answer is read as."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import update_wrapper
from typing import Any, Generic, TypeVar, get_args

from infra.billing.contract.ids import Kind
from infra.billing.errors import Unavailable

R = TypeVar("R")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Create:
    """A charge or a refund. `fields` have a key; `wait_s`: how long to wait for a final state."""

    kind: Kind
    fields: Mapping[str, Any]
    wait_s: float | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """To take money of a charge that is authorized ("capture"), or to end one ("cancel").
    `fields` have its `charge_id`, and a key if it may not be done twice without one."""

    verb: str
    fields: Mapping[str, Any]
    wait_s: float | None = None


@dataclass(frozen=True, slots=True)
class Get:
    """A charge or a refund by its id, at once or when it is final."""

    kind: Kind
    id: str
    wait_s: float | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """Any other route of the service, by the segments of its path below /v1/billing.

    `repeatable`: whether it may be done twice, and so be tried again when no answer came.
    """

    method: str
    path: tuple[str, ...]
    query: Mapping[str, Any] | None = None
    body: Mapping[str, Any] | None = None
    repeatable: bool = True


Asked = Create | Change | Get | Ask


@dataclass(frozen=True, slots=True)
class Call(Generic[R]):
    """What is asked, and how its answer is read."""

    asked: Asked
    read: Callable[[dict[str, Any]], R]


@dataclass(frozen=True, slots=True)
class ListCall(Generic[T]):
    """The part of a list that `query` asks for; `item` reads each of it.

    `entries`: the name under which the answer has them; `cursor`: the parameter that asks for the
    next part.
    """

    path: tuple[str, ...]
    query: Mapping[str, Any]
    item: Callable[[Mapping[str, Any]], T]
    entries: str = "data"
    cursor: str = "cursor"

    def call(self) -> Call[Mapping[str, Any]]:
        """The call for this part; it is read as the fields of a page."""
        return Call(Ask("GET", self.path, query=self.query), self._read)

    def after(self, cursor: str) -> "ListCall[T]":
        """The part behind a cursor."""
        # A cursor says where it is, so the number of a page has nothing to say beside it.
        rest = {name: value for name, value in self.query.items() if name != "page"}
        return replace(self, query={**rest, self.cursor: cursor})

    def _read(self, told: dict[str, Any]) -> dict[str, Any]:
        read = [self.item(one) for one in entries(told, self.entries)]
        return {"next_cursor": None, **told, self.entries: read}


def entries(told: Mapping[str, Any], name: str = "data") -> list[Mapping[str, Any]]:
    """What is on a page. Raises Unavailable if the answer is none."""
    data = told.get(name)
    if not isinstance(data, list):
        raise Unavailable("the service answered with something else; is the url right?")
    return data


def verb_of(
    described: Callable[..., Any], verb: F, answer: Any = None, *, is_method: bool = False
) -> F:
    """`verb`, with the name, the words and the arguments of the function that describes its calls.

    It answers with `answer`, of what the description is about; with just that if there is none.
    """
    signature = inspect.signature(described)
    (of,) = get_args(signature.return_annotation)
    returned = of if answer is None else answer[of]
    parameters = [*signature.parameters.values()]
    if is_method:
        parameters.insert(0, inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY))
    update_wrapper(verb, described)
    verb.__signature__ = inspect.Signature(parameters, return_annotation=returned)  # type: ignore[attr-defined]
    verb.__annotations__ = {**described.__annotations__, "return": returned}
    return verb


def description_of(verb: Callable[..., Any]) -> Callable[..., Any]:
    """The function that describes the calls of a verb."""
    found: Callable[..., Any] = verb.__wrapped__  # type: ignore[attr-defined]
    return found

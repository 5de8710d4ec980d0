"""The description of a verb's call: its request, and the type of its answer."""

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
    """To capture an authorized charge ("capture"), or to end one ("cancel"). `fields` have its
    `charge_id`, and a key if it must not be done twice without one."""

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

    `repeatable`: whether it may be done twice, and so be retried without an answer.
    """

    method: str
    path: tuple[str, ...]
    query: Mapping[str, Any] | None = None
    body: Mapping[str, Any] | None = None
    repeatable: bool = True


Asked = Create | Change | Get | Ask


@dataclass(frozen=True, slots=True)
class Call(Generic[R]):
    """A request, and how its answer is read."""

    asked: Asked
    read: Callable[[dict[str, Any]], R]


@dataclass(frozen=True, slots=True)
class ListCall(Generic[T]):
    """The part of a list that `query` asks for; `item` reads each entry.

    `entries`: the name of the entries in the answer; `cursor`: the parameter for the next part.
    """

    path: tuple[str, ...]
    query: Mapping[str, Any]
    item: Callable[[Mapping[str, Any]], T]
    entries: str = "data"
    cursor: str = "cursor"

    def call(self) -> Call[Mapping[str, Any]]:
        """The call for this part; its answer has the fields of a page."""
        return Call(Ask("GET", self.path, query=self.query), self._read)

    def after(self, cursor: str) -> "ListCall[T]":
        """The part after a cursor."""
        # A cursor contains its place, so the number of a page is not needed with it.
        rest = {name: value for name, value in self.query.items() if name != "page"}
        return replace(self, query={**rest, self.cursor: cursor})

    def _read(self, page: dict[str, Any]) -> dict[str, Any]:
        read = [self.item(one) for one in entries(page, self.entries)]
        return {"next_cursor": None, **page, self.entries: read}


def entries(page: Mapping[str, Any], name: str = "data") -> list[Mapping[str, Any]]:
    """The entries of a page. Raises Unavailable if the answer is not a page."""
    data = page.get(name)
    if not isinstance(data, list):
        raise Unavailable("the service answered with something else; is the url right?")
    return data


def verb_of(
    described: Callable[..., Any], verb: F, answer: Any = None, *, is_method: bool = False
) -> F:
    """`verb`, with the name, docstring and signature of the function that describes its calls.

    It returns `answer` of the described type; or just that type, if there is no `answer`.
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

"""Bodies of requests, declared where a route is: which model is asked for, and how it is read.

`api.description.route_signatures` finds these in the signatures of routes, and describes the body,
the key and the refusals that go with them.

    async def quote_price(request: Request, wanted: Annotated[QuoteRequest, body(QuoteRequest)])
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

from fastapi import Depends
from pydantic import BaseModel
from starlette.requests import Request

from api import request_input
from api.routes.dependencies import Asker
from infra.billing.contract.requests.request_fields import Changes, Keyed
from infra.billing.contract.requests.request_parser import refuse_unknown
from payments.catalog.changes import changes
from payments.parsing import parse, read, refusing


@dataclass(frozen=True, slots=True)
class Body:
    """What the body asks for. By itself it only declares that, where the body is read in a batch,
    or by hand."""

    model: type[BaseModel]
    is_required: bool = True


@dataclass(frozen=True, slots=True)
class Read(Body):
    """The body, read: strict JSON, then the model. Raises what `request_input.fields` raises."""

    async def __call__(self, request: Request, access: Asker) -> Any:
        if issubclass(self.model, Keyed):
            given = await request_input.under_key(request)
            return read(self.model, {**given, "producer": access.producer})
        given = await request_input.fields(request)
        if issubclass(self.model, Changes):
            return changes(self.model, given)
        return parse(self.model, given)


class Given(NamedTuple):
    """The fields of a body that are there, and the key under which they are sent; None without."""

    fields: dict[str, Any]
    key: object


@dataclass(frozen=True, slots=True)
class ReadFields(Body):
    """The fields of the body, which have the names of the model's. What is asked under a key is
    read by the model when it turns out to be new, since a repeat is what it was."""

    async def __call__(self, request: Request) -> Given:
        read_body = request_input.fields if self.is_required else request_input.fields_if_any
        given = request_input.with_key(await read_body(request), request.headers)
        refusing(refuse_unknown, self.model, given)
        fields = {name: value for name, value in given.items() if value is not None}
        return Given(fields, fields.pop("idempotency_key", None))


@dataclass(frozen=True, slots=True)
class Waits:
    """That `Prefer: wait` is obeyed."""


def body(model: type[BaseModel]) -> Any:
    """The dependency that reads a body."""
    return Depends(Read(model))


def keyed_fields(model: type[BaseModel], *, is_required: bool = True) -> Any:
    """The dependency that reads the fields of a body, and the key."""
    return Depends(ReadFields(model, is_required))

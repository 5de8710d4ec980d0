"""Bodies of requests, declared where a route is: which model is asked for, and how it is read.

`api.description.signatures` finds these in the signatures of routes, and describes the body, the
key and the refusals that go with them.

    async def quote_price(request: Request, wanted: Annotated[QuoteRequest, body(QuoteRequest)])
"""

from dataclasses import dataclass
from typing import Any

from fastapi import Depends
from pydantic import BaseModel
from starlette.requests import Request

from api import request_input
from api.routes.dependencies import Asker
from infra.billing.contract.requests.fields import Changes, Keyed
from payments.catalog.changes import changes
from payments.parsing import parse, read


@dataclass(frozen=True, slots=True)
class Body:
    """What the body asks for: a model, or a schema of `api.description.bodies`, by its name. By
    itself it only declares that, where the body is read in a batch, or by hand."""

    model: type[BaseModel] | str
    is_required: bool = True

    @property
    def schema(self) -> str:
        """The name of its schema."""
        return self.model if isinstance(self.model, str) else self.model.__name__


@dataclass(frozen=True, slots=True)
class Read(Body):
    """The body, read: strict JSON, then the model. Raises what `request_input.fields` raises."""

    model: type[BaseModel]

    async def __call__(self, request: Request, access: Asker) -> Any:
        if issubclass(self.model, Keyed):
            given = await request_input.under_key(request)
            return read(self.model, {**given, "producer": access.producer})
        given = await request_input.fields(request)
        if issubclass(self.model, Changes):
            return changes(self.model, given)
        return parse(self.model, given)


@dataclass(frozen=True, slots=True)
class Waits:
    """That `Prefer: wait` is obeyed."""


def body(model: type[BaseModel]) -> Any:
    """The dependency that reads a body."""
    return Depends(Read(model))

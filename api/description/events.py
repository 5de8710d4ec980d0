"""What each webhook carries: the body by its type, and the object that is its data."""

from collections.abc import Mapping
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, Field, create_model

from api.description.catalogue import Price
from api.description.fields import Moment
from api.description.objects import Charge, Refund, RejectedRequest, WebhookEndpoint
from payments.webhooks.events import ONLY_BY_NAME, TYPES

# By the part of a type before its dot.
_DATA: Mapping[str, type[BaseModel]] = {
    "charge": Charge,
    "refund": Refund,
    "request": RejectedRequest,
    "price": Price,
    "endpoint": WebhookEndpoint,
    "ping": WebhookEndpoint,
}
DATA: Mapping[str, type[BaseModel]] = {name: _DATA[name.split(".")[0]] for name in TYPES}
MEANING: Mapping[str, str] = {
    "charge.pending": "A charge was accepted.",
    "charge.succeeded": "The money was taken.",
    "charge.failed": "No money was taken, and none will be; `failure_code` says why.",
    "charge.canceled": "Somebody ended it (`failure_code` is `canceled`), or its time was up"
    " (`expired`): no money was taken, and none will be. It is sent in place of `charge.failed`.",
    "charge.requires_action": "The customer has to do something; `next_action` says what.",
    "charge.needs_review": "Nobody could find out whether money was taken; a person decides.",
    "refund.pending": "A refund was accepted.",
    "refund.succeeded": "The money went back.",
    "refund.failed": "The money did not go back, or came back from the bank.",
    "refund.needs_review": "Nobody could find out whether money went back; a person decides.",
    "request.rejected": "A request that came by message was refused.",
    "price.created": "A price was made.",
    "price.updated": "A price was renamed, was made active again, or got or lost its lookup key.",
    "price.archived": "A price takes no new charges.",
    "price.deleted": "A price is gone; this is how it was.",
    "price.inventory_changed": "There is more or less of a price: charges took from it or gave"
    " back, or somebody counted. One event covers everything that changed in one transaction.",
    "endpoint.disabled": "Somebody disabled an endpoint: it is sent nothing until it is enabled."
    " Sent to the other endpoints.",
    "ping": "A test that webhooks arrive.",
}

Data = TypeVar("Data", bound=BaseModel)


class Event(BaseModel, Generic[Data]):
    """A fact that is told. Sent at least once, and again with the same `webhook-id`."""

    type: str = Field(json_schema_extra={"enum": [*DATA]})
    timestamp: Moment = Field(description="When it became true. RFC 3339, in UTC.")
    sequence: Annotated[int, Field(ge=1)] = Field(
        description="Counts the events of one object from 1: for their order, and to see gaps.",
        examples=[2],
    )
    data: Data = Field(description="The object as it was then.")


def event(type_: str) -> type[BaseModel]:
    """The body of one type of webhook."""
    return _EVENTS[type_]


def only_by_name(type_: str) -> bool:
    """Whether an endpoint without a list of types is not told of it."""
    return type_ in ONLY_BY_NAME


def _event(type_: str) -> type[BaseModel]:
    name = "".join(part.title() for part in type_.replace("_", ".").split(".")) + "Event"
    # As plain values: mypy wants to know before we run what stands in brackets.
    literal: Any = Literal
    of_data: Any = Event
    model: type[BaseModel] = create_model(
        name,
        __base__=of_data[DATA[type_]],
        __doc__=MEANING[type_],
        type=(literal[type_], ...),
    )
    return model


_EVENTS = {name: _event(name) for name in DATA}

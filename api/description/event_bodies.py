"""The body of each type of webhook, as a pydantic model: the envelope with its data."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel

from api.description.models import made
from infra.billing.contract.event_types import EVENTS
from infra.billing.contract.objects import BY_NAME, Event, Resource
from infra.billing.contract.objects.object_fields import fields_of, said_of

# By the name of the type.
DATA: Mapping[str, type[Resource]] = {name: BY_NAME[of.data] for name, of in EVENTS.items()}
# The header `webhook-id` says the one, and the other is of the feed.
_NOT_IN_BODIES = ("id", "position")


def event(type_: str) -> type[BaseModel]:
    """The body of one type of webhook."""
    return _EVENTS[type_]


def _event(type_: str) -> type[BaseModel]:
    name = "".join(part.title() for part in type_.replace("_", ".").split(".")) + "Event"
    # As a plain value: mypy wants to know before we run what stands in brackets.
    literal: Any = Literal
    fields = {n: of for n, of in fields_of(Event).items() if n not in _NOT_IN_BODIES}
    fields["type"] = literal[type_]
    # What is said of the field stays.
    fields["data"] = Annotated[DATA[type_], *said_of(fields["data"])]
    return made(name, Event, fields, means=EVENTS[type_].means)


_EVENTS = {name: _event(name) for name in DATA}

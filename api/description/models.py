"""The public objects as pydantic models, made of the contract's classes.

They are for documents, and for tests that check what is sent; nothing is made or checked with them
while money moves.
"""

from collections.abc import Mapping
from functools import cache, reduce
from operator import or_
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, create_model

from infra.billing.contract.objects import Endpoint, Event, Line, NewEndpoint, Resource, WithFacts
from infra.billing.contract.objects.object_fields import UNSAID, OneOf, Shown, fields_of

# What documents call them, where the SDK has another name.
_NAMES: Mapping[type[Resource], str] = {
    Endpoint: "WebhookEndpoint",
    Event: "FeedItem",
    NewEndpoint: "NewWebhookEndpoint",
    Line: "QuoteLine",
}


class PublicObject(BaseModel):
    """Every field is always there, and null where there is nothing to say."""

    model_config = ConfigDict(strict=True)


class PublicObjectWithFacts(PublicObject):
    """Facts that differ stand beside its fields."""

    model_config = ConfigDict(extra="allow")


def name_of(kind: type[Resource]) -> str:
    """What the schema of an object is called."""
    return _NAMES.get(kind, kind.__name__)


@cache
def model_of(kind: type[Resource]) -> type[BaseModel]:
    """The model of an object."""
    return made(name_of(kind), kind, fields_of(kind))


def made(
    name: str, kind: type[Resource], annotations: Mapping[str, Any], *, means: str | None = None
) -> type[BaseModel]:
    """A model of `kind` with these fields; it means what the class does, unless said otherwise."""
    fields: dict[str, Any] = {n: (field_of(of), ...) for n, of in annotations.items()}
    base = PublicObjectWithFacts if issubclass(kind, WithFacts) else PublicObject
    return create_model(name, __base__=base, __doc__=means or kind.__doc__, **fields)


def field_of(annotation: Any) -> Any:
    """The annotation in pydantic's words."""
    inside = get_args(annotation)
    match get_origin(annotation):
        case origin if origin is Annotated:
            return _annotated(*inside)
        case origin if origin in (Union, UnionType):
            return reduce(or_, map(field_of, inside))
        case origin if origin in (list, dict):
            return origin[tuple(map(field_of, inside))]
    if annotation is Resource:  # any of them
        return dict[str, Any]
    if isinstance(annotation, type) and issubclass(annotation, Resource):
        return model_of(annotation)
    return annotation


def _annotated(inside: Any, *said: Any) -> Any:
    if any(isinstance(one, Shown) and one.always for one in said):
        inside = reduce(or_, (one for one in get_args(inside) if one is not NoneType))
    made = field_of(inside)
    for one in said:
        match one:
            case OneOf(values):
                # As a plain value: mypy wants to know before we run what stands in brackets.
                literal: Any = Literal
                made = literal[values] if isinstance(values, tuple) else values
            case Shown():
                made = Annotated[made, _said(one)]
    return made


def _said(shown: Shown) -> Any:
    examples = [*shown.examples] if shown.example is UNSAID else [shown.example]
    said: dict[str, Any] = {
        "description": shown.means,
        "examples": examples or None,
        "pattern": shown.pattern,
        "ge": shown.ge,
        "le": shown.le,
        "json_schema_extra": shown.format and {"format": shown.format},
    }
    # What is not said must be left out: it would hide what is said of the field's kind.
    return Field(**{name: value for name, value in said.items() if value is not None})

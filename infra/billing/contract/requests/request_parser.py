"""From fields to a request; and the errors in fields.

pydantic finds what is wrong, and the texts are the contract's (`sentences`). Every refusal names
the field. It contains values only if they are short numbers or codes, as someone will send a card
number in the wrong field.
"""

import difflib
from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core.core_schema import ErrorType

from infra.billing.contract import sentences
from infra.billing.contract.invalid import Invalid
from infra.billing.contract.requests.request_fields import Keyed
from infra.billing.contract.requests.rules import ANY_DAY
from infra.billing.contract.sentences import METADATA_NAMES, METADATA_OBJECT, NAMES, SAID, VALUES
from infra.billing.contract.texts import field_name

R = TypeVar("R", bound=BaseModel)
K = TypeVar("K", bound=Keyed)

# Errors that pydantic finds by itself. All others are ours, with their own texts.
_FOREIGN = frozenset(get_args(ErrorType))


def read(model: type[K], fields: Mapping[str, Any]) -> K:
    """The request from `fields`, with what today's rules object to in `against`: the key is looked
    up first, and only a new request is judged.

    Raises Invalid for fields that could never make a request.
    """
    try:
        return parse(model, fields)
    except Invalid as against:
        try:
            request = parse(model, fields, day=ANY_DAY)
        except Invalid:
            raise against from None
        request.__dict__["against"] = against.with_traceback(None)
        return request


def parse(model: type[R], fields: Mapping[str, Any], *, day: str | None = None) -> R:
    """The request from `fields` by today's rules; raises Invalid naming the field and the fix. With
    `day` ANY_DAY, today's rules don't apply."""
    # Before missing fields: a misspelled name causes both errors, and only this one explains it.
    refuse_unknown(model, fields)
    known = model.model_fields
    # When creating, null is how many clients say "absent"; when changing, it unsets.
    unsets = "producer" not in known
    given = {name: value for name, value in fields.items() if unsets or value is not None}
    try:
        return model.model_validate(given, context=day)
    except ValidationError as wrong:
        first = wrong.errors(include_url=False, include_input=False)[0]
    loc, wrong_is = first["loc"], (first["type"], first["msg"], first.get("ctx", {}))
    param = field_name(loc[0]) if loc else None
    if param == "metadata":
        raise Invalid(_of_metadata(len(loc), *wrong_is), param=param)
    raise Invalid(sentence(_place(loc), *wrong_is), param=param)


def refuse_unknown(model: type[BaseModel], fields: Mapping[str, Any]) -> None:
    """Raise Invalid for the first name that is not a field."""
    if "args" in fields:  # positional arguments of a message (tasks/task_arguments.py)
        raise Invalid("send the fields by name, not by position", param="args")
    known = model.model_fields  # a property, which costs more than to look into it
    for name in fields:
        if name not in known:
            raise _unknown(model, field_name(name))


def sentence(place: str, kind: str, message: str, facts: Mapping[str, Any]) -> str:
    """The whole sentence about the value at `place`."""
    if kind == "told":
        return message
    if kind in SAID:
        return sentences.sentence(place, kind, facts)
    return f"{place} is not valid" if kind in _FOREIGN else f"{place}: {message}"


def _of_metadata(depth: int, kind: str, message: str, facts: Mapping[str, Any]) -> str:
    """The same for metadata, whose names and values are the caller's, and are not repeated.

    `depth` is the length of pydantic's location: 1 is metadata itself, 2 a value in it, 3 a name.
    """
    match kind:
        case "string_type" | "string_unicode" | "dict_type":
            return METADATA_OBJECT
        case "too_long":
            return METADATA_NAMES.format_map(facts)
    place = NAMES if depth > 2 else VALUES
    return f"{place} {message}" if kind == "text" else sentence(place, kind, message, facts)


def _place(loc: tuple[int | str, ...]) -> str:
    """Where in the request, such as `tiers[1].unit_amount`; names from outside are not repeated."""
    place = field_name(loc[0]) if loc else None
    if place is None:
        return "the request"
    for part in loc[1:]:
        if isinstance(part, int):
            place += f"[{part}]"
        elif (name := field_name(part)) is not None:
            place += f".{name}"
    return place


def _unknown(model: type[BaseModel], name: str | None) -> Invalid:
    # The names of unknown fields come from outside, too: only valid names are repeated.
    said = repr(name) if name else "one of the names sent"
    known = list(model.model_fields)
    close = difflib.get_close_matches(name or "", known, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return Invalid(f"{said} is not a field{hint}; the fields are: {', '.join(known)}", param=name)

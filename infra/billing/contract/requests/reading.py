"""From fields to a request; and what is said of fields that make none.

pydantic finds what is wrong, and the words for it are the contract's (`sentences`). Every refusal
names the field. Values never appear in a refusal unless they are short numbers or codes: somebody
will send a card number in the wrong field.
"""

import difflib
from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core.core_schema import ErrorType

from infra.billing.contract import sentences
from infra.billing.contract.invalid import Invalid
from infra.billing.contract.requests.fields import Keyed
from infra.billing.contract.requests.rules import ANY_DAY
from infra.billing.contract.sentences import METADATA_NAMES, METADATA_OBJECT, NAMES, SAID, VALUES
from infra.billing.contract.texts import field_name

R = TypeVar("R", bound=BaseModel)
K = TypeVar("K", bound=Keyed)

# What pydantic finds by itself. All other kinds are ours, and bring their own words.
_FOREIGN = frozenset(get_args(ErrorType))


def read(model: type[K], fields: Mapping[str, Any]) -> K:
    """The request that `fields` make, with what today's rules say against it beside it (`against`):
    whoever accepts it looks its key up first, and judges what is new.

    Raises Invalid for what makes no request on any day.
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
    """The request that `fields` make by the rules of today, or Invalid naming the field and
    the fix. With `day` ANY_DAY, no rule of today judges it."""
    # Before what is missing: a name that is misspelled is both, and only this tells which.
    refuse_unknown(model, fields)
    known = model.model_fields
    # In what is made, null is how many clients say "absent"; in what changes, it unsets.
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
    """Raise Invalid for the first name that no field has."""
    if "args" in fields:  # they came by position, in a message (tasks/requests.py)
        raise Invalid("send the fields by name, not by position", param="args")
    known = model.model_fields  # a property, which costs more than to look into it
    for name in fields:
        if name not in known:
            raise _unknown(model, field_name(name))


def sentence(place: str, kind: str, message: str, facts: Mapping[str, Any]) -> str:
    """The whole sentence about what stands at `place`."""
    if kind == "told":
        return message
    if kind in SAID:
        return sentences.sentence(place, kind, facts)
    return f"{place} is not valid" if kind in _FOREIGN else f"{place}: {message}"


def _of_metadata(depth: int, kind: str, message: str, facts: Mapping[str, Any]) -> str:
    """The same of metadata, whose names and values are the caller's, and are not repeated.

    `depth` is how long pydantic's place is: 1 is metadata itself, 2 a value in it, 3 a name.
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
    # The names of unknown fields come from outside, too: anything else than a name is not told.
    said = repr(name) if name else "one of the names sent"
    known = list(model.model_fields)
    close = difflib.get_close_matches(name or "", known, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return Invalid(f"{said} is not a field{hint}; the fields are: {', '.join(known)}", param=name)

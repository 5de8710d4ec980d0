"""What a refusal says of a field: pydantic finds what is wrong, and these are the words for it.

One place for bodies and queries, whoever sends them. The SDK says the same before it sends
(`infra.billing.fields`). No sentence repeats what was sent.
"""

from collections.abc import Mapping
from typing import Any, get_args

from pydantic_core.core_schema import ErrorType

from infra.billing.contract.moments import MOMENT

_TEXT, _INTEGER, _FLAG = "must be text", "must be an integer", "must be true or false"
_OBJECT, _CHOICE, _EMPTY = "must be an object", "must be {expected}", "must not be empty"
# What follows the place, by pydantic's kinds; in brackets their facts, which are bounds and choices
# of ours.
_SAID: Mapping[str, str] = {
    "missing": "is required",
    "extra_forbidden": "is not a field",
    "string_type": _TEXT,
    "string_unicode": _TEXT,
    "int_type": _INTEGER,
    "int_parsing": _INTEGER,
    "int_parsing_size": _INTEGER,
    "int_from_float": _INTEGER,
    "bool_type": _FLAG,
    "bool_parsing": _FLAG,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "dict_type": _OBJECT,
    "list_type": "must be a list",
    "literal_error": _CHOICE,
    "enum": _CHOICE,
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be at most {le}",
    "string_too_short": _EMPTY,  # what has a least length has 1
    "too_short": _EMPTY,
    "string_too_long": "must have at most {max_length} characters",
    "too_long": "must have at most {max_length} items",
    "timezone_aware": MOMENT,
    "datetime_type": MOMENT,
    "datetime_parsing": MOMENT,
    "datetime_from_date_parsing": MOMENT,
    # Ours, whose message goes on where the place ends.
    "card_data": "{said}",
    "id": "must be the id of {what} ({prefix}…)",
    # Two of ours that go on where the place ends.
    "moment": MOMENT,
    "whole_number": "must be a whole number from {least} to {most}",
}
# What pydantic finds by itself. All other kinds are ours, and bring their own words.
_FOREIGN = frozenset(get_args(ErrorType))


def sentence(place: str, kind: str, message: str, facts: Mapping[str, Any]) -> str:
    """The whole sentence about what stands at `place`."""
    if kind == "told":
        return message
    if kind in _SAID:
        return f"{place} {_SAID[kind].format_map(facts)}"
    return f"{place} is not valid" if kind in _FOREIGN else f"{place}: {message}"


def sentence_of_metadata(depth: int, kind: str, message: str, facts: Mapping[str, Any]) -> str:
    """The same of metadata, whose names and values are the caller's, and are not repeated.

    `depth` is how long pydantic's place is: 1 is metadata itself, 2 a value in it, 3 a name.
    """
    match kind:
        case "string_type" | "string_unicode" | "dict_type":
            return "metadata must be an object of text values"
        case "too_long":
            return f"metadata must have at most {facts['max_length']} names"
    place = "the names in metadata" if depth > 2 else "the values in metadata"
    return f"{place} {message}" if kind == "text" else sentence(place, kind, message, facts)

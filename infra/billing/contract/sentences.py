"""The texts of refusals: one for each kind of mistake in a field.

In the service pydantic finds the mistakes, in bodies, queries and messages; the SDK finds some
before it sends. No sentence repeats what was sent.
"""

from collections.abc import Mapping

from infra.billing.contract.moments import MOMENT

_TEXT, _INTEGER, _FLAG = "must be text", "must be an integer", "must be true or false"
_OBJECT, _CHOICE, _EMPTY = "must be an object", "must be {expected}", "must not be empty"
# The text after the place, by pydantic's kinds; in brackets their facts, which are our own bounds
# and choices.
SAID: Mapping[str, str] = {
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
    "string_too_short": _EMPTY,  # every minimum length is 1
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
# Of texts that can't be kept, and of metadata, whose names and values are the caller's own.
CONTROL = "must not contain control characters"
METADATA_OBJECT = "metadata must be an object of text values"
METADATA_NAMES = "metadata must have at most {max_length} names"
NAMES, VALUES = "the names in metadata", "the values in metadata"


def sentence(place: str, kind: str, facts: Mapping[str, object]) -> str:
    """The whole sentence about the value at `place`."""
    return f"{place} {SAID[kind].format_map(facts)}"

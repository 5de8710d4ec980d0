"""What a refusal says of a field: pydantic finds what is wrong, and these are the words for it.

One place for bodies and queries, whoever sends them. The words themselves are the contract's.
"""

from collections.abc import Mapping
from typing import Any, get_args

from pydantic_core.core_schema import ErrorType

from infra.billing.contract import sentences
from infra.billing.contract.sentences import METADATA_NAMES, METADATA_OBJECT, NAMES, SAID, VALUES

# What pydantic finds by itself. All other kinds are ours, and bring their own words.
_FOREIGN = frozenset(get_args(ErrorType))


def sentence(place: str, kind: str, message: str, facts: Mapping[str, Any]) -> str:
    """The whole sentence about what stands at `place`."""
    if kind == "told":
        return message
    if kind in SAID:
        return sentences.sentence(place, kind, facts)
    return f"{place} is not valid" if kind in _FOREIGN else f"{place}: {message}"


def sentence_of_metadata(depth: int, kind: str, message: str, facts: Mapping[str, Any]) -> str:
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

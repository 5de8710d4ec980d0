"""JSON that all readers read the same way, the only JSON accepted: RFC 8259, without duplicate
names."""

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

# All our numbers are whole, and below 10^15. A longer one means nothing, and takes time to read.
NUMBER_LENGTH_MAX = 100


class NotStrict(ValueError):
    """JSON that readers interpret differently; the message says why, and quotes nothing of it."""


def read(text: str | bytes, *, exactly: bool = True) -> Any:
    """The value in `text`, with decimals as they were written (`Decimal`); or else as floats, and
    then the value can be written as JSON again.

    Raises NotStrict, ValueError (json.JSONDecodeError) for invalid JSON, and RecursionError for
    extreme nesting.
    """
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text), "surrogatepass")
        text = text.removeprefix("\ufeff")
    try:
        return _DECODERS[exactly](text)
    except (json.JSONDecodeError, NotStrict):
        raise
    except ValueError:  # Python reads no whole number of thousands of digits
        return _decoder(parse_float=_decimal if exactly else None, parse_int=_whole)(text)


def is_deeper(value: Any, depth_max: int) -> bool:
    """Whether containers are nested deeper than `depth_max`; walked level by level, as deep nesting
    would exhaust the stack of code that walks it later."""
    level: list[Any] = [value]
    for _ in range(depth_max + 1):
        level = [one for one in level if isinstance(one, dict | list | tuple)]
        if not level:
            return False
        level = [part for one in level for part in (one.values() if isinstance(one, dict) else one)]
    return True


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):  # with two amounts, readers differ in which one counts
        raise NotStrict("a name is given twice; send each field once")
    return value


def _whole(literal: str) -> int:
    # A hundred digits are too large for every field, whose own rule says so and names it.
    return int(literal[:NUMBER_LENGTH_MAX])


def _decimal(literal: str) -> Decimal:
    if len(literal) <= NUMBER_LENGTH_MAX:
        try:
            return Decimal(literal)
        except ArithmeticError:
            pass  # an exponent of twenty digits
    raise NotStrict(
        "there is a number that is out of range; numbers here are whole, and below 10^15"
    )


def _not_json(constant: str) -> Any:
    raise NotStrict(f"{constant} is not JSON; send a whole number")


def _decoder(**numbers: Any) -> Callable[[str], Any]:
    return json.JSONDecoder(object_pairs_hook=_object, parse_constant=_not_json, **numbers).decode


# Without `parse_int`, which would be called for each number.
_DECODERS: Mapping[bool, Callable[[str], Any]] = {
    True: _decoder(parse_float=_decimal),
    False: _decoder(),
}

"""The names of fields in refusals, as on the command line: its options and arguments.

The rules name the fields of the API (`event_ids`, `payment_method_id`); users of a command know
`--event` and `--payment-method`.
"""

import re
from collections.abc import Mapping

from typer.core import TyperArgument, TyperCommand

# Of fields that have another name here: the parameter of the command's function.
OTHERWISE: Mapping[str, str] = {
    "charge_id": "charge",
    "currency_id": "currency",
    "customer_id": "customer",
    "event_ids": "event",
    "event_types": "event",
    "headers": "header",
    "idempotency_key": "key",
    "overlap_s": "overlap",
    "payment_method_id": "payment_method",
    "price_id": "price",
    "product_id": "product",
    "scopes": "scope",
}


def in_options(said: str, command: TyperCommand) -> str:
    """A refusal with the command's own names in place of fields.

    Names with an underscore are fields wherever they stand; others are words of English, too, and
    are fields at the beginning, and before an equals sign. After a dot is a part of a field
    (`tiers[0].unit_amount`), which no option is for.
    """
    names = _names(command)
    for field in sorted(names, key=len, reverse=True):
        option, is_flag = names[field]
        word = re.escape(field)
        given = rf"(?<![\w.-]){word}=" + (r"true\b" if is_flag else r"(?=\S)")
        said = re.sub(given, option if is_flag else f"{option} ", said)
        place = rf"(?<![\w.-]){word}(?![\w=-])" if "_" in field else rf"\A{word}(?![\w=-])"
        said = re.sub(place, option, said)
    return said


def _names(command: TyperCommand) -> Mapping[str, tuple[str, bool]]:
    """By the fields: the option or argument, and whether it is a switch."""
    own = {one.name: one for one in command.params if one.name}
    others = {field: name for field, name in OTHERWISE.items() if name in own and field not in own}
    fields = {**{name: name for name in own}, **others}
    names = {}
    for field, name in fields.items():
        param = own[name]
        if isinstance(param, TyperArgument):
            names[field] = (str(param.metavar or name.upper()), False)
        else:
            longest = max(param.opts, key=len)
            names[field] = (longest, bool(getattr(param, "is_flag", False)))
    return names

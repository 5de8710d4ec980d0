"""What a price may say of intervals, tiers, amounts and packages: the checks of each."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from infra.billing.contract.limits import INTERVALS_MAX
from infra.billing.contract.money import AMOUNT_MAX
from infra.billing.errors import InvalidRequest
from infra.billing.fields import choice, given, integer, wrong
from infra.billing.money import minor_amount

_DIGITS = re.compile(r"[0-9]{1,30}")
_DECIMAL = re.compile(r"[0-9]{1,30}\.[0-9]{1,30}")
_NAME = re.compile(r"[a-z_]{1,40}")


def type_of(value: object, recurring: object) -> str | None:
    """Whether it recurs; absent, `recurring` tells. Raises InvalidRequest, as all of these do."""
    if value == "recurring" and recurring is None:
        raise InvalidRequest(
            'recurring is required for this type: {"interval": "month"}', param="type"
        )
    if value == "one_time" and recurring is not None:
        raise InvalidRequest(
            "type one_time recurs never; leave recurring out, or send type recurring", param="type"
        )
    return None if value is None else choice("type", value, ("one_time", "recurring"))


def recurring(value: object) -> dict[str, Any] | None:
    """How often a price recurs."""
    if value is None:
        return None
    part = _object("recurring", value)
    _require("recurring", part, "interval")
    checked: dict[str, Any] = {
        "interval": choice(
            "recurring.interval", part["interval"], tuple(INTERVALS_MAX), param="recurring"
        )
    }
    if "interval_count" in part:
        checked["interval_count"] = _interval_count(part["interval_count"], checked["interval"])
    if "usage_type" in part:
        checked["usage_type"] = choice(
            "recurring.usage_type", part["usage_type"], ("licensed", "metered"), param="recurring"
        )
    _refuse_others("recurring", part, ("interval", "interval_count", "usage_type"))
    return checked


def tiers(value: object) -> list[dict[str, Any]] | None:
    """What units cost when there are many."""
    if value is None:
        return None
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise wrong("tiers", "list_type")
    if not value:
        raise wrong("tiers", "too_short")
    return [_tier(f"tiers[{place}]", one) for place, one in enumerate(value)]


def tiers_mode(value: object, tiers: object) -> str | None:
    """How tiers are meant: each unit costs what its own says, or all what the last one's says."""
    if value is None and tiers is not None:
        raise InvalidRequest(
            "tiers_mode is required with tiers: graduated or volume", param="tiers_mode"
        )
    if value is not None and tiers is None:
        raise InvalidRequest("tiers_mode goes with tiers; send both", param="tiers_mode")
    return None if value is None else choice("tiers_mode", value, ("graduated", "volume"))


def billing_scheme(value: object, tiers: object) -> str | None:
    """Whether it has tiers; absent, `tiers` tell."""
    if value == "tiered" and tiers is None:
        raise InvalidRequest("tiers are required for billing_scheme tiered", param="billing_scheme")
    if value == "per_unit" and tiers is not None:
        raise InvalidRequest(
            "tiers go with billing_scheme tiered; leave one of them out", param="billing_scheme"
        )
    return None if value is None else choice("billing_scheme", value, ("per_unit", "tiered"))


def unit_amount(value: object, tiers: object, *, currency: str) -> str | None:
    """What a unit costs, in minor units of the currency, as digits."""
    if value is None and tiers is None:
        raise InvalidRequest("unit_amount is required, unless there are tiers", param="unit_amount")
    if value is not None and tiers is not None:
        raise InvalidRequest("unit_amount is what the tiers say; leave it out", param="unit_amount")
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        value = Decimal(value)
    if isinstance(value, float | Decimal):
        minor_amount(value, currency=currency, param="unit_amount")
    return None if value is None else _amount("unit_amount", value, "unit_amount", least=1)


def transform_quantity(value: object, tiers: object) -> dict[str, Any] | None:
    """In which packages units are sold."""
    if value is None:
        return None
    param = "transform_quantity"
    part = _object(param, value)
    _require(param, part, "divide_by")
    divide_by = integer(f"{param}.divide_by", part["divide_by"], least=1, param=param)
    _require(param, part, "round")
    way = choice(f"{param}.round", part["round"], ("up", "down"), param=param)
    _refuse_others(param, part, ("divide_by", "round"))
    if tiers is not None:
        raise InvalidRequest(
            "transform_quantity goes with billing_scheme per_unit, not with tiers", param=param
        )
    return {"divide_by": divide_by, "round": way}


def _interval_count(value: object, interval: str) -> int:
    param, place = "recurring", "recurring.interval_count"
    most = INTERVALS_MAX[interval]
    count = integer(place, value, least=1, most=None, param=param)
    if count > most:
        raise InvalidRequest(f"{place} must be at most {most} for a {interval}", param=param)
    return count


def _tier(place: str, value: object) -> dict[str, Any]:
    part = _object(place, value, "tiers")
    up_to = part.get("up_to")
    if up_to not in (None, "inf"):
        if isinstance(up_to, bool) or not isinstance(up_to, int):
            raise InvalidRequest(
                f'{place}.up_to: must be a whole number of units, or "inf" for the last',
                param="tiers",
            )
        up_to = integer(f"{place}.up_to", up_to, least=1, param="tiers")
    amounts = {
        name: _amount(name, part[name], "tiers", place=f"{place}.{name}", least=0)
        for name in ("unit_amount", "flat_amount")
        if part.get(name) is not None
    }
    _refuse_others(place, part, ("up_to", "unit_amount", "flat_amount"), "tiers")
    return given(up_to=up_to, **amounts)


def _amount(name: str, value: object, param: str, *, least: int, place: str | None = None) -> str:
    """Minor units, of digits in text or a whole number."""
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidRequest(
            f"{place or name}: must be a whole number of minor units, written as digits:"
            ' "2000" is 20.00 USD',
            param=param,
        )
    return str(integer(place or name, value, least=least, most=AMOUNT_MAX, param=param))


def _object(place: str, value: object, param: str | None = None) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise wrong(place, "model_type", param=param)
    return value


def _require(param: str, part: Mapping[Any, Any], name: str) -> None:
    if name not in part:
        raise wrong(f"{param}.{name}", "missing", param=param)


def _refuse_others(
    place: str, part: Mapping[Any, Any], names: Sequence[str], param: str | None = None
) -> None:
    for name in part:
        if name not in names:
            # Names come from outside, too: anything else than a name is not told.
            is_name = isinstance(name, str) and _NAME.fullmatch(name)
            shown = f"{place}.{name}" if is_name else place
            raise wrong(shown, "extra_forbidden", param=param or place)

"""What a price costs, in words."""

from collections.abc import Mapping, Sequence
from typing import Any

from payments import amounts

View = Mapping[str, Any]


def costs(price: View, *, brief: bool = False) -> str:
    """What a price costs, and how often: `20.00 USD each, every 3 months`.

    In brief: `graduated, 3 tiers, the first at 7.00 USD, every 3 months`. `price` is the public
    `Price`.
    """
    if price["tiers"]:
        tell = _sum_of_tiers if brief else _tiers
        said = tell(price["tiers"], price["tiers_mode"], price["currency_code"])
    else:
        said = _money(price["unit_amount"], price["currency_code"])
        package = price["transform_quantity"]
        said += (
            f" for every {package['divide_by']}, rounded {package['round']}" if package else " each"
        )
    if recurring := price["recurring"]:
        count, interval = recurring["interval_count"], recurring["interval"]
        said += f", every {interval}" if count == 1 else f", every {count} {interval}s"
        said += ", metered" if recurring["usage_type"] == "metered" else ""
    return said


def _tiers(tiers: Sequence[View], mode: str, currency: str) -> str:
    return f"{mode}: " + "; ".join(_tier(tier, currency) for tier in tiers)


def _sum_of_tiers(tiers: Sequence[View], mode: str, currency: str) -> str:
    first, count = tiers[0], len(tiers)
    amount = int(first["unit_amount"]) or first["flat_amount"]
    tiers_said = "1 tier," if count == 1 else f"{count} tiers, the first"
    return f"{mode}, {tiers_said} at {_money(amount, currency)}"


def _tier(tier: View, currency: str) -> str:
    units = "more at" if tier["up_to"] == "inf" else f"up to {tier['up_to']} at"
    parts = []
    if int(tier["unit_amount"]) or not int(tier["flat_amount"]):
        parts.append(f"{_money(tier['unit_amount'], currency)} each")
    if int(tier["flat_amount"]):
        parts.append(f"{_money(tier['flat_amount'], currency)} flat")
    return f"{units} {' and '.join(parts)}"


def _money(amount: int | str, currency: str) -> str:
    return amounts.in_words(int(amount), currency)

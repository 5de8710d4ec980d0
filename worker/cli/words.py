"""Objects as people say them: `19.99 USD`, `pending (queued)`, `20.00 USD each, every month`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

View = Mapping[str, Any]


def in_words(view: View) -> dict[str, Any]:
    """The object with what belongs together in one place; people leave out what programs need.

    Of what was deleted, hardly more than its id is left to say.
    """
    say = _plainly if view.get("deleted") else _SAID.get(str(view.get("object")), _plainly)
    return say(view)


def in_brief(view: View) -> dict[str, Any]:
    """As `in_words`, where there is little room: tiers are told by their number and the first."""
    words = in_words(view)
    if view.get("tiers"):
        words["costs"] = costs(view, brief=True)
    return words


def _plainly(view: View) -> dict[str, Any]:
    return {name: _listed(name, value) for name, value in view.items()}


def _movement(view: View) -> dict[str, Any]:
    """A charge or a refund."""
    words = {name: value for name, value in view.items() if name not in ("currency", "phase")}
    for name in ("amount", "refunded_amount"):
        if name in words:
            words[name] = _money(words[name], view["currency"])
    if why := view["phase"] or view["failure_code"]:
        words["state"] = f"{view['state']} ({why})"
    if lines := view.get("lines"):
        words["lines"] = _lines(lines, view["currency"])
    if not view.get("restock", True):
        del words["restock"]
    return words


def _price(view: View) -> dict[str, Any]:
    """What it costs is one sentence; its product is a name and an id."""
    left = view["quantity_available"]
    return {
        "id": view["id"],
        "object": view["object"],
        "lookup_key": view["lookup_key"],
        "nickname": view["nickname"],
        "product": view["product"]["name"],
        "product_id": view["product_id"],
        "costs": costs(view),
        "quantity_available": "without limit" if left is None else left,
        "active": view["active"],
        "livemode": view["livemode"],
        "metadata": view["metadata"],
        "created_at": view["created_at"],
        "updated_at": view["updated_at"],
    }


def _quote(view: View) -> dict[str, Any]:
    words = {name: value for name, value in view.items() if name != "currency"}
    return {
        **words,
        "amount": _money(view["amount"], view["currency"]),
        "lines": _lines(view["lines"], view["currency"]),
    }


def costs(price: View, *, brief: bool = False) -> str:
    """What a price costs, and how often: `20.00 USD each, every 3 months`.

    In brief: `graduated, 3 tiers from 7.00 USD, every 3 months`.
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
    return f"{mode}, {count} {'tier' if count == 1 else 'tiers'} from {_money(amount, currency)}"


def _tier(tier: View, currency: str) -> str:
    units = "more at" if tier["up_to"] == "inf" else f"up to {tier['up_to']} at"
    parts = []
    if int(tier["unit_amount"]) or not int(tier["flat_amount"]):
        parts.append(f"{_money(tier['unit_amount'], currency)} each")
    if int(tier["flat_amount"]):
        parts.append(f"{_money(tier['flat_amount'], currency)} flat")
    return f"{units} {' and '.join(parts)}"


def _lines(lines: Sequence[View], currency: str) -> str:
    return "\n".join(f"{line['reason']}: {_money(line['amount'], currency)}" for line in lines)


def _money(amount: int | str | None, currency: str) -> str:
    from payments import amounts

    return amounts.in_words(None if amount is None else int(amount), currency)


def _listed(name: str, value: Any) -> Any:
    """Short words one after the other; no event types are those that one gets without asking."""
    if name == "event_types" and value == []:
        return "all but .pending"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value


_SAID: Mapping[str, Callable[[View], dict[str, Any]]] = {
    "charge": _movement,
    "refund": _movement,
    "price": _price,
    "quote": _quote,
}

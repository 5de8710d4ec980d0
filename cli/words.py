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
        words["costs"] = _costs(view, brief=True)
    return words


def _plainly(view: View) -> dict[str, Any]:
    return {name: _listed(name, value) for name, value in view.items()}


def _movement(view: View) -> dict[str, Any]:
    """A charge or a refund."""
    words = {name: value for name, value in view.items() if name not in ("currency", "phase")}
    for name in (
        "amount",
        "amount_captured",
        "amount_capturable",
        "refunded_amount",
        "refund_pending_amount",
    ):
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
        "costs": _costs(view),
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


def _lines(lines: Sequence[View], currency: str) -> str:
    return "\n".join(f"{line['reason']}: {_money(line['amount'], currency)}" for line in lines)


def _costs(price: View, *, brief: bool = False) -> str:
    from payments.catalog.costs import costs

    return costs(price, brief=brief)


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

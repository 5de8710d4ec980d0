"""Objects in the form for people: `19.99 USD`, `pending (queued)`, `20.00 USD each, every
month`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from infra.billing.contract.endpoint_checks import ACCEPTED

View = Mapping[str, Any]


def in_words(view: View) -> dict[str, Any]:
    """The object with related fields combined; fields that only programs need are left out.

    For a deleted object there is hardly more than its id.
    """
    say = _plainly if view.get("deleted") else _SAID.get(str(view.get("object")), _plainly)
    return say(view)


def in_brief(view: View) -> dict[str, Any]:
    """Like `in_words`, in less space: tiers are shown as their number and the first one."""
    words = in_words(view)
    taken = view.get("amount_captured")
    if taken and taken < view["amount"] and view.get("capture") == "manual":
        words["amount"] = f"{words['amount_captured'].split()[0]} of {words['amount']}"
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
        "disputed_amount",
    ):
        if name in words:
            words[name] = _money(words[name], view["currency"])
    if settled_in := words.pop("settlement_currency", None):
        words |= {name: _money(view[name], settled_in) for name in ("fee", "net")}
    if why := view["phase"] or view["failure_code"]:
        words["state"] = f"{view['state']} ({why})"
    if lines := view.get("lines"):
        words["lines"] = _lines(lines, view["currency"])
    if not view.get("restock", True):
        del words["restock"]
    return words


def _dispute(view: View) -> dict[str, Any]:
    """What a bank contests, or a second person must approve."""
    words = {name: value for name, value in view.items() if name != "currency"}
    return {**words, "amount": _money(view["amount"], view["currency"])}


def _find(view: View) -> dict[str, Any]:
    """What a search has found."""
    words = {name: _listed(name, value) for name, value in view.items() if name != "currency"}
    if view["amount"] is not None and view["currency"]:
        words["amount"] = _money(view["amount"], view["currency"])
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


def _endpoint(view: View) -> dict[str, Any]:
    """How it is doing in a few columns."""
    words, health = _plainly(view), view["health"]
    del words["health"]
    rate = health["success_rate"]
    return {
        **words,
        "success": None if rate is None else f"{rate:.1%} of {health['attempts']}",
        "p95_ms": health["p95_ms"],
        "last_success_at": health["last_success_at"],
        "oldest_due_at": health["oldest_due_at"],
    }


def _delivery(view: View) -> dict[str, Any]:
    """What the last attempt came to is in one place; each attempt is told in lines of its own."""
    words = {name: value for name, value in view.items() if name not in ("status_code", "error")}
    words["answer"] = _answer(view)
    if "attempts" in view:
        words["attempts"] = "\n".join(map(_attempt, view["attempts"]))
    return words


def _attempt(one: View) -> str:
    parts = [
        f"{one['number']}. {one['started_at']}: {_answer(one)} after {one['duration_ms']} ms",
        ", ".join(
            f"{name} {one[f'{part}_ms']} ms"
            for part, name in _PARTS.items()
            if one[f"{part}_ms"] is not None
        ),
        f"{one['trigger'] or 'unknown'} to {one['remote_ip'] or 'no address'}",
        *(f"{name}: {value}" for name, value in (one["response_headers"] or {}).items()),
        one["response_body"] or "",
    ]
    return "\n   ".join(part for part in parts if part)


_PARTS = {"dns": "DNS", "connect": "TCP", "tls": "TLS", "first_byte": "first byte"}


def _answer(view: View) -> Any:
    return view["status_code"] or view["error"] or _without_status(view)


def _without_status(view: View) -> str | None:
    """Of a queue, which has no status."""
    return ACCEPTED if view.get("state", "delivered") == "delivered" else None


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
        return "the default ones"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value


_SAID: Mapping[str, Callable[[View], dict[str, Any]]] = {
    "charge": _movement,
    "refund": _movement,
    "dispute": _dispute,
    "approval": _dispute,
    "delivery": _delivery,
    "price": _price,
    "quote": _quote,
    "webhook_endpoint": _endpoint,
    "find": _find,
}

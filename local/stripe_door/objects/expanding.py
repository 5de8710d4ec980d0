"""`expand[]`: an object instead of its id (docs.stripe.com/api/expanding_objects)."""

from copy import deepcopy
from typing import Any

from local.stripe_door.objects.lists import LISTINGS
from local.stripe_door.shapes import Object, kind_of, shown
from local.stripe_door.stripe_request import Request
from local.stripe_door.wire.stripe_errors import Refused, invalid

DEPTH_MAX = 4
# What can be expanded, and is None as long as there is none.
_EXPANDABLE = {
    "balance_transaction", "charge", "customer", "failure_balance_transaction", "latest_charge",
    "payment_intent", "payment_method", "source",
}  # fmt: skip


def expanded(request: Request, answer: Object, paths: list[str]) -> Object:
    """A copy of `answer`, with what `paths` name. Raises Refused."""
    copy: Object = deepcopy(shown(answer))
    for path in paths:
        parts = path.split(".")
        if len(parts) > DEPTH_MAX:
            raise _refused(path)
        _expand(request, copy, parts, path)
    return copy


def _expand(request: Request, node: Any, parts: list[str], path: str) -> None:
    if isinstance(node, list):
        for one in node:
            _expand(request, one, parts, path)
        return
    if not isinstance(node, dict):
        return
    name, *rest = parts
    if name == "refunds" and node.get("object") == "charge":
        node.setdefault("refunds", _refunds_of(request, node))
    value = node.get(name)
    if isinstance(value, str):
        kind = kind_of(value)
        found = request.store.get(kind, value) if kind and name in _EXPANDABLE else None
        if found is None:
            raise _refused(path)
        value = node[name] = deepcopy(shown(found))
    elif not isinstance(value, dict | list) and not (value is None and name in _EXPANDABLE):
        raise _refused(path)
    if rest:
        _expand(request, value, rest, path)


def _refunds_of(request: Request, charge: Object) -> Object:
    page = LISTINGS["refund"].page(Request(request.store, {"charge": charge["id"]}))
    copy: Object = deepcopy(shown(page))
    return copy | {"url": f"/v1/charges/{charge['id']}/refunds"}


def _refused(path: str) -> Refused:
    return invalid(f"This property cannot be expanded ({path}).", param="expand")

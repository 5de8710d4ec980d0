"""Which fault a request meets: by its payment method, and by how often it came."""

from typing import Any

from local.stripe_door import idempotency_keys
from local.stripe_door.api import Route
from local.stripe_door.injected_faults import PLAIN, Fault, Verb, fault_named
from local.stripe_door.shapes import Object
from local.stripe_door.store import Store

_VERBS: dict[tuple[str, str], Verb] = {
    ("POST", "/v1/payment_intents"): "charge",
    ("POST", "/v1/payment_intents/{id}/confirm"): "charge",
    ("POST", "/v1/payment_intents/{id}/capture"): "capture",
    ("POST", "/v1/payment_intents/{id}/cancel"): "cancel",
    ("POST", "/v1/refunds"): "refund",
    ("GET", "/v1/payment_intents/{id}"): "look_up",
    ("GET", "/v1/charges/{id}"): "look_up",
    ("GET", "/v1/refunds/{id}"): "look_up",
}


def fault_for(store: Store, route: Route, target: str, given: Object, key: str | None) -> Fault:
    """The fault that this request meets; it is counted."""
    verb = _VERBS.get((route.method, route.path))
    name = _name(store, verb, target, given) if verb else None
    fault = fault_named(name) if name else None
    if fault is None or fault.verb != verb:
        return PLAIN
    counted = f"{name}:{key or idempotency_keys.fingerprint([route.path, target, given])}"
    hits = store.tables["hits"].get(counted, 0)
    if hits >= fault.times:
        return PLAIN
    store.set("hits", counted, hits + 1)
    return fault


def fault_of_events(store: Store, event: Object) -> Fault:
    """What becomes of an event that no request caused."""
    intent = store.get("payment_intent", event["_intent"] or "")
    name = intent.get("_fault") if intent else None
    return (fault_named(name) if name else None) or PLAIN


def _name(store: Store, verb: Verb, target: str, given: Object) -> Any:
    """The payment method that steers this request."""
    intent_id: Any = target
    if verb == "charge":
        if not target and given.get("confirm") != "true":
            return None
        if isinstance(method := given.get("payment_method"), str) and method:
            return _steering(store, method)
    elif verb == "refund":
        intent_id = given.get("payment_intent") or _of(store, "charge", given.get("charge"))
    elif target.startswith("ch_"):
        intent_id = _of(store, "charge", target)
    elif target.startswith("re_"):
        intent_id = _of(store, "refund", target)
    intent = store.get("payment_intent", intent_id) if isinstance(intent_id, str) else None
    if intent is None:
        return None
    if verb == "charge" and intent["payment_method"]:
        return _steering(store, intent["payment_method"])
    return intent.get("_fault")


def _of(store: Store, kind: str, id_: Any) -> Any:
    found = store.get(kind, id_) if isinstance(id_, str) else None
    return found["payment_intent"] if found else None


def _steering(store: Store, method_id: str) -> Any:
    method = store.get("payment_method", method_id)
    return method["_fault"] if method else method_id

"""An example of each public object, made of the examples of its fields."""

from collections.abc import Mapping
from typing import Any


def example(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """A value that the schema allows, and that tells something. `schemas` are all, by name."""
    if "$ref" in schema:
        return example(schemas[schema["$ref"].rsplit("/", 1)[1]], schemas)
    if "allOf" in schema:
        return {k: v for part in schema["allOf"] for k, v in example(part, schemas).items()}
    for name in ("examples", "enum"):
        if schema.get(name):
            return schema[name][0]
    for name in ("const", "default"):
        if name in schema:
            return schema[name]
    if "properties" in schema and "oneOf" in schema:
        return _one_way(schema, schemas)
    for name in ("anyOf", "oneOf"):
        if name in schema:
            # What may be null is shown as it mostly is.
            return example(schema[name][0], schemas)
    return _by_type(schema, schemas)


def _one_way(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    """An object that may be said in several ways, in the first of them."""
    first = schema["oneOf"][0]
    absent = {name for name, of in first.get("properties", {}).items() if of == {"type": "null"}}
    fields = {n: of for n, of in schema["properties"].items() if n not in absent}
    return {name: example(field, schemas) for name, field in fields.items()}


def _by_type(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    kind = schema.get("type")
    match kind[0] if isinstance(kind, list) else kind:
        case "object":
            fields: Mapping[str, Any] = schema.get("properties", {})
            return {name: example(field, schemas) for name, field in fields.items()}
        case "array":
            return [example(schema.get("items", {}), schemas)]
        case "boolean":
            return False
        case "integer":
            return schema.get("minimum", 0)
        case "string":
            return "2026-11-22T10:23:20.123456Z" if schema.get("format") == "date-time" else "…"
    return None


def filled_in(said: Any, shown: Any, schemas: Mapping[str, Any]) -> Any:
    """What is said of an example in place of what the schema shows; the rest stays. A reference
    stands for an example of that object, which succeeded if it can."""
    match said:
        case {"$ref": str()}:
            return standing(example(said, schemas), "succeeded")
        case Mapping():
            return shown | {n: filled_in(one, shown[n], schemas) for n, one in said.items()}
        case list():
            return [filled_in(*both, schemas) for both in zip(said, shown, strict=True)]
    return said


def standing(told: Mapping[str, Any], stand: str) -> dict[str, Any]:
    """The example of an object as it is when it stands there, or of a page of such objects."""
    for part in ("data", "list"):
        if isinstance(told.get(part), list):
            return {**told, part: [standing(one, stand) for one in told[part]]}
    stands = _STANDS.get(_ALSO.get((str(told.get("object")), stand), stand), {})
    # Others have a state, too, which is none of these.
    if "phase" in stands and "phase" not in told:
        return dict(told)
    return {**told, **{name: value for name, value in stands.items() if name in told}}


def as_it_is(stand: str) -> Mapping[str, Any]:
    """What an example of an object that stands there says."""
    return _STANDS[stand]


# Of a word that says something else of another object.
_ALSO = {("charge", "updated"): "succeeded"}
_PENDING: Mapping[str, Any] = {
    "state": "pending",
    "phase": "queued",
    "price_id": None,
    "quantity": None,
    "lines": None,
    "failure_code": None,
    "failure_message": None,
    "failure_advice": None,
    "retry_at": None,
    "next_action": None,
    "amount_captured": 0,
    "capture_before": None,
    "capture_failure_code": None,
    "processor_reference": None,
    "scheduled_at": None,
    "expires_at": None,
    "cancel_requested_at": None,
    "settled_at": None,
}
_SET_ASIDE: Mapping[str, Any] = {
    **_PENDING,
    "phase": "authorized",
    "capture": "manual",
    "amount_capturable": 1999,
    "capture_before": "2026-11-29T10:23:20.342000Z",
    "processor_reference": "sbx_hxrda65gogrjytrwlxsm7fu6dydfgzka",
}
_STANDS: Mapping[str, Mapping[str, Any]] = {
    "pending": _PENDING,
    "needs_review": {**_PENDING, "phase": "needs_review"},
    "succeeded": {
        **_PENDING,
        "state": "succeeded",
        "phase": None,
        "amount_captured": 1999,
        "processor_reference": "sbx_hxrda65gogrjytrwlxsm7fu6dydfgzka",
        "settled_at": "2026-11-22T10:23:20.342000Z",
    },
    "failed": {
        **_PENDING,
        "state": "failed",
        "phase": None,
        "failure_code": "card_declined",
        "failure_message": "The card was declined.",
        "failure_advice": "ask_customer",
        "settled_at": "2026-11-22T10:23:20.342000Z",
    },
    "canceled": {
        **_PENDING,
        "state": "failed",
        "phase": None,
        "failure_code": "canceled",
        "failure_message": "It was canceled before any money moved.",
        "failure_advice": "stop",
        "cancel_requested_at": "2026-11-22T10:23:20.342000Z",
        "settled_at": "2026-11-22T10:23:20.342000Z",
    },
    "authorized": _SET_ASIDE,
    "captured": {**_SET_ASIDE, "amount_captured": 1500, "amount_capturable": 499},
    "capture_failed": {**_SET_ASIDE, "capture_failure_code": "capture_declined"},
    "authorization_expiring": _SET_ASIDE,
    "requires_action": {
        **_PENDING,
        "phase": "awaiting_customer",
        "next_action": {
            "type": "redirect_to_url",
            "url": "https://pay.example.com/authenticate/sbx_1f0c9a",
            "expires_at": None,
        },
        "processor_reference": "sbx_1f0c9a",
        "expires_at": "2026-11-23T10:23:20.342000Z",
    },
    "opened": {},
    "updated": {"state": "under_review"},
    "closed": {"state": "won", "closed_at": "2026-11-29T10:23:20.342000Z"},
    "archived": {"active": False},
    "disabled": {"state": "disabled"},
}

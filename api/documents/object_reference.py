"""docs/reference/objects.md: every object that routes take and answer with."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from api.documents.markdown import NOTICE, anchor, code, linked, table

# Longer lists of allowed values, such as all currencies, are what a description is for.
VALUES_MAX = 12

Schema = Mapping[str, Any]


def document(openapi: Mapping[str, Any]) -> str:
    """The page, of the OpenAPI document."""
    return "\n".join(
        [
            "# HTTP objects",
            "",
            "Every object that routes take and answer with, and webhooks carry, field by field.",
            "",
            NOTICE,
            "",
            (
                "Answers always have all their fields, null where there is nothing to say; new ones"
                " may be added. In requests the required ones are marked."
            ),
            "",
            *_objects(openapi),
        ]
    )


def _objects(openapi: Mapping[str, Any]) -> Iterator[str]:
    of_routes = json.dumps(openapi["paths"])
    for name, schema in sorted(openapi["components"]["schemas"].items()):
        # The envelope of a webhook is on the page of events.
        if name.endswith("Event") and f'/{name}"' not in of_routes:
            continue
        yield f"## {name}"
        yield ""
        yield linked(" ".join(schema.get("description", "").split()))
        yield ""
        if choices := schema.get("anyOf"):
            yield f"One of: {', '.join(map(type_of, choices))}"
            yield ""
        if values := schema.get("enum"):
            yield f"One of: {', '.join(map(code, values))}"
            yield ""
        if rows := list(_fields(schema)):
            yield from table(("field", "type", "meaning"), rows)


def _fields(schema: Schema) -> Iterator[tuple[str, str, str]]:
    for base in schema.get("allOf", ()):
        if "$ref" in base:
            yield f"all of {type_of(base)}", "", ""
        yield from _fields(base)
    required = schema.get("required", ()) if schema.get("additionalProperties") is False else ()
    for name, field in schema.get("properties", {}).items():
        mark = " (required)" if name in required else ""
        yield code(name) + mark, type_of(field), field.get("description", "")


def type_of(schema: Schema) -> str:
    """What a value is, in words: `integer or null`, `list of Tier`."""
    match schema:
        case {} if not schema:
            return "nothing"
        case {"$ref": str(ref)}:
            name = ref.rsplit("/", 1)[1]
            return f"[{name}](objects.md#{anchor(name)})"
        case {"const": value}:
            return f"`{value}`"
        case {"anyOf": list(choices)}:
            return " or ".join(map(type_of, choices))
        case {"enum": list(values)} if len(values) <= VALUES_MAX:
            return ", ".join(f"`{one}`" for one in values)
        case {"type": "array", "items": items}:
            return f"list of {type_of(items)}"
        case {"type": "string", "format": "date-time"}:
            return "time (RFC 3339)"
        case {"type": "object", "properties": dict(fields)}:
            return "object of " + ", ".join(
                f"`{name}`: {type_of(of)}" for name, of in fields.items()
            )
        case {"type": str(name)}:
            return name + _bounds(schema)
        case {"type": list(names)}:
            return " or ".join(names)
    return "anything"


def _bounds(schema: Schema) -> str:
    match schema:
        case {"minimum": least, "maximum": most}:
            return f", {least:,} to {most:,}"
        case {"maxLength": most}:
            return f", at most {most:,} characters"
    return ""

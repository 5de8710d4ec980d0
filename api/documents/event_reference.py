"""docs/reference/events.md: every type of webhook, what it means, and the object it carries."""

from collections.abc import Iterator, Mapping
from typing import Any

from api.documents.markdown import NOTICE, anchor, table
from infra.billing.contract.event_types import UNASKED_FOR


def document(openapi: Mapping[str, Any]) -> str:
    """The page, of the OpenAPI document."""
    return "\n".join(
        [
            "# Webhook events",
            "",
            "Every type of event that an endpoint can receive, and what its body holds.",
            "",
            NOTICE,
            "",
            (
                "A body has `type`, `timestamp`, `sequence` and `data`; the headers are those of"
                " Standard Webhooks. How to receive them:"
                " [Receive webhooks](../how-to/receive-webhooks.md)."
            ),
            "",
            *table(("type", "sent when", "`data`"), list(_rows(openapi))),
            (
                f"An endpoint without `event_types` gets all of these but {UNASKED_FOR}, which have"
                " to be asked for by name. `charge.pending` and `refund.pending` are written only"
                " while an enabled endpoint that may be told of them asks for them; then they are"
                " the first event of their object, and in the feed, too. New types may be added:"
                " answer 2xx to those you don't know."
            ),
            "",
            "## Delivery",
            "",
            next(iter(openapi["webhooks"].values()))["post"]["description"],
            "",
            *table(("header", "meaning"), list(_headers(openapi))),
        ]
    )


def _rows(openapi: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    schemas = openapi["components"]["schemas"]
    for name, operations in openapi["webhooks"].items():
        body = operations["post"]["requestBody"]["content"]["application/json"]["schema"]
        event = schemas[body["$ref"].rsplit("/", 1)[1]]
        object_ = event["properties"]["data"]["$ref"].rsplit("/", 1)[1]
        summary = operations["post"]["summary"]
        yield f"`{name}`", summary, f"[{object_}](objects.md#{anchor(object_)})"


def _headers(openapi: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    first = next(iter(openapi["webhooks"].values()))["post"]
    for parameter in first["parameters"]:
        yield f"`{parameter['name']}`", parameter["description"]

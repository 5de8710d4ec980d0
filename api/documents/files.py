"""The documents that are made from the code, each by its file in the checkout."""

import importlib
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from api.description import asyncapi
from api.documents import (
    command_reference,
    error_reference,
    event_reference,
    metric_reference,
    object_reference,
    route_reference,
    setting_reference,
    sunsets,
)

CHECKOUT = Path(__file__).parents[2]


def _asyncapi() -> str:
    return _json(asyncapi.document())


@cache
def _openapi() -> Mapping[str, Any]:
    from api.asgi_app import ROUTES  # FastAPI, which only this document and its pages need
    from api.description.openapi import document

    return document(ROUTES)


def _commands() -> str:
    from typer.main import get_command

    # By its name: the command line stands above this room, which only reads its --help.
    return command_reference.document(get_command(importlib.import_module("cli").make()))


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


DOCUMENTS: Mapping[str, Callable[[], str]] = {
    "docs/reference/asyncapi.json": _asyncapi,
    "docs/reference/command-line.md": _commands,
    "docs/reference/deprecations.md": sunsets.document,
    "docs/reference/errors.md": error_reference.document,
    "docs/reference/events.md": lambda: event_reference.document(_openapi()),
    "docs/reference/objects.md": lambda: object_reference.document(_openapi()),
    "docs/reference/metrics.md": metric_reference.document,
    "docs/reference/openapi.json": lambda: _json(_openapi()),
    "docs/reference/routes.md": lambda: route_reference.document(_openapi()),
    "docs/reference/settings.md": setting_reference.document,
}


def write() -> None:
    """Write them all anew."""
    for name, document in DOCUMENTS.items():
        (CHECKOUT / name).write_text(document())

"""The documents that are made from the code, each by its file in the checkout."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from api.description import asyncapi
from api.documents import errors

CHECKOUT = Path(__file__).parents[2]


def _asyncapi() -> str:
    return _json(asyncapi.document())


def _openapi() -> str:
    from api.app import ROUTES  # FastAPI, which only this document needs
    from api.description.openapi import document

    return _json(document(ROUTES))


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


DOCUMENTS: Mapping[str, Callable[[], str]] = {
    "docs/reference/asyncapi.json": _asyncapi,
    "docs/reference/openapi.json": _openapi,
    "docs/reference/errors.md": errors.document,
}


def write() -> None:
    """Write them all anew."""
    for name, document in DOCUMENTS.items():
        (CHECKOUT / name).write_text(document())

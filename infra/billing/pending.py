"""A charge or refund as it is when requested: the answer of a door without answers."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from infra.billing.contract.ids import Kind
from infra.billing.contract.objects import BY_NAME, Resource
from infra.billing.contract.objects.object_fields import fields_of, pending_value


def pending(kind: Kind, id_: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The object with all its public fields, from the request alone."""
    empty = _empty(BY_NAME[kind])
    asked = {name: value for name, value in fields.items() if name in empty}
    # Metadata of its own: the request's may change when it was sent.
    metadata = dict(asked.get("metadata", {}))
    return {**empty, **asked, "object": kind, f"{kind}_id": id_, "metadata": metadata}


@cache
def _empty(kind: type[Resource]) -> Mapping[str, Any]:
    return {name: pending_value(of) for name, of in fields_of(kind).items()}

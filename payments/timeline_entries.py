"""Entries of a timeline: what happened to an object, one thing at a time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from infra.billing.contract.objects import TimelineEntry
from payments.views import view_of_value


def facts_of(row: object, *names: str) -> dict[str, Any]:
    """These columns of a row, by their names."""
    return {name: getattr(row, name) for name in names}


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. `what` is a value of the contract's `WHAT`; `facts` are ids, codes
    and numbers."""

    at: datetime
    what: str
    object_id: str
    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def view(self) -> dict[str, Any]:
        """The entry for programs."""
        return {**_entry_view(self), **self.facts}


_entry_view = view_of_value(TimelineEntry)

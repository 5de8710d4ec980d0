"""Entries of a story: what happened to something, one thing at a time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from payments.views import moment


def facts_of(row: object, *names: str) -> dict[str, Any]:
    """These columns of a row, by their names."""
    return {name: getattr(row, name) for name in names}


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. `what` is a word of the contract's `WHAT`; `facts` are ids, codes
    and numbers."""

    at: datetime
    what: str
    object_id: str
    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def view(self) -> dict[str, Any]:
        """The entry for programs."""
        return {
            "at": moment(self.at),
            "what": self.what,
            "object_id": self.object_id,
            "text": self.text,
            **self.facts,
        }

"""The seam: what carries requests to the service, and answers back where it can."""

from collections.abc import Mapping
from typing import Any, Protocol

from infra.billing.ids import Kind


class Transport(Protocol):
    """One way to reach the service. Safe to use from many threads, and after a fork."""

    def create(self, kind: Kind, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Ask for a charge or a refund; returns the object. `fields` are checked and have a key.

        Raises Unavailable when it surely or possibly did not arrive within the timeout.
        """
        ...

    def get(self, kind: Kind, id_: str, *, wait_s: float | None = None) -> dict[str, Any]:
        """The object with this id; with `wait_s`, waits so long for a final state."""
        ...

    def list(self, kind: Kind, filters: Mapping[str, Any]) -> dict[str, Any]:
        """A page: `data`, `has_more`, `next_cursor`."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...

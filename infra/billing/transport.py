"""The seam: what carries requests to the service, and answers back where it can."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from infra.billing.contract.ids import Kind
from infra.billing.errors import BillingError


class Transport(Protocol):
    """One way to reach the service. Safe to use from many threads, and after a fork.

    A broker raises ReadingNeedsHttp for everything but requests.
    """

    def create(
        self, kind: Kind, fields: Mapping[str, Any], *, wait_s: float | None = None
    ) -> dict[str, Any]:
        """Ask for a charge or a refund; returns the object. `fields` have a key.

        With `wait_s`, waits so long for a final state. Raises what the service refuses, and
        Unavailable when it surely or possibly did not arrive within the timeout.
        """
        ...

    def create_batch(
        self, kind: Kind, batch: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any] | BillingError]:
        """What `create` would return or raise for each of the batch, in its order."""
        ...

    def capture(self, fields: Mapping[str, Any], *, wait_s: float | None = None) -> dict[str, Any]:
        """Take money of a charge that is authorized; returns the charge as it stands. `fields` are
        checked and have a key."""
        ...

    def cancel(self, fields: Mapping[str, Any], *, wait_s: float | None = None) -> dict[str, Any]:
        """Ask for the end of a charge; returns it as it stands."""
        ...

    def get(self, kind: Kind, id_: str, *, wait_s: float | None = None) -> dict[str, Any]:
        """The object with this id; with `wait_s`, waits so long for a final state."""
        ...

    def ask(
        self,
        method: str,
        *path: str,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        repeatable: bool = True,
    ) -> dict[str, Any]:
        """Any other route of the service, by the segments of its path below /v1/billing.

        `repeatable`: whether it may be done twice, and so be tried again when no answer came.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...

"""The interface of transports: they carry requests to the service, and return its answers if
possible."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from infra.billing.calls.described import Asked
from infra.billing.contract.ids import Kind
from infra.billing.errors import BillingError


class Transport(Protocol):
    """One way to reach the service. Safe to use from many threads, and after a fork."""

    def run(self, asked: Asked) -> dict[str, Any]:
        """The service's answer. Raises what it refuses, Unavailable if the request certainly or
        possibly did not arrive within the timeout, and ReadingNeedsHttp over a broker for
        everything but charges, refunds, captures and cancels."""
        ...

    def create_batch(
        self, kind: Kind, batch: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any] | BillingError]:
        """What `run` would return or raise for each of the batch, in its order."""
        ...

    def close(self) -> None:
        """Close connections."""
        ...

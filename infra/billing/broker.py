"""The broker as a transport for threads: the steps of each call, over shared connections."""

from collections.abc import Mapping, Sequence
from typing import Any

from infra.billing.broker_publisher import Post
from infra.billing.calls.described import Asked
from infra.billing.calls.over_broker import OverBroker
from infra.billing.calls.stepwise import Publish, Step, run
from infra.billing.contract.ids import Kind
from infra.billing.errors import BillingError


class Broker:
    """A `Transport` over a broker (see infra.billing.brokers)."""

    def __init__(
        self, url: str, *, timeout_s: float, producer: str, signing_key: str | None = None
    ) -> None:
        self._post = Post(url, timeout_s=timeout_s)
        self._calls = OverBroker(self._post.where(), producer=producer, signing_key=signing_key)

    def run(self, asked: Asked) -> dict[str, Any]:
        """Send the request; answers with the pending object. Raises InvalidRequest, Unavailable,
        and ReadingNeedsHttp for everything but requests."""
        return run(self._calls.steps(asked), self._act)

    def create_batch(
        self, kind: Kind, batch: Sequence[Mapping[str, Any]]
    ) -> "list[dict[str, Any] | BillingError]":
        """Send all in one round trip; returns for each the pending object, or why it was not
        sent."""
        return run(self._calls.batch_steps(kind, batch), self._act)

    def close(self) -> None:
        self._post.close()

    def _act(self, step: Step) -> list[str | None]:
        assert isinstance(step, Publish), "to a broker one only publishes"
        return self._post.send(step.batch)

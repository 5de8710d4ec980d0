"""The async client: its configuration, and its nouns."""

from types import TracebackType
from typing import Self

from infra.billing import finding
from infra.billing.aio import nouns
from infra.billing.aio.async_transport import AsyncTransport
from infra.billing.aio.awaited import paged
from infra.billing.base_url import root
from infra.billing.client import PRODUCER, TIMEOUT_S, Configuration, configuration
from infra.billing.errors import NotConfigured


class Billing:
    """The verbs of `infra.billing` for one event loop.

    The arguments are those of `billing.configure`, with defaults from the environment in the same
    way; raises NotConfigured and InvalidRequest as that does. It opens connections on first use:
    create one for the life of a program, and leave it with `async with`, or `await close()`.
    """

    def __init__(
        self,
        *,
        url: str | None = None,
        api_key: str | None = None,
        timeout_s: float = TIMEOUT_S,
        producer: str = PRODUCER,
        signing_key: str | None = None,
    ) -> None:
        self._configuration = configuration(
            url=url,
            api_key=api_key,
            timeout_s=timeout_s,
            producer=producer,
            signing_key=signing_key,
        )
        self._transport: AsyncTransport | None = None
        self.approval = nouns.Approvals(self)
        self.audit = nouns.Audit(self)
        self.charge = nouns.Charges(self)
        self.currency = nouns.Currencies(self)
        self.delivery = nouns.Deliveries(self)
        self.dispute = nouns.Disputes(self)
        self.endpoint = nouns.Endpoints(self)
        self.event = nouns.Events(self)
        self.price = nouns.Prices(self)
        self.product = nouns.Products(self)
        self.refund = nouns.Refunds(self)

    search = paged(finding.search)

    def transport(self) -> AsyncTransport:
        """The transport of its requests. Raises NotConfigured if that is not installed."""
        if self._transport is None:
            self._transport = _open(self._configuration)
        return self._transport

    async def close(self) -> None:
        """Close its connections. A later request opens new ones."""
        if self._transport is not None:
            await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"Billing({self._configuration!r})"  # without url and key


def _open(configured: Configuration) -> AsyncTransport:
    # Imported here: HTTP needs no kombu, and a broker no aiohttp.
    if configured.is_http:
        try:
            from infra.billing.aio.async_http import AsyncHttp
        except ModuleNotFoundError as missing:
            raise NotConfigured(
                f"over http the async client needs {missing.name};"
                " pip install 'billing-worker[aio]'"
            ) from missing
        return AsyncHttp(
            root(configured.url),
            api_key=configured.api_key or "",
            timeout_s=configured.timeout_s,
        )
    from infra.billing.aio.async_broker import AsyncBroker

    return AsyncBroker(
        configured.url,
        timeout_s=configured.timeout_s,
        producer=configured.producer,
        signing_key=configured.signing_key,
    )

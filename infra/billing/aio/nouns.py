"""The nouns of the async client, with the verbs that they have in `infra.billing`."""

from infra.billing import (
    approval,
    audit,
    charge,
    currency,
    delivery,
    dispute,
    endpoint,
    event,
    price,
    product,
    refund,
)
from infra.billing.aio.async_transport import AsyncTransport
from infra.billing.aio.awaited import Asks, awaited, listed, many, paged


class Noun:
    """A noun of a client."""

    def __init__(self, client: Asks) -> None:
        self._client = client

    def transport(self) -> AsyncTransport:
        """The transport of its client."""
        return self._client.transport()


class Charges(Noun):
    """Charges: `await billing.charge.create(…)`, …"""

    create = awaited(charge.create)
    create_many = many(charge.create_many)
    capture = awaited(charge.capture)
    cancel = awaited(charge.cancel)
    get = awaited(charge.get)
    wait = awaited(charge.wait)
    list = paged(charge.list)
    timeline = awaited(charge.timeline)


class Refunds(Noun):
    """Refunds: `await billing.refund.create(…)`, …"""

    create = awaited(refund.create)
    create_many = many(refund.create_many)
    get = awaited(refund.get)
    wait = awaited(refund.wait)
    list = paged(refund.list)
    timeline = awaited(refund.timeline)


class Approvals(Noun):
    """Requests that a second person must approve: `await billing.approval.list()`, `get`,
    `approve`, `reject`."""

    get = awaited(approval.get)
    list = paged(approval.list)
    approve = awaited(approval.approve)
    reject = awaited(approval.reject)


class Disputes(Noun):
    """Disputes: `await billing.dispute.get(…)`, `list`."""

    get = awaited(dispute.get)
    list = paged(dispute.list)


class Products(Noun):
    """Products: `await billing.product.create(…)`, …"""

    create = awaited(product.create)
    retrieve = awaited(product.retrieve)
    get = awaited(product.get)
    update = awaited(product.update)
    list = listed(product.list)
    archive = awaited(product.archive)
    delete = awaited(product.delete)


class Prices(Noun):
    """Prices: `await billing.price.create(…)`, …"""

    create = awaited(price.create)
    retrieve = awaited(price.retrieve)
    get = awaited(price.get)
    update = awaited(price.update)
    list = listed(price.list)
    inventory = awaited(price.inventory)
    archive = awaited(price.archive)
    delete = awaited(price.delete)
    quote = awaited(price.quote)


class Currencies(Noun):
    """Currencies: `await billing.currency.list()`, `retrieve`."""

    list = listed(currency.list)
    retrieve = awaited(currency.retrieve)
    get = awaited(currency.get)


class Endpoints(Noun):
    """Webhook endpoints: `await billing.endpoint.create(…)`, …"""

    create = awaited(endpoint.create)
    get = awaited(endpoint.get)
    list = paged(endpoint.list)
    update = awaited(endpoint.update)
    delete = awaited(endpoint.delete)
    rotate_secret = awaited(endpoint.rotate_secret)
    ping = awaited(endpoint.ping)
    replay = awaited(endpoint.replay)


class Deliveries(Noun):
    """Deliveries to webhook endpoints: `await billing.delivery.list(…)`, `get`, `retry`."""

    get = awaited(delivery.get)
    list = paged(delivery.list)
    retry = awaited(delivery.retry)


class Events(Noun):
    """The feed of events: `await billing.event.list(…)`."""

    list = paged(event.list)


class Audit(Noun):
    """What people and API keys did: `await billing.audit.list()`."""

    list = paged(audit.list)

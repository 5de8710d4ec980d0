"""The SDK for asyncio: the verbs of `infra.billing`, on a client of your own.

::

    from infra.billing.aio import Billing

    async with Billing(url="https://billing.example", api_key="…") as billing:
        charge = await billing.charge.create(amount=1999, currency="USD", idempotency_key="order-1")
        page = await billing.charge.list(state="succeeded")
        async for one in page.auto_paging_iter():
            ...

Names, arguments, results, errors, retries and keys are those of `infra.billing`. Over HTTP it needs
aiohttp: `pip install 'billing-worker[aio]'`. Functions that call no service have no async version:
`billing.minor`, `billing.webhook.verify`. Nor has `billing.webhook.Inbox`: it writes to your own
database over your connection, so call it in a thread (`asyncio.to_thread`).
"""

from infra.billing.aio.async_client import Billing
from infra.billing.aio.async_objects import AsyncListing, AsyncPage

__all__ = ["AsyncListing", "AsyncPage", "Billing"]

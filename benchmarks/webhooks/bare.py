"""The bare loop: signs and posts so many bodies with the HTTP client that we use, and no more.

A process of its own: `python -m benchmarks.webhooks.bare`, its orders as JSON on standard input.
It prints how many seconds it took, on the clock and of its CPU.
"""

import asyncio
import json
import sys
import time
from typing import Any

import aiohttp

from infra.billing.contract.signatures import key_of, signed_headers


async def post_all(orders: dict[str, Any], *, number: int) -> None:
    """Post so many, one to each URL in turn, with so many under way."""
    keys = [key_of(orders["secret"])]
    urls, body = orders["urls"], orders["body"].encode()
    numbers = iter(range(number))

    async def place() -> None:
        for n in numbers:
            headers = signed_headers(
                keys, webhook_id=f"evt_{n}", timestamp=int(time.time()), body=body
            )
            async with session.post(urls[n % len(urls)], data=body, headers=headers) as response:
                await response.read()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(place() for _ in range(orders["in_flight"])))


async def main() -> None:
    orders = json.load(sys.stdin)
    await post_all(orders, number=orders["warm_up"])
    started_s, cpu_s = time.monotonic(), time.process_time()
    await post_all(orders, number=orders["number"])
    print(json.dumps([time.monotonic() - started_s, time.process_time() - cpu_s]))


if __name__ == "__main__":
    asyncio.run(main())

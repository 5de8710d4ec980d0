"""The SDK in this process, configured by one test and by no other."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from infra import billing
from infra.billing import client
from tests.support.web import Caller


@contextmanager
def unconfigured() -> Iterator[None]:
    """`infra.billing` as it is when nobody has configured it, until the end of the `with`."""
    before, client._current = client._current, client.Client(None)
    try:
        # The other client, where a test is run on it (tests.support.both_clients).
        with getattr(billing, "unconfigured", nullcontext)():
            yield
    finally:
        client._current.close()
        client._current = before


@contextmanager
def sdk_of(caller: Caller, **options: Any) -> Iterator[None]:
    """`infra.billing` asks where this caller does, with its key, until the end of the `with`."""
    with unconfigured():
        billing.configure(url=caller.url, api_key=caller.key, **options)
        yield

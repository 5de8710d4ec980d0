"""The SDK in this process, configured by one test and by no other."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from infra import billing
from infra.billing import client
from tests.support.web import Caller


@contextmanager
def unconfigured() -> Iterator[None]:
    """`infra.billing` as it is when nobody has configured it, until the end of the `with`."""
    before, client._current = client._current, client.Client(None)
    try:
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

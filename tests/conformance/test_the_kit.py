"""The kit finds what it is there for: adapters that lie, and a page that holds what it says."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from sqlalchemy import Engine

from payments.processors.outcomes import Declined, NotFound, Unavailable, Unknown
from payments.processors.port import Order
from tests.conformance import test_one_movement as kit
from tests.support.example_adapter import example_rig, files
from tests.support.processors import Rig

LINES_MAX = 155


@dataclass(frozen=True)
class KeyOfItsOwn(Order):
    """An order whose key is another one each time."""

    @property
    def key(self) -> str:
        return secrets.token_hex()


class Liar:
    """The page's adapter, with one wrong."""

    def __init__(self, adapter: Any, wrong: Callable[[Any, str, Order, float], Any]) -> None:
        self._adapter = adapter
        self._wrong = wrong

    def __getattr__(self, name: str) -> Any:
        if name in ("charge", "refund", "look_up", "cancel"):
            return lambda order, *, deadline_s: self._wrong(self._adapter, name, order, deadline_s)
        return getattr(self._adapter, name)

    def hear(self, headers: Any, body: bytes, *, deadline_s: float) -> Any:
        return self._adapter.hear(headers, body, deadline_s=deadline_s)


def says(adapter: Any, verb: str, order: Order, deadline_s: float) -> Any:
    return getattr(adapter, verb)(order, deadline_s=deadline_s)


def timeouts_are_declines(adapter: Any, verb: str, order: Order, deadline_s: float) -> Any:
    outcome = says(adapter, verb, order, deadline_s)
    lost = isinstance(outcome, Unknown) and verb in ("charge", "refund")
    return Declined("card_declined", "timeout", "") if lost else outcome


def a_new_key_for_each_try(adapter: Any, verb: str, order: Order, deadline_s: float) -> Any:
    if verb == "look_up":
        return NotFound()  # by its key, which is another one
    given = {name: getattr(order, name) for name in Order.__slots__}
    return says(adapter, verb, KeyOfItsOwn(**given), deadline_s)


def refusals_are_successes(adapter: Any, verb: str, order: Order, deadline_s: float) -> Any:
    from payments.processors.outcomes import Succeeded

    outcome = says(adapter, verb, order, deadline_s)
    return Succeeded("acme_1") if isinstance(outcome, Unavailable) else outcome


@pytest.fixture
def honest(database_url: str) -> Iterator[Rig]:
    with example_rig(database_url) as rig:
        yield rig


@pytest.mark.parametrize(
    ("wrong", "happening"),
    [
        (timeouts_are_declines, "error after"),
        (a_new_key_for_each_try, "error after"),
        (refusals_are_successes, "rate limited"),
    ],
)
def test_an_adapter_that_lies_is_found(
    honest: Rig, engine: Engine, wrong: Callable[..., Any], happening: str
) -> None:
    lying = replace(honest, processor=Liar(honest.processor, wrong))
    with pytest.raises(AssertionError):
        kit.test_a_charge_ends_as_succeeded_and_moved_once(
            lying, kit.a_worker(lying, engine), happening
        )
    # The fault alone is none of the adapter's.
    kit.test_a_charge_ends_as_succeeded_and_moved_once(
        honest, kit.a_worker(honest, engine), happening
    )


def test_the_example_is_short() -> None:
    assert 0 < len(files()["acme"].splitlines()) <= LINES_MAX

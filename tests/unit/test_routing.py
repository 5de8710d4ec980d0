"""Routes: which processor takes a new charge, as a table and as the settings write it."""

from importlib.metadata import EntryPoint
from typing import Any

import pytest
from pydantic import SecretStr

from payments.lifecycle.accepting.asked import NewCharge, new
from payments.processors.registry import Processors
from payments.processors.routing import Route, choose
from service import processor_settings
from service.processor_settings import maker_of, route
from service.settings import Settings
from tests.support.every import every
from tests.support.factories import a_charge, a_refund, a_sale
from tests.support.paper import Paper

ROUTES = (
    Route("euros", currency="EUR"),
    Route("tests", producer="load-test", method="pm_card_*"),
    Route("shops", producer="shop"),
    Route("wallets", method="pm_wallet"),
)


@every(
    "currency, producer, method, goes_to",
    [
        ("EUR", "shop", "pm_wallet", "euros"),  # the first that fits counts
        ("USD", "shop", "pm_wallet", "shops"),
        ("USD", "load-test", "pm_card_visa", "tests"),
        ("USD", "load-test", "pm_wallet", "wallets"),  # a route fits in all that it says
        ("USD", "load-test", None, "main"),
        ("USD", "app", "pm_wallet_2", "main"),  # without a * it is the whole id
        (None, "shop", None, "shops"),
        (None, "app", None, "main"),
    ],
)
def test_the_first_route_that_fits_counts(
    currency: str | None, producer: str, method: str | None, goes_to: str
) -> None:
    chosen = choose(ROUTES, "main", currency=currency, producer=producer, method=method)
    assert chosen == goes_to


@every("text", ["euros:currency=EUR", "tests:producer=load-test:method=pm_card_*"])
def test_a_route_is_read_as_it_is_written(text: str) -> None:
    assert str(route(text)) == text


@every(
    "text",
    [
        "euros",
        "euros:",
        "euros:currency=eur",
        "euros:country=FR",
        "a:method=x*y",
        "a:currency=EUR:currency=USD",
    ],
)
def test_what_is_no_route_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # settings say what they expect
        route(text)


def test_settings_list_routes_and_hand_them_on() -> None:
    given = Settings(
        processors=("sandbox", "stripe"),
        stripe_api_key=SecretStr("sk_test_4eC39HqLyjWD"),
        processor_routes="stripe:currency=EUR, sandbox:producer=shop",  # type: ignore[arg-type]
    )
    assert given.processor_routes == (
        Route("stripe", currency="EUR"),
        Route("sandbox", producer="shop"),
    )
    assert ",".join(map(str, given.processor_routes)) == "stripe:currency=EUR,sandbox:producer=shop"


def processors(*routes: Route) -> Processors:
    return Processors(Paper("main"), Paper("euros"), routes=routes)


def asked(request: Any, *routes: Route) -> Any:
    return new(request, processors(*routes))


def test_a_route_to_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="no processor is named 'yens'"):
        processors(Route("yens", currency="JPY"))


def test_a_door_asks_the_processor_of_the_route() -> None:
    to_euros = Route("euros", currency="EUR")
    assert asked(a_charge(currency="EUR"), to_euros).processor == "euros"
    assert asked(a_charge(currency="USD"), to_euros).processor == "main"
    # A refund goes where its charge went.
    assert asked(a_refund(a_charge(currency="EUR")), to_euros).processor == "main"


def test_a_charge_by_price_goes_by_the_currency_of_its_price() -> None:
    one = asked(a_sale("price"), Route("euros", currency="EUR", producer="tests"))
    assert isinstance(one, NewCharge)
    assert one.processor == "main"
    assert one.in_currency("USD").processor == "main"
    assert one.in_currency("EUR").processor == "euros"


def test_a_name_that_two_packages_bring_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which of them is to move the money?"""
    brought = [EntryPoint("acme", f"{package}:make", "billing.processors") for package in "ab"]
    monkeypatch.setattr(processor_settings, "entry_points", lambda **_: brought[:1])
    assert maker_of("acme") == brought[0]
    monkeypatch.setattr(processor_settings, "entry_points", lambda **_: brought)
    with pytest.raises(KeyError):
        maker_of("acme")

"""The console in a real browser: readable for all, by keyboard alone, on a phone, and with or
without a script."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from payments.processors.outcomes import Declined, Succeeded
from tests.integration.rules.test_disputes import told
from tests.support import browser as browsers
from tests.support.approvals import an_approval
from tests.support.console import visitor
from tests.support.factories import Till
from tests.support.web import Caller, Web, a_key

PHONE = {"width": 360, "height": 740}
DESK = {"width": 1400, "height": 900}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browsers.browser() as running:
        yield running


@pytest.fixture(scope="module")
def axe() -> str:
    return browsers.axe()


@dataclass
class Shop:
    """What there is to look at, and the key of an operator."""

    url: str
    key: str
    charge_id: str
    endpoint_id: str
    price_id: str
    dispute_id: str
    approval_id: str

    def paths(self) -> list[str]:
        return [
            "/",
            "/charges",
            f"/charges/{self.charge_id}",
            f"/charges/{self.charge_id}/refund",
            "/refunds",
            "/disputes",
            f"/disputes/{self.dispute_id}",
            "/review",
            "/approvals",
            f"/approvals/{self.approval_id}",
            f"/approvals/{self.approval_id}/approve",
            "/search",
            "/search?q=nothing",
            "/endpoints",
            f"/endpoints/{self.endpoint_id}",
            f"/endpoints/{self.endpoint_id}/replay",
            "/messages",
            "/prices",
            f"/prices/{self.price_id}",
            "/takings",
            "/takings?period=month",
            "/books",
            "/keys",
            "/new/keys/create",
            "/audit",
            "/nothing",
        ]


@pytest.fixture
def shop(door: Web, caller: Caller, till: Till) -> Shop:
    """A charge that succeeded, one that was declined, an endpoint, a price, and somebody."""
    charge_id = str(caller.charge(amount=1999).json()["charge_id"])
    till.settle(till.claim(charge_id), Succeeded("sbx_1"))
    declined = str(caller.charge().json()["charge_id"])
    till.settle(till.claim(declined), Declined("card_declined", "no", "no"))
    with visitor(door) as operator:
        added = operator.act("/new/endpoints/add", url="http://127.0.0.1:9/hook")
        endpoint_id = added.text.partition("/console/endpoints/")[2][:35]
    key = a_key(door.engine, caller.producer, scopes=["operator"])
    contested = str(caller.charge(amount=1999).json()["charge_id"])
    till.settle(till.claim(contested), Succeeded("sbx_2"))
    till.report_all(told(contested))
    (dispute,) = caller.get("/disputes").json()["data"]
    return Shop(
        door.url,
        key,
        charge_id,
        endpoint_id,
        caller.price(quantity_available=5)["id"],
        dispute["dispute_id"],
        an_approval(door.engine, contested),
    )


def _signed_in(context: BrowserContext, shop: Shop) -> Page:
    page = browsers.patient(context.new_page())
    page.goto(f"{shop.url}/console/")
    page.get_by_label("Your name").fill("Ann Example")
    page.get_by_label("API key").fill(shop.key)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/console/")
    return page


@pytest.mark.parametrize(
    ("viewport", "scheme"), [(DESK, "light"), (PHONE, "dark")], ids=["desk", "phone"]
)
def test_every_page_is_readable_for_everybody(
    chromium: Browser, axe: str, shop: Shop, viewport: dict[str, int], scheme: str
) -> None:
    said: list[str] = []
    with chromium.new_context(viewport=viewport, color_scheme=scheme) as context:
        page = browsers.patient(context.new_page())
        page.goto(f"{shop.url}/console/login")
        found = {"/login": browsers.findings(page, axe)}
        page.close()
        page = _signed_in(context, shop)
        page.on("console", lambda message: said.append(f"{page.url}: {message.text}"))
        page.on("pageerror", lambda error: said.append(f"{page.url}: {error}"))
        wide = []
        for path in shop.paths():
            page.goto(f"{shop.url}/console{path}")
            found[path] = browsers.findings(page, axe)
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                wide.append(path)
    assert {path: one for path, one in found.items() if one} == {}
    assert wide == [], "the page itself scrolls sideways"
    assert [one for one in said if "/nothing" not in one] == []


@pytest.mark.parametrize("scripts", [True, False], ids=["with", "without"])
def test_a_refund_by_keyboard_alone_with_and_without_a_script(
    chromium: Browser, shop: Shop, caller: Caller, scripts: bool
) -> None:
    with chromium.new_context(viewport=DESK, java_script_enabled=scripts) as context:
        page = _signed_in(context, shop)
        page.goto(f"{shop.url}/console/")
        _tab_to(page, "q")
        page.keyboard.type(shop.charge_id)
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/charges/{shop.charge_id}")
        _tab_to(page, "Refund")
        page.keyboard.press("Enter")
        page.wait_for_url("**/refund")
        _tab_to(page, "amount")
        page.keyboard.type("5.00")
        _tab_to(page, "why")
        page.keyboard.type("one seat too many")
        page.keyboard.press("Enter")
        page.wait_for_url("**/refunds/re_*")
        assert "Done: Refund." in page.inner_text("main")
    (refund,) = caller.get("/refunds", params={"charge_id": shop.charge_id}).json()["data"]
    assert refund["amount"] == 500


def _tab_to(page: Page, name: str) -> None:
    """Press Tab until the field with this name, or what is called so, has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        told = [focused.get_attribute("name")]
        if focused.evaluate("e => e.tagName", timeout=None) in ("A", "BUTTON"):
            told.append(focused.inner_text())
        if name in told:
            return
    raise AssertionError(f"nothing called {name} is reached by Tab")


def test_what_moves_refreshes_by_itself(
    chromium: Browser, shop: Shop, caller: Caller, till: Till
) -> None:
    id_ = str(caller.charge().json()["charge_id"])
    with chromium.new_context(viewport=DESK) as context:
        page = _signed_in(context, shop)
        page.goto(f"{shop.url}/console/charges/{id_}")
        assert "queued" in page.inner_text("h1")
        till.settle(till.claim(id_), Succeeded("sbx_1"))
        page.locator("h1 .state", has_text="succeeded").wait_for()


def test_no_script_of_somebody_elses_runs(chromium: Browser, shop: Shop, caller: Caller) -> None:
    evil = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script>"
    id_ = caller.charge(description=evil, metadata={"x": evil}).json()["charge_id"]
    with chromium.new_context() as context:
        page = _signed_in(context, shop)
        page.goto(f"{shop.url}/console/charges/{id_}")
        assert evil in page.inner_text("main")
        assert page.title() == f"{id_} · Billing"
        # And even if it stood in the page, the page's policy would not run it.
        page.evaluate("html => document.body.insertAdjacentHTML('beforeend', html)", evil)
        page.evaluate("document.body.append(Object.assign(document.createElement('script'),"
                      " {textContent: \"document.title='broken'\"}))")  # fmt: skip
        assert page.title() == f"{id_} · Billing"

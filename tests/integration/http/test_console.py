"""The console without a script: what is shown to whom, and what its forms do."""

import json
import re
import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from api.console.actions import ACTIONS
from api.console.console_app import PAGES
from payments.access import keys
from payments.intake import rejections
from payments.processors.outcomes import Succeeded, Unknown
from tests.support.acting import Database
from tests.support.console import SAME_SITE, Visitor, visitor
from tests.support.factories import Till
from tests.support.web import Caller, Web, a_key, nobody

SHOP = "shop-of-the-console"
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


@pytest.fixture
def ann(door: Web) -> Iterator[Visitor]:
    """An operator at the console."""
    with visitor(door) as client:
        yield client


def _moved(door: Web, till: Till, caller: Caller, **fields: object) -> str:
    """A charge that succeeded."""
    id_ = str(caller.charge(**fields).json()["charge_id"])
    till.settle(till.claim(id_), Succeeded("sbx_1"))
    return id_


def _for_review(till: Till, caller: Caller) -> str:
    """A charge that nobody but a person can settle."""
    id_ = str(caller.charge().json()["charge_id"])
    till.settle(till.claim(id_), Unknown("timeout"))
    with till.engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE charges SET phase = 'needs_review', next_attempt_at = NULL WHERE id = :id"
            ),
            {"id": id_},
        )
    return id_


# --- Who is let in


def test_a_stranger_is_asked_to_sign_in_and_comes_back_to_the_page(door: Web) -> None:
    with Visitor(door.url) as stranger:
        turned = stranger.get("/charges?state=failed")
        assert (turned.status_code, turned.headers["location"]) == (
            303,
            "/console/login?next=%2Fconsole%2Fcharges%3Fstate%3Dfailed",
        )
        fields = stranger.form(turned.headers["location"].removeprefix("/console"))
        assert fields["next"] == "/console/charges?state=failed"
        key = a_key(door.engine, SHOP)
        come = stranger.post("/login", data={**fields, "key": key, "name": "Ann"})
        assert come.headers["location"] == "/console/charges?state=failed"
        assert stranger.get("/charges?state=failed").status_code == 200


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "/console/\\..", "/v1/billing"],
)
def test_signing_in_leads_nowhere_else(door: Web, elsewhere: str) -> None:
    with Visitor(door.url) as stranger:
        fields = {"next": elsewhere, "key": a_key(door.engine, SHOP), "name": "Ann"}
        assert stranger.post("/login", data=fields).headers["location"] == "/console/"


def test_a_wrong_key_is_told_so_and_is_not_repeated(door: Web) -> None:
    wrong = a_key(door.engine, SHOP)[:-4] + "aaaa"
    with Visitor(door.url) as stranger:
        answer = stranger.sign_in(wrong)
        assert answer.status_code in (401, 429)
        assert wrong not in answer.text
        assert "set-cookie" not in answer.headers


def test_a_name_is_asked_for_and_may_hold_no_card(door: Web) -> None:
    with Visitor(door.url) as stranger:
        key = a_key(door.engine, SHOP)
        assert stranger.sign_in(key, name="").status_code == 400
        assert stranger.sign_in(key, name="4242 4242 4242 4242").status_code == 400


def test_the_cookie_can_be_read_by_no_script_and_is_sent_to_the_console_alone(door: Web) -> None:
    with Visitor(door.url) as stranger:
        set_cookie = stranger.sign_in(a_key(door.engine, SHOP)).headers["set-cookie"]
    assert {"HttpOnly", "Path=/console", "SameSite=lax"} <= set(set_cookie.split("; "))
    assert "Secure" not in set_cookie
    with Visitor(door.url, follow_redirects=False) as behind_tls:
        behind_tls.headers["origin"] = f"https://{door.url.removeprefix('http://')}"
        assert "Secure" in behind_tls.sign_in(a_key(door.engine, SHOP)).headers["set-cookie"]


@pytest.mark.parametrize(
    "cookie",
    [
        '{"key": "key_aaaaaaaaaaaaaaaa", "name": "Eve", "until": 99999999999}',
        "sealed:1:00000000:AAAA",
        "sealed:1:",
        "",
    ],
)
def test_a_cookie_that_we_have_not_sealed_is_none(door: Web, cookie: str) -> None:
    with nobody(door.url) as client:
        answer = client.get("/console/", headers={"cookie": f"billing_console={cookie}"})
        assert (answer.status_code, answer.headers["location"][:14]) == (303, "/console/login")


def test_what_is_sealed_for_another_purpose_is_no_session(door: Web) -> None:
    """A secret of an endpoint, as the database keeps it."""
    from tests.support.vault import VAULT

    sealed = VAULT.seal('{"key": "key_aaaaaaaaaaaaaaaa", "until": 9e9}', about="another")
    with nobody(door.url) as client:
        answer = client.get("/console/", headers={"cookie": f"billing_console={sealed}"})
        assert answer.status_code == 303


def test_a_session_ends_with_its_key(door: Web) -> None:
    with Visitor(door.url) as client:
        key = a_key(door.engine, SHOP)
        client.sign_in(key)
        assert client.get("/").status_code == 200
        with Database(door.engine).transaction() as transaction:
            keys.revoke(transaction, key.rpartition("_")[0])
        assert client.get("/").status_code == 303


def test_signing_out_ends_the_session(ann: Visitor) -> None:
    assert ann.post("/logout").status_code == 303
    assert ann.get("/").status_code == 303


# --- Other sites


def _forms() -> list[str]:
    id_ = "ch_" + "a" * 32
    return [
        "/login",
        "/logout",
        *(
            f"/{of}/{id_}/{name}" if action.needs_object else f"/new/{of}/{name}"
            for (of, name), action in ACTIONS.items()
        ),
    ]


@pytest.mark.parametrize("path", _forms())
def test_a_form_from_another_site_is_refused(ann: Visitor, path: str) -> None:
    for headers in (
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "cross-site", "origin": str(ann.base_url)},
    ):
        assert ann.post(path, data={"why": "x"}, headers=headers).status_code == 403
    old = {name: value for name, value in ann.headers.items() if name != "sec-fetch-site"}
    with nobody(ann.base_url, headers=old, cookies=ann.cookies) as old_browser:
        sent = {"data": {"why": "x"}}
        assert old_browser.post(path, **sent).status_code == 403
        origin = {"origin": "http://evil.example"}
        assert old_browser.post(path, headers=origin, **sent).status_code == 403


def test_no_get_changes_anything(door: Web, ann: Visitor, caller: Caller) -> None:
    id_ = caller.charge().json()["charge_id"]
    assert ann.get(f"/charges/{id_}/cancel?why=x&key=y").status_code == 200
    assert caller.get(f"/charges/{id_}").json()["state"] == "pending"


def test_every_page_says_what_a_browser_may_do_with_it(ann: Visitor) -> None:
    for path in ("/login", "/", "/charges", "/nothing", "/new/keys/create"):
        answer = ann.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
    nonces = {
        re.findall(r"'nonce-([^']+)'", ann.get("/").headers["content-security-policy"])[0]
        for _ in range(3)
    }
    assert len(nonces) == 3


def test_files_are_kept_by_browsers_under_a_name_that_changes_with_them(ann: Visitor) -> None:
    found = re.search(r'href="/console(/static/\w+/style.css)"', ann.get("/").text)
    assert found
    assert "immutable" in ann.get(found[1]).headers["cache-control"]
    assert ann.get("/static/000000000000/style.css").status_code == 404
    assert ann.get(found[1].replace("style.css", "../app.py")).status_code == 404


# --- What is shown


def test_every_page_of_a_list_is_there(ann: Visitor) -> None:
    for path, _ in PAGES:
        if "{id}" not in path:
            assert ann.get(path).status_code == 200, path


def test_what_others_wrote_is_text_and_nothing_else(
    door: Web, ann: Visitor, caller: Caller, till: Till
) -> None:
    id_ = _moved(door, till, caller, customer_id=EVIL[:60], reference=EVIL[:60], description=EVIL,
                 metadata={"<b>": EVIL})  # fmt: skip
    caller.refund(id_, reason=EVIL)
    pages = [
        f"/charges/{id_}",
        f"/charges/{id_}?done={EVIL}",
        f"/charges/{id_}/refund",
        f"/charges?state={EVIL}",
        "/charges",
        "/refunds",
        f"/search?q={EVIL}",
    ]
    for path in pages:
        shown = ann.get(path).text
        assert "<script>alert" not in shown
        assert "<img src=x" not in shown
        assert "<b>" not in shown


def test_a_payment_is_one_story_from_the_request_to_each_webhook(
    door: Web, ann: Visitor, caller: Caller, till: Till
) -> None:
    id_ = _moved(door, till, caller, amount=1999)
    shown = ann.get(f"/charges/{id_}").text
    assert "Charge of 19.99 USD" in shown
    assert "attempt 1: charge → succeeded" in shown
    assert 'aria-label="States: queued, then in flight, then succeeded (now)"' in shown


def test_the_overview_counts_what_happened(ann: Visitor, door: Web, caller: Caller) -> None:
    caller.charge()
    shown = ann.get("/").text
    assert "Charges, the last hour" in shown
    assert re.search(r"charges</a></td><td><span class=\"state queued\">", shown)
    # What refreshes by itself is a part of the page, and the same part.
    part = ann.get("/", headers={"hx-request": "true"}).text
    assert "<html" not in part
    assert "Charges, the last hour" in part


def test_search_leads_to_the_one_thing_or_lists_them(ann: Visitor, door: Web) -> None:
    # Keys are looked for in the names of the first 1,000 producers, and other tests may have made
    # more: this one comes before theirs.
    with door.caller(f"a-{uuid.uuid4().hex[:8]}") as caller:
        one = caller.charge("order-of-the-console", customer_id="cus_console").json()["charge_id"]
        two = caller.charge(customer_id="cus_console").json()["charge_id"]
    found = ann.get("/search?q=order-of-the-console")
    assert (found.status_code, found.headers["location"]) == (303, f"/console/charges/{one}")
    assert ann.get(f"/search?q={one}").headers["location"] == f"/console/charges/{one}"
    both = ann.get("/search?q=cus_console").text
    assert one in both
    assert two in both
    assert "Nothing is known" in ann.get("/search?q=nobody").text


@pytest.mark.parametrize(
    "path",
    [
        "/charges/ch_x",
        "/charges/ch_" + "a" * 32,
        "/refunds/re_" + "a" * 32,
        "/endpoints/we_" + "a" * 32,
        "/endpoints/x",
        "/deliveries/del_x",
        "/disputes/dp_x",
        "/disputes/dp_" + "a" * 32,
        "/quarantine/0",
        "/quarantine/99999999999999999999999",
        "/quarantine/x",
        "/prices/price_" + "a" * 32,
        "/keys/key_x",
        "/nothing",
        "/charges/",
        "/charges/ch_x/fly",
        "/keys/x/create",
        "/new/charges/cancel",
    ],
)
def test_what_is_not_there_is_a_page_that_says_so(ann: Visitor, path: str) -> None:
    answer = ann.get(path)
    assert answer.status_code == 404
    assert "That didn’t work" in answer.text


@pytest.mark.parametrize(
    "query", ["state=flying", "phase=x", "cursor=x", "charge_id=x", "customer_id=%00"]
)
def test_a_filter_that_is_none_is_refused_in_words(ann: Visitor, query: str) -> None:
    of = "refunds" if query.startswith("charge_id") else "charges"
    assert ann.get(f"/{of}?{query}").status_code == 400


# --- Who may do what


def test_a_producer_sees_its_own_alone(door: Web, caller: Caller, till: Till) -> None:
    theirs = _moved(door, till, caller, customer_id="cus_secret")
    paths = [f"/charges/{theirs}", f"/charges/{theirs}/refund"]
    with visitor(door, scopes=["read", "write"]) as stranger:
        for path in paths:
            assert stranger.get(path).status_code == 404
        assert stranger.post(f"/charges/{theirs}/refund", data={"why": "x"}).status_code == 404
        lists = ("/", "/charges", "/refunds", "/disputes", "/review", "/takings", "/books")
        for path in (*lists, "/search?q=cus_secret"):
            shown = stranger.get(path).text
            assert theirs not in shown
            assert caller.producer not in shown
    with visitor(door, caller.producer, scopes=["read"]) as owner:
        assert owner.get(f"/charges/{theirs}").status_code == 200


def test_who_may_only_read_is_offered_nothing_and_may_do_nothing(
    door: Web, caller: Caller, till: Till
) -> None:
    id_ = _moved(door, till, caller)
    with visitor(door, caller.producer, scopes=["read"]) as reader:
        assert "Refund</a>" not in reader.get(f"/charges/{id_}").text
        for (of, name), action in ACTIONS.items():
            path = f"/{of}/{id_}/{name}" if action.needs_object else f"/new/{of}/{name}"
            assert reader.get(path).status_code == 403, path
            assert reader.post(path, data={"why": "x", "key": "k"}).status_code == 403, path
        for path in ("/messages", "/audit", "/keys", "/quarantine/1", "/keys/key_" + "a" * 16):
            assert reader.get(path).status_code == 403
    assert caller.get(f"/charges/{id_}").json()["refund_pending_amount"] == 0


# --- What its forms do


def test_a_refund_asks_why_and_is_made_once_however_often_the_form_is_sent(
    door: Web, ann: Visitor, caller: Caller, till: Till
) -> None:
    id_ = _moved(door, till, caller, amount=1999)
    path = f"/charges/{id_}/refund"
    fields = ann.form(path)
    without = ann.post(path, data={**fields, "amount": "5.00"})
    assert without.status_code == 400
    assert "say why" in without.text
    assert 'value="5.00"' in without.text
    sent = {**fields, "amount": "5.00", "why": "one seat too many"}
    first, second = ann.post(path, data=sent), ann.post(path, data=sent)
    assert first.status_code == second.status_code == 303
    assert first.headers["location"] == second.headers["location"]
    (refund,) = caller.get("/refunds", params={"charge_id": id_}).json()["data"]
    assert (refund["amount"], refund["reason"]) == (500, "one seat too many")
    assert "Done: Refund." in ann.get(first.headers["location"].removeprefix("/console")).text


@pytest.mark.parametrize("amount", ["5", "1999", "5.0", "5.000", "-5.00", "5,00", "0.00", "x"])
def test_an_amount_that_may_mean_two_things_is_refused(
    door: Web, ann: Visitor, caller: Caller, till: Till, amount: str
) -> None:
    id_ = _moved(door, till, caller, amount=1999)
    refused = ann.act(f"/charges/{id_}/refund", amount=amount)
    assert refused.status_code == 400
    assert caller.get(f"/charges/{id_}").json()["refund_pending_amount"] == 0


def test_more_than_was_paid_is_refused_on_the_form(
    door: Web, ann: Visitor, caller: Caller, till: Till
) -> None:
    id_ = _moved(door, till, caller, amount=1999)
    refused = ann.act(f"/charges/{id_}/refund", amount="20.00")
    assert refused.status_code == 409
    assert "left" in refused.text.partition('role="alert"')[2][:200]


def test_a_charge_is_canceled_with_the_name_and_the_reason(ann: Visitor, caller: Caller) -> None:
    id_ = caller.charge().json()["charge_id"]
    assert ann.act(f"/charges/{id_}/cancel", why="customer left").status_code == 303
    assert caller.get(f"/charges/{id_}").json()["failure_code"] == "canceled"
    shown = ann.get(f"/charges/{id_}").text
    assert "its end asked for by Ann Example: customer left" in shown
    assert ann.get(f"/charges/{id_}/cancel").status_code == 409


@pytest.mark.parametrize(
    ("decision", "state"), [("succeeded", "succeeded"), ("failed", "failed"), ("retry", "pending")]
)
def test_what_needs_review_is_resolved_by_what_somebody_found(
    ann: Visitor, caller: Caller, till: Till, decision: str, state: str
) -> None:
    id_ = _for_review(till, caller)
    assert id_ in ann.get("/review").text
    nothing = ann.act(f"/charges/{id_}/resolve", why="seen in the dashboard")
    assert nothing.status_code == 400
    done = ann.act(f"/charges/{id_}/resolve", why="seen in the dashboard", decision=decision)
    assert done.status_code == 303
    assert caller.get(f"/charges/{id_}").json()["state"] == state
    assert "seen in the dashboard" in ann.get(f"/charges/{id_}").text


def test_an_endpoint_is_added_and_its_secret_is_shown_once(ann: Visitor, door: Web) -> None:
    added = ann.act("/new/endpoints/add", url="http://127.0.0.1:9/hook", event_types="ping")
    assert added.status_code == 200, added.text
    secret = re.search(r"whsec_[A-Za-z0-9+/=]+", added.text)
    page = re.search(r'href="/console(/endpoints/we_\w+)"', added.text)
    assert secret
    assert page
    assert secret[0] not in ann.get(page[1]).text
    for name, state in (("disable", "disabled"), ("enable", "enabled"), ("ping", "enabled")):
        assert ann.act(f"{page[1]}/{name}").status_code == 303
        assert f'<span class="state {state}">' in ann.get(page[1]).text
    delivery = re.search(r'href="/console(/deliveries/del_\w+)"', ann.get(page[1]).text)
    assert delivery
    assert ann.get(delivery[1]).status_code == 200
    assert ann.act(f"{delivery[1]}/retry").status_code == 303
    assert ann.act(f"{page[1]}/replay", hours="24", only="all").status_code == 303
    rotated = ann.act(f"{page[1]}/rotate")
    assert "whsec_" in rotated.text
    assert secret[0] not in rotated.text
    assert ann.act(f"{page[1]}/delete").status_code == 303
    assert ann.get(page[1]).status_code == 404


def test_an_address_that_may_not_be_reached_is_refused_on_the_form(ann: Visitor) -> None:
    refused = ann.act("/new/endpoints/add", url="http://169.254.169.254/latest")
    assert refused.status_code == 400
    assert 'role="alert"' in refused.text


def test_a_key_is_made_shown_once_and_revoked(ann: Visitor, door: Web) -> None:
    made = ann.act("/new/keys/create", producer=SHOP, scopes="read")
    key = re.search(r"key_[a-z2-7]{16}_[a-z2-7]{52}", made.text)
    assert key
    id_ = key[0].rpartition("_")[0]
    assert key[0] not in ann.get(f"/keys/{id_}").text
    with Visitor(door.url) as other:
        assert other.sign_in(key[0]).status_code == 303
        assert ann.act(f"/keys/{id_}/revoke").status_code == 303
        assert other.get("/").status_code == 303


def test_a_message_in_quarantine_is_put_back_on_its_queue(ann: Visitor, door: Web) -> None:
    fields = {"amount": 1999, "currency": "USD", "idempotency_key": "of-the-quarantine"}
    raw = json.dumps({"task": "billing.charge.create", "id": "task-1", "kwargs": fields}).encode()
    with Database(door.engine).transaction() as transaction:
        rejections.quarantine(
            transaction, raw, queue="payments", reason="internal error ZeroDivisionError"
        )
        number = transaction.execute(text("SELECT max(id) FROM quarantined_messages")).scalar()
    shown = f"/quarantine/{number}"
    assert "release" in ann.get(shown).text
    assert ann.act(f"{shown}/release").status_code == 303
    assert '<span class="state released">' in ann.get(shown).text
    assert ann.get(f"{shown}/release").status_code == 409


def test_stock_is_counted_once_per_form(ann: Visitor, caller: Caller) -> None:
    price = caller.price(quantity_available=5)["id"]
    path = f"/prices/{price}/stock"
    sent = {**ann.form(path), "why": "came in", "action": "increment", "quantity": "3"}
    assert ann.post(path, data=sent).status_code == ann.post(path, data=sent).status_code == 303
    assert caller.get(f"/prices/{price}").json()["quantity_available"] == 8
    assert ann.act(f"/prices/{price}/archive").status_code == 303
    assert caller.get(f"/prices/{price}").json()["active"] is False


def test_what_is_done_here_is_told_with_who_and_why(ann: Visitor, caller: Caller) -> None:
    id_ = caller.charge().json()["charge_id"]
    ann.act(f"/charges/{id_}/cancel", why="customer left")
    shown = ann.get(f"/audit?object_id={id_}").text
    for told in ("Ann Example", "console", "charge.cancel", "customer left", "pending → failed"):
        assert told in shown
    assert "Nothing was done" in ann.get("/audit?actor=nobody&since=2026-11-01").text
    assert ann.get("/audit?since=yesterday").status_code == 400


def test_a_form_that_is_none_is_refused(ann: Visitor, caller: Caller) -> None:
    path = f"/charges/{caller.charge().json()['charge_id']}/cancel"
    for sent in (
        {"json": {"why": "x"}},
        {"content": b"\xff=1", "headers": {"content-type": "application/x-www-form-urlencoded"}},
        {
            "content": b"why=1&why=2",
            "headers": {"content-type": "application/x-www-form-urlencoded"},
        },
        {"data": {"why": "x", "key": "k", "amount": "1.00"}},
        {"data": {"why": "4242 4242 4242 4242", "key": "k"}},
        {"data": {"why": "a\nb", "key": "k"}},
    ):
        assert ann.post(path, **sent).status_code == 400


def test_headers_of_nobody_trusted_sign_nobody_in(door: Web) -> None:
    with nobody(door.url) as client:
        answer = client.get("/console/", headers={**SAME_SITE, "x-forwarded-email": "ann@x"})
        assert answer.status_code == 303

"""`billing endpoint check`: what it says, how it exits, and that it leaves nothing."""

from collections.abc import Iterator

import pytest
from rich.cells import cell_len
from sqlalchemy import Engine

from infra.billing.receiver_check.cases import CASES
from payments.webhooks.sealed import seal_headers
from payments.webhooks.target import TargetCheck
from tests.support import planted
from tests.support.command import Billing
from tests.support.every import every
from tests.support.terminal import seen
from tests.support.vault import VAULT
from tests.support.webhooks import LOOPBACK, an_endpoint, rows


@pytest.fixture
def good() -> Iterator[str]:
    with planted.running(planted.Receiver()) as url:
        yield url


def test_a_good_receiver_gets_the_best_grade(billing: Billing, good: str) -> None:
    checked = billing("endpoint", "check", good, "--secret", planted.SECRET)
    assert checked.code == 0, checked.out
    assert checked.out.endswith("grade A: it does everything right\n")
    assert "made-up" in checked.err
    assert good in checked.err
    assert planted.SECRET not in checked.out + checked.err


def test_a_bad_one_is_told_its_fault_with_the_fix(billing: Billing) -> None:
    with planted.running(planted.NoVerification()) as url:
        checked = billing("endpoint", "check", url, "--secret", planted.SECRET)
        as_json = billing("endpoint", "check", url, "--secret", planted.SECRET, "--json")
    assert checked.code == as_json.code == 1
    assert "you do not verify signatures" in checked.out
    assert "→ Take the bytes of the body as they came" in checked.out
    assert "grade F" in checked.out
    report = as_json.json
    assert (report["passed"], report["grade"]) == (False, "F")
    assert [fault["code"] for fault in report["faults"]] == ["does_not_verify"]
    assert {case["name"]: case["passed"] for case in report["cases"]}["tampered_body"] is False


def test_an_endpoint_is_checked_with_its_own_secret_and_nothing_is_written(
    billing: Billing, engine: Engine
) -> None:
    with planted.running(behind := planted.BehindAGateway()) as url:
        endpoint = an_endpoint(engine, url)
        behind.secret = endpoint.secrets[0]
        sealed = seal_headers(VAULT, endpoint.id, {"X-Gateway": planted.GATEWAY_KEY})
        rows(
            engine,
            "UPDATE webhook_endpoints SET header_names = :names, header_values = :kept",
            names=list(sealed),
            kept=list(sealed.values()),
        )
        checked = billing("endpoint", "check", endpoint.id, "--json")
    assert checked.json["grade"] == "A"
    assert checked.json["url"] == url
    assert endpoint.secrets[0] not in checked.out + checked.err
    assert planted.GATEWAY_KEY not in checked.out + checked.err
    for table in ("events", "deliveries", "delivery_attempts"):
        assert rows(engine, f"SELECT * FROM {table}") == []


@every(
    "arguments, code, said",
    [
        (("https://example.com/hooks",), 2, "give --secret WHSEC with a URL"),
        (("we_x", "--secret", planted.SECRET), 2, "leave out --secret"),
        (("we_x",), 1, "no webhook endpoint with this id"),
        (("ftp://x", "--secret", planted.SECRET), 1, "url must be like https://"),
        (("http://10.0.0.1/", "--secret", planted.SECRET), 1, "BILLING_WEBHOOK_ALLOW_PRIVATE"),
        (("http://127.0.0.1:9/", "--secret", "x"), 1, "a secret is whsec_ and base64"),
    ],
)
def test_what_cannot_be_checked_is_refused(
    billing: Billing, arguments: tuple[str, ...], code: int, said: str
) -> None:
    refused = billing("endpoint", "check", *arguments)
    assert refused.code == code
    assert said in " ".join(refused.err.replace("│", " ").split())


def test_a_name_that_leads_where_webhooks_may_not_go_is_not_dialled(
    billing: Billing, good: str
) -> None:
    assert TargetCheck(LOOPBACK).allows("127.0.0.1", encrypted=False)
    url = good.replace("http://127.0.0.1", "https://localhost")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BILLING_WEBHOOK_ALLOW_PRIVATE", "")
        checked = billing("endpoint", "check", url, "--secret", planted.SECRET, "--json")
    assert checked.code == 1
    assert "target_not_allowed" in checked.json["faults"][0]["says"]


@pytest.mark.parametrize("columns", [80, 120])
def test_on_a_terminal_it_shows_how_far_it_is_and_breaks_no_word(
    environ: dict[str, str], columns: int
) -> None:
    with planted.running(planted.ParsesFirst()) as url:
        screen = seen(environ, columns, "endpoint", "check", url, "--secret", planted.SECRET)
    assert screen.code == 0, screen
    assert f"{len(CASES)}/{len(CASES)}" in screen.text  # the progress, before it is wiped
    *_, result = screen.text.split("\r")
    assert "advice " in result
    assert result.rstrip().endswith("grade B: it does everything that it must")
    assert max(map(cell_len, result.splitlines())) <= columns

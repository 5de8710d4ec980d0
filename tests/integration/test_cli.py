"""The command line as people and scripts use it: answers, refusals, exit codes."""

import getpass
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from sqlalchemy import Engine, make_url

from infra.billing.contract.ids import id_from_key
from infra.billing.version import __version__
from tests.support.command import Billing
from tests.support.counter import Counter, counter
from tests.support.every import every
from tests.support.programs import Programs

CHARGE_ID = "ch_" + "a" * 32


@pytest.fixture
def till(engine: Engine) -> Iterator[Counter]:
    """The service that works on what the commands wrote."""
    with counter(engine) as till:
        yield till


def a_charge(billing: Billing, *more: str, key: str = "order-1") -> Any:
    answer = billing(
        "charge", "create", "--amount", "1999", "--currency", "usd", "--key", key, "--json", *more
    )
    assert answer.code == 0, answer
    return answer.json


def test_a_charge_is_committed_and_a_worker_woken(billing: Billing, redis_url: str) -> None:
    charge = a_charge(billing, "--payment-method", "pm_card_visa", "--metadata", "cart=7")
    assert charge["charge_id"] == id_from_key("charge", producer="default", key="order-1")
    assert (charge["state"], charge["amount"], charge["currency"]) == ("pending", 1999, "USD")
    assert charge["metadata"] == {"cart": "7"}
    (message,) = redis.Redis.from_url(redis_url).lrange("payments", 0, -1)
    assert json.loads(message)["headers"]["task"] == "billing.charge.submit"


def test_a_repeat_is_the_same_charge_and_another_request_is_refused(billing: Billing) -> None:
    assert a_charge(billing) == a_charge(billing)
    other = billing(
        "charge", "create", "--amount", "5", "--currency", "USD", "--key", "order-1", "--json"
    )
    assert other.code == 1
    assert other.out == ""
    assert (other.error["code"], other.error["param"]) == (
        "idempotency_key_reused",
        "idempotency_key",
    )


def test_a_charge_is_canceled_in_the_name_of_who_typed_it(billing: Billing) -> None:
    at = (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="seconds")
    charge = a_charge(billing, "--scheduled-at", at, "--expires-in", "60")
    assert datetime.fromisoformat(charge["scheduled_at"]) == datetime.fromisoformat(at)
    ended = billing("charge", "cancel", charge["charge_id"], "--why", "a mistake", "--json")
    assert (ended.code, ended.json["failure_code"]) == (0, "canceled")
    told = billing("explain", "order-1").out
    assert "a mistake" in told
    assert getpass.getuser() in told
    assert billing("charge", "cancel", "ch_" + "a" * 32).code == 1


def test_a_charge_is_captured_in_the_name_of_who_typed_it(billing: Billing, till: Counter) -> None:
    charge_id = till.charge(idempotency_key="order-1", capture="manual", amount=1000)["id"]
    asked = billing("charge", "capture", charge_id, "--amount", "400", "--more", "--json")
    assert (asked.code, asked.json["phase"], asked.json["amount_capturable"]) == (0, "queued", 1000)
    told = billing("explain", "order-1").out
    assert "capture → requested" in told
    assert getpass.getuser() in told
    refused = billing("charge", "capture", charge_id)
    assert refused.code == 1
    assert "another capture of this charge is under way" in refused.err
    assert "no disputes" in billing("dispute", "list", "--charge", charge_id).err
    assert billing("dispute", "get", "dp_" + "a" * 32).code == 1


def test_people_see_amounts_and_states_as_they_say_them(billing: Billing) -> None:
    a_charge(billing)
    shown = billing("charge", "get", id_from_key("charge", producer="default", key="order-1"))
    assert "19.99 USD" in shown.out
    assert "pending (queued)" in shown.out
    assert "None" not in shown.out
    listed = billing("charge", "list")
    assert "19.99 USD" in listed.out
    assert "1999" not in listed.out


def test_a_decimal_amount_is_refused_with_its_fix(billing: Billing) -> None:
    refused = billing("charge", "create", "--amount", "19.99", "--currency", "USD")
    assert refused.code == 1
    assert refused.err == (
        "--amount must be a whole number of minor units, not the decimal 19.99; "
        "for USD 19.99 send --amount 1999 [invalid_request: amount]\n"
    )


@every("digits", [16, 19, 20, 31, 5000])
def test_an_amount_of_any_length_hears_of_the_limit(billing: Billing, digits: int) -> None:
    typed = "1" + "0" * (digits - 1)
    refused = billing("charge", "create", "--amount", typed, "--currency", "USD")
    assert refused.code == 1
    assert "amount must be at most 999999999999999 minor units" in refused.err


def test_leading_zeros_make_no_amount_larger(billing: Billing) -> None:
    made = billing("charge", "create", "--amount", "0" * 40 + "5", "--currency", "USD", "--json")
    assert made.json["amount"] == 5


def test_a_key_is_found_whosever_it_is(billing: Billing, till: Counter) -> None:
    till.charge(idempotency_key="order-1", producer="shop")
    for whose in ((), ("--producer", "shop")):
        assert "the producer 'shop'" in billing("explain", "order-1", *whose).out
    told = billing("explain", "order-1", "--producer", "other")
    assert (told.code, "of the producer 'other'" in told.err) == (1, True)


def test_a_placeholder_that_was_pasted_writes_nothing(billing: Billing) -> None:
    for pasted in ("ch_…", "ch_x", "order-1"):
        told = billing("refund", "create", pasted, "--key", "order-1-refund")
        assert (told.code, "not the id of a charge" in told.err) == (2, True)
    assert billing("refund", "list", "--json").json == []


def test_metadata_given_twice_is_not_guessed(billing: Billing) -> None:
    twice = ("--metadata", "cart=1", "--metadata", "cart=2")
    told = billing("charge", "create", "--amount", "5", "--currency", "USD", *twice)
    assert told.code == 2
    assert "'cart' is given twice" in told.err


@every(
    "arguments",
    [
        ("charge", "create", "--amount", "5"),
        ("charge", "get"),
        ("charge", "list", "--limit", "0"),
        ("charge", "list", "--created-after", "yesterday"),
        ("charge", "steal"),
        ("charge", "create", "--amount", "5", "--currency", "USD", "--metadata", "x"),
        ("resolve", "ch_x", "maybe", "--why", "x"),
        ("resolve", "ch_x", "failed"),
        ("endpoint", "add"),
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2(billing: Billing, arguments: tuple[str, ...]) -> None:
    answer = billing(*arguments)
    assert answer.code == 2
    assert answer.out == ""
    assert "Traceback" not in answer.err


@every(
    "arguments, code",
    [
        (("charge", "get", "ch_x"), "not_found"),
        (("refund", "get", "re_x"), "not_found"),
        (("charge", "list", "--state", "done"), "invalid_request"),
        (("refund", "create", CHARGE_ID), "not_found"),
        (("refund", "create", CHARGE_ID, "--if-pending", "reject"), "not_found"),
        (("explain", "nobody"), "not_found"),
        (("resolve", "ch_x", "failed", "--why", "x"), "not_found"),
        (("resolve", "order-1", "failed", "--why", "x"), "invalid_request"),
        (("endpoint", "add", "ftp://example.com"), "invalid_request"),
        (("endpoint", "enable", "we_x"), "not_found"),
        (("sandbox", "complete", "ch_x"), "not_found"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value,
)
def test_what_is_refused_ends_with_1_and_one_line(
    billing: Billing, arguments: tuple[str, ...], code: str
) -> None:
    told = billing(*arguments)
    assert (told.code, told.out) == (1, "")
    assert told.err.count("\n") == 1
    assert f"[{code}" in told.err
    assert billing(*arguments, "--json").error["code"] == code


def test_a_database_that_is_away_is_said_in_one_line(
    billing: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BILLING_DATABASE_URL", "postgresql://u:hunter2@127.0.0.1:1/none")
    told = billing("charge", "list")
    assert told.code == 1
    assert "the database does not answer" in told.err
    assert "hunter2" not in told.err
    assert "Traceback" not in told.err


def test_a_database_that_does_not_exist_is_named(
    billing: Billing, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    url = make_url(database_url)
    nowhere = url.set(database="nowhere").render_as_string(hide_password=False)
    monkeypatch.setenv("BILLING_DATABASE_URL", nowhere)
    told = billing("charge", "list")
    assert (told.code, told.err.count("\n")) == (1, 1)
    assert f'"{url.host}", port {url.port} failed: database "nowhere" does not exist' in told.err


@pytest.mark.parametrize("arguments", [("verify",), ("charge", "list"), ("endpoint", "list")])
def test_a_database_without_tables_is_told_to_be_migrated(
    billing: Billing,
    monkeypatch: pytest.MonkeyPatch,
    empty_database_url: str,
    arguments: tuple[str, ...],
) -> None:
    monkeypatch.setenv("BILLING_DATABASE_URL", empty_database_url)
    told = billing(*arguments)
    assert told.code == 1
    assert re.fullmatch(
        r"the database lacks \d+ migrations?: run `billing migrate` \[database_behind\]\n", told.err
    )


def test_refunds_are_created_and_listed(billing: Billing, till: Counter) -> None:
    charge = till.charge(amount=1000, currency="KWD")
    made = billing("refund", "create", charge["id"], "--amount", "250", "--key", "r", "--json")
    assert made.json["refund_id"] == id_from_key("refund", producer="default", key="r")
    till.go_on(made.json["refund_id"])
    listed = billing("refund", "list", "--charge", charge["id"])
    assert "0.250 KWD" in listed.out
    assert "succeeded" in listed.out
    shown = billing("refund", "get", made.json["refund_id"], "--json").json
    assert (shown["state"], shown["amount"]) == ("succeeded", 250)


def test_waiting_shows_the_end_and_fails_with_a_failed_charge(
    billing: Billing, programs: Programs
) -> None:
    programs.start_all("worker", "beat")
    paid = a_charge(billing, "--payment-method", "pm_card_visa", "--wait", "60")
    assert paid["state"] == "succeeded"
    declined = billing(
        "charge", "create", "--amount", "5", "--currency", "EUR", "--json", "--wait", "60",
        "--payment-method", "pm_card_chargeDeclinedInsufficientFunds",
    )  # fmt: skip
    assert declined.code == 1
    assert declined.json["state"] == "failed"
    assert declined.error["code"] == "insufficient_funds"


def test_waiting_in_vain_says_so(billing: Billing) -> None:
    told = billing(
        "charge", "create", "--amount", "5", "--currency", "EUR", "--json", "--wait", "0.1"
    )
    assert told.code == 1
    assert told.json["state"] == "pending"
    assert told.error["code"] == "still_pending"


def test_lists_are_whole_and_well_formed(billing: Billing, till: Counter) -> None:
    assert billing("charge", "list", "--json").json == []
    assert billing("charge", "list").err == "no charges\n"
    for n in range(3):
        till.charge(customer_id="cus_1", reference=f"R{n}")
    assert [c["reference"] for c in billing("charge", "list", "--json").json] == ["R2", "R1", "R0"]
    assert len(billing("charge", "list", "--json", "--limit", "2").json) == 2
    assert len(billing("charge", "list", "--reference", "R1", "--json").json) == 1
    assert billing("charge", "list", "--created-before", "2020-01-01", "--json").json == []
    assert billing("charge", "list", "--customer", "cus_2", "--json").json == []


def test_hundreds_of_charges_come_in_parts_and_none_is_missing(
    billing: Billing, till: Counter
) -> None:
    till.charge(idempotency_key="0")
    till.query(
        "INSERT INTO charges SELECT (json_populate_record(c, json_build_object("
        "'id', 'ch_' || lpad(translate(n::text, '0189', 'abcd'), 32, 'z'),"
        " 'idempotency_key', n::text))).* FROM charges c,"
        " generate_series(1, 249) n"
    )
    listed = billing("charge", "list", "--json", "--limit", "1000").json
    assert {charge["idempotency_key"] for charge in listed} == {str(n) for n in range(250)}
    table = billing("charge", "list", "--limit", "1000").out
    assert sum(line.startswith("ch_") for line in table.splitlines()) == 250


def test_a_secret_is_shown_once(billing: Billing) -> None:
    made = billing("endpoint", "add", "https://127.0.0.1:9/hook", "--event", "charge.failed")
    assert made.code == 0
    assert made.out.count("whsec_") == 1
    listed = billing("endpoint", "list")
    assert "https://127.0.0.1:9/hook" in listed.out
    assert "whsec_" not in listed.out
    (endpoint,) = billing("endpoint", "list", "--json").json
    assert endpoint["event_types"] == ["charge.failed"]
    assert endpoint["object"] == "webhook_endpoint"
    assert not [name for name in endpoint if "secret" in name]
    assert billing("endpoint", "disable", endpoint["id"], "--json").json["state"] == "disabled"
    assert billing("endpoint", "enable", endpoint["id"], "--json").json["state"] == "enabled"


def test_a_story_is_told(billing: Billing, till: Counter) -> None:
    charge = till.charge(idempotency_key="order-1")
    told = billing("explain", "order-1")
    assert told.out.startswith(f"{charge['id']}\n  20")
    assert "now succeeded" in told.out
    entries = billing("explain", charge["id"], "--json").json
    assert [entry["what"] for entry in entries][:2] == ["request", "movement"]


def test_a_person_resolves_in_their_own_name(billing: Billing, till: Counter) -> None:
    charge = till.charge(payment_method_id="pm_sandbox_timeout_before")
    till.query("UPDATE charges SET phase = 'needs_review', next_attempt_at = NULL")
    resolved = billing("resolve", charge["id"], "failed", "--why", "not at the bank", "--json")
    assert (resolved.json["state"], resolved.json["failure_code"]) == ("failed", "resolved_failed")
    story = billing("explain", charge["id"]).out
    assert f"resolve → failed, by {getpass.getuser()}: not at the bank" in story
    again = billing("resolve", charge["id"], "retry", "--why", "x", "--who", "ada")
    assert again.code == 1
    assert "only what needs review can be resolved [move_not_allowed]" in again.err


def test_waiting_ends_when_a_person_is_needed(billing: Billing, till: Counter) -> None:
    key = billing("charge", "create", "--amount", "5", "--currency", "USD", "--json")
    till.query("UPDATE charges SET phase = 'needs_review', next_attempt_at = NULL")
    told = billing(
        "charge", "create", "--amount", "5", "--currency", "USD", "--wait", "60", "--json",
        "--key", key.json["idempotency_key"],
    )  # fmt: skip
    assert (told.code, told.error["code"]) == (1, "needs_review")
    assert "billing resolve" in told.error["detail"]


def test_what_needs_review_is_found(billing: Billing, till: Counter) -> None:
    charge = till.charge(payment_method_id="pm_sandbox_timeout_before", idempotency_key="a")
    till.query("UPDATE charges SET phase = 'needs_review', next_attempt_at = NULL")
    a_charge(billing, key="another")
    (found,) = billing("charge", "list", "--phase", "needs_review", "--json").json
    assert found["charge_id"] == charge["id"]
    assert billing("refund", "list", "--phase", "needs_review", "--json").json == []
    assert "phase must be one of queued, in_flight" in billing("charge", "list", "--phase", "x").err


def test_verify_ends_with_0_or_1(billing: Billing, till: Counter) -> None:
    till.charge()
    sound = billing("verify")
    assert sound.code == 0
    assert "all promises are kept" in sound.out
    till.query("DELETE FROM sandbox_ledger")
    broken = billing("verify")
    assert broken.code == 1
    assert "BROKEN: Money moved exactly once per succeeded charge" in broken.out
    found = billing("verify", "--json")
    assert found.code == 1
    assert found.json["sound"] is False
    names = {one["name"] for one in found.json["findings"] if not one["kept"]}
    assert names == {
        "charges moved money once",
        "money adds up",
        "the ledger is what processors say",
    }


def test_warnings_of_verify_are_shown_and_fail_nothing(billing: Billing, till: Counter) -> None:
    till.charge(payment_method_id="pm_sandbox_requires_action")
    till.query("UPDATE charges SET next_attempt_at = now() - interval '5 min'")
    told = billing("verify")
    assert told.code == 0
    assert "look: What is due is taken up soon." in told.out


@pytest.mark.parametrize(("verb", "state"), [("complete", "succeeded"), ("decline", "failed")])
def test_the_sandboxes_customer_can_be_played(
    billing: Billing, till: Counter, verb: str, state: str
) -> None:
    charge = till.charge(payment_method_id="pm_sandbox_requires_action")
    assert charge["phase"] == "awaiting_customer"
    assert billing("sandbox", verb, charge["id"]).code == 0
    till.hear_reports()
    assert billing("charge", "get", charge["id"], "--json").json["state"] == state
    again = billing("sandbox", verb, charge["id"])
    assert again.code == 1
    assert "[move_not_allowed" in again.err


def test_with_the_broker_away_a_charge_is_accepted_all_the_same(
    programs: Programs, till: Counter
) -> None:
    programs.environ["BILLING_BROKER_URL"] = "redis://127.0.0.1:1/0"
    done = programs.run("charge", "create", "--amount", "5", "--currency", "USD", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == "pending"
    assert "the sweep will wake them" in done.stderr
    assert len(till.query("SELECT id FROM charges")) == 1


def test_the_version_is_told_and_no_help_is_cut(billing: Billing) -> None:
    assert billing("--version").out == f"billing {__version__}\n"
    lines = billing("--help").out.splitlines()
    assert not [line for line in lines if line.startswith("  ") and line.endswith("...")]

"""What a person does at the command line leaves a row that says so, whatever the command."""

import getpass
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from sqlalchemy import Engine

import cli
from payments.intake import rejections
from payments.intake.quarantine import OF_A_BUG, KeptRequest
from tests.support.approvals import an_approval
from tests.support.command import Answer, Billing
from tests.support.counter import Counter, counter
from tests.support.reconciling import an_hour_passes, lately
from tests.support.webhooks import an_endpoint, rows

# What changes nothing that is kept, or nothing of ours.
READS = {
    "approval list", "audit list", "charge get", "charge list", "currency list", "delivery list",
    "delivery show", "dispute get", "dispute list", "doctor", "find", "endpoint check",
    "endpoint list", "explain",
    "healthcheck", "price get", "price list", "price quote", "product get", "product list",
    "quarantine list",
    "quarantine show", "refund get", "refund list", "rejected list", "url", "verify", "keys list",
    "keys development", "keys encryption", "export charges", "export disputes", "export ledger",
    "export refunds", "ledger balance", "ledger seals", "ledger show", "report day",
    "report month",
}  # fmt: skip
OTHERS = {
    "up": "starts processes",
    "run": "becomes a process",
    "demo": "has a database of its own",
    "mcp": "acts only where it is allowed to, as tests/integration/test_agent_door.py proves",
    "migrate": "changes tables, not rows",
    "ledger fill": "posts what was there before the ledger, as a sweep does",
    "queues mend": "mends queues at the broker",
    "sandbox complete": "plays the customer, in the sandbox's tables",
    "sandbox decline": "likewise",
    "stripe-door": "is a stand-in for Stripe",
}


@dataclass
class Shop:
    """What there is to act on."""

    till: Counter
    engine: Engine
    billing: Billing
    folder: Path

    def charge(self, **fields: Any) -> str:
        return str(self.till.charge(**fields)["id"])

    def pending(self) -> str:
        made = self.billing_json("charge", "create", "--amount", "5", "--currency", "USD")
        return str(made["charge_id"])

    def billing_json(self, *arguments: str) -> Any:
        answer = self.billing(*arguments, "--json")
        assert answer.code == 0, answer.err
        return answer.json

    def in_review(self) -> str:
        id_ = self.charge(payment_method_id="pm_sandbox_lost")
        self.till.query(
            "UPDATE charges SET phase = 'needs_review', next_attempt_at = NULL WHERE id = :id"
            " RETURNING id",
            id=id_,
        )
        return id_

    def product(self) -> str:
        return str(self.billing_json("product", "create", "Tea")["id"])

    def price(self) -> str:
        return str(self.till.price(quantity_available=5)["id"])

    def endpoint(self) -> str:
        return an_endpoint(self.engine, "http://127.0.0.1:9/hook").id

    def delivery(self) -> str:
        self.billing_json("endpoint", "ping", endpoint := self.endpoint())
        return str(self.billing_json("delivery", "list", endpoint)[0]["id"])

    def message(self, *, is_request: bool) -> str:
        fields = {"amount": 1, "currency": "USD", "producer": "shop"}
        raw = KeptRequest("billing.charge.create", "t-1", fields).written()
        with self.till.database.transaction() as transaction:
            rejections.quarantine(
                transaction,
                raw if is_request else b"gibberish",
                queue="payments",
                reason=f"{OF_A_BUG}ZeroDivisionError" if is_request else "no [args] in it",
                headers=None,
            )
        (row,) = self.till.query("SELECT max(id) AS id FROM quarantined_messages")
        return str(row["id"])

    def approval(self) -> str:
        return an_approval(self.engine, self.charge())

    def file(self, line: Mapping[str, object]) -> str:
        path = self.folder / "lines.jsonl"
        path.write_text(json.dumps(line) + "\n")
        return str(path)


@pytest.fixture
def shop(engine: Engine, billing: Billing, tmp_path: Path) -> Iterator[Shop]:
    with counter(engine) as till:
        yield Shop(till, engine, billing, tmp_path)


def lost_report(shop: Shop) -> tuple[str, ...]:
    """A charge whose money has moved, as the processor alone knows."""
    shop.charge(payment_method_id="pm_sandbox_timeout_after")
    an_hour_passes(shop.engine)
    return (*lately(), "--apply")


def authorized(shop: Shop) -> str:
    return shop.charge(capture="manual")


# For each command: its arguments, and the action.
Arguments = Callable[[Shop], tuple[str, ...]]
WRITES: Mapping[str, tuple[Arguments, str]] = {
    "charge create": (lambda _: ("--amount", "5", "--currency", "USD"), "charge.create"),
    "charge capture": (lambda shop: (authorized(shop),), "charge.capture"),
    "charge cancel": (lambda shop: (shop.pending(),), "charge.cancel"),
    "charge import": (
        lambda shop: (shop.file({"amount": 5, "currency": "USD"}),),
        "charge.create",
    ),
    "refund create": (lambda shop: (shop.charge(),), "refund.create"),
    "refund import": (
        lambda shop: (shop.file({"charge_id": shop.charge()}),),
        "refund.create",
    ),
    "resolve": (lambda shop: (shop.in_review(), "failed"), "charge.resolve"),
    "approval approve": (lambda shop: (shop.approval(),), "approval.approve"),
    "approval reject": (lambda shop: (shop.approval(),), "approval.reject"),
    "product create": (lambda _: ("Tea",), "product.create"),
    "product update": (lambda shop: (shop.product(), "--name", "Coffee"), "product.update"),
    "product archive": (lambda shop: (shop.product(),), "product.archive"),
    "product delete": (lambda shop: (shop.product(),), "product.delete"),
    "price create": (
        lambda shop: ("--product", shop.product(), "--currency", "USD", "--unit-amount", "5"),
        "price.create",
    ),
    "price update": (lambda shop: (shop.price(), "--nickname", "cheap"), "price.update"),
    "price archive": (lambda shop: (shop.price(),), "price.archive"),
    "price delete": (lambda shop: (shop.price(),), "price.delete"),
    "price inventory": (lambda shop: (shop.price(), "--increment", "2"), "price.inventory"),
    "endpoint add": (lambda _: ("http://127.0.0.1:9/hook",), "endpoint.create"),
    "endpoint update": (
        lambda shop: (shop.endpoint(), "--description", "theirs"),
        "endpoint.update",
    ),
    "endpoint enable": (lambda shop: (shop.endpoint(),), "endpoint.enable"),
    "endpoint disable": (lambda shop: (shop.endpoint(),), "endpoint.disable"),
    "endpoint rotate": (lambda shop: (shop.endpoint(),), "endpoint.rotate_secret"),
    "endpoint ping": (lambda shop: (shop.endpoint(),), "endpoint.ping"),
    "endpoint delete": (lambda shop: (shop.endpoint(),), "endpoint.delete"),
    "delivery retry": (lambda shop: (shop.delivery(),), "delivery.retry"),
    "webhook replay": (
        lambda shop: (shop.endpoint(), "--since", "2026-01-01"),
        "endpoint.replay",
    ),
    "keys create": (lambda _: ("shop",), "key.create"),
    "keys revoke": (
        lambda shop: (shop.billing_json("keys", "create", "shop")["id"],),
        "key.revoke",
    ),
    "erase customer": (
        lambda shop: (str(shop.till.charge(customer_id="cus_1")["customer_id"]), "--yes"),
        "charge.erase",
    ),
    "erase charge": (
        lambda shop: (str(shop.till.charge(customer_id="cus_1")["id"]), "--yes"),
        "charge.erase",
    ),
    "quarantine release": (lambda shop: (shop.message(is_request=True),), "message.release"),
    "quarantine dismiss": (lambda shop: (shop.message(is_request=False),), "message.dismiss"),
    "reconcile": (lost_report, "charge.repair"),
}


def commands(group: typer.Typer, *path: str) -> Iterator[str]:
    for one in group.registered_commands:
        yield " ".join((*path, one.name or one.callback.__name__))  # type: ignore[union-attr]
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        yield from commands(inner.typer_instance, *path, str(inner.name))


def test_every_command_is_known_here() -> None:
    assert sorted(commands(cli.make())) == sorted([*READS, *OTHERS, *WRITES])


@pytest.mark.parametrize("command", WRITES)
def test_it_leaves_a_row_with_who_did_it_and_why(shop: Shop, command: str) -> None:
    arguments, action = WRITES[command]
    typed = arguments(shop)
    before = {row["id"] for row in rows(shop.engine, "SELECT id FROM audit_log")}
    said = ("--as", "ada", "--why", "ticket 12")
    answer: Answer = shop.billing(*command.split(), *typed, *said)
    assert answer.code == 0 or command == "reconcile", answer.err
    new = [row for row in rows(shop.engine, "SELECT * FROM audit_log") if row["id"] not in before]
    (row,) = [row for row in new if row["action"] == action]
    assert (row["actor"], row["actor_kind"], row["door"]) == ("ada", "person", "command")
    assert row["account"] == getpass.getuser()
    assert row["reason"] == "ticket 12"
    assert "cus_1" not in str(row)


def test_without_a_name_it_is_the_account_that_types(shop: Shop) -> None:
    shop.billing_json("product", "create", "Tea")
    (row,) = rows(shop.engine, "SELECT * FROM audit_log WHERE action = 'product.create'")
    assert row["actor"] == row["account"] == getpass.getuser()
    assert row["reason"] is None


@pytest.mark.parametrize("said", [("--who", " "), ("--why", "4242 4242 4242 4242")])
def test_what_must_not_stay_for_ever_is_refused(shop: Shop, said: tuple[str, str]) -> None:
    answer = shop.billing("product", "create", "Tea", *said)
    assert answer.code == 1
    assert said[0] in answer.err
    assert rows(shop.engine, "SELECT * FROM products") == []


def test_the_list_tells_who_what_and_why(shop: Shop) -> None:
    endpoint = shop.endpoint()
    shop.billing("endpoint", "disable", endpoint, "--as", "ada", "--why", "they moved")
    shop.billing("endpoint", "enable", endpoint, "--as", "bob")
    found = shop.billing_json("audit", "list", "--object", endpoint)
    assert [one["action"] for one in found] == [
        "endpoint.enable", "endpoint.disable", "endpoint.create",
    ]  # fmt: skip
    (told,) = shop.billing_json("audit", "list", "--actor", "ada", "--action", "endpoint.disable")
    assert told["before"] == {"state": "enabled"}
    assert told["after"] == {"state": "disabled"}
    assert told["reason"] == "they moved"
    table = shop.billing("audit", "list", "--limit", "1")
    assert "bob" in table.out
    assert "state: disabled → enabled" in table.out
    assert "there are more than these 1" in table.err

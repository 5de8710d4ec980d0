"""Whatever is typed, every command ends with 0, 1 or 2, and never with a traceback."""

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

import cli
from cli.operating import stripe_door
from infra.billing.contract.ids import event_id, id_from_key
from tests.support.command import Billing
from tests.support.counter import counter
from tests.support.webhooks import an_endpoint, events_happen, rows

# They start servers, or look at them for seconds, and take nothing that one could get wrong.
NOT_HERE = {"up", "run", "demo", "doctor"}
KEY = "order-1"
# What has hurt somebody: numbers beyond any type, what reads as an option, what terminals obey.
NASTY = [
    "", " ", "-", "--", "--json", "-h", "--help", "0", "-1", "+5", "00", "1e9", "1_000", "٣", "²",
    "9" * 30, "9" * 5_000, "-" + "9" * 40, "1.5", "19.99", "nan", "inf", "-inf", "1e999", "0x10",
    "true", "null", "None", "[]", "{}", "%s", "%(x)s", "{0}", "$(id)", "`id`", "' OR 1=1 --", "\\",
    "a=b", "=", "a=", "=b", "é", "e\u0301", "\u202e", "\u200b", "🎉", "\ufffe", "\x01", "\x1b[31m",
    "\r\n", "\t", "\x7f", "\x85", "\udcff", "a\udc80b", "x" * 300, "x" * 70_000, "../../etc/passwd",
    "/dev/zero", "/dev/null", ".", "/", "~", "file.csv", "[bold]x[/bold]", "[/]", "ch_", "re_",
    "we_", "evt_", "rej_", "key_", "ch_" + "a" * 32, "we_" + "a" * 32, "evt_" + "7" * 32,
    "key_" + "a" * 16, "key_" + "a" * 16 + "_" + "b" * 52, "0001-01-01", "9999-12-31T23:59:59",
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-12:00", "2026-W01-1", "20260101",
    "http://", "https://[", "https://[::1]:0/", "https://x:99999999999/", "https://a@b/", "ftp://x",
    "https://127.0.0.1/#x", "https://xn--/", "https://" + "a" * 300 + ".com/", "USD", "usd", "XXX",
    "price_" + "a" * 32, "prod_", "cur_usd", "cur_", "5:7", "5:7:1", "inf:1", "::", "1:2:3:4",
    "pending", "needs_review", "charge.succeeded", "ping", "undelivered", "all", "read", "failed",
    "month",
]  # fmt: skip
GOOD = ["5", "USD", "x"]
# A command that waits does so only for a moment here.
WAITS = ["0", "0.01", "-1", "nan", "inf", "1e999", "soon", "", "\udcff", "86401"]


def commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with the words that call it."""

    def below(words: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
        if hasattr(command, "commands"):
            for name, inner in command.commands.items():
                yield from below((*words, name), inner)
        elif words[0] not in NOT_HERE:
            yield words, command

    yield from below((), typer.main.get_command(cli.make()))


COMMANDS = dict(commands())


@pytest.fixture
def ids(engine: Engine) -> list[str]:
    """What there is to speak of."""
    with counter(engine) as till:
        charge = till.charge(idempotency_key=KEY)
        review = till.charge(payment_method_id="pm_sandbox_lost")
        refund = till.refund(charge["id"], amount=1)
        price = till.price(lookup_key="tea", quantity_available=1_000)
        till.buy("tea", 1)
    rows(
        engine,
        "UPDATE charges SET phase = 'needs_review', next_attempt_at = NULL WHERE id = :id",
        id=review["id"],
    )
    rows(
        engine,
        "INSERT INTO quarantined_messages (queue, reason, sha256, size, raw)"
        " VALUES ('payments', 'x', 'x', 1, 'x')",
    )
    endpoint_id = an_endpoint(engine, "http://127.0.0.1:1/").id
    events_happen(engine, 2)
    made = [charge["id"], review["id"], refund["id"], endpoint_id, event_id(charge["id"], 1), "1"]
    assert made[0] == id_from_key("charge", producer="default", key=KEY)
    return [*made, price["id"], price["product_id"], "tea", KEY]


def arguments_of(command: click.Command, ids: list[str]) -> st.SearchStrategy[list[str]]:
    """A command line for it: some of its options, and about as many arguments as it takes."""
    hostile = st.one_of(
        st.sampled_from(ids), st.sampled_from(NASTY), st.text(max_size=20).filter(has_no_nul)
    )
    options: list[st.SearchStrategy[list[str]]] = [st.just(["--json"])]
    # Mostly there, so that what comes behind them is reached.
    required: list[st.SearchStrategy[list[str]]] = []
    places = 0
    for one in command.params:
        if isinstance(one, click.Argument) or one.param_type_name == "argument":
            places += 1
            continue
        name = max(one.opts, key=len)
        if getattr(one, "is_flag", False):
            options.append(st.just([name]))
        else:
            value = st.sampled_from(WAITS) if name == "--wait" else hostile
            apart = value.map(lambda typed, name=name: [name, typed])
            joined = value.map(lambda typed, name=name: [f"{name}={typed}"])
            options += [apart, joined]
            if one.required:
                good = st.sampled_from(GOOD).map(lambda typed, name=name: [name, typed])
                required.append(st.one_of(good, good, joined))
    some = st.lists(st.one_of(options), max_size=5).map(lambda parts: [x for p in parts for x in p])
    given_places = st.lists(hostile, min_size=places, max_size=places)
    return st.builds(
        lambda first, rest, must, dashes: [
            *(word for words in must for word in words),
            *rest,
            *(["--"] if dashes else []),
            *first,
        ],
        st.one_of(given_places, given_places, st.lists(hostile, max_size=places + 1)),
        some,
        st.tuples(*required),
        st.booleans(),
    )


def at_once() -> asyncio.Event:
    """A server is asked to stop as soon as it has started."""
    stopping = asyncio.Event()
    stopping.set()
    return stopping


def has_no_nul(text: str) -> bool:
    return "\x00" not in text  # the system hands over none


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_whatever_is_typed_ends_with_a_code_and_without_a_traceback(
    billing: Billing,
    ids: list[str],
    words: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(stripe_door, "_asked_to_stop", at_once)
    (folder / "file.csv").write_text("amount,currency\n5,USD\n0,USD\n")

    @settings(
        max_examples=30,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(arguments=arguments_of(COMMANDS[words], ids))
    def type_it(arguments: list[str]) -> None:
        # Who serves on it finds that nobody is there any more.
        with Path(os.devnull).open() as nobody, monkeypatch.context() as patched:
            patched.setattr(sys, "stdin", nobody)
            told = billing(*words, *arguments)
        assert told.code in (0, 1, 2), told
        assert "Traceback" not in told.err
        if told.code == 1 and "--json" in arguments and "--" not in arguments:
            assert told.error["detail"]

    type_it()


def test_arguments_are_in_capitals_in_every_usage(billing: Billing) -> None:
    for words, command in COMMANDS.items():
        told = billing(*words, "--help").out
        usage = " ".join(told.partition("\n\n")[0].split())
        arguments = (one for one in command.params if one.param_type_name == "argument")
        asked = {one.name.strip("_").upper(): one.required for one in arguments if one.name}
        names = [name if is_needed else f"[{name}]" for name, is_needed in asked.items()]
        assert usage == " ".join(["Usage: billing", *words, "[OPTIONS]", *names])
        assert all(f"\n  {name} <" in told for name in asked), told


@pytest.mark.parametrize("words", [(), ("charge",), ("nonsense",), ("charge", "nonsense")])
@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rest=st.lists(st.sampled_from(NASTY), max_size=3))
def test_what_is_no_command_is_wrong_usage(
    billing: Billing, words: tuple[str, ...], rest: list[str]
) -> None:
    told = billing(*words, *rest)
    assert told.code in (0, 2)
    assert "Traceback" not in told.err

"""What of the cluster's trial needs no cluster: its files, its clock, and its witness."""

import json
from dataclasses import replace
from pathlib import Path
from string import Template

import pytest
import yaml

from tests.cluster import network, programs, trial, witness
from tests.cluster.journal import Heard, Journal, Promise, Wish
from tests.cluster.measure import accepting_again_s, longest_silence_s, overdue
from tests.cluster.witness import Evidence
from tests.support.every import every

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VALUES = programs.values(1, "/var/lib/cluster", programs.Secrets(), postgres=15)
TIMES = [0.0, 0.2, 0.4, 9.0, 9.2, 9.4, 15.0, 15.2]


def test_the_last_silence_that_a_fault_made_tells_when_it_was_over() -> None:
    assert accepting_again_s(TIMES, began=0.3, ended=20.0) == pytest.approx(14.7)
    assert accepting_again_s(TIMES, began=0.3, ended=9.3) == pytest.approx(8.7)


def test_who_never_noticed_has_waited_for_nothing() -> None:
    assert accepting_again_s(TIMES, began=9.1, ended=9.3) == 0
    assert accepting_again_s([], began=1.0, ended=2.0) == 0


def test_the_longest_silence_of_a_time_is_found() -> None:
    assert longest_silence_s(TIMES, began=9.0, ended=20.0) == pytest.approx(5.6)
    assert longest_silence_s([], began=1.0, ended=2.0) == 0


def test_what_is_not_done_in_its_time_is_overdue() -> None:
    born = {"old": 1.0, "done": 1.0, "new": 8.0}
    assert overdue(born, ["done"], now=10.0, due_s=5.0) == {"old"}


@every("name", ["etcd.yml", "patroni.yml"])
def test_a_file_to_copy_is_valid_once_it_is_filled_in(name: str) -> None:
    found = yaml.safe_load(programs.filled_in(VALUES)[name])
    assert found["name"] == "node1"


def test_every_name_in_the_files_to_copy_has_a_value_that_is_used() -> None:
    texts = [path.read_text() for path in programs.DEPLOY.iterdir()]
    named = {name for text in texts for name in Template(text).get_identifiers()}
    assert named == set(VALUES)


def test_the_bound_is_made_of_what_is_set() -> None:
    dcs = yaml.safe_load(programs.filled_in(VALUES)["patroni.yml"])["bootstrap"]["dcs"]
    assert (dcs["ttl"], dcs["loop_wait"]) == (trial.TTL_S, trial.LOOP_WAIT_S)
    assert dcs["loop_wait"] + 2 * dcs["retry_timeout"] <= dcs["ttl"]  # as Patroni demands
    assert dcs["synchronous_mode"] == "quorum"
    assert dcs["synchronous_mode_strict"] is True


def test_all_urls_name_all_machines() -> None:
    passwords = programs.Secrets()
    for url in (programs.database_url(passwords), programs.broker_url(passwords)):
        assert all(network.address(number) in url for number in network.NUMBERS)


def heard(type_: str, id_: str) -> Heard:
    kind = type_.partition(".")[0]
    body = json.dumps({"type": type_, "data": {f"{kind}_id": id_}})
    headers = {"webhook-id": f"evt_{id_}", "webhook-timestamp": "1"}
    unsigned = Heard(headers, body, 3.0)
    signed = {**headers, "webhook-signature": witness.signature(SECRET, unsigned)}
    return replace(unsigned, headers=signed)


def row(id_: str, state: str, amount: int) -> dict[str, object]:
    return {"id": id_, "state": state, "phase": None, "amount": amount}


HONEST = Evidence(
    entries=[
        Wish("one", "charge", {"amount": 500}, 1.0),
        Wish("two", "charge", {"amount": 700}, 1.0),
        Promise("one", "ch_1", 1, 2.0),
        Promise("two", "ch_2", 2, 2.0),
        heard("charge.succeeded", "ch_1"),
        heard("charge.failed", "ch_2"),
    ],
    rows={"ch_1": row("ch_1", "succeeded", 500), "ch_2": row("ch_2", "failed", 700)},
    moved=[{"object_id": "ch_1", "amount": 500}],
    secret=SECRET,
)
LOST, TWICE = "nothing accepted is lost", "nothing moves twice"
TOLD, SIGNED = "every webhook arrived", "every webhook is signed"
LIES = {
    "a row is gone": (replace(HONEST, rows={"ch_2": HONEST.rows["ch_2"]}), LOST),
    "a row is pending": (
        replace(HONEST, rows={**HONEST.rows, "ch_1": row("ch_1", "pending", 500)}),
        LOST,
    ),
    "a row is of another amount": (
        replace(HONEST, rows={**HONEST.rows, "ch_1": row("ch_1", "succeeded", 501)}),
        LOST,
    ),
    "a wish was never accepted": (replace(HONEST, entries=HONEST.entries[:3]), LOST),
    "a key has two ids": (
        replace(HONEST, entries=[*HONEST.entries, Promise("one", "ch_2", 1, 2.0)]),
        LOST,
    ),
    "money moved twice": (replace(HONEST, moved=[*HONEST.moved, *HONEST.moved]), TWICE),
    "money never moved": (replace(HONEST, moved=[]), TWICE),
    "money moved for nobody": (
        replace(HONEST, moved=[*HONEST.moved, {"object_id": "ch_9", "amount": 1}]),
        TWICE,
    ),
    "a webhook is missing": (replace(HONEST, entries=HONEST.entries[:-1]), TOLD),
    "a webhook says the opposite": (
        replace(HONEST, entries=[*HONEST.entries[:-1], heard("charge.succeeded", "ch_2")]),
        TOLD,
    ),
    "a webhook is forged": (replace(HONEST, secret="whsec_AAAA"), SIGNED),
}


def test_the_witness_believes_who_is_honest() -> None:
    assert witness.findings(HONEST) == []
    assert witness.sums(HONEST)["charges"] == 2


@every("lie", LIES)
def test_the_witness_finds_a_lie(lie: str) -> None:
    evidence, promise = LIES[lie]
    assert any(found.startswith(promise) for found in witness.findings(evidence))


def test_a_journal_knows_what_has_been_promised_and_heard(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    for entry in HONEST.entries[:5]:
        journal.write(entry)
    journal.close()
    assert journal.done() == ["one"]
    assert len((tmp_path / "journal.jsonl").read_text().splitlines()) == 5

"""Secrets of endpoints: sealed in the database, resealed by a sweep, of no use without a key."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from infra.billing import webhook
from models.webhooks import WebhookEndpoint
from payments.access.vault import CantOpen, Vault, key_id_of
from payments.transaction import wakes_nothing
from payments.webhooks import sealed
from payments.webhooks.draining.drains import Drained
from payments.webhooks.sealed import Kept, Page
from service.settings import Settings
from service.wiring import services
from tests.support.acting import Database
from tests.support.command import Billing
from tests.support.programs import Programs
from tests.support.sink import Sink
from tests.support.vault import KEY, OLD_KEY, VAULT
from tests.support.webhooks import a_deliverer, an_endpoint, deliveries, events_happen, rows
from worker.sweeps.sweeping import Sweeper

OLD = Vault([OLD_KEY])
BOTH = Vault([KEY, OLD_KEY])
(CURRENT_ID,), (OLD_ID,) = VAULT.key_ids, OLD.key_ids


def kept(engine: Engine, endpoint_id: str) -> list[str]:
    found = rows(engine, "SELECT secrets FROM webhook_endpoints WHERE id = :id", id=endpoint_id)
    return list(found[0]["secrets"])


def keep(engine: Engine, endpoint_id: str, *secrets: str) -> None:
    rows(
        engine,
        "UPDATE webhook_endpoints SET secrets = :secrets WHERE id = :id",
        secrets=list(secrets),
        id=endpoint_id,
    )


def reseal(engine: Engine, vault: Vault = BOTH, **options: object) -> Page:
    with Database(engine).transaction() as transaction:
        return sealed.reseal(transaction, vault, **options)  # type: ignore[arg-type]


def under_the_old_key(engine: Engine, sink: Sink) -> WebhookEndpoint:
    endpoint = an_endpoint(engine, sink.url)
    keep(engine, endpoint.id, sealed.seal_secret(OLD, endpoint.id, endpoint.secrets[0]))
    return endpoint


def test_a_copy_of_the_database_signs_nothing(engine: Engine, sink: Sink) -> None:
    endpoint = an_endpoint(engine, sink.url)
    (secret,) = endpoint.secrets
    dump = str([dict(row) for row in rows(engine, "SELECT * FROM webhook_endpoints")])
    assert secret not in dump
    assert secret.removeprefix("whsec_") not in dump
    (there,) = kept(engine, endpoint.id)
    with pytest.raises(CantOpen):
        sealed.open_secret(OLD, endpoint.id, there)
    another = an_endpoint(engine, sink.url)
    with pytest.raises(CantOpen):  # who may write, can't give one endpoint the secret of another
        sealed.open_secret(VAULT, another.id, there)


def test_headers_are_sealed_by_their_names(engine: Engine) -> None:
    given = {"Authorization": "Bearer x", "x-tenant": "für uns"}
    there = sealed.seal_headers(VAULT, "we_1", given)
    assert there.keys() == given.keys()
    assert not set(given.values()) & set(there.values())
    assert sealed.open_headers(VAULT, "we_1", there) == given
    with pytest.raises(CantOpen):
        sealed.open_headers(VAULT, "we_1", {"x-tenant": there["Authorization"]})


def test_headers_are_sealed_anew_with_the_secrets(engine: Engine, sink: Sink) -> None:
    endpoint = under_the_old_key(engine, sink)
    there = {
        **sealed.seal_headers(VAULT, endpoint.id, {"x-one": "1"}),
        **sealed.seal_headers(OLD, endpoint.id, {"x-two": "2"}),
        "x-three": "3",
    }
    rows(
        engine,
        "UPDATE webhook_endpoints SET header_names = :names, header_values = :values",
        names=list(there),
        values=list(there.values()),
    )
    assert reseal(engine) == Page(1, [], None)
    (row,) = rows(engine, "SELECT header_names, header_values FROM webhook_endpoints")
    kept = dict(zip(row["header_names"], row["header_values"], strict=True))
    assert {key_id_of(one) for one in kept.values()} == {CURRENT_ID}
    assert sealed.open_headers(VAULT, endpoint.id, kept) == {
        "x-one": "1", "x-two": "2", "x-three": "3",
    }  # fmt: skip


def test_what_versions_before_kept_in_the_open_signs_and_is_sealed_by_the_sweep(
    engine: Engine, sink: Sink
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    keep(engine, endpoint.id, *endpoint.secrets, "whsec_b2xkZXI=")
    events_happen(engine, 2)
    with a_deliverer(engine) as deliverer:
        assert deliverer.drain(endpoint.id) == Drained(delivered=2)
        assert reseal(engine) == Page(1, [], None)
        events_happen(engine)
        assert deliverer.drain(endpoint.id) == Drained(delivered=1)
    assert [key_id_of(one) for one in kept(engine, endpoint.id)] == [CURRENT_ID] * 2
    for received in sink.requests:
        webhook.verify(received.body, received.headers, endpoint.secrets[0])
    assert reseal(engine) == Page(0, [], None)


def test_a_key_is_rotated_page_by_page_while_webhooks_go_out(engine: Engine, sink: Sink) -> None:
    made = [under_the_old_key(engine, sink) for _ in range(3)]
    first = reseal(engine, limit=2)
    assert first == Page(2, [], sorted(one.id for one in made)[1])
    with engine.connect() as connection:
        assert sorted(map(str, sealed.kept(connection))) == sorted(
            map(str, [Kept(CURRENT_ID, 2), Kept(OLD_ID, 1)])
        )
    assert reseal(engine, limit=2, after=first.last) == Page(1, [], None)
    events_happen(engine)
    with a_deliverer(engine) as deliverer:  # which knows the new key alone
        for endpoint in made:
            assert deliverer.drain(endpoint.id) == Drained(delivered=1)


def test_an_endpoint_that_somebody_holds_is_left_for_the_next_sweep(
    engine: Engine, sink: Sink
) -> None:
    held, free = under_the_old_key(engine, sink), under_the_old_key(engine, sink)
    with Database(engine).transaction() as transaction:
        assert sealed.reseal(transaction, OLD) == Page(0, [], None)
        with engine.begin() as other:
            other.exec_driver_sql(
                f"SELECT FROM webhook_endpoints WHERE id = '{held.id}' FOR UPDATE"
            )
            assert sealed.reseal(transaction, BOTH).resealed == 1
    assert key_id_of(kept(engine, free.id)[0]) == CURRENT_ID
    assert key_id_of(kept(engine, held.id)[0]) == OLD_ID


def test_without_its_key_nothing_is_sent_and_no_attempt_is_lost(engine: Engine, sink: Sink) -> None:
    endpoint = under_the_old_key(engine, sink)
    events_happen(engine)
    with a_deliverer(engine) as deliverer, pytest.raises(CantOpen, match=OLD_ID):
        deliverer.drain(endpoint.id)
    (page,) = [reseal(engine, VAULT)]
    assert (page.resealed, len(page.unreadable)) == (0, 1)
    (delivery,) = deliveries(engine)
    assert (delivery["state"], delivery["attempts"]) == ("pending", 0)
    (row,) = rows(engine, "SELECT drain_token FROM webhook_endpoints")
    assert row["drain_token"] is None
    with a_deliverer(engine, vault=BOTH) as deliverer:  # the key is back
        assert deliverer.drain(endpoint.id) == Drained(delivered=1)


def test_the_sweep_goes_through_all_pages_and_is_seen(
    engine: Engine, sink: Sink, make_settings: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(sealed.reseal, "__kwdefaults__", {"after": "", "limit": 2})
    for _ in range(5):
        under_the_old_key(engine, sink)
    broken = under_the_old_key(engine, sink)
    keep(engine, broken.id, f"sealed:1:{OLD_ID}:AAAA")
    ours = services(make_settings(encryption_keys=f"{KEY},{OLD_KEY}"), wakes_nothing)
    sweeper = Sweeper(ours, None)  # type: ignore[arg-type]  # it wakes nobody
    assert sweeper.sweep("secrets") == 5
    assert sweeper.sweep("secrets") == 0
    ours.engine.dispose()
    assert rows(engine, "SELECT FROM heartbeats WHERE name = 'secrets'")


def test_the_doctor_says_what_is_not_encrypted_and_what_needs_which_key(
    engine: Engine, sink: Sink, billing: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told() -> list[tuple[str, str]]:
        findings = billing("doctor", "--json").json["findings"]
        return [(f["level"], f["seen"]) for f in findings if f["subject"] == "secrets"]

    one = an_endpoint(engine, sink.url)
    assert told() == [("ok", f"encrypted with the key {CURRENT_ID}")]
    keep(engine, one.id, *one.secrets)
    assert told() == [("warn", "those of 1 endpoint are not encrypted yet")]
    keep(engine, one.id, sealed.seal_secret(OLD, one.id, one.secrets[0]))
    ((level, seen),) = told()
    assert level == "fail"
    assert one.id in seen
    assert OLD_ID in seen
    monkeypatch.setenv("BILLING_ENCRYPTION_KEYS", f"{KEY},{OLD_KEY}")
    assert told() == [
        ("warn", f"those of 1 endpoint need the older key {OLD_ID}: leave it in the settings")
    ]
    monkeypatch.delenv("BILLING_ENCRYPTION_KEYS")
    ((level, seen),) = told()
    assert level == "fail"
    assert "`billing keys encryption` makes a key" in seen


def test_a_command_makes_a_key_that_the_settings_take(
    billing: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = billing("keys", "encryption")
    key = made.out.strip()
    (id_,) = Vault([key]).key_ids
    assert id_ in made.err
    assert key not in made.err
    monkeypatch.setenv("BILLING_ENCRYPTION_KEYS", f"{key}, {KEY}")
    assert billing("keys", "encryption", "--json").json.keys() == {"id", "key"}
    assert billing("endpoint", "list").code == 0


def test_commands_that_seal_or_open_refuse_without_a_key_and_others_do_not(
    engine: Engine, billing: Billing, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    monkeypatch.delenv("BILLING_ENCRYPTION_KEYS")
    for refused in (["add", sink.url], ["rotate", endpoint.id]):
        answer = billing("endpoint", *refused)
        assert answer.code == 1
        assert "BILLING_ENCRYPTION_KEYS must be set" in answer.err
    assert billing("endpoint", "list").code == 0
    assert billing("endpoint", "disable", endpoint.id).code == 0
    assert billing("migrate", "--check").code == 0


@pytest.mark.parametrize("role", ["worker", "webhooks", "beat", "web"])
def test_no_process_starts_without_a_key(
    start_programs: Callable[..., Programs], environ: dict[str, str], role: str
) -> None:
    programs = start_programs({**environ, "BILLING_ENCRYPTION_KEYS": ""})
    process = programs.launch(role)
    assert process.end_of_itself() != 0
    assert "BILLING_ENCRYPTION_KEYS must be set" in process.output
    assert "Traceback" not in process.output


def test_the_embedded_database_has_a_key_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from service import data_dir

    key = data_dir.encryption_key(tmp_path)
    assert Vault([key]).key_ids
    assert data_dir.encryption_key(tmp_path) == key
    assert (tmp_path / data_dir.ENCRYPTION_KEY).stat().st_mode & 0o777 == 0o600

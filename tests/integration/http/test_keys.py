"""API keys at the door: who is let in, as whom, and for how long."""

import pytest

from payments.access import keys
from tests.support.acting import Database
from tests.support.every import every
from tests.support.web import Caller, Web


def status_with(caller: Caller, authorization: str | None) -> int:
    headers = {} if authorization is None else {"authorization": authorization}
    caller.headers.pop("authorization", None)
    answer = caller.get("/charges", headers=headers)
    if answer.status_code == 401:
        assert answer.json()["code"] == "unauthenticated"
        named = ', error="invalid_token"' if authorization is not None else ""
        assert answer.headers["www-authenticate"] == f'Bearer realm="billing"{named}'
    return answer.status_code


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_key_is_let_in(caller: Caller, scheme: str) -> None:
    assert status_with(caller, f"{scheme} {caller.key}") == 200


@every("header", [None, "", "Bearer", "Bearer key_x", "Basic {key}",
                                    "{key}", "Bearer {key}x", "Bearer {key} {key}"])  # fmt: skip
def test_anybody_else_is_not(caller: Caller, header: str | None) -> None:
    assert status_with(caller, header and header.format(key=caller.key)) == 401


def test_the_right_id_with_another_secret_is_not(door: Web, caller: Caller) -> None:
    with door.caller() as other:
        id_, secret = caller.key.rsplit("_", 1)[0], other.key.rsplit("_", 1)[1]
    assert status_with(caller, f"Bearer {id_}_{secret}") == 401


def test_a_key_that_is_revoked_is_refused_at_once(door: Web, caller: Caller) -> None:
    assert caller.charge("order-1").status_code == 202
    with Database(door.engine).transaction() as transaction:
        keys.revoke(transaction, caller.key.rsplit("_", 1)[0])
    assert caller.charge("order-1").status_code == 401
    assert caller.get("/charges").status_code == 401


def test_two_keys_of_one_producer_mean_the_same_charge(door: Web, caller: Caller) -> None:
    with door.caller(caller.producer) as after_rotation:
        first, second = (one.charge("order-1") for one in (caller, after_rotation))
    assert second.headers["idempotent-replayed"] == "true"
    assert first.json() == second.json()


def test_a_scope_allows_what_it_says(door: Web) -> None:
    with door.caller(scopes=["read"]) as reader, door.caller(scopes=["write"]) as writer:
        assert reader.get("/charges").status_code == 200
        assert writer.charge().status_code == 202
        for refused in (reader.charge(), writer.get("/charges"), reader.post("/webhook-endpoints")):
            assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope")


def test_a_stranger_is_told_nothing_else(caller: Caller) -> None:
    caller.headers.pop("authorization", None)
    for refused in (
        caller.get("/charges?limt=5"),
        caller.post("/charges", content=b"{"),
        caller.post("/charges", content=b" " * 70_000),
        caller.get("/charges/ch_1"),
    ):
        assert refused.status_code == 401

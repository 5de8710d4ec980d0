"""Who is let in by a key: the rule itself, without a door."""

import hashlib
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from payments.access.keys import Presented, admit
from payments.payment_errors import Unauthenticated
from tests.support.every import every

SECRET = b"a secret"
SHOWN = Presented("key_1", hashlib.sha256(SECRET).digest())


def a_row(**changes: Any) -> Any:
    columns = {
        "id": "key_1",
        "producer": "shop",
        "scopes": ["charges:read"],
        "all_producers": False,
        "secret_sha256": SHOWN.sha256,
        "revoked_at": None,
        **changes,
    }
    return SimpleNamespace(**columns)


@pytest.mark.parametrize("all_producers", [True, False])
def test_the_right_secret_is_let_in_as_who_it_was_made_for(all_producers: bool) -> None:
    access = admit(a_row(all_producers=all_producers), SHOWN)
    assert (access.producer, access.scopes, access.key_id) == (
        "shop", frozenset({"charges:read"}), "key_1",
    )  # fmt: skip
    assert access.all_producers is all_producers


@every(
    "row",
    [
        None,
        a_row(secret_sha256=hashlib.sha256(b"another").digest()),
        a_row(revoked_at=datetime(2026, 1, 1, tzinfo=UTC)),
        a_row(
            secret_sha256=hashlib.sha256(b"another").digest(),
            revoked_at=datetime(2026, 1, 1, tzinfo=UTC),
        ),
    ],
    ids=["unknown", "wrong", "revoked", "wrong and revoked"],
)
def test_an_unknown_wrong_or_revoked_key_is_not(row: Any) -> None:
    with pytest.raises(Unauthenticated):
        admit(row, SHOWN)

"""Cursors of lists: what they lead back to, and whose they are not."""

import base64
import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from infra.billing.contract.ids import id_from_key
from models import Charge
from models.base import table_of
from payments.cursors import after, behind
from payments.payment_errors import InvalidRequest
from tests.support.every import every

CHARGES = table_of(Charge)
ID = id_from_key("charge", producer="tests", key="1")
AT = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
ROW = SimpleNamespace(id=ID, created_at=AT)


def altered(**changes: object) -> str:
    """A cursor of the list without filters, with other parts than its own."""
    own = after(ROW, filters={})
    at, id_, of = json.loads(base64.urlsafe_b64decode(own + "=" * (-len(own) % 4)))
    parts = {"at": at, "id": id_, "of": of, **changes}
    return base64.urlsafe_b64encode(json.dumps([*parts.values()]).encode()).decode().rstrip("=")


def refused(cursor: str, **filters: object) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as refusal:
        behind(CHARGES, cursor, prefix="ch_", filters=filters)
    assert refusal.value.param == "cursor"
    return refusal.value


def test_a_cursor_leads_behind_its_row_in_its_own_list() -> None:
    filters = {"state": "failed", "customer_id": None}
    condition = behind(CHARGES, after(ROW, filters=filters), prefix="ch_", filters=filters)
    assert {*condition.compile().params.values()} == {AT, ID}
    assert condition.compare(
        behind(CHARGES, after(ROW, filters={"state": "failed"}), prefix="ch_", filters=filters)
    )


@every(
    "changes",
    [
        {"id": "ch_x"}, {"id": "re_" + ID[3:]}, {"id": ID.upper()}, {"id": 5}, {"id": None},
        {"at": "2026-01-02T03:04:05"}, {"at": "soon"}, {"at": 5},
    ],
    ids=str,
)  # fmt: skip
def test_a_cursor_that_nobody_made_is_refused(changes: dict[str, object]) -> None:
    assert "next_cursor of the page before" in str(refused(altered(**changes)))


@every("cursor", ["", "x", "é", "W10", "bnVsbA", after(ROW, filters={})[:-4]])
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    refused(cursor)


def test_a_cursor_of_another_list_is_refused() -> None:
    assert "other filters" in str(refused(after(ROW, filters={}), state="failed"))
    other_order = after(ROW, filters={}, order="asc")
    assert "another order" in str(refused(other_order))

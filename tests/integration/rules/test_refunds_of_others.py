"""A refund of another producer's charge: whether it may be is judged once, when it reserves."""

import pytest

from infra.billing.contract.requests.refund_request import RefundRequest
from models.states import Phase, State
from payments.lifecycle.accepting import refunds
from payments.lifecycle.claims import Claimed, NotDue
from payments.lifecycle.database_steps import Begin
from payments.processors.outcomes import NotFound, Unknown
from tests.support.factories import Till, a_lease, a_refund


def asked(request: RefundRequest, *, any_charge: bool) -> Begin:
    return Begin(a_lease(), new=refunds.NewRefund(request, "sandbox", any_charge=any_charge))


@pytest.fixture
def in_doubt(till: Till) -> tuple[str, RefundRequest]:
    """The charge, and a refund of all of it that somebody who may refund any charge asked for; its
    answer got lost long ago."""
    charge_id = till.charged(producer="another")
    request = a_refund(charge_id)
    (claimed,) = till.begin(asked(request, any_charge=True))
    assert isinstance(claimed, Claimed)
    assert till.settle(claimed, Unknown("timeout"))["phase"] == Phase.UNKNOWN
    till.put(
        "UPDATE refunds SET created_at = created_at - interval '1 hour', next_attempt_at = now()"
        " WHERE id = :id", id=request.id,
    )  # fmt: skip
    return charge_id, request


def reserved(till: Till, charge_id: str) -> int:
    (row,) = till.query("SELECT refund_reserved FROM charges WHERE id = :id", id=charge_id)
    amount: int = row["refund_reserved"]
    return amount


def test_a_repeat_by_somebody_who_may_do_less_goes_on_with_it(
    till: Till, in_doubt: tuple[str, RefundRequest]
) -> None:
    charge_id, request = in_doubt
    (begun,) = till.begin(asked(request, any_charge=False))
    assert isinstance(begun, Claimed)
    assert begun.in_doubt
    assert begun.order.charge_reference == f"sbx_{charge_id}"
    assert till.settle(begun, NotFound())["state"] == State.PENDING
    assert reserved(till, charge_id) == 1000


def test_the_right_to_refund_any_charge_is_not_asked_again(
    till: Till, in_doubt: tuple[str, RefundRequest]
) -> None:
    # As a row of an older version would stand.
    charge_id, request = in_doubt
    till.put("UPDATE refunds SET any_charge = false WHERE id = :id", id=request.id)
    assert isinstance(till.claim(request.id), Claimed)
    assert reserved(till, charge_id) == 1000


def test_what_waits_for_a_charge_that_it_may_not_refund_reserves_nothing(till: Till) -> None:
    charge_id = till.charged(producer="another")
    request = a_refund(charge_id)
    (begun,) = till.begin(asked(request, any_charge=False))
    assert isinstance(begun, NotDue)
    till.put(
        "UPDATE refunds SET created_at = created_at - interval '1 hour', next_attempt_at = now()"
        " WHERE id = :id", id=request.id,
    )  # fmt: skip
    (begun,) = till.submit(request.id)
    assert isinstance(begun, NotDue)
    assert begun.row.failure_code == "charge_not_found"
    assert reserved(till, charge_id) == 0

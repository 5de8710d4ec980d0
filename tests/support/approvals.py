"""Something that somebody asked for, and that nobody has approved yet."""

from sqlalchemy import Engine

from payments.acting import person
from payments.approval_policy import Approvals
from payments.lifecycle.accepting.asked import Accepted, NewRefund
from payments.lifecycle.accepting.refunds import accept
from payments.lifecycle.approving import waiting
from tests.support.acting import Database
from tests.support.factories import a_refund

ANYTHING = Approvals({"*": 0})


def an_approval(engine: Engine, charge_id: str, *, by: str = "bob") -> str:
    """The id of the approval that a refund of this charge waits for, which `by` asked for."""
    acting = person(by, account=by, why="as agreed")
    with Database(engine, acting=acting).transaction() as transaction:
        new = NewRefund(a_refund(charge_id, producer="tests"), "sandbox", any_charge=True)
        (answer,) = accept(transaction, [new], approvals=ANYTHING)
        assert isinstance(answer, Accepted), answer
        found = waiting.page(transaction.connection, filters={"object_id": answer.row.id})
        return found.rows[0].id

"""What there is to sweep, asked in one round trip: usually nothing.

Each condition is defined beside the sweep that it belongs to, and uses the same indexes.
"""

from collections.abc import Mapping
from functools import cached_property

from sqlalchemy import ColumnElement, Engine, or_, select

from payments.intake import quarantine
from payments.keeping import retention
from payments.keeping.retention import Keep
from payments.kinds import KINDS
from payments.ledger import days, filling, sealing
from payments.lifecycle import cancels, sweeps
from payments.lifecycle.capturing import captures
from payments.webhooks import leftovers
from payments.webhooks.draining import drain_statements
from payments.webhooks.pacing import disabling
from tasks.handlers import Sweep


class Look:
    """Asks which sweeps have something to do. `processors` are the names of those set up here."""

    def __init__(self, engine: Engine, *, keep: Keep, processors: list[str]) -> None:
        # One statement is its own transaction: it needs no BEGIN and no COMMIT.
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        questions: Mapping[Sweep, ColumnElement[bool]] = {
            "payments": or_(
                *(sweeps.is_anything_due(kind) for kind in KINDS.values()),
                quarantine.ANY_UNSEEN,
                cancels.ANY_OVER,
                captures.ANY_TO_WARN,
            ),
            "webhooks": or_(leftovers.ANY_LEFT, disabling.ANY_FAILING, drain_statements.ANY_DUE),
            "retention": retention.is_anything_old(keep),
            "ledger": or_(sealing.ANY_ENDED, filling.ANY_LEFT, days.ANY_UNCOUNTED),
        }
        self.sweeps = tuple(questions)
        self._statement = select(*questions.values()).params(processors=processors)

    def __call__(self) -> list[Sweep]:
        """The sweeps that have something to do now."""
        with self._engine.connect() as connection:
            answers = connection.exec_driver_sql(self._text).one()
        return [name for name, needed in zip(self.sweeps, answers, strict=True) if needed]

    @cached_property
    def _text(self) -> str:
        """The statement with its values written out. With parameters it would be planned for each
        look, which takes three times as long as running it; and walking through all its parts in
        Python takes longer than both. Call it once there is a connection: quoting depends on the
        server."""
        options = {"literal_binds": True}
        return str(self._statement.compile(self._engine, compile_kwargs=options))

"""Reads from the tables the state of every request of the demo."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Engine, func, literal, select, union_all

from local.demo.scenario import Line
from models import Charge, Delivery, QuarantinedMessage, Refund, RejectedRequest
from models.base import table_of
from models.states import Phase, State

IN_DOUBT = (Phase.UNKNOWN, Phase.NEEDS_REVIEW)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a charge or refund stands."""

    state: str
    phase: str | None
    failure_code: str | None

    @property
    def is_final(self) -> bool:
        """Whether only a person, or a bank that returns money, can change it."""
        return self.state != State.PENDING or self.phase == Phase.NEEDS_REVIEW

    def __str__(self) -> str:
        """As `expect` says it."""
        if self.phase == Phase.NEEDS_REVIEW:
            return str(self.phase)
        if self.phase is not None:
            return f"{self.state} ({self.phase})"
        return f"{self.state} {self.failure_code}" if self.failure_code else self.state


@dataclass(frozen=True, slots=True)
class Sight:
    """The state of all requests at one moment."""

    objects: Mapping[str, Standing] = field(default_factory=dict)
    # Idempotency key and code of requests that the worker refused.
    rejected: Collection[tuple[str, str]] = frozenset()
    quarantined: Collection[bytes] = ()
    undelivered: int = 0

    def is_accepted(self, line: Line) -> bool:
        """Whether the worker has taken notice of it."""
        return self.ending_of(line) is not None

    def is_over(self, line: Line) -> bool:
        """Whether it has ended, be it as expected or not."""
        standing = self.objects.get(line.object_id)
        if standing is None or not line.makes_object:
            return self.is_accepted(line)
        if not standing.is_final:
            return False
        # A refund may fail after it succeeded, and of some that is expected.
        returns_later = line.do == "refund" and line.expect == "failed refund_failed"
        return not (returns_later and standing.state == State.SUCCEEDED)

    def ending_of(self, line: Line) -> str | None:
        """The end of a line, in the words of `expect`; None so far."""
        if line.ending == "quarantined":
            key = line.key.encode()
            return "quarantined" if any(key in raw for raw in self.quarantined) else None
        standing = self.objects.get(line.object_id)
        if standing is not None and not line.contradicts:
            return str(standing)
        codes = {code for key, code in self.rejected if key == line.key}
        if not codes:
            return None
        return f"rejected {line.code if line.code in codes else min(codes)}"

    def count(self, *phases: Phase) -> int:
        """How many pending charges and refunds stand at one of these phases."""
        return sum(standing.phase in phases for standing in self.objects.values())


def look(engine: Engine) -> Sight:
    """Read where everything stands."""
    with engine.connect() as connection:
        objects = connection.execute(_OBJECTS)
        rejected = connection.execute(_REJECTED)
        quarantined = connection.execute(_QUARANTINED)
        undelivered = connection.scalar(_UNDELIVERED)
        return Sight(
            {row.id: Standing(row.state, row.phase, row.failure_code) for row in objects},
            {(row.idempotency_key, row.code) for row in rejected},
            quarantined.scalars().all(),
            undelivered or 0,
        )


_charges, _refunds, _rejected, _quarantined, _deliveries = (
    table_of(model) for model in (Charge, Refund, RejectedRequest, QuarantinedMessage, Delivery)
)
_OBJECTS = union_all(
    *(
        select(table.c.id, table.c.state, table.c.phase, table.c.failure_code)
        for table in (_charges, _refunds)
    )
)
_REJECTED = select(_rejected.c.idempotency_key, _rejected.c.code)
_QUARANTINED = select(_quarantined.c.raw)
_UNDELIVERED = (
    select(func.count(literal(1))).select_from(_deliveries).where(_deliveries.c.state == "pending")
)

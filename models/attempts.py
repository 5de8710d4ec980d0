"""An attempt: one try to move a charge or a refund on, and its outcome."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from models.base import timestamp


class Attempt(SQLModel, table=True):
    """Append-only. `verb` is charge, refund, look_up, cancel, report or resolve; `outcome` is a
    value of `payments.processors.outcomes` in lower case, `expired` for what was canceled when its
    time was up, `lease_expired`, `overtaken` (a report came before the answer), or a person's
    decision."""

    __tablename__ = "attempts"

    object_id: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    verb: str
    worker: str | None
    started_at: datetime | None = timestamp()
    ended_at: datetime = timestamp(default_now=True, nullable=False)
    outcome: str
    code: str | None
    detail: str | None
    # For a look-up that ran out of time: nothing made before this moment is the object.
    looked_until: datetime | None = timestamp()

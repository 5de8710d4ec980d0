"""Who did what by hand: actions of people and of API keys."""

from datetime import datetime
from typing import Any, get_args

from sqlalchemy import CheckConstraint, Column, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from infra.billing.contract.words import ActorKind, Door
from models.base import timestamp


class AuditEntry(SQLModel, table=True):
    """One action, written in the transaction that did it, and never changed."""

    __tablename__ = "audit_log"
    __table_args__ = (
        CheckConstraint(f"actor_kind IN {get_args(ActorKind)}", name="kind"),
        CheckConstraint(f"door IN {get_args(Door)}", name="door"),
        Index("audit_log_created_idx", "created_at", "id"),
        Index("audit_log_actor_idx", "actor", "created_at", "id"),
        Index("audit_log_action_idx", "action", "created_at", "id"),
        Index("audit_log_object_idx", "object_id", "created_at", "id"),
        Index(
            "audit_log_request_idx",
            "request_id",
            postgresql_using="hash",
            postgresql_where=text("request_id IS NOT NULL"),
        ),
    )

    id: str = Field(primary_key=True)
    created_at: datetime = timestamp(when_written=True, nullable=False)
    # A person's name as they gave it, the id of an API key, a producer (by message), or `billing`.
    actor: str
    actor_kind: str
    # Of a command: the account of the operating system that it ran under.
    account: str | None
    # In whose name a key or a message asked.
    producer: str | None
    door: str
    # `charge.cancel`: what was acted on, and what was done.
    action: str
    object_id: str
    reason: str | None
    # What it changed; nothing secret, and nothing about a person.
    before: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    after: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    request_id: str | None

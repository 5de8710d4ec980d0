"""The audit log, and requests that wait for a second person."""

from datetime import datetime
from typing import Any, get_args

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from infra.billing.contract.words import ActorKind, ApprovalOf, ApprovalState, Door
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
    # For a command: the account of the operating system that it ran under.
    account: str | None
    # The producer of a key or a message.
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


class Approval(SQLModel, table=True):
    """A request that waits for a second person; one at a time per object. Written in the
    transaction that asks, and decided in the one that carries out the decision."""

    __tablename__ = "approvals"
    __table_args__ = (
        CheckConstraint(f"state IN {get_args(ApprovalState)}", name="state"),
        CheckConstraint(f"action IN {get_args(ApprovalOf)}", name="action"),
        CheckConstraint("(state = 'pending') = (decided_at IS NULL)", name="decided_is_dated"),
        CheckConstraint("action = 'refund.create' OR decision IS NOT NULL", name="resolve_is_how"),
        Index(
            "approvals_pending_idx",
            "object_id",
            unique=True,
            postgresql_where=text("state = 'pending'"),
        ),
        Index("approvals_object_idx", "object_id", "created_at"),
        Index("approvals_created_idx", "created_at", "id"),
        Index(
            "approvals_open_idx",
            "created_at",
            "id",
            postgresql_where=text("state = 'pending'"),
        ),
    )

    id: str = Field(primary_key=True)
    created_at: datetime = timestamp(when_written=True, nullable=False)
    state: str
    action: str
    object_id: str
    amount: int | None = Field(default=None, sa_type=BigInteger)
    currency: str | None
    decision: str | None
    # As in the audit log: the actor, the account or key, and the reason.
    requested_by: str
    requested_account: str | None
    request_reason: str | None
    decided_by: str | None
    decided_account: str | None
    decision_reason: str | None
    decided_at: datetime | None = timestamp()

"""The first tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "attempts",
        sa.Column("object_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("verb", sa.String(), nullable=False),
        sa.Column("worker", sa.String(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "ended_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=True),
        sa.Column("detail", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("object_id", "number", name=op.f("attempts_pkey")),
    )
    op.create_table(
        "charges",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("producer", sa.String(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column(
            "metadata",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("phase", sa.String(), nullable=True),
        sa.Column("sequence", sa.Integer(), server_default="0", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("retries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("woken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("leased_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("worker", sa.String(), nullable=True),
        sa.Column("first_called_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("processor", sa.String(), nullable=False),
        sa.Column("processor_reference", sa.String(), nullable=True),
        sa.Column("processor_code", sa.String(), nullable=True),
        sa.Column("failure_code", sa.String(), nullable=True),
        sa.Column("failure_message", sa.String(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("customer_id", sa.String(), nullable=True),
        sa.Column("payment_method_id", sa.String(), nullable=True),
        sa.Column("price_id", sa.String(), nullable=True),
        sa.Column("quantity", sa.BigInteger(), nullable=True),
        sa.Column("reference", sa.String(), nullable=True),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("refunded_amount", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("refund_reserved", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint(
            "(state <> 'pending') = (settled_at IS NOT NULL)",
            name=op.f("charges_final_is_settled_check"),
        ),
        sa.CheckConstraint(
            "(state = 'failed') = (failure_code IS NOT NULL)",
            name=op.f("charges_failed_says_why_check"),
        ),
        sa.CheckConstraint(
            "(state = 'pending') = (phase IS NOT NULL)",
            name=op.f("charges_pending_has_phase_check"),
        ),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("charges_currency_code_check")),
        sa.CheckConstraint(
            "phase <> 'in_flight' OR lease_token IS NOT NULL",
            name=op.f("charges_flight_is_leased_check"),
        ),
        sa.CheckConstraint(
            "phase IN ('queued', 'in_flight', 'unknown', 'awaiting_customer', 'needs_review')",
            name=op.f("charges_phase_check"),
        ),
        sa.CheckConstraint(
            "state = 'pending' OR lease_token IS NULL",
            name=op.f("charges_final_is_not_leased_check"),
        ),
        sa.CheckConstraint(
            "state = 'succeeded' OR refunded_amount = 0",
            name=op.f("charges_refunds_need_success_check"),
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'succeeded', 'failed')", name=op.f("charges_state_check")
        ),
        sa.CheckConstraint(
            "(lease_token IS NULL) = (lease_expires_at IS NULL)",
            name=op.f("charges_lease_has_an_end_check"),
        ),
        sa.CheckConstraint(
            "0 <= refunded_amount AND refunded_amount <= refund_reserved AND refund_reserved <= amount",
            name=op.f("charges_refunds_within_charge_check"),
        ),
        sa.CheckConstraint("amount > 0", name=op.f("charges_amount_positive_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("charges_pkey")),
    )
    op.create_index("charges_created_idx", "charges", ["created_at", "id"], unique=False)
    op.create_index(
        "charges_reference_idx",
        "charges",
        ["reference", "created_at"],
        unique=False,
        postgresql_where=sa.text("reference IS NOT NULL"),
    )
    op.create_index(
        "charges_customer_idx",
        "charges",
        ["customer_id", "created_at"],
        unique=False,
        postgresql_where=sa.text("customer_id IS NOT NULL"),
    )
    op.create_index(
        "charges_due_idx",
        "charges",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("state = 'pending' AND lease_token IS NULL"),
    )
    op.create_index(
        "charges_leases_idx",
        "charges",
        ["lease_expires_at"],
        unique=False,
        postgresql_where=sa.text("lease_token IS NOT NULL"),
    )
    op.create_index(
        "charges_open_reference_key",
        "charges",
        ["producer", "reference"],
        unique=True,
        postgresql_where=sa.text("reference IS NOT NULL AND state <> 'failed'"),
    )
    op.create_index(
        "charges_review_idx",
        "charges",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("phase IN ('unknown', 'needs_review')"),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("position", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("object_id", sa.String(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("events_pkey")),
        sa.UniqueConstraint("object_id", "sequence", name=op.f("events_object_id_sequence_key")),
        sa.UniqueConstraint("position", name=op.f("events_position_key")),
    )
    op.create_table(
        "quarantined_messages",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("queue", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dismissed_why", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("quarantined_messages_pkey")),
    )
    op.create_index(
        op.f("quarantined_messages_sha256_idx"), "quarantined_messages", ["sha256"], unique=False
    )
    op.create_table(
        "refunds",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("producer", sa.String(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("currency", sa.String(), nullable=True),
        sa.Column(
            "metadata",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("phase", sa.String(), nullable=True),
        sa.Column("sequence", sa.Integer(), server_default="0", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("retries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("woken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("leased_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("worker", sa.String(), nullable=True),
        sa.Column("first_called_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("processor", sa.String(), nullable=False),
        sa.Column("processor_reference", sa.String(), nullable=True),
        sa.Column("processor_code", sa.String(), nullable=True),
        sa.Column("failure_code", sa.String(), nullable=True),
        sa.Column("failure_message", sa.String(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("charge_id", sa.String(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=True),
        sa.Column("reserved", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("if_pending", sa.String(), server_default="wait", nullable=False),
        sa.Column("expected_refunded_amount", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "(state <> 'pending') = (settled_at IS NOT NULL)",
            name=op.f("refunds_final_is_settled_check"),
        ),
        sa.CheckConstraint(
            "(state = 'failed') = (failure_code IS NOT NULL)",
            name=op.f("refunds_failed_says_why_check"),
        ),
        sa.CheckConstraint(
            "(state = 'pending') = (phase IS NOT NULL)",
            name=op.f("refunds_pending_has_phase_check"),
        ),
        sa.CheckConstraint(
            "phase <> 'in_flight' OR lease_token IS NOT NULL",
            name=op.f("refunds_flight_is_leased_check"),
        ),
        sa.CheckConstraint(
            "phase IN ('queued', 'in_flight', 'unknown', 'awaiting_customer', 'needs_review')",
            name=op.f("refunds_phase_check"),
        ),
        sa.CheckConstraint(
            "state <> 'succeeded' OR reserved", name=op.f("refunds_success_was_reserved_check")
        ),
        sa.CheckConstraint(
            "state = 'pending' OR lease_token IS NULL",
            name=op.f("refunds_final_is_not_leased_check"),
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'succeeded', 'failed')", name=op.f("refunds_state_check")
        ),
        sa.CheckConstraint(
            "(lease_token IS NULL) = (lease_expires_at IS NULL)",
            name=op.f("refunds_lease_has_an_end_check"),
        ),
        sa.CheckConstraint(
            "NOT reserved OR amount IS NOT NULL", name=op.f("refunds_reserved_has_amount_check")
        ),
        sa.CheckConstraint("amount > 0", name=op.f("refunds_amount_positive_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("refunds_pkey")),
    )
    op.create_index("refunds_charge_idx", "refunds", ["charge_id"], unique=False)
    op.create_index("refunds_created_idx", "refunds", ["created_at", "id"], unique=False)
    op.create_index(
        "refunds_due_idx",
        "refunds",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("state = 'pending' AND lease_token IS NULL"),
    )
    op.create_index(
        "refunds_leases_idx",
        "refunds",
        ["lease_expires_at"],
        unique=False,
        postgresql_where=sa.text("lease_token IS NOT NULL"),
    )
    op.create_index(
        "refunds_review_idx",
        "refunds",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("phase IN ('unknown', 'needs_review')"),
    )
    op.create_table(
        "rejected_requests",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("task", sa.String(), nullable=False),
        sa.Column("task_id", sa.String(), nullable=True),
        sa.Column("producer", sa.String(), nullable=True),
        sa.Column("idempotency_key", sa.String(), nullable=True),
        sa.Column("object_id", sa.String(), nullable=True),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("param", sa.String(), nullable=True),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("request", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("rejected_requests_pkey")),
    )
    op.create_index(
        "rejected_requests_key_idx",
        "rejected_requests",
        ["producer", "idempotency_key"],
        unique=False,
    )
    op.create_index(
        op.f("rejected_requests_object_id_idx"), "rejected_requests", ["object_id"], unique=False
    )
    op.create_table(
        "sandbox_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("object_id", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("offers", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "next_offer_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=True,
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("sandbox_events_pkey")),
    )
    op.create_index(
        "sandbox_events_offers_idx",
        "sandbox_events",
        ["next_offer_at"],
        unique=False,
        postgresql_where=sa.text("next_offer_at IS NOT NULL"),
    )
    op.create_table(
        "sandbox_ledger",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("object_id", sa.String(), nullable=False),
        sa.Column("charge_id", sa.String(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("direction", sa.String(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column(
            "moved_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint(
            "direction IN ('charge', 'refund', 'reversal')",
            name=op.f("sandbox_ledger_direction_check"),
        ),
        sa.CheckConstraint("amount > 0", name=op.f("sandbox_ledger_amount_positive_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("sandbox_ledger_pkey")),
    )
    op.create_index("sandbox_ledger_charge_idx", "sandbox_ledger", ["charge_id"], unique=False)
    op.create_index(
        "sandbox_ledger_refund_idx",
        "sandbox_ledger",
        ["object_id"],
        unique=False,
        postgresql_where=sa.text("direction <> 'charge'"),
    )
    op.create_table(
        "sandbox_requests",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("object_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("charge_id", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("payment_method_id", sa.String(), nullable=True),
        sa.Column("reference", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=True),
        sa.Column("processor_code", sa.String(), nullable=True),
        sa.Column("calls", sa.Integer(), server_default="1", nullable=False),
        sa.Column("turns_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("turns_to", sa.String(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "(status = 'declined') = (code IS NOT NULL)",
            name=op.f("sandbox_requests_declined_says_why_check"),
        ),
        sa.CheckConstraint(
            "(status = 'open') = (reference IS NULL)",
            name=op.f("sandbox_requests_executed_has_reference_check"),
        ),
        sa.CheckConstraint(
            "kind IN ('charge', 'refund')", name=op.f("sandbox_requests_kind_check")
        ),
        sa.CheckConstraint(
            "status IN ('open', 'pending', 'succeeded', 'declined')",
            name=op.f("sandbox_requests_status_check"),
        ),
        sa.CheckConstraint(
            "(turns_at IS NULL) = (turns_to IS NULL)",
            name=op.f("sandbox_requests_turn_is_whole_check"),
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("sandbox_requests_pkey")),
    )
    op.create_index(
        "sandbox_requests_pending_refunds_idx",
        "sandbox_requests",
        ["charge_id"],
        unique=False,
        postgresql_where=sa.text("kind = 'refund' AND status = 'pending'"),
    )
    op.create_index(
        "sandbox_requests_turns_idx",
        "sandbox_requests",
        ["turns_at"],
        unique=False,
        postgresql_where=sa.text("turns_at IS NOT NULL"),
    )
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column(
            "event_types",
            postgresql.ARRAY(sa.String()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("secrets", postgresql.ARRAY(sa.String()), nullable=False),
        sa.Column("state", sa.String(), server_default="enabled", nullable=False),
        sa.Column("max_in_flight", sa.Integer(), server_default="16", nullable=False),
        sa.Column("drain_token", sa.Uuid(), nullable=True),
        sa.Column("drain_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("woken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "subscribed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "state IN ('enabled', 'disabled')", name=op.f("webhook_endpoints_state_check")
        ),
        sa.CheckConstraint(
            "cardinality(secrets) > 0", name=op.f("webhook_endpoints_has_a_secret_check")
        ),
        sa.CheckConstraint(
            "max_in_flight > 0", name=op.f("webhook_endpoints_max_in_flight_positive_check")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("webhook_endpoints_pkey")),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("endpoint_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), server_default="pending", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "next_attempt_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=True,
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('pending', 'delivered', 'exhausted')", name=op.f("deliveries_state_check")
        ),
        sa.ForeignKeyConstraint(
            ["endpoint_id"],
            ["webhook_endpoints.id"],
            name=op.f("deliveries_endpoint_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("deliveries_event_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("deliveries_pkey")),
        sa.UniqueConstraint(
            "event_id", "endpoint_id", name=op.f("deliveries_event_id_endpoint_id_key")
        ),
    )
    op.create_index(
        "deliveries_due_idx",
        "deliveries",
        ["endpoint_id", "next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_table(
        "delivery_attempts",
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("status_code", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("remote_ip", sa.String(), nullable=True),
        sa.Column("response_body", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["deliveries.id"],
            name=op.f("delivery_attempts_delivery_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("delivery_id", "number", name=op.f("delivery_attempts_pkey")),
    )
    # After an outage a backlog grows within minutes, and a planner with yesterday's statistics
    # sorts all of it for every claim. So count changes, not shares of ten million old rows.
    op.execute(
        "ALTER TABLE deliveries SET"
        " (autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 10000)"
    )


# There is no way down: it would drop what was paid.

"""An API key: its producer, and what it may do over HTTP."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Column, Index, LargeBinary, String, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from models.base import timestamp


class ApiKey(SQLModel, table=True):
    """The key itself is shown once and not stored; only its hash is."""

    __tablename__ = "api_keys"
    __table_args__ = (
        CheckConstraint("octet_length(secret_sha256) = 32", name="secret_sha256_size"),
        CheckConstraint("cardinality(scopes) > 0", name="has_a_scope"),
        CheckConstraint(
            "scopes <@ ARRAY['read', 'write', 'charges:read', 'charges:write', 'refunds:write',"
            " 'prices:read', 'prices:write', 'webhooks:write', 'operator',"
            " 'messages:sign']::varchar[]",
            name="scopes",
        ),
        CheckConstraint(
            "(signing_secret IS NOT NULL) = (scopes = ARRAY['messages:sign']::varchar[])",
            name="signing_secret",
        ),
        Index(
            "api_keys_signing_idx", "producer", postgresql_where=text("signing_secret IS NOT NULL")
        ),
        Index("api_keys_created_idx", "created_at", "id"),
    )

    # `key_…`; the first part of the key, so that a person can tell which one a service uses.
    id: str = Field(primary_key=True)
    # The producer of its requests. Several keys may have the same, while one replaces another.
    producer: str
    # 256 random bits can't be guessed, so no slow hash is needed.
    secret_sha256: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    scopes: list[str] = Field(sa_column=Column(ARRAY(String), nullable=False))
    # Whether it may see and refund what other producers requested.
    all_producers: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})
    # The key itself, for a key that only signs messages: workers must be able to compute the same
    # signature.
    signing_secret: str | None
    created_at: datetime = timestamp(default_now=True, nullable=False)
    revoked_at: datetime | None = timestamp()

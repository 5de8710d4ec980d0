"""Rows as rules read them: frozen, and typed by the classes of their tables.

At run time they are SQLAlchemy's own rows, which have the columns that were read as attributes and
can't be changed. For mypy they are the table's class. `now`, if it was read, is the database's time
at which the transaction began.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sqlalchemy import Row, Table
from sqlalchemy.engine.result import result_tuple

from models.api_keys import ApiKey
from models.attempts import Attempt
from models.audit_tables import Approval, AuditEntry
from models.catalogue import Price, Product
from models.charge_tables import Capture, Charge, Dispute
from models.events import Event
from models.lifecycle import Lifecycle
from models.refund_tables import Refund
from models.rejection_tables import QuarantinedMessage, RejectedRequest
from models.requests_made import RequestMade
from models.sandbox import SandboxEvent, SandboxMovement, SandboxRequest
from models.stock_tables import InventoryChange, Reservation
from models.webhooks import Delivery, DeliveryAttempt, WebhookEndpoint

T = TypeVar("T")

if TYPE_CHECKING:

    class LifecycleRow(Lifecycle):
        """A row of either table."""

        metadata: dict[str, str]  # type: ignore[assignment,misc]  # the column's own name
        now: datetime

    class ChargeRow(Charge, LifecycleRow):
        """A row of `charges`."""

    class RefundRow(Refund, LifecycleRow):
        """A row of `refunds`."""

    class CaptureRow(Capture):
        """A row of `captures`."""

    class DisputeRow(Dispute):
        """A row of `disputes`."""

        now: datetime

    class ProductRow(Product):
        """A row of `products`."""

        metadata: dict[str, str]  # type: ignore[assignment,misc]  # likewise
        now: datetime

    class PriceRow(Price):
        """A row of `prices`."""

        metadata: dict[str, str]  # type: ignore[assignment,misc]  # likewise
        now: datetime

    class EndpointRow(WebhookEndpoint):
        """A row of `webhook_endpoints`; `waiting` are deliveries, `oldest` when one was due, and
        `oldest_due_at` is that if it is due now."""

        now: datetime
        waiting: int
        oldest: datetime | None
        oldest_due_at: datetime | None

    class ApiKeyRow(ApiKey):
        """A row of `api_keys`; `version` changes with every change of it, and is in rows of
        `payments.access.keys.read`."""

        version: str

    class DeliveryRow(Delivery):
        """A row of `deliveries`, with what its endpoint, its event and its last attempt say."""

        now: datetime
        event_type: str
        status_code: int | None
        error: str | None
        url: str
        endpoint_state: str
        endpoint_producer: str | None

    class RequestMadeRow(RequestMade):
        """A row of `requests_made`, and whether it was made a short time ago."""

        is_recent: bool

    class SandboxRequestRow(SandboxRequest):
        """A row of `sandbox_requests`; if they were read: whether its key is to be forgotten,
        whether it is due to change, and its status before that change."""

        forgotten: bool
        is_due: bool
        was: str

    ApprovalRow = Approval
    AttemptRow = Attempt
    AuditRow = AuditEntry
    EventRow = Event
    InventoryChangeRow = InventoryChange
    PostRow = DeliveryAttempt
    QuarantinedRow = QuarantinedMessage
    RejectedRow = RejectedRequest
    ReservationRow = Reservation
    SandboxEventRow = SandboxEvent
    SandboxMovementRow = SandboxMovement

else:
    LifecycleRow = ChargeRow = RefundRow = CaptureRow = DisputeRow = ProductRow = PriceRow = (
        EndpointRow
    ) = Row
    DeliveryRow = ApiKeyRow = ApprovalRow = AttemptRow = AuditRow = EventRow = (
        InventoryChangeRow
    ) = PostRow = Row
    QuarantinedRow = RejectedRow = RequestMadeRow = ReservationRow = Row
    SandboxEventRow = SandboxMovementRow = SandboxRequestRow = Row


def as_charge(row: LifecycleRow) -> ChargeRow:
    """The row as a charge's, if only the kind beside it says so."""
    return cast(ChargeRow, row)


def as_refund(row: LifecycleRow) -> RefundRow:
    """The row as a refund's, in the same way."""
    return cast(RefundRow, row)


def columns_of(row: Any) -> dict[str, Any]:
    """The row by the names of its columns, for code that handles any of them."""
    return dict(row._mapping)  # noqa: SLF001  # public, in spite of its name


def reading(*names: str) -> Callable[[Any], tuple[Any, ...]]:
    """Reads two or more columns of a row: in a fifth of the time of as many attributes."""
    columns = itemgetter(*names)
    return lambda row: columns(row._mapping)  # noqa: SLF001  # as above


def changed(row: T, **columns: Any) -> T:
    """The row as it is to be, with other values in some of its columns."""
    values: dict[str, Any] = columns_of(row) | columns
    changed_row: Any = _maker(tuple(values))(values.values())
    return changed_row  # type: ignore[no-any-return]


@lru_cache(maxsize=64)  # the ways to read rows that are changed are fewer
def _maker(names: tuple[str, ...]) -> Callable[[Iterable[Any]], Any]:
    return result_tuple(names)


def row_of(table: Table, *besides: str) -> Callable[[Iterable[Any]], Any]:
    """Makes a row of the table from the values of its columns, and of those `besides` them: of two
    that were read as one, or of one whose values are known."""
    return result_tuple([*table.c.keys(), *besides])

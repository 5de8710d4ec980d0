"""What is true: tables, states, money and ids. Imports none of our other packages."""

from models.api_keys import ApiKey
from models.attempts import Attempt
from models.audit_tables import Approval, AuditEntry
from models.bookkeeping import (
    LedgerBalance,
    LedgerBook,
    LedgerDay,
    LedgerDaysCounted,
    LedgerFilling,
    LedgerPosting,
    LedgerSeal,
)
from models.catalogue import Price, Product
from models.charge_tables import Capture, Charge, Dispute
from models.events import Event
from models.heartbeats import Heartbeat, Installation, Retention
from models.reconciliations import ReconciledRecord, Reconciliation
from models.refund_tables import Refund
from models.rejection_tables import QuarantinedMessage, RejectedRequest
from models.requests_made import RequestMade
from models.sandbox import SandboxEvent, SandboxMovement, SandboxRequest
from models.stock_tables import InventoryChange, Reservation
from models.webhooks import Delivery, DeliveryAttempt, WebhookEndpoint

__all__ = [
    "ApiKey",
    "Approval",
    "Attempt",
    "AuditEntry",
    "Capture",
    "Charge",
    "Delivery",
    "DeliveryAttempt",
    "Dispute",
    "Event",
    "Heartbeat",
    "Installation",
    "InventoryChange",
    "LedgerBalance",
    "LedgerBook",
    "LedgerDay",
    "LedgerDaysCounted",
    "LedgerFilling",
    "LedgerPosting",
    "LedgerSeal",
    "Price",
    "Product",
    "QuarantinedMessage",
    "ReconciledRecord",
    "Reconciliation",
    "Refund",
    "RejectedRequest",
    "RequestMade",
    "Reservation",
    "Retention",
    "SandboxEvent",
    "SandboxMovement",
    "SandboxRequest",
    "WebhookEndpoint",
]

"""A processor for trying everything out: its own ledger, and every kind of fault on demand.

::

    processor ─► books ─► verdicts ─► script     what a payment method does at the n-th call
                   ├────► captures               never more than is authorized
                   ├────► refunds                never more than was captured
                   ├────► turns                  what changes later, by itself or by hand
                   ├────► events                 signed, offered several times
                   └────► ledger                 the money that moved: the outside witness
                             ▲
                   records ──┘                   listed line by line, and paid out daily
"""

from payments.processors.sandbox.ledger import (
    Moved,
    everything_moved,
    moved_for,
)
from payments.processors.sandbox.sandbox_processor import Sandbox, one_at_a_time
from payments.processors.sandbox.transitions import complete, decline

__all__ = [
    "Moved",
    "Sandbox",
    "complete",
    "decline",
    "everything_moved",
    "moved_for",
    "one_at_a_time",
]

"""Personal data of charges and refunds: what `erase` removes, and what stays and why.

Every column with text from outside is in one of the two lists; a test enforces that.
"""

from collections.abc import Mapping
from typing import Any

# The value of each column, and of the field of that name in events, after erasure.
CHARGE: Mapping[str, Any] = {
    "customer_id": None,
    "payment_method_id": None,
    "description": None,
    "statement_descriptor": None,
    "receipt_email": None,
    "metadata": {},
    "next_action": None,
    "return_url": None,
    "cancel_reason": None,
}
REFUND: Mapping[str, Any] = {"reason": None, "metadata": {}, "asked_by": None}

# Besides amounts, currencies, states and moments, without which there are no books.
STAYS: Mapping[str, str] = {
    "id": "by it the processor, the books and the receivers name it",
    "charge_id": "whose refund it is",
    "producer": "whose it is: the name of a service",
    "charge_producer": "likewise",
    "idempotency_key": "a repeat must find it, or the money would move again",
    "fingerprint": "a hash of the request: a repeat must be known for one",
    "reference": "the order's number: bookkeeping, and a second charge for it is refused by it",
    "processor": "who moved the money",
    "processor_reference": "by it the processor's books are reconciled",
    "processor_code": "the processor's word for why it failed",
    "failure_code": "why it failed",
    "failure_message": "that code, in this service's words",
    "failure_advice": "what to do about it",
    "capture_failure_code": "why a capture failed",
    "cancel_code": "that it was canceled",
    "cancel_requested_by": "who canceled it: a service, or one of your people",
    "price_id": "what was sold",
    "lines": "what the amount was made of",
    "warnings": "codes for its caller",
    "request_id": "which request made it",
    "traceparent": "which trace it belongs to",
    "worker": "which process worked on it",
}

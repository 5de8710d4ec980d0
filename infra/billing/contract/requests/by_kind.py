"""Which request asks for an object of each kind, and by which message."""

from collections.abc import Mapping
from typing import TypeAlias

from infra.billing.contract.ids import Kind
from infra.billing.contract.messages.task_names import CANCEL, CAPTURE, CREATE
from infra.billing.contract.requests.cancel_request import CancelRequest
from infra.billing.contract.requests.capture_request import CaptureRequest
from infra.billing.contract.requests.charge_request import ChargeRequest
from infra.billing.contract.requests.refund_request import RefundRequest
from infra.billing.contract.requests.request_fields import Asked

Request: TypeAlias = ChargeRequest | RefundRequest

MODELS: Mapping[Kind, type[ChargeRequest] | type[RefundRequest]] = {
    "charge": ChargeRequest,
    "refund": RefundRequest,
}

# What may be asked for by message.
TASKS: Mapping[str, type[Asked]] = {
    **{CREATE[kind]: model for kind, model in MODELS.items()},
    CAPTURE: CaptureRequest,
    CANCEL: CancelRequest,
}

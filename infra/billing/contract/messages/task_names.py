"""The names of the Celery tasks: what producers send, and what billing's processes call."""

from collections.abc import Mapping

from infra.billing.contract.ids import Kind

# What producers ask for; the fields of each are in `by_kind.TASKS`.
CREATE: Mapping[Kind, str] = {"charge": "billing.charge.create", "refund": "billing.refund.create"}
CAPTURE, CANCEL = "billing.charge.capture", "billing.charge.cancel"

# Wake-up calls, with nothing but ids: a row is due, an endpoint has something due.
SUBMIT: Mapping[Kind, str] = {"charge": "billing.charge.submit", "refund": "billing.refund.submit"}
DRAIN = "billing.webhook.drain"

# What beat runs on its schedule.
SWEEP_DUE, SWEEP_SECRETS = "billing.sweep.due", "billing.sweep.secrets"

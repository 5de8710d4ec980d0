"""What a caller of a client that openapi-python-client generated writes."""

import json
import os
import sys

from billing_client.api.charges import create_charge, list_charges
from billing_client.api.refunds import create_refund
from billing_client.client import AuthenticatedClient
from billing_client.models import (
    Charge,
    ChargeByAmount,
    ChargeByAmountCurrency,
    Problem,
    Refund,
    RefundRequest,
)

client = AuthenticatedClient(base_url=os.environ["URL"], token=os.environ["KEY"])


def order(amount: int) -> ChargeByAmount:
    return ChargeByAmount(
        amount=amount, currency=ChargeByAmountCurrency.USD, payment_method_id="pm_card_visa"
    )


made = create_charge.sync(client=client, body=order(1999), idempotency_key="python-1")
assert isinstance(made, Charge)
refund = RefundRequest(charge_id=made.charge_id, amount=500)
refunded = create_refund.sync(client=client, body=refund)
assert isinstance(refunded, Refund)
listed = list_charges.sync(client=client, limit=100)
assert listed is not None
assert not isinstance(listed, Problem)
found = next(one for one in listed.data if one.charge_id == made.charge_id)
refused = create_charge.sync(client=client, body=order(0))
assert isinstance(refused, Problem)
told = [made.charge_id, refunded.refund_id, found.payment_method_id]
sys.stdout.write(json.dumps([*told, found.refund_pending_amount, refused.code]))

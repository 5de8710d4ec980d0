"""The samples that the product was asked for with, as they were written.

`from infrai import infra` is our `import infra.billing`; nothing else is changed.
"""

CREATE = """
import infra.billing

charge = infra.billing.charge.create(amount=19.99, currency="USD", customer_id="cus_123")
print("charge:", charge.get("charge_id"), "| state:", charge.get("state"))
"""
GET = """
import infra.billing

c = infra.billing.charge.get(id="ch_...")
print("state:", c.get("state"), "| amount:", c.get("amount"))
"""
REFUND = """
import infra.billing

r = infra.billing.refund.create(charge_id="ch_...", amount=5.0)
print("refund:", r.get("refund_id"), "| state:", r.get("state"))
"""


def run(sample: str) -> None:
    """Run one, as a program of its own would."""
    exec(compile(sample, "a sample of the seed", "exec"), {})  # noqa: S102  # that is the point

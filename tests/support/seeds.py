"""The samples that the product was asked for with, as they were written.

`from infrai import infra` is our `import infra.billing`; nothing else is changed. Those of prices
were written in JavaScript: here they are in Python, with the same names and values.
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

CREATE_PRICE = """
import infra.billing

price = infra.billing.price.create(
    product_id="prod_xxxxxxxxxxxxxx",
    nickname="Standard Monthly Plan",
    unit_amount="2000",
    currency_id="cur_xxxxxxxxxxxxxx",
    type="recurring",
    recurring={"interval": "month", "interval_count": 1},
)
print("price:", price.get("id"), "|", price.product.name, "|", price["currency"]["name"])
"""
GET_PRICE = """
import infra.billing

price = infra.billing.price.retrieve("price_xxxxxxxxxxxxxx")
print("price:", price.nickname)
"""
UPDATE_PRICE = """
import infra.billing

price = infra.billing.price.update("price_xxxxxxxxxxxxxx", nickname="Updated Standard Plan Name")
print("price:", price.nickname)
"""
LIST_PRICES = """
import infra.billing

prices = infra.billing.price.list(product_id="prod_xxxxxxxxxxxxxx", active=True, page_size=5)
print("prices:", prices.count, "|", [price.nickname for price in prices.list])
"""
TAKE_FROM_STOCK = """
import infra.billing

price = infra.billing.price.inventory("price_xxxxxxxxxxxxxx", quantity=1, action="decrement")
print("left:", price.quantity_available)
"""
ARCHIVE_PRICE = """
import infra.billing

price = infra.billing.price.archive("price_xxxxxxxxxxxxxx")
print("price:", price.id, "| active:", price.active)
"""
DELETE_PRICE = """
import infra.billing

result = infra.billing.price.delete("price_xxxxxxxxxxxxxx")
print("deleted:", result.id)
"""


def run(sample: str) -> None:
    """Run one, as a program of its own would."""
    exec(compile(sample, "a sample of the seed", "exec"), {})  # noqa: S102  # that is the point

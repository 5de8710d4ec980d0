// The samples of the seed, as they stand, but for the import and the client's name.
import { BillingClient, type Charge, type ChargeOptions, type Refund } from "billing-worker-client";

declare const process: { env: Record<string, string | undefined> };
const client = new BillingClient({ apiKey: process.env["KEY"]!, baseUrl: process.env["URL"]! });

const opts: ChargeOptions = { amount: 1999, currency: "USD", customer_id: "cus_123", idempotency_key: "seed-1" };
const charge: Charge = await client.billing.charge(opts);
const got: Charge = await client.billing.getCharge(charge.charge_id);
const refund: Refund = await client.billing.refund({ charge_id: charge.charge_id });
console.log(JSON.stringify([charge.charge_id, got.amount, got.currency, got.state, refund.refund_id, refund.state]));

const payment = client.billing;

async function createRecurringPrice(productId: string) {
  const price = await payment.prices.create({
    product_id: productId,
    nickname: "Standard Monthly Plan",
    unit_amount: "2000", // $20.00
    currency_id: "cur_usd",
    type: "recurring",
    recurring: {
      interval: "month",
      interval_count: 1,
    },
    quantity_available: 3,
  });
  return price;
}

const product = await payment.products.create({ name: "My SaaS Product" });
const made = await createRecurringPrice(product.id);
const retrieved = await payment.prices.retrieve(made.id);
const updated = await payment.prices.update(made.id, { nickname: "New name", metadata: { plan: "gold" } });
const priceList = await payment.prices.list({
  product_id: product.id,
  active: true,
  pageSize: 5,
});
const counted = await payment.prices.inventory(made.id, {
  quantity: 1,
  action: "decrement",
});
const archived = await payment.prices.archive(made.id);
const result = await payment.prices.del(made.id);
console.log(JSON.stringify([retrieved.recurring?.interval, updated.nickname, priceList.list.length, counted.quantity_available, archived.active, result.id === made.id]));

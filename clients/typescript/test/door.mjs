// A charge and its refund at a real service; prints what came of it.
import { BillingClient, webhooks } from "../dist/esm/index.js";

const client = new BillingClient({ apiKey: process.env.KEY, baseUrl: process.env.URL });
const { billing } = client;
const asked = { amount: 1999, currency: "USD", customer_id: "cus_ts", metadata: { from: "typescript" } };
const charge = await billing.charge(asked, { idempotencyKey: "ts-1" });
const again = await billing.charge(asked, { idempotencyKey: "ts-1" });
const other = await billing.charge({ ...asked, amount: 5 }, { idempotencyKey: "ts-1" }).catch((error) => error);
const refund = await billing.refund({ charge_id: charge.charge_id, amount: 500 });
const got = await billing.getCharge(charge.charge_id);
for (let n = 0; n < 5; n++) await billing.charge({ amount: 1 + n, currency: "JPY", customer_id: "cus_ts" });
const listed = [];
for await (const one of billing.charges.list({ customer_id: "cus_ts", limit: 2 })) listed.push(one.charge_id);
const product = await billing.products.create({ name: "Tea" });
const price = await billing.prices.create({ product_id: product.id, unit_amount: "2000", currency_id: "cur_usd", quantity_available: 5 });
const stocked = await billing.prices.inventory(price.id, { quantity: 2, action: "decrement" });
const quote = await billing.prices.quote(price.id, { quantity: 3 });
const prices = await billing.prices.list({ product_id: product.id, active: true, pageSize: 5 });
const archived = await billing.prices.archive(price.id);
const endpoint = await billing.endpoints.create({ url: "http://127.0.0.1:9/hook" });
const canceled = await billing.charges.cancel(listed[0], { reason: "left" });
const feed = [];
for await (const one of billing.events.list({ limit: 3 })) feed.push(one.type);
const verified = await webhooks.verify(process.env.BODY, JSON.parse(process.env.HEADERS), process.env.SECRET);
const tampered = await webhooks.verify(`${process.env.BODY} `, JSON.parse(process.env.HEADERS), process.env.SECRET).catch((error) => error);
const signed = await webhooks.sign(process.env.BODY, process.env.SECRET, { id: "evt_1" });
console.log(JSON.stringify({
  charge, replayed: [charge.lastResponse.replayed, again.lastResponse.replayed], same: again.charge_id === charge.charge_id,
  refused: [other.name, other.code, other.requestId], refund, pending: got.refund_pending_amount, listed: listed.length,
  stock: stocked.quantity_available, quote: quote.amount, prices: [prices.count, prices.list.length], active: archived.active,
  secret: endpoint.secret.slice(0, 6), canceled: canceled.failure_code, feed: feed.length, verified: verified.type,
  tampered: [tampered.name, tampered.code], signed,
}));

// What a caller of a client that openapi-typescript generated writes.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

declare const process: { env: Record<string, string | undefined> };

const client = createClient<paths>({
  baseUrl: process.env.URL ?? "",
  headers: { Authorization: `Bearer ${process.env.KEY}` },
});
const order: components["schemas"]["ChargeByAmount"] = {
  amount: 1999,
  currency: "USD",
  payment_method_id: "pm_card_visa",
};
const made = await client.POST("/v1/billing/charges", {
  body: order,
  params: { header: { "Idempotency-Key": "typescript-1" } },
});
if (made.error) throw new Error(made.error.detail);
const refunded = await client.POST("/v1/billing/refunds", {
  body: { charge_id: made.data.charge_id, amount: 500 },
});
if (refunded.error) throw new Error(refunded.error.detail);
const listed = await client.GET("/v1/billing/charges", { params: { query: { limit: 100 } } });
if (listed.error) throw new Error(listed.error.detail);
const found = listed.data.data.find((one) => one.charge_id === made.data.charge_id);
const refused = await client.POST("/v1/billing/charges", { body: { ...order, amount: 0 } });
console.log(
  JSON.stringify([
    made.data.charge_id,
    refunded.data.refund_id,
    found?.payment_method_id,
    found?.refund_pending_amount,
    refused.error?.code,
  ]),
);

// What a caller of a client that @hey-api/openapi-ts generated writes.
import { createClient } from "./hey/client/index.js";
import { createCharge, createRefund, listCharges } from "./hey/index.js";

declare const process: { env: Record<string, string | undefined> };

const client = createClient({ baseUrl: process.env.URL ?? "", auth: () => process.env.KEY });
const order = { amount: 1999, currency: "USD", payment_method_id: "pm_card_visa" } as const;
const made = await createCharge({
  client,
  body: order,
  headers: { "Idempotency-Key": "hey-1" },
  throwOnError: true,
});
const refunded = await createRefund({
  client,
  body: { charge_id: made.data.charge_id, amount: 500 },
  throwOnError: true,
});
const listed = await listCharges({ client, query: { limit: 100 }, throwOnError: true });
const found = listed.data.data.find((one) => one.charge_id === made.data.charge_id);
const refused = await createCharge({ client, body: { ...order, amount: 0 } });
console.log(
  JSON.stringify([
    made.data.charge_id,
    refunded.data.refund_id,
    found?.payment_method_id,
    found?.refund_pending_amount,
    refused.error?.code,
  ]),
);

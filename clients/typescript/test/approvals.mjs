// An operator decides what waits at a real service; prints what came of it.
import { BillingClient } from "../dist/esm/index.js";

const { billing } = new BillingClient({ apiKey: process.env.KEY, baseUrl: process.env.URL });
const [first, second] = process.env.IDS.split(" ");
const waiting = [];
for await (const one of billing.approvals.list({ state: "pending", limit: 1 })) waiting.push(one.id);
const before = await billing.approvals.get(first);
const approved = await billing.approvals.approve(first, { reason: "seen the mail" });
const again = await billing.approvals.approve(first, { reason: "once more" });
const late = await billing.approvals.reject(first, { reason: "too late" }).catch((error) => error);
const rejected = await billing.approvals.reject(second, { reason: "not agreed" });
const mine = await billing.refund({ charge_id: process.env.CHARGE, amount: 1000 });
const [asked] = (await billing.approvals.list({ object_id: mine.refund_id })).data;
const own = await billing.approvals.approve(asked.id, { reason: "mine" }).catch((error) => error);
const missing = await billing.approvals.get("apr_" + "a".repeat(32)).catch((error) => error);
console.log(JSON.stringify({
  waiting: [first, second].every((id) => waiting.includes(id)), before: before.state, approved: [approved.state, approved.decision_reason], again: again.decision_reason,
  late: [late.name, late.code], rejected: rejected.state, phase: mine.phase, own: [own.name, own.code], missing: missing.name,
}));

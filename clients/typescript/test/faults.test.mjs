// The client at a service that cuts, is silent, or is busy: one key for all tries, and typed errors.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, test } from "node:test";
import { BillingClient, BillingError, ConnectionError, ConflictError, IdempotencyError, InvalidRequestError, NotFoundError, PermissionError, RateLimitError, ServiceError } from "../dist/esm/index.js";

const CHARGE = { charge_id: "ch_" + "a".repeat(32), object: "charge", amount: 1999, currency: "USD", state: "pending" };
const problem = (code) => JSON.stringify({ code, detail: "why", param: "amount", available: 7 });
const JSON_ = { "content-type": "application/json" };
const servers = [];
after(() => servers.forEach((one) => one.close()));

/** A client of a service that answers each request with the next of these. */
async function serviceThat(...answers) {
  const seen = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (piece) => (body += piece));
    request.on("end", () => {
      seen.push({ method: request.method, url: request.url, key: request.headers["idempotency-key"], prefer: request.headers.prefer, body });
      answers[Math.min(seen.length, answers.length) - 1](response, request);
    });
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  servers.push({ close: () => (server.closeAllConnections(), server.close()) });
  const baseUrl = `http://127.0.0.1:${server.address().port}`;
  const client = (options) => new BillingClient({ apiKey: "key_test", baseUrl, ...options }).billing;
  return { seen, client };
}
const says = (status, body = JSON.stringify(CHARGE), headers = {}) => (response) => response.writeHead(status, { ...JSON_, ...headers }).end(body);
const cut = (response) => response.destroy();
const half = (response) => (response.writeHead(202, { ...JSON_, "content-length": "1000" }), response.write('{"charge'), setTimeout(() => response.destroy(), 10));
const silent = () => {};

for (const [name, fault] of Object.entries({ cut, half, busy: says(503, problem("database_unavailable")), limited: says(429, problem("rate_limited")), gateway: says(502, "<html>"), empty: says(200, ""), page: says(200, "<html>"), list: says(200, "[]") })) {
  test(`after ${name} it asks again under the same key`, async () => {
    const { seen, client } = await serviceThat(fault, says(202));
    const charge = await client().charge({ amount: 1999, currency: "USD" });
    assert.equal(charge.charge_id, CHARGE.charge_id);
    assert.equal(seen.length, 2);
    assert.ok(seen[0].key);
    assert.equal(seen[0].key, seen[1].key);
    assert.equal(seen[0].body, seen[1].body);
  });
}

test("two calls have two keys, and a key that is given is the key", async () => {
  const { seen, client } = await serviceThat(says(202));
  await client().charge({ amount: 1, currency: "USD" });
  await client().charge({ amount: 1, currency: "USD" });
  await client().charge({ amount: 1, currency: "USD" }, { idempotencyKey: "order-1" });
  await client().charge({ amount: 1, currency: "USD", idempotency_key: "order-2" });
  assert.notEqual(seen[0].key, seen[1].key);
  assert.deepEqual([seen[2].key, seen[3].key], ["order-1", "order-2"]);
  assert.ok(!seen[3].body.includes("idempotency_key"));
});

test("silence ends with the deadline, and says under which key to ask again", async () => {
  const { seen, client } = await serviceThat(silent);
  const asked = client({ timeoutMs: 300, maxRetries: 0 }).refund({ charge_id: CHARGE.charge_id }, { idempotencyKey: "back-1" });
  await assert.rejects(asked, (error) => error instanceof ConnectionError && error.idempotencyKey === "back-1");
  assert.equal(seen.length, 1);
});

test("what may not be done twice is not repeated", async () => {
  const { seen, client } = await serviceThat(cut);
  await assert.rejects(client().prices.del("price_x"), ConnectionError);
  await assert.rejects(client().prices.archive("gold"), ConnectionError);
  await assert.rejects(client().prices.update("gold", { active: false }), ConnectionError);
  assert.equal(seen.length, 3);
  // By its id it stays the same price.
  await assert.rejects(client().prices.archive("price_" + "a".repeat(32)), ConnectionError);
  assert.equal(seen.length, 6);
});

test("refusals are typed, and not tried again", async () => {
  const kinds = { 400: InvalidRequestError, 404: NotFoundError, 409: ConflictError, 422: IdempotencyError, 500: ServiceError, 429: RateLimitError };
  for (const [status, kind] of Object.entries(kinds)) {
    const { seen, client } = await serviceThat(says(Number(status), problem("some_code"), { "x-request-id": "req_1" }));
    await assert.rejects(client({ maxRetries: 0 }).getCharge(CHARGE.charge_id), (error) => {
      assert.ok(error instanceof kind && error instanceof BillingError);
      assert.deepEqual([error.name, error.code, error.param, error.status, error.requestId, error.facts.available], [kind.name, "some_code", "amount", Number(status), "req_1", 7]);
      return true;
    });
    assert.equal(seen.length, 1);
  }
});

test("Retry-After is waited for, and a deadline that it passes ends the call", async () => {
  const { seen, client } = await serviceThat(says(429, problem("rate_limited"), { "retry-after": "60" }), says(200));
  await assert.rejects(client({ timeoutMs: 1000 }).getCharge("ch_1"), RateLimitError);
  assert.equal(seen.length, 1);
});

test("a caller that goes away is not told otherwise", async () => {
  const { client } = await serviceThat(silent);
  const gone = new AbortController();
  const asked = client().getCharge("ch_1", { signal: gone.signal });
  setTimeout(() => gone.abort(new Error("the user left")), 20);
  await assert.rejects(asked, /the user left/);
});

test("what was there before is told apart, and so is the request's id", async () => {
  const { seen, client } = await serviceThat(says(200, JSON.stringify(CHARGE), { "x-request-id": "req_7", "idempotent-replayed": "true" }));
  const charge = await client().charge({ amount: 1999, currency: "USD" }, { waitS: 3 });
  assert.deepEqual({ ...charge.lastResponse }, { requestId: "req_7", status: 200, replayed: true });
  assert.deepEqual(JSON.parse(JSON.stringify(charge)), CHARGE);
  assert.equal(seen[0].prefer, "wait=3");
});

test("lists are walked through page by page, and ids are parts of a path", async () => {
  const page = (data, next_cursor) => says(200, JSON.stringify({ data, has_more: next_cursor !== null, next_cursor }));
  const { seen, client } = await serviceThat(page([1, 2], "c1"), page([3], null), says(200));
  const found = [];
  for await (const one of client().charges.list({ state: "failed", created_after: new Date(0) })) found.push(one);
  assert.deepEqual(found, [1, 2, 3]);
  assert.deepEqual(seen.map((one) => one.url), [
    "/v1/billing/charges?state=failed&created_after=1970-01-01T00%3A00%3A00.000Z",
    "/v1/billing/charges?state=failed&created_after=1970-01-01T00%3A00%3A00.000Z&cursor=c1",
  ]);
  await client().prices.retrieve("a/b?c");
  assert.equal(seen[2].url, "/v1/billing/prices/a%2Fb%3Fc");
});

test("a decision is asked for again when nobody answers, as twice is once", async () => {
  const { seen, client } = await serviceThat(cut, says(200, JSON.stringify({ id: "apr_1", state: "approved" })), says(403, problem("second_person_required")));
  const done = await client().approvals.approve("apr_1", { reason: "seen the mail" });
  assert.equal(done.state, "approved");
  await assert.rejects(client().approvals.reject("apr_2", { reason: "mine" }), (error) => error instanceof PermissionError && error.code === "second_person_required");
  assert.deepEqual(seen.map((one) => [one.method, one.url, one.body]), [
    ...Array(2).fill(["POST", "/v1/billing/approvals/apr_1/approve", '{"reason":"seen the mail"}']),
    ["POST", "/v1/billing/approvals/apr_2/reject", '{"reason":"mine"}'],
  ]);
});

test("a redirect is not followed with the key", async () => {
  const { seen, client } = await serviceThat((response) => response.writeHead(307, { location: "http://127.0.0.1:9/" }).end());
  await assert.rejects(client().getCharge("ch_1"), BillingError);
  assert.equal(seen.length, 1);
});

test("what can't work is refused before anything is sent", () => {
  for (const options of [{}, { apiKey: "", baseUrl: "http://x" }, { apiKey: "key_1", baseUrl: "x" }, { apiKey: "key_1", baseUrl: "ftp://x" }, { apiKey: "key_1", baseUrl: "http://u:p@x" }])
    assert.throws(() => new BillingClient(options), BillingError);
});

test("every error of a call says under which key to ask again", async () => {
  const { seen, client } = await serviceThat(says(500, problem("internal_error")));
  await assert.rejects(client({ maxRetries: 0 }).charge({ amount: 1, currency: "USD" }), (error) => {
    assert.ok(error instanceof ServiceError);
    assert.ok(error.idempotencyKey);
    assert.equal(error.idempotencyKey, seen[0].key);
    return true;
  });
  await assert.rejects(client({ maxRetries: 0 }).getCharge("ch_1"), (error) => error.idempotencyKey === null);
});

test("a key that a header would change travels in the body, in every try", async () => {
  for (const key of ["заказ-1", "commande-é", '"order-1"', " order-1", "order 1"]) {
    const { seen, client } = await serviceThat(cut, says(202));
    await client().charge({ amount: 1, currency: "USD" }, { idempotencyKey: key });
    assert.deepEqual(seen.map((one) => one.key), [undefined, undefined]);
    assert.deepEqual(seen.map((one) => JSON.parse(one.body).idempotency_key), [key, key]);
  }
});

test("what can't be sent is refused before anything is, and is no silence of the service", async () => {
  const { seen, client } = await serviceThat(says(202));
  const circle = {};
  circle.self = circle;
  const wrong = (error) => error instanceof BillingError && !(error instanceof ConnectionError) && error.code === "invalid_request";
  await assert.rejects(client().charge({ amount: 1n, currency: "USD" }), wrong);
  await assert.rejects(client().charge({ amount: 1, currency: "USD", metadata: circle }), wrong);
  await assert.rejects(client().charge({ amount: 1, currency: "USD", idempotency_key: "a" }, { idempotencyKey: "b" }), wrong);
  await assert.rejects(async () => await client().charges.list({ created_after: new Date(NaN) }), wrong);
  for (const options of [{ timeoutMs: 0 }, { timeoutMs: NaN }, { timeoutMs: Infinity }, { timeoutMs: 2 ** 31 }, { timeoutMs: "5" }, { waitS: -1 }, { waitS: NaN }])
    await assert.rejects(client().getCharge("ch_1", options), wrong);
  assert.equal(seen.length, 0);
});

test("an answer that is lost while it was waited for is asked for again", async () => {
  const late = (response) => setTimeout(() => response.destroy(), 400);
  const { seen, client } = await serviceThat(late, says(200));
  const charge = await client({ timeoutMs: 350 }).charge({ amount: 1, currency: "USD" }, { waitS: 20 });
  assert.equal(charge.charge_id, CHARGE.charge_id);
  assert.equal(seen.length, 2);
  assert.equal(seen[0].key, seen[1].key);
});

test("a key with a line break is refused without being repeated", () => {
  for (const apiKey of ["key_secret\nx", "key_secret ", "key_", "key_sécret"])
    assert.throws(() => new BillingClient({ apiKey, baseUrl: "http://x" }), (error) => error.param === "apiKey" && !error.message.includes("secret"));
  assert.throws(() => new BillingClient({ apiKey: "key_1", baseUrl: "http://:pw@x" }), (error) => error.param === "baseUrl");
});

/** Webhooks (Standard Webhooks): verified by receivers, and signed for their tests. */
import { BillingError, SignatureError } from "./errors.js";

/** A webhook that was verified. */
export interface WebhookEvent {
  /** The same for every time that it is sent: do nothing twice for one id. */
  id: string;
  type: string;
  timestamp: string;
  /** Per object, without a gap: a receiver can order events, and knows when one is missing. */
  sequence: number;
  data: Record<string, unknown>;
}

type Headers_ = Headers | Readonly<Record<string, string | readonly string[] | undefined>>;

const TOLERANCE_S = 300;
const encoder = new TextEncoder();

/** The event of a webhook, once it is proved to be the service's. `body` is what came, byte for
 * byte: never what a JSON parser made of it. Several secrets while one is rotated. Rejects with
 * SignatureError. */
export async function verify(
  body: string | Uint8Array,
  headers: Headers_,
  secret: string | readonly string[],
  options: { toleranceS?: number; now?: Date } = {},
): Promise<WebhookEvent> {
  const [id, timestamp, signatures] = ["id", "timestamp", "signature"].map((name) => header(headers, `webhook-${name}`));
  if (!id || !timestamp || !signatures) throw refused("it has no signature");
  const at = /^\d{1,12}$/.test(timestamp) ? Number(timestamp) : NaN;
  const now = (options.now ?? new Date()).getTime() / 1000;
  if (!(Math.abs(now - at) <= (options.toleranceS ?? TOLERANCE_S))) throw refused("it is too old, or of the future");
  const bytes = typeof body === "string" ? encoder.encode(body) : body;
  const shown = signatures.split(" ").filter((one) => one.startsWith("v1,"));
  for (const one of typeof secret === "string" ? [secret] : secret) {
    const key = await keyOf(one, "verify");
    for (const signature of shown) {
      const given = fromBase64(signature.slice(3));
      if (given && (await crypto.subtle.verify("HMAC", key, given, signed(id, timestamp, bytes)))) {
        return { id, ...(JSON.parse(new TextDecoder().decode(bytes)) as Omit<WebhookEvent, "id">) };
      }
    }
  }
  throw refused("its signature is wrong");
}

/** The headers of a webhook with this body, for tests of a receiver. */
export async function sign(
  body: string | Uint8Array,
  secret: string,
  options: { id?: string; at?: Date } = {},
): Promise<Record<"webhook-id" | "webhook-timestamp" | "webhook-signature", string>> {
  const id = options.id ?? `evt_test_${crypto.randomUUID().replaceAll("-", "")}`;
  const timestamp = String(Math.floor((options.at ?? new Date()).getTime() / 1000));
  const bytes = typeof body === "string" ? encoder.encode(body) : body;
  const made = await crypto.subtle.sign("HMAC", await keyOf(secret, "sign"), signed(id, timestamp, bytes));
  const text = btoa(String.fromCharCode(...new Uint8Array(made)));
  return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": `v1,${text}` };
}

function signed(id: string, timestamp: string, body: Uint8Array): Uint8Array<ArrayBuffer> {
  const before = encoder.encode(`${id}.${timestamp}.`);
  const all = new Uint8Array(before.length + body.length);
  all.set(before);
  all.set(body, before.length);
  return all;
}

async function keyOf(secret: string, use: "sign" | "verify"): Promise<CryptoKey> {
  const bytes = fromBase64(secret.replace(/^whsec_/, ""));
  if (!bytes || bytes.length === 0)
    throw new BillingError("a secret is whsec_ and base64", { code: "invalid_request", param: "secret" });
  return crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, [use]);
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> | null {
  try {
    return Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  } catch {
    return null;
  }
}

function header(headers: Headers_, name: string): string | undefined {
  if (typeof (headers as Headers).get === "function") return (headers as Headers).get(name) ?? undefined;
  const found = Object.entries(headers).find(([one]) => one.toLowerCase() === name)?.[1];
  return typeof found === "string" ? found : found?.[0];
}

function refused(why: string): SignatureError {
  return new SignatureError(`not a webhook of the service: ${why}`, { code: "invalid_signature" });
}

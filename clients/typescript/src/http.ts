/** Requests over HTTP: a deadline for the whole call, tries that repeat the same key, typed errors. */
import { BillingError, ConnectionError, errorOf } from "./errors.js";
import type { Problem } from "./types.js";

export interface BillingClientOptions {
  /** An API key (`key_…`), which `billing keys create` makes. */
  apiKey: string;
  /** Where the service is, such as https://billing.example.com. */
  baseUrl: string;
  /** How long a call may take with all its tries, in milliseconds. 30 s unless said otherwise. */
  timeoutMs?: number;
  /** How often a call is tried again. Twice unless said otherwise. */
  maxRetries?: number;
  /** Another `fetch`, such as one with a proxy. */
  fetch?: typeof fetch;
}

export interface RequestOptions {
  /** Under which key: the same key and the same request make one charge, however often they come.
   * Without it, each call has one of its own, which its tries share. */
  idempotencyKey?: string;
  timeoutMs?: number;
  signal?: AbortSignal;
  /** Wait up to so many seconds (at most 30) until it is final. */
  waitS?: number;
}

/** What every object of an answer has beside its fields, unseen when it is listed or written out. */
export interface Response {
  readonly requestId: string | null;
  readonly status: number;
  /** Whether the service had this request before, and answered with what came of it. */
  readonly replayed: boolean;
}
export type WithResponse<T> = T & { readonly lastResponse: Response };

interface Asked {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  path: string;
  query?: Readonly<Record<string, unknown>>;
  body?: Readonly<Record<string, unknown>>;
  /** Whether it has a key. What has none is repeated only when surely nothing was done. */
  isKeyed?: boolean;
  /** Whether twice is once, also without a key; where it isn't said, of GET and PUT it is. */
  isIdempotent?: boolean;
  options?: RequestOptions | undefined;
}

const PREFIX = "/v1/billing";
const BACKOFF_MS = 200;
const BACKOFF_MAX_MS = 5_000;
const PASSING = new Set([429, 500, 502, 503, 504]);
// Of what is left of the time a try gets half, so that one that hangs leaves time for another.
const HALF_MIN_MS = 1_000;
const TIMEOUT_MAX_MS = 86_400_000; // timers hold 31 bits, and end at once above
const WAIT_MAX_S = 30;
// Other keys travel in the body: of a header, proxies and servers disagree about the encoding, the
// quotes, and the spaces, and another key would be another charge.
const KEY_OF_HEADER = /^[!#-~]{1,255}$/;

export class Transport {
  readonly #fetch: typeof fetch;
  readonly #root: string;
  readonly #key: string;
  readonly #timeoutMs: number;
  readonly #maxRetries: number;

  constructor(options: BillingClientOptions) {
    if (typeof options?.apiKey !== "string" || !/^key_[!-~]+$/.test(options.apiKey))
      throw new BillingError("apiKey must be an API key (key_…)", { code: "invalid_request", param: "apiKey" });
    let root: URL;
    try {
      root = new URL(options.baseUrl);
    } catch {
      throw new BillingError("baseUrl must be a URL such as https://billing.example.com", {
        code: "invalid_request", param: "baseUrl" });
    }
    if (!/^https?:$/.test(root.protocol) || root.search || root.hash || root.username || root.password)
      throw new BillingError("baseUrl must be http(s)://host[:port], without user, query or fragment", {
        code: "invalid_request", param: "baseUrl" });
    this.#root = root.href.replace(/\/+$/, "").replace(/\/v1\/billing$/, "") + PREFIX;
    this.#key = options.apiKey;
    this.#timeoutMs = within("timeoutMs", options.timeoutMs ?? 30_000, 1, TIMEOUT_MAX_MS);
    this.#maxRetries = within("maxRetries", options.maxRetries ?? 2, 0, 100);
    this.#fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
  }

  /** What the service answers. Rejects with a BillingError, within the deadline; and before
   * anything is sent, if what was asked for can't be. */
  async request<T>(asked: Asked): Promise<WithResponse<T>> {
    const { options = {} } = asked;
    const timeoutMs = within("timeoutMs", options.timeoutMs ?? this.#timeoutMs, 1, TIMEOUT_MAX_MS);
    const key = asked.isKeyed ? keyOf(asked) : null;
    const sent = this.#written(asked, key);
    const waitsUntil = Date.now() + 1000 * Math.min(within("waitS", options.waitS ?? 0, 0, Infinity), WAIT_MAX_S);
    const endsAt = waitsUntil + timeoutMs;
    const isRepeatable = key !== null || (asked.isIdempotent ?? ["GET", "PUT"].includes(asked.method));
    for (let tries = 1; ; tries++) {
      const waitMs = Math.max(0, waitsUntil - Date.now());
      const left = endsAt - Date.now() - waitMs;
      const tryMs = left > HALF_MIN_MS && tries <= this.#maxRetries ? left / 2 : left;
      const outcome = await this.#once<T>(sent, key, Math.max(1, tryMs), waitMs, options.signal);
      if (!(outcome instanceof Failed)) return outcome;
      outcome.error.idempotencyKey = key;
      const mayRepeat = outcome.status === 429 || (isRepeatable && outcome.isPassing);
      const pause = outcome.afterMs + Math.random() * Math.min(BACKOFF_MAX_MS, BACKOFF_MS * 2 ** (tries - 1));
      if (!mayRepeat || tries > this.#maxRetries || Date.now() + pause >= endsAt) throw outcome.error;
      await sleep(pause, options.signal);
    }
  }

  /** The request as every try sends it. */
  #written(asked: Asked, key: string | null): Sent {
    const { idempotency_key: _, ...fields }: Record<string, unknown> = asked.body ?? {};
    const headers: Record<string, string> = { authorization: `Bearer ${this.#key}`, accept: "application/json" };
    if (key !== null && KEY_OF_HEADER.test(key)) headers["idempotency-key"] = key;
    else if (key !== null) fields["idempotency_key"] = key;
    if (asked.body !== undefined) headers["content-type"] = "application/json";
    try {
      const body = asked.body === undefined ? null : JSON.stringify(fields);
      return { url: this.#root + asked.path + queryOf(asked.query), method: asked.method, headers, body };
    } catch (cause) {
      const wrong = new BillingError("what was asked for can't be written as JSON, or a date of it is none", {
        code: "invalid_request" });
      throw Object.assign(wrong, { cause });
    }
  }

  async #once<T>(
    sent: Sent, key: string | null, tryMs: number, waitMs: number, caller: AbortSignal | undefined,
  ): Promise<WithResponse<T> | Failed> {
    caller?.throwIfAborted();
    const { url, method, body } = sent;
    const ends = AbortSignal.timeout(Math.ceil(tryMs + waitMs));
    const signal = caller ? AbortSignal.any([ends, caller]) : ends;
    const seconds = Math.ceil((waitMs - 50) / 1000); // what has passed since the call began is no second
    const headers = seconds > 0 ? { ...sent.headers, prefer: `wait=${seconds}` } : sent.headers;
    try {
      return await answerOf<T>(await this.#fetch(url, { method, headers, body, signal, redirect: "manual" }));
    } catch (cause) {
      caller?.throwIfAborted(); // the caller's own end is the caller's own error
      const why = ends.aborted ? "no answer came in time" : "the service could not be reached";
      const what = `${why}; what was asked for may have been done`;
      return new Failed(new ConnectionError(key ? `${what}: repeat it under the same key` : what, key, { cause }), true);
    }
  }
}

interface Sent {
  readonly url: string;
  readonly method: Asked["method"];
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

/** The key of a call, which all its tries share. */
function keyOf(asked: Asked): string {
  const [option, field] = [asked.options?.idempotencyKey, asked.body?.["idempotency_key"] ?? undefined];
  if (option !== undefined && field !== undefined && option !== field)
    throw new BillingError("idempotencyKey and idempotency_key differ; give one of them", {
      code: "invalid_request", param: "idempotency_key" });
  return String(option ?? field ?? crypto.randomUUID());
}

function within(param: string, value: number, least: number, most: number): number {
  if (!(typeof value === "number" && value >= least && value <= most))
    throw new BillingError(`${param} must be a number from ${least} to ${most}`, { code: "invalid_request", param });
  return value;
}

class Failed {
  constructor(
    readonly error: BillingError,
    readonly isPassing: boolean,
    readonly status: number | null = null,
    readonly afterMs: number = 0,
  ) {}
}

async function answerOf<T>(response: globalThis.Response): Promise<WithResponse<T> | Failed> {
  const requestId = response.headers.get("x-request-id");
  const text = await response.text(); // to its end: a body that is cut is no answer
  let read: unknown;
  try {
    read = response.status === 204 ? {} : JSON.parse(text);
  } catch {
    read = null;
  }
  const isObject = typeof read === "object" && read !== null && !Array.isArray(read);
  // A proxy's page, or nothing at all: it says neither that it was done, nor that it was not.
  if (response.ok && !isObject) throw new Error("the answer is no JSON object");
  if (!response.ok) {
    const error = errorOf(response.status, (read ?? {}) as Partial<Problem>, requestId);
    return new Failed(error, PASSING.has(response.status), response.status, retryAfterMs(response));
  }
  const told: Response = {
    requestId, status: response.status, replayed: response.headers.get("idempotent-replayed") === "true",
  };
  Object.defineProperty(read, "lastResponse", { value: told, enumerable: false });
  return read as WithResponse<T>;
}

/** Retry-After (RFC 9110, 10.2.3): whole seconds, or a date. */
function retryAfterMs(response: globalThis.Response): number {
  const value = response.headers.get("retry-after");
  if (value === null) return 0;
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : 0;
}

function queryOf(query: Readonly<Record<string, unknown>> = {}): string {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
  const text = new URLSearchParams(
    pairs.map(([name, value]) => [name, value instanceof Date ? value.toISOString() : String(value)]),
  ).toString();
  return text === "" ? "" : `?${text}`;
}

function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const end = () => (clearTimeout(timer), reject(signal?.reason));
    const timer = setTimeout(() => (signal?.removeEventListener("abort", end), resolve()), ms);
    signal?.addEventListener("abort", end, { once: true });
  });
}

/** A part of a path. Ids and lookup keys are the caller's text. */
export function part(id: string): string {
  if (typeof id !== "string" || id === "")
    throw new BillingError("an id must be text", { code: "invalid_request", param: "id" });
  return encodeURIComponent(id);
}

/** What goes wrong, as a tree under BillingError. */
import type { Problem } from "./types.js";

/** Whatever goes wrong with billing. `code` is for programs (docs/reference/errors.md), `message`
 * says what to send instead, `param` names the field, `requestId` is in the service's logs, too. */
export class BillingError extends Error {
  readonly code: string;
  readonly param: string | null;
  readonly status: number | null;
  readonly requestId: string | null;
  /** Under which key it was asked for: the same for every try of this call. Whoever asks again under
   * it is never charged twice. Null where there is none. */
  idempotencyKey: string | null = null;
  /** What else the service said, such as `available`. */
  readonly facts: Readonly<Record<string, unknown>>;

  constructor(message: string, told: Partial<Problem> & { status?: number } = {}) {
    super(message);
    this.name = new.target.name;
    const { code, param, status, request_id, detail, title, type, ...facts } = told;
    this.code = code ?? "error";
    this.param = param ?? null;
    this.status = status ?? null;
    this.requestId = request_id ?? null;
    this.facts = facts;
  }
}

/** The request is wrong: 400, 413, 415. Nothing was written, and the key is still free. */
export class InvalidRequestError extends BillingError {}
/** The API key is wrong, or was revoked: 401. */
export class AuthenticationError extends BillingError {}
/** The API key may not do this: 403. */
export class PermissionError extends BillingError {}
/** There is nothing with this id, as far as the key sees: 404. */
export class NotFoundError extends BillingError {}
/** It contradicts what is there, such as more than what is left of a charge: 409. */
export class ConflictError extends BillingError {}
/** The key belongs to another request: 422. Send that one, or another key. */
export class IdempotencyError extends BillingError {}
/** Too many requests: 429. */
export class RateLimitError extends BillingError {}
/** The service could not do it: 5xx. */
export class ServiceError extends BillingError {}
/** No answer came in time, or none at all. What was asked for may have been done: ask again with
 * `idempotencyKey`, and it is done once. */
export class ConnectionError extends BillingError {
  constructor(message: string, idempotencyKey: string | null, options?: { cause?: unknown }) {
    super(message, { code: "no_answer" });
    this.idempotencyKey = idempotencyKey;
    if (options?.cause !== undefined) this.cause = options.cause;
  }
}
/** A webhook that is not the service's: unsigned, tampered with, or too old. */
export class SignatureError extends BillingError {}

/** The error that a problem document (RFC 9457) tells. */
export function errorOf(status: number, problem: Partial<Problem>, requestId: string | null): BillingError {
  const told = { request_id: requestId ?? undefined, ...problem, status } as Partial<Problem>;
  const message = problem.detail ?? problem.title ?? `the service answered ${status}`;
  const kind =
    { 401: AuthenticationError, 403: PermissionError, 404: NotFoundError, 409: ConflictError,
      410: ConflictError, 422: IdempotencyError, 429: RateLimitError }[status] ??
    (status >= 500 ? ServiceError : InvalidRequestError);
  return new kind(message, told);
}

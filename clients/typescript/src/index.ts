/** The client of a self-hosted payment worker. */
export { BillingClient, type Billing, type ListOptions } from "./client.js";
export * from "./errors.js";
export type { BillingClientOptions, RequestOptions, Response, WithResponse } from "./http.js";
export { Pages } from "./pages.js";
export type * from "./types.js";
export * as webhooks from "./webhooks.js";
export type { WebhookEvent } from "./webhooks.js";

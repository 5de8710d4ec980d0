/** What is asked for and what is answered, by short names; generated from the service's OpenAPI. */
import type { components } from "./schema.js";

type Schemas = components["schemas"];

export type Charge = Schemas["Charge"];
export type Refund = Schemas["Refund"];
export type Dispute = Schemas["Dispute"];
export type TimelineEntry = Schemas["TimelineEntry"];
export type Product = Schemas["Product"];
export type Price = Schemas["Price"];
export type Quote = Schemas["Quote"];
export type Currency = Schemas["Currency"];
export type WebhookEndpoint = Schemas["WebhookEndpoint"];
export type NewWebhookEndpoint = Schemas["NewWebhookEndpoint"];
export type Delivery = Schemas["Delivery"];
export type DeliveryWithAttempts = Schemas["DeliveryWithAttempts"];
export type Approval = Schemas["Approval"];
export type FeedItem = Schemas["FeedItem"];
export type Deleted = Schemas["Deleted"];
export type Problem = Schemas["Problem"];

export type ChargeOptions = Schemas["ChargeRequest"];
export type RefundOptions = Schemas["RefundRequest"];
export type CaptureOptions = Schemas["CaptureRequest"];
export type CancelOptions = Schemas["CancelRequest"];
export type ProductOptions = Schemas["ProductRequest"];
export type ProductChanges = Schemas["ProductChanges"];
export type PriceOptions = Schemas["PriceRequest"];
export type PriceChanges = Schemas["PriceChanges"];
export type InventoryOptions = Schemas["InventoryRequest"];
export type WebhookEndpointOptions = Schemas["WebhookEndpointRequest"];
export type WebhookEndpointChanges = Schemas["WebhookEndpointChanges"];
export type ReplayOptions = Schemas["Replay"];
export type Replayed = Schemas["Replayed"];
export type SecondOpinion = Schemas["SecondOpinion"];
export type Pinged = Schemas["Pinged"];

/** A page of a list: what is on it, and where the next one begins. */
export interface Listed<T> {
  data: T[];
  has_more: boolean;
  next_cursor: string | null;
}

/** A part of a list that is counted. */
export interface Counted<T> {
  count: number;
  list: T[];
  next_cursor: string | null;
}

/** The client: what the service can do, by the names that users of payment APIs know. */
import { part, Transport, type BillingClientOptions, type RequestOptions, type WithResponse } from "./http.js";
import { Pages } from "./pages.js";
import type * as t from "./types.js";

type Query = Readonly<Record<string, unknown>>;

/** `new BillingClient({ apiKey, baseUrl })`. Nothing connects before it is asked for something. */
export class BillingClient {
  readonly billing: Billing;

  constructor(options: BillingClientOptions) {
    this.billing = new Billing(new Transport(options));
  }
}

class Billing {
  readonly charges: Charges;
  readonly refunds: Refunds;
  readonly disputes: Disputes;
  readonly products: Products;
  readonly prices: Prices;
  readonly currencies: Currencies;
  readonly endpoints: Endpoints;
  readonly events: Events;
  readonly approvals: Approvals;

  constructor(http: Transport) {
    this.charges = new Charges(http);
    this.refunds = new Refunds(http);
    this.disputes = new Disputes(http);
    this.products = new Products(http);
    this.prices = new Prices(http);
    this.currencies = new Currencies(http);
    this.endpoints = new Endpoints(http);
    this.events = new Events(http);
    this.approvals = new Approvals(http);
  }

  /** Take money, once per key: `amount` is in the smallest unit of the currency (1999 is 19.99 USD). */
  charge(opts: t.ChargeOptions, options?: RequestOptions): Promise<WithResponse<t.Charge>> {
    return this.charges.create(opts, options);
  }

  /** The charge with this id. */
  getCharge(chargeId: string, options?: RequestOptions): Promise<WithResponse<t.Charge>> {
    return this.charges.get(chargeId, options);
  }

  /** Give money of a charge back, once per key: an amount, or all that is left. */
  refund(opts: t.RefundOptions, options?: RequestOptions): Promise<WithResponse<t.Refund>> {
    return this.refunds.create(opts, options);
  }
}

class Room {
  constructor(protected readonly http: Transport, protected readonly path: string) {}

  protected read<T>(path: string, options?: RequestOptions): Promise<WithResponse<T>> {
    return this.http.request<T>({ method: "GET", path, options });
  }

  protected write<T>(path: string, body: object, options?: RequestOptions): Promise<WithResponse<T>> {
    return this.http.request<T>({ method: "POST", path, body: body as Query, isKeyed: true, options });
  }

  protected listed<T>(path: string, query: Query = {}, options?: RequestOptions): Pages<WithResponse<t.Listed<T>>, T> {
    return new Pages(
      (cursor) => this.http.request<t.Listed<T>>({ method: "GET", path, query: { ...query, cursor: cursor ?? query["cursor"] }, options }),
      (page) => page.data,
      (page) => page.next_cursor,
    );
  }

  protected counted<T>(query: Query = {}, options?: RequestOptions): Pages<WithResponse<t.Counted<T>>, T> {
    // A page is found by its number or by the cursor of the one before: never by both.
    const { page: _, ...others } = query;
    return new Pages(
      (cursor) => this.http.request<t.Counted<T>>({ method: "GET", path: this.path, query: cursor ? { ...others, cursor } : query, options }),
      (page) => page.list,
      (page) => page.next_cursor,
    );
  }
}

export interface ListOptions {
  limit?: number;
  cursor?: string;
  created_after?: string | Date;
  created_before?: string | Date;
}

class Charges extends Room {
  constructor(http: Transport) { super(http, "/charges"); }

  create(opts: t.ChargeOptions, options?: RequestOptions) { return this.write<t.Charge>(this.path, opts, options); }
  get(id: string, options?: RequestOptions) { return this.read<t.Charge>(`${this.path}/${part(id)}`, options); }
  list(
    filters: ListOptions & { state?: t.Charge["state"]; phase?: NonNullable<t.Charge["phase"]>; customer_id?: string; reference?: string; price_id?: string } = {},
    options?: RequestOptions,
  ) { return this.listed<t.Charge>(this.path, { ...filters }, options); }
  /** Take money that was set aside: all that is left, or an `amount`. */
  capture(id: string, opts: Partial<t.CaptureOptions> = {}, options?: RequestOptions) { return this.write<t.Charge>(`${this.path}/${part(id)}/capture`, opts, options); }
  /** End a charge before money moves. Twice is once. */
  cancel(id: string, opts: Partial<t.CancelOptions> = {}, options?: RequestOptions) {
    return this.http.request<t.Charge>({ method: "POST", path: `${this.path}/${part(id)}/cancel`, body: opts as Query, isIdempotent: true, options });
  }
  /** Everything that happened to it, in order. */
  async timeline(id: string, options?: RequestOptions): Promise<t.TimelineEntry[]> {
    return (await this.read<{ data: t.TimelineEntry[] }>(`${this.path}/${part(id)}/timeline`, options)).data;
  }
}

class Refunds extends Room {
  constructor(http: Transport) { super(http, "/refunds"); }

  create(opts: t.RefundOptions, options?: RequestOptions) { return this.write<t.Refund>(this.path, opts, options); }
  get(id: string, options?: RequestOptions) { return this.read<t.Refund>(`${this.path}/${part(id)}`, options); }
  list(filters: ListOptions & { state?: t.Refund["state"]; charge_id?: string } = {}, options?: RequestOptions) {
    return this.listed<t.Refund>(this.path, { ...filters }, options);
  }
}

class Disputes extends Room {
  constructor(http: Transport) { super(http, "/disputes"); }

  get(id: string, options?: RequestOptions) { return this.read<t.Dispute>(`${this.path}/${part(id)}`, options); }
  list(filters: { limit?: number; cursor?: string; state?: string; charge_id?: string } = {}, options?: RequestOptions) {
    return this.listed<t.Dispute>(this.path, { ...filters }, options);
  }
}

interface CountedOptions { page?: number; pageSize?: number; order?: "asc" | "desc"; active?: boolean }

class Products extends Room {
  constructor(http: Transport) { super(http, "/products"); }

  create(opts: t.ProductOptions, options?: RequestOptions) { return this.write<t.Product>(this.path, opts, options); }
  retrieve(id: string, options?: RequestOptions) { return this.read<t.Product>(`${this.path}/${part(id)}`, options); }
  update(id: string, changes: t.ProductChanges, options?: RequestOptions) {
    return this.http.request<t.Product>({ method: "PUT", path: `${this.path}/${part(id)}`, body: changes as Query, options });
  }
  list(filters: CountedOptions = {}, options?: RequestOptions) { return this.counted<t.Product>({ ...filters }, options); }
  archive(id: string, options?: RequestOptions) {
    return this.http.request<t.Product>({ method: "PUT", path: `${this.path}/${part(id)}/archive`, options });
  }
  del(id: string, options?: RequestOptions) {
    return this.http.request<t.Deleted>({ method: "DELETE", path: `${this.path}/${part(id)}`, options });
  }
}

/** By a lookup key, which may move meanwhile, a second try would find another price, or none. */
const isPriceId = (id: string) => /^price_[a-z2-7]{32}$/.test(id);

class Prices extends Room {
  constructor(http: Transport) { super(http, "/prices"); }

  create(opts: t.PriceOptions, options?: RequestOptions) { return this.write<t.Price>(this.path, opts, options); }
  /** By its id or its lookup key. */
  retrieve(id: string, options?: RequestOptions) { return this.read<t.Price>(`${this.path}/${part(id)}`, options); }
  update(id: string, changes: t.PriceChanges, options?: RequestOptions) {
    return this.http.request<t.Price>({
      method: "PUT", path: `${this.path}/${part(id)}`, body: changes as Query, isIdempotent: isPriceId(id), options,
    });
  }
  list(
    filters: CountedOptions & { type?: t.Price["type"]; currency_id?: string; product_id?: string; lookup_key?: string } = {},
    options?: RequestOptions,
  ) { return this.counted<t.Price>({ ...filters }, options); }
  /** Count the stock up or down, once per key. */
  inventory(id: string, opts: t.InventoryOptions, options?: RequestOptions) {
    return this.http.request<t.Price>({ method: "PUT", path: `${this.path}/${part(id)}/inventory`, body: opts as Query, isKeyed: true, options });
  }
  archive(id: string, options?: RequestOptions) {
    return this.http.request<t.Price>({
      method: "PUT", path: `${this.path}/${part(id)}/archive`, isIdempotent: isPriceId(id), options,
    });
  }
  del(id: string, options?: RequestOptions) {
    return this.http.request<t.Deleted>({ method: "DELETE", path: `${this.path}/${part(id)}`, options });
  }
  /** What a quantity costs, line by line. */
  quote(id: string, opts: { quantity: number }, options?: RequestOptions) {
    return this.http.request<t.Quote>({ method: "POST", path: `${this.path}/${part(id)}/quote`, body: opts, options });
  }
}

class Currencies extends Room {
  constructor(http: Transport) { super(http, "/currencies"); }

  retrieve(id: string, options?: RequestOptions) { return this.read<t.Currency>(`${this.path}/${part(id)}`, options); }
  list(filters: { page?: number; pageSize?: number } = {}, options?: RequestOptions) { return this.counted<t.Currency>({ ...filters }, options); }
}

class Endpoints extends Room {
  constructor(http: Transport) { super(http, "/webhook-endpoints"); }

  /** Its secret is in this answer, and never again. */
  create(opts: t.WebhookEndpointOptions, options?: RequestOptions) { return this.write<t.NewWebhookEndpoint>(this.path, opts, options); }
  get(id: string, options?: RequestOptions) { return this.read<t.WebhookEndpoint>(`${this.path}/${part(id)}`, options); }
  list(filters: { limit?: number; cursor?: string } = {}, options?: RequestOptions) { return this.listed<t.WebhookEndpoint>(this.path, { ...filters }, options); }
  update(id: string, changes: t.WebhookEndpointChanges, options?: RequestOptions) {
    return this.http.request<t.WebhookEndpoint>({ method: "PATCH", path: `${this.path}/${part(id)}`, body: changes as Query, options });
  }
  async delete(id: string, options?: RequestOptions): Promise<void> {
    await this.http.request({ method: "DELETE", path: `${this.path}/${part(id)}`, options });
  }
  rotateSecret(id: string, opts: { overlap_s?: number } = {}, options?: RequestOptions) { return this.write<t.NewWebhookEndpoint>(`${this.path}/${part(id)}/rotate-secret`, opts, options); }
  ping(id: string, options?: RequestOptions) { return this.write<t.Pinged>(`${this.path}/${part(id)}/ping`, {}, options); }
  replay(id: string, opts: t.ReplayOptions, options?: RequestOptions) { return this.write<t.Replayed>(`${this.path}/${part(id)}/replay`, opts, options); }
  deliveries(id: string, filters: { limit?: number; cursor?: string; state?: string; event_type?: string } = {}, options?: RequestOptions) {
    return this.listed<t.Delivery>(`${this.path}/${part(id)}/deliveries`, { ...filters }, options);
  }
}

class Events extends Room {
  constructor(http: Transport) { super(http, "/events"); }

  /** The feed behind `after`: the same bodies as the webhooks, none left out. Keep the `position`
   * of the last one you have read. */
  async *list(opts: { after?: number; limit?: number } = {}, options?: RequestOptions): AsyncGenerator<t.FeedItem> {
    let after = opts.after ?? 0;
    for (;;) {
      const page: t.Listed<t.FeedItem> = await this.http.request<t.Listed<t.FeedItem>>({
        method: "GET", path: this.path, query: { ...opts, after }, options });
      yield* page.data;
      if (!page.has_more || page.next_cursor === null) return;
      after = Number(page.next_cursor);
    }
  }
}

/** What a second person must approve: for keys with the scope `operator`. */
class Approvals extends Room {
  constructor(http: Transport) { super(http, "/approvals"); }

  get(id: string, options?: RequestOptions) { return this.read<t.Approval>(`${this.path}/${part(id)}`, options); }
  list(filters: { limit?: number; cursor?: string; state?: t.Approval["state"]; object_id?: string } = {}, options?: RequestOptions) {
    return this.listed<t.Approval>(this.path, { ...filters }, options);
  }
  /** Have it done. Whoever asked for it may not: a PermissionError with the code
   * `second_person_required`. Twice is once; decided otherwise, it is a ConflictError. */
  approve(id: string, opinion: t.SecondOpinion, options?: RequestOptions) { return this.decide(id, "approve", opinion, options); }
  /** Have it not done: a refund fails with `approval_rejected`. Twice is once. */
  reject(id: string, opinion: t.SecondOpinion, options?: RequestOptions) { return this.decide(id, "reject", opinion, options); }

  private decide(id: string, verdict: "approve" | "reject", opinion: t.SecondOpinion, options?: RequestOptions) {
    return this.http.request<t.Approval>({ method: "POST", path: `${this.path}/${part(id)}/${verdict}`, body: { ...opinion }, isIdempotent: true, options });
  }
}
export type { Billing };

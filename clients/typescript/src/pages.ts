/** Lists: await one for its first page, or walk through all of it with `for await`. */

/** A list that has been asked for. */
export class Pages<Page, Item> implements PromiseLike<Page>, AsyncIterable<Item> {
  readonly #ask: (cursor: string | undefined) => Promise<Page>;
  readonly #items: (page: Page) => readonly Item[];
  readonly #next: (page: Page) => string | null;
  #first: Promise<Page> | undefined;

  constructor(
    ask: (cursor: string | undefined) => Promise<Page>,
    items: (page: Page) => readonly Item[],
    next: (page: Page) => string | null,
  ) {
    this.#ask = ask;
    this.#items = items;
    this.#next = next;
  }

  then<A = Page, B = never>(
    done?: ((page: Page) => A | PromiseLike<A>) | null,
    failed?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#first ??= this.#ask(undefined);
    return this.#first.then(done, failed);
  }

  /** Each item, page by page; never more than a page in memory. */
  async *[Symbol.asyncIterator](): AsyncIterator<Item> {
    let cursor: string | undefined;
    for (;;) {
      const page: Page = cursor === undefined ? await this : await this.#ask(cursor);
      yield* this.#items(page);
      const next = this.#next(page);
      if (next === null) return;
      cursor = next;
    }
  }
}

/**
 * What the package asks of the page it runs in, or of the worker.
 *
 * @internal
 */
export interface Page {
  /** `self.origin`: `"null"` for an opaque one, which an empty sandbox or a `data:` URL has. */
  readonly origin: string;
  /** Whether there is a page: a worker does not see what its page names. */
  readonly hasDocument: boolean;
  /** Where the page comes from; for a frame without an address of its own (`srcdoc`), the page it belongs to. */
  readonly address: string;
  /** What relative URLs are relative to. */
  readonly base: string;
  /** The `content` of each `<meta>` with this name, in order. */
  meta(name: string): string[];
}

/**
 * The page as it is now. In Node or a worker there is none, and no `<meta>`.
 *
 * @internal
 */
export function currentPage(): Page {
  const page = globalThis.document as Document | undefined;
  const location = globalThis.location as Location | undefined;
  const base = page?.baseURI ?? location?.href ?? '';
  return {
    origin: globalThis.origin ?? 'null',
    hasDocument: page !== undefined,
    address: location && location.protocol !== 'about:' ? location.href : base,
    base,
    meta: (name) =>
      Array.from(page?.querySelectorAll<HTMLMetaElement>(`meta[name="${name}" i]`) ?? [], (element) => element.content),
  };
}

/**
 * Whether this is neither a page nor a worker, as where a server renders the page.
 *
 * @internal
 */
export function isServer(): boolean {
  return !('document' in globalThis) && !('WorkerGlobalScope' in globalThis);
}

/**
 * Resolves when every `<meta>` of the page has been read, also those behind the script that started us.
 *
 * @internal
 */
export function pageIsParsed(): Promise<void> {
  const page = globalThis.document as Document | undefined;
  if (page?.readyState !== 'loading') return Promise.resolve();
  return new Promise((resolve) => page.addEventListener('DOMContentLoaded', () => resolve(), { once: true }));
}

/**
 * Whether the browser forbids the page plain `ws:` as mixed content.
 *
 * @internal
 */
export function isSecurePage(page: Page): boolean {
  return /^https:/.test(page.origin === 'null' ? page.address : page.origin);
}

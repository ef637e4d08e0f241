// Firefox, for the people of browser.mjs: as much of Playwright's interface as they need. Playwright itself cannot drive the Firefox that
// people have.

import { EventEmitter, on } from 'node:events';
import { startFirefoxDriver } from './webdriver.mjs';

/** Starts a Firefox that ends with the test file. */
export async function startFirefox() {
  const driver = await startFirefoxDriver();
  await driver.send('session.subscribe', { events: ['log.entryAdded'] });
  return new Firefox(driver);
}

class Firefox {
  #driver;
  #pages = new Map();

  constructor(driver) {
    this.#driver = driver;
    driver.on('log.entryAdded', ({ source, ...line }) => this.#pages.get(source.context)?.hear(line));
    driver.on('network.beforeRequestSent', (sent) => this.#pages.get(sent.context)?.answer(sent));
  }

  /** A context shares nothing with others. */
  async newContext() {
    const { userContext } = await this.#driver.send('browser.createUserContext');
    return {
      newPage: () => this.#openPage(userContext),
      close: () => this.#driver.send('browser.removeUserContext', { userContext }),
    };
  }

  /** Each page has a window of its own: what is in the background is slowed down. */
  async #openPage(userContext) {
    const { context } = await this.#driver.send('browsingContext.create', { type: 'window', userContext });
    const page = new Page(this.#driver, context);
    this.#pages.set(context, page);
    return page;
  }
}

/** Emits `console` for what the page and the browser say, uncaught exceptions included. */
class Page extends EventEmitter {
  #driver;
  #context;
  #patience = 30_000;
  #handle;

  constructor(driver, context) {
    super();
    this.#driver = driver;
    this.#context = context;
  }

  /** Sets the longest time to wait for an event, in milliseconds. */
  setDefaultTimeout(patience) {
    this.#patience = patience;
  }

  async goto(url) {
    await this.#command('browsingContext.navigate', { url, wait: 'complete' });
  }

  async goBack() {
    await this.#command('browsingContext.traverseHistory', { delta: -1 });
  }

  async close() {
    await this.#command('browsingContext.close');
  }

  /** Runs a function in the page. What it is given and what it returns is plain data. */
  async evaluate(run, argument) {
    const { result, exceptionDetails } = await this.#driver.send('script.callFunction', {
      functionDeclaration: `() => (${run})(${JSON.stringify(argument)})`,
      awaitPromise: true,
      target: { context: this.#context },
    });
    if (exceptionDetails) throw new Error(`${exceptionDetails.text}, in ${run}`);
    return decode(result);
  }

  /** The next event of this name that is as wanted. */
  async waitForEvent(name, isWanted) {
    for await (const [event] of on(this, name, { signal: AbortSignal.timeout(this.#patience) })) {
      if (isWanted(event)) return event;
    }
  }

  /** Types into the field that has the focus; `\uE007` is the Enter key. */
  async type(text) {
    const actions = [...text].flatMap((value) => [{ type: 'keyDown', value }, { type: 'keyUp', value }]);
    await this.#command('input.performActions', { actions: [{ type: 'key', id: 'keyboard', actions }] });
  }

  /** Lets a function answer all requests to an origin, given as `https://example.test/**`. */
  async route(pattern, handle) {
    const { protocol, hostname } = new URL(pattern);
    this.#handle = handle;
    await this.#driver.send('session.subscribe', { events: ['network.beforeRequestSent'], contexts: [this.#context] });
    await this.#driver.send('network.addIntercept', {
      contexts: [this.#context],
      phases: ['beforeRequestSent'],
      urlPatterns: [{ type: 'pattern', protocol: protocol.slice(0, -1), hostname }],
    });
  }

  /** The browser has sent a request, or waits for the answer of a function. */
  answer({ isBlocked, request: { request, url } }) {
    if (!isBlocked) return;
    this.#handle({
      request: () => ({ url: () => url }),
      fulfill: ({ status, contentType, body }) => this.#driver.send('network.provideResponse', {
        request,
        statusCode: status,
        headers: [{ name: 'content-type', value: { type: 'string', value: contentType } }],
        body: { type: 'base64', value: Buffer.from(body).toString('base64') },
      }),
    });
  }

  /** The page or the browser has said something. */
  hear({ level, text }) {
    this.emit('console', { type: () => (level === 'warn' ? 'warning' : level), text: () => text });
  }

  #command(method, parameters) {
    return this.#driver.send(method, { context: this.#context, ...parameters });
  }
}

/** The value that WebDriver describes: plain data, and undefined for all else. */
function decode({ type, value }) {
  if (type === 'number') return Number(value);
  if (type === 'array') return value.map(decode);
  if (type === 'object') return Object.fromEntries(value.map(([name, each]) => [name, decode(each)]));
  return type === 'null' ? null : value;
}

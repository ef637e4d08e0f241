// Any web server but a relay: it serves the fixture pages, the package and, as `/modules/`, what it is bundled of, and what a test puts in
// their place.

import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const PAGES = 'tests/e2e/pages/';
/** The package's modules as they are before they are bundled. */
const MODULES = 'target/package/pkg-modules/';
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.wasm': 'application/wasm' };

/**
 * Starts one that ends with the test file. `headers` are added to every answer; `answers` has, by path, what is different there:
 * `status`, `type` and `body`.
 */
export async function startWebServer({ headers = {}, answers = {} } = {}) {
  const server = createServer(async ({ url }, response) => {
    const { status, type, body } = { ...await fileAt(new URL(url, 'http://server').pathname), ...answers[new URL(url, 'http://server').pathname] };
    response.writeHead(status, { 'content-type': type, ...headers }).end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stop = () => {
    server.closeAllConnections();
    server.close();
  };
  after(stop);
  const host = `127.0.0.1:${server.address().port}`;
  return { url: `http://${host}`, relayUrl: `ws://${host}/relay`, stop };
}

/** What is served at a path. */
export async function fileAt(path) {
  const file = join(root, path.startsWith('/pkg/') ? path : path.replace(/^\/(modules\/)?/, (_, isModule) => (isModule ? MODULES : PAGES)));
  try {
    return { status: 200, type: TYPES[extname(file)] ?? 'application/octet-stream', body: await readFile(file) };
  } catch {
    return { status: 404, type: 'text/plain', body: 'there is nothing here' };
  }
}

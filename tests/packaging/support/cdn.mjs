// A server of another origin that has the package, as unpkg and jsDelivr have it.

import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';
import { after } from 'node:test';

const TYPES = { '.js': 'text/javascript', '.wasm': 'application/wasm' };

/**
 * Starts one that ends with the test or file that calls.
 *
 * - `/PACKAGE@VERSION/FILE` is a file of the package
 * - `/PACKAGE` and `/PACKAGE@VERSION` are the file that its `jsdelivr` field names, answered there as jsDelivr does
 * - `/unpkg/PACKAGE` and `/unpkg/PACKAGE@VERSION` redirect to the file that its `unpkg` field names, as unpkg does
 *
 * @param {{ installed: string }} project where the package was installed
 * @param {{ wasmType?: string, changed?: Record<string, Buffer> }} [options] `wasmType`: the type that it gives the wasm; `changed`:
 * what it serves, by the paths in the package, in place of what is there
 */
export async function startCdn({ installed }, { wasmType = TYPES['.wasm'], changed = {} } = {}) {
  const manifest = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'));
  const name = new RegExp(`^/${manifest.name}(@${manifest.version})?(/.+)?$`);
  const open = { 'access-control-allow-origin': '*' };

  const server = createServer(async ({ url }, response) => {
    const { pathname } = new URL(url, 'http://cdn');
    const [, version = '', file] = name.exec(pathname.replace(/^\/unpkg/, '')) ?? [, , '/nothing'];
    if (!file && pathname.startsWith('/unpkg/')) {
      response.writeHead(302, { ...open, location: `/${manifest.name}${version}/${manifest.unpkg}` }).end();
      return;
    }
    const path = join('.', file ?? manifest.jsdelivr);
    const body = changed[path] ?? await readFile(join(installed, path)).catch(() => undefined);
    const type = extname(path) === '.wasm' ? wasmType : TYPES[extname(path)] ?? 'text/plain';
    if (body) response.writeHead(200, { ...open, 'content-type': type }).end(body);
    else response.writeHead(404, open).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${server.address().port}`;
  return { url, address: `${url}/${manifest.name}@${manifest.version}` };
}

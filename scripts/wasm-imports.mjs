// A wasm file that imports from `env` calls C that nobody linked in: it would fail when a page loads it.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * @param {string} directory the built package
 * @returns {import('./results.mjs').Result}
 */
export function checkImports(directory) {
  const wasm = new WebAssembly.Module(readFileSync(join(directory, 'dist/peersockets.wasm')));
  const imported = WebAssembly.Module.imports(wasm).filter(({ module }) => module === 'env').map(({ name }) => name);
  for (const name of imported) console.log(`imported from env: ${name}`);
  return { name: 'the built wasm imports nothing from env', passed: imported.length === 0 };
}

// A wasm file that imports from `env` calls C that nobody linked in: it would fail when a page loads it.

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/**
 * @param {string} directory the built package
 * @returns {import('./results.mjs').Result}
 */
export function checkImports(directory) {
  const dist = join(directory, 'dist');
  const files = readdirSync(dist).filter((file) => file.endsWith('.wasm'));
  const imported = files.flatMap((file) => importsOf(join(dist, file)).filter(({ module }) => module === 'env').map(({ name }) => `${name} in ${file}`));
  for (const name of imported) console.log(`imported from env: ${name}`);
  return { name: 'the built wasm imports nothing from env', passed: files.length > 0 && imported.length === 0 };
}

function importsOf(file) {
  return WebAssembly.Module.imports(new WebAssembly.Module(readFileSync(file)));
}

// A registry on this machine, of the packages that were just built. npm installs from it as from the public one; it knows no other.

import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * Packs the packages in these directories, and serves them until `close()`.
 * @param {string[]} directories of packages
 * @param {string} scratch where the tarballs go
 */
export async function startRegistry(directories, scratch) {
  const pack = () => run('npm', ['pack', ...directories, '--json', '--pack-destination', scratch], { cwd: scratch });
  // Without a directory npm would pack the one it is in.
  const packed = directories.length === 0 ? [] : JSON.parse((await pack()).stdout);
  const manifests = await Promise.all(directories.map(async (directory) => JSON.parse(await readFile(join(directory, 'package.json'), 'utf8'))));
  /** By the path at which npm asks: what is known of a package, or its tarball. */
  const answers = new Map();
  const server = createServer(({ url }, response) => {
    const answer = answers.get(decodeURIComponent(url));
    response.writeHead(answer ? 200 : 404).end(answer ?? '{"error":"not found"}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${server.address().port}/`;
  for (const { name, version, filename, integrity } of packed) {
    const manifest = manifests.find((manifest) => manifest.name === name);
    const dist = { tarball: `${url}${filename}`, integrity };
    answers.set(`/${name}`, JSON.stringify({ name, 'dist-tags': { latest: version }, versions: { [version]: { ...manifest, dist } } }));
    answers.set(`/${filename}`, await readFile(join(scratch, filename)));
  }
  return {
    url,
    /** What `npm pack` says of each package: its `name`, `files`, `size` in bytes and more. */
    packed,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

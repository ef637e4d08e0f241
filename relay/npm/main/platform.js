/**
 * The platform of this process, as the packages are named that bring the relay's program: `linux-x64`; `linux-x64-musl` where the
 * system's C library is musl.
 */
export function platform() {
  const name = `${process.platform}-${process.arch}`;
  return process.platform === 'linux' && !hasGlibc() ? `${name}-musl` : name;
}

function hasGlibc() {
  // Without the network's part, for which a report may ask name servers.
  process.report.excludeNetwork = true;
  return process.report.getReport().header.glibcVersionRuntime !== undefined;
}

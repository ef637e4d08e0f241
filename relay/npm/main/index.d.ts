/**
 * The absolute path of the relay's program on this machine, for programs that start it themselves: tests, for instance.
 *
 * The program is a native one. It takes the options that `npx beaker-peersockets-relay --help` lists. Its first line on stdout is
 * `listening on http://ADDRESS:PORT`, written once it does; `--port 0` takes any free port. SIGTERM and SIGINT end it with exit
 * code 0 in less than 2 seconds. A mistake in the options ends it with 2, anything else that keeps it from starting with 1.
 *
 * @throws {Error} No package with the program is installed, or there is none for this platform. The message says what to do.
 */
export function binaryPath(): string;

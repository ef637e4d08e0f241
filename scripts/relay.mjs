// The native relay.

/** The step that builds it. */
export const buildRelay = {
  name: 'build-relay',
  title: 'build the relay',
  run: (shell) => shell.run('cargo', ['build', '--release', '--package', 'peersockets-relay']),
};

// Where this page comes from.

/** Whether it comes from the computer on which it is shown: then no other device can open it, and its relay is the visitor's own. */
export const isOnThisComputer = /^(localhost|.*\.localhost|127\..*|\[::1\])$/.test(location.hostname);

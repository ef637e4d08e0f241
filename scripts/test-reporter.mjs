// A reporter for Node's test runner: one JSON line per test, for test-runners.mjs.

export default async function* report(events) {
  for await (const { type, data } of events) {
    const isTest = (type === 'test:pass' || type === 'test:fail') && data.details.type !== 'suite';
    if (!isTest || data.skip !== undefined || data.todo !== undefined) continue;
    yield `${JSON.stringify({ name: data.name, passed: type === 'test:pass', seconds: data.details.duration_ms / 1000 })}\n`;
  }
}

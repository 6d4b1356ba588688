/** A node:test reporter for programs: one JSON object a line and test, suites and their echo of a subtest's failure left out. */
// biome-ignore lint/style/noDefaultExport: node:test takes a reporter by its default export
export default async function* report(source) {
  for await (const { type, data } of source) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    if (data.details?.type === 'suite' || data.details?.error?.failureType === 'subtestsFailed') continue;
    const isSkipped = data.skip !== undefined || data.todo !== undefined;
    const reason = data.skip ?? data.todo;
    yield `${JSON.stringify({
      name: data.name,
      status: isSkipped ? 'skipped' : type === 'test:pass' ? 'passed' : 'failed',
      reason: typeof reason === 'string' ? reason : '',
    })}\n`;
  }
}

/**
 * Node opens its debugger on SIGUSR1 until somebody handles that signal, and nothing but our handler keeps it from doing so: one that arrives
 * while Node starts is one of ours that came early.
 */

/** Long after Node has acted on a signal of its start; its thread does so in its own time. */
const SETTLED_MS = 1000;

/** Closes a debugger that was opened by an early SIGUSR1 and delivers that signal to the handlers that stand now. */
export async function reclaimEarlySignal(): Promise<void> {
  const { default: inspector } = await import('node:inspector');
  const look = (): void => {
    if (inspector.url() === undefined) return;
    inspector.close();
    process.emit('SIGUSR1', 'SIGUSR1');
  };
  await new Promise((resolve) => setImmediate(resolve));
  look();
  setTimeout(look, SETTLED_MS).unref();
}

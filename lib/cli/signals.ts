/**
 * The signals that this process gets on behalf of its job. From captureSignals on none of them kills it or (SIGUSR1) opens Node's debugger;
 * those that arrive before somebody is there to handle them wait.
 */

/** Not in the list: what cannot be caught, what concerns this process alone (SIGCHLD, SIGPIPE, SIGPROF) and what it causes itself (SIGSEGV …). */
const SIGNALS = [
  'SIGUSR1',
  'SIGUSR2',
  'SIGTERM',
  'SIGINT',
  'SIGHUP',
  'SIGQUIT',
  'SIGALRM',
  'SIGVTALRM',
  'SIGWINCH',
  'SIGCONT',
  'SIGTSTP',
  'SIGURG',
  'SIGIO',
  'SIGPWR',
  'SIGXCPU',
] as const satisfies readonly NodeJS.Signals[];

let handler: ((signal: NodeJS.Signals) => void) | undefined;
let waiting: NodeJS.Signals[] = [];

const listener = (signal: NodeJS.Signals): void => {
  if (handler === undefined) waiting.push(signal);
  else handler(signal);
};

export function captureSignals(): void {
  for (const signal of SIGNALS) process.on(signal, listener);
}

/** Gives every signal to `next`, those that waited first. */
export function handleSignals(next: (signal: NodeJS.Signals) => void): void {
  handler = next;
  for (const signal of waiting.splice(0)) next(signal);
  waiting = [];
}

/** For a command without a job: signals are this process's own again, also those that came since captureSignals. */
export async function releaseSignals(): Promise<void> {
  // After the event loop has told of them: it asks the kernel before an immediate, but not again when it is just telling of something else.
  for (let turn = 0; turn < 2; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  for (const signal of SIGNALS) process.off(signal, listener);
  for (const signal of waiting.splice(0)) process.kill(process.pid, signal);
}

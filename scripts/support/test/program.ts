/** Runs one test program in a process group of its own, with a limit. */
import { spawn } from 'node:child_process';

export interface ProgramRequest {
  readonly command: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly timeoutSeconds: number;
}

export interface ProgramResult {
  /** Standard output and error as they came. */
  readonly output: string;
  /** 0 when it ended well. */
  readonly status: number | undefined;
  /** How it ended, in words; empty for status 0. */
  readonly trouble: string;
  readonly seconds: number;
}

const running = new Set<number>();

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // ESRCH: the group has ended by itself
  }
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    for (const pid of running) killGroup(pid);
    process.kill(process.pid, signal);
  });
}

/** Runs a program to its end; what is left of its process group afterwards, or after the time-out, is killed. Never rejects. */
export async function runProgram(request: ProgramRequest): Promise<ProgramResult> {
  const [program = '', ...args] = request.command;
  const started = performance.now();
  const child = spawn(program, args, {
    cwd: request.cwd,
    env: request.env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
  if (child.pid !== undefined) running.add(child.pid);
  let isLate = false;
  const limit = setTimeout(() => {
    isLate = true;
    if (child.pid !== undefined) killGroup(child.pid);
  }, request.timeoutSeconds * 1000);
  const ending = await new Promise<{ status: number | undefined; trouble: string }>((resolve) => {
    child.once('error', (error) => resolve({ status: undefined, trouble: error.message }));
    // 'exit', not 'close': a daemon that kept the pipe open must not hold up the run.
    child.once('exit', (code, signal) => {
      const trouble = code === 0 ? '' : signal === null ? `exit status ${code}` : `killed by ${signal}`;
      resolve({ status: code ?? undefined, trouble: isLate ? `no end within ${request.timeoutSeconds} s` : trouble });
    });
  });
  clearTimeout(limit);
  await new Promise((resolve) => setTimeout(resolve, 20)); // what the pipes still hold
  if (child.pid !== undefined) {
    killGroup(child.pid);
    running.delete(child.pid);
  }
  child.stdout.destroy();
  child.stderr.destroy();
  return { ...ending, output: Buffer.concat(chunks).toString(), seconds: (performance.now() - started) / 1000 };
}

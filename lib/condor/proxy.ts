/**
 * The job's line to its queue: a proxy in the starter, there when the job ad says WantIOProxy. It speaks a dialect of Chirp of its own, which
 * begins with a cookie. Source: HTCondor, src/condor_starter.V6.1/io_proxy_handler.cpp and src/condor_chirp/chirp_client.c.
 */

import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';

/** The proxy answers at once or, when the submit machine is away, not at all. */
const LIMIT_MS = 5000;

export interface ProxyAddress {
  readonly host: string;
  readonly port: number;
  readonly cookie: string;
}

/** Where the proxy is; undefined when this job has none. */
export function findProxy(env: NodeJS.ProcessEnv): ProxyAddress | undefined {
  const path = env['_CONDOR_CHIRP_CONFIG'];
  if (path === undefined) return undefined;
  try {
    const [host = '', port, cookie = ''] = readFileSync(path, 'utf8').trim().split(/\s+/);
    const number = Number(port);
    return host !== '' && cookie !== '' && Number.isInteger(number) ? { host, port: number, cookie } : undefined;
  } catch {
    return undefined; // there is no such file without WantIOProxy
  }
}

/** Words are separated by blanks; what would look like an end of a word or line is escaped. */
const escapeWord = (text: string): string =>
  text.replaceAll(/[\\ \t\r\n]/g, (character) => `\\${character === '\n' || character === '\r' ? ' ' : character}`);

/** Sets an attribute of the job in the queue. Only names that begin with `Chirp` may be set everywhere. */
export const setAttribute = (name: string, value: number): string => `set_job_attr ${name} ${value}\n`;

/** Writes a line into the job's user log. */
export const logLine = (text: string): string => `ulog ${escapeWord(text)}\n`;

/**
 * Sends commands one after the other over a connection of their own. Resolves when the last one is answered, the proxy is gone or
 * 5 s have passed: whatever it is, the job does not depend on it.
 * @returns true when all were accepted.
 */
export function tellProxy({ host, port, cookie }: ProxyAddress, commands: readonly string[]): Promise<boolean> {
  return new Promise((resolve) => {
    const lines = [`cookie ${escapeWord(cookie)}\n`, ...commands];
    const socket: Socket = connect({ host, port });
    let isAccepted = true;
    let received = '';
    const finish = (ok: boolean): void => {
      socket.destroy();
      clearTimeout(limit);
      resolve(ok);
    };
    const limit = setTimeout(() => finish(false), LIMIT_MS);
    const next = (): void => {
      const line = lines.shift();
      if (line === undefined) finish(isAccepted);
      else socket.write(line);
    };
    socket.setEncoding('latin1');
    socket.once('connect', next);
    socket.on('data', (text: string) => {
      received += text;
      for (let end = received.indexOf('\n'); end >= 0; end = received.indexOf('\n')) {
        if (!(Number.parseInt(received, 10) >= 0)) isAccepted = false;
        received = received.slice(end + 1);
        next();
      }
    });
    socket.once('error', () => finish(false));
    socket.once('close', () => finish(false));
  });
}

/**
 * Who to be on a Chirp server of this machine. A server that an ordinary user has started gives its rights to `unix:user` alone, while other
 * stores were made for `hostname:localhost`: the order of the methods cannot serve both, the rights can.
 */

import { type AuthMethod, ChirpClient, type ChirpClientOptions, type ChirpIdentity } from '../chirp/index.ts';
import { DEFAULT_METHODS } from '../chirp/options.ts';
import { ChirpAuthError, ChirpError } from '../errors.ts';

const READ = 4;
const WRITE = 2;

/** What a login is good for at the store's root; more is better. */
const NOTHING = 0;
const READING = 1;
const EVERYTHING = 2;

/**
 * The first of the default methods that may write at `root`, else the first that may read there; undefined when none may do anything.
 * @param root Path on the server without a slash at the end; need not exist yet.
 * @throws {ChirpConnectionError} and whatever else is no refusal.
 */
export async function chooseLogin(
  server: ChirpClientOptions,
  root: string,
  signal?: AbortSignal,
): Promise<AuthMethod | undefined> {
  let best: { readonly method?: AuthMethod; readonly use: number } = { use: NOTHING };
  for (const method of DEFAULT_METHODS) {
    const use = await useOf({ ...server, auth: [method] }, root, signal === undefined ? {} : { signal });
    if (use > best.use) best = { method, use };
    if (use === EVERYTHING) break;
  }
  return best.method;
}

interface Request {
  readonly signal?: AbortSignal;
}

async function useOf(server: ChirpClientOptions, root: string, request: Request): Promise<number> {
  await using client = new ChirpClient(server);
  let identity: ChirpIdentity;
  try {
    identity = await client.connect(request);
  } catch (error) {
    if (error instanceof ChirpAuthError) return NOTHING;
    throw error;
  }
  const directory = await nearestDirectory(client, root, request);
  if (await isAllowed(client, directory, READ | WRITE, request)) return EVERYTHING;
  if (await mayReserve(client, directory, identity, request)) return EVERYTHING;
  return (await isAllowed(client, directory, READ, request)) ? READING : NOTHING;
}

/** `path`, or the nearest directory above it that exists. Access lists are shown to everybody, so missing is told from forbidden. */
async function nearestDirectory(client: ChirpClient, path: string, request: Request): Promise<string> {
  for (let current = path; current !== ''; current = current.slice(0, current.lastIndexOf('/'))) {
    const answer = await asked(client.acl.get(current, request), 'CHIRP_DOES_NOT_EXIST', 'CHIRP_NOT_AUTHORIZED');
    if (answer !== 'CHIRP_DOES_NOT_EXIST') return current;
  }
  return '/';
}

async function isAllowed(client: ChirpClient, directory: string, bits: number, request: Request): Promise<boolean> {
  return (await asked(client.access(directory, bits, request), 'CHIRP_NOT_AUTHORIZED')) !== 'CHIRP_NOT_AUTHORIZED';
}

/** Right v: directories made here belong to who makes them, so whoever has it keeps it. */
async function mayReserve(
  client: ChirpClient,
  directory: string,
  me: ChirpIdentity,
  request: Request,
): Promise<boolean> {
  const entries = await asked(client.acl.get(directory, request), 'CHIRP_NOT_AUTHORIZED');
  if (typeof entries === 'string') return false;
  return entries.some(({ subject, rights }) => rights.includes('v') && matches(subject, `${me.method}:${me.name}`));
}

/** What the server answers, or its refusal when that is one of the expected ones. */
async function asked<T>(request: Promise<T>, ...refusals: readonly string[]): Promise<T | string> {
  try {
    return await request;
  } catch (error) {
    if (error instanceof ChirpError && refusals.includes(error.code)) return error.code;
    throw error;
  }
}

function matches(pattern: string, subject: string): boolean {
  const literal = pattern.split('*').map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, '\\$&'));
  return new RegExp(`^${literal.join('.*')}$`).test(subject);
}

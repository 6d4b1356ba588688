/** Options that name a store, shared by every command that uses one. */

import { readFileSync } from 'node:fs';
import { UsageError } from '../errors.ts';
import { openStore } from '../store/index.ts';
import type { Store, StoreOptions } from '../store/types.ts';
import { errorMessage } from '../util/error-facts.ts';
import type { Arguments, OptionSpecs } from './command.ts';

export const STORE_OPTIONS: OptionSpecs = {
  store: { type: 'string' },
  'key-file': { type: 'string' },
  auth: { type: 'string' },
  ticket: { type: 'string' },
};

export const STORE_USAGE = `  --store URL        chirp://host[:port]/path or file:///directory (default $BLCR_STORE); for a job in HTCondor also condor:
  --key-file FILE    32 bytes, raw, hexadecimal or base64: seals the store (default $BLCR_KEY_FILE)
  --auth METHODS     Chirp authentication in order, default hostname,unix,address; for localhost the first of them with rights there
  --ticket FILE      a Chirp ticket`;

export interface StoreChoice {
  readonly url: string;
  readonly key: Uint8Array | undefined;
  readonly options: Omit<StoreOptions, 'key'>;
}

/** @throws {UsageError} when no store is named or the key cannot be used. */
export function chooseStore(args: Arguments, env: NodeJS.ProcessEnv = process.env): StoreChoice {
  const url = args.text('store') ?? env['BLCR_STORE'];
  if (url === undefined || url === '') throw new UsageError('no store: give --store URL or set $BLCR_STORE');
  const keyFile = args.text('key-file') ?? env['BLCR_KEY_FILE'];
  const auth = args.text('auth');
  const ticket = args.text('ticket');
  return {
    url,
    key: keyFile === undefined || keyFile === '' ? undefined : readKey(keyFile),
    options: {
      ...(auth === undefined ? {} : { auth: readMethods(auth) }),
      ...(ticket === undefined ? {} : { ticket }),
    },
  };
}

export const readMethods = (auth: string): readonly string[] => auth.split(',').filter((method) => method !== '');

export async function openChosenStore(args: Arguments): Promise<Store> {
  const { url, key, options } = chooseStore(args);
  return await openStore(url, { ...options, ...(key === undefined ? {} : { key }) });
}

function readKey(path: string): Uint8Array {
  let content: Buffer;
  try {
    content = readFileSync(path);
  } catch (cause) {
    throw new UsageError(`the key file cannot be read: ${errorMessage(cause)}`, { cause });
  }
  if (content.length === 32) return content;
  const text = content.toString('latin1').trim();
  if (/^[0-9a-fA-F]{64}$/.test(text)) return Buffer.from(text, 'hex');
  if (/^[A-Za-z0-9+/]{43}=?$/.test(text)) return Buffer.from(text, 'base64');
  throw new UsageError(`${path} holds no key: 32 bytes are needed, raw, hexadecimal or base64`);
}

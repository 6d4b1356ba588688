/** Which release this is. */
import { readFile } from 'node:fs/promises';

/** Put in by scripts/build-wrapper.mjs: a single executable has no package.json. */
declare const BUNDLED_VERSION: string | undefined;

export async function readVersion(): Promise<string> {
  if (typeof BUNDLED_VERSION === 'string') return BUNDLED_VERSION;
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
  return String((JSON.parse(text) as { version: unknown }).version);
}

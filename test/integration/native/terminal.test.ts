/** Job control: the utilities in an interactive shell, before and after a restart. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { NATIVE, Workshop } from './tools.ts';

const shop = new Workshop();
after(() => shop.clean());

test('^Z, fg and ^C reach the program; a restarted one reads from the new terminal', { timeout: 60_000 }, () => {
  const script = fileURLToPath(new URL('terminal.py', import.meta.url));
  const { status, text } = shop.run('/usr/bin/env', ['python3', script, NATIVE, shop.directory], 50_000);
  assert.equal(status, 0, text);
});

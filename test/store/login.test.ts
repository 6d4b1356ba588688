/** As whom a store logs in to a Chirp server of this machine when nobody says it: as whoever has the rights. */

import assert from 'node:assert/strict';
import { appendFileSync, readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ChirpServer } from '../support/chirp-server.ts';
import { bundleWorkers, NO_CHIRP, open, write } from './backends.ts';
import { contextStream, randomMemory } from './streams.ts';

bundleWorkers();

const options = { skip: NO_CHIRP, timeout: 60_000 };
const CONTEXT = Buffer.concat([...contextStream(randomMemory(200_000))]);
const ME = `unix:${userInfo().username}`;

/** A server whose root has these rights, with challenge files where a server puts them unless it is told otherwise. */
async function serverWith(context: TestContext, ...acl: readonly string[]): Promise<{ url: string; root: string }> {
  const server = await ChirpServer.start({ acl: `${acl.join('\n')}\n`, args: ['-c', '/tmp'] });
  context.after(() => server.stop());
  return { url: `chirp://${server.host}:${server.port}/store`, root: server.root };
}

async function checkpoint(context: TestContext, url: string, auth?: readonly string[]): Promise<number> {
  const store = await open(context, url, auth === undefined ? {} : { auth });
  const claim = await store.claim('job');
  return (await write(context, claim, CONTEXT)).sequence;
}

const owners = (root: string): string => readFileSync(join(root, 'store/.__acl'), 'utf8');

test('a server as its user starts it, with rights for that user alone', options, async (context) => {
  const { url, root } = await serverWith(context, `${ME} rwlda`);
  assert.equal(await checkpoint(context, url), 1);
  assert.match(owners(root), new RegExp(`^${ME} \\w+\n$`));
  assert.deepEqual(
    (await (await open(context, url)).list()).map(({ id }) => id),
    ['job'],
  );
});

test('who may only read by its first login writes by another one', options, async (context) => {
  const { url } = await serverWith(context, 'hostname:* rl', `${ME} rwlda`);
  assert.equal(await checkpoint(context, url), 1);
});

test('a login with all rights stays the one that it was before', options, async (context) => {
  const { url, root } = await serverWith(context, 'hostname:local* v(rwlda)', `${ME} rwlda`);
  assert.equal(await checkpoint(context, url), 1);
  assert.equal(owners(root).trim(), 'hostname:localhost rwlda');
});

for (const auth of ['hostname', 'unix']) {
  test(`a store that was made by ${auth} and belongs to it alone is found again`, options, async (context) => {
    const { url, root } = await serverWith(context, 'hostname:localhost v(rwlda)', `${ME} v(rwlda)`);
    assert.equal(await checkpoint(context, url, [auth]), 1);
    assert.equal(await checkpoint(context, url), 2, owners(root));
    assert.equal(await checkpoint(context, url), 3);
  });
}

test('without any rights it is told as whom, and rights given later count', options, async (context) => {
  const { url, root } = await serverWith(context, 'hostname:elsewhere rwlda');
  const store = await open(context, url);
  await assert.rejects(store.claim('job'), { code: 'ERR_STORE_DENIED', message: /being hostname:localhost/ });
  appendFileSync(join(root, '.__acl'), `${ME} rwlda\n`);
  assert.equal((await write(context, await store.claim('job'), CONTEXT)).sequence, 1);
});

test('a login that was asked for is not replaced by another', options, async (context) => {
  const { url } = await serverWith(context, `${ME} rwlda`);
  await assert.rejects(checkpoint(context, url, ['hostname', 'unix']), { code: 'ERR_STORE_DENIED' });
});

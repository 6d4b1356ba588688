/** What genuine BLCR refuses, and in which words: the program runs on unharmed. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { requestCheckpoint } from 'node-blcr';
import { isGenuine, PATIENCE_MS, start, temporaryDirectory, until } from './machine.ts';

const LIMITS = { timeout: PATIENCE_MS, skip: isGenuine ? false : 'the userspace libcr restores these' };

test('a program without libcr', LIMITS, async (context) => {
  const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
  context.after(() => child.kill('SIGKILL'));
  const to = openSync(join(temporaryDirectory(context), 'context'), 'wx', 0o600);
  context.after(() => closeSync(to));
  await assert.rejects(requestCheckpoint({ target: child.pid ?? 0, to }), (error: Error & { code: string }) => {
    assert.equal(error.code, 'CR_ENOSUPPORT');
    assert.match(error.message, /cr_run/);
    return true;
  });
  assert.equal(child.exitCode, null);
});

test('a program with an epoll descriptor', LIMITS, async (context) => {
  const program = await start(context, 'python3', '-c', 'import select, time; e = select.epoll(); time.sleep(1000)');
  const descriptors = `/proc/${program.target}/fd`;
  await until(() => readdirSync(descriptors).some((fd) => leadsTo(join(descriptors, fd), 'anon_inode:[eventpoll]')));
  const to = openSync(join(temporaryDirectory(context), 'context'), 'wx', 0o600);
  context.after(() => closeSync(to));
  await assert.rejects(requestCheckpoint({ target: program.target, to }), { code: 'EBADF' });
  process.kill(program.target, 0);
});

function leadsTo(link: string, what: string): boolean {
  try {
    return readlinkSync(link) === what;
  } catch {
    return false; // a file of the interpreter's, closed meanwhile
  }
}

/** Real programs through checkpoint, kill and restart, three times over: their output is that of an uninterrupted run. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { PackagesUnavailable } from '../support/debian/packages.ts';
import { endOf, runInterrupted, startIn } from '../support/interrupted.ts';
import { obtainNode } from '../support/node-binaries.ts';
import { NODE_SCRIPT, obstacle, PROGRAMS, type Program, script } from '../support/programs.ts';

const LIMIT = 120_000;
/** Rounds before each checkpoint. */
const MARKS = [3, 6, 9];
/** They have io_urings, as no other program here. */
const NEWER_NODES = ['22.23.3', '24.21.0'];
const ENDLESS = 1_000_000;

const base = mkdtempSync(join(tmpdir(), 'blcr-programs-'));
after(() => rmSync(base, { recursive: true, force: true }));

function directoryFor(program: Program, kind: string): string {
  const directory = join(base, `${program.name.replaceAll(' ', '-')}-${kind}`);
  mkdirSync(directory);
  program.prepare?.(directory);
  return directory;
}

async function compare(program: Program): Promise<void> {
  const [plain, lives] = [directoryFor(program, 'plain'), directoryFor(program, 'lives')];
  const interrupted = await runInterrupted(lives, program.command(ENDLESS, lives), {
    marks: MARKS,
    runsOn: program.changesFiles !== true,
    meanwhile: (pid) => program.meanwhile?.(pid),
  });
  const rounds = interrupted.output.match(/^round/gm)?.length ?? 0;
  assert.ok(rounds >= (MARKS.at(-1) ?? 0), interrupted.output);
  const whole = await startIn(plain, program.command(rounds, plain)).then((life) => endOf(plain, life));
  assert.match(whole.output, /^end /m);
  assert.deepEqual(interrupted, whole);
}

describe('killed and restarted three times', { concurrency: PROGRAMS.length + NEWER_NODES.length }, () => {
  for (const program of PROGRAMS) {
    test(program.name, { skip: obstacle(program), timeout: LIMIT }, () => compare(program));
  }
  for (const version of NEWER_NODES) {
    test(`node ${version}`, { timeout: LIMIT }, async (t) => {
      try {
        const path = await obtainNode(version);
        await compare(script(`node ${version}`, path, NODE_SCRIPT));
      } catch (error) {
        if (!(error instanceof PackagesUnavailable)) throw error;
        t.skip(error.message);
      }
    });
  }
});

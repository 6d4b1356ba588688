import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import * as constants from '../../lib/checkpoint/constants.ts';
import { packageRoot } from '../../lib/native/load.ts';

const header = ['libcr.h', 'crx.h']
  .map((name) => readFileSync(join(packageRoot, 'native/include', name), 'utf8'))
  .join('\n');

function numberOf(name: string): number {
  const found = new RegExp(`^#define ${name} \\(?(-?(?:0x)?[0-9a-fA-F]+)u?\\)?`, 'm').exec(header);
  assert.ok(found, `${name} is defined`);
  return Number(found[1]);
}

test('the numbers of the C headers', () => {
  for (const [name, value] of Object.entries(constants)) {
    if (typeof value === 'number' && name.startsWith('CR_')) assert.equal(value, numberOf(name), name);
  }
  assert.deepEqual(constants.SCOPE, {
    process: numberOf('CR_SCOPE_PROC'),
    group: numberOf('CR_SCOPE_PGRP'),
    session: numberOf('CR_SCOPE_SESS'),
    tree: numberOf('CR_SCOPE_TREE'),
  });
  for (const [name, value] of Object.entries(constants.SNAPSHOT)) {
    assert.equal(value, numberOf(`CRX_SNAPSHOT_${name.toUpperCase()}`));
  }
  for (const [name, value] of Object.entries(constants.CONNECTIONS))
    assert.equal(value, numberOf(`CRX_CONNECTIONS_${name.toUpperCase()}`));
  for (const [name, value] of Object.entries(constants.FILES))
    assert.equal(value, numberOf(`CRX_FILES_${name.toUpperCase()}`));
  assert.equal(constants.MAX_RELOCATIONS, numberOf('CR_MAX_RSTRT_RELOC'));
});

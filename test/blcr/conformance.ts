/** libcr's contract, asked of the library of this machine. */
import { test } from 'node:test';
import { Conformance, GENUINE } from '../native/conformance.ts';
import { isGenuine, PATIENCE_MS, provider, script, temporaryDirectory } from './machine.ts';

const packageFile = (name: string): string => new URL(`../${name}`, import.meta.url).pathname;

test("libcr's contract", { timeout: PATIENCE_MS }, (context) => {
  const directory = temporaryDirectory(context);
  const suite = new Conformance(directory, script('conformance.c'), packageFile('native/include'), PATIENCE_MS);
  const { path } = provider.info;
  if (isGenuine) suite.check(path, GENUINE);
  else suite.check(path, {}, packageFile('build/native/cr_run'));
});

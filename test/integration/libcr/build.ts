/** Compiles the C programs beside this file as users of libcr do: with -lcr. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { INCLUDE, NATIVE, type Workshop } from '../native/tools.ts';

export function build(shop: Workshop, name: string, source: URL = new URL(`${name}.c`, import.meta.url)): string {
  const program = shop.path(name);
  const flags = ['-std=gnu11', '-O1', '-g', '-Wall', '-Wextra', '-Werror', `-I${INCLUDE}`, `-L${NATIVE}`];
  execFileSync('cc', [...flags, `-Wl,-rpath,${NATIVE}`, '-o', program, fileURLToPath(source), '-lcr', '-lpthread']);
  return program;
}

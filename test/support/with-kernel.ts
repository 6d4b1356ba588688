/** Main program of scripts/with-kernel. */

import { parseArgs } from 'node:util';
import { PackagesUnavailable } from './debian/packages.ts';
import { KERNEL_VERSIONS, type KernelVersion, obtainKernel } from './vm/kernel.ts';
import { runInMachine } from './vm/machine.ts';

const USAGE = `usage: with-kernel VERSION [--user UID] [--cpu MODEL] [--kvm] [--memory MIB] [--write DIR]... -- COMMAND [ARGS...]
Runs COMMAND under Debian's kernel VERSION (${KERNEL_VERSIONS.join(', ')}) in a virtual machine that has this machine's files, read-only;
/tmp, /run and /var/tmp are its own and empty, a --write DIR is shared. The current directory is kept. Exits as COMMAND does.
--cpu is a model in QEMU's words (default max), --user whom COMMAND runs as (default root). The processor is emulated unless --kvm is given.
The kernel is downloaded once, below .cache/ or the user's own cache.
Exit: COMMAND's own; 64 wrong arguments; 69 this machine cannot run it (the message says why).`;

function parse(): Parameters<typeof runInMachine>[0] & { version: KernelVersion } {
  const cut = process.argv.indexOf('--');
  const { values, positionals } = parseArgs({
    args: cut < 0 ? process.argv.slice(2) : process.argv.slice(2, cut),
    allowPositionals: true,
    options: {
      user: { type: 'string' },
      cpu: { type: 'string' },
      kvm: { type: 'boolean' },
      memory: { type: 'string' },
      write: { type: 'string', multiple: true },
    },
  });
  const version = positionals[0] as KernelVersion;
  if (!KERNEL_VERSIONS.includes(version)) throw new Error(`kernel: one of ${KERNEL_VERSIONS.join(', ')} is needed`);
  const command = cut < 0 ? positionals.slice(1) : process.argv.slice(cut + 1);
  if (command.length === 0) throw new Error('no command given');
  const number = (text: string | undefined): number | undefined => (text === undefined ? undefined : Number(text));
  const [uid, memoryMiB] = [number(values.user), number(values.memory)];
  if (Number.isNaN(uid) || Number.isNaN(memoryMiB)) throw new Error('--user and --memory want numbers');
  return {
    version,
    kernel: undefined as never,
    command,
    cwd: process.cwd(),
    writable: values.write ?? [],
    ...(uid === undefined ? {} : { uid }),
    ...(memoryMiB === undefined ? {} : { memoryMiB }),
    accelerator: values.kvm === true ? 'kvm' : 'tcg',
    ...(values.cpu === undefined ? {} : { cpu: values.cpu }),
    ...(process.env['BLCR_DISABLE'] === undefined ? {} : { env: { BLCR_DISABLE: process.env['BLCR_DISABLE'] } }),
  };
}

async function main(): Promise<number> {
  let request: ReturnType<typeof parse>;
  try {
    request = parse();
  } catch (error) {
    process.stderr.write(`with-kernel: ${(error as Error).message}\n${USAGE}\n`);
    return 64;
  }
  try {
    return await runInMachine({ ...request, kernel: await obtainKernel(request.version) });
  } catch (error) {
    process.stderr.write(`with-kernel: ${(error as Error).message}\n`);
    return error instanceof PackagesUnavailable ? 69 : 70;
  }
}

process.exitCode = await main();

/** A command under another kernel, in a virtual machine that sees this machine's files. */

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { PackagesUnavailable } from '../debian/packages.ts';
import { makeInitrd, type Share } from './initrd.ts';
import type { Kernel } from './kernel.ts';

const QEMU = 'qemu-system-x86_64';
const CONTROL = '/run/control';

export interface MachineOptions {
  readonly kernel: Kernel;
  readonly command: readonly string[];
  /** Directory of this machine that becomes the root; default `/`. Read-only. */
  readonly root?: string;
  /** Directories of this machine that may be written under the same path. */
  readonly writable?: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Whom the command runs as, default root. */
  readonly uid?: number;
  /** Model of the processor, in QEMU's words; default `max`, all that can be had. */
  readonly cpu?: string;
  /** Default `tcg`, emulation: works everywhere, also where /dev/kvm exists but does not work, as in some virtual machines. */
  readonly accelerator?: 'kvm' | 'tcg';
  /** Default 2048. */
  readonly memoryMiB?: number;
  /** Default 2. */
  readonly cpus?: number;
  /** Further words for the kernel's command line. */
  readonly kernelArguments?: string;
  /** Everything that the command and the kernel print; default this process's stdout. */
  readonly output?: Writable;
  readonly signal?: AbortSignal;
}

/**
 * Boots, runs the command, and gives its exit status (128 + signal as in a shell).
 * @throws {PackagesUnavailable} when there is no QEMU or no static busybox.
 * @throws {Error} when the machine ended without an exit status; its output says why.
 */
export async function runInMachine(options: MachineOptions): Promise<number> {
  for (const program of [`/usr/bin/${QEMU}`, '/bin/busybox'])
    if (!existsSync(program)) throw new PackagesUnavailable('packages qemu-system-x86 and busybox-static are needed');
  const control = await mkdtemp(join(tmpdir(), 'machine-'));
  try {
    const root: Share = { tag: 'root', host: options.root ?? '/', guest: '/', writable: false };
    const shares: Share[] = [{ tag: 'control', host: control, guest: CONTROL, writable: true }];
    for (const [index, path] of (options.writable ?? []).entries())
      shares.push({ tag: `share${index}`, host: path, guest: path, writable: true });
    await writeFile(join(control, 'initrd'), await makeInitrd(options.kernel, root, shares, startScript(options)));
    await boot(options, join(control, 'initrd'), [root, ...shares]);
    const status = Number.parseInt(await readFile(join(control, 'status'), 'utf8').catch(() => ''), 10);
    if (Number.isNaN(status)) throw new Error('the virtual machine ended without an exit status');
    return status;
  } finally {
    await rm(control, { recursive: true, force: true });
  }
}

const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

/** Process 1: the command, its exit status into the control directory, the end. */
function startScript({ command, cwd, env, uid }: MachineOptions): string {
  const assignments = Object.entries({
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/root',
    ...env,
  });
  const user = uid === undefined ? [] : ['setpriv', '--reuid', String(uid), '--regid', String(uid), '--clear-groups'];
  return `#!/bin/sh
cd ${quoted(cwd ?? '/')}
setsid --wait env -i ${[...assignments.map(([name, value]) => `${name}=${value}`), ...user, ...command].map(quoted).join(' ')} </dev/null
echo $? > ${CONTROL}/status
sync
/run/busybox poweroff -f
`;
}

async function boot(options: MachineOptions, initrd: string, shares: readonly Share[]): Promise<void> {
  const accelerator = options.accelerator ?? 'tcg';
  const args = ['-nodefaults', '-display', 'none', '-serial', 'stdio', '-no-reboot'];
  args.push('-accel', accelerator, '-cpu', options.cpu ?? 'max');
  args.push('-m', String(options.memoryMiB ?? 2048), '-smp', String(options.cpus ?? 2));
  args.push('-kernel', options.kernel.image, '-initrd', initrd);
  args.push('-append', `console=ttyS0 quiet loglevel=1 panic=-1 ${options.kernelArguments ?? ''}`);
  for (const { tag, host, writable } of shares) {
    const access = writable ? '' : ',readonly=on';
    args.push('-virtfs', `local,path=${host},mount_tag=${tag},security_model=none,multidevs=remap${access}`);
  }
  const machine = spawn(QEMU, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  machine.stdout.pipe(options.output ?? process.stdout, { end: false });
  await new Promise<void>((resolve, reject) => {
    machine.once('error', reject);
    machine.once('close', () => resolve());
  });
}

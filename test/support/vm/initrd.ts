/** The first root file system of a virtual machine: mounts what the host shares and hands over to it. */

import { readFile } from 'node:fs/promises';
import { CpioArchive } from './cpio.ts';
import type { Kernel } from './kernel.ts';

/** Bus, transport and file system of shared directories, and what a program under test may want. */
const MODULES = ['virtio_pci', '9pnet_virtio', '9p', 'overlay', 'fuse', 'unix_diag', 'tcp_diag', 'udp_diag'];
const BUSYBOX = '/bin/busybox';

/** A directory of the host as the machine sees it. */
export interface Share {
  /** Name between host and machine: letters and digits. */
  readonly tag: string;
  readonly host: string;
  /** Where the machine has it. */
  readonly guest: string;
  readonly writable: boolean;
}

/**
 * @param root Becomes the machine's root directory, read-only but for /tmp, /run, /dev and /var/tmp.
 * @param start Script run by the root's /bin/sh as process 1, with the machine's console.
 */
export async function makeInitrd(
  kernel: Kernel,
  root: Share,
  shares: readonly Share[],
  start: string,
  busybox: string = BUSYBOX,
): Promise<Buffer> {
  const archive = new CpioArchive();
  for (const path of ['bin', 'dev', 'proc', 'modules', 'root']) archive.directory(path);
  archive.file('bin/busybox', await readFile(busybox), 0o755);
  const modules = await kernel.modules(MODULES);
  for (const { name, content } of modules) archive.file(`modules/${name}.ko`, content);
  archive.file('start', start, 0o755);
  archive.file(
    'init',
    initScript(
      modules.map(({ name }) => name),
      root,
      shares,
    ),
    0o755,
  );
  return archive.end();
}

function initScript(modules: readonly string[], root: Share, shares: readonly Share[]): string {
  const mount = ({ tag, guest, writable }: Share, at = ''): string =>
    `mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,${writable ? 'rw,cache=mmap' : 'ro,cache=loose'} ${tag} ${at}${guest} || fail ${tag}`;
  return `#!/bin/busybox sh
/bin/busybox mkdir -p /sbin
/bin/busybox --install -s /bin
fail() { echo "virtual machine: $1 failed"; poweroff -f; }
mount -t devtmpfs dev /dev
mount -t proc proc /proc
for module in ${modules.join(' ')}; do insmod /modules/$module.ko || fail "loading $module"; done
${mount({ ...root, guest: '/root' })}
mount -t proc proc /root/proc
mount -t sysfs sys /root/sys
mount -t devtmpfs dev /root/dev
mkdir -p /root/dev/pts /root/dev/shm
mount -t devpts -o ptmxmode=0666 devpts /root/dev/pts
mount -t tmpfs -o mode=1777 shm /root/dev/shm
for path in tmp run var/tmp; do mount -t tmpfs -o mode=1777 tmpfs /root/$path; done
ln -s /proc/self/fd /root/dev/fd; ln -s /proc/self/fd/0 /root/dev/stdin
ln -s /proc/self/fd/1 /root/dev/stdout; ln -s /proc/self/fd/2 /root/dev/stderr
ifconfig lo 127.0.0.1
${shares.map((share) => `mkdir -p /root${share.guest} 2>/dev/null; ${mount(share, '/root')}`).join('\n')}
cp /bin/busybox /root/run/busybox
cp /start /root/run/start
stty -F /dev/ttyS0 -opost -echo 2>/dev/null || stty -opost -echo < /dev/ttyS0
exec switch_root -c /dev/ttyS0 /root /bin/sh /run/start
`;
}

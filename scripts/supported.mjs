/**
 * docs/SUPPORTED.md: what a program may hold, as declared beside the tests that show it (native/test/supported.h).
 * `node scripts/supported.mjs` prints it, `--write` writes it; test/repo/supported.test.ts compares.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const TEXT = String.raw`((?:"(?:[^"\\\\]|\\\\.)*"\s*)+)`;
const ROW = new RegExp(String.raw`Supported\{\s*${TEXT},\s*${TEXT},\s*${TEXT},\s*${TEXT}\}`, 'g');
const AREAS = ['tasks', 'memory', 'descriptors', 'time and signals', 'registers', 'hosts'];
const HEAD = `# What a program may hold

Written by \`node scripts/supported.mjs --write\` from the tests; do not edit. Each row has a program that sets the thing up, is checkpointed and
killed, restarted, checkpointed and restarted once more, as an ordinary user, and verifies itself (restored); or whose checkpoint fails with a
message that has the quoted words while the program goes on (refused, \`CR_ENOSUPPORT\` unless the message says "again").
`;

const NOTICED = `## What a program may notice

Nobody is told of these, or nothing can be done about them; a program that depends on one of them should not be checkpointed.

- Processor time counts from zero again: \`times\`, \`getrusage\` (of ended children and of zombies, too), \`clock\`, \`RLIMIT_CPU\`. Timers of
  processor time have what was left of them.
- A call that has got a part of what it was asked for may return with that, as under a debugger: \`recv\` with \`MSG_WAITALL\`, a \`write\` to a
  full pipe, a \`read\` from a terminal with \`VMIN\` above 1, an \`io_uring_enter\` that submits and waits. A relative
  time-out may begin anew.
- An edge-triggered epoll entry (\`EPOLLET\`) whose file is ready is told once more: whether the program has taken the edge already shows nowhere,
  and one too few would make it wait for ever.
- That a child was continued (\`WCONTINUED\`), and that a datagram sent earlier did not arrive (but for \`IP_RECVERR\`), is not told when it was not
  told before the checkpoint.
- How many periods of a timer have passed while its signal waited (\`si_overrun\`, \`timer_getoverrun\`) counts from the restart. That a child which
  nobody has waited for left a core file (\`WCOREDUMP\`) is not told.
- POSIX message queues that no process of the job has open are not there for the restarted job.
- The number of an inotify watch that was removed may be given to the next one. A file that was made with \`O_TMPFILE | O_EXCL\` may be given a
  name.
- Of sockets, what the kernel tells nobody: keys of \`TCP_MD5SIG\`, leases of flow labels, the source address that \`IPV6_PKTINFO\` sets for all
  datagrams, \`IPV6_MTU\`, \`SO_INQ\` of local sockets, the window clamp of a connection that was made already.
- System V message queues and shared memory tell of a process of the keeper's as the last user and of the restart as the last time, semaphores
  do where their last user has ended.
- A program that chooses among sockets of one port (\`SO_ATTACH_REUSEPORT_CBPF\`) falls back to the kernel's own choice.
- A System V semaphore set or queue that the job has used, but somebody outside last, is not there for the restarted job: the kernel tells the last
  user only. (It is refused where a task of the job waits for it, or is its last user, or has it attached.)
- The login of the audit system (\`/proc/self/loginuid\`), control groups and autogroups are those of the restarter.
- The parent of the job's first process, and of processes whose own parent has ended, is a keeper, by the number that the parent of the first
  process had (\`getppid\`). It is 1 where that is the number of a process group or session of the job too, and with \`--no-restore-pid\`.
- Unlinked files of other users that an ordinary user's job holds belong to the job's user, and \`SO_PEERCRED\` tells of the job's user where the
  other end of a connection was another user's and is gone. A job that changes machines has the supplementary groups of its user there.
- Memory in common since a fork is shared again (copy-on-write) but for processes whose own parent has ended, and for all of a job that is
  restarted under another kernel: these get copies, and need that much more memory.
- Rights to I/O ports (\`ioperm\`, \`iopl\`; of root's programs only) are gone, and so are \`TCP_QUICKACK\`, \`PR_TIMER_CREATE_RESTORE_IDS\` and the keyring
  that \`KEYCTL_SET_REQKEY_KEYRING\` has chosen.
- A job with huge pages that it has asked for (not transparent ones) stands still until its checkpoint is written. Its restart wants as many of the
  same size and is refused by name where they are not free; what a child had in common with its parent counts twice. Without a reservation
  (\`MAP_NORESERVE\`) only those count that were in use.
- \`SO_PEERPIDFD\` of a connection that was made before a checkpoint stands for a process that has ended, although \`SO_PEERCRED\` has the number
  of one that lives.
- What the main thread of a process had set for itself before it ended, while others go on: its parent-death signal, which nothing tells of, nice
  value and affinity.
- That a program dispatches its own system calls (\`PR_SET_SYSCALL_USER_DISPATCH\`, as Wine does) is told since Linux 6.4 only: where an older
  kernel has it (5.11), such a program must not be checkpointed.
- Flags of the inode (\`chattr\`) of unlinked files and extended attributes of removed directories are gone.
- An io_uring is made again without the flags that only restrict or tune it (\`SINGLE_ISSUER\`, \`DEFER_TASKRUN\`, \`COOP_TASKRUN\`, \`TASKRUN_FLAG\`,
  \`IOPOLL\`, \`ATTACH_WQ\`, \`CLAMP\`) and without settings of its workers and its clock. Four things are not noticed when nothing of them is left in
  the ring's memory, because the kernel shows them nowhere: provided buffers of group 64 and above, personalities, a ring's being
  open to large completions beside small ones (\`CQE_MIXED\`), and requests in flight, one for each completion that was too many (multishot time-outs,
  messages of other rings).
- What only speed depends on: names of areas, home nodes of memory policies, busy polling, \`SO_INCOMING_CPU\`, clamps of utilisation, I/O contexts that
  processes share (\`CLONE_IO\`), the size of the table of private futexes, \`posix_fadvise\`, write-life hints.
`;

/** Adjacent literals are one, as in C++. */
function literal(text) {
  return [...text.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, inner]) => inner).join('');
}

/** Every row declared in the text of one test source. */
export function rowsOf(text) {
  return [...text.matchAll(ROW)].map(([, ...cells]) => {
    const [test, area, resource, outcome] = cells.map(literal);
    return { test, area, resource, outcome };
  });
}

function allRows(root) {
  const folder = join(root, 'native/test');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.cc'));
  return files.sort().flatMap((name) => rowsOf(readFileSync(join(folder, name), 'utf8')));
}

/** The whole page. Throws for a row that has no place in it. */
export function supportedPage(root) {
  const rows = allRows(root);
  const stray = rows.find((row) => !AREAS.includes(row.area) || !/^(restored|refused: .+)$/.test(row.outcome));
  if (stray !== undefined) throw new Error(`${stray.test}: area "${stray.area}", outcome "${stray.outcome}"`);
  const sections = AREAS.map((area) => [area, rows.filter((row) => row.area === area)]).filter(
    ([, list]) => list.length > 0,
  );
  const tables = sections.map(([area, list]) => {
    const lines = list.map(({ test, resource, outcome }) => {
      const shown = outcome.replace(/^refused: (.*)$/, 'refused: “$1”');
      return `| ${resource} | ${shown} | ${test} |`;
    });
    return `## ${area[0].toUpperCase()}${area.slice(1)}\n\n| | | test |\n|---|---|---|\n${lines.join('\n')}\n`;
  });
  return [HEAD, ...tables, NOTICED].join('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const page = supportedPage(root);
  if (process.argv.includes('--write')) writeFileSync(join(root, 'docs/SUPPORTED.md'), page);
  else process.stdout.write(page);
}

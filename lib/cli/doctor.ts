/** `blcr doctor`: which libcr is used and why, and what this host allows, found out by doing it. */

import { existsSync, readFileSync } from 'node:fs';
import { describeLimits } from '../checkpoint/capabilities.ts';
import type { Probe } from '../checkpoint/probe.ts';
import { openProvider } from '../checkpoint/provider.ts';
import type { Provider } from '../checkpoint/types.ts';
import { NativeLoadError } from '../errors.ts';
import { EXIT_CODES } from '../job/exit-status.ts';
import { probeProvider } from '../job/probe.ts';
import { type Command, expectPositionals, parseArguments } from './command.ts';
import { exitWith, success } from './exit.ts';
import { printJson } from './json.ts';

interface Report {
  readonly ok: boolean;
  readonly library: string | undefined;
  readonly kind: 'userspace' | 'blcr' | undefined;
  readonly keeper: string | undefined;
  readonly reasons: readonly string[];
  readonly probe: Probe | undefined;
  readonly findings: readonly string[];
}

export const doctorCommand: Command = {
  name: 'doctor',
  summary: 'which libcr is used and why, and what this host allows',
  usage: `blcr doctor [--json]

A program is checkpointed, killed and restarted. Exit: 0 jobs can run here; 75 they cannot.`,
  run: async (args) => {
    const parsed = parseArguments(args, { json: { type: 'boolean' } });
    expectPositionals(parsed.positionals);
    const report = await examine();
    if (parsed.flag('json')) printJson(report);
    else process.stdout.write(describe(report));
    return report.ok ? success : exitWith(EXIT_CODES.temporary);
  },
};

async function examine(): Promise<Report> {
  const provider = findProvider();
  if (provider instanceof NativeLoadError) {
    const reasons = provider.tried.map(({ path, reason }) => `${path}: ${reason}`);
    const findings = ['No libcr can be loaded: nothing can be checkpointed or restarted here.'];
    return { ok: false, library: undefined, kind: undefined, keeper: undefined, reasons, probe: undefined, findings };
  }
  const { path: library, kind, keeper } = provider.info;
  const probe = await probeProvider(provider);
  const proof = kind === 'blcr' ? describeBlcr(probe) : describeProbe(probe);
  const findings = [...proof, ...describeLimits(provider), ...describeHost(kind, probe)];
  return { ok: probe.ok, library, kind, keeper, reasons: provider.reasons, probe, findings };
}

function findProvider(): Provider | NativeLoadError {
  try {
    return openProvider();
  } catch (error) {
    if (error instanceof NativeLoadError) return error;
    throw error;
  }
}

function describeProbe({ ok, reason, userNamespaces }: Probe): string[] {
  return [
    ok
      ? 'A program with two threads was checkpointed, killed and restarted here with the same process ids: jobs can run on this host.'
      : `A program with two threads could not be checkpointed and restarted here: ${reason}. Jobs must not be sent to this host.`,
    userNamespaces
      ? 'This user may create user namespaces: jobs are restarted with their own process ids, whatever runs here.'
      : 'This user may not create user namespaces: restarting with the same process ids needs root or CAP_CHECKPOINT_RESTORE.',
  ];
}

function describeBlcr({ ok, reason }: Probe): string[] {
  return [
    ok
      ? 'A program was started under cr_run, checkpointed, killed and restarted here: jobs can run on this host.'
      : `A program could not be started under cr_run, checkpointed and restarted here: ${reason}. Jobs must not be sent to this host.`,
  ];
}

/** What the rootless libcr needs of a host; BLCR's modules ask nobody. */
function describeHost(kind: Provider['info']['kind'], { kernel }: Probe): string[] {
  if (kind === 'blcr') return [];
  const findings: string[] = [];
  const scope = readNumber('/proc/sys/kernel/yama/ptrace_scope');
  if (scope !== undefined && scope > 0) {
    findings.push(
      scope === 1
        ? 'Yama allows tracing descendants only: jobs started by blcr run are fine, `blcr checkpoint PID` of other processes is not.'
        : `Yama (ptrace_scope ${scope}) restricts tracing to administrators: jobs of ordinary users cannot be checkpointed.`,
    );
  }
  if (!existsSync('/proc/self/timens_offsets')) {
    findings.push(
      `This kernel (${kernel}) has no time namespaces: monotonic clocks jump at a restart on another host.`,
    );
  }
  return findings;
}

function readNumber(path: string): number | undefined {
  try {
    return Number(readFileSync(path, 'latin1'));
  } catch {
    return undefined; // this kernel has no such setting
  }
}

function describe({ library, kind, keeper, reasons, probe, findings }: Report): string {
  const kinds = { userspace: 'the rootless one of this package', blcr: "BLCR's own" } as const;
  const lines = [
    library === undefined ? 'libcr: none' : `libcr: ${library}${kind === undefined ? '' : ` (${kinds[kind]})`}`,
    ...reasons.map((reason) => `  ${reason}`),
    ...(keeper === undefined ? [] : [`keeper: ${keeper}`]),
    ...(probe === undefined || probe.kernel === '' ? [] : [`kernel: ${probe.kernel}`]),
    '',
    ...findings,
  ];
  return `${lines.join('\n')}\n`;
}

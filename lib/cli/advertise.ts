/** `blcr advertise`: a probe for HTCondor's STARTD_CRON. */

import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { probeHost } from '../checkpoint/probe.ts';
import { openProvider } from '../checkpoint/provider.ts';
import { cpuLevel, formatAbility, type NodeAbility } from '../condor/machine-ad.ts';
import { NativeLoadError } from '../errors.ts';
import { type Command, expectPositionals, parseArguments } from './command.ts';
import { success } from './exit.ts';

export const advertiseCommand: Command = {
  name: 'advertise',
  summary: 'print what this node can do as attributes for HTCondor',
  usage: `blcr advertise

For STARTD_CRON. HAS_BLCR is True only if a program with two threads was checkpointed, killed and restarted just now.`,
  run: async (args) => {
    expectPositionals(parseArguments(args, {}).positionals);
    process.stdout.write(formatAbility(await examine()));
    return success;
  },
};

async function examine(): Promise<NodeAbility> {
  const host = { kernel: release(), cpuLevel: cpuLevel(readFileSync('/proc/cpuinfo', 'latin1')) };
  try {
    const { kind, keeper } = openProvider().info;
    const probe = keeper === undefined ? undefined : await probeHost(keeper);
    const reason = probe === undefined ? 'this libcr has no keeper that could prove it' : probe.reason;
    const userNamespaces = probe?.userNamespaces ?? false;
    return {
      ...host,
      isProved: probe?.ok === true,
      reason: probe?.ok === true ? '' : reason,
      engine: kind,
      userNamespaces,
    };
  } catch (error) {
    if (!(error instanceof NativeLoadError)) throw error;
    return { ...host, isProved: false, reason: error.message, engine: 'none', userNamespaces: false };
  }
}

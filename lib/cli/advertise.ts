/** `blcr advertise`: a probe for HTCondor's STARTD_CRON. */

import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { openProvider } from '../checkpoint/provider.ts';
import { cpuLevel, formatAbility, type NodeAbility } from '../condor/machine-ad.ts';
import { NativeLoadError } from '../errors.ts';
import { probeProvider } from '../job/probe.ts';
import { type Command, expectPositionals, parseArguments } from './command.ts';
import { success } from './exit.ts';

export const advertiseCommand: Command = {
  name: 'advertise',
  summary: 'print what this node can do as attributes for HTCondor',
  usage: `blcr advertise

For STARTD_CRON. HAS_BLCR is True only if a program was checkpointed, killed and restarted just now.`,
  run: async (args) => {
    expectPositionals(parseArguments(args, {}).positionals);
    process.stdout.write(formatAbility(await examine()));
    return success;
  },
};

async function examine(): Promise<NodeAbility> {
  const host = { kernel: release(), cpuLevel: cpuLevel(readFileSync('/proc/cpuinfo', 'latin1')) };
  try {
    const provider = openProvider();
    const { ok, reason, userNamespaces } = await probeProvider(provider);
    return { ...host, isProved: ok, reason, engine: provider.info.kind, userNamespaces };
  } catch (error) {
    if (!(error instanceof NativeLoadError)) throw error;
    return { ...host, isProved: false, reason: error.message, engine: 'none', userNamespaces: false };
  }
}

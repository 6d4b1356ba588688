/** What a node says of itself: attributes for the machine ad, in the form that HTCondor's STARTD_CRON reads. */

export interface NodeAbility {
  /** A program with two threads was really restarted here, just now. */
  readonly isProved: boolean;
  /** Why not, in words; empty when it is. */
  readonly reason: string;
  readonly engine: 'userspace' | 'blcr' | 'none';
  readonly kernel: string;
  /** `x86_64-v1` to `-v4`, undefined when the processor does not say. */
  readonly cpuLevel: string | undefined;
  readonly userNamespaces: boolean;
}

/** One attribute a line; the last line ends the ad. Source: HTCondor manual, "Startd cron". */
export function formatAbility(ability: NodeAbility): string {
  const { isProved, reason, engine, kernel, cpuLevel, userNamespaces } = ability;
  const lines = [
    `HAS_BLCR = ${isProved ? 'True' : 'False'}`,
    `BLCR_Engine = ${quote(engine)}`,
    `BLCR_Kernel = ${quote(kernel)}`,
    ...(cpuLevel === undefined ? [] : [`BLCR_CpuLevel = ${quote(cpuLevel)}`]),
    `BLCR_UserNamespaces = ${userNamespaces ? 'True' : 'False'}`,
    `BLCR_Reason = ${quote(reason)}`,
    '- update:true',
  ];
  return `${lines.join('\n')}\n`;
}

const quote = (text: string): string => `"${text.replaceAll(/[\\"]/g, '\\$&').replaceAll(/\s+/g, ' ')}"`;

/** Flags of /proc/cpuinfo that each level asks for beyond the one before. Source: x86-64 psABI, "micro-architecture levels". */
const LEVELS = [
  ['cx16', 'lahf_lm', 'popcnt', 'sse4_1', 'sse4_2', 'ssse3'],
  ['avx', 'avx2', 'bmi1', 'bmi2', 'f16c', 'fma', 'abm', 'movbe', 'xsave'],
  ['avx512f', 'avx512bw', 'avx512cd', 'avx512dq', 'avx512vl'],
] as const;

/** @param cpuinfo Content of /proc/cpuinfo. */
export function cpuLevel(cpuinfo: string): string | undefined {
  const text = /^flags\s*:(.*)$/m.exec(cpuinfo)?.[1];
  if (text === undefined) return undefined;
  const flags = new Set(text.trim().split(/\s+/));
  const met = LEVELS.findIndex((level) => !level.every((flag) => flags.has(flag)));
  return `x86_64-v${met < 0 ? LEVELS.length + 1 : met + 1}`;
}

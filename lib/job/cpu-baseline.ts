/**
 * Programs confined to an older level of the processor's architecture, so that their checkpoints run on more nodes. Libraries that choose
 * their code by the processor are told to be modest by their own variables; what asks the processor itself, and knows no variable, is not
 * confined.
 */

export type CpuBaseline = 'x86-64-v2' | 'x86-64-v3';
export const CPU_BASELINES: readonly CpuBaseline[] = ['x86-64-v2', 'x86-64-v3'];

/** What is beyond x86-64-v3, in the words of glibc's tunable. Names that a version does not know are ignored by it. */
const BEYOND_V3 = [
  ...['AVX512F', 'AVX512BW', 'AVX512CD', 'AVX512DQ', 'AVX512ER', 'AVX512PF', 'AVX512VL', 'AVX512_VNNI', 'AVX512_BF16'],
  ...['AVX512_VBMI', 'AVX512_VBMI2', 'AVX512_BITALG', 'AVX512_IFMA', 'AVX512_VPOPCNTDQ', 'AVX512_FP16', 'AVX_VNNI'],
  ...['FMA4', 'XSAVEC', 'RTM', 'HLE', 'VAES', 'VPCLMULQDQ', 'GFNI'],
];
const BEYOND_V2 = [
  ...['AVX', 'AVX2', 'FMA', 'F16C', 'BMI1', 'BMI2', 'LZCNT', 'MOVBE', 'XSAVE', 'OSXSAVE'],
  'AVX_Fast_Unaligned_Load',
];

/** OpenSSL's capability vector: what to clear of CPUID 1 ecx (upper half of the first word), and all that is left of CPUID 7 ebx. */
const OPENSSL = {
  'x86-64-v2': { clear: [1, 11, 12, 22, 25, 26, 27, 28, 29, 30], leaf7: [] as number[] },
  'x86-64-v3': { clear: [1, 11, 25, 30], leaf7: [3, 5, 8] },
};

const VARIABLES = {
  'x86-64-v2': {
    OPENBLAS_CORETYPE: 'NEHALEM',
    MKL_ENABLE_INSTRUCTIONS: 'SSE4_2',
    NPY_DISABLE_CPU_FEATURES: 'AVX F16C FMA3 AVX2 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL',
  },
  'x86-64-v3': {
    OPENBLAS_CORETYPE: 'HASWELL',
    MKL_ENABLE_INSTRUCTIONS: 'AVX2',
    NPY_DISABLE_CPU_FEATURES: 'AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL',
  },
};

const bits = (numbers: readonly number[], from = 0n): bigint =>
  numbers.reduce((word, bit) => word | (1n << (BigInt(bit) + from)), 0n);

/**
 * The environment of a program that is confined to a baseline: tunables of glibc (string functions, libm, library directories), settings of
 * OpenSSL, OpenBLAS, MKL and numpy, and binding at start, because glibc's lazy binding saves registers in a layout that belongs to one
 * processor. Variables that are set already are kept; GLIBC_TUNABLES is added to.
 */
export function confinedEnvironment(env: NodeJS.ProcessEnv, baseline: CpuBaseline): NodeJS.ProcessEnv {
  const beyond = baseline === 'x86-64-v2' ? [...BEYOND_V3, ...BEYOND_V2] : BEYOND_V3;
  const tunable = `glibc.cpu.hwcaps=${beyond.map((name) => `-${name}`).join(',')}`;
  const { clear, leaf7 } = OPENSSL[baseline];
  return {
    LD_BIND_NOW: '1',
    OPENSSL_ia32cap: `~0x${bits(clear, 32n).toString(16)}:0x${bits(leaf7).toString(16)}`,
    ...VARIABLES[baseline],
    ...env,
    GLIBC_TUNABLES: [env['GLIBC_TUNABLES'], tunable].filter((text) => text !== undefined && text !== '').join(':'),
  };
}

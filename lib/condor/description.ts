/** What a submit description must say so that a job is checkpointed, evicted and resumed without anybody thinking of it. */

/** How a job is wrapped. Paths are as the submit file sees them. */
export interface Wrapping {
  /** The executable that HTCondor is to start: the wrapper. */
  readonly wrapper: string;
  readonly store: string;
  /** Text such as `1h`; undefined = the wrapper's default. */
  readonly every: string | undefined;
  /** Seconds that an eviction may take. */
  readonly vacateSeconds: number;
  /** File with the key that seals the checkpoints; undefined = they are not sealed. */
  readonly keyFile: string | undefined;
  /** A Chirp ticket, undefined = the server knows the nodes otherwise. */
  readonly ticket: string | undefined;
  /** Further options of `blcr run`. */
  readonly options: readonly string[];
}

/** One line of a description, with the reason for it. */
export interface Command {
  readonly name: string;
  readonly value: string;
  readonly why: string;
}

/**
 * Keeps a job in the queue after 85 (evicted) and 75 (this node or store cannot now), and after SIGKILL, which is never the program's doing.
 * Everything else is its own end.
 */
export const ON_EXIT_REMOVE =
  '(ExitBySignal =?= True && ExitSignal =!= 9) || (ExitBySignal =!= True && ExitCode =!= 85 && ExitCode =!= 75)';

/** HTCondor itself carries the checkpoints, whenever the job leaves with 85. */
export const CARRIED_STORE = 'condor:';

/** At the top of the sandbox: the whole store as one file. */
export const CARRIED_FILE = 'blcr.checkpoint';

/** How many nodes of the past are remembered. */
const HISTORY = 5;

/**
 * The instruction set of the first node; after more moves than are remembered that of a later one, which had to have as much. Any node will do
 * for a job that has not run. Nested, because the negotiator of 23.9 finds no match for a chain of `?:`.
 */
function firstMicroarch(): string {
  let expression = '""';
  for (let age = 0; age < HISTORY; age += 1) {
    const attribute = `MY.MachineAttrMicroarch${age}`;
    expression = `ifThenElse(${attribute} =!= undefined, ${attribute}, ${expression})`;
  }
  return expression;
}

/** Nodes that can checkpoint, and whose processor has what the program found when it started. */
export const requirements = (): string =>
  `(TARGET.HAS_BLCR =?= True || TARGET.HasUserNamespaces =?= True) && ((TARGET.Microarch ?: "") >= ${firstMicroarch()})`;

/** The commands that every wrapped job has, whatever else it says. */
export function commandsOf(wrapping: Wrapping): readonly Command[] {
  return [
    ...(wrapping.store === CARRIED_STORE ? carryingCommands : []),
    {
      name: 'on_exit_remove',
      value: ON_EXIT_REMOVE,
      why: '85: evicted, run me again; 75: another node or later; SIGKILL: not its own end',
    },
    {
      name: 'on_exit_hold',
      value: 'ExitBySignal =!= True && ExitCode =?= 86',
      why: '86: no checkpoint can be restarted, somebody must look',
    },
    {
      name: 'on_exit_hold_reason',
      value: '"no checkpoint of this job can be restarted: blcr show and blcr verify tell more"',
      why: 'what condor_q -hold shows then',
    },
    { name: 'want_graceful_removal', value: 'False', why: 'condor_rm: no pointless last checkpoint' },
    {
      name: 'job_max_vacate_time',
      value: String(wrapping.vacateSeconds),
      why: 'seconds for the last checkpoint of an eviction',
    },
    { name: 'job_machine_attrs', value: 'Microarch', why: 'remembered for the requirements' },
    { name: 'job_machine_attrs_history_length', value: String(HISTORY), why: 'of so many nodes' },
    {
      name: '+WantIOProxy',
      value: 'True',
      why: 'number, time and size of checkpoints in condor_q and in the user log',
    },
  ];
}

const carryingCommands: readonly Command[] = [
  { name: 'checkpoint_exit_code', value: '85', why: '85: there is a checkpoint in the sandbox, carry it and go on' },
  { name: 'transfer_checkpoint_files', value: CARRIED_FILE, why: 'what is carried' },
  { name: 'when_to_transfer_output', value: 'ON_EXIT_OR_EVICT', why: 'or the checkpoint of an eviction would be lost' },
];

/** The wrapper's own arguments, up to and including `--`. None of them has blanks or quotes: see checkWord. */
export function wrapperArguments({ store, every, keyFile, ticket, options }: Wrapping): readonly string[] {
  return [
    ...['run', '--store', store],
    ...(every === undefined ? [] : ['--every', every]),
    ...(keyFile === undefined ? [] : ['--key-file', baseName(keyFile)]),
    ...(ticket === undefined ? [] : ['--ticket', baseName(ticket)]),
    ...options,
    '--',
  ];
}

/** Files that the wrapper needs in the sandbox. */
export const wrapperInputs = ({ keyFile, ticket }: Wrapping): readonly string[] =>
  [keyFile, ticket].filter((path) => path !== undefined);

export const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

/** Arguments in HTCondor's new syntax, without the double quotes around them all. Source: HTCondor manual, condor_submit, arguments. */
export const quoteArguments = (args: readonly string[]): string =>
  args
    .map((argument) =>
      /^[^\s'"]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "''").replaceAll('"', '""')}'`,
    )
    .join(' ');

/** The configuration of one group of daemons of the test pool: everything on loopback, every pause as short as it can be. */

export interface PoolSettings {
  /** Slots of each node, default 2. */
  readonly slots?: number;
  /** More lines for all daemons. */
  readonly extra?: string;
  /** More lines for one node. */
  readonly nodes?: Readonly<Partial<Record<'nodeA' | 'nodeB', string>>>;
}

export interface DaemonGroup {
  readonly prefix: string;
  /** Directory of its own. */
  readonly local: string;
  readonly daemons: string;
  /** The collector's port. */
  readonly port: number;
  /** Undefined for the central manager. */
  readonly node: 'nodeA' | 'nodeB' | undefined;
  readonly settings: PoolSettings;
}

export function configuration(group: DaemonGroup): string {
  const { node, settings } = group;
  return [
    places(group),
    NETWORK,
    PAUSES,
    resources(settings.slots ?? 2),
    POLICY,
    settings.extra ?? '',
    node === undefined ? '' : nodeIdentity(node),
    node === undefined ? '' : (settings.nodes?.[node] ?? ''),
    '',
  ].join('\n');
}

const places = ({ prefix, local, daemons, port }: DaemonGroup): string => `\
RELEASE_DIR = ${prefix}
BIN = ${prefix}/bin
SBIN = ${prefix}/sbin
LIB = ${prefix}/lib
LIBEXEC = ${prefix}/libexec
LOCAL_DIR = ${local}
LOG = ${local}/log
SPOOL = ${local}/spool
EXECUTE = ${local}/execute
LOCK = ${local}/lock
RUN = ${local}/run
DAEMON_LIST = ${daemons}
CONDOR_HOST = 127.0.0.1
COLLECTOR_HOST = 127.0.0.1:${port}`;

/** A notice to the negotiator while that talks to the schedd makes the two wait for each other, 20 s long; it looks every second anyway. */
const NETWORK = `\
NETWORK_INTERFACE = 127.0.0.1
BIND_ALL_INTERFACES = False
NO_DNS = True
DEFAULT_DOMAIN_NAME = localdomain
UID_DOMAIN = localhost
FILESYSTEM_DOMAIN = localhost
USE_SHARED_PORT = False
SEC_DEFAULT_AUTHENTICATION_METHODS = FS
SEC_DEFAULT_AUTHENTICATION = REQUIRED
SUBMIT_SEND_RESCHEDULE = False
ALLOW_READ = *
ALLOW_WRITE = *
ALLOW_DAEMON = *
ALLOW_NEGOTIATOR = *
ALLOW_ADMINISTRATOR = *`;

const PAUSES = `\
NEGOTIATOR_INTERVAL = 1
NEGOTIATOR_MIN_INTERVAL = 0
NEGOTIATOR_CYCLE_DELAY = 0
SCHEDD_INTERVAL = 1
SCHEDD_MIN_INTERVAL = 0
UPDATE_INTERVAL = 1
POLLING_INTERVAL = 1
STARTER_UPDATE_INTERVAL = 2
SHADOW_QUEUE_UPDATE_INTERVAL = 2
PERIODIC_EXPR_INTERVAL = 1
RUNBENCHMARKS = False`;

const resources = (slots: number): string => `\
NUM_CPUS = ${slots}
MEMORY = ${slots * 2048}
DISK = 4000000
SLOT_TYPE_1 = cpus=1
NUM_SLOTS_TYPE_1 = ${slots}`;

const POLICY = `\
START = True
SUSPEND = False
PREEMPT = False
KILL = False
WANT_SUSPEND = False
WANT_VACATE = True
MachineMaxVacateTime = 30`;

/** With the family session of its own master the collector would refuse those of another one. */
const nodeIdentity = (node: string): string => `\
MASTER_NAME = ${node}
STARTD_NAME = ${node}
NodeName = "${node}"
STARTD_ATTRS = $(STARTD_ATTRS) NodeName
SEC_USE_FAMILY_SESSION = False`;

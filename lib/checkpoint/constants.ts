/** Numbers of the C ABI. Source: native/include/libcr.h and crx.h, whose names they carry; test/checkpoint compares them. */

/** cr_scope_t. */
export const SCOPE = { process: 0, group: 1, session: 2, tree: 3 } as const;

export const CR_CHKPT_PROHIBIT_SELF = 0x0001;
export const CR_CHKPT_PTRACED_ALLOW = 0x0002;
export const CR_CHKPT_PTRACED_SKIP = 0x0004;
export const CR_CHKPT_PTRACER_SKIP = 0x0008;
/** Errors are reported when the request is reaped, with a log, not by the request call itself. */
export const CR_CHKPT_ASYNC_ERR = 0x0010;
export const CR_CHKPT_DUMP_EXEC = 0x0200;
export const CR_CHKPT_DUMP_PRIVATE = 0x0400;
export const CR_CHKPT_DUMP_SHARED = 0x0800;
/** Of crx.h: complete only when the context is on disk. */
export const CRX_CHKPT_SYNC = 0x10000;

export const CR_RSTRT_ASYNC_ERR = 0x0001;
export const CR_RSTRT_RESTORE_PID = 0x0002;
export const CR_RSTRT_RESTORE_PGID = 0x0004;
export const CR_RSTRT_RESTORE_SID = 0x0008;

/** CRX_SNAPSHOT_*. */
export const SNAPSHOT = { auto: 0, fork: 1, plain: 2 } as const;
/** CRX_CONNECTIONS_*. */
export const CONNECTIONS = { refuse: 0, close: 1 } as const;

/** CRX_FILES_*. */
export const FILES = { rollback: 0, keep: 1, refuse: 2 } as const;

/** CR_MAX_RSTRT_RELOC: relocations in one restart. */
export const MAX_RELOCATIONS = 16;

/** "None" where the ABI takes a descriptor. */
export const NO_DESCRIPTOR = -1;

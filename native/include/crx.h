/*
 * Extensions of our libcr.so.0: what BLCR's ABI has no word for. Found with dlsym; absent in genuine BLCR, which is how a caller tells the
 * two apart. Every structure begins with its own size, set by the caller, so that fields can be appended.
 */
#ifndef CRX_H
#define CRX_H

#include <stdint.h>

#include "libcr.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define CRX_ABI_VERSION 1

/* How memory is copied: CRX_SNAPSHOT_AUTO picks fork when memory allows and plain otherwise. */
#define CRX_SNAPSHOT_AUTO 0u
#define CRX_SNAPSHOT_FORK 1u  /* freeze, fork a copy, resume, stream the copy */
#define CRX_SNAPSHOT_PLAIN 2u /* stay frozen until everything is streamed (always so when cr_signal ends or stops the target) */

/* In cr_flags: a request whose destination is a regular file completes only when the context is on its disk. */
#define CRX_CHKPT_SYNC 0x10000

/* What happens to regular files that changed after the checkpoint, at restart. */
#define CRX_FILES_ROLLBACK 0u /* truncate to the recorded length */
#define CRX_FILES_KEEP 1u     /* leave content, restore the offset */
#define CRX_FILES_REFUSE 2u   /* fail with ESTALE */

/* What becomes of a connection whose other end is outside of what is checkpointed. */
#define CRX_CONNECTIONS_REFUSE 0u /* the checkpoint fails with CR_ENOSUPPORT and names it */
#define CRX_CONNECTIONS_CLOSE 1u  /* the restarted program finds that its peer has closed it (TCP: a reset) */

/* What becomes of a pipe whose other end is outside of what is checkpointed, and which is none of the launcher's standard streams. */
#define CRX_PIPES_REFUSE 0u  /* the checkpoint fails with CR_ENOSUPPORT and names it */
#define CRX_PIPES_REPLACE 1u /* as BLCR: a restart takes the requester's descriptor of that number, or its standard input or output */

typedef struct {
  uint32_t size;          /* sizeof(crx_checkpoint_options_t) */
  uint32_t snapshot;      /* CRX_SNAPSHOT_* */
  uint64_t memory_budget; /* bytes the snapshot may cost; 0 = work it out from the cgroup and the machine */
  /*
   * Files captured inside the stop, consistent with memory: every regular file, directory and symbolic link below capture_root that is new
   * or changed against the baseline is reflinked or copied to the same relative path below capture_into (an existing empty directory on the
   * same file system); `capture_into/.index` then lists everything found, one entry a line, tab separated: kind (f d l) \t copied (0 1) \t
   * mode (octal) \t size \t mtime ns \t inode \t relative path, percent-encoded (bytes <= 0x20, % and >= 0x7f) The baseline has lines of
   * the same shape (usually the previous .index); one of kind x names what is left out, with everything below it.
   */
  const char* capture_root; /* NULL = nothing is captured */
  const char* capture_into;
  const char* capture_baseline; /* path of a file, or NULL */
  /* Colon-free list of absolute paths of extra regular files to capture (the job's own stdout and stderr), as capture_into/.extra-0,
   * .extra-1, … cut at the length the file has inside the stop. */
  const char* const* capture_extra;
  uint32_t capture_extra_count;
  uint32_t checksum;     /* 1 = frames carry CRC32C (default when options are NULL), 0 = leave page frames unchecked */
  uint32_t tcp;          /* CRX_CONNECTIONS_*, of TCP */
  uint32_t unix_sockets; /* CRX_CONNECTIONS_*, of streams and packets of AF_UNIX; datagram sockets find their peer again by its name */
  uint32_t pipes;        /* CRX_PIPES_* (_REPLACE when options are NULL) */
} crx_checkpoint_options_t;

typedef struct {
  uint32_t size;
  uint32_t files;                        /* CRX_FILES_* */
  const struct cr_rstrt_relocate* binds; /* newpath is bind-mounted over oldpath in the job's mount namespace; NULL = none */
  int32_t lifeline_fd;                   /* the job is killed when this descriptor reports end-of-file; -1 = none */
  int32_t stdio_fd[3];                   /* what replaces the launcher's stdin, stdout, stderr; -1 = the caller's own 0, 1, 2 */
  uint32_t answers;                      /* 1 = lifeline_fd is a stream socket whose holder answers requests for the job's store */
} crx_restart_options_t;

/* Outcome of a completed request. Valid after the handle is readable and before it is reaped. Times in microseconds, sizes in bytes. */
typedef struct {
  uint32_t size;
  int32_t error;     /* 0 or an errno / CR_E* value */
  uint32_t snapshot; /* CRX_SNAPSHOT_FORK or _PLAIN: what was really done */
  uint32_t processes;
  uint32_t threads;
  int32_t restarted_pid; /* restart: the pid, in the job's own namespace, of its root */
  uint64_t stop_us;      /* from the first task stopped to the last resumed, memory and file capture together */
  uint64_t capture_us;   /* part of stop_us that went into capturing files */
  uint64_t total_us;
  uint64_t pages; /* memory pages written */
  uint64_t bytes; /* bytes of context written or read */
  uint64_t captured_files;
  uint64_t captured_bytes;
} crx_result_t;

unsigned int crx_abi_version(void);
/* Path of the keeper executable belonging to this library (beside it; $BLCR_KEEPER overrides). Returns its length, or -1/ENOENT. */
int crx_keeper_path(char* buffer, unsigned int length);
/* As cr_request_*, with options (NULL = defaults). */
int crx_request_checkpoint(cr_checkpoint_args_t* args, const crx_checkpoint_options_t* options, cr_checkpoint_handle_t* handle);
int crx_request_restart(cr_restart_args_t* args, const crx_restart_options_t* options, cr_restart_handle_t* handle);
/*
 * For a program inside a job: asks whoever runs the job to checkpoint it into its store now. The request completes when that checkpoint is
 * in the store (0), or with CR_ERESTARTED in a job that was restarted from it, or from another one taken meanwhile. Refused with ENOTCONN
 * without a keeper; completes with ENOTSUP for a job without a store. The handle is waited for and reaped as any other of a checkpoint.
 */
int crx_request_store(cr_checkpoint_handle_t* handle);
/* Copies the outcome; -1/EAGAIN while pending. `handle` is either kind. */
int crx_result(const unsigned long* handle, crx_result_t* result);
/* Asks the keeper to give up a pending checkpoint; the handle still completes (ECANCELED unless it was already done) and must be reaped. */
int crx_cancel(const unsigned long* handle);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif

/*
 * The C ABI of libcr.so.0: names, values and struct layouts are BLCR 0.8.6's, so that a program built against either header runs with
 * either library. Layouts and constants were measured on genuine BLCR (docs/libcr.md); wording and code are our own.
 *
 * Conventions: functions return -1 and set errno on failure. errno is an ordinary errno value or one of the CR_E* values below.
 * A handle is a pollable file descriptor stored in an unsigned long; it becomes -1 when it is reaped.
 */
#ifndef LIBCR_H
#define LIBCR_H

#include <errno.h>
#include <stdint.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define CR_RELEASE_MAJOR 0
#define CR_RELEASE_MINOR 8
#define CR_RELEASE_PATCH 6
#define CR_RELEASE_VERSION "0.8.6"
#define LIBCR_MAJOR 0
#define LIBCR_MINOR 5
#define LIBCR_PATCH 5
#define LIBCR_VERSION "0.5.5"
/* Of the interface that BLCR's kernel modules have; nothing here speaks it. */
#define CR_MODULE_MAJOR 0
#define CR_MODULE_MINOR 10
#define CR_MODULE_PATCH 3
#define CR_MODULE_VERSION "0.10.3"

/* The signal that BLCR takes. Programs may use it with this library, which prefers it but gets along with any other real-time signal. */
#define CR_SIGNUM 64

/* Errors that BLCR adds to errno's range. */
#define CR_MIN_ERRCODE 2353
#define CR_ETEMPFAIL 2354  /* a callback or the engine asks to try again later */
#define CR_EPERMFAIL 2355  /* a callback says it will never work */
#define CR_ENOSUPPORT 2356 /* the target cannot be checkpointed by this library */
#define CR_EVERSION 2357   /* the context was written by an incompatible version */
#define CR_EOMITTED 2358   /* a process asked to be left out of the checkpoint */
#define CR_EBADARCH 2359   /* the context was written on another architecture or CPU */
#define CR_EPTRACED 2360   /* the target is traced by another process */
#define CR_EPTRACER 2361   /* the target traces another process */
#define CR_ERSTRTABRT 2362 /* the restart was aborted by a callback or hook */
#define CR_ERESTARTED 2363 /* cr_poll_checkpoint: we are the restarted copy of the requester */
#define CR_ENOTCB 2364     /* call is allowed in callbacks only */
#define CR_ENOINIT 2365    /* cr_init() has not been called in this thread */
#define CR_MAX_ERRCODE 2366

/* What a checkpoint request covers. */
typedef unsigned int cr_scope_t;
#define CR_SCOPE_PROC 0u /* one process */
#define CR_SCOPE_PGRP 1u /* a process group */
#define CR_SCOPE_SESS 2u /* a session */
#define CR_SCOPE_TREE 3u /* a process and all its descendants */

/* What a callback says with cr_checkpoint(). */
#define CR_CHECKPOINT_READY 0
#define CR_CHECKPOINT_TEMP_FAILURE 1 /* no checkpoint now; everybody goes on */
#define CR_CHECKPOINT_PERM_FAILURE 2 /* no checkpoint; all processes of the request are killed */
#define CR_CHECKPOINT_OMIT 4         /* a checkpoint without this process */
/* With an error code from 1 to 65535 in place of CR_ETEMPFAIL and CR_EPERMFAIL. */
#define CR_CHECKPOINT_TEMP_FAILURE_CODE(code) (CR_CHECKPOINT_TEMP_FAILURE | ((code) << 16))
#define CR_CHECKPOINT_PERM_FAILURE_CODE(code) (CR_CHECKPOINT_PERM_FAILURE | ((code) << 16))
#define CR_CHECKPOINT_ABORT_MASK (CR_CHECKPOINT_TEMP_FAILURE | CR_CHECKPOINT_PERM_FAILURE | CR_CHECKPOINT_OMIT)

/* cr_checkpoint_args_t.cr_flags */
#define CR_CHKPT_PROHIBIT_SELF 0x0001
#define CR_CHKPT_PTRACED_ALLOW 0x0002
#define CR_CHKPT_PTRACED_SKIP 0x0004
#define CR_CHKPT_PTRACER_SKIP 0x0008
#define CR_CHKPT_ASYNC_ERR 0x0010
#define CR_CHKPT_DUMP_EXEC 0x0200
#define CR_CHKPT_DUMP_PRIVATE 0x0400
#define CR_CHKPT_DUMP_SHARED 0x0800
#define CR_CHKPT_DUMP_ALL (CR_CHKPT_DUMP_EXEC | CR_CHKPT_DUMP_PRIVATE | CR_CHKPT_DUMP_SHARED)

/* cr_restart_args_t.cr_flags */
#define CR_RSTRT_ASYNC_ERR 0x0001
#define CR_RSTRT_RESTORE_PID 0x0002
#define CR_RSTRT_RESTORE_PGID 0x0004
#define CR_RSTRT_RESTORE_SID 0x0008

#define CR_CHECKPOINT_ARGS_VERSION 1
#define CR_RESTART_ARGS_VERSION 1
#define CR_MAX_RSTRT_RELOC 16

typedef int cr_version_t;

typedef struct cr_checkpoint_args {
  cr_version_t cr_version; /* CR_CHECKPOINT_ARGS_VERSION */
  cr_scope_t cr_scope;
  pid_t cr_target;         /* pid, pgid or sid; 0 = the caller */
  int cr_fd;               /* where the context is written */
  int cr_signal;           /* sent to the targets once the context is complete; 0 = none */
  unsigned int cr_timeout; /* seconds, 0 = unbounded */
  unsigned int cr_flags;
} cr_checkpoint_args_t;

struct cr_rstrt_relocate_pair {
  const char* oldpath;
  const char* newpath;
};
struct cr_rstrt_relocate {
  unsigned int count;
  struct cr_rstrt_relocate_pair path[];
};
#define CR_RSTRT_RELOCATE_SIZE(n) (sizeof(struct cr_rstrt_relocate) + (n) * sizeof(struct cr_rstrt_relocate_pair))

typedef struct cr_restart_args {
  cr_version_t cr_version; /* CR_RESTART_ARGS_VERSION */
  int cr_fd;               /* where the context is read from */
  int cr_signal;           /* sent to the restarted processes; 0 = none */
  unsigned int cr_flags;
  struct cr_rstrt_relocate* cr_relocate;
} cr_restart_args_t;

typedef unsigned long cr_checkpoint_handle_t;
typedef unsigned long cr_restart_handle_t;

typedef int cr_client_id_t;
typedef int cr_callback_id_t;
typedef int (*cr_callback_t)(void*);
typedef unsigned int cr_spinlock_t;
#define CR_SPINLOCK_INITIALIZER 0U
#define CR_MAX_CALLBACKS 0x1ffffff
#define CR_THREAD_CONTEXT 0x4000000
#define CR_SIGNAL_CONTEXT 0x2000000
#define CR_ID_CALLBACK ((cr_client_id_t)(-1))
typedef enum { CR_STATE_IDLE = 0, CR_STATE_PENDING = 1, CR_STATE_ACTIVE = 2 } cr_status_t;

struct cr_checkpoint_info {
  int signal;       /* sent when the context is complete, 0 = none */
  const char* dest; /* full path of the context, "" when it has none */
  pid_t requester;  /* 0 = outside of the job's namespace */
  pid_t target;
  cr_scope_t scope;
};
struct cr_restart_info {
  pid_t requester; /* the process that stands for cr_restart among the restarted ones */
  const char* src; /* full path of the context, "" when it has none */
};

typedef enum {
  CR_HOOK_CONT_SIGNAL_CONTEXT = 0, /* in each thread that called cr_init */
  CR_HOOK_CONT_THREAD_CONTEXT,     /* in the thread that runs thread-context callbacks, when there are any */
  CR_HOOK_CONT_NO_CALLBACKS,       /* in each other thread */
  CR_HOOK_RSTRT_SIGNAL_CONTEXT,
  CR_HOOK_RSTRT_THREAD_CONTEXT,
  CR_HOOK_RSTRT_NO_CALLBACKS,
  CR_NUM_HOOKS
} cr_hook_event_t;
typedef void (*cr_hook_fn_t)(cr_hook_event_t);
#define CR_HOOK_FN_ERROR ((cr_hook_fn_t)(~0UL))

enum { CR_HOLD_SCOPE_THREAD, CR_HOLD_SCOPE_INIT, CR_HOLD_SCOPE_UNINIT };
#define CR_HOLD_READ (-1)
#define CR_HOLD_NONE 0
#define CR_HOLD_CONT 1
#define CR_HOLD_RSTRT 2
#define CR_HOLD_BOTH (CR_HOLD_CONT | CR_HOLD_RSTRT)
#define CR_HOLD_DFLT 4

#define CR_DEST_CWD (-4096)

/* cr_poll_*: which step failed */
#define CR_POLL_CHKPT_ERR_PRE (-1)
#define CR_POLL_CHKPT_ERR_POST (-2)
#define CR_POLL_CHKPT_ERR_LOG (-3)
#define CR_POLL_RSTRT_ERR_PRE (-1)
#define CR_POLL_RSTRT_ERR_POST (-2)
#define CR_POLL_RSTRT_ERR_LOG (-3)

/* Argument structures are initialised by the library that is loaded, so that it can grow them. */
int cri_init_checkpoint_args_t(cr_version_t version, cr_checkpoint_args_t* args);
int cri_init_restart_args_t(cr_version_t version, cr_restart_args_t* args);
#define cr_initialize_checkpoint_args_t(args) cri_init_checkpoint_args_t(CR_CHECKPOINT_ARGS_VERSION, (args))
#define cr_initialize_restart_args_t(args) cri_init_restart_args_t(CR_RESTART_ARGS_VERSION, (args))

/* Requests. Each may be pending beside others; a target takes one at a time (EBUSY). */
int cr_request_checkpoint(cr_checkpoint_args_t* args, cr_checkpoint_handle_t* handle);
int cr_wait_checkpoint(cr_checkpoint_handle_t* handle, struct timeval* timeout);
int cr_reap_checkpoint(cr_checkpoint_handle_t* handle);
int cr_log_checkpoint(cr_checkpoint_handle_t* handle, unsigned int length, char* buffer);
int cr_poll_checkpoint(cr_checkpoint_handle_t* handle, struct timeval* timeout);
int cr_poll_checkpoint_msg(cr_checkpoint_handle_t* handle, struct timeval* timeout, char** messages);

int cr_request_restart(cr_restart_args_t* args, cr_restart_handle_t* handle);
int cr_wait_restart(cr_restart_handle_t* handle, struct timeval* timeout);
int cr_reap_restart(cr_restart_handle_t* handle);
int cr_log_restart(cr_restart_handle_t* handle, unsigned int length, char* buffer);
int cr_poll_restart(cr_restart_handle_t* handle, struct timeval* timeout);
int cr_poll_restart_msg(cr_restart_handle_t* handle, struct timeval* timeout, char** messages);

/* cr_log_*: copies the request's log (NUL-terminated, cut at `length`) and returns the length it needs with its terminator, 0 = no log. */

/*
 * For programs that take part in their own checkpoints. A requester needs none of it.
 *
 * cr_init: once in each thread before it calls anything below (not in callbacks): an id for cr_enter_cs, 0, 1, … The first call of a
 * process starts one thread, which waits for requests and runs thread-context callbacks, and takes one real-time signal.
 */
cr_client_id_t cr_init(void);
/*
 * The order of one checkpoint: critical sections are left · thread-context callbacks run, last registered first, until each has called
 * cr_checkpoint() · in each thread its signal-context callbacks run, last registered first · the checkpoint · everything returns in
 * reverse. Signal-context ids belong to the thread, thread-context ids to the process. -1: CR_ENOINIT, EINVAL, EBUSY (in a callback).
 */
cr_callback_id_t cr_register_callback(cr_callback_t function, void* argument, int context);
/* NULL as function disables a callback. The context must be the one of the registration. */
int cr_replace_callback(cr_callback_id_t id, cr_callback_t function, void* argument, int context);
int cr_replace_self(cr_callback_t function, void* argument, int context);
/*
 * In a callback, once: let the checkpoint go on. 0 when the program continues, > 0 in the restarted program, otherwise the negative error
 * of a checkpoint that failed (-CR_ENOTCB outside of callbacks). A callback that returns without it is taken to be ready. A callback that
 * returns non-zero after a checkpoint or a restart fails it: the process is killed.
 */
int cr_checkpoint(int flags);
/* In a callback, before cr_checkpoint(): more processes for this checkpoint. */
int cr_forward_checkpoint(cr_scope_t scope, pid_t target);
/* In a callback, before (after) cr_checkpoint(); NULL elsewhere. */
const struct cr_checkpoint_info* cr_get_checkpoint_info(void);
const struct cr_restart_info* cr_get_restart_info(void);

/* No checkpoint, and no callback, while any thread is in a critical section. Nests. In callbacks the id is CR_ID_CALLBACK, without effect.
 */
int cr_enter_cs(cr_client_id_t id);
int cr_tryenter_cs(cr_client_id_t id); /* 1 when cr_enter_cs would have to wait */
int cr_leave_cs(cr_client_id_t id);    /* the last one lets a checkpoint that waits happen before it returns */
/* CR_STATE_*, or -1/CR_ENOINIT. */
int cr_status(void);

/* What runs in each thread after a checkpoint or restart; returns the previous function, CR_HOOK_FN_ERROR on failure. */
cr_hook_fn_t cr_register_hook(cr_hook_event_t event, cr_hook_fn_t function);
/* Which threads wait until all callbacks have returned (default: all, CR_HOLD_BOTH); returns the previous value. */
int cr_hold_ctrl(int scope, int flags);
/* Keeps the calling thread a client until its thread-specific data is gone; returns the previous count. */
int cr_inc_persist(void);
int cr_dec_persist(void);

/* Locks that signal handlers may take. */
void cr_spinlock_init(cr_spinlock_t* lock);
void cr_spinlock_lock(cr_spinlock_t* lock);
int cr_spinlock_trylock(cr_spinlock_t* lock); /* non-zero when taken */
void cr_spinlock_unlock(cr_spinlock_t* lock);

/* For linkers: -Wl,-u,cr_link_me -lcr. */
extern int cr_link_me;

/* Text of an errno or CR_E* value. */
const char* cr_strerror(int error);

/* Checkpoint of the calling process, waiting for the end: 0 (also in the restarted copy) or -errno. cr_request writes context.<pid>. */
int cr_request(void);
int cr_request_file(const char* filename);
int cr_request_fd(int fd);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif

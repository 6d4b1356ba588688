// libcr is found at run time: one prebuilt addon serves BLCR's library, ours, or none.
#pragma once

#include <crx.h>
#include <libcr.h>

#include <memory>
#include <string>

// Every function of libcr.h is in one of these lists; scripts/check-abi.mjs checks it.
#define NODE_BLCR_BOUND(X)      \
  X(cri_init_checkpoint_args_t) \
  X(cri_init_restart_args_t)    \
  X(cr_request_checkpoint)      \
  X(cr_reap_checkpoint)         \
  X(cr_log_checkpoint)          \
  X(cr_poll_checkpoint)         \
  X(cr_request_restart)         \
  X(cr_reap_restart)            \
  X(cr_log_restart)             \
  X(cr_init)                    \
  X(cr_strerror)
#define NODE_BLCR_EXTENSIONS(X) \
  X(crx_abi_version)            \
  X(crx_keeper_path)            \
  X(crx_request_checkpoint)     \
  X(crx_request_restart)        \
  X(crx_request_store)          \
  X(crx_result)                 \
  X(crx_cancel)
// Not bound:
//   cr_wait_checkpoint: select(2) inside, undefined for descriptors >= 1024; waitReadable does it on the event loop
//   cr_wait_restart: as cr_wait_checkpoint
//   cr_poll_checkpoint_msg: cr_poll_checkpoint plus the log, which readLog reads before the reap
//   cr_poll_restart: a restart is waited for with waitReadable and reaped; only checkpoints are polled by callers of libcr's own semantics
//   cr_poll_restart_msg: as cr_poll_restart
//   cr_status: the state of callbacks and critical sections, which a Node program does not have: see cr_register_callback
//   cr_register_callback: runs C in libcr's own thread or in a signal handler, where no JavaScript can run; for programs linked with -lcr
//   cr_replace_callback: as cr_register_callback
//   cr_replace_self: as cr_register_callback
//   cr_checkpoint: for callbacks only
//   cr_forward_checkpoint: for callbacks only
//   cr_get_checkpoint_info: for callbacks only
//   cr_get_restart_info: for callbacks only
//   cr_register_hook: as cr_register_callback
//   cr_hold_ctrl: which threads wait for callbacks
//   cr_enter_cs: puts checkpoints off for a thread that must not then return to an event loop; for programs linked with -lcr
//   cr_tryenter_cs: as cr_enter_cs
//   cr_leave_cs: as cr_enter_cs
//   cr_inc_persist: thread-specific data of C programs
//   cr_dec_persist: as cr_inc_persist
//   cr_spinlock_init: shared memory between C functions
//   cr_spinlock_lock: as cr_spinlock_init
//   cr_spinlock_trylock: as cr_spinlock_init
//   cr_spinlock_unlock: as cr_spinlock_init
//   cr_request: a program's checkpoint of itself, blocking; Node asks for the checkpoints of others
//   cr_request_file: as cr_request
//   cr_request_fd: as cr_request

namespace node_blcr {

/** The functions of one loaded libcr. Never unloaded: genuine libcr keeps a handler for its signal. */
struct Library {
  std::string path;

#define MEMBER(name) decltype(&::name) name = nullptr;
  NODE_BLCR_BOUND(MEMBER)
  NODE_BLCR_EXTENSIONS(MEMBER)
#undef MEMBER

  /** True for our own library; the crx_* members are null otherwise. */
  bool HasExtensions() const { return crx_abi_version != nullptr; }
  /** strerror for errno and CR_E* values. */
  std::string Describe(int error) const;
  /** Path of the keeper, empty when there is none. */
  std::string KeeperPath() const;
};

/** dlopens `path` and resolves every function. On failure null, and `reason` says why. */
std::shared_ptr<const Library> OpenLibrary(const std::string& path, std::string* reason);

}  // namespace node_blcr

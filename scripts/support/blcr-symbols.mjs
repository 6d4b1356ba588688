/**
 * The 81 symbols that BLCR 0.8.6's libcr.so.0 defines (nm -D, measured), and those of its libraries for LD_PRELOAD: what is provided here,
 * and what is not, with the reason. scripts/check-abi.mjs compares this with the headers, the map of exports and the sources.
 */

const words = (text) => text.trim().split(/\s+/);

/** Declared in libcr.h, by BLCR's own header too. */
export const PUBLIC = words(`
  cr_checkpoint cr_dec_persist cr_enter_cs cr_forward_checkpoint cr_get_checkpoint_info cr_get_restart_info cr_hold_ctrl cr_inc_persist
  cr_init cr_leave_cs cr_log_checkpoint cr_log_restart cr_poll_checkpoint cr_poll_checkpoint_msg cr_poll_restart cr_poll_restart_msg
  cr_reap_checkpoint cr_reap_restart cr_register_callback cr_register_hook cr_replace_callback cr_replace_self cr_request
  cr_request_checkpoint cr_request_fd cr_request_file cr_request_restart cr_spinlock_init cr_spinlock_lock cr_spinlock_trylock
  cr_spinlock_unlock cr_status cr_strerror cr_tryenter_cs cr_wait_checkpoint cr_wait_restart`);

/** Named by programs although BLCR calls them private: behind macros of the header, or for the linker. */
export const SEMI_PRIVATE = ['cri_init_checkpoint_args_t', 'cri_init_restart_args_t', 'cr_link_me'];

/** Exported by BLCR because its own libraries are made of several objects; no header that is installed declares them. */
export const LEFT_OUT = [
  {
    reason: 'wrappers of system calls on BLCR’s device, which does not exist here',
    names:
      words(`__cri_chkpt __cri_close __cri_exit __cri_exit_group __cri_ioctl __cri_ksigaction __cri_nanosleep __cri_open
      __cri_sched_yield __cri_syscall __cri_syscall_token cri_syscall cri_syscall_token`),
  },
  {
    reason: 'connections to BLCR’s kernel module; an agent that listens takes their place',
    names: words('cri_connect cri_connect_token cri_disconnect cri_disconnect_token cri_start_checkpoint cri_signum'),
  },
  {
    reason: 'handlers and state of BLCR’s implementation of callbacks, critical sections and threads',
    names:
      words(`cri_atfork cri_barrier_enter cri_checkpoint_info_init cri_do_enter cri_do_leave cri_do_register cri_do_replace
      cri_do_tryenter cri_info_free cri_info_init cri_omit_sig_handler cri_pthread_init cri_register_thread cri_replace_thread
      cri_run_sig_handler cri_sig_handler cri_cs_lock cri_hold_init cri_hold_uninit cri_hook_tbl cri_info_key cri_live_count`),
  },
  { reason: 'a switch of BLCR’s debugging output', names: ['libcr_trace'] },
];

/** libcr_run.so.0 and libcr_omit.so.0: what programs are linked against; their handlers are left out as those above. */
export const PRELOAD = { run: 'cr_run_link_me', omit: 'cr_omit_link_me' };

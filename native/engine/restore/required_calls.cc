#include "restore/required_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <string>

#include "base/codes.h"
#include "base/deadly_calls.h"

namespace blcr {
namespace {

constexpr HostCall kAlways[] = {
    // The keepers' own.
    {"setpgid", SYS_setpgid},
    {"poll", SYS_poll},
    {"socketpair", SYS_socketpair, {AF_UNIX}},
    {"sendto", SYS_sendto, {kBadFd}},
    {"recvfrom", SYS_recvfrom, {kBadFd}},
    {"unshare", SYS_unshare, {CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC}},
    {"capget", SYS_capget},
    {"mount", SYS_mount},
    {"ptrace", SYS_ptrace, {PTRACE_SEIZE}},
    {"ptrace", SYS_ptrace, {PTRACE_SETREGSET}},
    {"process_vm_readv", SYS_process_vm_readv},
    {"process_vm_writev", SYS_process_vm_writev},
    {"wait4", SYS_wait4},
    {"waitid", SYS_waitid},
    {"sched_yield", SYS_sched_yield},
    {"clone3", SYS_clone3},
    {"lseek", SYS_lseek, {kBadFd}},
    {"ftruncate", SYS_ftruncate, {kBadFd}},
    {"getdents64", SYS_getdents64, {kBadFd}},
    {"getegid", SYS_getegid},
    {"getresuid", SYS_getresuid},
    {"getresgid", SYS_getresgid},
    {"getgroups", SYS_getgroups},
    {"getpriority", SYS_getpriority},
    {"ioprio_get", SYS_ioprio_get, {1}},
    {"futex", SYS_futex},
    {"rt_sigtimedwait", SYS_rt_sigtimedwait},
    {"sched_getaffinity", SYS_sched_getaffinity},
    {"sched_setaffinity", SYS_sched_setaffinity},
    {"signalfd4", SYS_signalfd4, {kBadFd}},
    {"kill", SYS_kill},
    // Made by the new processes.
    {"pause", SYS_pause},
    {"restart_syscall", SYS_restart_syscall},
    {"mmap", SYS_mmap, {0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC}},
    {"munmap", SYS_munmap},
    {"mremap", SYS_mremap},
    {"mprotect", SYS_mprotect},
    {"madvise", SYS_madvise},
    {"fchdir", SYS_fchdir, {kBadFd}},
    {"umask", SYS_umask},
    {"dup3", SYS_dup3, {kBadFd}},
    {"close_range", SYS_close_range, {kBadFd, kBadFd}},
    {"close", SYS_close, {kBadFd}},
    {"rt_sigaction", SYS_rt_sigaction},
    {"set_robust_list", SYS_set_robust_list},
    {"set_tid_address", SYS_set_tid_address},
    {"capset", SYS_capset},
    {"prctl(PR_SET_MM)", SYS_prctl, {PR_SET_MM}},
    {"prctl(PR_SET_NAME)", SYS_prctl, {PR_SET_NAME}},
};

constexpr HostCall kSometimes[] = {
    {"mbind", SYS_mbind},
    {"set_mempolicy", SYS_set_mempolicy},
    {"mlock2", SYS_mlock2},
    {"mlockall", SYS_mlockall},
    {"shmget", SYS_shmget},
    {"shmat", SYS_shmat},
    {"shmdt", SYS_shmdt},
    {"shmctl", SYS_shmctl},
    {"semget", SYS_semget},
    {"semctl", SYS_semctl},
    {"semop", SYS_semop},
    {"msgget", SYS_msgget},
    {"msgsnd", SYS_msgsnd},
    {"msgctl", SYS_msgctl},
    {"setitimer", SYS_setitimer},
    {"timer_create", SYS_timer_create},
    {"timer_settime", SYS_timer_settime},
    {"timer_delete", SYS_timer_delete},
    {"timerfd_create", SYS_timerfd_create},
    {"timerfd_settime", SYS_timerfd_settime, {kBadFd}},
    {"eventfd2", SYS_eventfd2},
    {"epoll_create1", SYS_epoll_create1},
    {"epoll_ctl", SYS_epoll_ctl, {kBadFd}},
    {"inotify_init1", SYS_inotify_init1},
    {"inotify_add_watch", SYS_inotify_add_watch, {kBadFd}},
    {"memfd_create", SYS_memfd_create},
    {"pidfd_open", SYS_pidfd_open},
    {"pidfd_getfd", SYS_pidfd_getfd, {kBadFd}},
    {"fchown", SYS_fchown, {kBadFd}},
    {"pipe2", SYS_pipe2},
    {"splice", SYS_splice, {kBadFd}},
    {"tee", SYS_tee, {kBadFd}},
    {"flock", SYS_flock, {kBadFd}},
    {"fcntl", SYS_fcntl, {kBadFd, F_OFD_SETLK}},
    {"fcntl", SYS_fcntl, {kBadFd, F_SETOWN_EX}},
    {"fcntl", SYS_fcntl, {kBadFd, F_SETSIG}},
    {"setsockopt", SYS_setsockopt, {kBadFd}},
    {"connect", SYS_connect, {kBadFd}},
    {"listen", SYS_listen, {kBadFd}},
    {"io_uring_setup", SYS_io_uring_setup},
    {"io_uring_register", SYS_io_uring_register, {kBadFd}},
    {"io_uring_enter", SYS_io_uring_enter, {kBadFd}},
    {"setsid", SYS_setsid},
    {"setgroups", SYS_setgroups},
    {"setresuid", SYS_setresuid},
    {"setresgid", SYS_setresgid},
    {"setfsuid", SYS_setfsuid},
    {"setfsgid", SYS_setfsgid},
    {"setpriority", SYS_setpriority},
    {"sched_setattr", SYS_sched_setattr},
    {"ioprio_set", SYS_ioprio_set},
    {"prlimit64", SYS_prlimit64},
    {"personality", SYS_personality, {0xffffffff}},
    {"sigaltstack", SYS_sigaltstack},
    {"rseq", SYS_rseq},
    {"arch_prctl", SYS_arch_prctl, {0x1011}},  // ARCH_GET_CPUID, asm/prctl.h
    {"membarrier", SYS_membarrier},
    {"keyctl", SYS_keyctl},
    {"rt_sigqueueinfo", SYS_rt_sigqueueinfo},
    {"rt_tgsigqueueinfo", SYS_rt_tgsigqueueinfo},
    {"pivot_root", SYS_pivot_root},
    {"umount2", SYS_umount2},
    {"open_tree", SYS_open_tree, {kBadFd}},
    {"move_mount", SYS_move_mount, {kBadFd}},
};

}  // namespace

Status refuseDeadlyRestart() { return refuseDeadly(kAlways, "a restart"); }

Error explainDeath(const Error& error) {
  if (error.code != EIO && error.code != ESRCH && error.code != ECHILD) return error;
  const HostCall* const deadly = findDeadly(kSometimes);
  if (deadly == nullptr) return error;
  return {kErrorNoSupport,
          error.detail + "; a seccomp filter of this node kills whoever calls " + deadly->name + ", which restarts of some jobs do"};
}

}  // namespace blcr

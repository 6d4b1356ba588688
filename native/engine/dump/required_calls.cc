#include "dump/required_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/deadly_calls.h"
#include "proc/status.h"

namespace blcr {
namespace {

constexpr uint64_t kThread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS |
                             CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;  // as pthread_create(3) does

constexpr HostCall kCalls[] = {
    // The keeper's own.
    {"restart_syscall", SYS_restart_syscall},  // the kernel's, when a stop has interrupted a task's call
    {"kill", SYS_kill},
    {"sched_yield", SYS_sched_yield},
    {"uname", SYS_uname},
    {"rt_sigpending", SYS_rt_sigpending},
    {"rt_sigtimedwait", SYS_rt_sigtimedwait},
    {"shmat", SYS_shmat, {kBadFd}},
    {"shmdt", SYS_shmdt},
    {"ptrace", SYS_ptrace, {PTRACE_SEIZE}},
    {"ptrace", SYS_ptrace, {PTRACE_GETREGSET}},
    {"wait4", SYS_wait4},
    {"waitid", SYS_waitid},
    {"clone3", SYS_clone3},
    {"clone", SYS_clone, {kThread}},
    {"eventfd2", SYS_eventfd2},
    {"pipe2", SYS_pipe2},
    {"poll", SYS_poll},
    {"futex", SYS_futex},
    {"kcmp", SYS_kcmp, {0, 0, KCMP_FILE}},
    {"kcmp", SYS_kcmp, {0, 0, KCMP_VM}},
    {"pidfd_open", SYS_pidfd_open},
    {"pidfd_getfd", SYS_pidfd_getfd, {kBadFd}},
    {"process_vm_readv", SYS_process_vm_readv},
    {"process_vm_writev", SYS_process_vm_writev},
    {"get_robust_list", SYS_get_robust_list},
    {"sched_getattr", SYS_sched_getattr},
    {"sched_getaffinity", SYS_sched_getaffinity},
    {"sched_setaffinity", SYS_sched_setaffinity},
    {"getpriority", SYS_getpriority, {PRIO_PROCESS}},
    {"ioprio_get", SYS_ioprio_get, {1}},
    {"fcntl", SYS_fcntl, {kBadFd, F_GETOWN_EX}},
    {"fcntl", SYS_fcntl, {kBadFd, F_GETSIG}},
    {"fcntl", SYS_fcntl, {kBadFd, F_DUPFD_CLOEXEC}},
    {"getdents64", SYS_getdents64, {kBadFd}},
    {"readlink", SYS_readlink},
    {"faccessat", SYS_faccessat},
    {"fstatfs", SYS_fstatfs, {kBadFd}},
    {"statfs", SYS_statfs},
    {"ioctl", SYS_ioctl, {kBadFd, TCGETS}},
    {"ioctl", SYS_ioctl, {kBadFd, 0xc0606610}},  // PAGEMAP_SCAN, linux/fs.h
    {"getsockopt", SYS_getsockopt, {kBadFd}},
    {"semctl", SYS_semctl, {kBadFd}},
    {"shmctl", SYS_shmctl, {kBadFd, IPC_STAT}},
    {"shmctl", SYS_shmctl, {kBadFd, SHM_INFO}},
    {"msgctl", SYS_msgctl, {kBadFd, IPC_STAT}},
    {"socket", SYS_socket, {AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 4}},
    {"sendmsg", SYS_sendmsg, {kBadFd}},
    {"recvmsg", SYS_recvmsg, {kBadFd}},
    {"tgkill", SYS_tgkill},
    {"tee", SYS_tee, {kBadFd}},
    {"splice", SYS_splice, {kBadFd}},
    {"mincore", SYS_mincore},
    {"landlock_create_ruleset", 444},
    // Made in the name of the job's tasks.
    {"getpid", SYS_getpid},
    {"gettid", SYS_gettid},
    {"mmap", SYS_mmap, {0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC}},
    {"mmap", SYS_mmap, {0, 4096, PROT_READ | PROT_WRITE}},
    {"munmap", SYS_munmap},
    {"madvise", SYS_madvise},
    {"clone", SYS_clone, {0}},
    {"close_range", SYS_close_range, {kBadFd, kBadFd}},
    {"close", SYS_close, {kBadFd}},
    {"vmsplice", SYS_vmsplice, {kBadFd}},
    {"write", SYS_write, {kBadFd}},
    {"writev", SYS_writev, {kBadFd}},
    {"rt_sigaction", SYS_rt_sigaction},
    {"sigaltstack", SYS_sigaltstack},
    {"getitimer", SYS_getitimer},
    {"timer_gettime", SYS_timer_gettime},
    {"timer_getoverrun", SYS_timer_getoverrun},
    {"brk", SYS_brk},
    {"prlimit64", SYS_prlimit64},
    {"personality", SYS_personality, {0xffffffff}},
    {"membarrier", SYS_membarrier, {1 << 9}},
    {"modify_ldt", SYS_modify_ldt},
    {"get_mempolicy", SYS_get_mempolicy},
    {"keyctl", SYS_keyctl, {KEYCTL_GET_KEYRING_ID}},
    {"semop", SYS_semop, {kBadFd}},
    {"io_uring_enter", SYS_io_uring_enter, {kBadFd}},
    {"arch_prctl", SYS_arch_prctl, {0x1011}},  // ARCH_GET_CPUID, asm/prctl.h
    {"arch_prctl", SYS_arch_prctl, {0x1022}},  // ARCH_GET_XCOMP_PERM
    {"arch_prctl", SYS_arch_prctl, {0x4001}},  // ARCH_GET_UNTAG_MASK
    {"prctl(PR_GET_TID_ADDRESS)", SYS_prctl, {PR_GET_TID_ADDRESS}},
    {"prctl(PR_GET_PDEATHSIG)", SYS_prctl, {PR_GET_PDEATHSIG}},
    {"prctl(PR_GET_TIMERSLACK)", SYS_prctl, {PR_GET_TIMERSLACK}},
    {"prctl(PR_GET_NAME)", SYS_prctl, {PR_GET_NAME}},
    {"prctl(PR_GET_TSC)", SYS_prctl, {PR_GET_TSC}},
    {"prctl(PR_GET_SPECULATION_CTRL)", SYS_prctl, {PR_GET_SPECULATION_CTRL}},
    {"prctl(PR_GET_NO_NEW_PRIVS)", SYS_prctl, {PR_GET_NO_NEW_PRIVS}},
    {"prctl(PR_MCE_KILL_GET)", SYS_prctl, {PR_MCE_KILL_GET}},
    {"prctl(PR_GET_CHILD_SUBREAPER)", SYS_prctl, {PR_GET_CHILD_SUBREAPER}},
    {"prctl(PR_GET_DUMPABLE)", SYS_prctl, {PR_GET_DUMPABLE}},
    {"prctl(PR_GET_SECUREBITS)", SYS_prctl, {PR_GET_SECUREBITS}},
    {"prctl(PR_GET_THP_DISABLE)", SYS_prctl, {PR_GET_THP_DISABLE}},
    {"prctl(PR_GET_MDWE)", SYS_prctl, {66}},
    {"prctl(PR_GET_MEMORY_MERGE)", SYS_prctl, {68}},
};

/** What a task that was stopped cannot do without: its call would fail, or it would never go on. */
constexpr NeededCall kNeeded[] = {{"wait4", SYS_wait4, ECHILD}, {"restart_syscall", SYS_restart_syscall, EINTR}};

Status ask() {
  BLCR_TRY(refuseDeadly(kCalls, "a checkpoint"));
  return refuseForbidden(kNeeded, ", without which a stop could harm the job: nothing was tried");
}

}  // namespace

Status refuseDeadlyFilters() {
  static int32_t asked = -2;  // so many filters there were when it was found out
  static Status verdict;
  const auto own = readStatus(::getpid());
  if (!own || own.value().seccomp == 0) return own ? Status() : own.error();
  if (asked != own.value().seccompFilters || asked < 0) verdict = ask();
  asked = own.value().seccompFilters;
  return verdict;
}

}  // namespace blcr

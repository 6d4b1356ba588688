// Hosts that allow less than this one: sandboxes and containers, for the calling process and what it starts.
#pragma once

#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <span>
#include <string>
#include <vector>

namespace host {

inline void require(bool done, const char* what) {
  if (done) return;
  std::perror(what);
  std::fflush(nullptr);
  _exit(77);
}

inline void write(const char* path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.flush();
  require(bool(file), path);
}

/** Puts a filter around this process and all that it will start. Source: seccomp(2). */
inline void install(std::span<sock_filter> code) {
  const sock_fprog filter{static_cast<unsigned short>(code.size()), code.data()};
  require(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
  require(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0, "seccomp");
}

/** A filter that answers `error` when unshare(2) is asked for any of `flags`. */
inline void filterUnshare(uint32_t flags, uint32_t error) {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_unshare, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[0])),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, flags, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  install(code);
}

/** A filter that answers one call with `action`: SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_ERRNO | EPERM. */
inline void answer(long call, uint32_t action) {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, uint32_t(call), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, action),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  install(code);
}

/** Those of root in a container. Source: moby, oci/caps/defaults.go. */
inline void keepDockerCapabilities() {
  constexpr int kKept[] = {CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_FSETID,  CAP_FOWNER,           CAP_MKNOD,      CAP_NET_RAW, CAP_SETGID,
                           CAP_SETUID, CAP_SETFCAP,      CAP_SETPCAP, CAP_NET_BIND_SERVICE, CAP_SYS_CHROOT, CAP_KILL,    CAP_AUDIT_WRITE};
  uint32_t kept = 0;
  for (const int capability : kKept) kept |= 1u << capability;
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; ++capability)
    if (capability > 31 || (kept >> capability & 1) == 0) require(prctl(PR_CAPBSET_DROP, capability) == 0, "bounding set");
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct some[2]{{kept, kept, 0}, {}};
  require(syscall(SYS_capset, &header, some) == 0, "capset");
}

/** What a filter answers to a call, whatever its arguments. */
struct Forbidden {
  long call;
  uint32_t error;
};

/**
 * The calls of checkpoints, restarts and their jobs that Docker's default filter keeps from containers without added capabilities on
 * kernels from 4.8 on; podman's differs in details. Source: moby, profiles/seccomp/default.json.
 */
inline constexpr Forbidden kDockerForbids[] = {
    {SYS_kcmp, EPERM},
    {SYS_pidfd_getfd, EPERM},
    {SYS_process_madvise, EPERM},
    {SYS_unshare, EPERM},
    {SYS_setns, EPERM},
    {SYS_mount, EPERM},
    {SYS_umount2, EPERM},
    {SYS_pivot_root, EPERM},
    {SYS_open_tree, EPERM},
    {SYS_move_mount, EPERM},
    {SYS_fsopen, EPERM},
    {SYS_get_mempolicy, EPERM},
    {SYS_set_mempolicy, EPERM},
    {SYS_mbind, EPERM},
    {SYS_keyctl, EPERM},
    {SYS_add_key, EPERM},
    {SYS_request_key, EPERM},
    {SYS_userfaultfd, EPERM},
    {SYS_perf_event_open, EPERM},
    {SYS_bpf, EPERM},
    {SYS_io_uring_setup, EPERM},
    {SYS_open_by_handle_at, EPERM},
    {SYS_clone3, ENOSYS},
};

/** A container without added capabilities as Docker makes it, as far as its filter goes. Root keeps the capabilities that it has there. */
inline void enterDocker() {
  std::vector<sock_filter> code{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  for (const auto& [call, error] : kDockerForbids) {
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, uint32_t(call), 0, 1));
    code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error));
  }
  constexpr uint32_t kNamespaces = 0x7e020000;  // CLONE_NEW… but for CLONE_NEWTIME, which clone cannot make
  code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3));
  code.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[0])));
  code.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, kNamespaces, 0, 1));
  code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
  code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  if (geteuid() == 0) keepDockerCapabilities();
  install(code);
}

/** A user namespace with this user in it, who has all rights there until dropRights(). */
inline void enterUserNamespace(int others) {
  const std::string uid = std::to_string(geteuid()), gid = std::to_string(getegid());
  require(unshare(CLONE_NEWUSER | others) == 0, "user namespace");
  write("/proc/self/setgroups", "deny");
  write("/proc/self/uid_map", uid + " " + uid + " 1");
  write("/proc/self/gid_map", gid + " " + gid + " 1");
}

inline void dropRights() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[2]{};
  require(syscall(SYS_capset, &header, none) == 0, "capset");
}

/** Nobody may make a user namespace. */
inline void forbidUserNamespaces() {
  enterUserNamespace(0);
  write("/proc/sys/user/max_user_namespaces", "0");
  dropRights();
}

/**
 * Process 1 of something like a container: namespaces for users, processes and mounts, and a /proc of its own, of which a part is covered
 * when `masked`. Returns in that process; the caller ends as it does.
 */
inline void enterContainer(bool masked) {
  enterUserNamespace(CLONE_NEWPID | CLONE_NEWNS);
  const pid_t init = fork();
  if (init > 0) {
    int status = 0;
    waitpid(init, &status, 0);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  }
  require(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "private mounts");
  require(mount("proc", "/proc", "proc", 0, nullptr) == 0, "/proc");
  if (masked) require(mount("/proc/sys", "/proc/sys", nullptr, MS_BIND, nullptr) == 0, "/proc/sys");
  dropRights();
}

}  // namespace host

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
#include <string>

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

/** A filter that answers `error` when unshare(2) is asked for any of `flags`. Source: seccomp(2). */
inline void filterUnshare(uint32_t flags, uint32_t error) {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_unshare, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[0])),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, flags, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{sizeof code / sizeof code[0], code};
  require(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
  require(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0, "seccomp");
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

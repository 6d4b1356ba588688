// Processes that share one descriptor table.
#include <sched.h>
#include <sys/syscall.h>

#include "holds.h"

namespace holds {
namespace {

template <typename Body>
pid_t spawnSharing(const Body& body) {
  const pid_t pid = pid_t(syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0));
  if (pid == 0) {
    body();
    _exit(0);
  }
  return pid;
}

struct Pipes {
  int go[2], up[2];
  Pipes() { REQUIRE(pipe(go) == 0 && pipe(up) == 0); }
};

/** What one opens or closes, all have or lack; a child that was forked has its own. */
void sharedTables() {
  const Pipes pipes;
  const int null = open("/dev/null", O_WRONLY | O_CLOEXEC), self = open("/proc/self/comm", O_RDONLY);
  const pid_t child = spawnSharing([&] {
    const pid_t grandchild = spawnSharing([&] {
      const pid_t apart = spawn([&] {
        close(null);
        put(pipes.up[1], "x");
        take(pipes.go[0], 1);
        REQUIRE(fcntl(null, F_GETFD) == -1 && open("/dev/null", O_RDONLY) == null);
      });
      REQUIRE(fcntl(null, F_GETFD) == FD_CLOEXEC);
      REQUIRE(endsWell(apart) && open("/dev/zero", O_RDONLY) > self && close(null) == 0);
    });
    REQUIRE(endsWell(grandchild) && fcntl(null, F_GETFD) == -1 && dup2(self, 100) == 100);
  });
  REQUIRE(take(pipes.up[0], 1) == "x");
  hold();
  REQUIRE(syscall(SYS_kcmp, getpid(), child, 2 /* KCMP_FILES */, 0, 0) == 0 && fcntl(null, F_GETFD) == FD_CLOEXEC);
  REQUIRE(put(pipes.go[1], "x") == 0 && endsWell(child));
  REQUIRE(fcntl(null, F_GETFD) == -1 && fcntl(100, F_GETFD) == 0 && take(100) == "victim_holds\n");
}

/** Their parent, who made the table, has got one of its own. */
void sharedBySiblings() {
  const Pipes pipes;
  std::vector<pid_t> children;
  for (int i = 0; i < 2; ++i) children.push_back(spawnSharing([&] { take(pipes.go[0], 1); }));
  REQUIRE(unshare(CLONE_FILES) == 0);
  hold();
  REQUIRE(put(pipes.go[1], "xx") == 0);
  for (const pid_t each : children) REQUIRE(endsWell(each));
}

const Case kTables(Supported{"sharedTable", "tasks", "processes that share a descriptor table with their parent (`CLONE_FILES`)",
                             "restored"},
                   sharedTables);
const Case kSiblings(Supported{"tableOfSiblings", "tasks", "processes that share a descriptor table, but not with their parent",
                               "refused: share one descriptor table"},
                     sharedBySiblings);

}  // namespace
}  // namespace holds

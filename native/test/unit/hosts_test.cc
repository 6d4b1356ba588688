// Jobs on hosts that allow less: they go on, or the restart is refused by name before anything of them runs; checkpoints are always
// possible.
#include <linux/sched.h>

#include <optional>

#include "host.h"
#include "supported.h"
#include "survive.h"
#include "temporary_directory.h"

using namespace blcr;

namespace {

struct Host {
  Supported row;
  void (*enter)();
};

/** Rows say what becomes of a restart there. */
const Host kHosts[] = {
    {Supported{"inheritedFilter", "hosts", "a seccomp filter that the node has put on everything", "restored"},
     [] { host::filterUnshare(1u << 31, EPERM); }},
    {Supported{"container", "hosts", "inside a container: own users, processes, mounts and /proc", "restored"},
     [] { host::enterContainer(false); }},
    {Supported{"maskedProc", "hosts", "a restart inside a container whose /proc is partly covered",
               "refused: parts of this container's /proc are masked"},
     [] { host::enterContainer(true); }},
    {Supported{"namespacesDenied", "hosts", "a restart where a filter denies user namespaces (EPERM)",
               "refused: does not let users make namespaces"},
     [] { host::filterUnshare(CLONE_NEWUSER, EPERM); }},
    {Supported{"docker", "hosts", "a restart behind Docker's default filter, where checkpoints do without kcmp and pidfd_getfd",
               "refused: does not let users make namespaces"},
     host::enterDocker},
    {Supported{"namespacesUnknown", "hosts", "a restart where a filter denies user namespaces (ENOSYS)", "refused: lacks one of them"},
     [] { host::filterUnshare(CLONE_NEWUSER, ENOSYS); }},
    {Supported{"namespacesLimited", "hosts", "a restart where user.max_user_namespaces is 0", "refused: user.max_user_namespaces is 0"},
     [] { host::forbidUserNamespaces(); }},
};

constexpr int kRefused = 99;  // roundtrip.h

/** Inside: two checkpoints and restarts of a family of processes. */
[[noreturn]] void liveThere(const Host& where, const std::string& directory) {
  roundtrip::become(geteuid() == 0 ? kOrdinary : geteuid());
  const int errors = open((directory + "/errors").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  dup2(errors, 2);
  where.enter();
  roundtrip::Job job;
  job.command = {victims() + "holds", "families"};
  job.uid = geteuid();
  job.directory = directory;
  job.generations = 2;
  job.intervalMs = 20;
  job.tellsReady = true;
  const roundtrip::Outcome outcome = roundtrip::run(job);
  _exit(WIFEXITED(outcome.status) ? WEXITSTATUS(outcome.status) : 1);
}

void check(const Host& where) {
  const TemporaryDirectory scratch("hosts");
  if (geteuid() == 0) CHECK(chown(scratch.path().c_str(), kOrdinary, kOrdinary) == 0);
  std::fflush(nullptr);
  const pid_t outside = fork();
  if (outside == 0) liveThere(where, scratch.path());
  int status = 0;
  waitpid(outside, &status, 0);
  const std::string errors = roundtrip::readAll(scratch.path() + "/errors"), output = roundtrip::readAll(scratch.path() + "/out");
  const std::string outcome = where.row.outcome, refused = "refused: ";
  const bool isRefused = outcome.starts_with(refused);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == (isRefused ? kRefused : 0));
  CHECK(output == (isRefused ? "" : "kept\n"));
  // The checkpoint was possible, and it is the first restart that was refused.
  if (isRefused)
    CHECK(errors.find("namespaces 1: ") != std::string::npos && errors.find(outcome.substr(refused.size())) != std::string::npos);
  if (check::failures() != 0) std::printf("  %s: status %x, output %s\n%s\n", where.row.test, status, output.c_str(), errors.c_str());
}

void checkNamed(const char* name) {
  for (const Host& where : kHosts)
    if (std::string(name) == where.row.test) check(where);
}

}  // namespace

TEST(inheritedFilter) { checkNamed("inheritedFilter"); }
TEST(container) { checkNamed("container"); }
TEST(maskedProc) { checkNamed("maskedProc"); }
TEST(namespacesDenied) { checkNamed("namespacesDenied"); }
TEST(docker) { checkNamed("docker"); }
TEST(namespacesUnknown) { checkNamed("namespacesUnknown"); }
TEST(namespacesLimited) { checkNamed("namespacesLimited"); }

CHECK_MAIN

// Mode attach: one checkpoint of a process that no keeper looks after.
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "inherited.h"
#include "requests.h"
#include "signals.h"

namespace blcr {

namespace {
constexpr int kRequesterFd = 3;
constexpr int kUsage = 64;
}  // namespace

int attachOnce() {
  fillStandardDescriptors();
  if (!claimDescriptor(kRequesterFd)) return kUsage;
  closeInherited();
  useDefaultSignals();
  blockSignals();
  ::setsid();  // nobody's: an interrupt typed at the requester's terminal reaches us as the end of its connection
  auto signals = signalDescriptor();
  if (!signals) return 70;
  Loop loop;
  Requests requests(loop, JobFacts(), [](pid_t, int) {});
  const int fd = signals->get();
  loop.watch(fd, POLLIN, [&](short) {
    while (const auto info = nextSignal(fd)) {
      if (info->ssi_signo != SIGCHLD) requests.abandon(ECANCELED, "the one-shot keeper was told to end");
    }
    int status = 0;
    for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG | __WALL)) > 0;) static_cast<void>(requests.onChild(pid, status));
  });
  requests.onGone([&loop] { loop.quit(); });
  requests.add(UniqueFd(kRequesterFd));
  loop.run();
  return 0;
}

}  // namespace blcr

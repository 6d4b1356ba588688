// Mode run: a new job.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "arch/x86_64/baseline.h"
#include "arch/x86_64/cpu.h"
#include "base/io.h"
#include "inherited.h"
#include "job.h"
#include "launch.h"
#include "modes.h"
#include "protocol/exit_status.h"
#include "protocol/find_keeper.h"

namespace blcr {

namespace {

constexpr int kUsage = 64;
constexpr int kInternal = 70;
constexpr int kCannotExecute = 126;
constexpr int kNotFound = 127;

void report(UniqueFd& fd, const std::string& line) {
  // Nobody listening is no reason not to run the job.
  if (fd) static_cast<void>(writeFull(fd.get(), std::as_bytes(std::span(line))));
  fd.reset();
}

int refuse(UniqueFd& fd, const Error& error, int status) {
  std::fprintf(stderr, "blcr-keeper: %s\n", error.detail.c_str());
  report(fd, "failed " + std::to_string(error.code) + " " + error.detail + "\n");
  return status;
}

/** A keeper up the parent chain looks after whatever this process starts. Two keepers in one tree could checkpoint neither job. */
bool isKept() {
  pid_t nearest = 0;
  const auto connection = connectKeeper(::getpid(), nearest);
  return connection && connection.value();
}

/** The program instead of this process, as a part of the job that this process belongs to. */
int joinJob(char* const* arguments, UniqueFd& reportFd) {
  report(reportFd, "started " + std::to_string(::getpid()) + "\n");
  ::execvp(arguments[0], arguments);
  const Error error = systemError(arguments[0]);
  return refuse(reportFd, error, error.code == ENOENT ? kNotFound : kCannotExecute);
}

/** The job has a process group of its own: it takes the terminal while it runs, and stops and continues with the keeper. */
JobControl controlFor(const Terminal& terminal, pid_t group) {
  if (!terminal) return {};
  return {[&terminal, group] {
            if (terminal.isHeldBy(group)) terminal.takeBack();
            ::kill(::getpid(), SIGSTOP);  // so that the shell sees it; it continues us
          },
          [&terminal, group] {
            if (terminal.isForeground()) terminal.giveTo(group);
            ::kill(-group, SIGCONT);
          }};
}

/** Many children and requesters need many descriptors; the job has its own limit by now. */
void raiseDescriptorLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

/** EINVAL for a name that nobody knows, ENOTSUP when this processor itself does not fulfil it. */
Status checkBaseline(const std::string& name) {
  if (name.empty()) return {};
  const auto features = baselineFeatures(name);
  if (!features) return Error{EINVAL, "there is no CPU baseline " + name};
  const auto missing = missingFeatures(*features, cpuFeatures());
  if (missing.empty()) return {};
  return Error{ENOTSUP, "this processor does not fulfil " + name + ": it lacks " + missing.front()};
}

}  // namespace

int runJob(const RunOptions& options) {
  if ((options.lifeline >= 0 && !claimDescriptor(options.lifeline)) || (options.report >= 0 && !claimDescriptor(options.report))) {
    std::fprintf(stderr, "blcr-keeper: the descriptor of --lifeline or --report is not open\n");
    return kUsage;
  }
  const UniqueFd lifeline(options.lifeline);
  UniqueFd reportFd(options.report);
  if (const Status possible = checkBaseline(options.cpuBaseline); !possible) return refuse(reportFd, possible.error(), kUsage);
  if (!lifeline && isKept()) return joinJob(options.arguments, reportFd);
  const SignalSettings settings = SignalSettings::takeOver();
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  auto listener = Listener::open();
  if (!listener) return refuse(reportFd, listener.error(), kInternal);
  const Terminal terminal;
  const auto root = launch(options.arguments, settings, terminal);
  if (!root) return refuse(reportFd, root.error(), root.error().code == ENOENT ? kNotFound : kCannotExecute);
  closeInherited();
  raiseDescriptorLimit();
  Job job({::getpid(), false, root.value(), options.cpuBaseline}, controlFor(terminal, root.value()));
  job.serve(*listener);
  if (lifeline) job.tieTo(lifeline.get(), options.answers);
  report(reportFd, "started " + std::to_string(root.value()) + "\n");
  const auto status = job.run();
  if (!status) return refuse(reportFd, status.error(), kInternal);
  endLike(status.value());
}

}  // namespace blcr

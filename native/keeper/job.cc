#include "job.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "descendants.h"

namespace blcr {

namespace {

constexpr int kKillLimitMs = 10000;

}  // namespace

Job::Job(JobFacts facts, JobControl control)
    : root_(facts.root),
      control_(std::move(control)),
      requests_(loop_, std::move(facts), [this](pid_t pid, int status) { onChild(pid, status); }) {}

void Job::serve(Listener& listener) {
  loop_.watch(listener.fd(), POLLIN, [this, &listener](short) {
    if (UniqueFd connection = listener.accept()) requests_.add(std::move(connection));
  });
}

void Job::tieTo(int fd, bool answers) {
  if (answers) requests_.store().serveOn(fd);
  loop_.watch(fd, POLLIN, [this, fd, answers](short events) {
    char bytes[1024];
    const ssize_t got = (events & POLLIN) != 0 ? ::read(fd, bytes, sizeof bytes) : 0;
    if (got > 0 && answers) requests_.store().onAnswers({bytes, size_t(got)});
    if (got > 0 || (got < 0 && (errno == EINTR || errno == EAGAIN))) return;
    kill();
  });
}

void Job::kill() {
  if (!status_) status_ = SIGKILL;  // as a wait status: killed by it
  loop_.quit();
}

void Job::onSignals(int descriptor) {
  while (const auto info = nextSignal(descriptor)) onSignal(*info);
  reap();
}

void Job::onSignal(const signalfd_siginfo& info) {
  const int number = static_cast<int>(info.ssi_signo);
  if (number == SIGCHLD) return;
  if (number == SIGCONT && control_.continued) return control_.continued();
  deliverSignal(root_, number, info.ssi_code, info.ssi_ptr);
}

void Job::reap() {
  // A dump may stop, resume and reap tasks of its own by any of these: it is asked first.
  const int options = WNOHANG | __WALL | (control_.stopped ? WUNTRACED : 0);
  int status = 0;
  for (pid_t pid = 0; !status_ && (pid = ::waitpid(-1, &status, options)) > 0;) {
    if (!requests_.onChild(pid, status)) onChild(pid, status);
  }
}

void Job::onChild(pid_t pid, int status) {
  if (pid != root_) return;  // an orphan, reaped
  if (WIFSTOPPED(status)) {
    if (control_.stopped) control_.stopped();
    return;
  }
  status_ = status;
  loop_.quit();
}

Result<int> Job::run() {
  auto descriptor = signalDescriptor();
  if (!descriptor) return descriptor.error();
  const int fd = descriptor->get();
  loop_.watch(fd, POLLIN, [this, fd](short) { onSignals(fd); });
  reap();  // children that ended before the descriptor existed
  if (!status_) loop_.run();
  if (::kill(root_, 0) == 0 && WIFSIGNALED(*status_)) ::kill(root_, SIGKILL);
  requests_.abandon(ESRCH, "the job has ended");
  killDescendants(kKillLimitMs);
  return *status_;
}

}  // namespace blcr

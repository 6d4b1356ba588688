// Mode restart: the outer keeper of a restarted job, the process that the requester waits for and signals.
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>

#include "base/clock.h"
#include "inherited.h"
#include "inner.h"
#include "listener.h"
#include "log_once.h"
#include "loop.h"
#include "modes.h"
#include "protocol/exit_status.h"
#include "restart_request.h"
#include "restore/required_calls.h"
#include "signals.h"
#include "terminal.h"

namespace blcr {

namespace {

constexpr int kRequesterFd = 3;
constexpr int kUsage = 64;
constexpr int kFailed = 1;
constexpr int kLifelineLost = 128 + SIGKILL;

void answer(UniqueFd& requester, crx_result_t result, std::string_view log) {
  wire::Reply reply;
  reply.result = result;
  reply.result.size = sizeof reply.result;
  static_cast<void>(sendMessage(requester.get(), std::string(bytesOf(reply)).append(log)));
  requester.reset();
}

int refuse(UniqueFd& requester, const Error& reason, Log& log) {
  const Error error = explainDeath(reason);
  crx_result_t result{};
  result.error = error.code;
  logOnce(log, error);
  answer(requester, result, log.text());
  return kFailed;
}

/** The outer half while the inner one lives. Forwards signals and requesters inwards, results and the job's end outwards. */
class Outer {
 public:
  Outer(pid_t inner, UniqueFd channel, UniqueFd requester, Listener& listener, int lifeline, const Terminal& terminal, bool foreground,
        int64_t startNs)
      : inner_(inner),
        channel_(std::move(channel)),
        requester_(std::move(requester)),
        listener_(listener),
        lifeline_(lifeline),
        terminal_(terminal),
        startNs_(startNs),
        ownsTerminal_(foreground) {}

  [[noreturn]] void run() {
    loop_.watch(channel_.get(), POLLIN, [this](short) { onInner(); });
    loop_.watch(listener_.fd(), POLLIN, [this](short) { onRequester(); });
    // Its end only: what is said through it is for the inner half.
    if (lifeline_ >= 0) loop_.watch(lifeline_, POLLRDHUP, [this](short) { onLifelineLost(); });
    loop_.run();
    const int status = deathOfInner(reapInner());
    if (failure_) {
      explain(status);
      answer(requester_, failure_->result, failureLog_);
      ::_exit(kFailed);
    }
    if (ownsTerminal_) terminal_.takeBack();
    endLike(status_.value_or(status));
  }

 private:
  /** Which call somebody has died of, if it was one. */
  void explain(int status) {
    if (failure_->result.error == EIO && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)) return;
    while (failureLog_.ends_with('\n')) failureLog_.pop_back();
    const Error explained = explainDeath({failure_->result.error, failureLog_});
    failure_->result.error = explained.code;
    failureLog_ = explained.detail + "\n";
  }

  void onInner() {
    auto message = receiveMessage(channel_.get(), MSG_DONTWAIT);
    if (!message && message.error().code == EAGAIN) return;
    if (!message || message->bytes.empty()) return onInnerGone();
    if (const auto* restored = message->as<wire::Restored>()) return onRestored(*restored, message->after(sizeof *restored));
    if (message->as<wire::Stopped>() != nullptr) return onStopped();
    if (const auto* ended = message->as<wire::Ended>()) status_ = ended->status;
  }

  /** Stops as the job did, so that the requester, and its shell, see it. They continue us. */
  void onStopped() {
    if (ownsTerminal_) terminal_.takeBack();
    ownsTerminal_ = false;
    ::kill(::getpid(), SIGSTOP);
  }

  void onInnerGone() {
    if (requester_ && !failure_) {
      failure_.emplace();
      failure_->result.error = EIO;
      failureLog_ = "the keeper of the restarted job has died\n";
    }
    loop_.quit();
  }

  void onRestored(const wire::Restored& restored, std::string_view log) {
    if (restored.result.error != 0) {  // answered once the namespace is gone
      failure_ = restored;
      failureLog_ = log;
      return;
    }
    blockSignals();
    signals_ = signalDescriptor();
    if (signals_ && signals_->ok()) {
      const int fd = (*signals_).value().get();
      loop_.watch(fd, POLLIN, [this, fd](short) { forwardSignals(fd); });
    }
    crx_result_t result = restored.result;
    result.total_us = microsecondsSince(startNs_);
    answer(requester_, result, log);
  }

  void forwardSignals(int fd) {
    while (const auto info = nextSignal(fd)) {
      if (info->ssi_signo == SIGCHLD) continue;  // the channel's end tells
      wire::Signal signal;
      signal.number = static_cast<int32_t>(info->ssi_signo);
      signal.code = info->ssi_code;
      signal.value = info->ssi_ptr;
      signal.foreground = info->ssi_signo == SIGCONT && terminal_.isForeground() ? 1 : 0;
      if (signal.foreground != 0) ownsTerminal_ = true;
      static_cast<void>(sendMessage(channel_.get(), bytesOf(signal)));
    }
  }

  void onRequester() {
    const UniqueFd connection = listener_.accept();
    const int fd = connection.get();
    if (connection) static_cast<void>(sendMessage(channel_.get(), bytesOf(wire::Connection()), std::span(&fd, 1)));
  }

  void onLifelineLost() {
    ::kill(inner_, SIGKILL);
    reapInner();
    ::_exit(kLifelineLost);
  }

  /** Pid 1 of the namespace, which cannot be killed from inside, tells of a keeper that was as a shell does. */
  static int deathOfInner(int status) {
    constexpr int kKilled = 128;
    return WIFEXITED(status) && WEXITSTATUS(status) > kKilled ? WEXITSTATUS(status) - kKilled : status;
  }

  int reapInner() const {
    int status = 0;
    while (::waitpid(inner_, &status, 0) < 0 && errno == EINTR) continue;
    return status;
  }

  pid_t inner_;
  UniqueFd channel_;
  UniqueFd requester_;
  Listener& listener_;
  int lifeline_;
  const Terminal& terminal_;
  int64_t startNs_;
  Loop loop_;
  std::optional<Result<UniqueFd>> signals_;
  std::optional<wire::Restored> failure_;
  std::string failureLog_;
  std::optional<int> status_;
  bool ownsTerminal_;  // the job is in the foreground
};

}  // namespace

int restartJob() {
  const int64_t start = nowNs();
  fillStandardDescriptors();
  const Terminal terminal;
  const bool foreground = terminal.isForeground();
  if (!claimDescriptor(kRequesterFd)) return kUsage;
  UniqueFd requester(kRequesterFd);
  Log log;
  auto message = receiveMessage(requester.get(), 0);  // first: an answer is lost when a request is not taken
  if (!message) return refuse(requester, message.error(), log);
  if (const Status possible = refuseDeadlyRestart(); !possible) return refuse(requester, possible.error(), log);
  // A signal to the whole group (a terminal's, timeout(1)'s) is for the requester to pass on, or to answer with a checkpoint.
  ::setpgid(0, 0);
  closeInherited();
  useDefaultSignals();
  // Under the outer keeper's number, by which the requester's side knows the job. Whoever comes before it is restarted waits.
  auto listener = Listener::open();
  if (!listener) return refuse(requester, listener.error(), log);
  auto incoming = parseRestart(*message);
  if (!incoming) return refuse(requester, incoming.error(), log);
  auto plan = readPlan(incoming->restore, log);
  if (!plan) return refuse(requester, plan.error(), log);
  // Incarnations of a job that has a store are ordered by it: the newer one goes on at once, the older one finds out and ends.
  if (incoming->restoreIds && !incoming->answers) {
    if (const Status ended = checkEnded(plan->image); !ended) return refuse(requester, ended.error(), log);
  }
  reopenRegularStdio(plan->image, *incoming);
  auto channel = messagePair();
  if (!channel) return refuse(requester, channel.error(), log);
  const auto inner = enterNamespaces(*plan, incoming->restore, log);
  if (!inner) return refuse(requester, inner.error(), log);
  if (inner.value() == 0) {
    requester.reset();
    channel->first.reset();
    {
      const Listener outers = *std::move(listener);
    }
    runInner(*plan, *incoming, log, std::move(channel->second), terminal, foreground);
  }
  channel->second.reset();
  const int lifeline = incoming->lifeline.get();
  incoming->context.reset();
  incoming->pipes.clear();
  Outer(inner.value(), std::move(channel->first), std::move(requester), *listener, lifeline, terminal, foreground, start).run();
}

}  // namespace blcr

#include "inner.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "homecoming.h"
#include "job.h"
#include "log_once.h"
#include "request_facts.h"

namespace blcr {

namespace {

void tellRestored(int outer, crx_result_t result, const std::string& log) {
  wire::Restored message;
  message.result = result;
  static_cast<void>(sendMessage(outer, std::string(bytesOf(message)) + log));
}

/** Ends the namespace, and with it whatever has been restored. */
[[noreturn]] void giveUp(int outer, crx_result_t result, const Error& error, Log& log) {
  result.error = error.code;
  logOnce(log, error);
  tellRestored(outer, result, log.text());
  ::_exit(1);
}

/** The job's process group when it lives in our session, and so on our terminal; else 0. */
pid_t groupAtTerminal(const Terminal& terminal, pid_t root) { return terminal && ::getsid(root) == ::getsid(0) ? ::getpgid(root) : 0; }

void enterForeground(const Terminal& terminal, pid_t group, bool foreground) {
  if (foreground) terminal.giveTo(group);
  ::kill(-group, SIGCONT);
}

/** What the outer keeper passes on. */
void onOuter(Job& job, pid_t root, int outer, const Terminal& terminal) {
  auto message = receiveMessage(outer, MSG_DONTWAIT);
  if (!message && message.error().code == EAGAIN) return;
  if (!message || message->bytes.empty()) return job.kill();  // it is gone, and so is everybody who could want this job
  if (const auto* signal = message->as<wire::Signal>()) {
    const pid_t group = signal->number == SIGCONT ? groupAtTerminal(terminal, root) : 0;
    if (group > 0) return enterForeground(terminal, group, signal->foreground != 0);
    return deliverSignal(root, signal->number, signal->code, signal->value);
  }
  if (message->as<wire::Connection>() == nullptr) return;
  for (UniqueFd& connection : message->fds) job.requests().add(std::move(connection));
}

}  // namespace

void runInner(RestorePlan& plan, IncomingRestart& incoming, Log& log, UniqueFd outer, const Terminal& terminal, bool foreground) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // the end of `outer` tells too, should the outer keeper have died before this
  blockSignals();
  const int64_t start = nowNs();
  if (!incoming.answers) incoming.lifeline.reset();  // the outer keeper watches it
  const std::string source = pathOf(incoming.context.get());
  auto listener = Listener::open();  // for requesters inside the job, and for programs that are told of their restart
  const auto restored = restore(plan, incoming.restore, log);
  incoming.context.reset();
  incoming.pipes.clear();
  crx_result_t result{};
  result.size = sizeof result;
  result.total_us = microsecondsSince(start);
  if (!restored) giveUp(outer.get(), result, restored.error(), log);
  result.processes = restored.value().processes;
  result.threads = restored.value().threads;
  result.restarted_pid = restored.value().root;
  result.bytes = restored.value().bytes;
  if (!listener) log.line("requests from inside the job are not possible: " + listener.error().detail);
  Homecoming home;
  if (listener && !restored.value().cooperating.empty()) {
    auto arrived = awaitHomecoming(restored.value().cooperating, *listener, outer.get(), source, incoming.restore.signal);
    if (!arrived) giveUp(outer.get(), result, arrived.error(), log);
    home = *std::move(arrived);
  }
  tellRestored(outer.get(), result, log.text());
  for (const pid_t pid : restored.value().cooperating) {
    if (incoming.restore.signal != 0 && !home.signalled.contains(pid)) ::kill(pid, incoming.restore.signal);
  }
  home.clients.clear();

  const pid_t root = restored.value().root;
  const pid_t group = groupAtTerminal(terminal, root);
  // It may have tried to read before it had the terminal, and been stopped for that.
  if (group > 0 && foreground) enterForeground(terminal, group, true);
  const int fd = outer.get();
  JobControl control;
  if (group > 0) control.stopped = [fd] { static_cast<void>(sendMessage(fd, bytesOf(wire::Stopped()))); };
  Job job({::getpid(), true, root, plan.image.host.cpuBaseline}, std::move(control));
  if (listener) job.serve(*listener);
  if (incoming.lifeline) job.tieTo(incoming.lifeline.get(), true);
  for (UniqueFd& stranger : home.strangers) job.requests().add(std::move(stranger));
  job.loop().watch(fd, POLLIN, [&job, fd, root, &terminal](short) { onOuter(job, root, fd, terminal); });
  const auto status = job.run();
  wire::Ended ended;
  ended.status = status ? status.value() : SIGKILL;
  static_cast<void>(sendMessage(outer.get(), bytesOf(ended)));
  ::_exit(0);
}

}  // namespace blcr

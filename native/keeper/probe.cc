// Mode probe: does this host allow what a job needs? Answered by doing it.
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "base/clock.h"
#include "dump/dump.h"
#include "modes.h"
#include "protocol/message.h"
#include "signals.h"

namespace blcr {

namespace {

constexpr int kStepLimitMs = 20000;
constexpr char kSelf[] = "/proc/self/exe";

/** What the victim said last. */
struct Progress {
  unsigned long own = 0, other = 0;
};

/** A child of the probe that is killed and reaped when it goes out of use. */
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { end(); }
  [[nodiscard]] pid_t pid() const { return pid_; }
  void end() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) continue;
    pid_ = 0;
  }
  /** It has been reaped by somebody else. */
  void forget() { pid_ = 0; }

 private:
  pid_t pid_;
};

/** Runs this executable in another mode, with `fds` as its descriptors `first`, `first` + 1, … */
Result<pid_t> runSelf(const char* mode, std::span<const int> fds, int first) {
  const pid_t pid = ::fork();
  if (pid < 0) return systemError("fork");
  if (pid > 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  useDefaultSignals();
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (size_t index = 0; index < fds.size(); ++index) {
    const int number = first + static_cast<int>(index);
    if (fds[index] == number) ::fcntl(number, F_SETFD, 0);
    if (fds[index] != number) ::dup2(fds[index], number);
  }
  const int next = first + static_cast<int>(fds.size());
  for (int number = first == 0 ? next : 3; number < 4096; ++number) {
    if (number < first || number >= next) ::close(number);  // what the probe was started with is no part of the test
  }
  ::execl(kSelf, "blcr-keeper", mode, static_cast<char*>(nullptr));
  ::_exit(127);
}

Status waitReadable(int fd, const char* what) {
  pollfd item{fd, POLLIN, 0};
  const int ready = ::poll(&item, 1, kStepLimitMs);
  if (ready > 0) return {};
  return Error{ETIMEDOUT, std::string(what) + " took too long"};
}

/** Reads lines until one is complete and newer than `after`; `text` keeps what is left. */
Result<Progress> readProgress(int pipe, std::string& text, const Progress& after) {
  const int64_t end = nowNs() + int64_t(kStepLimitMs) * 1000000;
  while (nowNs() < end) {
    for (size_t line = text.find('\n'); line != std::string::npos; line = text.find('\n')) {
      Progress progress;
      const bool understood = std::sscanf(text.c_str(), "%lu %lu", &progress.own, &progress.other) == 2;
      text.erase(0, line + 1);
      if (!understood) return Error{EIO, "the test program wrote something else"};
      if (progress.own > after.own && progress.other > after.other) return progress;
    }
    BLCR_TRY(waitReadable(pipe, "the test program"));
    char buffer[4096];
    const ssize_t got = ::read(pipe, buffer, sizeof buffer);
    if (got <= 0) return Error{EIO, "the test program has ended"};
    text.append(buffer, size_t(got));
  }
  return Error{ETIMEDOUT, "the test program makes no progress"};
}

Status dumpAndKill(Child& victim, int context, const int (&stdioFds)[3]) {
  Log log;
  DumpRequest request;
  request.target = victim.pid();
  request.outputFd = context;
  request.signal = SIGKILL;
  request.keeper = ::getpid();
  request.jobRoot = victim.pid();
  request.onExit = [&victim](pid_t pid, int) {
    if (pid == victim.pid()) victim.forget();
  };
  std::copy(std::begin(stdioFds), std::end(stdioFds), std::begin(request.stdioFds));
  const auto dump = Dump::create(std::move(request), log);
  BLCR_TRY(dump->start());
  if (const Status ready = waitReadable(dump->pollFd(), "the checkpoint"); !ready) dump->cancel();
  const auto outcome = dump->finish();
  if (!outcome) return Error{outcome.error().code, "checkpoint: " + outcome.error().detail + " " + log.text()};
  victim.end();
  return {};
}

/** The answer of a keeper that restarts the context. */
Status awaitRestart(int requester) {
  BLCR_TRY(waitReadable(requester, "the restart"));
  auto message = receiveMessage(requester, 0);
  if (!message) return message.error();
  const auto* reply = message->as<wire::Reply>();
  if (reply == nullptr) return Error{EIO, "restart: the keeper has died"};
  if (reply->result.error == 0) return {};
  return Error{reply->result.error, "restart: " + std::string(message->after(sizeof *reply))};
}

/** Takes what the victim had written before it was killed: what comes later comes from its restarted self. */
Status drain(int pipe, std::string& text, Progress& seen) {
  pollfd item{pipe, POLLIN, 0};
  char buffer[4096];
  while (::poll(&item, 1, 0) > 0) {
    const ssize_t got = ::read(pipe, buffer, sizeof buffer);
    if (got <= 0) return Error{EIO, "the test program's pipe is broken"};
    text.append(buffer, size_t(got));
  }
  for (size_t line = text.find('\n'); line != std::string::npos; line = text.find('\n')) {
    std::sscanf(text.c_str(), "%lu %lu", &seen.own, &seen.other);
    text.erase(0, line + 1);
  }
  return {};
}

/** Restarts the context under a keeper of its own, which is killed in the end; `goesOn` tells whether the program does. */
template <typename Check>
Status restartFrom(int context, const int (&stdioFds)[3], Check goesOn) {
  if (::lseek(context, 0, SEEK_SET) != 0) return systemError("seek");
  auto channel = messagePair();
  if (!channel) return channel.error();
  wire::RestartRequest request;
  request.flags = CR_RSTRT_RESTORE_PID;
  request.attached = wire::kContext | wire::kStdin | wire::kStdout | wire::kStderr;
  const int fds[] = {context, stdioFds[0], stdioFds[1], stdioFds[2]};
  BLCR_TRY(sendMessage(channel->first.get(), bytesOf(request), fds));
  const int requester[] = {channel->second.get()};
  const auto keeper = runSelf("restart", requester, 3);
  if (!keeper) return keeper.error();
  const Child restarted(keeper.value());
  channel->second.reset();
  BLCR_TRY(awaitRestart(channel->first.get()));
  return goesOn() ? Status() : Status(Error{EIO, "the restarted test program does not go on"});
}

Status probe() {
  int output[2];
  if (::pipe2(output, O_CLOEXEC) != 0) return systemError("make a pipe");
  const UniqueFd reading(output[0]), writing(output[1]);
  const UniqueFd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const UniqueFd context(::memfd_create("context", MFD_CLOEXEC));
  if (!nothing || !context) return systemError("make a file in memory");
  const int stdioFds[] = {nothing.get(), writing.get(), nothing.get()};
  const auto started = runSelf("probe-victim", stdioFds, 0);
  if (!started) return started.error();
  Child victim(started.value());
  std::string text;
  auto seen = readProgress(reading.get(), text, Progress{});
  if (!seen) return seen.error();
  BLCR_TRY(dumpAndKill(victim, context.get(), stdioFds));
  BLCR_TRY(drain(reading.get(), text, *seen));
  BLCR_TRY(restartFrom(context.get(), stdioFds, [&] { return readProgress(reading.get(), text, *seen).ok(); }));
  return {};
}

/** A user and a pid namespace can be made by this user. */
bool userNamespacesAllowed() {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(::unshare(CLONE_NEWUSER | CLONE_NEWPID) == 0 ? 0 : 1);
  int status = 0;
  return pid > 0 && ::waitpid(pid, &status, 0) == pid && status == 0;
}

std::string quote(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted.push_back('\\');
    quoted.push_back(static_cast<unsigned char>(c) < 0x20 ? ' ' : c);
  }
  return quoted + "\"";
}

}  // namespace

int probeHost() {
  blockSignals();
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  utsname host{};
  ::uname(&host);
  const Status outcome = probe();
  const std::string reason = outcome ? "" : outcome.error().detail;
  std::printf("{\"ok\":%s,\"reason\":%s,\"userNamespaces\":%s,\"kernel\":%s}\n", outcome ? "true" : "false", quote(reason).c_str(),
              userNamespacesAllowed() ? "true" : "false", quote(host.release).c_str());
  return outcome ? 0 : 1;
}

}  // namespace blcr

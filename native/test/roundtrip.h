// A job's whole life for tests: started, checkpointed and killed several times, restarted each time from the stream alone, reaped.
#pragma once

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/codes.h"
#include "base/unique_fd.h"
#include "dump/dump.h"
#include "restore/restore.h"

namespace roundtrip {

struct Job {
  std::vector<std::string> command;
  std::string directory;  // scratch; the job's cwd, its stdout is `out` in it
  int generations = 3;
  int intervalMs = 250;  // between a (re)start and the next checkpoint
  int firstMs = 300;     // from the start to the first
  blcr::Snapshot snapshot = blcr::Snapshot::kPlain;
  std::optional<blcr::Snapshot> laterSnapshot = {};  // of all checkpoints but the first, when it is another one
  uid_t uid = 0;                                     // whom it runs as
  std::vector<std::string> disable = {};             // BLCR_DISABLE by generation
  bool closesConnections = false;                    // those with a peer outside
  std::function<void()> between = {};                // after the first checkpoint, while no process of the job exists
  bool tellsReady = false;  // no times: the first checkpoint comes when the job made `ready`, and `go` is made as the last life begins
  uint32_t carry = 0;       // CarriedFiles
  std::vector<blcr::PathPair> relocate = {};
  std::function<void(int)> before = {};  // called before each generation begins
  void (*confine)() = nullptr;           // called in every keeper, before it starts the job or, of a restarted one, before its checkpoint
};

struct Outcome {
  int status = -1;  // wait status of the job's root, -1 when it was lost on the way
  std::string output, log;
};

/** Everything takes longer under emulation: $BLCR_SLOWNESS says by what factor. */
inline int slowness() {
  const char* factor = std::getenv("BLCR_SLOWNESS");
  return factor == nullptr ? 1 : std::atoi(factor);
}

/** How long a victim runs, as its argument. */
inline std::string lifetime(int milliseconds) { return std::to_string(milliseconds * slowness()); }

/** Of one life, in seconds. */
inline unsigned lifeLimit() { return 60 * unsigned(slowness()); }

inline std::string readAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

inline std::string contextPath(const Job& job, int generation) { return job.directory + "/context-" + std::to_string(generation); }

[[noreturn]] inline void quit(const std::string& what, const blcr::Error& error) {
  std::fprintf(stderr, "  %s: %s (%d)\n", what.c_str(), error.detail.c_str(), error.code);
  std::fflush(stderr);
  _exit(99);
}

/** The job has set everything up; a job that ended instead is seen by the dump. */
inline void awaitReady(const Job& job, pid_t root) {
  const std::string path = job.directory + "/ready";
  siginfo_t ended{};
  while (access(path.c_str(), F_OK) != 0 && (waitid(P_PID, id_t(root), &ended, WEXITED | WNOHANG | WNOWAIT), ended.si_pid == 0))
    blcr::sleepUs(500);
}

inline void letFinish(const Job& job) { close(open((job.directory + "/go").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644)); }

inline int openOutput(const Job& job) { return open((job.directory + "/out").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644); }

/** Checkpoints `root` into the context of `generation`. */
inline blcr::Status dump(const Job& job, int generation, pid_t root, int output, blcr::Snapshot snapshot, int signal) {
  blcr::Log log;
  blcr::DumpRequest request;
  request.target = root;
  request.snapshot = snapshot;
  request.signal = signal;
  if (job.closesConnections) request.tcp = request.local = blcr::ConnectionPolicy::kClose;
  request.keeper = getpid();
  request.isolated = generation > 0;
  request.carry = job.carry;
  request.jobRoot = root;
  request.stdioFds[0] = -1;
  request.stdioFds[1] = request.stdioFds[2] = output;
  const blcr::UniqueFd file(open(contextPath(job, generation).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  request.outputFd = file.get();
  const auto dump = blcr::Dump::create(request, log);
  BLCR_TRY(dump->start());
  pollfd entry{dump->pollFd(), POLLIN, 0};
  poll(&entry, 1, int(lifeLimit()) * 1000);
  const auto finished = dump->finish();
  return finished.ok() ? blcr::Status() : finished.error();
}

/** Everything below the calling process, which is a subreaper. */
inline void killAll() {
  pid_t reaped = 0;
  while (reaped >= 0 || errno == EINTR) {
    std::ifstream children("/proc/self/task/" + std::to_string(getpid()) + "/children");
    for (pid_t child = 0; children >> child;) kill(child, SIGKILL);
    while ((reaped = waitpid(-1, nullptr, __WALL | WNOHANG)) > 0) {
    }
    if (reaped == 0) blcr::sleepUs(500);
  }
}

/** A checkpoint that ends the job stops it; one that is taken while it runs on leaves the end to us. */
inline void dumpAndKill(const Job& job, int generation, pid_t root, int output) {
  const blcr::Snapshot snapshot = generation > 0 && job.laterSnapshot ? *job.laterSnapshot : job.snapshot;
  const int signal = snapshot == blcr::Snapshot::kFork ? 0 : SIGKILL;
  blcr::Status dumped = dump(job, generation, root, output, snapshot, signal);
  constexpr int kTries = 3;  // as whoever runs a job: another time is better
  for (int tries = 1; !dumped.ok() && dumped.error().code == blcr::kErrorTemporary && tries < kTries; ++tries)
    dumped = dump(job, generation, root, output, snapshot, signal);
  killAll();
  if (!dumped.ok()) quit("dump " + std::to_string(generation), dumped.error());
}

/** Runs the job's root to its end, reaping everything else; exits as the root did. */
[[noreturn]] inline void follow(pid_t root) {
  int status = 0;
  for (pid_t pid = 0; (pid = waitpid(-1, &status, __WALL)) != root || WIFSTOPPED(status);) {
    if (pid < 0 && errno != EINTR) _exit(98);
    // What was too late for a checkpoint: the keeper does the same.
    if (pid > 0 && WIFSTOPPED(status)) ptrace(PTRACE_DETACH, pid, nullptr, (status >> 16) == 0 ? WSTOPSIG(status) : 0);
  }
  if (WIFSIGNALED(status)) std::fprintf(stderr, "  killed by signal %d\n", WTERMSIG(status));
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

inline void become(uid_t uid) {
  if (uid == 0 || uid == geteuid()) return;
  if (setgroups(0, nullptr) != 0 || setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0) _exit(97);
  prctl(PR_SET_DUMPABLE, 1);
}

/** The job itself, a leader of its own session with nothing open but the standard streams. */
inline pid_t launch(const Job& job, int output) {
  const pid_t root = fork();
  if (root == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setsid();
    std::vector<char*> arguments;
    for (const std::string& argument : job.command) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    if (chdir(job.directory.c_str()) != 0) _exit(96);
    const int null = open("/dev/null", O_RDONLY);
    dup2(null, 0);
    dup2(output, 1);
    dup2(output, 2);
    for (int fd = 3; fd < 1024; ++fd) close(fd);
    execv(arguments[0], arguments.data());
    _exit(96);
  }
  return root;
}

/** The first life: started by an ordinary process. */
[[noreturn]] inline void start(const Job& job) {
  become(job.uid);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  if (job.confine != nullptr) job.confine();
  const int output = openOutput(job);
  const pid_t root = launch(job, output);
  if (job.generations == 0) follow(root);
  if (job.tellsReady)
    awaitReady(job, root);
  else
    blcr::sleepUs(job.firstMs * 1000);
  dumpAndKill(job, 0, root, output);
  _exit(0);
}

/** A later life: from the context of the generation before. */
[[noreturn]] inline void goOn(const Job& job, int generation) {
  become(job.uid);
  blcr::Log log;
  const blcr::UniqueFd context(open(contextPath(job, generation - 1).c_str(), O_RDONLY | O_CLOEXEC));
  const int output = openOutput(job);
  blcr::RestoreRequest request;
  request.inputFd = context.get();
  request.stdioFds[1] = request.stdioFds[2] = output;
  request.relocate = job.relocate;
  auto plan = blcr::readPlan(request, log);
  if (!plan) quit("plan " + std::to_string(generation), plan.error());
  const auto init = blcr::enterNamespaces(*plan, request, log);
  if (!init.ok()) quit("namespaces " + std::to_string(generation), init.error());
  if (init.value() > 0) {
    int status = 0;
    while (waitpid(init.value(), &status, 0) < 0 && errno == EINTR) {
    }
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  }
  const auto restored = blcr::restore(*plan, request, log);
  if (!restored.ok()) quit("restore " + std::to_string(generation), restored.error());
  if (!log.text().empty()) std::fprintf(stderr, "  log: %s", log.text().c_str());
  if (generation == job.generations) {
    if (!job.tellsReady) blcr::sleepUs(job.intervalMs * 1000);
    letFinish(job);
    follow(restored.value().root);
  }
  blcr::sleepUs(job.intervalMs * 1000);
  if (job.confine != nullptr) job.confine();
  dumpAndKill(job, generation, restored.value().root, output);
  _exit(0);
}

/** Everything; bounded to about a minute per life. */
inline Outcome run(const Job& job) {
  Outcome outcome;
  for (int generation = 0; generation <= job.generations; ++generation) {
    if (job.before) job.before(generation);
    std::fflush(stdout);
    const pid_t keeper = fork();
    if (keeper == 0) {
      alarm(lifeLimit());
      if (size_t(generation) < job.disable.size()) setenv("BLCR_DISABLE", job.disable[size_t(generation)].c_str(), 1);
      generation == 0 ? start(job) : goOn(job, generation);
    }
    int status = 0;
    waitpid(keeper, &status, 0);
    outcome.status = status;
    if (status != 0) break;
    if (generation == 0 && job.between) job.between();
  }
  outcome.output = readAll(job.directory + "/out");
  return outcome;
}

}  // namespace roundtrip

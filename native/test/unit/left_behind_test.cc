// Orphans of a job that a checkpoint of its tree does not reach are told of, by name.
#include "dump/left_behind.h"

#include "dump_harness.h"

using namespace harness;

namespace {

/** Ends after `child` began, which stays. The parent of both has waited for it when this returns the number. */
pid_t leaveOrphan(const std::function<void()>& prepare) {
  int fds[2];
  if (pipe(fds) != 0) _exit(1);
  const pid_t between = fork();
  if (between == 0) {
    const pid_t orphan = fork();
    if (orphan == 0) {
      prctl(PR_SET_PDEATHSIG, 0);
      prepare();
      const pid_t own = getpid();
      if (write(fds[1], &own, sizeof own) != sizeof own) _exit(1);
      _exit(pauseForever());
    }
    _exit(0);
  }
  waitpid(between, nullptr, 0);
  pid_t orphan = 0;
  if (read(fds[0], &orphan, sizeof orphan) != sizeof orphan) _exit(1);
  close(fds[0]);
  close(fds[1]);
  return orphan;
}

/** The orphan's number, as its maker tells it. */
struct Shared {
  UniqueFd reading, writing;
  Shared() {
    int fds[2];
    if (pipe(fds) != 0) abort();
    reading.reset(fds[0]);
    writing.reset(fcntl(fds[1], F_DUPFD, 901));
    close(fds[1]);
  }
  [[nodiscard]] pid_t take() const {
    pid_t number = 0;
    return read(reading.get(), &number, sizeof number) == sizeof number ? number : 0;
  }
};

std::vector<std::string> warnings(pid_t target, Scope scope = Scope::kTree) {
  DumpRequest request;
  request.target = target;
  request.scope = scope;
  const auto members = scopeMembers(request);
  CHECK(members.ok());
  return leftBehind(members.value(), request);
}

/** Is adopted by this process when its parent has ended; reaped here. */
void endOrphan(pid_t orphan) {
  CHECK(orphan > 0 && kill(orphan, SIGKILL) == 0);
  CHECK(waitpid(orphan, nullptr, 0) == orphan);
}

}  // namespace

TEST(an_orphan_of_the_job_is_told_of) {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  const Shared shared;
  Victim victim([&](const auto& ready) {
    const pid_t orphan = leaveOrphan([] {});
    if (write(shared.writing.get(), &orphan, sizeof orphan) != sizeof orphan) return 1;
    ready();
    return pauseForever();
  });
  const pid_t orphan = shared.take();
  const auto found = warnings(victim.pid());
  CHECK(found.size() == 1);
  if (!found.empty())
    CHECK(found[0].starts_with("WARN_LEFT_OUT: process " + std::to_string(orphan) + " (left_behind_tes) belongs to session "));
  CHECK(warnings(victim.pid(), Scope::kProcess).empty());
  endOrphan(orphan);
}

TEST(an_orphan_of_a_session_that_a_child_made_is_told_of) {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  const Shared shared;
  Victim victim([&](const auto& ready) {
    const pid_t child = fork();
    if (child == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);  // it leaves the group that the victim's guard ends
      setsid();
      const pid_t orphan = leaveOrphan([] { setpgid(0, 0); });
      if (write(shared.writing.get(), &orphan, sizeof orphan) != sizeof orphan) _exit(1);
      ready();
      _exit(pauseForever());
    }
    return pauseForever();
  });
  const pid_t orphan = shared.take();
  CHECK(warnings(victim.pid()).size() == 1);
  endOrphan(orphan);
}

TEST(others_of_the_session_that_a_job_was_started_in_are_none_of_it) {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  const Shared shared;
  Victim shell([&](const auto& ready) {
    const pid_t stranger = leaveOrphan([] { setpgid(0, 0); });  // such as what nohup leaves in a login session
    const pid_t job = fork();
    if (job == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      setpgid(0, 0);
      _exit(pauseForever());
    }
    setpgid(job, job);
    if (write(shared.writing.get(), &stranger, sizeof stranger) != sizeof stranger) return 1;
    if (write(shared.writing.get(), &job, sizeof job) != sizeof job) return 1;
    ready();
    return pauseForever();
  });
  const pid_t stranger = shared.take();
  const pid_t job = shared.take();
  CHECK(warnings(job).empty());
  CHECK(kill(job, SIGKILL) == 0);
  endOrphan(stranger);
}
CHECK_MAIN

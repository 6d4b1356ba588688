// Copies that send their own pages: the same context, nothing of the job held, and every way in which they can end.
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <filesystem>
#include <utility>

#include "dump_harness.h"
#include "proc/status.h"

using namespace harness;

namespace {

constexpr size_t kPage = 4096;
constexpr size_t kPages = 4096;   // 16 MiB, more than a pipe and more than the smallest copy that sends
constexpr size_t kHidden = 1000;  // page that only a debugger can read

uint64_t* area() {
  static auto* made = static_cast<uint64_t*>(mmap(nullptr, kPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  return made;
}

/** Single pages and whole runs are zero, also across windows; the others begin with zeroes. */
bool isEmpty(size_t page) { return page % 7 == 3 || (page > 2000 && page < 2600); }
uint64_t wordOf(size_t page) { return page * 0x9e3779b97f4a7c15u + 1; }

void fill() {
  for (size_t page = 0; page < kPages; ++page) {
    for (size_t word = 16; !isEmpty(page) && word < kPage / 8; ++word) area()[page * kPage / 8 + word] = wordOf(page) + word;
  }
  mprotect(area() + kHidden * kPage / 8, kPage, PROT_NONE);
}

int largeVictim(const std::function<void()>& ready) {
  fill();
  return selfChecker(ready);
}

/** Number of pages that are not what the victim put there. */
size_t wrongPages(const Dumped& dumped) {
  size_t wrong = 0;
  for (size_t page = 0; page < kPages; ++page) {
    std::string expected(kPage, '\0');
    for (size_t word = 16; !isEmpty(page) && word < kPage / 8; ++word) {
      const uint64_t value = wordOf(page) + word;
      memcpy(&expected[word * 8], &value, 8);
    }
    const uint64_t address = reinterpret_cast<uint64_t>(area()) + page * kPage;
    if (isEmpty(page) && dumped.pages.contains({0, address})) ++wrong;
    if (dumped.bytes(0, address, kPage) != expected) ++wrong;
  }
  return wrong;
}

/** Mapped before it forks: the test knows the address. */
struct LargeVictim : Victim {
  LargeVictim() : Victim((static_cast<void>(area()), Victim::Body(largeVictim))) {}
};

/** A dump whose output nobody reads yet. */
struct Started {
  int output[2] = {-1, -1};
  Log log;
  std::unique_ptr<Dump> dump;
  pid_t copy = 0;

  explicit Started(pid_t victim) {
    if (pipe2(output, O_CLOEXEC) != 0) abort();
    DumpRequest request;
    request.target = victim;
    request.outputFd = output[1];
    request.snapshot = Snapshot::kFork;
    dump = Dump::create(request, log);
    if (!dump->start()) return;
    const auto all = listProcesses();
    for (const pid_t pid : all.value()) {
      const auto stat = readStat(pid);
      if (stat && stat.value().ppid == victim) copy = pid;
    }
  }
  ~Started() {
    dump.reset();
    close(output[0]);
    if (output[1] >= 0) close(output[1]);
  }
  /** The outcome; the copy is gone afterwards, as the victim's check of itself expects. */
  Result<DumpResult> finish() {
    waitDone(*dump);
    Result<DumpResult> result = dump->finish();
    dump.reset();
    return result;
  }
  Dumped readAll() {
    Dumped dumped;
    readContext(output[0], dumped);
    return dumped;
  }
};

/** The copy's next stop or end, as the keeper's loop sees it. */
bool passNext(Started& started) {
  int status = 0;
  return waitpid(started.copy, &status, __WALL) == started.copy && started.dump->onChild(started.copy, status);
}

bool goesOn(Victim& victim) {
  kill(victim.pid(), SIGUSR1);
  return victim.join() == 42;
}

}  // namespace

TEST(what_a_copy_sends_is_what_the_program_held) {
  for (const bool checksum : {true, false}) {
    LargeVictim victim;
    CHECK(victim.ready());
    const Dumped dumped = dump(victim.pid(), Snapshot::kFork, [checksum](DumpRequest& request) { request.checksum = checksum; });
    CHECK(dumped.good && dumped.verified);
    CHECK(dumped.result.snapshot == Snapshot::kFork);
    CHECK(wrongPages(dumped) == 0);
    CHECK(goesOn(victim));
  }
}

TEST(a_sending_copy_holds_the_output_and_nothing_else) {
  LargeVictim victim;
  Started started(victim.pid());
  CHECK(started.copy != 0);
  const std::string fds = "/proc/" + std::to_string(started.copy) + "/fd";
  size_t count = 0;
  struct stat theirs{}, ours{};
  for (const auto& entry : std::filesystem::directory_iterator(fds)) {
    ++count;
    CHECK(stat(entry.path().c_str(), &theirs) == 0);
  }
  CHECK(fstat(started.output[1], &ours) == 0);
  CHECK(count == 1 && theirs.st_ino == ours.st_ino);
  const Dumped dumped = started.readAll();
  CHECK(started.finish().ok());
  CHECK(dumped.verified && wrongPages(dumped) == 0);
  CHECK(goesOn(victim));
}

TEST(a_stop_sent_to_the_group_does_not_stop_it) {
  LargeVictim victim;
  Started started(victim.pid());
  CHECK(started.copy != 0);
  kill(started.copy, SIGSTOP);
  CHECK(passNext(started));
  const Dumped dumped = started.readAll();
  CHECK(started.finish().ok());
  CHECK(dumped.verified && wrongPages(dumped) == 0);
  CHECK(goesOn(victim));
}

TEST(its_death_fails_the_checkpoint_only) {
  LargeVictim victim;
  Started started(victim.pid());
  CHECK(started.copy != 0);
  kill(started.copy, SIGKILL);
  CHECK(passNext(started));
  const auto result = started.finish();
  CHECK(!result.ok() && result.error().code == ESRCH);
  if (!result.ok() && result.error().code != ESRCH) std::printf("  %s (%d)\n", result.error().detail.c_str(), result.error().code);
  CHECK(goesOn(victim));
}

TEST(into_a_file_it_writes_whatever_the_job_may_write_itself) {
  constexpr rlim_t kLittle = 1 << 20;
  for (const rlim_t hard : {RLIM_INFINITY, kLittle}) {
    static_cast<void>(area());
    Victim victim([hard](const std::function<void()>& ready) {
      const rlimit limit{kLittle, hard};
      setrlimit(RLIMIT_FSIZE, &limit);
      return largeVictim(ready);
    });
    const UniqueFd file(memfd_create("context", MFD_CLOEXEC));
    Dumped dumped = dump(victim.pid(), Snapshot::kFork, [&file](DumpRequest& request) { request.outputFd = file.get(); });
    CHECK(dumped.good && dumped.result.snapshot == Snapshot::kFork);
    CHECK(lseek(file.get(), 0, SEEK_SET) == 0);
    readContext(file.get(), dumped);
    CHECK(dumped.verified && wrongPages(dumped) == 0);
    CHECK(goesOn(victim));
  }
}

TEST(a_file_that_takes_no_more_fails_the_checkpoint_only) {
  LargeVictim victim;
  const UniqueFd file(memfd_create("full", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  CHECK(ftruncate(file.get(), 2 << 20) == 0 && fcntl(file.get(), F_ADD_SEALS, F_SEAL_GROW) == 0);
  const Dumped dumped = dump(victim.pid(), Snapshot::kFork, [&file](DumpRequest& request) { request.outputFd = file.get(); });
  CHECK(!dumped.good && dumped.error.code == EPERM);
  CHECK(goesOn(victim));
}

TEST(a_request_is_given_up_while_it_waits_for_a_reader) {
  LargeVictim victim;
  Started started(victim.pid());
  CHECK(started.copy != 0);
  started.dump->cancel();
  const auto result = started.finish();
  CHECK(!result.ok() && result.error().code == ECANCELED);
  CHECK(goesOn(victim));
}

TEST(a_reader_that_goes_away_is_told) {
  LargeVictim victim;
  Started started(victim.pid());
  CHECK(started.copy != 0);
  close(std::exchange(started.output[0], open("/dev/null", O_RDONLY | O_CLOEXEC)));
  const auto result = started.finish();
  CHECK(!result.ok() && result.error().code == EPIPE);
  CHECK(goesOn(victim));
}

CHECK_MAIN

// The job's own view of the machine: old paths lead to new places, old numbers and clocks go on, the host is not touched.
#include <poll.h>
#include <sys/stat.h>

#include <filesystem>

#include "check.h"
#include "roundtrip.h"
#include "temporary_directory.h"

using namespace blcr;

namespace {

struct Place {
  const TemporaryDirectory own{"namespaces"};
  const std::string& root = own.path();
  Place() {
    std::filesystem::create_directories(root + "/new/sub");
    std::filesystem::create_directories(root + "/there");
    std::ofstream(root + "/new/sub/file") << "moved";
    std::ofstream(root + "/there/sibling") << "sibling";
    std::filesystem::create_symlink("sibling", root + "/there/link");
    std::filesystem::permissions(root, std::filesystem::perms::all);
  }
};

/** Runs `inside` as the keeper in the namespaces; its exit status, or -errno of enterNamespaces. */
template <typename Body>
int within(const RestoreRequest& request, uid_t uid, Body inside, int32_t keeperNumber = 0) {
  std::fflush(stdout);
  const pid_t keeper = fork();
  if (keeper == 0) {
    alarm(20);
    roundtrip::become(uid);
    Log log;
    RestorePlan plan{{}, image::Reader(-1)};
    plan.image.host.monotonicNs = 5000ll * 1000000000;
    plan.image.host.boottimeNs = 7000ll * 1000000000;
    plan.image.keeper = keeperNumber;
    const auto init = enterNamespaces(plan, request, log);
    if (!init.ok()) {
      std::printf("  %s\n", init.error().detail.c_str());
      std::fflush(stdout);
      _exit(200);
    }
    if (init.value() == 0) _exit(inside());
    int status = 0;
    waitpid(init.value(), &status, 0);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 100);
  }
  int status = 0;
  waitpid(keeper, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::vector<uid_t> users() { return geteuid() == 0 ? std::vector<uid_t>{1000, 0} : std::vector<uid_t>{geteuid()}; }

}  // namespace

TEST(initHasNumberOneItsOwnProcAndTheJobsClocks) {
  for (const uid_t uid : users()) {
    const int status = within({}, uid, [] {
      if (getpid() != 1) return 1;
      char self[16] = {};
      if (readlink("/proc/self", self, sizeof self - 1) <= 0 || std::string(self) != "1") return 2;
      const int64_t monotonic = nowNs(CLOCK_MONOTONIC), boot = nowNs(CLOCK_BOOTTIME), second = 1000000000;
      if (monotonic < 5000 * second || monotonic > 5020 * second || boot < 7000 * second || boot > 7020 * second) return 3;
      return 0;
    });
    CHECK(status == 0);
  }
}

/** Sixty is one of those that the kernel itself gives to nobody; the last one lies beyond what a number can be. */
TEST(theKeeperHasTheNumberThatTheJobKnows) {
  for (const uid_t uid : users()) {
    for (const auto& [wanted, given] : {std::pair{60, 60}, {31000, 31000}, {1, 1}, {4194305, 1}}) {
      const auto isGiven = [given = given] { return getpid() == given ? 7 : 1; };
      CHECK(within({}, uid, isGiven, wanted) == 7);
      RestoreRequest others;
      others.restorePid = false;
      CHECK(within(others, uid, [] { return getpid() == 1 ? 7 : 1; }, wanted) == 7);
    }
  }
}

TEST(theEndOfTheKeeperEndsItsNamespace) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  const auto leaveOneBehind = [&] {
    if (fork() == 0) sleep(60);
    return 3;
  };
  CHECK(within({}, geteuid(), leaveOneBehind, 31000) == 3);
  close(ends[1]);
  pollfd ended{ends[0], POLLIN, 0};
  CHECK(poll(&ended, 1, 10000) == 1 && (ended.revents & POLLHUP) != 0);
  close(ends[0]);
}

TEST(aBindCoversWhatIsThere) {
  for (const uid_t uid : users()) {
    const Place place;
    RestoreRequest request;
    request.binds = {{place.root + "/there", place.root + "/new"}};
    CHECK(within(request, uid, [&] { return roundtrip::readAll(place.root + "/there/sub/file") == "moved" ? 0 : 1; }) == 0);
    CHECK(!std::filesystem::exists(place.root + "/there/sub"));
  }
}

TEST(aMissingMountPointIsMadeAndItsSiblingsStay) {
  for (const uid_t uid : users()) {
    const Place place;
    RestoreRequest request;
    request.binds = {{place.root + "/there/gone/deep", place.root + "/new"}};
    const int status = within(request, uid, [&] {
      if (roundtrip::readAll(place.root + "/there/gone/deep/sub/file") != "moved") return 1;
      if (roundtrip::readAll(place.root + "/there/link") != "sibling") return 2;
      std::ofstream(place.root + "/there/gone/deep/written") << "through";
      return 0;
    });
    CHECK(status == 0);
    CHECK(!std::filesystem::exists(place.root + "/there/gone"));
    if (uid == geteuid()) CHECK(roundtrip::readAll(place.root + "/new/written") == "through");
  }
}

TEST(aMissingMountPointBelowTheRootIsMade) {
  for (const uid_t uid : users()) {
    const Place place;
    RestoreRequest request;
    request.binds = {{"/blcr-no-such-directory/deep", place.root + "/new"}};
    const int status = within(request, uid, [&] {
      if (roundtrip::readAll("/blcr-no-such-directory/deep/sub/file") != "moved") return 1;
      if (roundtrip::readAll(place.root + "/there/sibling") != "sibling") return 2;  // /tmp is there
      return access("/proc/self/exe", F_OK) == 0 && access("/usr/bin/env", X_OK) == 0 && access("/dev/null", W_OK) == 0 ? 0 : 3;
    });
    CHECK(status == 0);
    CHECK(access("/blcr-no-such-directory", F_OK) != 0);
  }
}

TEST(impossibleBindsAreRefused) {
  for (const PathPair& pair : {PathPair{"relative", "/tmp"}, PathPair{"/", "/tmp"}, PathPair{"/tmp/x", "/no/such/source"}}) {
    RestoreRequest request;
    request.binds = {pair};
    CHECK(within(request, geteuid(), [] { return 0; }) == 200);
  }
}

TEST(initDiesWithItsMaker) {
  int ends[2];
  CHECK(pipe2(ends, O_CLOEXEC) == 0);
  const pid_t keeper = fork();
  if (keeper == 0) {
    Log log;
    RestorePlan plan{{}, image::Reader(-1)};
    const auto init = enterNamespaces(plan, {}, log);
    if (!init.ok()) _exit(1);
    if (init.value() == 0) {
      static_cast<void>(!write(ends[1], "r", 1));
      while (true) pause();  // holds the pipe open
    }
    while (true) pause();
  }
  close(ends[1]);
  char byte = 0;
  CHECK(read(ends[0], &byte, 1) == 1);
  kill(keeper, SIGKILL);
  waitpid(keeper, nullptr, 0);
  pollfd entry{ends[0], POLLIN, 0};
  CHECK(poll(&entry, 1, 5000) == 1 && read(ends[0], &byte, 1) == 0);
  close(ends[0]);
}

CHECK_MAIN

// A vdso that is not this kernel's: redirected function by function, and whole jobs that go on behind such a bridge.
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include <algorithm>
#include <filesystem>

#include "arch/x86_64/vdso_bridge.h"
#include "base/codes.h"
#include "base/elf.h"
#include "check.h"
#include "restore/memory/kernel_areas.h"
#include "roundtrip.h"

using namespace blcr;

namespace {

constexpr uid_t kOrdinary = 1000;

std::string vdso() {
  const auto areas = kernelAreas();
  CHECK(areas.ok());
  return {reinterpret_cast<const char*>(areas.value().code.data()), areas.value().code.size()};
}

/** A vdso in which `name` has become `other`, of the same length. */
std::string renamed(std::string image, const std::string& name, const std::string& other) {
  const std::string wanted = '\0' + name + '\0';
  for (size_t at = 0; (at = image.find(wanted, at)) != std::string::npos; ++at) image.replace(at + 1, other.size(), other);
  return image;
}

Result<std::string> bridged(const std::string& recorded, const std::string& here) {
  return bridgeVdso(std::as_bytes(std::span(recorded)), std::as_bytes(std::span(here)), getauxval(AT_SYSINFO_EHDR));
}

/** The bridge as executable memory. */
class Bridge {
 public:
  Bridge(const std::string& recorded, const std::string& here) {
    const auto image = bridged(recorded, here);
    CHECK(image.ok());
    if (!image.ok()) std::exit(1);
    size_ = image.value().size();
    memory_ = static_cast<char*>(mmap(nullptr, size_, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    std::copy(image.value().begin(), image.value().end(), memory_);
  }
  ~Bridge() { munmap(memory_, size_); }
  Bridge(const Bridge&) = delete;
  Bridge& operator=(const Bridge&) = delete;

  template <typename Function>
  Function* find(const std::string& name) const {
    for (const ElfSymbol& symbol : dynamicSymbols({reinterpret_cast<const std::byte*>(memory_), size_}))
      if (symbol.name == name) return reinterpret_cast<Function*>(memory_ + symbol.value);
    return nullptr;
  }

 private:
  char* memory_ = nullptr;
  size_t size_ = 0;
};

void clockWorks(const Bridge& bridge) {
  auto* gettime = bridge.find<int(clockid_t, timespec*)>("__vdso_clock_gettime");
  auto* seconds = bridge.find<time_t(time_t*)>("__vdso_time");
  auto* processor = bridge.find<int(unsigned*, unsigned*, void*)>("__vdso_getcpu");
  CHECK(gettime != nullptr && seconds != nullptr && processor != nullptr);
  timespec before{}, now{}, after{};
  syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &before);
  CHECK(gettime(CLOCK_MONOTONIC, &now) == 0);
  syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &after);
  const auto ns = [](const timespec& time) { return time.tv_sec * 1000000000 + time.tv_nsec; };
  CHECK(ns(before) <= ns(now) && ns(now) <= ns(after));
  time_t stored = 0;
  const time_t told = seconds(&stored);
  CHECK(told == stored && told >= 1700000000 && told <= time(nullptr));
  unsigned number = ~0u;
  CHECK(processor(&number, nullptr, nullptr) == 0 && number < 8192);
}

std::string victim(const char* name) {
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  return self.substr(0, self.rfind('/')) + "/victims/victim_" + name;
}

/** Several lives, each behind the bridge of the one before where `disable` says so. */
roundtrip::Outcome live(const char* name, const std::vector<std::string>& disable, Snapshot snapshot) {
  char directory[] = "/tmp/vdso-XXXXXX";
  CHECK(mkdtemp(directory) != nullptr);
  roundtrip::Job job;
  job.uid = geteuid() == 0 ? kOrdinary : geteuid();
  if (geteuid() == 0) CHECK(chown(directory, job.uid, job.uid) == 0);
  job.command = {victim(name)};
  job.directory = directory;
  job.snapshot = snapshot;
  job.disable = disable;
  job.generations = int(disable.size()) - 1;
  const roundtrip::Outcome outcome = roundtrip::run(job);
  std::filesystem::remove_all(directory);
  return outcome;
}

void survive(const char* name, const std::string& expected, const std::vector<std::string>& disable, Snapshot snapshot) {
  const roundtrip::Outcome outcome = live(name, disable, snapshot);
  CHECK(outcome.status == 0 && outcome.output == expected);
  if (outcome.output != expected) std::printf("  output: %s\n", outcome.output.c_str());
}

}  // namespace

TEST(functionsJumpToThoseOfThisKernel) { clockWorks(Bridge(vdso(), vdso())); }

TEST(functionsThatThisKernelLacksBecomeSystemCalls) {
  std::string here = vdso();
  for (const char* name : {"clock_gettime", "time", "getcpu", "gettimeofday", "clock_getres"}) {
    const std::string other(std::string(name).size(), 'x');
    here = renamed(renamed(here, name, other), std::string("__vdso_") + name, "__vdso_" + other);
  }
  clockWorks(Bridge(vdso(), here));
}

TEST(randomNumbersAlwaysComeFromTheSystemCall) {
  const Bridge bridge(vdso(), vdso());
  auto* getrandom = bridge.find<long(void*, size_t, unsigned, void*, size_t)>("__vdso_getrandom");
  if (getrandom == nullptr) return;  // before Linux 6.11
  char bytes[16] = {}, zeros[16] = {};
  CHECK(getrandom(bytes, sizeof bytes, 0, nullptr, 0) == sizeof bytes && std::memcmp(bytes, zeros, sizeof bytes) != 0);
  CHECK(getrandom(nullptr, 0, 0, bytes, ~size_t(0)) == -ENOSYS);
}

TEST(functionsWithoutCounterpartAreRefusedByName) {
  const std::string strange = renamed(renamed(vdso(), "__vdso_time", "__vdso_tide"), "time", "tide");
  const auto refused = bridged(strange, vdso());
  CHECK(!refused.ok() && refused.error().code == kErrorBadArchitecture && refused.error().detail.find("tide") != std::string::npos);
  CHECK(bridged(renamed(renamed(vdso(), "__vdso_time", "__vdso_sgx_"), "time", "tide"), vdso()).ok() == false);
  CHECK(!bridged(std::string(8192, '\0'), vdso()).ok());
}

TEST(damagedImagesAreReadWithinTheirBounds) {
  const std::string sound = vdso();
  for (size_t at = 0; at < sound.size(); at += 3) {
    std::string damaged = sound;
    damaged[at] = char(damaged[at] ^ 0x7f);
    static_cast<void>(bridged(damaged, sound).ok());
    static_cast<void>(bridged(sound, damaged).ok());
  }
}

TEST(clocksGoOnBehindABridge) { survive("clocks", "clocks kept\n", {"", "same_vdso", "same_vdso", "same_vdso"}, Snapshot::kFork); }
TEST(bridgesAreKeptOnTheSameKernel) { survive("clocks", "clocks kept\n", {"", "same_vdso", "", "same_vdso"}, Snapshot::kPlain); }
TEST(sealedAreasAreBridgedWhereTheyAre) { survive("clocks", "clocks kept\n", {"", "vdso_move", "vdso_move", ""}, Snapshot::kFork); }
TEST(processesOfATreeAreBridgedEach) { survive("processes", "family kept\n", {"", "same_vdso", "same_vdso", ""}, Snapshot::kFork); }

TEST(interruptedFunctionsAreReturnedToOnTheirOwnKernelOnly) {
  survive("interrupted", "handler kept\n", {"", ""}, Snapshot::kPlain);
  const roundtrip::Outcome refused = live("interrupted", {"", "same_vdso"}, Snapshot::kPlain);
  CHECK(WIFEXITED(refused.status) && WEXITSTATUS(refused.status) == 99 && refused.output.empty());
}

CHECK_MAIN

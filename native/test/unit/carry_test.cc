// Mapped files that travel with the context: a job goes on where its program and its libraries are gone or others.
#include <sys/stat.h>

#include <filesystem>

#include "check.h"
#include "roundtrip.h"
#include "temporary_directory.h"

using namespace blcr;

namespace {

constexpr uid_t kOrdinary = 1000;
constexpr uint32_t kAll = kCarryExecutable | kCarryPrivate | kCarryShared;

const char* const kScript = R"END(
unset LD_LIBRARY_PATH
i=0; sum=0
while [ $i -lt 60 ]; do i=$((i + 1)); sum=$((sum + i)); sleep 0.03; done
case "$(readlink /proc/$$/exe)" in *shell*) echo "its own program" ;; esac
/proc/$$/exe -c 'echo started again'
echo "sum $sum"
)END";

/** A shell of its own with a C library of its own. */
struct Place {
  const TemporaryDirectory own{"carry"};
  const std::string& directory = own.path();
  Place() {
    const std::string copy = "cp -L /bin/dash " + shell() + " && cp -L /lib/x86_64-linux-gnu/libc.so.6 " + library();
    CHECK(std::system(copy.c_str()) == 0);
    if (geteuid() == 0) CHECK(std::system(("chown -R 1000:1000 " + directory).c_str()) == 0);
  }
  [[nodiscard]] std::string shell() const { return directory + "/shell"; }
  [[nodiscard]] std::string library() const { return directory + "/libc.so.6"; }
};

/** `change` spoils the place after the first checkpoint. */
roundtrip::Outcome live(const Place& place, uint32_t carry, const std::function<void()>& change, int generations) {
  roundtrip::Job job;
  job.uid = geteuid() == 0 ? kOrdinary : geteuid();
  job.command = {"/usr/bin/env", "LD_LIBRARY_PATH=" + place.directory, place.shell(), "-c", kScript};
  job.directory = place.directory;
  job.generations = generations;
  job.carry = carry;
  job.before = [&](int generation) {
    if (generation == 1) change();
  };
  return roundtrip::run(job);
}

const std::string kExpected = "its own program\nstarted again\nsum 1830\n";

bool wasRefused(const roundtrip::Outcome& outcome) { return WIFEXITED(outcome.status) && WEXITSTATUS(outcome.status) == 99; }

}  // namespace

TEST(whatIsGoneComesWithTheContext) {
  const Place place;
  const auto outcome = live(place, kAll, [&] { CHECK(unlink(place.shell().c_str()) == 0 && unlink(place.library().c_str()) == 0); }, 3);
  CHECK(outcome.status == 0 && outcome.output == kExpected);
  if (outcome.output != kExpected) std::printf("  output: %s\n", outcome.output.c_str());
}

TEST(whatIsDifferentComesWithTheContext) {
  const Place place;
  const auto upgrade = [&] {
    CHECK(unlink(place.library().c_str()) == 0);
    std::ofstream(place.library()) << "another library";
  };
  const auto outcome = live(place, kCarryPrivate, upgrade, 2);
  CHECK(outcome.status == 0 && outcome.output == kExpected);
  if (outcome.output != kExpected) std::printf("  output: %s\n", outcome.output.c_str());
}

TEST(eachKindIsCarriedOnDemandOnly) {
  const Place first;
  CHECK(wasRefused(live(first, 0, [&] { CHECK(unlink(first.library().c_str()) == 0); }, 1)));
  const Place second;
  CHECK(wasRefused(live(second, kCarryShared, [&] { CHECK(unlink(second.shell().c_str()) == 0); }, 1)));
  const Place third;
  CHECK(wasRefused(live(third, kCarryExecutable, [&] { CHECK(unlink(third.library().c_str()) == 0); }, 1)));
}

TEST(theExecutableIsAmongWhatIsMappedPrivately) {
  const Place place;
  const auto outcome = live(place, kCarryPrivate, [&] { CHECK(unlink(place.shell().c_str()) == 0); }, 2);
  CHECK(outcome.status == 0 && outcome.output == kExpected);
}

TEST(aProgramDeletedWhileItRunsGoesOn) {
  const Place place;
  roundtrip::Job job;
  job.uid = geteuid() == 0 ? kOrdinary : geteuid();
  job.command = {place.shell(), "-c", "rm " + place.shell() + kScript};
  job.directory = place.directory;
  job.generations = 2;
  const auto outcome = roundtrip::run(job);
  CHECK(outcome.status == 0 && outcome.output == kExpected);
  if (outcome.output != kExpected) std::printf("  output: %s\n", outcome.output.c_str());
}

CHECK_MAIN

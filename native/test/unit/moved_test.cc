// A directory has another name at the restart (--relocate OLD=NEW): whatever has a path below it follows, and the old name is left alone.
#include "survive.h"
#include "temporary_directory.h"

namespace {

void moves(uid_t uid) {
  const TemporaryDirectory own("moved");
  const std::string home = own.path(), before = home + "/old", after = home + "/new";
  CHECK(mkdir(before.c_str(), 0755) == 0 && std::filesystem::copy_file(victims() + "moved", before + "/program"));
  if (geteuid() == 0) CHECK(std::system(("chown -R " + std::to_string(uid) + " " + home).c_str()) == 0);
  roundtrip::Job job;
  job.command = {before + "/program", home};
  job.directory = home;
  job.uid = uid;
  job.generations = 2;
  job.intervalMs = 20;
  job.tellsReady = true;
  job.relocate = {{before, after}};
  job.between = [&] {
    std::filesystem::rename(before, after);
    CHECK(mkdir(before.c_str(), 0755) == 0);
    std::ofstream(before + "/data") << "another file";
  };
  const roundtrip::Outcome outcome = roundtrip::run(job);
  CHECK(outcome.status == 0 && outcome.output == "moved\n");
  if (outcome.output != "moved\n") std::printf("  output: %s\n", outcome.output.c_str());
  CHECK(roundtrip::readAll(before + "/data") == "another file" && !std::filesystem::exists(before + "/program"));
}

}  // namespace

TEST(everythingWithAPathFollows) {
  moves(geteuid() == 0 ? kOrdinary : geteuid());
  if (geteuid() == 0) moves(0);
}

CHECK_MAIN

// Many checkpoints of one living job: neither the target, nor its keeper, nor the requester may grow. argv[1]: how many, by default 100.
#include <dirent.h>
#include <poll.h>

#include <fstream>

#include "check.h"
#include "job.h"

namespace {

constexpr int kLimitMs = 30000;
constexpr int kBatches = 4;
#ifdef __SANITIZE_ADDRESS__
constexpr long kSlackKb = 2048;  // what was freed is kept for a while
#else
constexpr long kSlackKb = 512;  // an allocator's own doing, in one batch
#endif

int count = 100;

/** What a process holds. */
struct Holdings {
  long descriptors = 0, mappings = 0, children = 0, memoryKb = 0, threads = 0;
};

long entriesOf(const std::string& path) {
  DIR* const directory = ::opendir(path.c_str());
  if (directory == nullptr) return -1;
  long entries = -2;  // . and ..
  while (::readdir(directory) != nullptr) ++entries;
  ::closedir(directory);
  return entries;
}

Holdings look(pid_t pid) {
  const std::string directory = "/proc/" + std::to_string(pid);
  Holdings found;
  found.descriptors = entriesOf(directory + "/fd");
  found.threads = entriesOf(directory + "/task");
  std::string line;
  for (std::ifstream maps(directory + "/maps"); std::getline(maps, line);) ++found.mappings;
  std::ifstream children(directory + "/task/" + std::to_string(pid) + "/children");
  for (pid_t child = 0; children >> child;) ++found.children;
  for (std::ifstream status(directory + "/status"); std::getline(status, line);) std::sscanf(line.c_str(), "VmRSS: %ld", &found.memoryKb);
  return found;
}

bool hasGrown(const Holdings& before, const Holdings& after) {
  return after.descriptors > before.descriptors || after.mappings > before.mappings || after.children > before.children ||
         after.threads > before.threads || after.memoryKb > before.memoryKb + kSlackKb;
}

struct Watched {
  const char* who;
  pid_t pid;
  Holdings before = look(pid);
};

/** What it holds more than it did at the last look, if anything. */
bool grows(Watched& one) {
  const Holdings before = one.before;
  one.before = look(one.pid);
  // What belongs to the last request is let go a moment after its answer.
  for (int tries = 0; tries < 1000 && hasGrown(before, one.before); ++tries) {
    ::usleep(5000);
    one.before = look(one.pid);
  }
  CHECK(before.mappings > 0 && one.before.mappings > 0);
  if (!hasGrown(before, one.before)) return false;
  for (const Holdings& each : {before, one.before})
    std::printf("  %s: %ld descriptors, %ld mappings, %ld children, %ld threads, %ld KiB\n", one.who, each.descriptors, each.mappings,
                each.children, each.threads, each.memoryKb);
  return true;
}

void checkpoint(pid_t target, uint32_t snapshot, int fd) {
  CHECK(::ftruncate(fd, 0) == 0 && ::lseek(fd, 0, SEEK_SET) == 0);
  cr_checkpoint_args_t args;
  cr_initialize_checkpoint_args_t(&args);
  args.cr_scope = CR_SCOPE_TREE;
  args.cr_target = target;
  args.cr_fd = fd;
  crx_checkpoint_options_t options{};
  options.size = sizeof options;
  options.snapshot = snapshot;
  options.checksum = 1;
  cr_checkpoint_handle_t handle = 0;
  CHECK(crx_request_checkpoint(&args, &options, &handle) == 0);
  pollfd item{static_cast<int>(handle), POLLIN, 0};
  CHECK(::poll(&item, 1, kLimitMs) == 1);
  CHECK(cr_reap_checkpoint(&handle) == 0);
}

/** An arena or a stack more, for threads that happened to be there at once, is no leak: a leak goes on, batch after batch. */
void checkMany(uint32_t snapshot) {
  const TestJob job;
  const blcr::UniqueFd file(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  for (int warm = 0; warm < 10; ++warm) checkpoint(job.root(), snapshot, file.get());
  Watched all[] = {{"target", job.root()}, {"keeper", job.keeper()}, {"requester", ::getpid()}};
  bool grew = true;
  for (int batch = 0; grew && batch < kBatches; ++batch) {
    for (int taken = 0; taken < count; ++taken) checkpoint(job.root(), snapshot, file.get());
    grew = false;
    for (Watched& one : all) grew = grows(one) || grew;
  }
  CHECK(!grew);
}

}  // namespace

TEST(nothingGrowsForked) { checkMany(CRX_SNAPSHOT_FORK); }
TEST(nothingGrowsStopAndCopy) { checkMany(CRX_SNAPSHOT_PLAIN); }

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--victim") == 0) return victimMain();
  if (argc > 1) count = std::atoi(argv[1]);
  return check::run(1, argv);
}

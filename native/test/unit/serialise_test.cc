#include "image/serialise.h"

#include <random>

#include "check.h"
#include "image/validate.h"
#include "sample_image.h"

using namespace blcr::image;

namespace {

bool refused(void (*damage)(Image&)) {
  Image image = sampleImage();
  damage(image);
  const auto read = deserialise(serialise(image));
  return !read.ok() && read.error().code == EINVAL && read.error().detail.find("metadata") == 0;
}

}  // namespace

TEST(whatIsWrittenIsRead) {
  const std::string bytes = serialise(sampleImage());
  const auto image = deserialise(bytes);
  CHECK(image.ok());
  if (!image.ok()) return;
  CHECK(serialise(image.value()) == bytes);
  CHECK(image.value().processes.size() == 3);
  CHECK(image.value().processes[1].tasks[1].tid == 111);
  CHECK(image.value().processes[2].state == ProcessState::kZombie);
  CHECK(image.value().sockets[0].queue[1].data == "second");
  CHECK(image.value().files[3].epoll[0].data == 42);
  CHECK(image.value().inheritedPath[1] == "/tmp/out");
}

TEST(truncationAtEveryPositionIsRefused) {
  const std::string bytes = serialise(sampleImage());
  for (size_t length = 0; length < bytes.size(); ++length) CHECK(!deserialise(std::string_view(bytes).substr(0, length)).ok());
  CHECK(!deserialise(bytes + '\0').ok());
}

TEST(randomDamageNeverCrashesAndKeepsTheInvariants) {
  const std::string bytes = serialise(sampleImage());
  std::mt19937 generator(7);
  for (int round = 0; round < 3000; ++round) {
    std::string damaged = bytes;
    for (unsigned count = 1 + generator() % 4; count != 0; --count)
      damaged[generator() % damaged.size()] = char(generator() % 3 == 0 ? 0xff : generator());
    const auto image = deserialise(damaged);
    if (image.ok()) CHECK(validate(image.value()).ok());
  }
}

TEST(inconsistentImagesAreRefused) {
  CHECK(refused([](Image& image) { image.processes[1].pid = 100; }));
  CHECK(refused([](Image& image) { image.processes[1].ppid = 999; }));
  CHECK(refused([](Image& image) { std::swap(image.processes[0], image.processes[1]); }));
  CHECK(refused([](Image& image) { image.root = 1; }));
  CHECK(refused([](Image& image) { image.keeper = image.processes[0].tasks[1].tid; }));
  CHECK(refused([](Image& image) { image.keeper = -1; }));
  CHECK(refused([](Image& image) { image.processes[0].descriptors[0].file = 99; }));
  CHECK(refused([](Image& image) { image.files[0].inherited = 1000; }));  // a pipe could have been there, but this is none
  CHECK(refused([](Image& image) { image.processes[0].descriptors[1].fd = 0; }));
  CHECK(refused([](Image& image) { image.processes[0].memory.areas[1].start = 0x400800; }));
  CHECK(refused([](Image& image) { image.processes[0].memory.areas[1].start = 0x400000; }));
  CHECK(refused([](Image& image) { image.processes[0].memory.areas[1].hugeShift = 21; }));  // not at such an address
  CHECK(refused([](Image& image) { image.processes[0].memory.areas[1].hugeShift = 85; }));
  CHECK(refused([](Image& image) { image.processes[0].memory.areas[2].hugeShift = 13; }));  // of a segment with others
  CHECK(refused([](Image& image) { image.shared[0].hugeShift = 13, image.shared[0].size = 0x1000; }));
  CHECK(refused([](Image& image) { image.processes[0].memory.areas[0].file = 5; }));
  CHECK(refused([](Image& image) { image.processes[0].memory.areas[2].file = 5; }));
  CHECK(refused([](Image& image) { image.processes[0].tasks[1].tid = 110; }));
  CHECK(refused([](Image& image) { image.processes[0].tasks.clear(); }));
  CHECK(refused([](Image& image) { image.processes[0].tasks[0].regs.pop_back(); }));
  // A main thread that has ended: only the first of several can have, and by an exit.
  CHECK(!refused([](Image& image) { image.processes[0].tasks[0].regs.clear(); }));
  CHECK(refused([](Image& image) { image.processes[0].tasks[1].regs.clear(); }));
  CHECK(refused([](Image& image) {
    image.processes[0].tasks.resize(1);
    image.processes[0].tasks[0].regs.clear();
  }));
  CHECK(refused([](Image& image) {
    image.processes[0].tasks[0].regs.clear();
    image.processes[0].exitStatus = 9;
  }));
  CHECK(refused([](Image& image) { image.processes[0].tasks[0].pending[0].siginfo.clear(); }));
  CHECK(!refused([](Image& image) { image.processes[1].forkedFrom = 0; }));
  CHECK(refused([](Image& image) { image.processes[1].forkedFrom = 3; }));
  CHECK(refused([](Image& image) { image.processes[1].forkedFrom = 1; }));
  CHECK(refused([](Image& image) { image.processes[1].forkedFrom = 2; }));  // a zombie
  CHECK(refused([](Image& image) { image.processes[0].forkedFrom = 1, image.processes[1].forkedFrom = 0; }));
  CHECK(refused([](Image& image) { image.files[1].object = 3; }));
  CHECK(refused([](Image& image) { image.files[4].object = 1; }));
  CHECK(refused([](Image& image) { image.files[5].object = 1; }));
  CHECK(refused([](Image& image) { image.files[5].kind = FileKind::kDevice; }));  // a ring that nobody has
  CHECK(refused([](Image& image) { image.rings[0].entries = 12; }));
  CHECK(refused([](Image& image) { image.rings[0].completions = 4; }));
  CHECK(refused([](Image& image) { image.rings[0].flags = 2; }));
  CHECK(refused([](Image& image) { image.rings[0].count = kMaxRingCount + 1; }));
  CHECK(refused(
      [](Image& image) { image.processes[0].memory.areas[2].kind = AreaKind::kRing, image.processes[0].memory.areas[2].file = 1; }));
  CHECK(refused([](Image& image) { image.sockets[0].peer = 0; }));
  CHECK(refused([](Image& image) { image.sockets[0].name.assign(1, 'x'); }));
  CHECK(refused([](Image& image) { image.sockets[0].waiting.push_back(0); }));
  CHECK(refused([](Image& image) { image.sockets[0].queue[1].files[0] = 99; }));
  CHECK(refused([](Image& image) { image.files[2].blob = kNone; }));
  CHECK(refused([](Image& image) { image.files[3].epoll[0].file = 77; }));
  CHECK(refused([](Image& image) { image.processes[0].cwd = std::string("/a\0b", 4); }));
  CHECK(refused([](Image& image) { image.processes[0].actions.clear(); }));
}

CHECK_MAIN

// Runs one target for a while, guided by coverage: inputs that reach something new are kept and changed further.
// Usage: fuzz_TARGET [--seconds N] [--seed N] [FILE…]      FILE: runs these inputs once and nothing else
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string_view>

#include "coverage.h"
#include "mutate.h"
#include "target.h"

namespace {

/** No parser may need longer for one input, however loaded the machine. */
constexpr unsigned kHangSeconds = 60;

/** The input under test, shared with the parent: whatever ends the child, its last input is known. */
struct Current {
  size_t size;
  uint8_t bytes[fuzz::kMaxInput];
};
Current* current = nullptr;

/** Whether the input reached something new. */
bool run(const std::string& input) {
  current->size = std::min(input.size(), fuzz::kMaxInput);
  std::memcpy(current->bytes, input.data(), current->size);
  // On the heap and exactly as long as the input, so that the sanitizer sees a read beyond its end.
  const std::string copy(reinterpret_cast<const char*>(current->bytes), current->size);
  fuzz::startInput();
  alarm(kHangSeconds);
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(copy.data()), copy.size());
  alarm(0);
  return fuzz::foundNew();
}

std::string readFile(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Options {
  double seconds = 3;
  uint64_t seed = 1;
  std::vector<const char*> files;
};

Options readOptions(int argc, char** argv) {
  Options options;
  for (int at = 1; at < argc; ++at) {
    const std::string_view word = argv[at];
    if (word == "--seconds" && at + 1 < argc) {
      options.seconds = std::atof(argv[++at]);
    } else if (word == "--seed" && at + 1 < argc) {
      options.seed = std::strtoull(argv[++at], nullptr, 10);
    } else {
      options.files.push_back(argv[at]);
    }
  }
  return options;
}

uint64_t explore(std::vector<std::string>& corpus, const Options& options) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double>(options.seconds);
  std::mt19937_64 random(options.seed);
  uint64_t runs = 0;
  while (Clock::now() < end) {
    std::string input = corpus[random() % corpus.size()];
    fuzz::mutate(input, corpus[random() % corpus.size()], random);
    if (fuzzRepair != nullptr && random() % 4 != 0) fuzzRepair(input);
    if (run(input)) corpus.push_back(std::move(input));
    ++runs;
  }
  return runs;
}

/** In the child. True when the target held and there was something to explore behind its guards. */
bool work(const Options& options) {
  for (const char* file : options.files) run(readFile(file));
  if (!options.files.empty()) return true;
  std::vector<std::string> corpus = fuzzSeeds();
  for (const std::string& seed : corpus) run(seed);
  const unsigned before = fuzz::edges();
  const uint64_t runs = explore(corpus, options);
  std::printf("%llu inputs, %u edges after the seeds, %u at the end, %zu inputs kept\n", static_cast<unsigned long long>(runs), before,
              fuzz::edges(), corpus.size());
  return fuzz::edges() > before;
}

void keepInput() {
  const char* directory = std::getenv("TMPDIR");
  const std::string path = std::string(directory == nullptr ? "/tmp" : directory) + "/fuzz-crash-" + std::to_string(getpid());
  std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(current->bytes), std::streamsize(current->size));
  std::printf("  the input that did it is in %s\n", path.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = readOptions(argc, argv);
  void* shared = mmap(nullptr, sizeof(Current), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return 1;
  current = static_cast<Current*>(shared);
  const pid_t child = fork();
  if (child == 0) {
    const bool isGood = work(options);
    std::fflush(stdout);
    _exit(isGood ? 0 : 2);
  }
  int status = 0;
  const bool isGood = waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  if (!isGood && !(WIFEXITED(status) && WEXITSTATUS(status) == 2)) keepInput();
  const std::string_view path = argv[0];
  std::printf("%s %s\n", isGood ? "ok" : "FAILED", path.substr(path.rfind('/') + 1).data());
  return isGood ? 0 : 1;
}

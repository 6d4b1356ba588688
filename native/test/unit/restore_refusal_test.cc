// What must not be restarted is refused before anything of it runs and before anything outside is touched.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/user.h>

#include <cstring>
#include <filesystem>

#include "base/codes.h"
#include "check.h"
#include "image/serialise.h"
#include "image/stream.h"
#include "roundtrip.h"

using namespace blcr;

namespace {

/** A context of a shell that appends to a file, made once; the shell would write "ran" as soon as it ran: `go` is there then. */
struct Sample {
  roundtrip::Job job;
  std::string context;
  Sample() {
    char directory[] = "/tmp/refusal-XXXXXX";
    CHECK(mkdtemp(directory) != nullptr);
    job.directory = directory;
    job.command = {"/bin/sh", "-c", "exec 5>>data; echo before >&5; while [ ! -e go ]; do sleep 0.1; done; echo ran >&5"};
    job.uid = geteuid();
    const pid_t keeper = fork();
    if (keeper == 0) {
      alarm(20);
      job.generations = 1;
      roundtrip::start(job);
    }
    int status = 0;
    waitpid(keeper, &status, 0);
    CHECK(status == 0);
    context = roundtrip::readAll(roundtrip::contextPath(job, 0));
    CHECK(content() == "before\n");
    std::ofstream(job.directory + "/go") << "";
    std::ofstream(path(), std::ios::app) << "later";  // restart has to roll this back, a refusal must not
  }
  ~Sample() { std::filesystem::remove_all(job.directory); }
  [[nodiscard]] std::string path() const { return job.directory + "/data"; }
  [[nodiscard]] std::string content() const { return roundtrip::readAll(path()); }
};

Sample& sample() {
  static Sample only;
  return only;
}

struct Attempt {
  int code = 0;  // of the error, 0 = it ran to its end
  std::string detail;
};

/** Restarts `context` in a process of its own. */
Attempt attempt(const std::string& context, FilePolicy policy = FilePolicy::kRollback) {
  int report[2], stream[2];
  CHECK(pipe(report) == 0 && pipe(stream) == 0);
  const pid_t keeper = fork();
  if (keeper == 0) {
    alarm(30);
    close(stream[1]);
    Log log;
    RestoreRequest request;
    request.inputFd = stream[0];
    request.files = policy;
    const auto fail = [&](const Error& error) {
      const std::string text = std::to_string(error.code).append(" ").append(error.detail);
      static_cast<void>(!write(report[1], text.data(), text.size()));
      _exit(1);
    };
    auto plan = readPlan(request, log);
    if (!plan) fail(plan.error());
    const auto init = enterNamespaces(*plan, request, log);
    if (!init.ok()) fail(init.error());
    if (init.value() > 0) {
      waitpid(init.value(), nullptr, 0);
      _exit(0);
    }
    const auto restored = restore(*plan, request, log);
    if (!restored.ok()) fail(restored.error());
    roundtrip::follow(restored.value().root);
  }
  close(report[1]);
  close(stream[0]);
  signal(SIGPIPE, SIG_IGN);
  for (size_t at = 0; at < context.size();) {
    const ssize_t part = write(stream[1], context.data() + at, context.size() - at);
    if (part <= 0) break;  // refused already
    at += size_t(part);
  }
  close(stream[1]);
  std::string text(4096, '\0');
  const ssize_t got = read(report[0], text.data(), text.size());
  close(report[0]);
  waitpid(keeper, nullptr, 0);
  if (got <= 0) return {};
  text.resize(size_t(got));
  return {std::atoi(text.c_str()), text.substr(text.find(' ') + 1)};
}

/** The sample with other metadata, pages as they were. */
std::string changed(void (*change)(image::Image&)) {
  char in[] = "/tmp/refusal-in-XXXXXX", out[] = "/tmp/refusal-out-XXXXXX";
  const UniqueFd source(mkstemp(in)), target(mkstemp(out));
  CHECK(pwrite(source.get(), sample().context.data(), sample().context.size(), 0) == ssize_t(sample().context.size()));
  image::Reader reader(source.get());
  image::Writer writer(target.get(), false);
  CHECK(reader.head().ok());
  auto image = image::deserialise(reader.meta().value());
  change(*image);
  const std::string meta = image::serialise(*image);
  CHECK(writer.head(meta.size()).ok() && writer.meta(meta).ok());
  for (auto frame = reader.next(); frame.ok() && frame->header.type != image::FrameType::kTrailer; frame = reader.next()) {
    CHECK(frame->header.type == image::FrameType::kPage);
    image::PagePrefix prefix{};
    std::memcpy(&prefix, frame->payload.data(), sizeof prefix);
    CHECK(writer.pages(prefix.space, prefix.address, frame->payload.subspan(sizeof prefix)).ok());
  }
  CHECK(writer.trailer().ok());
  unlink(in);
  const std::string text = roundtrip::readAll(out);
  unlink(out);
  return text;
}

void refuses(const std::string& context, int code, const std::string& word, FilePolicy policy = FilePolicy::kRollback) {
  const Attempt seen = attempt(context, policy);
  CHECK(seen.code == code);
  CHECK(seen.detail.find(word) != std::string::npos);
  if (seen.code != code || seen.detail.find(word) == std::string::npos) std::printf("  %d %s\n", seen.code, seen.detail.c_str());
  CHECK(sample().content() == "before\nlater");
}

}  // namespace

TEST(truncatedContextsNeverRun) {
  const std::string& whole = sample().context;
  for (const size_t length : {size_t(0), size_t(20), whole.size() / 3, whole.size() / 2, whole.size() - 41, whole.size() - 1})
    refuses(whole.substr(0, length), EIO, "before its trailer");
}

TEST(damagedContextsNeverRun) {
  for (const size_t part : {3ul, 5ul, 7ul, 8ul}) {
    std::string damaged = sample().context;
    const size_t at = damaged.size() * part / 9;
    damaged[at] = char(damaged[at] ^ 4);
    refuses(damaged, EINVAL, "frame");
  }
}

TEST(anotherMachineIsRefusedByName) {
  refuses(changed([](image::Image& image) { image.host.cpuid[2] = ~0u; }), kErrorBadArchitecture, "lacks features");
  refuses(changed([](image::Image& image) { image.host.vdso[1] = 0; }), kErrorBadArchitecture, "vdso");
  refuses(changed([](image::Image& image) {
            image.host.vdso.back() = char(image.host.vdso.back() + 1);
            for (const image::Area& area : image.processes[0].memory.areas)
              if (area.kind == image::AreaKind::kVdso)
                image.processes[0].tasks[0].regs.replace(offsetof(user_regs_struct, rip), 8, reinterpret_cast<const char*>(&area.start), 8);
          }),
          kErrorBadArchitecture, "inside the vdso");
}

TEST(otherFilesAreRefusedByPath) {
  refuses(changed([](image::Image& image) { image.mapped[0].identity.pop_back(); }), ESTALE, "other content");
  refuses(changed([](image::Image& image) { image.mapped[0].path = "/nowhere/at/all"; }), ENOENT, "/nowhere/at/all");
  refuses(changed([](image::Image& image) { image.processes[0].cwd = "/nowhere"; }), ENOENT, "/nowhere");
  refuses(sample().context, ESTALE, "data", FilePolicy::kRefuse);
  refuses(changed([](image::Image& image) {
            for (image::OpenFile& file : image.files)
              if (file.path.ends_with("/data")) file.size = 1000;
          }),
          ESTALE, "cannot be rolled back");
}

/** An io_uring that this kernel lays out otherwise, or may not make. */
TEST(ringsAreMadeBeforeAnythingIsTouched) {
  refuses(changed([](image::Image& image) {
            image::Ring& ring = image.rings.emplace_back();
            ring.entries = 8, ring.completions = 16;
            image::OpenFile& file = image.files.emplace_back();
            file.kind = image::FileKind::kRing, file.object = 0;
          }),
          kErrorNoSupport, "an io_uring of 8 entries");
}

/** One size that no x86 has, and more of the other than any test machine. */
TEST(hugePagesAreNotReplacedByOthers) {
  refuses(changed([](image::Image& image) {
            auto& areas = image.processes[0].memory.areas;
            areas.insert(areas.begin(), {.start = 1ull << 28, .end = 1ull << 29, .protection = 3, .hugeShift = 24});
          }),
          EINVAL, "this node has no huge pages of 16384 kB");
  refuses(changed([](image::Image& image) {
            auto& areas = image.processes[0].memory.areas;
            areas.insert(areas.begin(), {.start = 1ull << 40, .end = 2ull << 40, .protection = 3, .hugeShift = 21});
          }),
          ENOMEM, "of huge pages of 2048 kB ");
}

/** Whoever connects with a socket that listens is told of them: a context is not to be believed. */
TEST(peersOfOthersAreRefused) {
  if (geteuid() == 0) return;
  refuses(changed([](image::Image& image) {
            image::Socket& socket = image.sockets.emplace_back();
            socket.domain = AF_UNIX, socket.type = SOCK_STREAM, socket.state = image::SocketState::kListening;
            socket.peerCredentials = {1, 0, 0, {}};
          }),
          EPERM, "of user 0");
}

TEST(pagesOfNobodyAreRefused) {
  refuses(changed([](image::Image& image) {
            const auto segment = uint32_t(image.shared.size());  // System V segments of others of this user may be there
            for (image::Area& area : image.processes[0].memory.areas) {
              if (area.kind != image::AreaKind::kAnonymous || (area.flags & image::kGrowsDown) != 0) continue;
              area.kind = image::AreaKind::kShared;
              area.shared = true;
              area.maybeWritable = true;
              area.file = segment;
            }
            image.shared.emplace_back().size = 1 << 30;
          }),
          EINVAL, "no private memory");
}

TEST(theSoundContextRunsAndRollsBack) {
  const Attempt seen = attempt(sample().context);
  CHECK(seen.code == 0);
  if (seen.code != 0) std::printf("  %s\n", seen.detail.c_str());
  CHECK(sample().content() == "before\nran\n");
}

CHECK_MAIN

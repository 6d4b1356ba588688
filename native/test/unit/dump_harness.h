// Victims made by fork, and dumps of them read back through the checked reader.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/unique_fd.h"
#include "check.h"
#include "dump/dump.h"
#include "image/serialise.h"
#include "image/stream.h"

namespace harness {

using namespace blcr;

/** A child that runs `body`; `ready` is called by it when everything is set up. Killed with its group when the guard goes. */
class Victim {
 public:
  using Body = std::function<int(const std::function<void()>& ready)>;
  explicit Victim(const Body& body) {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) abort();
    pid_ = fork();
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      setsid();
      const int tell = fcntl(fds[1], F_DUPFD, 900);
      for (int fd = 3; fd < 900; ++fd) close(fd);
      _exit(body([tell] {
        if (write(tell, "r", 1) != 1) _exit(99);
        close(tell);
      }));
    }
    close(fds[1]);
    char byte = 0;
    ready_ = read(fds[0], &byte, 1) == 1;
    close(fds[0]);
  }
  ~Victim() {
    if (pid_ <= 0) return;
    kill(-pid_, SIGKILL);
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, __WALL);
  }
  Victim(const Victim&) = delete;
  Victim& operator=(const Victim&) = delete;
  pid_t pid() const { return pid_; }
  bool ready() const { return ready_; }
  void forget() { pid_ = 0; }
  /** Exit code, or 256 + signal. */
  int join() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
  }

 private:
  pid_t pid_ = 0;
  bool ready_ = false;
};

/** What came out of one dump. */
struct Dumped {
  bool good = false;
  Error error;
  DumpResult result;
  bool verified = false;
  image::Image image;
  std::map<std::pair<uint32_t, uint64_t>, std::string> pages;  // (space, address)
  std::map<uint32_t, std::string> blobs;

  /** Bytes of a space; missing pages are zero. */
  std::string bytes(uint32_t space, uint64_t address, size_t size) const {
    std::string text;
    for (uint64_t page = address & ~4095ull; page < address + size; page += 4096) {
      const auto found = pages.find({space, page});
      text += found == pages.end() ? std::string(4096, '\0') : found->second;
    }
    return text.substr(address & 4095, size);
  }
  const image::Process* process(pid_t pid) const {
    for (const image::Process& entry : image.processes) {
      if (entry.pid == pid) return &entry;
    }
    return nullptr;
  }
  const image::OpenFile* file(pid_t pid, int fd) const {
    const image::Process* owner = process(pid);
    if (owner == nullptr) return nullptr;
    for (const image::Descriptor& descriptor : owner->descriptors) {
      if (descriptor.fd == fd) return &image.files[descriptor.file];
    }
    return nullptr;
  }
};

inline void readContext(int fd, Dumped& into) {
  image::Reader reader(fd);
  if (!reader.head()) return;
  auto meta = reader.meta();
  if (!meta) return;
  auto image = image::deserialise(*meta);
  if (!image) {
    std::printf("  image: %s\n", image.error().detail.c_str());
    return;
  }
  into.image = *std::move(image);
  while (true) {
    auto frame = reader.next();
    if (!frame) return;
    const char* payload = reinterpret_cast<const char*>(frame->payload.data());
    if (frame->header.type == image::FrameType::kTrailer) {
      into.verified = true;
      return;
    }
    if (frame->header.type == image::FrameType::kPage) {
      image::PagePrefix prefix{};
      std::memcpy(&prefix, payload, sizeof prefix);
      for (size_t at = sizeof prefix; at < frame->header.length; at += 4096) {
        into.pages[{prefix.space, prefix.address + at - sizeof prefix}] = std::string(payload + at, 4096);
      }
    } else if (frame->header.type == image::FrameType::kSame) {
      image::SpacePrefix prefix{};
      std::memcpy(&prefix, payload, sizeof prefix);
      const uint32_t source = into.image.processes[prefix.space].forkedFrom;
      for (size_t at = sizeof prefix; at < frame->header.length; at += sizeof(image::SameRange)) {
        image::SameRange range{};
        std::memcpy(&range, payload + at, sizeof range);
        for (; range.start < range.end; range.start += 4096)
          if (const auto page = into.pages.find({source, range.start}); page != into.pages.end())
            into.pages[{prefix.space, range.start}] = page->second;
      }
    } else if (frame->header.type == image::FrameType::kFile) {
      image::FilePrefix prefix{};
      std::memcpy(&prefix, payload, sizeof prefix);
      into.blobs[prefix.blob].append(payload + sizeof prefix, frame->header.length - sizeof prefix);
    }
  }
}

inline void waitDone(const Dump& dump) {
  pollfd entry{dump.pollFd(), POLLIN, 0};
  poll(&entry, 1, 20000);
}

/** One dump through a pipe. `change` adjusts the request. */
inline Dumped dump(pid_t pid, Snapshot snapshot, const std::function<void(DumpRequest&)>& change = {}) {
  Dumped dumped;
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return dumped;
  UniqueFd output(fds[1]);
  std::thread reader([&dumped, fd = fds[0]] {
    readContext(fd, dumped);
    close(fd);
  });
  Log log;
  DumpRequest request;
  request.target = pid;
  request.outputFd = output.get();
  request.snapshot = snapshot;
  if (change) change(request);
  {
    auto job = Dump::create(request, log);
    const Status started = job->start();
    if (started) {
      waitDone(*job);
      auto result = job->finish();
      dumped.good = result.ok();
      if (result) dumped.result = *result;
      if (!result) dumped.error = result.error();
    } else {
      dumped.error = started.error();
    }
  }
  output.reset();
  reader.join();
  if (getenv("VERBOSE") != nullptr && !log.text().empty()) std::printf("  %s", log.text().c_str());
  return dumped;
}

inline int pauseForever() {
  while (true) pause();
}

/** A victim that finds out by itself whether anything was left behind: children, descriptors, areas, signal mask. */
inline int selfChecker(const std::function<void()>& ready) {
  const auto countLines = [](const char* path) {
    FILE* file = fopen(path, "r");
    int lines = 0;
    for (int c = 0; file != nullptr && (c = fgetc(file)) != EOF;) lines += c == '\n' ? 1 : 0;
    if (file != nullptr) fclose(file);
    return lines;
  };
  static_cast<void>(countLines("/proc/self/maps"));
  const int maps = countLines("/proc/self/maps");
  static volatile sig_atomic_t go;
  signal(SIGUSR1, [](int) { go = 1; });
  ready();
  volatile double x = 1;
  while (go == 0) x = x * 1.0000001;
  if (countLines("/proc/self/maps") != maps) return 1;
  if (waitpid(-1, nullptr, __WALL | WNOHANG) != -1 || errno != ECHILD) return 2;
  sigset_t mask;
  sigprocmask(SIG_BLOCK, nullptr, &mask);
  for (int signal = 1; signal < 65; ++signal) {
    if (sigismember(&mask, signal) == 1) return 3;
  }
  return x > 1 ? 42 : 4;
}

}  // namespace harness

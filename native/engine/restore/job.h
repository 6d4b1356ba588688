// What the rooms of the restart share while a job is being built.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "image/inherited.h"
#include "restore/restore.h"
#include "restore/tasks/stub.h"

namespace blcr {

/** Recorded process and thread numbers to those of the restored tasks: the same unless new ones were asked for. */
class Numbers {
 public:
  void set(int32_t recorded, pid_t actual) { actual_[recorded] = actual; }
  [[nodiscard]] pid_t operator()(int32_t recorded) const {
    const auto found = actual_.find(recorded);
    return found == actual_.end() ? recorded : found->second;
  }

 private:
  std::unordered_map<int32_t, pid_t> actual_;
};

/** One recorded process and its tasks under construction; tasks[0] is the leader. */
struct Building {
  const image::Process* process = nullptr;
  std::vector<Stub> tasks;
  bool hasMemory = false;                       // laid out
  bool hasPages = false;                        // of a process that others are forked from: all that the context has
  bool isBridged = false;                       // the kernel's areas are not where the job had them
  const Building* bornIn = nullptr;             // whose memory it was born with: of a stub that had been laid out
  std::vector<image::InheritedArea> inherited;  // what of that is its own
  [[nodiscard]] bool isAlive() const { return process->state == image::ProcessState::kAlive; }
  [[nodiscard]] Stub& leader() { return tasks.front(); }
};

struct Job {
  const image::Image& image;
  const RestoreRequest& request;
  Log& log;
  ScratchPage scratch;
  int64_t startNs = 0;       // CLOCK_MONOTONIC when the restart began: the job's own monotonic clocks run from there
  uint64_t instruction = 0;  // a `syscall` in the coordinator's own vdso, where all stubs begin
  Numbers numbers;
  std::vector<Building> processes;  // as Image::processes
  std::vector<pid_t> spawned;       // everything that must die when the restart fails
};

/** "process 17: …" in front of an error's detail. */
inline Error inProcess(const image::Process& process, const Error& error) {
  return Error{error.code, "process " + std::to_string(process.pid) + ": " + error.detail};
}

}  // namespace blcr

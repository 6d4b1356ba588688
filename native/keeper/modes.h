// The keeper's modes, each an entry point that main.cc chooses. All return or pass on the exit status of the process.
#pragma once

namespace blcr {

/** `run [--lifeline FD [--answers]] [--report FD] [--cpu-baseline NAME] -- PROGRAM ARGS…`: launches a job and looks after it. Inside a job
 * (and without a lifeline, which asks for a life of its own) it just becomes the program. --answers: the lifeline's holder answers requests
 * for the store. */
struct RunOptions {
  int lifeline = -1;
  int report = -1;
  bool answers = false;
  const char* cpuBaseline = "";      // must be one that baselineFeatures() knows and this processor fulfils
  char* const* arguments = nullptr;  // NULL-terminated
};
[[nodiscard]] int runJob(const RunOptions& options);

/** `restart`: descriptor 3 leads to the requester (libcr), whose RestartRequest waits in it. */
[[nodiscard]] int restartJob();

/** `attach`: descriptor 3 leads to the requester, whose CheckpointRequest waits in it; for targets without a keeper. */
[[nodiscard]] int attachOnce();

/** `probe`: does on this host, with a program of its own, what a job would need; prints one line of JSON. */
[[nodiscard]] int probeHost();
/** `probe-victim`: the program that probe checkpoints. */
[[nodiscard]] int probeVictim();

}  // namespace blcr

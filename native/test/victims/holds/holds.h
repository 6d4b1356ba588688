// Small programs that set one kind of thing up, are checkpointed and restarted while they hold it, and then verify it themselves.
// `victim_holds NAME` runs one in its working directory; `victim_holds --list` prints names and outcomes for test/unit/holds_test.cc.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "../victim.h"
#include "supported.h"

namespace holds {

struct Case {
  Case(const Supported& row, void (*body)());
  Supported row;
  void (*body)();
};

inline std::vector<const Case*>& cases() {
  static std::vector<const Case*> all;
  return all;
}

inline Case::Case(const Supported& declared, void (*run)()) : row(declared), body(run) { cases().push_back(this); }

/** Where the program was started; bodies may change their working directory. */
inline std::string& home() {
  static std::string path;
  return path;
}

/** For what the whole machine shares; a life that was killed has left its own, and numbers of processes are used again. */
inline std::string uniqueName(const char* before) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  const std::string number = std::to_string(getpid()), seconds = std::to_string(now.tv_sec), rest = std::to_string(now.tv_nsec);
  return std::string(before).append("holds-").append(number).append("-").append(seconds).append(".").append(rest);
}

/** Everything is set up: checkpoints and restarts happen in here. Touches no descriptor while it waits. */
inline void hold() {
  const std::string ready = home() + "/ready", go = home() + "/go";
  close(open(ready.c_str(), O_CREAT | O_WRONLY, 0600));
  while (access(go.c_str(), F_OK) != 0) usleep(2000);
}

/** This machine does not have or allow what the case is about. */
[[noreturn]] inline void notHere() {
  close(open((home() + "/skipped").c_str(), O_CREAT | O_WRONLY, 0600));
  _exit(0);
}

/** Leaves a shell script that the test runs between checkpoint and restart, in this directory. */
inline void meanwhile(const char* script) {
  const int fd = open((home() + "/between").c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600);
  REQUIRE(write(fd, script, strlen(script)) == ssize_t(strlen(script)));
  close(fd);
}

/** Of its main thread; others may go on. */
inline bool hasEnded(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  return !std::getline(file, text) || text.find(") Z ") != std::string::npos || text.find(") X ") != std::string::npos;
}

inline int put(int fd, const std::string& text) { return write(fd, text.data(), text.size()) == ssize_t(text.size()) ? 0 : -1; }

/** One read of at most `length` bytes; empty at the end of the file and on errors. */
inline std::string take(int fd, size_t length = 4096) {
  std::string text(length, '\0');
  const ssize_t got = read(fd, text.data(), length);
  text.resize(got > 0 ? size_t(got) : 0);
  return text;
}

struct Pipe {
  int read = -1, write = -1;
  Pipe() {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    read = ends[0], write = ends[1];
  }
};

template <typename Body>
pid_t spawn(const Body& body) {
  const pid_t pid = fork();
  if (pid == 0) {
    body();
    _exit(0);
  }
  return pid;
}

/** True when the child ended with status 0. */
inline bool endsWell(pid_t pid) {
  int status = -1;
  return waitpid(pid, &status, 0) == pid && status == 0;
}

/** Waits until `condition` holds. */
template <typename Condition>
void until(const Condition& condition) {
  while (!condition()) usleep(500);
}

}  // namespace holds

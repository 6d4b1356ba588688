// blcr-start: the front of a Node that is installed on the machine. Becomes `node SCRIPT ARGS…`, with the signals held that come before the
// script handles them: they are the job's, and would end a Node that starts. Started by bin/start.
//
// Usage: blcr-start [-TERM] SCRIPT [ARGS…]      -TERM: SIGTERM has come already
#include <fcntl.h>
#include <signal.h>
#include <sysexits.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "starter/environment.h"

namespace blcr::starter {

namespace {

/** A batch system that knows the wrapper runs the job again, on another node. The format is that of lib/cli/error-block.ts. */
int fail(const std::string& what) {
  const char* const advice = "install Node.js on this node and put it on PATH, or use the single file dist/blcr_wrapper, which has its own";
  std::fprintf(stderr, "blcr: %s\n  do:   %s\n  code: ERR_JOB_NODE\n", what.c_str(), advice);
  return EX_TEMPFAIL;
}

/** What is loaded in front of Node lies beside this file. A descriptor's path has none of the characters that part the loader's list. */
std::string openHold() {
  char path[PATH_MAX];
  const ssize_t length = ::readlink("/proc/self/exe", path, sizeof path);
  if (length <= 0) return "";
  const std::string self(path, static_cast<size_t>(length));
  const int file = ::open((self.substr(0, self.rfind('/')) + "/blcr-hold.so").c_str(), O_RDONLY);
  return file < 0 ? "" : "/proc/self/fd/" + std::to_string(file);
}

int start(char** argv) {
  holdSignals();
  if (std::strcmp(argv[1], "-TERM") == 0) {
    ::raise(SIGTERM);  // stays pending
    ++argv;
  }
  std::vector<std::string> variables = environmentForNode(environ, NodeIs::installed, openHold());
  char node[] = "node";
  argv[0] = node;
  ::execvpe(node, argv, pointersTo(variables).data());
  const char* const path = ::getenv("PATH");
  return fail(std::string("node cannot be run (") + std::strerror(errno) + "), PATH is " + (path == nullptr ? "not set" : path));
}

}  // namespace

}  // namespace blcr::starter

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("usage: blcr-start SCRIPT [ARGS...]\n", stderr);
    return EX_USAGE;
  }
  return blcr::starter::start(argv);
}

#include "preflight.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "base/unique_fd.h"

namespace blcr::launcher {

namespace {

/** Exit statuses of the child that stand for errors of execve. */
constexpr int kNoLoader = 120, kNotAllowed = 121, kNotExecuted = 122;

/** The loader lists what it would load, and every version it misses, instead of starting the program. Source: ld.so(8). */
[[noreturn]] void listLibraries(int executable, int output) {
  char* const arguments[] = {const_cast<char*>("node"), nullptr};
  char* const environment[] = {const_cast<char*>("LD_TRACE_LOADED_OBJECTS=1"), const_cast<char*>("LD_WARN=1"), nullptr};
  ::dup2(output, 1);
  ::dup2(output, 2);
  execute(executable, arguments, environment);
  ::_exit(errno == ENOENT ? kNoLoader : errno == EACCES || errno == EPERM ? kNotAllowed : kNotExecuted);
}

std::string readAll(int fd) {
  std::string text;
  char buffer[4096];
  for (ssize_t got = 1; got != 0;) {
    got = ::read(fd, buffer, sizeof buffer);
    if (got < 0 && errno != EINTR) break;
    if (got > 0) text.append(buffer, static_cast<size_t>(got));
  }
  return text;
}

/** `libc.so.6: version `GLIBC_2.28' not found` and `libstdc++.so.6 => not found`, each once. */
std::string missingParts(const std::string& list) {
  std::string missing;
  for (size_t start = 0; start < list.size();) {
    const size_t end = std::min(list.find('\n', start), list.size());
    std::string line = list.substr(start, end - start);
    start = end + 1;
    const size_t found = line.find(" not found");
    if (found == std::string::npos) continue;
    line.resize(found);
    const size_t name = line.find_first_not_of(" \t");
    // In front of a version stand the program's name and the library's whole path.
    const size_t version = line.find("version `");
    std::string part = version != std::string::npos ? line.substr(version + 9) : line.substr(name, line.find(" =>") - name);
    if (part.ends_with('\'')) part.pop_back();
    if (missing.find(part) == std::string::npos) missing += (missing.empty() ? "" : ", ") + part;
  }
  return missing;
}

Status judge(int status, const std::string& list) {
  if (WIFSIGNALED(status))
    return Error{ENOEXEC, std::string("its processor or kernel cannot run it (") + ::strsignal(WTERMSIG(status)) + ")"};
  if (WEXITSTATUS(status) == kNoLoader) return Error{ENOEXEC, "it has no /lib64/ld-linux-x86-64.so.2, the loader of the GNU C library"};
  if (WEXITSTATUS(status) == kNotAllowed) return Error{EACCES, "files may not be executed from there"};
  const std::string missing = missingParts(list);
  if (!missing.empty()) return Error{ENOEXEC, "it lacks " + missing};
  if (WEXITSTATUS(status) != 0) return Error{ENOEXEC, "its loader says: " + list.substr(0, list.find('\n'))};
  return {};
}

}  // namespace

void execute(int executable, char* const* arguments, char* const* environment) {
  ::syscall(SYS_execveat, executable, "", arguments, environment, AT_EMPTY_PATH);
  if (errno != ENOSYS) return;  // Linux 3.19
  ::execve(("/proc/self/fd/" + std::to_string(executable)).c_str(), arguments, environment);
}

Status checkLoadable(int executable) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return systemError("make a pipe");
  const UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return systemError("fork");
  if (child == 0) listLibraries(executable, writing.get());
  writing.reset();
  const std::string list = readAll(reading.get());
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return judge(status, list);
}

}  // namespace blcr::launcher

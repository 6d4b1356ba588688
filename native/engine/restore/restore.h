// Restart of a context: from a stream to running processes with their old numbers.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "image/model.h"
#include "image/stream.h"

namespace blcr {

enum class FilePolicy : uint32_t { kRollback = 0, kKeep = 1, kRefuse = 2 };

struct PathPair {
  std::string from, to;
};

struct RestoreRequest {
  int inputFd = -1;                // borrowed; read once, front to end
  std::vector<PathPair> relocate;  // prefixes of cwd, open and mapped files
  std::vector<PathPair> binds;     // `to` is bind-mounted over `from` in the job's mount namespace
  int stdioFds[3] = {0, 1, 2};     // replace descriptions recorded as kInherited
  std::map<int, int> pipes;        // the same for other numbers; standard input or output for those that are missing
  FilePolicy files = FilePolicy::kRollback;
  bool restorePid = true;  // false: new numbers are taken (several copies at once)
  int signal = 0;          // sent to every restored process after it was let go, but not to those that cooperate
};

struct RestoreResult {
  pid_t root = 0;  // the job's root, a child of the caller
  uint32_t processes = 0, threads = 0;
  uint64_t bytes = 0, totalUs = 0;
  std::vector<pid_t> cooperating;  // by the numbers they have now
};

/**
 * First half, in the outer process (before namespaces exist): reads and checks HEAD and META, compares CPU, kernel and files' identity with
 * this host. Blocks on `inputFd`. The Log and the Error name the reason: EIO the stream ends early · EINVAL malformed, damaged or no
 * context · kErrorVersion other format version · kErrorBadArchitecture CPU features missing (named), other vdso or page size · EPERM a
 * process of another user · ENOENT, EACCES, … a mapped file is missing · ESTALE it has other content (path named).
 */
struct RestorePlan {
  image::Image image;
  image::Reader reader;
};
[[nodiscard]] Result<RestorePlan> readPlan(const RestoreRequest& request, Log& log);

/**
 * Enters new namespaces as the image needs them (user unless privileged; pid, mount, ipc, time) and forks: returns 0 in a process of the
 * new pid namespace with its own /proc, binds done, clocks shifted, and which has the number that the job knows its parent by
 * (Image::keeper), or else is pid 1. Pid 1, whose number the parent gets, ends with that process, and everything there is killed when the
 * calling thread ends. The caller must have one thread and no other unreaped children that end meanwhile. Errors come in the parent only:
 * EPERM and ENOSYS when this host gives users no namespaces, or masks parts of /proc, EINVAL a bind that is no absolute path, ENOENT its
 * source is missing, others of unshare(2) and mount(2). BLCR_DISABLE=timens, privilege.
 */
[[nodiscard]] Result<pid_t> enterNamespaces(const RestorePlan& plan, const RestoreRequest& request, Log& log);

/**
 * Second half, in there: builds every process, loads memory, verifies the trailer, and only then touches files (rollback) and lets the job
 * run. On failure everything built is killed and reaped; nothing outside the namespace was changed. The caller must have one thread (a
 * second one exists for the time of loading). Restored processes are the caller's children where `ppid` is 0 in the image. Errors: those of
 * image::Reader (EIO, EINVAL) · ENOENT, EACCES, … a file or directory cannot be opened (path named) · ESTALE a file cannot be rolled back,
 * or changed under kRefuse · EWOULDBLOCK somebody else has locked it · EPERM numbers cannot be chosen here · EEXIST a number is taken ·
 * ENOTSUP a session, timer number or kind of file that cannot be rebuilt · ENOBUFS a pipe's content does not fit · kErrorBadArchitecture
 * extended registers do not fit · ESRCH a task was killed meanwhile · ENOMEM and others of the calls made in the tasks' names. What is only
 * logged: scheduling, limits, locked memory and oom_score_adj that this node does not grant; a standard stream that is another file is
 * continued at its end. BLCR_DISABLE=clone3, close_range, timer_ids.
 */
[[nodiscard]] Result<RestoreResult> restore(RestorePlan& plan, const RestoreRequest& request, Log& log);

}  // namespace blcr

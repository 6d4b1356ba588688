// cr_restart: restarts processes from a context and stays their parent.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/unique_fd.h"
#include "common/foster.h"
#include "common/hooks.h"
#include "common/relocation.h"
#include "common/request_end.h"
#include "common/request_options.h"

namespace {

using blcr::tools::kUsageError;
using blcr::tools::Value;

constexpr char kName[] = "cr_restart";
constexpr char kUsage[] =
    "usage: cr_restart [options] [FILE]\n"
    "Restarts the processes of a context and ends as their root does.\n"
    "Where the context comes from:\n"
    "  -f, --file FILE\n"
    "  -F, --fd FD              an open descriptor\n"
    "What is restored:\n"
    "  --restore-pid (default), --no-restore-pid\n"
    "  --restore-pgid, --no-restore-pgid, --restore-sid, --no-restore-sid\n"
    "  --relocate OLD=NEW       where files have moved, up to 16 times\n"
    "What happens to the processes then:\n"
    "  --run (default), --stop, --term, --kill, --abort, --cont, -S, --signal NUMBER\n"
    "Commands that are run when it is known how the restart went; their exit status, unless 0, is cr_restart's:\n"
    "  --run-on-success=COMMAND, --run-on-failure=COMMAND\n"
    "  --run-on-fail-temp=COMMAND    it may work later\n"
    "  --run-on-fail-env=COMMAND     something is missing on this machine\n"
    "  --run-on-fail-args=COMMAND    wrong command line, or no context there\n"
    "  --run-on-fail-perm=COMMAND    anything else\n"
    "Other:\n"
    "  --omit-maybe, --omit-always, --omit-never               accepted: cr_restart never is a part of the job\n"
    "  --kmsg-none, --kmsg-error (default), --kmsg-warning      how much of the keeper's log is shown\n"
    "  -q, --quiet, --verbose, -h, -?, --help, -v, --version\n";

struct Options : blcr::tools::RequestOptions {
  cr_restart_args_t request{};
  blcr::tools::Relocations relocations;
  blcr::tools::Hooks hooks;
};

const std::vector<blcr::tools::OptionSpec> kKnown = blcr::tools::withRequestOptions({
    {"restore-pid", 0},
    {"no-restore-pid", 0},
    {"restore-pgid", 0},
    {"no-restore-pgid", 0},
    {"restore-sid", 0},
    {"no-restore-sid", 0},
    {"relocate", 0, Value::kNeeded},
    {"run-on-success", 0, Value::kNeeded},
    {"run-on-failure", 0, Value::kNeeded},
    {"run-on-fail-temp", 0, Value::kNeeded},
    {"run-on-fail-env", 0, Value::kNeeded},
    {"run-on-fail-args", 0, Value::kNeeded},
    {"run-on-fail-perm", 0, Value::kNeeded},
    {"omit-maybe", 0},
    {"omit-always", 0},
    {"omit-never", 0},
    {"verbose", 0},
    {"version", 'v'},
});

struct Flag {
  std::string_view name;
  unsigned set, clear;
};
constexpr Flag kFlags[] = {{"restore-pid", CR_RSTRT_RESTORE_PID, 0},   {"no-restore-pid", 0, CR_RSTRT_RESTORE_PID},
                           {"restore-pgid", CR_RSTRT_RESTORE_PGID, 0}, {"no-restore-pgid", 0, CR_RSTRT_RESTORE_PGID},
                           {"restore-sid", CR_RSTRT_RESTORE_SID, 0},   {"no-restore-sid", 0, CR_RSTRT_RESTORE_SID}};

void apply(const blcr::tools::ParsedOption& option, Options& options) {
  for (const Flag& flag : kFlags) {
    if (flag.name == option.name) options.request.cr_flags = (options.request.cr_flags | flag.set) & ~flag.clear;
  }
  if (blcr::tools::applyRequestOption(option, options) || options.hooks.take(option.name, option.value)) return;
  if (option.name != "relocate") return;
  if (const std::string problem = options.relocations.add(option.value); !problem.empty()) options.complainAbout(problem, EINVAL);
}

/** The exit status: the hook's when it is not 0, else `status`. */
int orHook(const Options& options, const char* event, const sigset_t& mask, int status) {
  const int hook = options.hooks.run(event, mask);
  return hook != 0 ? hook : status;
}

/** libcr's text of CR_ENOSUPPORT is one of checkpoints; here it means that this node lacks, or forbids, what the context needs. */
const char* reasonOf(int error) {
  return error == CR_ENOSUPPORT ? "The context needs something that cannot be restored here" : cr_strerror(error);
}

int restart(Options& options) {
  // Signals for the job may come from now on: they wait until there is somebody to pass them to.
  const blcr::tools::Foster foster;
  blcr::UniqueFd file;
  if (options.fd < 0) {
    file.reset(::open(options.file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) {
      static_cast<void>(reportFailure(kName, options, options.file, errno));
      return orHook(options, "args", foster.before(), kUsageError);  // as BLCR: a missing context is a wrong command line
    }
  }
  options.request.cr_fd = file ? file.get() : options.fd;
  options.request.cr_flags |= CR_RSTRT_ASYNC_ERR;
  options.request.cr_relocate = options.relocations.describe();
  options.request.cr_signal = options.signal;
  cr_restart_handle_t handle = 0;
  blcr::tools::RequestEnd end;
  if (cr_request_restart(&options.request, &handle) != 0) {
    end.error = errno;
  } else {
    end = blcr::tools::awaitRestart(handle);
  }
  reportLog(options, end.log, end.error);
  if (end.error != 0) {
    const int status = reportFailure(kName, options, "Restart failed", end.error, reasonOf(end.error));
    return orHook(options, blcr::tools::eventOf(end.error), foster.before(), status);
  }
  file.reset();
  if (const int hook = options.hooks.run("success", foster.before()); hook != 0) return hook;  // the job goes on without us
  foster.waitLike(end.value);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  cr_initialize_restart_args_t(&options.request);
  const auto parsed = blcr::tools::parseArguments(argc, argv, kKnown, false);
  for (const auto& option : parsed.options) apply(option, options);
  if (!parsed.problem.empty()) options.complainAbout(parsed.problem, kUsageError);
  if (options.version) return blcr::tools::printVersion(kName);
  if (options.help) return std::fputs(kUsage, stdout) < 0 ? 1 : 0;
  if (!options.hasPlace() && parsed.operands.size() == 1) {
    options.file = parsed.operands.front();
  } else if (!parsed.operands.empty()) {
    options.complainAbout("one context only", kUsageError);
  }
  if (!options.hasPlace()) options.complainAbout("a context is needed", kUsageError);
  if (options.problemStatus == 0) return restart(options);
  sigset_t mask;
  ::sigprocmask(SIG_SETMASK, nullptr, &mask);
  if (const int hook = options.hooks.run("args", mask); hook != 0) return hook;
  return blcr::tools::refuseCommandLine(kName, options, kUsage);
}

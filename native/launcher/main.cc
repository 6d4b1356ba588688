// The front of the single executable: unpacks Node, which is not installed on the node, and becomes it. Static, so that it can say what is
// wrong where nothing else runs. It leaves no file behind: what it unpacks has no name.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <string>
#include <vector>

#include "payload.h"
#include "place.h"
#include "preflight.h"
#include "starter/environment.h"

namespace blcr::launcher {

namespace {

/** "Temporary failure": a batch system that knows the wrapper runs the job again, on another node. Source: sysexits.h EX_TEMPFAIL. */
constexpr int kTemporary = 75;

constexpr char kDamaged[] = "ERR_WRAPPER_DAMAGED";
constexpr char kNoPlace[] = "ERR_WRAPPER_NO_PLACE";
constexpr char kNode[] = "ERR_WRAPPER_NODE";

int fail(const char* code, const std::string& what, const char* advice) {
  std::fprintf(stderr, "blcr_wrapper: %s\n  do:   %s\n  code: %s\n", what.c_str(), advice, code);
  return kTemporary;
}

/** The unpacked files; the descriptors of all but the first are for Node. */
struct Unpacked {
  UniqueFd node, addon, library, keeper, hold;
};

Status unpackOne(const Payload& payload, const Place& place, const char* name, UniqueFd& into) {
  const FileEntry* const file = payload.find(name);
  if (file == nullptr) return Error{EBADMSG, std::string("this file is damaged: it has no part ") + name};
  auto created = createFile(place, name, file->size);
  if (!created) return created.error();
  BLCR_TRY(unpackFile(payload, *file, created->get()));
  auto readable = reopenForExecution(*std::move(created));
  if (!readable) return readable.error();
  into = *std::move(readable);
  return {};
}

Status unpackAll(const Payload& payload, const Place& place, Unpacked& files) {
  BLCR_TRY(unpackOne(payload, place, "addon", files.addon));
  BLCR_TRY(unpackOne(payload, place, "libcr.so.0", files.library));
  BLCR_TRY(unpackOne(payload, place, "blcr-keeper", files.keeper));
  BLCR_TRY(unpackOne(payload, place, "hold", files.hold));
  BLCR_TRY(unpackOne(payload, place, "node", files.node));
  if (::fcntl(files.node.get(), F_SETFD, FD_CLOEXEC) != 0) return systemError("fcntl");
  return checkLoadable(files.node.get());
}

/** Becomes Node; returns why that failed. */
Error become(const Unpacked& files, const std::string& self, char** argv) {
  const auto number = [](const UniqueFd& fd) { return std::to_string(fd.get()); };
  const std::string bundle = number(files.addon) + ":" + number(files.library) + ":" + number(files.keeper) + ":" + self;
  auto variables = starter::environmentForNode(environ, starter::NodeIs::inside, "/proc/self/fd/" + number(files.hold));
  variables.push_back("BLCR_BUNDLE=" + bundle);  // lib/native/bundle.ts reads it
  execute(files.node.get(), argv, starter::pointersTo(variables).data());
  return systemError("execute");
}

/** Where this file is. */
std::string ownPath() {
  char path[PATH_MAX];
  const ssize_t length = ::readlink("/proc/self/exe", path, sizeof path);
  return length > 0 ? std::string(path, static_cast<size_t>(length)) : "";
}

int launch(char** argv) {
  starter::holdSignals();
  ::signal(SIGXFSZ, SIG_IGN);  // a limit on file sizes is an error to report; Node ignores it, too
  const std::string self = ownPath();
  if (self.empty()) return fail(kNode, "this node has no /proc", "run it where /proc is mounted");
  auto payload = mapPayload("/proc/self/exe");
  if (!payload) return fail(kDamaged, payload.error().detail, "transfer the file again, or build it again");
  std::string tried;
  for (const Place& place : possiblePlaces()) {
    Unpacked files;
    const Status ready = unpackAll(*payload, place, files);
    const Error error = ready ? become(files, self, argv) : ready.error();
    if (error.code == EBADMSG) return fail(kDamaged, error.detail, "transfer the file again, or build it again");
    if (error.code == ENOEXEC) {
      return fail(kNode, "this node cannot run Node.js, which is inside this file: " + error.detail,
                  "run it on a node with glibc 2.28 or newer (RHEL 8, Debian 10, Ubuntu 18.10) and libstdc++");
    }
    tried += "\n  " + place.describe() + ": " + error.detail;
  }
  return fail(kNoPlace, "nowhere on this node can a program be unpacked and executed:" + tried,
              "set TMPDIR to a directory with room that is not mounted noexec");
}

}  // namespace

}  // namespace blcr::launcher

int main(int, char** argv) { return blcr::launcher::launch(argv); }

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch/x86_64/cpu.h"
#include "base/codes.h"
#include "base/socket_address.h"
#include "base/unique_fd.h"
#include "image/identity.h"
#include "image/serialise.h"
#include "restore/memory/kernel_areas.h"
#include "restore/relocate.h"
#include "restore/restore.h"
#include "restore/sockets/socket_states.h"

namespace blcr {
namespace {

using image::Image;

Status checkProcessor(const image::Host& host) {
  const auto missing = missingFeatures(host.cpuid, cpuFeatures());
  if (missing.empty()) return {};
  std::string names;
  for (const std::string& name : missing) names += " " + name;
  return Error{kErrorBadArchitecture, "this processor lacks features that the job may be using:" + names};
}

/** An ordinary user can be nobody else; a privileged one must not become root on the word of a file that somebody else could write. */
Status checkOwner(const Image& image, int fd) {
  struct stat info{};
  const bool isFile = ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
  const uid_t self = ::geteuid();
  for (const image::Process& process : image.processes) {
    if (process.state != image::ProcessState::kAlive) continue;
    for (const uint32_t uid : process.credentials.uid) {
      if (self != 0 && uid != self)
        return Error{EPERM, "process " + std::to_string(process.pid) + " belongs to user " + std::to_string(uid)};
      if (self == 0 && isFile && info.st_uid != 0 && uid != info.st_uid)
        return Error{
            EPERM, "the context is a file of user " + std::to_string(info.st_uid) + " but holds a process of user " + std::to_string(uid)};
    }
  }
  return {};
}

/** Whom the other ends of sockets may tell of: as with processes. One that has ended is not worth a refusal, and tells of this user. */
Status checkPeers(Image& image, int fd, Log& log) {
  struct stat info{};
  const bool isOthers = ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_uid != 0;
  const uint32_t self = ::geteuid(), group = ::getegid();
  const auto mayBe = [&](uint32_t uid, uint32_t gid) { return self != 0 ? uid == self && gid == group : !isOthers || uid == info.st_uid; };
  for (image::Socket& socket : image.sockets) {
    for (const image::SocketMessage& message : socket.queue)
      if (message.pid != 0 && !mayBe(message.uid, message.gid))
        return Error{EPERM, "a message of user " + std::to_string(message.uid) + " waits in a socket"};
    image::PeerCredentials& peer = socket.peerCredentials;
    if (peer.pid == 0 || mayBe(peer.uid, peer.gid)) continue;
    const bool hasEnded = socket.state == image::SocketState::kClosed || socket.state == image::SocketState::kReset;
    const std::string what = "the other end of a socket at " + addressText(socket.name.empty() ? socket.peerName : socket.name) +
                             " is of user " + std::to_string(peer.uid);
    if (!hasEnded) return Error{EPERM, what};
    log.line(what + ", and is gone: SO_PEERCRED tells of user " + std::to_string(self));
    peer.uid = self, peer.gid = group;
    peer.groups.clear();
  }
  return {};
}

/** Where a path of the job's is found from here: binds are made only later, in the job's own namespace. */
std::string present(const RestoreRequest& request, const std::string& path) {
  return relocated(request.binds, relocated(request.relocate, path));
}

Status checkMappedFile(const image::MappedFile& file, const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd) return systemError("mapped file " + path);
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return systemError("mapped file " + path);
  if (!S_ISREG(info.st_mode)) return Error{ESTALE, "mapped file " + path + " is no regular file here"};
  if (uint64_t(info.st_size) != file.size)
    return Error{ESTALE, "mapped file " + path + " has " + std::to_string(info.st_size) + " bytes here, " + std::to_string(file.size) +
                             " where the job was checkpointed"};
  if (file.identity == "size") return {};
  const auto identity = image::contentIdentity(fd.get());
  if (!identity.ok()) return identity.error();
  if (identity.value() != file.identity)
    return Error{ESTALE, "mapped file " + path + " has other content here (" + identity.value() +
                             ") than where the job was checkpointed (" + file.identity + ")"};
  return {};
}

void relocateWatches(Image& image, const RestoreRequest& request) {
  for (image::OpenFile& file : image.files)
    for (image::InotifyWatch& watch : file.watches) watch.path = relocated(request.relocate, watch.path);
}

/** A file that travels along is used only where there is no such file; else its content is not needed. */
Status checkMappedFiles(Image& image, const RestoreRequest& request, Log& log) {
  for (image::MappedFile& file : image.mapped) {
    if (file.deleted && file.blob != image::kNone) continue;
    const Status same = checkMappedFile(file, present(request, file.path));
    if (same.ok()) file.blob = image::kNone;
    if (same.ok()) continue;
    if (file.blob == image::kNone) return same.error();
    log.line(same.error().detail + ": the one that came with the context is used");
  }
  return {};
}

}  // namespace

Result<RestorePlan> readPlan(const RestoreRequest& request, Log& log) {
  RestorePlan plan{{}, image::Reader(request.inputFd)};
  constexpr int kPipeSize = 1 << 20;  // fewer, larger reads; refused for files and beyond a user's share, which is no harm
  ::fcntl(request.inputFd, F_SETPIPE_SZ, kPipeSize);
  const auto check = [&]() -> Status {
    if (const auto head = plan.reader.head(); !head.ok()) return head.error();
    const auto meta = plan.reader.meta();
    if (!meta.ok()) return meta.error();
    auto image = image::deserialise(meta.value());
    if (!image) return image.error();
    plan.image = *std::move(image);
    BLCR_TRY(relocateSockets(plan.image, request));
    relocateWatches(plan.image, request);
    BLCR_TRY(checkProcessor(plan.image.host));
    auto areas = kernelAreas();
    if (!areas) return areas.error();
    BLCR_TRY(checkKernelAreas(plan.image, *areas));
    BLCR_TRY(checkOwner(plan.image, request.inputFd));
    BLCR_TRY(checkPeers(plan.image, request.inputFd, log));
    return checkMappedFiles(plan.image, request, log);
  };
  const Status checked = check();
  if (checked.ok()) return plan;
  log.line(checked.error().detail);
  return checked.error();
}

}  // namespace blcr

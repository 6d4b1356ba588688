// Pipes and FIFOs.
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "base/io.h"
#include "dump/files/record_files.h"

namespace blcr {
namespace {

constexpr int kRead = 0, kWrite = 1;

int endOf(const FoundDescriptor& found) { return (found.details.flags & O_ACCMODE) == O_WRONLY ? kWrite : kRead; }

/** Copies what a pipe holds without taking it out: tee into a pipe of the same size. */
Status peekContent(const FoundDescriptor& found, int fd, image::Pipe& pipe) {
  int waiting = 0;
  if (::ioctl(fd, FIONREAD, &waiting) != 0) return systemError(found.name());
  if (waiting == 0 && !pipe.packets) return {};
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK | (pipe.packets ? O_DIRECT : 0)) != 0) return systemError("pipe");
  const UniqueFd output(ends[0]), input(ends[1]);
  if (::fcntl(input.get(), F_SETPIPE_SZ, int(pipe.capacity)) < 0) return systemError(found.name() + ": copy of the pipe");
  const ssize_t copied = ::tee(fd, input.get(), size_t(pipe.capacity), SPLICE_F_NONBLOCK);
  if (copied < 0 && errno != EAGAIN) return systemError(found.name() + ": tee");
  std::vector<char> buffer(std::max<size_t>(pipe.capacity, 4096));
  while (true) {
    const ssize_t count = ::read(output.get(), buffer.data(), buffer.size());
    if (count <= 0) break;
    pipe.content.append(buffer.data(), size_t(count));
    if (pipe.packets) pipe.packetLengths.push_back(uint32_t(count));
  }
  if (pipe.content.size() != size_t(waiting)) return Error{EIO, found.name() + ": its content could not be copied whole"};
  return {};
}

/** True when nobody holds the other end (poll tells without disturbing). */
bool otherEndIsClosed(int fd, int end) {
  pollfd entry{fd, short(end == kRead ? POLLIN : POLLOUT), 0};
  return ::poll(&entry, 1, 0) >= 0 && (entry.revents & (end == kRead ? POLLHUP : POLLERR)) != 0;
}

/** What the job's readers of a FIFO hear of its writers, when the job itself has none. */
enum class Writers { kOutside, kGone, kNoneYet };

/** poll does not tell a reader that was there before any writer from one whose writers are outside; tee, which takes nothing, does. */
Result<Writers> writersOf(const FoundDescriptor& reader) {
  auto fd = borrowDescriptor(reader);
  if (!fd) return fd.error();
  if (otherEndIsClosed(fd->get(), kRead)) return Writers::kGone;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return systemError("pipe");
  const UniqueFd output(ends[0]), input(ends[1]);
  return ::tee(fd->get(), input.get(), 1, SPLICE_F_NONBLOCK) == 0 ? Writers::kNoneYet : Writers::kOutside;
}

/** Looks at all descriptors of one pipe: which ends the job holds. */
struct Ends {
  const FoundDescriptor* reader = nullptr;
  const FoundDescriptor* writer = nullptr;
};

bool isSamePipe(const FoundDescriptor& one, const FoundDescriptor& other) {
  return one.info.st_ino == other.info.st_ino && one.info.st_dev == other.info.st_dev;
}

Ends endsOf(const FileContext& context, const FoundDescriptor& one) {
  Ends ends;
  for (const FoundDescriptor& found : context.found) {
    if (!isSamePipe(found, one)) continue;
    const int mode = found.details.flags & O_ACCMODE;
    if (mode != O_WRONLY && ends.reader == nullptr) ends.reader = &found;
    if (mode != O_RDONLY && ends.writer == nullptr) ends.writer = &found;
  }
  return ends;
}

/** Of a FIFO for which nobody in the job can write. */
Result<bool> isUnwritten(const FileContext& context, const FoundDescriptor& one) {
  size_t told = 0, untold = 0;
  for (const FoundDescriptor& found : context.found) {
    if (!isSamePipe(found, one)) continue;
    auto writers = writersOf(found);
    if (!writers) return writers.error();
    if (*writers == Writers::kOutside) return false;
    ++(*writers == Writers::kGone ? told : untold);
  }
  if (told != 0 && untold != 0) return refuseFile(one, "some of its readers have seen a writer come and go, and some have not");
  return untold != 0;
}

/** The descriptor of a pipe that tells most of it: a reader, if the job has one. */
Result<UniqueFd> openHandle(const FoundDescriptor& handle) { return reachDescriptor(handle, endOf(handle) == kRead ? O_RDONLY : O_WRONLY); }

Status makePipe(const Ends& ends, const FoundDescriptor& found, int fd, image::Pipe& pipe) {
  const int capacity = ::fcntl(fd, F_GETPIPE_SZ);
  if (capacity < 0) return systemError(found.name());
  pipe.capacity = uint32_t(capacity);
  pipe.packets = S_ISFIFO(found.info.st_mode) && ends.writer != nullptr && (ends.writer->details.flags & O_DIRECT) != 0;
  if (ends.reader == nullptr) return {};  // nobody can read what is in it
  return peekContent(*ends.reader, fd, pipe);
}

/** The other end is outside: whoever restarts has something to put in its place, but not what waits in it. */
Status recordOutside(const FileContext& context, const FoundDescriptor& found, int fd, image::OpenFile& file) {
  if (context.request.pipes == PipePolicy::kRefuse) return refuseFile(found, "its other end is held outside the job");
  int waiting = 0;
  if ((found.details.flags & O_ACCMODE) != O_WRONLY && ::ioctl(fd, FIONREAD, &waiting) != 0) return systemError(found.name());
  if (waiting > 0) return refuseFile(found, std::to_string(waiting) + " bytes from outside the job wait in it, which a restart would lose");
  file.kind = image::FileKind::kInherited;
  file.inherited = found.fd;
  return {};
}

}  // namespace

Status recordPipe(FileContext& context, const FoundDescriptor& found, image::OpenFile& file) {
  const bool named = !found.link.starts_with("pipe:");
  const Ends ends = endsOf(context, found);
  const FoundDescriptor& handle = ends.reader != nullptr ? *ends.reader : found;
  auto fd = openHandle(handle);
  if (!fd) return fd.error();
  const bool half = ends.reader == nullptr || ends.writer == nullptr;
  bool unwritten = false;
  if (half && !otherEndIsClosed(fd->get(), endOf(handle))) {
    Result<bool> told = named && ends.writer == nullptr ? isUnwritten(context, found) : Result<bool>(false);
    if (!told) return told.error();
    unwritten = *told;
    if (!unwritten) return recordOutside(context, found, fd->get(), file);
  }
  file.kind = named ? image::FileKind::kFifo : image::FileKind::kPipe;
  if (named && found.link.ends_with(kDeleted)) {
    const std::string other = otherName(found);
    if (other.empty() && found.info.st_nlink > 0) return refuseFile(found, "it has other names, which are not known");
    file.unlinked = other.empty();
    file.path = other.empty() ? found.link.substr(0, found.link.size() - kDeleted.size()) : other;
  }
  file.end = endOf(found);
  const auto [entry, fresh] =
      context.pipeOf.try_emplace({found.info.st_dev, found.info.st_ino}, uint32_t(context.recording.image.pipes.size()));
  file.object = entry->second;
  if (!fresh) return {};
  context.recording.image.pipes.emplace_back().unwritten = unwritten;
  return makePipe(ends, found, fd->get(), context.recording.image.pipes.back());
}

}  // namespace blcr

// Regular files, directories, memfds.
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <bit>
#include <cstring>
#include <memory>

#include "base/io.h"
#include "dump/files/attributes.h"
#include "dump/files/record_files.h"
#include "dump/memory/blob_content.h"
#include "dump/memory/record_memory.h"
#include "proc/parse.h"

namespace blcr {
namespace {

// Source: linux/magic.h
constexpr unsigned long kProcMagic = 0x9fa0, kQueueMagic = 0x19800202, kHugeMagic = 0x958458f6, kNamespaceMagic = 0x6e736673;
constexpr uint64_t kMaxCopied = 64ull << 20;  // of one file, while the job waits

unsigned long fileSystemOf(const FoundDescriptor& found) {
  struct statfs system{};
  const std::string path = "/proc/" + std::to_string(found.task) + "/fd/" + std::to_string(found.fd);
  return ::statfs(path.c_str(), &system) == 0 ? static_cast<unsigned long>(system.f_type) : 0;
}

bool isAt(const FoundDescriptor& found, const std::string& path) {
  struct stat named{};
  return ::lstat(path.c_str(), &named) == 0 && named.st_ino == found.info.st_ino && named.st_dev == found.info.st_dev;
}

/** Why a file cannot be opened again by its name; what is said when that leads somewhere else. */
Error nameLost(const FoundDescriptor& found, const std::string& elsewhere) {
  struct stat named{};
  if (found.info.st_nlink == 0) return refuseFile(found, "its name was removed");
  if (::lstat(found.link.c_str(), &named) == 0 || (errno != EACCES && errno != ENAMETOOLONG)) return refuseFile(found, elsewhere);
  return refuseFile(found, std::string("it cannot be reached by its name: ") + std::strerror(errno));
}

/** /proc/N/…: the process it tells of must be there again, or be gone already. */
Status recordProcFile(const FileContext& context, const FoundDescriptor& found, image::OpenFile& file) {
  file.kind = image::FileKind::kProc;
  if (found.link == "/proc") return {};
  if (!found.link.starts_with("/proc/")) return refuseFile(found, "a file of another /proc");
  std::string_view rest = std::string_view(found.link).substr(6);
  const auto owner = takeNumber(rest, 10);
  if (!owner || context.members.contains(pid_t(*owner))) return {};
  file.unlinked = ::kill(pid_t(*owner), 0) != 0 && errno == ESRCH;
  if (!file.unlinked) return refuseFile(found, "it tells of a process outside the job");
  // What it has read of it and not yet told lies in the kernel.
  if (found.details.position != 0) return refuseFile(found, "it tells of a process that has ended, and was read in part");
  if (file.path.ends_with(kDeleted)) file.path.resize(file.path.size() - kDeleted.size());
  return {};
}

/** A namespace, as "net:[4026531833]": restored when it is that of the process itself. */
Status recordNamespace(const FoundDescriptor& found, image::OpenFile& file) {
  const std::string name = "/ns/" + found.link.substr(0, found.link.find(':'));
  const auto own = readLink("/proc/" + std::to_string(found.task) + name);
  if (!own || own.value() != found.link) return refuseFile(found, "a namespace that is not the job's own");
  file.kind = image::FileKind::kProc;
  file.path = "/proc/self" + name;
  return {};
}

/** The content of a file that has no name, read through the process's descriptor. */
Status carryContent(FileContext& context, const FoundDescriptor& found, image::OpenFile& file) {
  Recording& recording = context.recording;
  // A new description: the process's own may be write-only, and its offset must not move.
  const std::string path = "/proc/" + std::to_string(found.task) + "/fd/" + std::to_string(found.fd);
  BlobSource blob;
  blob.fd = UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!blob.fd) return systemError(found.name());
  file.attributes = readAttributes(blob.fd.get());
  file.fileOwner = {found.info.st_uid, found.info.st_gid};
  BLCR_TRY(findPieces(blob.fd.get(), file.size, blob));
  if (contentLength(blob) > kMaxCopied) recording.mustStay = true;
  if (!recording.copiesInStop && !recording.mustStay) {
    if (const Status copied = copyPieces(blob); !copied) return Error{copied.error().code, found.name() + ": " + copied.error().detail};
  }
  blob.blob = file.blob = uint32_t(recording.image.blobs.size());
  file.kind = image::FileKind::kUnlinked;
  recording.image.blobs.push_back({file.size});
  recording.blobs.push_back(std::move(blob));
  return {};
}

/** A second description of the same unlinked file shares its content. */
bool reuseContent(FileContext& context, const FoundDescriptor& found, image::OpenFile& file) {
  for (const FoundDescriptor& other : context.found) {
    if (other.info.st_ino != found.info.st_ino || other.info.st_dev != found.info.st_dev) continue;
    const image::OpenFile& known = context.recording.image.files[other.description];
    if (&known == &file || known.kind != image::FileKind::kUnlinked || known.blob == image::kNone) continue;
    file.kind = image::FileKind::kUnlinked;
    file.blob = known.blob;
    file.fileOwner = known.fileOwner;
    return true;
  }
  return false;
}

/** memfd, or an unlinked file that is mapped shared: both live on as a segment. */
Status recordSegmentFile(FileContext& context, const FoundDescriptor& found, image::OpenFile& file) {
  Recording& recording = context.recording;
  file.kind = image::FileKind::kMemFd;
  file.object = segmentIndex(recording, {found.info.st_dev, found.info.st_ino}, found.link);
  SegmentSource& source = recording.segments[file.object];
  source.size = uint64_t(found.info.st_size);
  recording.image.shared[file.object].mode = found.info.st_mode & 07777;
  recording.image.shared[file.object].fileOwner = {found.info.st_uid, found.info.st_gid};
  if (isPosixSharedMemory(found.link) && isAt(found, found.link)) BLCR_TRY(nameSegment(recording, file.object, found.link, found.info));
  if (source.fd) return {};
  const std::string path = "/proc/" + std::to_string(found.task) + "/fd/" + std::to_string(found.fd);
  source.fd = UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!source.fd) return systemError(found.name());
  recording.image.shared[file.object].attributes = readAttributes(source.fd.get());
  const int seals = ::fcntl(source.fd.get(), F_GET_SEALS);
  if (seals > 0) recording.image.shared[file.object].seals = uint32_t(seals);
  return {};
}

/** The blocks of its file system are the pages. */
Status recordHugeMemory(FileContext& context, const FoundDescriptor& found, image::OpenFile& file) {
  BLCR_TRY(recordSegmentFile(context, found, file));
  const auto size = uint64_t(found.info.st_blksize);
  if (!std::has_single_bit(size)) return refuseFile(found, "the size of its huge pages is not told");
  context.recording.image.shared[file.object].hugeShift = uint8_t(std::countr_zero(size));
  context.recording.mustStay = true;
  return {};
}

}  // namespace

std::string otherName(const FoundDescriptor& found) {
  if (!found.link.starts_with('/') || !found.link.ends_with(kDeleted)) return {};
  const std::string directory = found.link.substr(0, found.link.rfind('/', found.link.size() - kDeleted.size()) + 1);
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(directory.c_str()), ::closedir);
  while (const dirent* entry = listing ? ::readdir(listing.get()) : nullptr)
    if (entry->d_ino == found.info.st_ino && isAt(found, directory + entry->d_name)) return directory + entry->d_name;
  return {};
}

Status recordDirectory(const FileContext& context, const FoundDescriptor& found, image::OpenFile& file) {
  if (fileSystemOf(found) == kProcMagic) return recordProcFile(context, found, file);
  file.kind = image::FileKind::kDirectory;
  if (isAt(found, found.link)) return {};
  file.unlinked = found.link.starts_with('/') && found.link.ends_with(kDeleted);
  return file.unlinked ? Status() : nameLost(found, "its name leads to another directory now");
}

Status recordPathOnly(const FileContext& context, const FoundDescriptor& found, image::OpenFile& file) {
  if (S_ISDIR(found.info.st_mode)) return recordDirectory(context, found, file);
  if (fileSystemOf(found) == kProcMagic) return recordProcFile(context, found, file);
  file.kind = image::FileKind::kDirectory;  // nothing but its name counts
  return isAt(found, found.link) ? Status() : nameLost(found, "its name leads to another file now");
}

Status recordRegular(FileContext& context, const FoundDescriptor& found, image::OpenFile& file) {
  file.size = uint64_t(found.info.st_size);
  if (found.info.st_nlink == 0) file.valueNs = int64_t(found.info.st_mtim.tv_sec) * 1000000000 + found.info.st_mtim.tv_nsec;
  switch (fileSystemOf(found)) {
    case kProcMagic:
      return recordProcFile(context, found, file);
    case kQueueMagic:
      return refuseFile(found, "a POSIX message queue");
    case kHugeMagic:
      if (isSharedMemoryLink(found.link)) return recordHugeMemory(context, found, file);
      return refuseFile(found, "memory of huge-page files is not supported");
    case kNamespaceMagic:
      return recordNamespace(found, file);
    default:
      break;
  }
  const ObjectKey key{found.info.st_dev, found.info.st_ino};
  const bool isMemory = isSharedMemoryLink(found.link) || isPosixSharedMemory(found.link);
  const bool isShared = context.recording.segmentOf.contains(key);
  if (isMemory || (found.info.st_nlink == 0 && (isShared || isMappedUnnamed(context.recording, key))))
    return recordSegmentFile(context, found, file);
  if (isShared) return refuseFile(found, "it is mapped by a name that was removed, and has other names");
  file.kind = image::FileKind::kRegular;
  if (isAt(found, found.link)) return {};
  if (found.info.st_nlink == 0) return reuseContent(context, found, file) ? Status() : carryContent(context, found, file);
  file.path = otherName(found);
  return file.path.empty() ? nameLost(found, "it has other names, which are not known") : Status();
}

}  // namespace blcr

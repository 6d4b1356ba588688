#include "dump/memory/carry_files.h"

#include <fcntl.h>

#include <algorithm>

#include "dump/memory/blob_content.h"

namespace blcr {
namespace {

/** What the kinds of an area are called among CarriedFiles. */
uint32_t kindsOf(const image::AddressSpace& memory, const image::Area& area) {
  return (area.shared ? kCarryShared : kCarryPrivate) | (area.file == memory.exe ? kCarryExecutable : 0U);
}

/** What a Java machine counts, for its tools. Once the process is gone, any other Java machine of the same user removes the file. */
bool isJavaCounters(const std::string& path) { return path.find("/hsperfdata_") != std::string::npos; }

}  // namespace

Status carryFile(Recording& recording, uint32_t index, const std::string& path) {
  image::MappedFile& file = recording.image.mapped[index];
  if (file.blob != image::kNone) return {};
  BlobSource source;
  source.fd = UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info{};
  if (!source.fd || ::fstat(source.fd.get(), &info) != 0) return systemError(path);
  const auto known = std::find_if(recording.identities.begin(), recording.identities.end(),
                                  [index](const PendingIdentity& one) { return one.mapped == index; });
  if (known != recording.identities.end() && known->info.st_ino != info.st_ino)
    return Error{ESTALE, path + ": is not the mapped file any more"};
  file.size = uint64_t(info.st_size);
  takeWhole(file.size, source);
  if (file.identity == "size") BLCR_TRY(copyPieces(source));
  source.blob = file.blob = uint32_t(recording.image.blobs.size());
  recording.image.blobs.push_back({file.size});
  recording.blobs.push_back(std::move(source));
  return {};
}

Status carryMappedFiles(Recording& recording, uint32_t carry) {
  for (const image::Process& process : recording.image.processes) {
    const image::AddressSpace& memory = process.memory;
    for (const image::Area& area : memory.areas) {
      if (area.kind != image::AreaKind::kFile) continue;
      const image::MappedFile& file = recording.image.mapped[area.file];
      const bool asked = (kindsOf(memory, area) & carry) != 0;
      if (!file.deleted && (asked || (area.shared && isJavaCounters(file.path)))) BLCR_TRY(carryFile(recording, area.file, file.path));
    }
  }
  return {};
}

}  // namespace blcr

// The image being made, with what is needed beside it until the stream is written.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/attached_segment.h"
#include "base/log.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "dump/dump.h"
#include "dump/files/find_path.h"
#include "image/model.h"
#include "image/tree_plan.h"
#include "proc/maps.h"

namespace blcr {

/** Device and inode as /proc/PID/maps or stat tells them; names an object shared by several processes. */
using ObjectKey = std::pair<uint64_t, uint64_t>;

/** A part of a shared segment as mapped by one process. */
struct SegmentView {
  pid_t pid = 0;  // FrozenProcess::speaker()
  uint64_t address = 0, length = 0, offset = 0;
};

/** Where a SharedSegment's content comes from. */
struct SegmentSource {
  std::vector<SegmentView> views;
  UniqueFd fd;               // a descriptor of the object, when a process has one open
  AttachedSegment attached;  // System V: here
  uint64_t size = 0;
};

/** Pages of a segment; `data` is their copy, or empty when they are read later, inside the stop that lasts. */
struct SegmentPages {
  uint32_t segment = 0;
  uint64_t offset = 0, length = 0;
  std::vector<std::byte> data;
};

/** A stretch of a Blob; `data` is its copy, or empty when it is read from the descriptor later. */
struct BlobPiece {
  uint64_t offset = 0, length = 0;
  std::vector<std::byte> data;
};

/** Content of a Blob without its holes: copied inside the stop, or read from `fd` later. */
struct BlobSource {
  uint32_t blob = 0;
  UniqueFd fd;
  std::vector<BlobPiece> pieces;
};

/** A private mapping of a file without a name. */
struct UnnamedView {
  ObjectKey file;
  uint64_t offset = 0;
};

/** What is known of a process's memory before it is stopped. */
struct MemoryHint {
  std::vector<Mapping> maps;
  std::map<uint64_t, uint32_t> flags;  // VmFlags by start address, as bits
};

/** A mapped file whose identity is worked out after the stop. */
struct PendingIdentity {
  uint32_t mapped = 0;
  struct stat info{};
};

struct Recording {
  image::Image image;
  std::map<ObjectKey, uint32_t> segmentOf;
  std::vector<SegmentSource> segments;       // parallel to image.shared
  std::map<int, uint32_t> attachedSegments;  // of System V, by number
  std::map<ObjectKey, uint32_t> ringOf;      // image.rings, by a mapping or a descriptor
  std::vector<SegmentPages> segmentPages;
  std::vector<BlobSource> blobs;
  std::map<std::pair<std::string, uint64_t>, uint32_t> mappedOf;  // path, inode
  std::vector<PendingIdentity> identities;
  std::map<pid_t, MemoryHint> hints;
  bool copiesInStop = false;  // no snapshot: everything is read while the job stands
  PathFinder paths;
  image::TreePlan tree;                                      // by which a restart can make the processes
  std::map<pid_t, std::map<uint64_t, UnnamedView>> carried;  // by start of the area: pages of the file travel as its own
  std::map<ObjectKey, pid_t> hugeOwners;                     // of private huge pages: the first process has their reservation
  bool mustStay = false;                                     // the stop lasts: something is too large to be copied inside it
};

}  // namespace blcr

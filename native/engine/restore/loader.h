// Memory and file content: taken from the stream, put straight where it belongs.
#pragma once

#include <map>
#include <optional>

#include "image/stream.h"
#include "restore/files/sources.h"
#include "restore/job.h"
#include "restore/memory/huge_pages.h"
#include "restore/memory/kernel_areas.h"

namespace blcr {

/**
 * Reads frames until the verified trailer. Areas that are not writable are opened for the time and closed again. EINVAL when a frame names
 * memory or content that the metadata does not, EIO and EINVAL of image::Reader.
 *
 * A process that others have pages of is filled before they are forked from it, so that the kernel shares these pages again. That is a
 * saving, not a condition: where it is not possible (another kernel's vdso, another order of births) they get copies.
 */
class Loader {
 public:
  Loader(Job& job, const Sources& sources, const KernelAreas& areas, image::Reader& reader);

  /** Just before `child` is forked from `forker`: fills that one's memory when it is time, and notes what the child is going to inherit. */
  [[nodiscard]] Status beforeBirth(Building& forker, Building& child);

  /** All that is left, when every process has its memory laid out. */
  [[nodiscard]] Status load();

 private:
  using Ranges = std::vector<image::SameRange>;
  [[nodiscard]] uint32_t indexOf(const Building& building) const { return uint32_t(&building - job_.processes.data()); }
  [[nodiscard]] Building* livingAt(uint32_t index);
  [[nodiscard]] Status loadThrough(Building& building);
  [[nodiscard]] Result<bool> isLaidOut(const image::Frame& frame);
  [[nodiscard]] Status take(const image::Frame& frame);
  [[nodiscard]] Status page(std::span<const std::byte> payload);
  [[nodiscard]] Status hugeSegment(uint32_t index, uint64_t offset, std::span<const std::byte> data);
  [[nodiscard]] Status privatePages(Building& building, uint64_t address, std::span<const std::byte> data);
  [[nodiscard]] Status same(std::span<const std::byte> payload);
  [[nodiscard]] Status copyFrom(Building& source, Building& building, const image::SameRange& range);
  [[nodiscard]] Status done(std::span<const std::byte> payload);
  [[nodiscard]] Status file(std::span<const std::byte> payload);
  [[nodiscard]] Result<const image::Area*> areaAt(Building& building, uint64_t address) const;
  [[nodiscard]] Status open(Building& building, const image::Area& area);
  [[nodiscard]] Status dropOthers(Building& building);
  [[nodiscard]] Status finish();

  Job& job_;
  const Sources& sources_;
  const KernelAreas& areas_;
  image::Reader& reader_;
  std::map<uint32_t, HugeContent> huge_;                        // by segment
  std::optional<image::Frame> waiting_;                         // read before its process was there
  std::vector<std::map<uint64_t, const image::Area*>> opened_;  // made writable for loading, by process
  std::vector<Ranges> told_;                                    // what frames have told of, by process
};

}  // namespace blcr

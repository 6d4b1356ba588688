// FIFOs, which may have names that are gone, several, or none.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "image/model.h"

namespace blcr {

/** What names a FIFO has in the image, as they are on this host. */
struct FifoNames {
  std::vector<std::string> names;
  std::string lost;  // where it was when its last name was removed; its directory only counts
  uint32_t mode = 0;
  bool unwritten = false;  // its readers would hear a hang-up after a writer
};

/** FIFOs by index of Image::pipes. Those that had to be made exist under temporary names, if any, which are removed without commit(). */
class Fifos {
 public:
  Fifos() = default;
  Fifos(Fifos&&) = default;
  Fifos& operator=(Fifos&&) = default;
  Fifos(const Fifos&) = delete;
  Fifos& operator=(const Fifos&) = delete;
  ~Fifos();

  /**
   * Opens both ends, so that opening one does not wait, or of an unwritten one the end for reading. A FIFO none of whose names exists is
   * made anew. Errors of open(2) and mkfifo(3) with the path; EEXIST for a name that something else has.
   */
  [[nodiscard]] Result<UniqueFd> hold(uint32_t pipe, const FifoNames& names);
  /** Gives the recorded names that were missing. EEXIST when something else has one of them by now. */
  [[nodiscard]] Status commit();

 private:
  struct Made {
    std::string at;  // a name that it has
    bool temporary = false;
    std::vector<std::string> missing;
  };
  std::map<uint32_t, Made> made_;
};

}  // namespace blcr

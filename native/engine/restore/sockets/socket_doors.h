// Names of local sockets: files, and ways to the sockets behind them that no change in the file system can lead astray.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "image/model.h"

namespace blcr {

/** A name under which datagrams are sent to, or connections made with, `peerName`, as an act of its own where the path is relative to
 * `directory`. */
[[nodiscard]] Status reachByName(int fd, const std::string& peerName, const std::string& directory, const std::string& what);

/** Those that bindAll() has made for others to see, all of them. */
void removeSocketFiles(const std::vector<image::Socket>& sockets);

/**
 * The files that sockets are bound to, each kept open: a connection made through such a door finds the socket whatever became of its
 * name since, and both ends have the recorded names.
 */
class SocketDoors {
 public:
  /** `own`: descriptors by index of `sockets`. */
  SocketDoors(const std::vector<image::Socket>& sockets, const std::vector<int>& own)
      : sockets_(sockets), own_(own), doors_(sockets.size()) {}

  /**
   * Binds every socket that has the name of a file, those first whose file is gone: they have it where nobody sees it. A file that an
   * earlier life left behind is replaced. EADDRINUSE: somebody listens there; EEXIST: a file that is no socket is in the way.
   */
  [[nodiscard]] Status bindAll();

  /** An address at which the socket can be reached now: of the door, or its abstract name; "" when it has none. `self`: this process's
   * directory in /proc for whoever is to use it. */
  [[nodiscard]] std::string addressOf(uint32_t index, const std::string& self = "/proc/self") const;

  /** Until now nobody else may connect. */
  [[nodiscard]] Status setOwnersAndModes();

  /** Undoes bindAll. */
  void removeFiles() const;

 private:
  [[nodiscard]] Status bindOne(uint32_t index);

  const std::vector<image::Socket>& sockets_;
  const std::vector<int>& own_;
  std::vector<UniqueFd> doors_;
  std::vector<uint32_t> made_;  // with a file that others see
};

}  // namespace blcr

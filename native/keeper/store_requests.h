// Programs of the job that ask for a checkpoint of it into its store.
#pragma once

#include <list>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "loop.h"

namespace blcr {

/**
 * The keeper knows no store: whoever holds the lifeline does, and is asked through it, when it has said that it answers. A line each way:
 *
 *   keeper -> holder   checkpoint NUMBER
 *   holder -> keeper   NUMBER ERROR TEXT      (ERROR 0, or an errno or CR_E* value; TEXT is the requester's log)
 */
class StoreRequests {
 public:
  explicit StoreRequests(Loop& loop) : loop_(loop) {}
  ~StoreRequests();
  StoreRequests(const StoreRequests&) = delete;
  StoreRequests& operator=(const StoreRequests&) = delete;

  /** From here on requests go to the socket `fd` (borrowed). Before, they are refused. */
  void serveOn(int fd) { holder_ = fd; }
  /** A requester, which is answered when its checkpoint is in the store. */
  void add(UniqueFd connection, uint64_t handleInode);
  /** What has come from the holder. */
  void onAnswers(std::string_view bytes);
  /** Appends the inodes of the requesters' sockets, which are descriptors of the job. */
  void addHandles(std::vector<uint64_t>& inodes) const;

 private:
  struct Requester {
    uint64_t number = 0;
    UniqueFd connection;
    uint64_t handleInode = 0;
  };

  void onReadable(uint64_t number);
  void onAnswer(std::string_view line);
  void conclude(std::list<Requester>::iterator requester, int error, std::string_view log);
  [[nodiscard]] std::list<Requester>::iterator find(uint64_t number);

  Loop& loop_;
  int holder_ = -1;
  uint64_t last_ = 0;
  std::list<Requester> requesters_;
  std::string partial_;  // a line that has not come to its end
};

}  // namespace blcr

// Paths of watched files: the kernel tells only their inodes.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace blcr {

/**
 * Looks where a program's files usually are: what it has open or mapped, names in its arguments and environment, the directories above
 * those, and everything below its working directories. What the processes watch must not be told of it: such directories stay unread.
 */
class PathFinder {
 public:
  /** Before the stop, when there is time: looks for whatever the processes watch now. Costs little when they watch nothing. */
  void prepare(const std::vector<pid_t>& members);

  /**
   * A path that leads to the inode at this moment, or empty. `device` as the kernel numbers it; `ending`: what the path is likely to end
   * in, relative to one of those directories.
   */
  [[nodiscard]] std::string find(uint64_t inode, uint32_t device, const std::string& ending = {});

  /** The same, looking into one directory only. */
  [[nodiscard]] std::string findIn(const std::string& directory, uint64_t inode, uint32_t device);

 private:
  using Key = std::pair<uint64_t, uint32_t>;
  void readWatches(const std::function<void(const Key&)>& each);
  [[nodiscard]] bool isHeard(const std::string& path) const;
  [[nodiscard]] std::string known(const Key& key) const;
  void want(const Key& key, size_t budget);
  void look(const std::string& path);
  void lookAround(const std::string& path);
  void walk(const std::string& directory, int depth);
  void search();
  std::vector<pid_t> members_;
  std::set<Key> wanted_;
  std::map<Key, std::string> known_;
  std::set<Key> heard_;   // directories whose watchers are told of an open or a read
  std::set<Key> missed_;  // looked for in vain
  std::set<std::string> seen_;
  std::string ending_;
  size_t budget_ = 0;
};

}  // namespace blcr

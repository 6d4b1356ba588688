// Huge pages of 2 MiB for as long as a test runs: only root can see to them.
#pragma once

#include <algorithm>
#include <fstream>

/** Lets the kernel make so many more when somebody asks; tests that run at the same time add theirs. */
class HugePool {
 public:
  explicit HugePool(long pages) : pages_(pages) { add(pages_); }
  ~HugePool() { add(-pages_); }
  HugePool(const HugePool&) = delete;
  HugePool& operator=(const HugePool&) = delete;

 private:
  static void add(long pages) {
    static constexpr char kPath[] = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages";
    long now = 0;
    if (std::ifstream(kPath) >> now) std::ofstream(kPath) << std::max(0l, now + pages);
  }
  long pages_;
};
